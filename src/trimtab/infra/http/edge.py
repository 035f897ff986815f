"""What stands before every request: request id, Host and Origin checks, sign-in, error rendering, access log, metrics."""

import ipaddress
import logging
import time
from collections.abc import Callable, Sequence
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from prometheus_client import Counter, Histogram
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trimtab.infra.http.problems import as_error, problem_response
from trimtab.kernel.errors import Conflict, Forbidden, Invalid, NotFound, TrimtabError
from trimtab.kernel.ids import new_id
from trimtab.kernel.who import Principal

log = logging.getLogger("trimtab.access")
failures = logging.getLogger("trimtab.failures")

REQUESTS = Counter(
    "trimtab_http_requests_total", "Requests by method, area and status.", ["method", "area", "status"]
)
SECONDS = Histogram(
    "trimtab_http_request_seconds",
    "Time from the first byte of a request to the last of its answer.",
    ["area"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
COOKIE = "trimtab_token"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

Authenticate = Callable[[str | None, str | None], Principal]
Render = Callable[[Exception, str | None], Response]


class Edge:
    """ASGI middleware around the whole application."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        authenticate: Authenticate,
        allowed_hosts: Sequence[str],
        public: Callable[[str], bool],
        renderers: Sequence[tuple[str, Render]] = (),
    ) -> None:
        self._app = app
        self._authenticate = authenticate
        self._allowed_hosts = frozenset(host.lower() for host in allowed_hosts)
        self._public = public
        self._renderers = renderers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = Headers(scope=scope)
        request_id = _request_id(headers.get("x-request-id"))
        scope["app"] = self
        scope["state"] = {**scope.get("state", {}), "request_id": request_id}
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            self._admit(scope, headers)
            await self._app(scope, receive, send_with_id)
        except Exception as error:  # the last place that can answer the caller
            if as_error(error).kind == "bug" and not isinstance(error, HTTPException):
                failures.exception("request failed", extra={"request_id": request_id, "path": scope["path"]})
            if status:
                raise
            await self._render(error, scope["path"], request_id)(scope, receive, send_with_id)
        finally:
            self._record(scope, status, time.perf_counter() - started, request_id)

    def _admit(self, scope: Scope, headers: Headers) -> None:
        host = headers.get("host", "")
        if not self._host_allowed(host):
            raise Forbidden(f"The Host header {host[:100]!r} is not one of this server's names.")
        origin = headers.get("origin")
        if (
            origin is not None
            and scope["method"] not in _SAFE
            and urlsplit(origin).netloc.lower() != host.lower()
        ):
            raise Forbidden("A page of another site may not change anything here.")
        if not self._public(scope["path"]):
            scope["state"]["who"] = self._authenticate(
                headers.get("authorization"), _cookie(headers.get("cookie"))
            )

    def _host_allowed(self, host: str) -> bool:
        if "*" in self._allowed_hosts:
            return True
        name = urlsplit(f"//{host}").hostname
        if name is None:
            return False
        if name in self._allowed_hosts:
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False

    def _render(self, error: Exception, path: str, request_id: str) -> Response:
        status = None
        if isinstance(error, HTTPException):
            status = error.status_code
            error = _from_starlette(error)
        for prefix, render in self._renderers:
            if path.startswith(prefix):
                return render(error, request_id)
        return problem_response(error, request_id, status=status)

    def _record(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        path: str = scope["path"]
        area = "/".join(path.split("/", 4)[:4]) if path.startswith("/api/") else "/ui"
        template = getattr(scope.get("route"), "path", None)
        area = template or (area if status < 400 else "/unknown")
        REQUESTS.labels(scope["method"], area, str(status)).inc()
        SECONDS.labels(area).observe(seconds)
        if log.isEnabledFor(logging.INFO):
            who = scope["state"].get("who")
            log.info(
                "request",
                extra={
                    "request_id": request_id,
                    "method": scope["method"],
                    "path": path,
                    "status": status,
                    "ms": round(seconds * 1000, 2),
                    "who": who.id if who else None,
                },
            )


def _request_id(given: str | None) -> str:
    if given and len(given) <= 64 and given.isascii() and given.replace("-", "").replace("_", "").isalnum():
        return given
    return new_id()


def _cookie(header: str | None) -> str | None:
    if not header:
        return None
    try:
        morsel = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return None
    return morsel.value if morsel else None


def _from_starlette(error: HTTPException) -> TrimtabError:
    match error.status_code:
        case 404:
            return EndpointNotFound("Nothing is at this address.")
        case 405:
            return MethodNotAllowed("This address does not take that method.")
        case _:
            return Invalid(error.detail)


class EndpointNotFound(NotFound):
    """No route has this path."""

    code = "address-not-found"


class MethodNotAllowed(Conflict):
    """A route has this path, but not with this method."""

    code = "method-not-allowed"
