"""Two runs side by side: what a reproduction gave beside the original, and whether its metrics are the same."""

import hashlib
import math
from collections.abc import Iterator
from typing import Any, Literal, get_args

import msgspec

from trimtab.kernel.errors import TrimtabError
from trimtab.sdk import capture as captures
from trimtab.sdk.capture import Capture
from trimtab.sdk.client import Client

Kind = Literal["status", "metric", "parameter", "data", "file", "code", "seed", "environment"]
_MOST_POINTS = 10_000
_MOST_COMPARED_BYTES = 64 << 20


class Difference(msgspec.Struct, frozen=True):
    """One thing that both runs have or one lacks (None). ``same`` is None where it could not be compared."""

    kind: Kind
    name: str
    original: Any
    again: Any
    same: bool | None
    note: str = ""


class Tolerance(msgspec.Struct, frozen=True):
    """Two values are the same within ``absolute + relative * |original|``."""

    relative: float = 1e-6
    absolute: float = 0.0

    def holds(self, original: float | None, again: float | None) -> bool:
        if original is None or again is None:  # not finite
            return original == again
        return math.isclose(
            again, original, rel_tol=0.0, abs_tol=self.absolute + self.relative * abs(original)
        )


def compare(client: Client, original_id: str, again_id: str, *, tolerance: Tolerance) -> list[Difference]:
    """Return every thing of both runs, those that differ first within each kind."""
    original, again = client.get(f"/runs/{original_id}"), client.get(f"/runs/{again_id}")
    first, second = capture_of(client, original_id), capture_of(client, again_id)
    found = [
        Difference(
            "status", "status", original["status"], again["status"], original["status"] == again["status"]
        ),
        *_metrics(client, original, again, tolerance),
        *_values("parameter", original["params"], again["params"]),
        *_values("data", _data(original), _data(again)),
        *_files(client, original_id, again_id),
    ]
    if first is not None and second is not None:
        found += _captured(first, second)
    kinds = get_args(Kind)
    return sorted(found, key=lambda one: (kinds.index(one.kind), one.same is True, one.name))


def capture_of(client: Client, run_id: str) -> Capture | None:
    """Return what was captured when a run was started; None where nothing was."""
    content = read_file(client, run_id, captures.CAPTURE_FILE)
    return captures.decode(content) if content is not None else None


def read_file(client: Client, run_id: str, name: str) -> bytes | None:
    """Return a file that was captured with a run; None where there is none."""
    try:
        return b"".join(client.download(f"/runs/{run_id}/artifacts/{captures.FOLDER}/{name}"))
    except TrimtabError as error:
        if error.kind == "not-found":
            return None
        raise


def files_of(client: Client, run_id: str, folder: str = "") -> Iterator[dict[str, Any]]:
    """Yield every file among a run's artifacts."""
    for one in client.get(f"/runs/{run_id}/artifacts", path=folder)["items"]:
        if one["is_dir"]:
            yield from files_of(client, run_id, one["path"])
        else:
            yield one


def _metrics(
    client: Client, original: dict[str, Any], again: dict[str, Any], tolerance: Tolerance
) -> Iterator[Difference]:
    first, second = original["metrics"], again["metrics"]
    for key in first.keys() | second.keys():
        if key.startswith("system/"):
            continue
        if key not in first or key not in second:
            one, other = first.get(key), second.get(key)
            yield Difference(
                "metric", key, one and one["value"], other and other["value"], same=False, note="only in one"
            )
            continue
        a, b = first[key], second[key]
        where = _first_apart(client, original["id"], again["id"], key, tolerance)
        same = where is None and tolerance.holds(a["value"], b["value"])
        yield Difference("metric", key, a["value"], b["value"], same=same, note=where or "")


def _first_apart(
    client: Client, original_id: str, again_id: str, key: str, tolerance: Tolerance
) -> str | None:
    """Say where two curves part; None where they are the same throughout."""
    first, second = (
        client.get(f"/runs/{run_id}/metrics/{key}", points=_MOST_POINTS) for run_id in (original_id, again_id)
    )
    if first["total"] != second["total"]:
        return f"{first['total']} and {second['total']} points"
    if first["downsampled"]:
        return None  # which points are shown depends on the values; the last ones are compared
    for (step, _, a), (other_step, _, b) in zip(first["points"], second["points"], strict=True):
        if step != other_step or not tolerance.holds(a, b):
            return f"from step {step} on"
    return None


def _values(kind: Kind, first: dict[str, Any], second: dict[str, Any]) -> Iterator[Difference]:
    for name in first.keys() | second.keys():
        a, b = first.get(name), second.get(name)
        yield Difference(kind, name, a, b, same=a == b)


def _data(run: dict[str, Any]) -> dict[str, str]:
    return {f"{one['name']} ({one['context'] or 'input'})": one["source"] for one in run["datasets"]}


def _files(client: Client, original_id: str, again_id: str) -> Iterator[Difference]:
    first, second = (
        {
            one["path"]: one["size_bytes"]
            for one in files_of(client, run_id)
            if not one["path"].startswith(f"{captures.FOLDER}/")
        }
        for run_id in (original_id, again_id)
    )
    budget = _MOST_COMPARED_BYTES
    for path in sorted(first.keys() | second.keys()):
        a, b = first.get(path), second.get(path)
        if a is None or b is None or a != b:
            yield Difference("file", path, a, b, same=False, note="bytes")
        elif a > budget:
            yield Difference("file", path, a, b, same=None, note="of the same size, too large to compare")
        else:
            budget -= a
            same = _digest(client, original_id, path) == _digest(client, again_id, path)
            yield Difference(
                "file", path, a, b, same=same, note="" if same else "of the same size, other bytes"
            )


def _digest(client: Client, run_id: str, path: str) -> bytes:
    digest = hashlib.sha256()
    for piece in client.download(f"/runs/{run_id}/artifacts/{path}"):
        digest.update(piece)
    return digest.digest()


def _captured(first: Capture, second: Capture) -> Iterator[Difference]:
    if first.code is not None or second.code is not None:
        a, b = (one.code.commit[:12] if one.code else None for one in (first, second))
        yield Difference("code", "commit", a, b, same=a == b)
        a, b = (", ".join(sorted(one.code.files)) if one.code else "" for one in (first, second))
        yield Difference("code", "changed files", a, b, same=a == b)
    yield from _values("seed", first.seeds, second.seeds)
    yield Difference("environment", "python", first.environment.python, second.environment.python,
                     same=first.environment.python == second.environment.python)  # fmt: skip
    a, b = first.environment.platform, second.environment.platform
    yield Difference("environment", "platform", a, b, same=a == b)
    a, b = first.hardware.get("processor"), second.hardware.get("processor")
    yield Difference("environment", "processor", a, b, same=a == b)
    packages, others = (
        {one.name: one.version for one in each.environment.packages} for each in (first, second)
    )
    yield from _values("environment", packages, others)
