"""Names the fields in which two answers to one request differ, leaving out what no two servers share."""

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from tests.wire.differential.accepted import ACCEPTED, Accepted
from tests.wire.differential.exchange import Exchange

# Times that the server takes from its own clock, and tokens whose inside is its own.
_OWN = (
    "creation_time",
    "last_update_time",
    "creation_timestamp",
    "last_updated_timestamp",
    "creation_timestamp_ms",
    "last_updated_timestamp_ms",
    "create_time",
    "created_time",
    "next_page_token",
)
# Lists which are sets: the order in which MLflow's server gives them is that of its tables.
_SETS: dict[str, Callable[[Any], Any]] = {
    "tags": lambda one: str(one.get("key")),
    "params": lambda one: str(one.get("key")),
    "aliases": lambda one: str(one.get("alias")),
    "dataset_inputs": lambda one: (one["dataset"].get("name"), one["dataset"].get("digest")),
    "model_inputs": str,
    "model_outputs": str,
    "dataset_summaries": lambda one: str(sorted(one.items())),
}


class Difference(msgspec.Struct):
    """One field of one answer. ``accepted`` says why the difference may stay."""

    request: str
    field: str
    expected: Any
    found: Any
    accepted: str | None = None

    def __str__(self) -> str:
        why = f"; accepted: {self.accepted}" if self.accepted else ""
        return f"{self.field}: {_short(self.expected)} was expected, {_short(self.found)} found{why}"


def differences(expected: Exchange, found: Exchange, *, messages: bool = False) -> list[Difference]:
    """Return where the second answer differs from the first; ``messages`` compares the words of errors too."""
    found_here: list[Difference] = []
    for field, old, new in _fields(expected, found, messages=messages):
        one = Difference(_asked(found), field, old, new)
        one.accepted = next((rule.why for rule in ACCEPTED if _applies(rule, one)), None)
        found_here.append(one)
    return found_here


def _asked(exchange: Exchange) -> str:
    query = "&".join(f"{name}={value}" for name, value in exchange.query)
    body = ""
    if exchange.body is not None:
        shown = exchange.body.json if exchange.body.text is None else exchange.body.text
        body = " " + _short(shown, 300)
    about = f" ({exchange.about})" if exchange.about else ""
    return f"{exchange.method} {exchange.path}{'?' + query if query else ''}{body}{about}"


def _applies(rule: Accepted, one: Difference) -> bool:
    return bool(
        re.search(rule.request, one.request)
        and re.search(rule.field, one.field)
        and rule.when(one.expected, one.found)
    )


def _fields(expected: Exchange, found: Exchange, *, messages: bool) -> Iterator[tuple[str, Any, Any]]:
    if expected.status != found.status:
        yield "status", expected.status, found.status
    old, new = _answer(expected), _answer(found)
    if expected.status == found.status and old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict) and ("error_code" in old or "error_code" in new):
        for field in ("error_code", *(("message", "sqlstate", "error_class") if messages else ())):
            if old.get(field) != new.get(field):
                yield field, old.get(field), new.get(field)
        return
    if expected.status != found.status:
        yield "answer", old, new
        return
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _walk(old, new, "", "")
    elif old != new:
        yield "answer", old, new


def _answer(exchange: Exchange) -> Any:
    content = exchange.answer
    if content is None:
        return None
    for value in (content.text, content.base64, content.size):
        if value is not None:
            return value
    return content.json


def _walk(old: Any, new: Any, path: str, key: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            below = f"{path}.{name}" if path else name
            if name in old and name in new:
                yield from _walk(old[name], new[name], below, name)
            else:
                yield below, old.get(name, "(absent)"), new.get(name, "(absent)")
    elif isinstance(old, list) and isinstance(new, list):
        if len(old) != len(new):
            yield f"{path}.length", len(old), len(new)
        pairs = zip(_sorted(old, key, path), _sorted(new, key, path), strict=False)
        for index, (one, other) in enumerate(pairs):
            yield from _walk(one, other, f"{path}[{index}]", key)
    elif not _same(old, new, key):
        yield path, old, new


def _sorted(items: list[Any], key: str, path: str) -> list[Any]:
    if not all(isinstance(one, dict) for one in items):
        return items
    if key == "metrics" and path.endswith("data.metrics"):
        return sorted(items, key=lambda one: str(sorted(one.items())))
    if key in _SETS and all("key" in one or key not in ("tags", "params") for one in items):
        return sorted(items, key=_SETS[key])
    return items


def _same(old: Any, new: Any, key: str) -> bool:
    if key in _OWN:
        return type(old) is type(new) and bool(old) == bool(new)
    if isinstance(old, bool) != isinstance(new, bool):
        return False
    if isinstance(old, float) and isinstance(new, float) and math.isnan(old) and math.isnan(new):
        return True
    return old == new


def _short(value: Any, most: int = 160) -> str:
    text = msgspec.json.encode(value).decode() if not isinstance(value, str) else repr(value)
    return text if len(text) <= most else f"{text[:most]}…"
