"""Figures over many traces: sums and percentiles by time and kind, and which properties go together."""
