"""What a logged model is, and the rules of its names."""

import json
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from trimtab.domains.tracking.experiments.model import State
from trimtab.domains.tracking.names import check_length
from trimtab.kernel.errors import Invalid

Status = Literal["PENDING", "READY", "FAILED"]

VERSIONS_TAG = "mlflow.modelVersions"
_FORBIDDEN = ("/", ":", ".", "%", '"', "'")
_MOST_NAME = 500
_MOST_KEY = 250
_MOST_PARAM = 6000
_MOST_TAG = 8000


class ModelMetric(msgspec.Struct, frozen=True):
    """A metric of a logged model, measured by a run, perhaps on a data set; ``value`` may be NaN or infinite."""

    key: str
    value: float
    at_us: int
    step: int
    run_id: str
    dataset_name: str
    dataset_digest: str


class LoggedModel(msgspec.Struct, frozen=True):
    """A saved model. Its files are there once it is READY."""

    id: str
    experiment_id: str
    name: str
    model_type: str | None
    source_run_id: str | None
    status: Status
    state: State
    artifact_uri: str
    created_us: int
    updated_us: int
    tags: dict[str, str]
    params: dict[str, str]
    metrics: list[ModelMetric]


class DatasetScope(msgspec.Struct, frozen=True):
    """A data set on which metrics must have been measured."""

    name: str
    digest: str | None = None


class ModelOrdering(msgspec.Struct, frozen=True):
    """A column to sort logged models by; for metrics perhaps on one data set."""

    field: str
    ascending: bool = True
    dataset_name: str | None = None
    dataset_digest: str | None = None


def check_name(name: str) -> str:
    """Return the name; raises Invalid when it is empty or holds what names of models may not."""
    if not name or any(mark in name for mark in _FORBIDDEN):
        raise Invalid(
            f"Invalid model name ({name[:100]!r}) provided. Model name must be a non-empty string and cannot contain "
            f"the following characters: {_FORBIDDEN}",
            field="name",
        )
    return check_length(name, _MOST_NAME, "name")


def check_texts(pairs: dict[str, str], what: Literal["params", "tags"]) -> dict[str, str]:
    """Return parameters or tags; raises Invalid for a key that is empty and for what is too long."""
    for key, value in pairs.items():
        if not key:
            raise Invalid(f"A key in {what} is empty.", field=what)
        check_length(key, _MOST_KEY, f"{what}.key")
        check_length(value, _MOST_PARAM if what == "params" else _MOST_TAG, f"{what}.value")
    return pairs


def with_version(known: str | None, name: str, version: int) -> str:
    """Return the tag that lists a model's registered versions with one more, each of them once, as MLflow writes it."""
    return json.dumps(_each_once([*_versions(known or "[]"), {"name": name, "version": version}]))


def without_doubles(tags: Mapping[str, str]) -> dict[str, str]:
    """Return tags with each registered version listed once: clients and servers both write that list."""
    cleaned = dict(tags)
    if VERSIONS_TAG in cleaned and (versions := _versions(cleaned[VERSIONS_TAG])):
        once = _each_once(versions)
        if len(once) < len(versions):
            cleaned[VERSIONS_TAG] = json.dumps(once)
    return cleaned


def _versions(text: str) -> list[Any]:
    try:
        return msgspec.json.decode(text, type=list[Any])
    except msgspec.DecodeError:
        return []


def _each_once(versions: list[Any]) -> list[Any]:
    kept: dict[tuple[str, str], Any] = {}
    for one in versions:
        if not isinstance(one, dict) or "name" not in one or "version" not in one:
            return versions
        kept.setdefault((str(one["name"]), str(one["version"])), one)
    return list(kept.values())
