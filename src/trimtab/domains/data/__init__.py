"""Data: immutable versions of datasets, what is in them, and what they are held to."""

from trimtab.domains.data.service import DataService

__all__ = ["DataService"]
