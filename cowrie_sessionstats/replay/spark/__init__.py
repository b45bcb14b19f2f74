"""Raw logs to records on a cluster of Apache Spark: its shuffle brings a session's events together."""
