"""Declares routes by their types and binds requests to them; handlers are plain synchronous functions."""

import contextlib
import re
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, cast

import anyio
import anyio.from_thread
import anyio.to_thread
import msgspec
from starlette.requests import ClientDisconnect
from starlette.requests import Request as StarletteRequest
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Route as StarletteRoute

from trimtab.infra.http.direct import UploadCutOff, open_body
from trimtab.infra.http.problems import invalid_from, problem_response
from trimtab.infra.http.threads import in_thread
from trimtab.kernel.errors import Invalid, TooLarge, did_you_mean
from trimtab.kernel.who import Principal

_LONG_NUMBER = re.compile(rb"\d{19}")  # anything shorter fits into 64 bits
_MOST_UPLOADS = 64
ANONYMOUS = Principal(id="anonymous", name="anonymous", role="viewer")  # only ever seen by public routes


class Request:
    """What a handler may know of its request."""

    def __init__(self, request: StarletteRequest) -> None:
        self._request = request
        self.who: Principal = request.scope["state"].get("who", ANONYMOUS)
        self.request_id: str = request.scope["state"]["request_id"]
        self.path: dict[str, Any] = request.path_params
        self.headers = request.headers

    @property
    def base_url(self) -> str:
        """The address under which the caller reached this server, without a slash at its end."""
        return str(self._request.base_url).rstrip("/")

    @property
    def query(self) -> Mapping[str, str]:
        """The query parameters as they came, the last of each name."""
        return self._request.query_params

    @property
    def announced_bytes(self) -> int | None:
        """How long the body will be, where the caller says so."""
        given = self.headers.get("content-length", "")
        return int(given) if given.isascii() and given.isdigit() and len(given) < 19 else None

    @contextlib.contextmanager
    def body(self) -> "Generator[BinaryIO | Iterator[bytes]]":
        """Give the body to be read once, in constant memory; only for routes with ``raw_body``.

        A large one is a file whose ``readinto`` takes the bytes from the socket; others are pieces.
        """
        whole = open_body(self._request.scope)
        if whole is None:
            yield self.chunks()
            return
        with whole:
            yield cast("BinaryIO", whole)

    def chunks(self) -> Iterator[bytes]:
        """Yield the body piece by piece, in constant memory; only for routes with ``raw_body``."""
        stream = self._request.stream()
        while True:
            try:
                piece = anyio.from_thread.run(_next_piece, stream)
            except ClientDisconnect as error:
                raise UploadCutOff("The upload was cut off before its end.") from error
            if piece is None:
                return
            if piece:
                yield piece


async def _next_piece(stream: AsyncIterator[bytes]) -> bytes | None:
    try:
        return await anext(stream)
    except StopAsyncIteration:
        return None


class Stream:
    """An answer that is not JSON: bytes, a local file, or pieces made one after the other."""

    def __init__(
        self,
        content: bytes | Path | Iterator[bytes],
        *,
        media_type: str = "application/octet-stream",
        headers: dict[str, str] | None = None,
    ) -> None:
        self.content = content
        self.media_type = media_type
        self.headers = headers or {}

    def response(self) -> Response:
        if isinstance(self.content, bytes):
            return Response(self.content, 200, self.headers, self.media_type)
        if isinstance(self.content, Path):
            return FileResponse(self.content, headers=self.headers, media_type=self.media_type)
        return StreamingResponse(self.content, 200, self.headers, self.media_type)


class Route(msgspec.Struct, frozen=True):
    """A method and path with the types that it takes and gives; the OpenAPI document is made from these."""

    method: str
    path: str
    handler: Callable[..., Any]
    body: Any = None
    query: Any = None
    returns: Any = None
    status: int = 200
    summary: str = ""
    tags: tuple[str, ...] = ()
    raw_body: bool = False
    media_type: str = "application/json"
    asynchronous: bool = False
    public: bool = False

    @property
    def operation_id(self) -> str:
        return f"{self.tags[0] if self.tags else 'api'}.{self.handler.__name__}"

    def starlette(self, max_body_bytes: int) -> StarletteRoute:
        """Return the route as the ASGI application mounts it."""
        return StarletteRoute(self.path, _endpoint(self, max_body_bytes), methods=[self.method])


def route(method: str, path: str, **declared: Any) -> Callable[[Callable[..., Any]], Route]:
    """Make a Route of the function below, which is called as ``handler(request, query=..., body=...)``."""

    def decorate(handler: Callable[..., Any]) -> Route:
        summary = declared.pop("summary", None) or (handler.__doc__ or "").strip().partition("\n")[0]
        tags = tuple(declared.pop("tags", ()))
        return Route(method, path, handler, summary=summary, tags=tags, **declared)

    return decorate


def _endpoint(declared: Route, max_body_bytes: int) -> Callable[[StarletteRequest], Any]:
    decoder = msgspec.json.Decoder(declared.body) if declared.body is not None else None
    encoder = msgspec.json.Encoder()

    def call(starlette_request: StarletteRequest, raw: bytes) -> Response:
        request = Request(starlette_request)
        arguments: dict[str, Any] = {}
        if declared.query is not None:
            arguments["query"] = bind_query(starlette_request, declared.query)
        if decoder is not None:
            arguments["body"] = bind_body(raw, decoder)
        answer = declared.handler(request, **arguments)
        if isinstance(answer, Response):
            return answer
        if isinstance(answer, Stream):
            return answer.response()
        if answer is None and declared.returns is None:
            return Response(status_code=204 if declared.status == 200 else declared.status)
        return Response(encoder.encode(answer), declared.status, media_type="application/json")

    async def endpoint(request: StarletteRequest) -> Response:
        try:
            check_path(request.path_params)
            if declared.asynchronous:
                return await declared.handler(Request(request))
            if declared.raw_body:
                return await anyio.to_thread.run_sync(call, request, b"", limiter=transfers())
            return await in_thread(call, request, await read_body(request, max_body_bytes))
        except msgspec.ValidationError as error:
            return problem_response(invalid_from(error), request.scope["state"]["request_id"])

    return endpoint


@cache
def transfers() -> anyio.CapacityLimiter:
    """Return what bounds the threads that take in uploads, so that slow ones hold up nothing else."""
    return anyio.CapacityLimiter(_MOST_UPLOADS)


async def read_body(request: StarletteRequest, most: int) -> bytes:
    """Return the whole body; raises TooLarge as soon as it is known to exceed the limit."""
    with contextlib.suppress(ValueError):
        if int(request.headers.get("content-length", "0")) > most:
            raise TooLarge(f"The body is larger than {most} bytes.")
    pieces: list[bytes] = []
    total = 0
    async for piece in request.stream():
        total += len(piece)
        if total > most:
            raise TooLarge(f"The body is larger than {most} bytes.")
        pieces.append(piece)
    return b"".join(pieces)


def bind_query(request: StarletteRequest, kind: type[Any]) -> Any:
    """Return the query parameters as a struct; raises Invalid for unknown ones and wrong types."""
    given: dict[str, Any] = {}
    for key in request.query_params:
        if key not in kind.__struct_encode_fields__:
            hint = did_you_mean(key, kind.__struct_encode_fields__)
            raise Invalid(f"Unknown query parameter {key!r}.{hint}", field=key)
        values = request.query_params.getlist(key)
        if any("\x00" in value for value in values):
            raise Invalid(f"{key} holds a null character.", field=key)
        given[key] = values if _takes_list(kind, key) else values[-1]
    bound = msgspec.convert(given, kind, strict=False)
    if any(_LONG_NUMBER.search(value.encode()) for value in request.query_params.values()):
        check_numbers(msgspec.to_builtins(bound))
    return bound


def _takes_list(kind: type[Any], key: str) -> bool:
    for field in msgspec.structs.fields(kind):
        if field.encode_name == key:
            return getattr(field.type, "__origin__", None) is list
    return False


def bind_body(raw: bytes, decoder: msgspec.json.Decoder[Any]) -> Any:
    """Return the body as its type; raises Invalid that names the field."""
    if b"\\u0000" in raw:
        raise Invalid("The body holds a null character.")
    try:
        bound = decoder.decode(raw)
        if _LONG_NUMBER.search(raw):
            check_numbers(msgspec.to_builtins(bound))
        return bound
    except msgspec.ValidationError as error:
        raise invalid_from(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"The body is not valid JSON: {error}.") from error


def check_numbers(value: Any, path: str = "") -> None:
    """Refuse whole numbers of more than 64 bits, which no engine keeps; raises Invalid that names the field."""
    if isinstance(value, dict):
        for key, one in cast("dict[str, Any]", value).items():
            check_numbers(one, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, one in enumerate(cast("list[Any]", value)):
            check_numbers(one, f"{path}[{index}]")
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise Invalid(f"{path or 'The body'} is outside the range of 64 bits.", field=path or None)


def check_path(params: dict[str, Any]) -> None:
    """Refuse path parameters with null or control characters, what is no UTF-8, and numbers of more than 64 bits."""
    check_numbers(params)
    for key, value in params.items():
        if isinstance(value, str) and (not value or any(ord(letter) < 32 for letter in value)):
            raise Invalid(f"The path parameter {key} is empty or holds a control character.", field=key)
        if isinstance(value, str) and "\ufffd" in value:
            raise Invalid(f"The path parameter {key} is not UTF-8.", field=key)
