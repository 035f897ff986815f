"""Metrics: the points of every curve, and the latest value of each."""
