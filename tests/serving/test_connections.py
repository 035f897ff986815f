"""HTTP/1.1 as the gateway speaks it, byte by byte over real sockets."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from trimtab.kernel.errors import NotFound, TrimtabError
from trimtab.kernel.sockets import listen
from trimtab.serving.connections import MAX_HEAD_BYTES, MAX_WAITING, HttpServer
from trimtab.serving.http import Answer, Request, refusal

LIMIT = 1000


class Echo:
    """Answers with what it was asked: at once, or later where the path says so."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()

    def admit(self, request: Request) -> int:
        if request.path == "/missing":
            raise NotFound("not here")
        return LIMIT

    def handle(self, request: Request) -> Answer | Coroutine[Any, Any, Answer]:
        if request.path == "/bug":
            raise RuntimeError("a bug")
        if request.path == "/later":
            return self._later(request)
        return self._echo(request)

    def refuse(self, request: Request | None, error: TrimtabError) -> Answer:
        status, headers = refusal(error)
        return Answer(status, json.dumps({"error": error.message}).encode(), headers=headers)

    async def _later(self, request: Request) -> Answer:
        await self.may_answer.wait()
        return self._echo(request)

    def _echo(self, request: Request) -> Answer:
        said = [request.method.decode(), request.path, request.query, request.body.decode("latin-1")]
        return Answer(200, json.dumps(said).encode())


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter, HttpServer, Echo], Awaitable[Any]]


def talk(say: Talk, **limits: Any) -> Any:
    """Run a conversation with a server of its own."""

    async def run() -> Any:
        echo = Echo()
        server = HttpServer(echo, **limits)
        listener = listen("127.0.0.1", 0)
        await server.listen(listener)
        reader, writer = await asyncio.open_connection(*listener.getsockname()[:2])
        try:
            async with asyncio.timeout(20):
                return await say(reader, writer, server, echo)
        finally:
            writer.close()
            await server.drain(1)

    return asyncio.run(run())


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """Read one whole answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    return int(head[0].split()[1]), headers, await reader.readexactly(int(headers.get("content-length", 0)))


def exchange(sent: bytes, *, answers: int = 1, **limits: float) -> list[tuple[int, dict[str, str], bytes]]:
    """Send bytes and return the answers to them."""

    async def say(reader: Any, writer: Any, _server: HttpServer, _echo: Echo) -> Any:
        writer.write(sent)
        return [await answer(reader) for _ in range(answers)]

    return talk(say, **limits)


def test_requests_on_one_connection_are_answered_in_order() -> None:
    """Also where they were sent ahead, and where the first answer takes its time."""

    async def say(reader: Any, writer: Any, _server: HttpServer, echo: Echo) -> Any:
        many = MAX_WAITING + 20
        writer.write(b"GET /later HTTP/1.1\r\n\r\n")
        for at in range(many):
            writer.write(b"POST /%d?q=1 HTTP/1.1\r\ncontent-length: 2\r\n\r\nab" % at)
        await asyncio.sleep(0.05)
        echo.may_answer.set()
        return [json.loads((await answer(reader))[2])[1] for _ in range(many + 1)]

    assert talk(say) == ["/later", *(f"/{at}" for at in range(MAX_WAITING + 20))]


@pytest.mark.parametrize("cut", [1, 7, 30])
def test_a_request_may_come_in_any_pieces(cut: int) -> None:
    sent = b"POST http://h/a%20b?x=%31 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"

    async def say(reader: Any, writer: Any, _server: HttpServer, _echo: Echo) -> Any:
        for at in range(0, len(sent), cut):
            writer.write(sent[at : at + cut])
            await writer.drain()
            await asyncio.sleep(0)
        return await answer(reader)

    status, headers, body = talk(say)
    assert (status, json.loads(body)) == (200, ["POST", "/a b", "x=%31", "abcde"])
    assert "date" in headers


def test_heads_and_old_clients_are_served() -> None:
    status, headers, _ = talk(_head)
    assert (status, headers["connection"]) == (200, "close")


async def _head(reader: Any, writer: Any, _server: HttpServer, _echo: Echo) -> Any:
    writer.write(b"HEAD /x HTTP/1.0\r\n\r\n")
    head = await reader.read()
    lines = head.decode().split("\r\n")
    assert head.endswith(b"\r\n\r\n"), "a HEAD has no body"
    return int(lines[0].split()[1]), dict(line.split(": ", 1) for line in lines[1:] if line), b""


def test_a_client_that_asks_first_is_told_to_go_on_or_why_not() -> None:
    async def say(reader: Any, writer: Any, _server: HttpServer, _echo: Echo) -> Any:
        writer.write(b"POST /x HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"ok")
        return await answer(reader)

    assert json.loads(talk(say)[2])[3] == "ok"
    ask = b"POST /missing HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n"
    assert exchange(ask)[0][0] == 404


def test_a_refused_request_leaves_the_connection_usable() -> None:
    sent = b"POST /missing HTTP/1.1\r\ncontent-length: 3\r\n\r\nabcGET /x HTTP/1.1\r\n\r\n"
    assert [status for status, _, _ in exchange(sent, answers=2)] == [404, 200]


def test_a_bug_is_answered_and_the_connection_lives_on(capfd: pytest.CaptureFixture[str]) -> None:
    found = exchange(b"GET /bug HTTP/1.1\r\n\r\nGET /x HTTP/1.1\r\n\r\n", answers=2)
    assert [status for status, _, _ in found] == [500, 200]
    assert "a bug" in capfd.readouterr().err
    assert b"a bug" not in found[0][2]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"POST /x HTTP/1.1\r\ncontent-length: 1001\r\n\r\n", 413),
        (b"POST /x HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1001, 413),
        (b"POST /x HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n", 400),
        (b"GET /x HTTP/1.1\r\nbad header\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00", 400),
        (b"GET /x HTTP/1.1\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n", 200),
        (b"GET /x HTTP/1.1\r\na: " + b"b" * (MAX_HEAD_BYTES + 10), 431),
    ],
)
def test_what_cannot_go_on_is_answered_once_and_closed(sent: bytes, status: int) -> None:
    async def say(reader: Any, writer: Any, _server: HttpServer, _echo: Echo) -> Any:
        writer.write(sent)
        found = await answer(reader)
        assert await reader.read() == b""
        return found

    found = talk(say)
    assert (found[0], found[1]["connection"]) == (status, "close")


def test_who_sends_slowly_is_cut_off_and_who_rests_is_closed_silently() -> None:
    async def slow(reader: Any, writer: Any, _server: HttpServer, _echo: Echo) -> Any:
        writer.write(b"POST /x HTTP/1.1\r\ncontent-length: 9\r\n\r\nab")
        return (await answer(reader))[0]

    async def resting(reader: Any, _writer: Any, _server: HttpServer, _echo: Echo) -> Any:
        return await reader.read()

    assert talk(slow, request_s=0.1) == 408
    assert talk(resting, keep_alive_s=0.1) == b""


def test_draining_answers_what_is_under_way_and_then_closes() -> None:
    async def say(reader: Any, writer: Any, server: HttpServer, echo: Echo) -> Any:
        writer.write(b"GET /later HTTP/1.1\r\n\r\n")
        await asyncio.sleep(0.05)
        draining = asyncio.create_task(server.drain(10))
        await asyncio.sleep(0.05)
        echo.may_answer.set()
        found = await answer(reader)
        await draining
        assert await reader.read() == b""
        return found

    status, headers, _ = talk(say)
    assert (status, headers["connection"]) == (200, "close")


def test_what_is_to_be_written_is_written_before_any_answer_of_the_turn_leaves() -> None:
    order: list[str] = []

    async def say(reader: Any, writer: Any, server: HttpServer, _echo: Echo) -> Any:
        class Told:
            """Stands for a transport, and says when it was written to."""

            def is_closing(self) -> bool:
                return False

            def write(self, _: bytes) -> None:
                order.append("sent")

        server.send(Told(), b"a", last=False)  # pyright: ignore[reportArgumentType]
        server.send(Told(), b"b", last=False)  # pyright: ignore[reportArgumentType]
        writer.write(b"GET /x HTTP/1.1\r\n\r\n")
        return await answer(reader)

    assert talk(say, before_sending=lambda: order.append("written"))[0] == 200
    assert order[:3] == ["written", "sent", "sent"]
