"""A sensor watched while it works: what its log and its store say, read and never written."""
