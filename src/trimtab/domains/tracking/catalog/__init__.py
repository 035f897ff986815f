"""What the runs of experiments have in common: the columns that a table of them can show, and facets with counts."""
