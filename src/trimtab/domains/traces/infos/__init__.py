"""Traces as wholes: when, how long, how it went, tags and metadata, and the search over them."""
