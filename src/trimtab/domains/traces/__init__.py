"""Traces: what applications did for their requests, assessments of it, and evaluation data sets."""

from trimtab.domains.traces.service import TracesService

__all__ = ["TracesService"]
