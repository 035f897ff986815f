"""Runs: one training each, with what went in and what came out."""
