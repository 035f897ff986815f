"""What can be logged to a run, as it lies in the spool: points as JSON that goes to the server as it is, and notes."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from trimtab.kernel.errors import Invalid
from trimtab.sdk.spool import FIELDS, NOTE, POINTS

Status = Literal["FINISHED", "FAILED", "KILLED"]
MOST_KEY = 250
MOST_TEXT = {"params": 6000, "tags": 8000}
_encode = msgspec.json.Encoder().encode


class Point(msgspec.Struct):
    """A value of a metric, under the names of the API."""

    key: str
    value: float | str
    step: int
    at_us: int


class Fields(msgspec.Struct, omit_defaults=True):
    """Parameters and tags."""

    params: dict[str, str] = {}
    tags: dict[str, str] = {}


class File(msgspec.Struct, tag="file"):
    """A copy in the spool, and its path among the artifacts."""

    name: str
    path: str
    size_bytes: int


class Input(msgspec.Struct, tag="input"):
    """A dataset version that went into the run."""

    name: str
    digest: str
    ref: str
    context: str


class Reopen(msgspec.Struct, tag="reopen"):
    """The run goes on."""


class End(msgspec.Struct, tag="end"):
    """The run has ended."""

    status: Status
    at_us: int


Note = File | Input | Reopen | End
Entry = tuple[int, int, bytes]  # kind, count, payload: what the spool takes
_notes = msgspec.json.Decoder(Note)
_fields = msgspec.json.Decoder(Fields)
_points = msgspec.json.Decoder(list[Point])


def number(value: float) -> float | str:
    """Return a number as JSON has it; what is not finite is a word."""
    if value - value == 0.0:
        return value
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"  # noqa: PLR0124 - only NaN does


def point(key: str, value: float, step: int, at_us: int) -> bytes:
    """Return the payload of one point."""
    return _encode(Point(key, value if value - value == 0.0 else number(value), step, at_us))


def points(values: list[tuple[str, float, int]], at_us: int) -> Entry:
    """Return several points of one moment as one entry."""
    listed = [Point(key, number(value), step, at_us) for key, value, step in values]
    return POINTS, len(listed), _encode(listed)[1:-1]


def fields(kind: Literal["params", "tags"], values: Mapping[str, str]) -> Entry:
    return FIELDS, len(values), _encode({kind: dict(values)})


def note(value: Note) -> Entry:
    return NOTE, 1, _encode(value)


def read_note(payload: bytes) -> Note:
    return _notes.decode(payload)


def body(frames: list[Entry]) -> msgspec.Raw:
    """Return the request that logs points and fields; of a parameter the first value counts."""
    listed: list[bytes] = []
    together = Fields({}, {})
    for kind, _, payload in frames:
        if kind == POINTS:
            listed.append(payload)
        else:
            one = _fields.decode(payload)
            together.params = {**one.params, **together.params}
            together.tags |= one.tags
    rest = _encode({"params": together.params, "tags": together.tags})
    return msgspec.Raw(b'{"metrics":[' + b",".join(listed) + b"]," + rest[1:])


def split(frame: Entry) -> list[Entry]:
    """Return the single points or fields of an entry, each by itself."""
    kind, _, payload = frame
    if kind == POINTS:
        return [(POINTS, 1, _encode(one)) for one in _points.decode(b"[" + payload + b"]")]
    one = _fields.decode(payload)
    return [
        *[fields("params", {key: value}) for key, value in one.params.items()],
        *[fields("tags", {key: value}) for key, value in one.tags.items()],
    ]


def name_of(frame: Entry) -> str:
    """Return what to call an entry in a sentence."""
    kind, count, payload = frame
    if kind == POINTS:
        first = _points.decode(b"[" + payload + b"]")[0]
        return f"the metric {first.key[:60]!r}" if count == 1 else f"{count} points"
    one = _fields.decode(payload)
    word, values = ("parameter", one.params) if one.params else ("tag", one.tags)
    return f"the {word} {next(iter(values))[:60]!r}" if count == 1 else f"{count} {word}s"


def check_start(tags: Mapping[str, Any], name: str | None) -> None:
    """Raise Invalid for tags or a name that no server takes."""
    for key, value in tags.items():
        if len(str(key)) > MOST_KEY:
            raise Invalid(
                f"The key of a tag has at most {MOST_KEY} characters: {str(key)[:60]!r}.", field="tags"
            )
        if len(str(value)) > MOST_TEXT["tags"]:
            raise Invalid(f"The tag {key!r} has more than {MOST_TEXT['tags']} characters.", field="tags")
    if name is not None and len(name) > MOST_TEXT["tags"]:
        raise Invalid(f"The name has more than {MOST_TEXT['tags']} characters.", field="name")
