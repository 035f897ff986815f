"""Spans: what happened within a trace, step by step."""
