"""One enriched summary of every Cowrie honeypot session."""

__version__ = "0.1.0"
