"""Values between steps as the platform sees them: a type, a digest, and where the bytes are; never the object itself."""

from collections.abc import Iterator
from typing import Any, Literal

import msgspec
from blake3 import blake3

from trimtab.infra.blobs import Blobs
from trimtab.kernel.errors import Invalid, did_you_mean

INLINE_MOST_BYTES = 8192
_LINKED = ("data:", "model:", "run:", "endpoint:")

ValueType = Literal[
    "json", "bytes", "date", "datetime", "path", "file", "folder", "arrow", "pandas", "polars", "numpy", "pickle",
    "dict", "list", "tuple",
]  # fmt: skip
Key = str | int


class Value(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a step took or returned.

    ``digest`` names the content: equal digests mean equal values. Small values carry their text in ``inline`` (JSON,
    ISO 8601, a path), larger ones are a ``blob``. ``items`` or ``fields`` hold the parts of a list, tuple or dict
    whose parts are stored one by one.
    """

    type: ValueType
    digest: str
    size_bytes: int = 0
    inline: str | None = None
    blob: str | None = None
    name: str | None = None
    items: list["Value"] | None = None
    fields: dict[str, "Value"] | None = None


class FolderEntry(msgspec.Struct, frozen=True, array_like=True):
    """A file of a stored folder; the folder's blob is a JSON list of these."""

    path: str
    blob: str
    size_bytes: int
    executable: bool


class Constant(msgspec.Struct, frozen=True, tag="value"):
    """A value that was known when the graph was built."""

    value: Value


class Reference(msgspec.Struct, frozen=True, tag="result"):
    """The result of a step, or the part of it at a path of keys."""

    step: str
    path: list[Key] = []


class Listed(msgspec.Struct, frozen=True, tag="list"):
    """A list or tuple that has references in it."""

    items: list["Argument"]
    is_tuple: bool = False


class Mapped(msgspec.Struct, frozen=True, tag="dict"):
    """A dict that has references in it."""

    fields: dict[str, "Argument"]


class Given(msgspec.Struct, frozen=True, tag="given"):
    """A reference that was followed: the value, and the keys that can only be followed once it is loaded."""

    value: Value
    path: list[Key] = []


Argument = Constant | Reference | Given | Listed | Mapped


def blobs_of(value: Value, blobs: Blobs) -> Iterator[str]:
    """Yield every blob that a value needs, with the files of stored folders."""
    if value.blob is not None:
        yield value.blob
        if value.type == "folder" and blobs.exists(value.blob):
            with blobs.open(value.blob) as stream:
                for entry in msgspec.json.decode(stream.read(), type=list[FolderEntry]):
                    yield entry.blob
    for part in (*(value.items or ()), *(value.fields or {}).values()):
        yield from blobs_of(part, blobs)


def digest_of(kind: str, *parts: bytes | str) -> str:
    """Return 64 hexadecimal digits over a kind and parts, each with its length."""
    digest = blake3(kind.encode())
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8, "big"))
        digest.update(raw)
    return digest.hexdigest()


def json_value(value: Any) -> Value:
    """Return the inline value of something that JSON holds exactly."""
    raw = msgspec.json.encode(value)
    return Value("json", digest_of("json", raw), len(raw), inline=raw.decode())


def composite(kind: Literal["dict", "list", "tuple"], parts: list[Value] | dict[str, Value]) -> Value:
    """Return the value of a container whose parts are values."""
    if isinstance(parts, dict):
        digest = digest_of(kind, *[piece for key, part in parts.items() for piece in (key, part.digest)])
        return Value(kind, digest, sum(part.size_bytes for part in parts.values()), fields=parts)
    digest = digest_of(kind, *[part.digest for part in parts])
    return Value(kind, digest, sum(part.size_bytes for part in parts), items=parts)


def select(value: Value, path: list[Key], *, step: str) -> Given:
    """Follow keys into a value as far as that is possible without loading it; raises Invalid for a missing one."""
    rest = list(path)
    while rest:
        key = rest[0]
        if value.fields is not None:
            value = _of_fields(value.fields, key, step)
        elif value.items is not None:
            value = _of_items(value.items, key, step)
        elif value.type == "json" and value.inline is not None:
            value = _of_json(value.inline, key, step)
        else:
            break
        rest.pop(0)
    return Given(value, rest)


def _of_fields(fields: dict[str, Value], key: Key, step: str) -> Value:
    if key not in fields:
        raise _missing(key, list(fields), step)
    return fields[str(key)]


def _of_items(items: list[Value], key: Key, step: str) -> Value:
    if not isinstance(key, int) or not -len(items) <= key < len(items):
        raise _missing(key, [], step)
    return items[key]


def _of_json(inline: str, key: Key, step: str) -> Value:
    whole = msgspec.json.decode(inline)
    if isinstance(whole, dict) and key in whole:
        return json_value(whole[key])
    if isinstance(whole, list) and isinstance(key, int) and -len(whole) <= key < len(whole):
        return json_value(whole[key])
    raise _missing(key, list(whole) if isinstance(whole, dict) else [], step)


def _missing(key: Key, known: list[str], step: str) -> Invalid:
    return Invalid(f"Step {step!r} returned no part {key!r}.{did_you_mean(str(key), known)}")


def show(value: Value) -> Any:
    """Return a value for people and events: itself where it is small JSON, else its type, size and blob."""
    if value.type in ("json", "date", "datetime", "path") and value.inline is not None:
        return msgspec.json.decode(value.inline) if value.type == "json" else value.inline
    if value.fields is not None:
        return {key: show(part) for key, part in value.fields.items()}
    if value.items is not None:
        return [show(part) for part in value.items]
    described: dict[str, Any] = {"type": value.type, "size_bytes": value.size_bytes, "blob": value.blob}
    if value.name is not None:
        described["name"] = value.name
    return described


def refs_in(value: Any) -> list[str]:
    """Return the references to data, models, runs and endpoints among the texts of a JSON value, each once."""
    found: dict[str, None] = {}
    waiting: list[Any] = [value]
    while waiting:
        part = waiting.pop()
        if (
            isinstance(part, str)
            and part.startswith(_LINKED)
            and len(part) < 300
            and not any(map(str.isspace, part))
        ):
            found[part] = None
        elif isinstance(part, dict):
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
    return sorted(found)
