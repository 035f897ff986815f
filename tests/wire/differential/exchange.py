"""One request with its answer, and recordings of many: scrubbed, one JSON object a line, compressed."""

import base64
import gzip
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

SUFFIX = ".jsonl.gz"
MOST_BYTES = 32_768
REQUEST_HEADERS = ("content-type", "x-mlflow-experiment-id", "x-mlflow-run-id", "range")
ANSWER_HEADERS = ("content-type", "content-disposition", "content-range", "etag", "location")

# Paths and names of the machine on which a recording was made; the same text is put wherever they stood.
_MACHINE = (
    (re.compile(r"(?<![\w./-])/(?:root|home|tmp|var|work|Users|opt|usr)(?:/[\w.@+~-]+)+"), "/somewhere"),
    (re.compile(r"https?://(?:127\.0\.0\.1|localhost|\[::1\]):\d+"), "http://server"),
    (re.compile(r"""(?<=mlflow\.user)(\\?"): (\\?")[^"\\]+"""), r"\1: \2someone"),
)
_PERSONAL = {"mlflow.user": "someone", "mlflow.source.name": "train.py", "mlflow.source.git.commit": "0" * 40}


class Content(msgspec.Struct, omit_defaults=True):
    """The body of a request or an answer: JSON, other text, bytes, or only the size of what was too long to keep."""

    json: Any = None
    text: str | None = None
    base64: str | None = None
    size: int | None = None

    @property
    def raw(self) -> bytes:
        """The bytes to send; as many zeros where they were not kept."""
        if self.base64 is not None:
            return base64.b64decode(self.base64)
        if self.text is not None:
            return self.text.encode()
        return bytes(self.size) if self.size is not None else json.dumps(self.json).encode()


class Exchange(msgspec.Struct, omit_defaults=True):
    """One request and the answer that a server gave."""

    method: str
    path: str
    status: int
    query: list[tuple[str, str]] = []
    headers: dict[str, str] = {}
    body: Content | None = None
    answer_headers: dict[str, str] = {}
    answer: Content | None = None
    about: str = ""


class Recording(msgspec.Struct):
    """Exchanges in their order. ``unique`` is the word in all names that had to be new on the server."""

    name: str
    server: str
    unique: str
    exchanges: list[Exchange]

    def write(self, folder: Path) -> Path:
        """Write the recording as ``<name>.jsonl.gz``."""
        target = folder / f"{self.name}{SUFFIX}"
        head = {"recording": self.name, "server": self.server, "unique": self.unique}
        lines = [msgspec.json.encode(head), *(msgspec.json.encode(one) for one in self.exchanges)]
        target.write_bytes(gzip.compress(b"\n".join(lines) + b"\n", mtime=0))
        return target


def read(path: Path) -> Recording:
    """Return the recording in a file."""
    head, *lines = gzip.decompress(path.read_bytes()).split(b"\n")
    about = msgspec.json.decode(head)
    exchanges = [msgspec.json.decode(line, type=Exchange) for line in lines if line]
    return Recording(about["recording"], about["server"], about["unique"], exchanges)


def content_of(raw: bytes, kind: str | None, *, clean: Callable[[Any], Any]) -> Content | None:
    """Return a body as a recording keeps it; ``clean`` takes out what tells of the machine."""
    if not raw:
        return None
    if kind is None or "json" in kind:
        try:
            return Content(json=clean(json.loads(raw, parse_constant=_refuse)))
        except ValueError:
            pass
    if len(raw) > MOST_BYTES:
        return Content(size=len(raw))
    try:
        return Content(text=clean(raw.decode()))
    except UnicodeDecodeError:
        return Content(base64=base64.b64encode(raw).decode())


def scrub(value: Any) -> Any:
    """Return a JSON value without the paths, users and commits of the machine."""
    if isinstance(value, str):
        for pattern, instead in _MACHINE:
            value = pattern.sub(instead, value)
        return value
    if isinstance(value, list):
        return [scrub(one) for one in value]
    if not isinstance(value, dict):
        return value
    if (instead := _PERSONAL.get(value.get("key", ""))) and isinstance(value.get("value"), str):
        return {**value, "value": instead}
    return {
        key: "someone" if key in ("user_id", "created_by", "last_updated_by") and one else scrub(one)
        for key, one in value.items()
    }


def scrub_messages(value: Any) -> Any:
    """Return an answer without the paths of the machine in its error message, everything else as it is."""
    if isinstance(value, dict) and "error_code" in value:
        return {**value, "message": scrub(value.get("message", ""))}
    return value


def untouched(value: Any) -> Any:
    """Return the value as it is."""
    return value


def kept(headers: Sequence[tuple[str, str]], names: Sequence[str]) -> dict[str, str]:
    """Return the headers that a recording keeps, by their names in lower case."""
    return {key.lower(): value for key, value in headers if key.lower() in names}


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
