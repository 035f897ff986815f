"""The messages of runs in the MLflow API, and runs as its answers show them."""

import msgspec

from trimtab.domains.tracking.runs.model import DatasetInput, Run, RunHead
from trimtab.wire.mlflow.messages import (
    Int64,
    Metric,
    MetricView,
    Tag,
    TagView,
    latest_views,
    millis,
    tag_views,
)


class RunInfo(msgspec.Struct, omit_defaults=True):
    run_uuid: str
    experiment_id: str
    run_name: str
    user_id: str
    status: str
    start_time: int
    artifact_uri: str
    lifecycle_stage: str
    run_id: str
    end_time: int | None = None


class RunData(msgspec.Struct, omit_defaults=True):
    metrics: list[MetricView] = []
    params: list[TagView] = []
    tags: list[TagView] = []


class DatasetView(msgspec.Struct, omit_defaults=True):
    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None = None
    profile: str | None = None


class DatasetInputView(msgspec.Struct, omit_defaults=True):
    dataset: DatasetView
    tags: list[TagView] = []


class ModelInputView(msgspec.Struct):
    model_id: str


class ModelOutputView(msgspec.Struct):
    model_id: str
    step: int


class RunInputs(msgspec.Struct, omit_defaults=True):
    dataset_inputs: list[DatasetInputView] = []
    model_inputs: list[ModelInputView] = []


class RunOutputs(msgspec.Struct, omit_defaults=True):
    model_outputs: list[ModelOutputView] = []


class RunView(msgspec.Struct, omit_defaults=True):
    info: RunInfo
    data: RunData
    inputs: RunInputs
    outputs: RunOutputs | None = None


class OneRun(msgspec.Struct):
    run: RunView


class OneRunInfo(msgspec.Struct):
    run_info: RunInfo


class FoundRuns(msgspec.Struct, omit_defaults=True):
    runs: list[RunView] = []
    next_page_token: str | None = None


class CreateRun(msgspec.Struct):
    experiment_id: str | None = None
    user_id: str | None = None
    run_name: str | None = None
    start_time: Int64 | None = None
    tags: list[Tag] | None = None


class UpdateRun(msgspec.Struct):
    run_id: str | None = None
    run_uuid: str | None = None
    status: str | int | None = None
    end_time: Int64 | None = None
    run_name: str | None = None


class ById(msgspec.Struct):
    run_id: str | None = None
    run_uuid: str | None = None


class SearchRuns(msgspec.Struct):
    experiment_ids: list[str] | None = None
    filter: str | None = None
    run_view_type: str | int | None = None
    max_results: Int64 | None = None
    order_by: list[str] | None = None
    page_token: str | None = None


class LogMetric(msgspec.Struct):
    run_id: str | None = None
    run_uuid: str | None = None
    key: str | None = None
    value: float | None = None
    timestamp: Int64 | None = None
    step: Int64 | None = None
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


class RunTag(msgspec.Struct):
    run_id: str | None = None
    run_uuid: str | None = None
    key: str | None = None
    value: str | None = None


class LogBatch(msgspec.Struct):
    run_id: str | None = None
    metrics: list[Metric] | None = None
    params: list[Tag] | None = None
    tags: list[Tag] | None = None


class LogModel(msgspec.Struct):
    run_id: str | None = None
    model_json: str | None = None


class DatasetMessage(msgspec.Struct):
    name: str | None = None
    digest: str | None = None
    source_type: str | None = None
    source: str | None = None
    schema: str | None = None
    profile: str | None = None


class DatasetInputMessage(msgspec.Struct):
    dataset: DatasetMessage | None = None
    tags: list[Tag] | None = None


class ModelMessage(msgspec.Struct):
    model_id: str | None = None
    step: Int64 | None = None


class LogInputs(msgspec.Struct):
    run_id: str | None = None
    datasets: list[DatasetInputMessage] | None = None
    models: list[ModelMessage] | None = None


class LogOutputs(msgspec.Struct):
    run_id: str | None = None
    models: list[ModelMessage] | None = None


def view(run: Run, *, model_inputs: bool = True, outputs: bool = True) -> RunView:
    return RunView(
        info(run.head),
        RunData(latest_views(run.metrics), tag_views(run.params), tag_views(run.tags)),
        RunInputs(
            [_input_view(one) for one in run.datasets],
            [ModelInputView(one) for one in run.model_inputs] if model_inputs else [],
        ),
        RunOutputs([ModelOutputView(one.model_id, one.step) for one in run.model_outputs])
        if outputs
        else None,
    )


def info(head: RunHead) -> RunInfo:
    return RunInfo(
        run_uuid=head.id,
        experiment_id=head.experiment_id,
        run_name=head.name,
        user_id=head.owner,
        status=head.status,
        start_time=millis(head.started_us),
        artifact_uri=head.artifact_uri,
        lifecycle_stage=head.state,
        run_id=head.id,
        end_time=millis(head.ended_us) if head.ended_us else None,
    )


def _input_view(one: DatasetInput) -> DatasetInputView:
    dataset = one.dataset
    shown = DatasetView(
        dataset.name,
        dataset.digest,
        dataset.source_type,
        dataset.source,
        dataset.schema or None,
        dataset.profile or None,
    )
    return DatasetInputView(shown, tag_views(one.tags))
