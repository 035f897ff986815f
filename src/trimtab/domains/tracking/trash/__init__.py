"""The trash of tracking: what was deleted and can come back until it is purged."""
