"""Raw logs to records on a cluster of Spark: its shuffle brings a session's events together."""
