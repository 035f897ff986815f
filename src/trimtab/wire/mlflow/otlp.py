"""Takes spans from OpenTelemetry's exporters and MLflow's clients at ``/v1/traces``."""

import zlib

import anyio.to_thread
import msgspec
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from trimtab.domains.traces import TracesService
from trimtab.domains.traces.errors import BadSpan
from trimtab.domains.traces.infos.service import MOST_LINKS
from trimtab.infra.http.routing import Request, read_body
from trimtab.kernel.errors import Invalid, TooLarge
from trimtab.wire.otel.export import from_json, from_protobuf

PATH = "/v1/traces"
_KINDS = ("application/x-protobuf", "application/json")


def routes(service: TracesService, *, max_body_bytes: int) -> list[BaseRoute]:
    """Return the route that takes spans; the header ``x-mlflow-experiment-id`` says where they belong."""

    def call(starlette_request: StarletteRequest, body: bytes) -> Response:
        request = Request(starlette_request)
        experiment_id = request.headers.get("x-mlflow-experiment-id")
        if experiment_id is None:
            missing = {
                "type": "missing",
                "loc": ["header", "x-mlflow-experiment-id"],
                "msg": "Field required",
                "input": None,
            }
            return _refused(422, [missing])
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in _KINDS:
            given = request.headers.get("content-type")
            return _refused(400, f"Invalid Content-Type: {given}. Expected: {_KINDS[0]} or {_KINDS[1]}")
        try:
            body = _decompressed(body, request.headers.get("content-encoding", "").lower(), max_body_bytes)
            arriving = from_json(body) if kind == "application/json" else from_protobuf(body)
        except BadSpan as error:
            return _refused(422, f"Cannot convert OpenTelemetry span to MLflow span: {error.message}")
        except Invalid as error:
            return _refused(400, error.message)
        finished = service.traces.add_spans(request.who, experiment_id, arriving)
        _link(service, request, finished)
        return Response(b"", 200, media_type="application/x-protobuf")

    async def endpoint(request: StarletteRequest) -> Response:
        body = await read_body(request, max_body_bytes)
        return await anyio.to_thread.run_sync(call, request, body)

    return [Route(PATH, endpoint, methods=["POST"])]


def _link(service: TracesService, request: Request, trace_ids: list[str]) -> None:
    """Link finished traces to the run that the client names."""
    run_id = request.headers.get("x-mlflow-run-id")
    for start in range(0, len(trace_ids) if run_id else 0, MOST_LINKS):
        service.traces.link_to_run(request.who, run_id or "", trace_ids[start : start + MOST_LINKS])


def _decompressed(body: bytes, encoding: str, most: int) -> bytes:
    """Return the body itself; raises TooLarge before it could fill the memory."""
    match encoding:
        case "" | "identity":
            return body
        case "gzip":
            windows = (16 + zlib.MAX_WBITS,)
        case "deflate":
            windows = (zlib.MAX_WBITS, -zlib.MAX_WBITS)
        case _:
            raise Invalid(f"Unsupported Content-Encoding: {encoding[:100]}")
    for window in windows:
        reader = zlib.decompressobj(window)
        try:
            content = reader.decompress(body, most + 1)
        except zlib.error:
            continue
        if len(content) > most:
            raise TooLarge(f"The body is larger than {most} bytes.")
        if reader.eof:
            return content
    raise Invalid(f"Failed to decompress {encoding} payload")


def _refused(status: int, detail: object) -> Response:
    return Response(msgspec.json.encode({"detail": detail}), status, media_type="application/json")
