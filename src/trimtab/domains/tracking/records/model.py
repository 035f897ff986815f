"""What a run, an experiment or a logged model is when it is moved as a whole, and what may be moved."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

import msgspec

from trimtab.domains.tracking.experiments.model import ARTIFACT_SCHEME, State, check_location
from trimtab.domains.tracking.logged_models.model import Status as ModelStatus
from trimtab.domains.tracking.metrics.model import MOST_US, PointColumns
from trimtab.domains.tracking.names import MOST_KEY, check_key, check_length, check_run_id
from trimtab.domains.tracking.runs.model import NAME_TAG, DatasetInput, Status
from trimtab.kernel.errors import Invalid

MOST_TEXT = 1_000_000
"""The longest parameter or tag that is brought in; what is logged is held to MLflow's shorter limits."""

MOST_RUNS = 1000
MOST_MARKS = 10_000
MOST_FILES = 10_000
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Time = Annotated[int, msgspec.Meta(ge=0, le=MOST_US)]
Value = float | Literal["NaN", "Infinity", "-Infinity"]
Outcome = Literal["created", "updated", "refused"]
Reason = Literal["", "in-trash", "elsewhere", "made-here"]


class Series(msgspec.Struct, forbid_unknown_fields=True):
    """Points of one metric side by side: three lists of one length, in no particular order."""

    key: str
    steps: list[Int64]
    at_us: list[Time]
    values: list[Value]


class DatasetUse(msgspec.Struct, forbid_unknown_fields=True):
    """A data set that went into a run; ``schema`` and ``profile`` are JSON texts."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None = None
    profile: str | None = None
    tags: dict[str, str] = {}


class ModelUse(msgspec.Struct, forbid_unknown_fields=True):
    model_id: str
    step: Int64 = 0


class RunRecord(msgspec.Struct, forbid_unknown_fields=True):
    """A run with everything that was logged to it.

    Without an ``artifact_uri`` its files are kept by this server; with an empty name a run that is there keeps its own.
    ``state`` and ``keys``, the names of its metrics, are told and not taken.
    """

    id: str
    experiment_id: str
    name: str
    status: Status
    started_us: Time
    ended_us: Time | None = None
    owner: str = ""
    artifact_uri: str | None = None
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    metrics: list[Series] = []
    datasets: list[DatasetUse] = []
    model_inputs: list[str] = []
    model_outputs: list[ModelUse] = []
    state: State = "active"
    keys: list[str] = []


class ExperimentRecord(msgspec.Struct, forbid_unknown_fields=True):
    """An experiment; without an ``artifact_location`` this server keeps the files of its runs."""

    name: str
    tags: dict[str, str] = {}
    created_us: Time | None = None
    updated_us: Time | None = None
    artifact_location: str | None = None


class ModelMetricRecord(msgspec.Struct, forbid_unknown_fields=True):
    key: str
    value: Value
    at_us: Time
    step: Int64 = 0
    run_id: str = ""
    dataset_name: str = ""
    dataset_digest: str = ""


class LoggedModelRecord(msgspec.Struct, forbid_unknown_fields=True):
    """A logged model; ``state`` is told and not taken."""

    id: str
    experiment_id: str
    name: str
    status: ModelStatus
    created_us: Time
    updated_us: Time
    model_type: str | None = None
    source_run_id: str | None = None
    artifact_uri: str | None = None
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    metrics: list[ModelMetricRecord] = []
    state: State = "active"


class PlacedRecord(msgspec.Struct):
    """What became of a record: where its files belong, and why it was refused; the note says it in words."""

    id: str
    outcome: Outcome
    artifact_uri: str = ""
    note: str = ""
    reason: Reason = ""


def check_texts(texts: Mapping[str, str], field: str, *, any_key: bool) -> None:
    """Raise Invalid for a key that cannot be one and for a value longer than a megabyte."""
    for key, value in texts.items():
        if any_key:
            check_length(key, MOST_KEY, f"{field}.key")
        else:
            check_key(key, f"{field}.key")
        if len(value) > MOST_TEXT:
            raise Invalid(f"{field} {key[:100]!r} is longer than {MOST_TEXT} characters.", field=field)


def check_uri(uri: str | None) -> None:
    """Raise Invalid for a place of files that is no store elsewhere: places in this one are given by the server."""
    if uri is not None and (uri.startswith(f"{ARTIFACT_SCHEME}:") or not uri):
        raise Invalid("Files that this server keeps have their place by themselves.", field="artifact_uri")
    check_location(uri or "")


def check_run(record: RunRecord) -> None:
    """Raise Invalid for a record that cannot be kept."""
    check_texts(record.params, "params", any_key=False)
    check_texts(record.tags, "tags", any_key=True)
    check_length(record.name, MOST_TEXT, "name")
    check_length(record.owner, MOST_KEY, "owner")
    check_uri(record.artifact_uri)
    for model_id in (*record.model_inputs, *(one.model_id for one in record.model_outputs)):
        check_run_id(model_id)
    for series in record.metrics:
        check_key(series.key, "metrics.key")
        if not len(series.steps) == len(series.at_us) == len(series.values):
            raise Invalid(f"The columns of the metric {series.key!r} differ in length.", field="metrics")


def columns(metrics: Iterable[Series]) -> PointColumns:
    """Return the points of several metrics as the store takes them."""
    keys: list[str] = []
    values: list[float] = []
    at_us: list[int] = []
    steps: list[int] = []
    for series in metrics:
        keys += [series.key] * len(series.steps)
        values += [float(value) for value in series.values]
        at_us += series.at_us
        steps += series.steps
    return PointColumns(keys, values, at_us, steps)


def told(values: Iterable[float]) -> list[Value]:
    """Return values for JSON, which has no NaN and no infinities."""
    return [value if value - value == 0 else _name(value) for value in values]


def _name(value: float) -> Value:
    if value != value:  # noqa: PLR0124 - only NaN differs from itself
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def tags_of(record: RunRecord) -> dict[str, str]:
    """Return a run's tags, with its name among them where the record says one."""
    return {NAME_TAG: record.name, **record.tags} if record.name else dict(record.tags)


def use_of(one: DatasetInput) -> DatasetUse:
    fields: dict[str, Any] = msgspec.structs.asdict(one.dataset)
    return DatasetUse(**fields, tags=one.tags)
