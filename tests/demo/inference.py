"""A small inference server for the tests of the replay: it answers, remembers, and fails where it is told to."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn


class Inference:
    """An ASGI application that answers v2 requests with 0.25 a row and takes feedback."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[dict[str, Any]] = []
        self.event_us: list[int] = []
        self.feedback: list[dict[str, Any]] = []
        self.status_of: Callable[[int], int] = lambda _: 200
        self.feedback_status_of: Callable[[int], int] = lambda _: 200
        self.delay_s = 0.0
        self.feedback_requests = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = dict(scope["headers"])
        if scope["path"].endswith("/feedback"):
            self.feedback_requests += 1
            status = self.feedback_status_of(self.feedback_requests)
            if status == 200:
                self.feedback += json.loads(body)
            await _answer(send, status, {"accepted": 1})
            return
        at = len(self.requests)
        request = json.loads(body)
        self.requests.append(request)
        self.event_us.append(int(headers[b"x-event-time"]))
        await asyncio.sleep(self.delay_s)
        status = self.status_of(at)
        rows = request["inputs"][0]["shape"][0]
        output = {"name": "predictions", "shape": [rows], "datatype": "FP64", "data": [0.25] * rows}
        named = [(b"x-prediction-id", f"p{at:06d}".encode()), (b"x-model-version", b"3")]
        await _answer(send, status, {"outputs": [output]} if status == 200 else {"error": "no"}, named)


async def _answer(send: Any, status: int, content: Any, headers: Any = ()) -> None:
    body = json.dumps(content).encode()
    given = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": given})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def running(app: Inference) -> AsyncIterator[Inference]:
    """Serve it on a free port."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    app.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield app
    finally:
        server.should_exit = True
        await task
