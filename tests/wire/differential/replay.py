"""Plays a recording to a server: ids which the server gave then are replaced by the ones that it gives now."""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import httpx2

from tests.wire.differential.exchange import (
    ANSWER_HEADERS,
    Content,
    Exchange,
    Recording,
    content_of,
    kept,
    untouched,
)

# What servers make up: hexadecimal ids with their prefixes, UUIDs, and names such as brisk-keel-271.
_GIVEN = re.compile(
    r"(?<![0-9a-zA-Z])(?:[a-z]{1,3}-)?[0-9a-f]{32}(?![0-9a-zA-Z])"
    r"|(?<![0-9a-zA-Z])[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?![0-9a-zA-Z])"
    r"|(?<![\w-])[a-z]+-[a-z]+-\d{1,4}(?![\w-])"
)
_TOKENS = ("next_page_token", "page_token")
_EXPERIMENT_KEYS = ("experiment_id", "experiment_ids", "x-mlflow-experiment-id")
_PATH = "path"  # where it is a number alone, it is the folder of an experiment
# Where the number of an experiment stands in a text: in URIs and paths of artifacts, and in filters.
_EXPERIMENT_PLACES = re.compile(
    r"(?P<before>mlflow-artifacts:/|(?:^|/)(?=\d+/(?:[0-9a-f]{32}|models|traces)))(?P<id>\d+)(?![\w.])"
)
_EXPERIMENT_FILTER = re.compile(
    r"experiment_id\s*(?:=|!=|(?:NOT\s+)?IN)\s*(?:'[^']*'|\([^)]*\))", re.IGNORECASE
)
_NUMBER = re.compile(r"\d+")


class Known:
    """Which id now stands for which id then."""

    def __init__(self, unique: str, fresh: str) -> None:
        self._unique, self._fresh = unique, fresh
        self.ids: dict[str, str] = {}
        self.experiments: dict[str, str] = {}
        self.tokens: dict[str, str] = {}
        self._texts: dict[str, str] = {}  # what is known of texts until something new is learned

    def now(self, value: Any, key: str = "") -> Any:
        """Return a recorded value with the ids of now."""
        if isinstance(value, dict):
            return {self.now(name): self.now(one, name) for name, one in value.items()}
        if isinstance(value, list | tuple):
            return [self.now(one, key) for one in value]
        if not isinstance(value, str):
            return value
        if key in _EXPERIMENT_KEYS or (key == _PATH and value in self.experiments):
            return self.experiments.get(value, value)
        if key in _TOKENS:
            return self.tokens.get(value, value)
        return self.text(value)

    def text(self, text: str) -> str:
        """Return a recorded text with the ids of now."""
        if (known := self._texts.get(text)) is None:
            known = self._texts[text] = self._read(text)
        return known

    def _read(self, text: str) -> str:
        text = text.replace(self._unique, self._fresh)
        text = _EXPERIMENT_PLACES.sub(self._experiment, text)
        text = _EXPERIMENT_FILTER.sub(self._experiment_filter, text)
        return _GIVEN.sub(lambda found: self.ids.get(found.group(), found.group()), text)

    def _experiment(self, found: re.Match[str]) -> str:
        return found["before"] + self.experiments.get(found["id"], found["id"])

    def _experiment_filter(self, found: re.Match[str]) -> str:
        return _NUMBER.sub(lambda one: self.experiments.get(one.group(), one.group()), found.group())

    def learn(self, then: Any, now: Any, key: str = "") -> None:
        """Note the ids of two answers to the same request, as far as they are new."""
        if isinstance(then, dict) and isinstance(now, dict):
            for name in then.keys() & now.keys():
                self.learn(then[name], now[name], name)
        elif isinstance(then, list) and isinstance(now, list):
            for one, other in zip(_by_key(then), _by_key(now), strict=False):
                self.learn(one, other, key)
        elif isinstance(then, str) and isinstance(now, str):
            if key in _EXPERIMENT_KEYS:
                self._keep(self.experiments, then, now)
            elif key in _TOKENS:
                self.tokens[then] = now
            elif then not in self.ids and _GIVEN.fullmatch(then) and _GIVEN.fullmatch(now):
                self._keep(self.ids, then, now)

    def _keep(self, known: dict[str, str], then: str, now: str) -> None:
        if then not in known:
            known[then] = now
            self._texts.clear()


def play(recording: Recording, client: httpx2.Client, *, fresh: str) -> Iterator[tuple[Exchange, Exchange]]:
    """Send each request and yield (what was recorded, with the ids of now; what the server answered).

    ``fresh`` stands for the recording's unique word, so that one server can be asked many times; it should be as long.
    """
    known = Known(recording.unique, fresh)
    for then in recording.exchanges:
        now = _send(then, known, client)
        if then.answer is not None and now.answer is not None:
            known.learn(then.answer.json, now.answer.json)
        yield _expected(then, known), now


def _send(then: Exchange, known: Known, client: httpx2.Client) -> Exchange:
    path = quote(known.text(then.path), safe="/:@!$&'()*+,;=~%")
    query = [(name, known.now(value, name)) for name, value in then.query]
    headers = {name: known.now(value, name) for name, value in then.headers.items()}
    body = _body(then.body, known)
    answer = client.request(
        then.method, path, params=query or None, headers=headers, content=body.raw if body else None
    )
    kind = answer.headers.get("content-type")
    return Exchange(
        then.method,
        path,
        answer.status_code,
        query,
        headers,
        body,
        kept(answer.headers.items(), ANSWER_HEADERS),
        content_of(answer.content, kind, clean=untouched),
        then.about,
    )


def _body(body: Content | None, known: Known) -> Content | None:
    if body is None or body.base64 is not None or body.size is not None:
        return body
    return Content(json=known.now(body.json)) if body.text is None else Content(text=known.text(body.text))


def _expected(then: Exchange, known: Known) -> Exchange:
    return Exchange(
        then.method,
        known.text(then.path),
        then.status,
        answer_headers=then.answer_headers,
        answer=_body(then.answer, known),
        about=then.about,
    )


def _by_key(items: list[Any]) -> list[Any]:
    if all(isinstance(one, Mapping) and "key" in one for one in items):
        return sorted(items, key=lambda one: str(one["key"]))
    return items
