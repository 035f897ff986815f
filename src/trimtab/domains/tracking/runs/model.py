"""What a run is, and the rules of what may be logged to one."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec

from trimtab.domains.tracking.errors import ParameterChanged
from trimtab.domains.tracking.experiments.model import State
from trimtab.domains.tracking.metrics.model import Latest
from trimtab.domains.tracking.names import MOST_KEY, MOST_PARAM, MOST_TAG, check_key, check_length
from trimtab.kernel.errors import Invalid

Status = Literal["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"]
STATUSES: tuple[Status, ...] = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
ENDED: frozenset[Status] = frozenset({"FINISHED", "FAILED", "KILLED"})
NAME_TAG = "mlflow.runName"
PIPELINE_RUN_TAG = "trimtab.pipeline_run"  # set by the SDK inside a pipeline's step
REPRODUCES_TAG = "trimtab.reproduces"  # the run that this one repeats
CONTEXT_TAG = "mlflow.data.context"
SOURCE_TAGS = {
    "name": "mlflow.source.name",
    "type": "mlflow.source.type",
    "commit": "mlflow.source.git.commit",
    "branch": "mlflow.source.git.branch",
    "repository": "mlflow.source.git.repoURL",
}
_MOST_DATASET_NAME = 500
_MOST_DATASET_DIGEST = 36
_MOST_DATASET_SOURCE = 65_535
_MOST_DATASET_SCHEMA = 1_048_575
_MOST_DATASET_PROFILE = 16_777_215
_MOST_INPUT_TAG_KEY = 255
_MOST_INPUT_TAG_VALUE = 500


class Dataset(msgspec.Struct, frozen=True):
    """A data set as the caller's library describes it; schema and profile are JSON texts."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None = None
    profile: str | None = None


class DatasetInput(msgspec.Struct, frozen=True):
    """A data set that went into a run, and what it was used for."""

    dataset: Dataset
    tags: dict[str, str]

    @property
    def context(self) -> str | None:
        """What the data was used for, such as ``training``."""
        return self.tags.get(CONTEXT_TAG)


class ModelOutput(msgspec.Struct, frozen=True):
    """A logged model that came out of a run at a step."""

    model_id: str
    step: int = 0


class RunHead(msgspec.Struct, frozen=True):
    """A run without what was logged to it. ``no`` is its number in the tables."""

    no: int
    id: str
    experiment_id: str
    name: str
    status: Status
    started_us: int
    ended_us: int | None
    owner: str
    state: State
    artifact_uri: str


class Run(msgspec.Struct, frozen=True):
    """One training with everything that was logged to it, of metrics the latest values."""

    head: RunHead
    metrics: dict[str, Latest]
    params: dict[str, str]
    tags: dict[str, str]
    datasets: list[DatasetInput]
    model_inputs: list[str]
    model_outputs: list[ModelOutput]

    @property
    def id(self) -> str:
        return self.head.id

    @property
    def source(self) -> dict[str, str]:
        """Where the code came from, as far as the client said."""
        return {name: self.tags[tag] for name, tag in SOURCE_TAGS.items() if tag in self.tags}


def check_params(params: Sequence[tuple[str, str]], *, path: str = "params") -> dict[str, str]:
    """Return the parameters; raises Invalid for a bad one and for a key given twice."""
    checked: dict[str, str] = {}
    twice: list[str] = []
    for index, (key, value) in enumerate(params):
        field = f"{path}[{index}]" if len(params) > 1 else ""
        check_key(key, f"{field}.key" if field else "key")
        check_length(value, MOST_PARAM, "Param value")
        if key in checked:
            twice.append(key)
        checked[key] = value
    if twice:
        raise Invalid(
            f"Duplicate parameter keys have been submitted: {twice}. Please ensure "
            "the request contains only one param value per param key.",
            field="params",
        )
    return checked


def check_tags(tags: Iterable[tuple[str, str]], *, any_key: bool = False) -> dict[str, str]:
    """Return the tags, the last of each key; raises Invalid for a bad one.

    ``any_key`` takes keys that could not be names of files, as MLflow does when a run is made.
    """
    checked: dict[str, str] = {}
    for index, (key, value) in enumerate(tags):
        if any_key:
            check_length(key, MOST_KEY, f"tags[{index}].key")
        else:
            check_key(key, f"tags[{index}].key")
        checked[key] = check_length(value, MOST_TAG, f"tags[{index}].value")
    return checked


def check_unchanged(known: dict[str, str], given: dict[str, str], run_id: str) -> None:
    """Raise ParameterChanged where a parameter has another value already."""
    changed = [
        {"key": key, "old_value": known[key], "new_value": value}
        for key, value in given.items()
        if key in known and known[key] != value
    ]
    if not changed:
        return
    if len(given) == 1:
        one = changed[0]
        raise ParameterChanged(
            f"Changing param values is not allowed. Param with key='{one['key']}' was already logged with "
            f"value='{one['old_value']}' for run ID='{run_id}'. Attempted logging new value '{one['new_value']}'.",
            field="params",
        )
    raise ParameterChanged(
        f"Changing param values is not allowed. Params were already logged='{changed}' for run ID='{run_id}'.",
        field="params",
    )


def check_inputs(inputs: Sequence[DatasetInput]) -> list[DatasetInput]:
    """Return the inputs, the first of each name and digest; raises Invalid for a bad one."""
    kept: dict[tuple[str, str], DatasetInput] = {}
    for one in inputs:
        dataset = one.dataset
        check_length(dataset.name, _MOST_DATASET_NAME, "name")
        check_length(dataset.digest, _MOST_DATASET_DIGEST, "digest")
        check_length(dataset.source, _MOST_DATASET_SOURCE, "source")
        check_length(dataset.schema or "", _MOST_DATASET_SCHEMA, "schema")
        check_length(dataset.profile or "", _MOST_DATASET_PROFILE, "profile")
        for key, value in one.tags.items():
            check_length(key, _MOST_INPUT_TAG_KEY, "key")
            check_length(value, _MOST_INPUT_TAG_VALUE, "value")
        kept.setdefault((dataset.name, dataset.digest), one)
    return list(kept.values())


def choose_name(name: str | None, tags: dict[str, str]) -> str | None:
    """Return the name that a new run was given as a field or a tag; raises Invalid where the two differ."""
    tagged = tags.get(NAME_TAG)
    if name and tagged and name != tagged:
        raise Invalid(
            "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values "
            f"(run_name='{name[:MOST_KEY]}', mlflow.runName='{tagged[:MOST_KEY]}').",
            field="run_name",
        )
    return name or tagged or None


def summary(head: RunHead) -> dict[str, Any]:
    """Return what the audit trail keeps of a run."""
    return {"name": head.name, "experiment": head.experiment_id}
