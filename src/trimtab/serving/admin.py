"""The control socket's routes: replace the table, read it, read the counters."""

import msgspec

from trimtab.kernel.errors import NotFound, TrimtabError
from trimtab.serving.front import Front
from trimtab.serving.http import (
    ClientGone,
    MethodNotAllowed,
    Receive,
    Scope,
    Send,
    answer,
    read_body,
    refusal,
)
from trimtab.serving.segments import SegmentWriter
from trimtab.serving.stats import GatewayState, prometheus
from trimtab.serving.table import LiveTable

_MAX_TABLE_BYTES = 64 * 1024 * 1024
_encode = msgspec.json.Encoder().encode


class Applied(msgspec.Struct):
    """What became of a new table: it is served; ``problem`` says why it could not also be put on disk."""

    generation: int
    problem: str = ""


class Admin:
    """The ASGI application behind the Unix socket, which only the gateway's own user can open."""

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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method: str = scope["method"]
        try:
            match method, scope["path"]:
                case "PUT", "/routes":
                    body = await read_body(receive, dict(scope["headers"]), _MAX_TABLE_BYTES)
                    problem = await self._table.replace(body)
                    await answer(send, 200, _encode(Applied(self._table.generation, problem)))
                case "GET", "/routes":
                    await answer(send, 200, self._table.route_table or b"null")
                case "GET", "/state":
                    await answer(send, 200, _encode(self.state()))
                case "GET", "/metrics":
                    await answer(send, 200, prometheus(self.state()).encode(), text=True)
                case _, "/routes" | "/state" | "/metrics":
                    raise MethodNotAllowed(method, "GET")
                case _:
                    raise NotFound("the control socket has /routes, /state and /metrics")
        except ClientGone:
            return
        except TrimtabError as error:
            status, headers = refusal(error)
            problem = {"code": error.code, "detail": error.message, "field": error.field}
            await answer(send, status, _encode(problem), headers)

    def state(self) -> GatewayState:
        """Return all that this gateway knows of itself."""
        host, port = self._address
        return GatewayState(
            generation=self._table.generation,
            pid=self._pid,
            host=host,
            port=port,
            started_us=self._started_us,
            draining=self._front.draining,
            endpoints=self._table.state(),
            log_written=self._log.written,
            log_lost=self._log.lost,
            log_problem=self._log.problem,
            shadows_dropped=self._front.shadows_dropped,
        )
