"""Machinery with input and output that every domain stands on."""
