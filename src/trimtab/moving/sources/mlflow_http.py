"""Requests to a server that speaks MLflow's REST API, with its ways of signing in, paging and failing."""

import os
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx2
import msgspec

from trimtab.kernel.errors import Forbidden, Invalid, NotFound, Unauthenticated, Unavailable

_API = "/api/2.0/mlflow"
_TRIES = 4
_TIMEOUT = httpx2.Timeout(120.0, connect=10.0)
_PIECE = 1 << 20
_MOST_PAGES = 100_000


class MlflowHttp:
    """A connection to one server. Credentials are those in the URL, else those that MLflow's own client would use."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        place = parts.hostname or ""
        if ":" in place:
            place = f"[{place}]"
        if parts.port:
            place += f":{parts.port}"
        self.url = f"{parts.scheme}://{place}{parts.path.rstrip('/')}"
        token = os.environ.get("MLFLOW_TRACKING_TOKEN")
        user = unquote(parts.username or "") or os.environ.get("MLFLOW_TRACKING_USERNAME", "")
        password = unquote(parts.password or "") or os.environ.get("MLFLOW_TRACKING_PASSWORD", "")
        headers = {"authorization": f"Bearer {token}"} if token and not user else {}
        auth = (user, password) if user else None
        limits = httpx2.Limits(max_connections=16)
        self._http = httpx2.Client(headers=headers, auth=auth, timeout=_TIMEOUT, limits=limits)

    def get(self, path: str, /, **query: Any) -> dict[str, Any]:
        """GET a path of the API and return its JSON."""
        return self._json(
            "GET", path, params={key: value for key, value in query.items() if value is not None}
        )

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST JSON to a path of the API, for a search, and return its JSON."""
        present = {key: value for key, value in body.items() if value is not None}
        content = msgspec.json.encode(present)
        return self._json("POST", path, content=content, headers={"content-type": "application/json"})

    def pages(self, method: str, path: str, field: str, /, **body: Any) -> Iterator[dict[str, Any]]:
        """Yield the items of every page of a search; raises Unavailable where a server never comes to an end."""
        token = None
        for _ in range(_MOST_PAGES):
            asked = {**body, "page_token": token}
            page = self.post(path, asked) if method == "POST" else self.get(path, **asked)
            yield from page.get(field) or ()
            token, before = page.get("next_page_token"), token
            if not token or token == before:
                return
        raise Unavailable(f"{self.url} has no last page of {path}.")

    def stream(self, path: str, /, **query: Any) -> Iterator[bytes]:
        """Yield the bytes of a file, which may lie outside of the API."""
        try:
            with self._http.stream("GET", f"{self.url}{path}", params=query) as response:
                if response.status_code >= 400:
                    response.read()
                    raise _error(response, self.url)
                yield from response.iter_bytes(_PIECE)
        except httpx2.TransportError as error:
            raise Unavailable(f"{self.url} broke off ({type(error).__name__}).") from error

    def close(self) -> None:
        self._http.close()

    def _json(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        address = f"{self.url}{path if path.startswith('/api/') else _API + path}"
        for tried in range(1, _TRIES + 1):
            try:
                response = self._http.request(method, address, **request)
            except httpx2.TransportError as error:
                if tried == _TRIES:
                    raise Unavailable(f"{self.url} does not answer ({type(error).__name__}).") from error
            else:
                if response.status_code < 500 and response.status_code != 429:
                    break
                if tried == _TRIES:
                    raise _error(response, self.url)
            time.sleep(0.2 * 2**tried)
        else:
            raise AssertionError("the last try returns or raises")
        if response.status_code >= 400:
            raise _error(response, self.url)
        try:
            return msgspec.json.decode(response.content, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise Invalid(
                f"{address} did not answer JSON: this is no server of MLflow.", field="source"
            ) from error


def _error(response: httpx2.Response, url: str) -> Exception:
    try:
        told = msgspec.json.decode(response.content, type=dict[str, Any])
        message = str(told.get("message") or told.get("detail") or "")[:500]
    except msgspec.DecodeError:
        message = ""
    message = message or f"{url} answered {response.status_code}."
    match response.status_code:
        case 401:
            return Unauthenticated(f"{message} Set MLFLOW_TRACKING_TOKEN, or a user name and password.")
        case 403:
            return Forbidden(message)
        case 404:
            return NotFound(message)
        case status if status >= 500:
            return Unavailable(message)
        case _:
            return Invalid(message)
