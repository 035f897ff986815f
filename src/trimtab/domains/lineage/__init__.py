"""Lineage: what came from what, from data to the single prediction and back."""

from trimtab.domains.lineage.service import LineageService

__all__ = ["LineageService"]
