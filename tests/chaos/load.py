"""Callers of an endpoint on kept connections, who note every answer that is not what it should be."""

import asyncio
import threading
import time
from collections import Counter
from typing import Any, Self

import msgspec


class Load:
    """Clients that ask and ask until they are stopped, in a thread of their own."""

    def __init__(
        self,
        port: int,
        endpoint: str,
        rows: list[dict[str, Any]],
        *,
        clients: int = 8,
        pause_s: float = 0.004,
    ) -> None:
        self.versions: Counter[str] = Counter()
        self.failures: list[str] = []
        self.slowest_s = 0.0
        self._port = port
        self._rows = len(rows)
        self._clients = clients
        self._pause_s = pause_s
        body = msgspec.json.encode({"dataframe_records": rows})
        self._request = (
            b"POST /endpoints/%s/invocations HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\n\r\n%s" % (endpoint.encode(), len(body), body)
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def answered(self) -> int:
        return self.versions.total()

    async def _run(self) -> None:
        await asyncio.gather(*(self._ask() for _ in range(self._clients)))

    async def _ask(self) -> None:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            while not self._stop.is_set():
                asked = time.monotonic()
                writer.write(self._request)
                head = await reader.readuntil(b"\r\n\r\n")
                fields = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:] if line)
                content = await reader.readexactly(int(fields["content-length"]))
                self.slowest_s = max(self.slowest_s, time.monotonic() - asked)
                self._note(head, fields, content)
                await asyncio.sleep(self._pause_s)
            writer.close()
        except (OSError, EOFError) as error:
            self.failures.append(f"the connection broke: {error!r}")

    def _note(self, head: bytes, fields: dict[str, str], content: bytes) -> None:
        status = head.split(b" ", 2)[1]
        found = msgspec.json.decode(content)
        if status == b"200" and len(found.get("predictions", ())) == self._rows:
            self.versions[fields["x-model-version"]] += 1
        else:
            self.failures.append(f"{status.decode()}: {content[:200]!r}")
