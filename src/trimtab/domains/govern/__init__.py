"""Govern: who may do what, and the record of who did."""

from trimtab.domains.govern.service import GovernService

__all__ = ["GovernService"]
