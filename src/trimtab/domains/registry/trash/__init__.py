"""The trash of the registry: deleted models and versions, which can come back until they are purged."""
