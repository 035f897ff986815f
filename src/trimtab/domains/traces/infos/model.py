"""What a trace is as a whole, and the limits of what it holds."""

import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from trimtab.domains.traces.assessments.model import Assessment
from trimtab.domains.traces.spans.model import CACHE_KEYS, COST_KEYS, USAGE_KEYS, count, dumps, finite
from trimtab.kernel.errors import Invalid

State = Literal["STATE_UNSPECIFIED", "OK", "ERROR", "IN_PROGRESS"]
STATES: tuple[State, ...] = ("STATE_UNSPECIFIED", "OK", "ERROR", "IN_PROGRESS")

NAME_TAG = "mlflow.traceName"
ARTIFACTS_TAG = "mlflow.artifactLocation"
SPANS_TAG = "mlflow.trace.spansLocation"
SPANS_HERE = "TRACKING_STORE"
FIXED_TAGS = frozenset({SPANS_TAG, "mlflow.trace.archiveLocation", "mlflow.trace.archivalFailure"})
CLEARABLE_TAG = "mlflow.trace.archivalFailure"
PROMPTS_TAG = "mlflow.linkedPrompts"

SESSION_KEY = "mlflow.trace.session"
USAGE_KEY = "mlflow.trace.tokenUsage"
COST_KEY = "mlflow.trace.cost"
USER_KEY = "mlflow.trace.user"
RUN_KEY = "mlflow.sourceRun"
SIZE_KEY = "mlflow.trace.sizeStats"
STATED_KEY = "mlflow.trace.infoFinalized"
PROMOTED = (SESSION_KEY, USAGE_KEY, COST_KEY)

COLUMNS_OF: dict[str, dict[str, str]] = {
    USAGE_KEY: dict(
        zip(
            (*USAGE_KEYS, *CACHE_KEYS),
            (
                "input_tokens",
                "output_tokens",
                "total_tokens",
                "cache_read_tokens",
                "cache_write_tokens",
                "cache_write_hour_tokens",
            ),
            strict=True,
        )
    ),
    COST_KEY: {key: key for key in COST_KEYS},
}
"""The columns that hold the entries of two metadata values."""

MOST_ID = 250
MOST_KEY = 250
MOST_NAME = 4096
MOST_SESSION = 250
MOST_TAG = 8000
MOST_METADATA = 8000
SHOWN_TAG = 4096
SHOWN_METADATA = 250
MOST_PREVIEW = 10_000
_KEY = re.compile(r"[/\w.\- :]*")


class Trace(msgspec.Struct, frozen=True):
    """A trace without its spans. ``duration_us`` is None until it is known; ``root`` is the name of its first span.

    ``tags`` hold the name and ``metadata`` the session, the tokens and the cost, as MLflow shows them.
    """

    no: int
    id: str
    experiment_id: str
    request_us: int
    duration_us: int | None
    state: State
    client_request_id: str | None
    request_preview: str | None
    response_preview: str | None
    root: str | None
    tags: dict[str, str]
    metadata: dict[str, str]
    assessments: list[Assessment]

    @property
    def name(self) -> str | None:
        return self.tags.get(NAME_TAG)


class Stated(msgspec.Struct, frozen=True):
    """What a client says of a trace once it has ended."""

    id: str
    experiment_id: str
    request_us: int
    duration_us: int | None
    state: State
    client_request_id: str | None = None
    request_preview: str | None = None
    response_preview: str | None = None
    tags: dict[str, str] = {}
    metadata: dict[str, str] = {}
    assessments: Sequence[Assessment] = ()


def check_stated(stated: Stated) -> Stated:
    """Return it; raises Invalid where a part is too long."""
    if not stated.id:
        raise Invalid("Missing value for required parameter 'trace_id'.", field="trace_id")
    _short("trace_id", stated.id, MOST_ID)
    _short("Session ID", stated.metadata.get(SESSION_KEY), MOST_SESSION)
    _short("Trace name", stated.tags.get(NAME_TAG), MOST_NAME)
    _short("client_request_id", stated.client_request_id, MOST_ID)
    _short("request_preview", stated.request_preview, MOST_PREVIEW)
    _short("response_preview", stated.response_preview, MOST_PREVIEW)
    for key, value in stated.tags.items():
        _short("key", key, MOST_KEY)
        _short("value", value, MOST_TAG)
    for key, value in stated.metadata.items():
        _short("key", key, MOST_KEY)
        _short("value", value, MOST_METADATA)
    return stated


def check_name(name: str | None) -> str | None:
    _short("Trace name", name, MOST_NAME)
    return name


def _short(what: str, text: str | None, most: int) -> None:
    if text is not None and len(text) > most:
        raise Invalid(
            f"'{what}' exceeds the maximum length of {most} characters: '{text[:100]}...'", field=what
        )


def check_tag(key: str, value: str) -> tuple[str, str]:
    """Return a tag, its value cut to what is kept; raises Invalid for a bad key."""
    norm = posixpath.normpath(key) if key else key
    if not key or not _KEY.fullmatch(key) or norm != key or norm == "." or norm.startswith(("..", "/")):
        raise Invalid(
            f"Invalid value {key[:100]!r} for parameter 'key' supplied: Names may only contain alphanumerics, "
            "underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and slashes (/), and must not resolve to "
            "other names when treated as files.",
            field="key",
        )
    _short("key", key, MOST_KEY)
    return key, value[:MOST_TAG]


def promoted_columns(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Return the columns that metadata fill: those of a value that is given, and no others."""
    columns: dict[str, Any] = {}
    if SESSION_KEY in metadata:
        columns["session"] = metadata[SESSION_KEY]
    for key, names in COLUMNS_OF.items():
        if key not in metadata:
            continue
        stated = json_object(metadata[key])
        convert = count if key == USAGE_KEY else finite
        columns |= {names[entry]: convert(stated[entry]) for entry in names if entry in stated}
    return columns


def promoted_metadata(columns: Mapping[str, Any]) -> dict[str, str]:
    """Return the metadata that columns stand for."""
    metadata: dict[str, str] = {}
    if columns["session"] is not None:
        metadata[SESSION_KEY] = columns["session"]
    for key, names in COLUMNS_OF.items():
        stated = {entry: columns[name] for entry, name in names.items() if columns[name] is not None}
        if stated:
            metadata[key] = dumps(stated)
    return metadata


def json_object(text: str) -> dict[str, Any]:
    """Return the JSON object in a text, or an empty one."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def expected_spans(metadata: Mapping[str, str]) -> int:
    """Return how many spans a client says that the trace has; 0 where it does not say."""
    return count(json_object(metadata.get(SIZE_KEY, "")).get("num_spans")) or 0
