"""The client of the native HTTP API; commands and the SDK have no other way to the server."""

import os
import ssl
from collections.abc import Iterator
from typing import Any, Self

import httpx2
import msgspec

from trimtab.kernel.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    TooLarge,
    TrimtabError,
    Unauthenticated,
    Unavailable,
)

_KINDS: dict[int, type[TrimtabError]] = {
    400: Invalid,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    405: Conflict,
    409: Conflict,
    413: TooLarge,
    503: Unavailable,
}
_TIMEOUT = httpx2.Timeout(60.0, connect=5.0)


class Client:
    """A connection to one server. Methods raise the same errors that the server's services raise."""

    def __init__(self, url: str, *, token: str | None = None) -> None:
        self.url = url.rstrip("/")
        self.headers = {"authorization": f"Bearer {token}"} if token else {}
        always = {**self.headers, "content-type": "application/json"}
        self._token = token
        self._http = httpx2.Client(
            base_url=self.url, headers=always, timeout=_TIMEOUT, verify=_verification(self.url)
        )

    def again(self) -> "Client":
        """Return another connection to the same server, for another thread or process."""
        return Client(self.url, token=self._token)

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which another process finds the same server."""
        return {"TRIMTAB_URL": self.url, **({"TRIMTAB_TOKEN": self._token} if self._token else {})}

    def get(self, path: str, /, **query: Any) -> Any:
        """GET a path under ``/api/v1`` and return its JSON; None values are left out of the query."""
        return self._json("GET", path, params=_present(query))

    def post(self, path: str, /, body: Any = None, **query: Any) -> Any:
        """POST JSON to a path under ``/api/v1`` and return the answer's JSON."""
        return self._json("POST", path, params=_present(query), **_body(body))

    def put(self, path: str, body: Any = None) -> Any:
        """PUT JSON to a path under ``/api/v1`` and return the answer's JSON."""
        return self._json("PUT", path, **_body(body))

    def patch(self, path: str, body: Any = None) -> Any:
        """PATCH JSON to a path under ``/api/v1`` and return the answer's JSON."""
        return self._json("PATCH", path, **_body(body))

    def delete(self, path: str) -> Any:
        """DELETE a path under ``/api/v1``."""
        return self._json("DELETE", path)

    def upload(
        self,
        path: str,
        content: bytes | Iterator[bytes],
        *,
        method: str = "PUT",
        size_bytes: int | None = None,
    ) -> Any:
        """Send raw bytes, streamed where an iterator is given, and return the answer's JSON.

        Say how many the iterator gives: the server takes in what is announced several times as fast.
        """
        headers = {"content-type": "application/octet-stream"}
        if size_bytes is not None:
            headers["content-length"] = str(size_bytes)
        return self._json(method, path, content=content, headers=headers)

    def download(self, path: str, /, body: Any = None, **query: Any) -> Iterator[bytes]:
        """Yield the bytes of an answer piece by piece; a body makes the request a POST."""
        request: dict[str, Any] = {"params": _present(query)}
        if body is not None:
            request |= _body(body)
        try:
            method = "GET" if body is None else "POST"
            with self._http.stream(method, _rooted(path), **request) as response:
                if response.status_code >= 400:
                    response.read()
                    raise _error(response)
                yield from response.iter_bytes(1 << 20)
        except httpx2.TransportError as error:
            raise self._unreachable(error) from error

    def items(self, path: str, /, **query: Any) -> Iterator[dict[str, Any]]:
        """Go through every item of a listing, page by page."""
        cursor = None
        while True:
            page = self.get(path, **query, cursor=cursor)
            yield from page["items"]
            cursor = page.get("next_cursor")
            if not cursor:
                return

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _json(self, method: str, path: str, **request: Any) -> Any:
        try:
            response = self._http.request(method, _rooted(path), **request)
        except httpx2.TransportError as error:
            raise self._unreachable(error) from error
        if response.status_code >= 400:
            raise _error(response)
        return msgspec.json.decode(response.content) if response.content else None

    def _unreachable(self, error: httpx2.TransportError) -> Unavailable:
        return Unavailable(
            f"No server answers at {self.url} ({type(error).__name__}). Start one with 'trimtab up', or set TRIMTAB_URL."
        )


def _verification(url: str) -> ssl.SSLContext | bool:
    """Return how to check certificates. To load the trusted ones takes 80 ms, and plain HTTP needs none.

    A context without any trusts nobody, should the server send the client on to HTTPS.
    """
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if url.startswith("http://") else True


def _body(value: Any) -> dict[str, Any]:
    return {"content": msgspec.json.encode(value or {}), "headers": {"content-type": "application/json"}}


def _rooted(path: str) -> str:
    """Return a path from the root; those of other APIs than the native one are given whole."""
    return path if path.startswith("/api/") else f"/api/v1{path}"


def _present(query: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in query.items() if value is not None}


def _error(response: httpx2.Response) -> TrimtabError:
    kind = _KINDS.get(response.status_code, TrimtabError)
    try:
        problem = msgspec.json.decode(response.content, type=dict[str, Any])
    except msgspec.DecodeError:
        return kind(f"The server answered {response.status_code}.")
    error = kind(
        str(problem.get("detail") or problem.get("message", "")),
        field=problem.get("field"),
        details=problem.get("details"),
    )
    error.code = problem.get("code", kind.code)  # type: ignore[misc]
    return error


def connect(url: str | None = None, *, token: str | None = None) -> Client:
    """Return a client of the given server, else of ``TRIMTAB_URL``, else of the one on this machine.

    The token defaults to ``TRIMTAB_TOKEN``. No request is made yet.
    """
    address = (
        url or os.environ.get("TRIMTAB_URL") or f"http://127.0.0.1:{os.environ.get('TRIMTAB_PORT', '5000')}"
    )
    return Client(address, token=token or os.environ.get("TRIMTAB_TOKEN"))
