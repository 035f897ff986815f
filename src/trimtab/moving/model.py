"""What is moved: experiments, runs, models and files as values, and the report of what became of them."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

_KEY = re.compile(r"[/\w.\- :]{1,250}")
_NOT_IN_KEYS = re.compile(r"[^/\w.\- :]")
_DIGITS = re.compile(r"-?\d{1,18}")
MOST_TEXT = 1_000_000
MOST_US = 2**63 - 1

Status = Literal["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"]
STATUSES: dict[int, Status] = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
MODEL_STATUSES = {0: "PENDING", 1: "PENDING", 2: "READY", 3: "FAILED"}


class Series(msgspec.Struct):
    """Points of one metric side by side: three lists of one length."""

    key: str
    steps: list[int] = []
    at_us: list[int] = []
    values: list[Any] = []


class DatasetUse(msgspec.Struct):
    name: str
    digest: str
    source_type: str = ""
    source: str = ""
    schema: str | None = None
    profile: str | None = None
    tags: dict[str, str] = {}


class ModelUse(msgspec.Struct):
    model_id: str
    step: int = 0


class RunRecord(msgspec.Struct):
    """A run as the server takes it; ``experiment_id`` is the server's and comes last."""

    id: str
    name: str
    status: Status
    started_us: int
    ended_us: int | None = None
    owner: str = ""
    artifact_uri: str | None = None
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    metrics: list[Series] = []
    datasets: list[DatasetUse] = []
    model_inputs: list[str] = []
    model_outputs: list[ModelUse] = []
    experiment_id: str = ""

    @property
    def points(self) -> int:
        return sum(len(series.steps) for series in self.metrics)


class ModelMetric(msgspec.Struct):
    key: str
    value: Any
    at_us: int
    step: int = 0
    run_id: str = ""
    dataset_name: str = ""
    dataset_digest: str = ""


class LoggedModelRecord(msgspec.Struct):
    """A logged model as the server takes it."""

    id: str
    name: str
    status: str
    created_us: int
    updated_us: int
    model_type: str | None = None
    source_run_id: str | None = None
    artifact_uri: str | None = None
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    metrics: list[ModelMetric] = []
    experiment_id: str = ""


class File(msgspec.Struct):
    """An artifact: its path below its owner's folder, and its bytes in a local file or from a stream."""

    path: str
    size_bytes: int
    local: Path | None = None
    pieces: Callable[[], Iterator[bytes]] | None = None


class Experiment(msgspec.Struct):
    """An experiment where it comes from. ``artifact_location`` is set only where files stay in a store of their own."""

    id: str
    name: str
    tags: dict[str, str] = {}
    created_us: int | None = None
    updated_us: int | None = None
    artifact_location: str | None = None
    deleted: bool = False
    place: Any = None


class Stub(msgspec.Struct):
    """A run or a logged model before it is read. The fingerprint changes whenever the thing does."""

    id: str
    fingerprint: str
    deleted: bool = False
    points: int = 0
    place: Any = None


class Loaded(msgspec.Struct):
    """A run or a logged model with its files. ``complete`` is False where something of it could not be read."""

    stub: Stub
    record: RunRecord | LoggedModelRecord
    files: Callable[[], Iterator[File]]
    complete: bool = True


class Version(msgspec.Struct):
    """A registered version; ``source`` names a run's or a logged model's files in the new home."""

    version: int
    source: str
    created_us: int
    updated_us: int
    stage: str = "None"
    description: str = ""
    run_id: str | None = None
    run_link: str | None = None
    model_id: str | None = None
    tags: dict[str, str] = {}


class RegisteredModel(msgspec.Struct):
    name: str
    description: str = ""
    created_us: int = 0
    updated_us: int = 0
    tags: dict[str, str] = {}
    aliases: dict[str, int] = {}
    versions: list[Version] = []


class Problem(msgspec.Struct, frozen=True):
    """Something that did not come over: where it is, what is wrong, and what can be done."""

    where: str
    what: str
    advice: str = ""


class Unreadable(ValueError):
    """A file of a foreign store that is not what it should be; the message says what is wrong."""


class Report(msgspec.Struct):
    """What an import did, or with ``dry_run`` would do. Runs that are complete here already are ``unchanged``."""

    origin: str
    dry_run: bool = False
    experiments: list[dict[str, Any]] = []
    runs: dict[str, int] = msgspec.field(
        default_factory=lambda: dict.fromkeys(("created", "updated", "unchanged", "refused", "failed"), 0)
    )
    points: int = 0
    logged_models: dict[str, int] = msgspec.field(
        default_factory=lambda: dict.fromkeys(("created", "updated", "unchanged", "refused", "failed"), 0)
    )
    models: int = 0
    versions: int = 0
    files: int = 0
    bytes: int = 0
    seconds: float = 0.0
    problems: list[Problem] = []
    notes: list[str] = []

    @property
    def ok(self) -> bool:
        return not self.problems


class ExportReport(msgspec.Struct):
    """What was written, and what could not be."""

    format: str
    folder: str
    runs: int = 0
    points: int = 0
    files: int = 0
    bytes: int = 0
    written: list[str] = []
    problems: list[Problem] = []


Tell = Callable[[Problem], None]


def check_key(key: str, where: str, tell: Tell) -> bool:
    """Tell whether a name is one that a metric or parameter may have; one that is not is reported."""
    parts = key.split("/")
    if _KEY.fullmatch(key) and not any(part in ("", ".", "..") for part in parts):
        return True
    tell(Problem(where, f"the name {key[:100]!r} cannot be kept", "rename it where it comes from"))
    return False


def tidy_key(key: str) -> str:
    """Return the nearest name that a metric or parameter may have: other signs become underscores.

    >>> tidy_key("loss (train)"), tidy_key("/a//b/../c"), tidy_key("")
    ('loss _train_', 'a/b/_/c', '_')
    """
    parts = [part if part not in (".", "..") else "_" for part in _NOT_IN_KEYS.sub("_", key).split("/")]
    return "/".join(part for part in parts if part)[:250].rstrip("/") or "_"


def whole(value: Any, where: str) -> int:
    """Return a whole number from YAML, JSON or a database; raises Unreadable."""
    if isinstance(value, bool) or value is None:
        raise Unreadable(f"{where} is no whole number")
    if isinstance(value, float) and not value.is_integer():
        raise Unreadable(f"{where} is no whole number")
    if not (isinstance(value, int | float) or (isinstance(value, str) and _DIGITS.fullmatch(value))):
        raise Unreadable(f"{where} is no whole number")
    number = int(value)
    if not -(2**63) <= number < 2**63:
        raise Unreadable(f"{where} is out of range")
    return number


def micros(value: Any, where: str) -> int:
    """Return a time in milliseconds as microseconds; raises Unreadable."""
    number = whole(value, where) * 1000
    if not 0 <= number <= MOST_US:
        raise Unreadable(f"{where} is no time")
    return number


def told(values: Sequence[float]) -> list[Any]:
    """Return numbers for JSON, which has no NaN and no infinities."""
    return [value if value - value == 0 else _named(value) for value in values]


def _named(value: float) -> str:
    if value != value:  # noqa: PLR0124 - only NaN differs from itself
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def heard(values: Sequence[Any]) -> list[float]:
    """Return numbers that came in JSON."""
    return [float(value) for value in values]
