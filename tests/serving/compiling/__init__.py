"""The compiler of models."""
