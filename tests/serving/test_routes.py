"""The route table's rules, the split, access, and the MLmodel signature's translation."""

import asyncio
import hashlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from tests.serving.conftest import ABC
from trimtab.kernel.errors import Forbidden, Invalid, TrimtabError, Unauthenticated
from trimtab.kernel.ids import new_id
from trimtab.serving import compiled, descriptions, routes
from trimtab.serving.access import Access
from trimtab.serving.addresses import ADDRESSES, find
from trimtab.serving.errors import NoReplica, VersionNotFound
from trimtab.serving.http import Request
from trimtab.serving.links import Replicas
from trimtab.serving.routes import Auth, Endpoint, Field, RouteTable, Signature, Token, Version, signature_of
from trimtab.serving.schema import Schema
from trimtab.serving.table import LiveEndpoint, LiveTable, LiveVersion


def table(*versions: Version, **more: object) -> RouteTable:
    return RouteTable(1, Auth(open=True), {"m": Endpoint(list(versions), **more)})  # type: ignore[arg-type]


def test_a_table_survives_the_wire() -> None:
    before = table(
        Version("1", "m/1", 90, "champion", ["/s"]), Version("2", "m/2", 10, "challenger"), signature=ABC
    )
    assert routes.decode(msgspec.json.encode(before)) == before


@pytest.mark.parametrize(
    ("wrong", "field", "message"),
    [
        (
            table(Version("1", "m", 1, "champion"), Version("1", "m", 1, "warm")),
            "endpoints.m.versions.1",
            "twice",
        ),
        (
            table(Version("1", "m", 1, "champion"), Version("2", "m", 1, "champion")),
            "endpoints.m.versions",
            "one champ",
        ),
        (table(Version("1", "m", -1, "champion")), "endpoints.m.versions.1", "from 0"),
        (table(Version("1", "m", 1, "warm")), "endpoints.m.versions.1", "weight 0"),
        (table(Version("1", "m", 101, "shadow")), "endpoints.m.versions.1", "percentage"),
        (table(Version("a b", "m", 1, "champion")), "endpoints.m.versions.a b", "letters"),
        (table(timeout_ms=0), "endpoints.m", "at least 1"),
        (table(signature=Signature([Field("a", "complex")])), "endpoints.m.signature.a", "not one of"),
        (
            table(signature=Signature([Field("a", "long"), Field("a", "long")])),
            "endpoints.m.signature.a",
            "twice",
        ),
        (RouteTable(1, Auth(open=True), {"a/b": Endpoint([])}), "endpoints.a/b", "letters"),
    ],
)
def test_a_table_that_breaks_a_rule_is_refused(wrong: RouteTable, field: str, message: str) -> None:
    with pytest.raises(Invalid, match=message) as caught:
        routes.decode(msgspec.json.encode(wrong))
    assert caught.value.field == field


def test_a_table_with_unknown_fields_or_roles_is_refused() -> None:
    with pytest.raises(Invalid, match="unknown field `extra`"):
        routes.decode(b'{"generation": 1, "auth": {"open": true}, "endpoints": {}, "extra": 1}')
    with pytest.raises(Invalid, match="Invalid enum value 'king'"):
        routes.decode(
            b'{"generation": 1, "auth": {"open": true}, "endpoints": {"m": {"versions": '
            b'[{"version": "1", "model": "m", "weight": 1, "role": "king"}]}}}'
        )


def test_signatures_of_mlmodel_files() -> None:
    columns = signature_of(
        {
            "inputs": '[{"type": "double", "name": "x", "required": false}, {"type": "string", "name": "s"},'
            ' {"type": {"type": "array"}, "name": "deep"}]',
            "outputs": '[{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]',
        }
    )
    assert columns == Signature(
        [Field("x", "double", required=False), Field("s", "string"), Field("deep", "any")],
        [Field("0", "long")],
    )
    matrix = signature_of(
        {"inputs": '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}]'}
    )
    assert matrix == Signature(
        [Field("0", "double", required=False), Field("1", "double", required=False)], tensor=True
    )
    image = signature_of(
        {"inputs": '[{"type": "tensor", "tensor-spec": {"dtype": "uint8", "shape": [-1, 28, 28]}}]'}
    )
    assert image == Signature([Field("0", "integer", shape=[28, 28])])
    assert signature_of(None) is None
    assert signature_of({"outputs": "[]"}) is None


async def live(*versions: Version) -> LiveEndpoint:
    replicas = Replicas()
    made = {version.version: LiveVersion("m", version, replicas) for version in versions}
    replicas.close()
    return LiveEndpoint("m", Endpoint(list(versions)), made, Schema(None))


def test_the_split_follows_the_weights_and_is_the_same_for_the_same_id() -> None:
    endpoint = asyncio.run(
        live(
            Version("1", "m", 7, "champion"),
            Version("2", "m", 3, "challenger"),
            Version("3", "m", 0, "warm"),
            Version("4", "m", 100, "shadow"),
        )
    )
    ids = [new_id() for _ in range(20_000)]
    chosen = [endpoint.choose(prediction_id).route.version for prediction_id in ids]
    assert [endpoint.choose(prediction_id).route.version for prediction_id in ids] == chosen
    counts = Counter(chosen)
    assert set(counts) == {"1", "2"}
    assert abs(counts["2"] / len(ids) - 0.3) < 0.02  # six standard errors


def test_shadows_get_their_percentage_independently_of_the_split() -> None:
    endpoint = asyncio.run(
        live(
            Version("1", "m", 50, "champion"),
            Version("2", "m", 50, "challenger"),
            Version("all", "m", 100, "shadow"),
            Version("some", "m", 20, "shadow"),
            Version("none", "m", 0, "shadow"),
        )
    )
    ids = [new_id() for _ in range(20_000)]
    copies = Counter(version.route.version for i in ids for version in endpoint.shadowed_by(i))
    assert copies["all"] == len(ids)
    assert abs(copies["some"] / len(ids) - 0.2) < 0.02
    assert copies["none"] == 0
    both = [
        endpoint.choose(i).route.version
        for i in ids
        if any(version.route.version == "some" for version in endpoint.shadowed_by(i))
    ]
    assert abs(both.count("2") / len(both) - 0.5) < 0.05


def test_an_endpoint_without_traffic_says_so() -> None:
    endpoint = asyncio.run(live(Version("1", "m", 0, "warm")))
    with pytest.raises(NoReplica, match="no version that takes traffic"):
        endpoint.choose("x")
    with pytest.raises(VersionNotFound, match="no version '2'"):
        endpoint.version("2")


def test_tokens() -> None:
    digest = hashlib.sha256(b"secret").hexdigest()
    old = hashlib.sha256(b"old").hexdigest()
    access = Access(
        Auth(open=False, tokens={digest: Token("ada", "viewer"), old: Token("bob", "admin", expires_us=1)})
    )
    assert access.check({b"authorization": b"Bearer secret"}).principal == "ada"
    assert access.check({b"authorization": b"Basic YW55Ym9keTpzZWNyZXQ="}).principal == "ada"
    for wrong in (
        {},
        {b"authorization": b"Bearer no"},
        {b"authorization": b"Basic !"},
        {b"authorization": b"Bearer"},
    ):
        with pytest.raises(Unauthenticated):
            access.check(wrong)
    with pytest.raises(Unauthenticated, match="expired"):
        access.check({b"authorization": b"Bearer old"})
    with pytest.raises(Forbidden, match="viewer"):
        access.check({b"authorization": b"Bearer secret"}, write=True)


@pytest.mark.parametrize(
    "host", [b"localhost:5001", b"127.0.0.1:5001", b"[::1]:5001", b"m.localhost", b"10.1.2.3"]
)
def test_an_open_gateway_answers_to_addresses_and_localhost(host: bytes) -> None:
    access = Access(Auth(open=True))
    assert access.check({b"host": host, b"origin": b"http://" + host}).role == "admin"


@pytest.mark.parametrize(
    "headers",
    [
        {b"host": b"evil.example:5001"},
        {b"host": b"localhost.evil.example"},
        {},
        {b"host": b"localhost:5001", b"origin": b"http://evil.example"},
        {b"host": b"localhost:5001", b"origin": b"null"},
    ],
)
def test_an_open_gateway_refuses_other_sites(headers: dict[bytes, bytes]) -> None:
    with pytest.raises(Forbidden):
        Access(Auth(open=True)).check(headers)


def test_a_table_on_a_full_disk_is_served_all_the_same(tmp_path: Path) -> None:
    async def replace() -> tuple[str, int]:
        replicas = Replicas()
        (tmp_path / "routes.json.new").mkdir()  # stands in the way of writing, as a full disk does
        served = LiveTable(replicas, tmp_path, load=compiled.loader(ThreadPoolExecutor(1)))
        problem = await served.replace(msgspec.json.encode(table(Version("1", "m", 1, "champion"))))
        replicas.close()
        return problem, served.generation

    problem, generation = asyncio.run(replace())
    assert "directory" in problem
    assert generation == 1


def test_an_endpoint_without_versions_is_described_or_not_found(tmp_path: Path) -> None:
    async def describe() -> list[int]:
        replicas = Replicas()
        served = LiveTable(replicas, tmp_path, load=compiled.loader(ThreadPoolExecutor(1)))
        await served.replace(msgspec.json.encode(table()))
        statuses: list[int] = []
        for address in ADDRESSES:
            if (
                address.method == "GET"
                and "{version}" not in address.template
                and "{label}" not in address.template
            ):
                path = address.template.replace("{name}", "m")
                target, request = find("GET", path), Request(b"GET", path.encode(), path, "", {})
                try:
                    statuses.append(descriptions.describe(served, request, target, draining=False).status)
                except TrimtabError as error:
                    statuses.append(404 if error.kind == "not-found" else 500)
        replicas.close()
        return statuses

    assert set(asyncio.run(describe())) <= {200, 404, 503}
