"""The control socket's routes: replace the table, read it, read the counters."""

from collections.abc import Coroutine
from typing import Any

import msgspec

from trimtab.kernel.errors import NotFound, TrimtabError
from trimtab.serving.front import Front
from trimtab.serving.http import TEXT, Answer, MethodNotAllowed, Request, refusal
from trimtab.serving.routes import Applied
from trimtab.serving.segments import SegmentWriter
from trimtab.serving.stats import GatewayState, prometheus
from trimtab.serving.table import LiveTable

_MAX_TABLE_BYTES = 64 * 1024 * 1024
_encode = msgspec.json.Encoder().encode


class Admin:
    """The application behind the Unix socket, which only the gateway's own user can open."""

    def __init__(
        self,
        table: LiveTable,
        front: Front,
        log: SegmentWriter,
        *,
        address: tuple[str, int],
        pid: int,
        started_us: int,
    ) -> None:
        self._table = table
        self._front = front
        self._log = log
        self._address = address
        self._pid = pid
        self._started_us = started_us
        self.grpc_port: int | None = None

    def admit(self, request: Request) -> int:
        del request  # whoever opens this socket may send a whole table
        return _MAX_TABLE_BYTES

    def handle(self, request: Request) -> Answer | Coroutine[Any, Any, Answer]:
        method = request.method.decode("latin-1")
        match method, request.path:
            case "PUT", "/routes":
                return self._replace(request)
            case "GET", "/routes":
                return Answer(200, self._table.route_table or b"null")
            case "GET", "/state":
                return Answer(200, _encode(self.state()))
            case "GET", "/metrics":
                return Answer(200, prometheus(self.state()).encode(), TEXT)
            case _, "/routes" | "/state" | "/metrics":
                return self.refuse(request, MethodNotAllowed(method, "GET"))
            case _:
                return self.refuse(request, NotFound("the control socket has /routes, /state and /metrics"))

    def refuse(self, request: Request | None, error: TrimtabError) -> Answer:
        del request  # one protocol for all
        status, headers = refusal(error)
        problem = {"code": error.code, "detail": error.message, "field": error.field}
        return Answer(status, _encode(problem), headers=headers)

    async def _replace(self, request: Request) -> Answer:
        try:
            problem = await self._table.replace(request.body)
        except TrimtabError as error:
            return self.refuse(request, error)
        return Answer(200, _encode(Applied(self._table.generation, problem)))

    def state(self) -> GatewayState:
        """Return all that this gateway knows of itself."""
        host, port = self._address
        return GatewayState(
            generation=self._table.generation,
            pid=self._pid,
            host=host,
            port=port,
            grpc_port=self.grpc_port,
            started_us=self._started_us,
            draining=self._front.draining,
            endpoints=self._table.state(),
            log_written=self._log.written,
            log_lost=self._log.lost,
            log_problem=self._log.problem,
            shadows_dropped=self._front.shadows_dropped,
        )
