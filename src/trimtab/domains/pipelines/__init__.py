"""Pipelines: graphs of steps that run in their own processes, are cached by content, and resume where they stopped.

The face is imported when it is asked for: step processes, which must start fast, import other modules of this package.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trimtab.domains.pipelines.service import PipelineService

__all__ = ["PipelineService"]


def __getattr__(name: str) -> Any:
    if name == "PipelineService":
        from trimtab.domains.pipelines.service import PipelineService

        return PipelineService
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
