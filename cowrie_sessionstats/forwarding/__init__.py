"""The command line beside a running Cowrie: what waits in the outbox, and old records sent."""
