"""Which parameters made the difference to a metric."""
