"""Where Cowrie looks for [output_sessionstats]; installed as cowrie/output/sessionstats.py."""

from cowrie_sessionstats.plugin import Output as Output  # noqa: PLC0414 - Cowrie imports it
