"""Artifacts: the files of runs and logged models."""
