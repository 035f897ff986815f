"""The inference port as an ASGI application: the same answers as over its own connections."""

import asyncio
from typing import Any

from trimtab.kernel.errors import Invalid
from trimtab.serving.asgi import AsgiApplication
from trimtab.serving.http import Answer, Request, refusal

LIMIT = 10


class Echo:
    """Answers with what it was asked; a path says how."""

    def admit(self, request: Request) -> int:
        if request.path == "/refused":
            raise Invalid("no")
        return LIMIT

    def handle(self, request: Request) -> Any:
        if request.path == "/bug":
            raise KeyError("bug")
        parts = (request.method, request.url, request.path.encode(), request.query.encode(), request.body)
        answer = Answer(200, b" ".join(parts), b"text/plain", ((b"x-a", request.headers[b"host"]),))
        return later(answer) if request.path == "/later" else answer

    def refuse(self, request: Request | None, error: Any) -> Answer:
        return Answer(refusal(error)[0], error.message.encode())


async def later(answer: Answer) -> Answer:
    await asyncio.sleep(0)
    return answer


def ask(
    path: str, *body: bytes, method: str = "POST", root: str = "", query: bytes = b"", said: int | None = None
) -> tuple[int, bytes, dict[bytes, bytes]]:
    """Return the status, the body and the headers of an answer; without a status, 0."""
    sent: list[Any] = []
    waiting = [
        {"type": "http.request", "body": one, "more_body": at < len(body) - 1} for at, one in enumerate(body)
    ]
    headers = [(b"host", b"h"), *([(b"content-length", b"%d" % said)] if said is not None else [])]

    async def receive() -> Any:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "root_path": root,
        "query_string": query,
        "headers": headers,
    }
    asyncio.run(AsgiApplication(Echo())(scope, receive, send))
    if not sent:
        return 0, b"", {}
    start, content = sent
    return start["status"], content["body"], dict(start["headers"])


def test_a_request_comes_whole_and_its_answer_leaves_whole() -> None:
    status, content, headers = ask("/a b", b"12", b"34", query=b"x=1")
    assert (status, content) == (200, b"POST /a b?x=1 /a b x=1 1234")
    assert headers[b"content-length"] == b"%d" % len(content)
    assert headers[b"content-type"] == b"text/plain"
    assert headers[b"x-a"] == b"h"
    assert ask("/later", b"1")[0] == 200


def test_where_a_server_mounts_it_is_no_part_of_the_path() -> None:
    assert b" /v2/x " in ask("/scans/v2/x", b"", root="/scans")[1]
    assert b" / " in ask("/scans", b"", root="/scans")[1]
    assert b" /scansmore " in ask("/scansmore", b"", root="/scans")[1]
    assert b" /v2/x " in ask("/v2/x", b"", root="/scans")[1]


def test_a_head_has_headers_alone() -> None:
    status, content, headers = ask("/a", b"", method="HEAD")
    assert (status, content) == (200, b"")
    assert int(headers[b"content-length"]) > 0


def test_what_cannot_be_answered_is_refused() -> None:
    assert ask("/refused", b"1")[:2] == (400, b"no")
    assert ask("/a", b"x" * 11)[0] == 413
    assert ask("/a", b"x" * 6, b"x" * 5, b"x" * 99)[0] == 413
    assert ask("/a", said=11)[0] == 413  # by what it says, before anything is read
    assert ask("/a", b"x" * 10, said=10)[0] == 200
    assert ask("/bug", b"1")[0] == 500


def test_who_left_is_not_answered() -> None:
    assert ask("/a")[0] == 0


def test_the_server_tells_of_its_start_and_end() -> None:
    notices = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: list[str] = []

    async def receive() -> Any:
        return notices.pop(0)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    asyncio.run(AsgiApplication(Echo())({"type": "lifespan"}, receive, send))
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    asyncio.run(AsgiApplication(Echo())({"type": "websocket"}, receive, send))
    assert sent[-1] == "websocket.close"
