"""Declares the routes of the MLflow API by their messages, and finds the one that a request means in one look-up."""

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, get_args, get_origin

import anyio.to_thread
import msgspec
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

from trimtab.infra.http.routing import Request, Stream, check_path, read_body, transfers
from trimtab.infra.http.threads import in_thread
from trimtab.kernel.errors import Invalid
from trimtab.wire.mlflow.errors import missing

PREFIXES = ("/api", "/ajax-api")
_EMPTY = b"{}"
_encoder = msgspec.json.Encoder()


class Handler(msgspec.Struct, frozen=True):
    """One method and path of the API, the message it takes, and the function that answers it."""

    method: str
    path: str  # below /api/2.0 or /api/3.0
    message: type[msgspec.Struct] | None
    call: Callable[..., Any]
    version: str = "2.0"
    raw_body: bool = False
    prefixes: Sequence[str] = PREFIXES
    rooted: bool = False  # the path is whole, and not below a prefix

    def paths(self) -> list[str]:
        """Return the whole paths at which this is found."""
        if self.rooted:
            return [self.path]
        return [f"{prefix}/{self.version}{self.path}" for prefix in self.prefixes]


def handler(
    method: str,
    path: str,
    message: type[msgspec.Struct] | None = None,
    *,
    version: str = "2.0",
    raw_body: bool = False,
    prefixes: Sequence[str] = PREFIXES,
    rooted: bool = False,
) -> Callable[[Callable[..., Any]], Handler]:
    """Make a Handler of the function below, which is called as ``call(request, message)``."""

    def decorate(call: Callable[..., Any]) -> Handler:
        return Handler(method, path, message, call, version, raw_body, prefixes, rooted)

    return decorate


class Table(BaseRoute):
    """Many routes as one: fixed paths by dictionary, the few with parameters one after the other."""

    def __init__(self, handlers: Sequence[Handler], *, max_body_bytes: int) -> None:
        self._fixed: dict[tuple[str, str], Route] = {}
        self._open: list[Route] = []
        for one in handlers:
            for path in one.paths():
                route = Route(path, _endpoint(one, max_body_bytes), methods=[one.method])
                if "{" in path:
                    self._open.append(route)
                else:
                    self._fixed[one.method, path] = route

    @property
    def routes(self) -> list[Route]:
        """Every route, for listings."""
        return [*self._fixed.values(), *self._open]

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http":
            return Match.NONE, {}
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        route = self._fixed.get((method, scope["path"]))
        if route is not None:
            return Match.FULL, {
                "endpoint": route.endpoint,
                "path_params": {},
                "route": route,
                "chosen": route,
            }
        if not scope["path"].startswith(PREFIXES):
            return Match.NONE, {}
        for candidate in self._open:
            match, child = candidate.matches(scope)
            if match is Match.FULL:
                return Match.FULL, {**child, "route": candidate, "chosen": candidate}
        return Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer: Response = await scope["chosen"].endpoint(StarletteRequest(scope, receive, send))
        await answer(scope, receive, send)

    def url_path_for(self, name: str, /, **path_params: Any) -> Any:
        raise NotImplementedError(f"no links are made to {name} with {path_params}")


def _endpoint(one: Handler, max_body_bytes: int) -> Callable[[StarletteRequest], Awaitable[Response]]:
    decoder = msgspec.json.Decoder(one.message, strict=False) if one.message is not None else None
    takes_query = one.method == "GET"

    def call(starlette_request: StarletteRequest, raw: bytes) -> Response:
        request = Request(starlette_request)
        if decoder is None or one.message is None:
            answer = one.call(request)
        elif takes_query and starlette_request.query_params:
            answer = one.call(request, _from_query(starlette_request, one.message))
        else:
            answer = one.call(request, _from_body(raw, decoder, one.message))
        if isinstance(answer, Response):
            return answer
        if isinstance(answer, Stream):
            return answer.response()
        body = _EMPTY if answer is None else _encoder.encode(answer)
        return Response(body, 200, media_type="application/json")

    async def endpoint(request: StarletteRequest) -> Response:
        check_path(request.path_params)
        if one.raw_body:
            return await anyio.to_thread.run_sync(call, request, b"", limiter=transfers())
        raw = await read_body(request, max_body_bytes)
        if one.message is not None and one.method in ("POST", "PUT"):
            _check_content_type(request.headers.get("content-type"))
        return await in_thread(call, request, raw)

    return endpoint


def _check_content_type(given: str | None) -> None:
    if given is None:
        raise Invalid("Bad Request. Content-Type header is missing.")
    if given.partition(";")[0].strip().lower() != "application/json":
        raise Invalid("Bad Request. Content-Type must be one of ['application/json'].")


def _from_query(request: StarletteRequest, message: type[msgspec.Struct]) -> Any:
    """Return the query parameters as a message; unknown ones are left out, as clients may be newer."""
    given: dict[str, Any] = {}
    for field in msgspec.structs.fields(message):
        values = request.query_params.getlist(field.name)
        if not values:
            continue
        if any("\x00" in value for value in values):
            raise Invalid(f"{field.name} holds a null character.", field=field.name)
        given[field.name] = values if _takes_list(field.type) else values[0]
    try:
        return msgspec.convert(given, message, strict=False)
    except msgspec.ValidationError as error:
        raise _explain(error, given) from error


def _takes_list(kind: Any) -> bool:
    return any(get_origin(one) is list for one in (kind, *get_args(kind)))


def _from_body(raw: bytes, decoder: "msgspec.json.Decoder[Any]", message: type[msgspec.Struct]) -> Any:
    """Return the body as a message.

    MLflow's server takes what is no JSON for an empty message, and makes a run of it; here it is refused.
    """
    if b"\\u0000" in raw:
        raise Invalid("The body holds a null character.")
    try:
        return decoder.decode(raw or _EMPTY)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        plain = _plain(raw)
        if isinstance(error, msgspec.ValidationError) and raw.lstrip().startswith(b"{"):
            raise _explain(error, plain) from error
        if not isinstance(plain, dict):
            raise Invalid(f"Bad Request. The body is no JSON object: {error}.") from error
        try:
            return msgspec.convert(plain, message, strict=False)
        except msgspec.ValidationError as wrong:
            raise _explain(wrong, plain) from wrong


def _plain(raw: bytes) -> Any:
    """Return a body as Python's own reader understands it: with bare NaN, and perhaps encoded twice."""
    try:
        value = json.loads(raw)
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return None


def _explain(error: msgspec.ValidationError, given: Any) -> Invalid:
    """Return the error that names the field and its value, in the words of MLflow's server."""
    _, _, path = str(error).partition(" - at `")
    path = path.rstrip("`").removeprefix("$").lstrip(".")
    if not path:
        return missing(str(error).split("`")[1] if "`" in str(error) else "body")
    value = _at(given, path)
    written = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)[:200]
    return Invalid(
        f"Invalid value {written} for parameter '{path}' supplied:  Hint: Value was of type "
        f"'{type(value).__name__}'. See the API docs for more information about request parameters.",
        field=path,
    )


def _at(given: Any, path: str) -> Any:
    for part in path.replace("[", ".[").split("."):
        if not part:
            continue
        try:
            given = given[int(part[1:-1])] if part.startswith("[") else given[part]
        except (KeyError, IndexError, TypeError, ValueError):
            return None
    return given
