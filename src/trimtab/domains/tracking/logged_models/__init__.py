"""Logged models: what runs trained and saved, before anyone registers it."""
