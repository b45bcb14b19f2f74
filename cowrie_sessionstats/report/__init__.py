"""From summaries to figures: tables, plots, a page, SQL. Knows records, never events."""
