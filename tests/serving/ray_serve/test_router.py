"""The router over deployments that are stood in for here: Ray itself is tried by `make ray`."""

import asyncio
import gc
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from trimtab.kernel.errors import Invalid
from trimtab.serving.batch import Output
from trimtab.serving.frames import PROTOCOL, Answer, Hello, decode_call, decode_columns, encode
from trimtab.serving.ray_serve.router import Router
from trimtab.serving.ray_serve.spec import Arguments, Member
from trimtab.serving.routes import Field, Signature

SIGNATURE = Signature([Field("a", "double"), Field("b", "string")])
ROW = b'{"dataframe_records": [{"a": 2.0, "b": "x"}]}'
PATH = "/endpoints/scans/invocations"
SPLIT = {"1": {"weight": 75, "role": "champion"}, "2": {"weight": 25, "role": "challenger"}}

Doing = Callable[[Answer], Awaitable[Answer]]


async def _at_once(answer: Answer) -> Answer:
    return answer


class Method:
    """A deployment's method as a handle offers it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.remote = function


class Deployment:
    """Answers with its number times the column a, after whatever ``doing`` does with the answer."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.doing: Doing = _at_once
        self.called = 0
        self.hello = Method(self._hello)
        self.call = Method(self._call)

    async def _hello(self) -> bytes:
        return encode(Hello(PROTOCOL, ("a", "b"), False, "rule", 1))

    async def _call(self, body: bytes) -> bytes:
        self.called += 1
        call = decode_call(body)
        values = [value * self.times for value in decode_columns(call.columns or b"")["a"]]
        return encode(
            await self.doing(Answer(call.call, [Output("predictions", "FP64", [call.rows], values)]))
        )


class Fixture:
    """A router and its two deployments."""

    def __init__(self) -> None:
        self.first, self.second = Deployment(10), Deployment(100)
        arguments = Arguments("scans", "tumours", {"1": Member("versions/1"), "2": Member("versions/2")})
        self.router = Router(
            msgspec.json.encode(arguments),
            msgspec.json.encode(SIGNATURE),
            {"1": self.first, "2": self.second},
        )

    async def ask(
        self, path: str = PATH, body: bytes = ROW, *, method: str = "POST", **headers: str
    ) -> tuple[int, Any, dict[str, str]]:
        sent: list[Any] = []
        given = {"content-type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}

        async def receive() -> Any:
            return {"type": "http.request", "body": body}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        }
        await self.router.answer(scope, receive, send)
        start, content = sent
        told = {name.decode(): value.decode() for name, value in start["headers"]}
        body = content["body"]
        return start["status"], msgspec.json.decode(body) if body.startswith(b"{") else body, told

    async def up(self) -> None:
        while (await self.ask("/ping", method="GET"))[0] != 200:  # noqa: ASYNC110 - as a probe does
            await asyncio.sleep(0.01)


def tried(test: Callable[[Fixture], Awaitable[None]], **traffic: Any) -> None:
    """Run a test on the router's loop, with this traffic."""

    async def run() -> None:
        fixture = Fixture()
        await fixture.router.reconfigure({"versions": SPLIT, **traffic})
        await fixture.up()
        await test(fixture)

    asyncio.run(run())


def test_requests_split_by_weight_and_keys_stay() -> None:
    async def test(fixture: Fixture) -> None:
        met = Counter([(await fixture.ask())[2]["x-model-version"] for _ in range(400)])
        assert abs(met["1"] - 300) < 60, met  # seven standard deviations
        for key in ("me", "you", "they"):
            versions = {(await fixture.ask(x_routing_key=key))[2]["x-model-version"] for _ in range(5)}
            assert len(versions) == 1
        assert (await fixture.ask(x_model_version="2"))[1] == {"predictions": [200.0]}

    tried(test)


def test_shares_change_while_it_runs() -> None:
    async def test(fixture: Fixture) -> None:
        await fixture.router.reconfigure({"versions": {"2": {"weight": 100, "role": "champion"}}})
        assert {(await fixture.ask())[2]["x-model-version"] for _ in range(20)} == {"2"}
        assert (await fixture.ask(x_model_version="1"))[0] == 404
        await fixture.router.reconfigure({"versions": SPLIT})
        await fixture.up()
        assert (await fixture.ask(x_model_version="1"))[0] == 200

    tried(test)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"versions": {"3": {"weight": 1, "role": "champion"}}}, "version 3 is not in this application"),
        ({"versions": {"1": {"weight": -1, "role": "champion"}}}, "weight"),
        ({"versions": {"1": {"weight": 1, "role": "chief"}}}, "chief"),
        ({"versions": SPLIT, "timeout": 5}, "timeout"),
        ({}, "versions"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused_and_the_last_one_stays(
    config: dict[str, Any], says: str
) -> None:
    async def test(fixture: Fixture) -> None:
        with pytest.raises(Invalid, match=says):
            await fixture.router.reconfigure(config)
        assert (await fixture.ask())[0] == 200

    tried(test)


def test_rows_are_checked_before_a_deployment_is_asked() -> None:
    async def test(fixture: Fixture) -> None:
        status, said, _ = await fixture.ask(body=b'{"dataframe_records": [{"a": "y", "b": "x"}]}')
        assert status == 400
        assert "'a'" in said["message"]
        assert fixture.first.called + fixture.second.called == 0
        status, said, _ = await fixture.ask("/v2/models/scans/infer", b"[]")
        assert status == 400

    tried(test)


def test_a_replica_that_goes_away_is_asked_for_once_more() -> None:
    async def test(fixture: Fixture) -> None:
        broken = [1]

        async def once(answer: Answer) -> Answer:
            if broken:
                broken.pop()
                raise ConnectionError("the actor died")
            return answer

        fixture.first.doing = once
        assert (await fixture.ask(x_model_version="1"))[1] == {"predictions": [20.0]}
        assert fixture.first.called == 2

        async def always(answer: Answer) -> Answer:
            raise ConnectionError("the actor died")

        fixture.first.doing = always
        assert (await fixture.ask(x_model_version="1"))[0] == 503
        assert (await fixture.ask(x_model_version="2"))[0] == 200

    tried(test)


def test_a_call_that_ray_does_not_make_is_no_time_out() -> None:
    async def test(fixture: Fixture) -> None:
        async def cancelled(answer: Answer) -> Answer:
            raise asyncio.CancelledError

        fixture.first.doing = cancelled
        assert (await fixture.ask(x_model_version="1"))[0] == 503

        def refused(body: bytes) -> Any:
            raise RuntimeError("too many calls wait for the deployment")

        fixture.first.call.remote = refused
        assert (await fixture.ask(x_model_version="1"))[0] == 503

    tried(test, timeout_ms=5000)


def test_a_model_that_hangs_meets_the_time_out() -> None:
    async def test(fixture: Fixture) -> None:
        async def never(answer: Answer) -> Answer:
            await asyncio.Event().wait()
            return answer

        fixture.first.doing = never
        assert (await fixture.ask(x_model_version="1"))[0] == 504

    tried(test, timeout_ms=100)


def test_faults_are_told_apart() -> None:
    async def test(fixture: Fixture) -> None:
        async def fault(answer: Answer) -> Answer:
            return Answer(answer.call, fault="input", message="column 'b' is no colour")

        fixture.first.doing = fault
        status, said, _ = await fixture.ask(x_model_version="1")
        assert (status, said["message"]) == (400, "column 'b' is no colour")

    tried(test)


def test_a_key_is_asked_for_where_digests_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import hashlib

    monkeypatch.setenv("TRIMTAB_TOKEN_DIGESTS", hashlib.sha256(b"secret").hexdigest())

    async def test(fixture: Fixture) -> None:
        assert (await fixture.ask())[0] == 401
        assert (await fixture.ask(authorization="Bearer wrong"))[0] == 401
        assert (await fixture.ask(authorization="Bearer secret"))[0] == 200

    tried(test)


def test_limits_hold() -> None:
    async def test(fixture: Fixture) -> None:
        statuses = [(await fixture.ask())[0] for _ in range(4)]
        assert statuses == [200, 200, 429, 429]

    tried(test, policies={"rate": {"requests": 2, "window_s": 3600}}, max_body_bytes=100)


def test_a_shadow_gets_copies() -> None:
    async def test(fixture: Fixture) -> None:
        await fixture.ask()
        while not fixture.second.called:  # noqa: ASYNC110 - a copy is nobody's event
            await asyncio.sleep(0.01)
        assert fixture.first.called == 1

    shadow = {"1": {"weight": 100, "role": "champion"}, "2": {"weight": 100, "role": "shadow"}}
    tried(test, versions=shadow)


def test_what_a_router_wrote_goes_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def written() -> bool:
        return any(tmp_path.rglob("*.open"))

    async def test(fixture: Fixture) -> None:
        await fixture.ask()
        assert written()

    tried(test)
    gc.collect()
    assert [*tmp_path.iterdir()] == []
