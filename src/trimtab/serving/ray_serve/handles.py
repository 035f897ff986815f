"""Ray Serve's deployments in the place of replicas' sockets: the pools of versions call them in the same words.

A handle stands for all replicas of a deployment, among which Ray chooses; time-outs, the one retry after a replica went
away, and circuits stay with the pool.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from trimtab.serving.frames import Answer, Call, Hello, decode_answer, decode_hello, encode
from trimtab.serving.links import Link, LinkBroken, Replica, Replicas

_FIRST_RETRY_S = 0.1
_LAST_RETRY_S = 2.0


class HandleLink(Link):
    """What looks like a connection: each call is one of the deployment's."""

    def __init__(self, handle: Any, hello: Hello) -> None:
        super().__init__(lambda _: None, lambda _: None)
        self.hello = hello
        self._handle = handle
        self._tasks: set[asyncio.Task[None]] = set()

    def call(
        self, rows: int, want: int, *, packed: bytes | None, columns: bytes | None, deadline: float
    ) -> asyncio.Future[Answer]:
        self._next += 1
        future: asyncio.Future[Answer] = self._loop.create_future()
        self.waiting[self._next] = (future, deadline)
        task = self._loop.create_task(self._ask(Call(self._next, rows, want, packed, columns), future))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return future

    async def _ask(self, call: Call, future: asyncio.Future[Answer]) -> None:
        try:
            asked: Any = self._handle.call.remote(encode(call))
            waiting = asyncio.ensure_future(_result(asked))
            await asyncio.wait((waiting, future), return_when=asyncio.FIRST_COMPLETED)
            if future.done():  # its time was up: the sweeper has said so
                waiting.cancel()
                with suppress(Exception):
                    asked.cancel()
                return
            if waiting.cancelled():  # by Ray
                future.set_exception(LinkBroken())
                return
            future.set_result(decode_answer(waiting.result()))
        except Exception:  # noqa: BLE001 - Ray has many, and each means that the replica did not answer
            if not future.done():
                future.set_exception(LinkBroken())
        finally:
            self.waiting.pop(call.call, None)

    def drain(self) -> None:
        """Do nothing: calls end by themselves."""


async def _result(asked: Any) -> bytes:
    return await asked


class HandleReplica(Replica):
    """A deployment, usable once one of its replicas has said what it takes."""

    def __init__(self, path: str, links: set[Link], *, handle: Any) -> None:
        self._handle = handle
        super().__init__(path, links)

    async def _keep(self) -> None:
        pause_s = _FIRST_RETRY_S
        while True:
            try:
                hello = decode_hello(await self._handle.hello.remote())
            except Exception:  # noqa: BLE001 - whatever Ray says, its replicas are still starting
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _LAST_RETRY_S)
            else:
                self._up(HandleLink(self._handle, hello))
                return


class HandleReplicas(Replicas):
    """The deployments of an endpoint, by the places that its route table names."""

    def __init__(self, handles: Mapping[str, Any]) -> None:
        super().__init__()
        self._handles = handles

    def _make(self, path: str) -> Replica:
        return HandleReplica(path, self._links, handle=self._handles[path])
