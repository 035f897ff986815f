"""What is set for an endpoint beside its traffic: limits, time-outs, caching, and what is not written down."""

HASHES = "deploy.fields"
"""What the key is derived for by which columns are hashed."""
