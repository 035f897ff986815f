"""Facts that pipelines announce."""

from typing import Any

from trimtab.kernel.events import Event


class PipelineRunStarted(Event, frozen=True, tag="pipelines.run_started"):
    run_id: str
    pipeline: str
    trigger: dict[str, Any]


class PipelineRunFinished(Event, frozen=True, tag="pipelines.run_finished"):
    """``state`` is succeeded, failed or cancelled. ``outputs`` are what the pipeline returned, as far as JSON holds it."""

    run_id: str
    pipeline: str
    state: str
    outputs: dict[str, Any]
    trigger: dict[str, Any]
    error: str | None = None
