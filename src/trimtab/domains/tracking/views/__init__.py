"""Saved views: how someone likes to look at a page, kept under a name."""
