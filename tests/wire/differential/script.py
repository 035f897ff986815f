"""What hand-written cases talk through: it sends requests to MLflow's own server and remembers the answers."""

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx2

from tests.wire.differential.exchange import (
    ANSWER_HEADERS,
    REQUEST_HEADERS,
    Exchange,
    Recording,
    content_of,
    kept,
    scrub_messages,
    untouched,
)

V2, V3 = "/api/2.0/mlflow", "/api/3.0/mlflow"
_JSON = {"content-type": "application/json"}


class Script:
    """Sends and remembers. ``unique`` belongs into every name that must be new on the server."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.unique = f"uniq{zlib.crc32(name.encode()) & 0xFFFF:04x}"
        self.exchanges: list[Exchange] = []
        self._client = httpx2.Client(base_url=url, timeout=60)

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | Sequence[tuple[str, Any]] = (),
        content: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        about: str = "",
    ) -> Any:
        """Send a request with a JSON body, or with the very bytes of ``content``, and return the answer's JSON."""
        pairs = [
            (name, str(one))
            for name, value in (query.items() if isinstance(query, Mapping) else query)
            for one in (value if isinstance(value, list) else [value])
        ]
        given = dict(headers) if headers is not None else dict(_JSON)
        raw = content.encode() if isinstance(content, str) else content
        if raw is None and (body is not None or method in ("POST", "PATCH")):
            raw = json.dumps({} if body is None else body).encode()
        answer = self._client.request(method, path, params=pairs or None, content=raw, headers=given)
        kind = answer.headers.get("content-type")
        kept_answer = content_of(answer.content, kind, clean=scrub_messages)
        self.exchanges.append(
            Exchange(
                method,
                path,
                answer.status_code,
                pairs,
                kept(given.items(), REQUEST_HEADERS),
                content_of(raw or b"", given.get("content-type"), clean=untouched),
                kept(answer.headers.items(), ANSWER_HEADERS),
                kept_answer,
                about,
            )
        )
        return kept_answer.json if kept_answer is not None else None

    def post(self, path: str, body: Any = None, about: str = "") -> Any:
        """POST below ``/api/2.0/mlflow``."""
        return self.send("POST", V2 + path, body, about=about)

    def get(
        self, path: str, query: Mapping[str, Any] | Sequence[tuple[str, Any]] = (), about: str = ""
    ) -> Any:
        """GET below ``/api/2.0/mlflow``; a list stands for a repeated parameter."""
        return self.send("GET", V2 + path, query=query, about=about)

    def patch(self, path: str, body: Any = None, about: str = "") -> Any:
        """PATCH below ``/api/2.0/mlflow``."""
        return self.send("PATCH", V2 + path, body, about=about)

    def delete(self, path: str, body: Any = None, about: str = "") -> Any:
        """DELETE below ``/api/2.0/mlflow``."""
        return self.send("DELETE", V2 + path, body, about=about)

    def experiment(self, name: str = "e", **more: Any) -> str:
        """Make an experiment whose name holds the unique word, and return its id."""
        return self.post("/experiments/create", {"name": f"{name}-{self.unique}", **more})["experiment_id"]

    def run(self, experiment_id: str, **more: Any) -> str:
        """Start a run and return its id."""
        return self.post("/runs/create", {"experiment_id": experiment_id, **more})["run"]["info"]["run_id"]

    def recording(self, server: str) -> Recording:
        """Return what was sent and answered."""
        self._client.close()
        return Recording(self.name, server, self.unique, self.exchanges)


def record(name: str, url: str, cases: Callable[[Script], None]) -> Recording:
    """Send the requests of a function of cases to a server and return what it answered."""
    script = Script(name, url)
    cases(script)
    with httpx2.Client(base_url=url) as client:
        server = f"MLflow {client.get('/version').text.strip()}"
    return script.recording(server)
