"""What the counters of a finished session suggest: pure functions, their rules in TOML."""
