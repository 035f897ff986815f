"""What an endpoint asks of its callers and promises them: limits, quotas, circuits, caching, and what is not written down."""
