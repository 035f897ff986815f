"""Pipelines: graphs of steps that run in their own processes, are cached by content, and resume where they stopped."""

from trimtab.domains.pipelines.service import PipelineService

__all__ = ["PipelineService"]
