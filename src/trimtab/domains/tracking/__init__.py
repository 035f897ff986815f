"""Tracking: experiments, runs and their metrics, artifacts, logged models."""

from trimtab.domains.tracking.service import TrackingService

__all__ = ["TrackingService"]
