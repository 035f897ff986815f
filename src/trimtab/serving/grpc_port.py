"""The gRPC port: Open Inference's service and gRPC's health service, each call a request to the same application.

Calls become requests of the method ``GRPC``, so that keys, limits and logging hold for them as they do over HTTP. It
needs grpcio (`pip install "trimtab[grpc]"`), runs on the gateway's event loop and is off unless a port is given.
"""

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, cast

import grpc
import grpc.aio

from trimtab.kernel import protobuf as wire
from trimtab.kernel.errors import TooLarge, TrimtabError
from trimtab.serving.errors import GrpcPortTaken
from trimtab.serving.http import Answer, Application, Request
from trimtab.serving.protocols import v2_grpc

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""What is read of any message; endpoints have limits of their own."""

_SERVICE = "inference.GRPCInferenceService"
_HEALTH = "grpc.health.v1.Health"
_SERVING, _NOT_SERVING = 1, 2
_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.FAILED_PRECONDITION,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    415: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    500: grpc.StatusCode.INTERNAL,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
_TOLD = frozenset((b"x-prediction-id", b"x-model-version", b"retry-after"))


class _Refused(Exception):
    """An answer that is no success, on its way to the caller's status."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.code = _CODES.get(answer.status, grpc.StatusCode.UNKNOWN)
        self.message = _message(answer.content)
        self.metadata = _metadata(answer)


class GrpcPort:
    """The gRPC server of a gateway."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._server: Any = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
            ]
        )
        unary, stream = grpc.unary_unary_rpc_method_handler, grpc.stream_stream_rpc_method_handler
        methods: dict[str, Any] = {
            "ServerLive": unary(self._server_live),
            "ServerReady": unary(self._server_ready),
            "ModelReady": unary(self._model_ready),
            "ServerMetadata": unary(self._server_metadata),
            "ModelMetadata": unary(self._model_metadata),
            "ModelInfer": unary(self._model_infer),
            "ModelStreamInfer": stream(self._model_stream_infer),
            "RepositoryIndex": unary(self._repository_index),
        }
        health: dict[str, Any] = {
            "Check": unary(self._check),
            "Watch": grpc.unary_stream_rpc_method_handler(self._watch),
        }
        self._server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(_SERVICE, methods),
                grpc.method_handlers_generic_handler(_HEALTH, health),
            )
        )

    async def listen(self, host: str, port: int, *, credentials: Any = None) -> int:
        """Take calls at an address, by TLS with `credentials`, and return its port; raises GrpcPortTaken."""
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            if credentials is None:
                bound = self._server.add_insecure_port(place)
            else:
                bound = self._server.add_secure_port(place, credentials)
        except RuntimeError as error:
            raise GrpcPortTaken(f"cannot listen on {place} for gRPC") from error
        await self._server.start()
        return cast(int, bound)

    async def drain(self, timeout_s: float) -> None:
        """Take no new calls and finish those that are under way."""
        await self._server.stop(timeout_s)

    # Open Inference.

    async def _server_live(self, _message: bytes, context: Any) -> bytes:
        return wire.count(1, int((await self._tell(context, "/v2/health/live"))["live"]))

    async def _server_ready(self, _message: bytes, context: Any) -> bytes:
        return wire.count(1, int(await self._is_ready(context, "/v2/health/ready")))

    async def _model_ready(self, message: bytes, context: Any) -> bytes:
        return wire.count(1, int(await self._is_ready(context, f"{await _path(message, context)}/ready")))

    async def _server_metadata(self, _message: bytes, context: Any) -> bytes:
        told = await self._tell(context, "/v2")
        extensions = [wire.block(3, one.encode()) for one in told["extensions"]]
        return b"".join(
            (wire.block(1, told["name"].encode()), wire.block(2, told["version"].encode()), *extensions)
        )

    async def _model_metadata(self, message: bytes, context: Any) -> bytes:
        told = await self._tell(context, await _path(message, context))
        return b"".join(
            (
                wire.block(1, told["name"].encode()),
                *(wire.block(2, version.encode()) for version in told["versions"]),
                wire.block(3, told["platform"].encode()),
                *(wire.block(4, _tensor(one)) for one in told["inputs"]),
                *(wire.block(5, _tensor(one)) for one in told["outputs"]),
            )
        )

    async def _model_infer(self, message: bytes, context: Any) -> bytes:
        try:
            answer = await self._infer(message, context)
        except _Refused as refused:
            await context.abort(refused.code, refused.message, refused.metadata)
            raise
        context.set_trailing_metadata(_metadata(answer))
        return answer.content

    async def _model_stream_infer(self, messages: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        """Answer each request of a stream in its turn; an error is a message of its own and does not end the stream."""
        async for message in messages:
            try:
                answer = await self._infer(message, context)
            except _Refused as refused:
                yield wire.block(1, refused.message.encode())
            else:
                yield wire.block(2, answer.content)

    async def _repository_index(self, message: bytes, context: Any) -> bytes:
        ready = any(number == 2 and value for number, _, value in wire.fields(message))
        told = await self._tell(context, "/v2/repository/index", json.dumps({"ready": ready}).encode())
        return b"".join(
            wire.block(
                1,
                b"".join(
                    wire.block(at, one[key].encode())
                    for at, key in enumerate(("name", "version", "state", "reason"), 1)
                ),
            )
            for one in told
        )

    # Health.

    async def _check(self, message: bytes, context: Any) -> bytes:
        """Return whether the port, or an endpoint by its name, takes requests."""
        return wire.count(1, await self._health(message, context))

    async def _watch(self, message: bytes, context: Any) -> AsyncIterator[bytes]:
        yield wire.count(1, await self._health(message, context))

    async def _health(self, message: bytes, context: Any) -> int:
        service = "".join([wire.text(value) for number, _, value in wire.fields(message) if number == 1])
        path = "/v2/health/ready" if service in ("", _SERVICE) else f"/v2/models/{service}/ready"
        return _SERVING if await self._is_ready(context, path) else _NOT_SERVING

    # Requests.

    async def _infer(self, message: bytes, context: Any) -> Answer:
        try:
            name, version = v2_grpc.address_of(message)
        except TrimtabError as error:
            raise _Refused(self._application.refuse(None, error)) from error
        path = f"/{_SERVICE}/ModelInfer/{name}"
        request = self._request(context, b"GRPC", f"{path}/versions/{version}" if version else path)
        answer = await self._ask(request, message)
        if answer.status != 200:
            raise _Refused(answer)
        return answer

    async def _tell(self, context: Any, path: str, body: bytes | None = None) -> Any:
        """Return what an address of the REST protocol says, or abort with its error."""
        request = self._request(context, b"GET" if body is None else b"POST", path)
        answer = await self._ask(request, body or b"")
        if answer.status != 200:
            refused = _Refused(answer)
            await context.abort(refused.code, refused.message, refused.metadata)
        return json.loads(answer.content)

    async def _is_ready(self, context: Any, path: str) -> bool:
        answer = await self._ask(self._request(context, b"GET", path), b"")
        if answer.status not in (200, 503):
            refused = _Refused(answer)
            await context.abort(refused.code, refused.message, refused.metadata)
        return answer.status == 200

    def _request(self, context: Any, method: bytes, path: str) -> Request:
        headers: dict[bytes, bytes] = {b"host": b"localhost"}  # no page in a browser can make such a call
        for name, value in context.invocation_metadata() or ():
            headers[name.encode()] = value if isinstance(value, bytes) else value.encode()
        for name in (b"content-type", b"content-encoding", b"origin"):
            headers.pop(name, None)
        return Request(method, path.encode(), path, "", headers)

    async def _ask(self, request: Request, body: bytes) -> Answer:
        application = self._application
        try:
            limit = application.admit(request)
            if len(body) > limit:
                raise TooLarge(f"the message has more than the {limit} bytes that are taken here")
        except TrimtabError as error:
            return application.refuse(request, error)
        request.body = body
        answer = application.handle(request)
        return answer if isinstance(answer, Answer) else await answer


def credentials(chain: Path, key: Path, *, client_authority: Path | None) -> Any:
    """Return what `GrpcPort.listen` needs for TLS: files in PEM, as the HTTP port has them; raises OSError.

    Connections that are made after the files have changed get what they hold then.
    """
    files = [chain, key] if client_authority is None else [chain, key, client_authority]

    def stamp() -> list[int]:
        return [file.stat().st_mtime_ns for file in files]

    def configuration() -> Any:
        return grpc.ssl_server_certificate_configuration(
            [(key.read_bytes(), chain.read_bytes())],
            root_certificates=client_authority.read_bytes() if client_authority is not None else None,
        )

    served = [stamp()]

    def fetch() -> Any:
        try:
            present = stamp()
            if present == served[0]:
                return None
            served[0] = present
            return configuration()
        except OSError:  # it is being replaced: what was served goes on
            return None

    return grpc.dynamic_ssl_server_credentials(
        configuration(), fetch, require_client_authentication=client_authority is not None
    )


async def _path(message: bytes, context: Any) -> str:
    name = version = ""
    try:
        for number, _, value in wire.fields(message):
            if number == 1:
                name = wire.text(value)
            elif number == 2:
                version = wire.text(value)
    except wire.BadProtobuf as error:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, error.message)
    return f"/v2/models/{name}" + (f"/versions/{version}" if version else "")


def _tensor(told: dict[str, Any]) -> bytes:
    shape = wire.packed(3, told["shape"])
    return wire.block(1, told["name"].encode()) + wire.block(2, told["datatype"].encode()) + shape


def _message(content: bytes) -> str:
    """Return the words of an error, whether it came as JSON or as text."""
    text = content.decode("utf-8", "replace")
    if text.startswith("{"):
        told = json.loads(text)
        return str(told.get("error") or told.get("message") or text)
    return text


def _metadata(answer: Answer) -> Sequence[tuple[str, str]]:
    return tuple((name.decode(), value.decode()) for name, value in answer.headers if name in _TOLD)
