"""Aliases with their history, and the environments of a model, which are aliases with rules."""
