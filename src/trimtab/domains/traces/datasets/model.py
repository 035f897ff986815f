"""What an evaluation data set and a record of it are, and the rules by which records merge."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from trimtab.kernel.errors import Invalid

SourceType = Literal["UNSPECIFIED", "TRACE", "HUMAN", "DOCUMENT", "CODE"]
SOURCE_TYPES: tuple[SourceType, ...] = ("UNSPECIFIED", "TRACE", "HUMAN", "DOCUMENT", "CODE")

USER_TAG = "mlflow.user"
MOST_NAME = 255
MOST_KEY = 255
MOST_TAG = 5000
MOST_RECORDS = 10_000
_PARTS = ("inputs", "outputs", "expectations")


class EvaluationDataset(msgspec.Struct, frozen=True):
    """Inputs with the answers that are expected of them. ``schema`` and ``profile`` are JSON text, once there are records."""

    id: str
    name: str
    schema: str | None
    profile: str | None
    digest: str
    created_us: int
    updated_us: int
    created_by: str | None
    updated_by: str | None
    tags: dict[str, str] = {}
    experiment_ids: list[str] = []


class Record(msgspec.Struct, frozen=True):
    """One input, unique in its data set, with what was and what should be answered."""

    id: str
    dataset_id: str
    inputs: dict[str, Any]
    outputs: Any
    expectations: dict[str, Any] | None
    tags: dict[str, str]
    source: dict[str, Any] | None
    source_id: str | None
    source_type: str | None
    created_us: int
    updated_us: int
    created_by: str | None
    updated_by: str | None


class Given(msgspec.Struct, frozen=True):
    """A record as a client sends it."""

    inputs: dict[str, Any]
    outputs: Any
    has_outputs: bool
    expectations: dict[str, Any] | None
    tags: dict[str, str]
    source: dict[str, Any] | None

    @property
    def hash(self) -> str:
        """What makes the record the same as another: its inputs."""
        return hashlib.sha256(json.dumps(self.inputs, sort_keys=True).encode()).hexdigest()


def read_record(value: Any, index: int) -> Given:
    """Return a record from JSON; raises Invalid that names it."""
    if not isinstance(value, dict):
        raise Invalid(f"records[{index}] is no JSON object.", field="records")

    def objects(key: str) -> dict[str, Any]:
        part = value.get(key)
        if part is not None and not isinstance(part, dict):
            raise Invalid(f"{key} of records[{index}] is no JSON object.", field="records")
        return part or {}

    return Given(
        inputs=objects("inputs"),
        outputs=value.get("outputs", {}),
        has_outputs="outputs" in value,
        expectations=objects("expectations") or value.get("expectations"),
        tags={key: one if isinstance(one, str) else json.dumps(one) for key, one in objects("tags").items()},
        source=_source(objects("source"), index),
    )


def _source(source: Mapping[str, Any], index: int) -> dict[str, Any] | None:
    if not source:
        return None
    unknown = sorted(set(source) - {"source_type", "source_data"})
    kind = str(source.get("source_type", "")).upper()
    if unknown or kind not in SOURCE_TYPES:
        raise Invalid(
            f"Invalid dataset record source type: {kind}. Valid source types: {list(SOURCE_TYPES)}"
            if not unknown
            else f"The source of records[{index}] has unknown fields {unknown}.",
            field="records",
        )
    data = source.get("source_data") or {}
    if not isinstance(data, dict):
        raise Invalid(f"source_data of records[{index}] is no JSON object.", field="records")
    return {"source_type": kind, "source_data": data}


def source_id(source: Mapping[str, Any] | None) -> str | None:
    """Return what a source is called where it names itself."""
    if not source:
        return None
    named = source["source_data"].get("trace_id" if source["source_type"] == "TRACE" else "source_id")
    return named if isinstance(named, str) else None


def merged(before: Record, given: Given, *, now_us: int) -> Record:
    """Return a record after the same inputs came again: answers are replaced, expectations and tags merged."""
    return msgspec.structs.replace(
        before,
        outputs=given.outputs if given.has_outputs else before.outputs,
        expectations={**(before.expectations or {}), **given.expectations}
        if given.expectations
        else before.expectations,
        tags={**before.tags, **given.tags},
        updated_us=now_us,
        updated_by=given.tags.get(USER_TAG, before.updated_by),
    )


def grown_schema(schema: str | None, records: Sequence[Given]) -> str | None:
    """Return the schema with the fields of further records; a field keeps the type in which it came first."""
    if not records and not schema:
        return None
    known: dict[str, Any] = (
        json.loads(schema) if schema else {"inputs": {}, "outputs": {}, "expectations": {}, "version": "1.0"}
    )
    for record in records:
        for part in _PARTS:
            value = getattr(record, part)
            if part == "outputs" and (not record.has_outputs or value is None):
                continue
            if isinstance(value, dict):
                if isinstance(known[part], dict):
                    known[part] = {key: _kind(one) for key, one in value.items()} | known[part]
            elif value is not None and not known[part]:
                known[part] = _kind(value)
    return json.dumps(known)


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "float"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def digest(name: str, at_us: int) -> str:
    """Return eight digits that change with every change."""
    return hashlib.sha256(f"{name}:{at_us // 1000}".encode()).hexdigest()[:8]


def check_name(name: str) -> str:
    """Return the name; raises Invalid for one that is missing or too long."""
    if not name or len(name) > MOST_NAME:
        raise Invalid(f"A data set needs a name of at most {MOST_NAME} characters.", field="name")
    return name


def check_tags(tags: Mapping[str, Any]) -> dict[str, str]:
    """Return tags as text, without those that are null; raises Invalid for one that is too long."""
    checked = {key: str(value) for key, value in tags.items() if value is not None}
    for key, value in checked.items():
        if not key or len(key) > MOST_KEY or len(value) > MOST_TAG or "\x00" in key + value:
            raise Invalid(
                f"A tag has a key of at most {MOST_KEY} and a value of at most {MOST_TAG} characters.",
                field="tags",
            )
    return checked
