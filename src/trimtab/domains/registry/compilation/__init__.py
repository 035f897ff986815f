"""Compiled forms of versions: made in a process of their own after registration, kept as blobs beside the verdict."""
