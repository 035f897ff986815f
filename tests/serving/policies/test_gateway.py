"""Policies as clients meet them: real gateways, real replicas, real sockets, and the raw bytes of the log."""

import hashlib
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serving.conftest import OPEN, Plane
from trimtab.serving.policies.settings import FieldRule, Policies, Quota, Rate
from trimtab.serving.records import Prediction
from trimtab.serving.routes import Auth, Endpoint, Field, RouteTable, Signature, Token, Version

PERSON = Signature(
    inputs=[
        Field("a", "double"),
        Field("email", "string", required=False),
        Field("born", "string", required=False),
        Field("age", "long", required=False),
        Field("ssn", "string", required=False),
    ]
)
ASLEEP = """
import sys, time
from pathlib import Path
from trimtab.serving.batch import Output
from trimtab.kernel.process import die_with_parent
from trimtab.serving.replica import Replica, listen

class Model:
    flavor, names, packed, row_wise, input_errors = "test", ("a",), False, True, (ValueError,)
    answered = 0

    def predict(self, rows, want):
        value = float(rows.columns["a"][0])
        if value < 0:
            time.sleep(-value)
        Model.answered += 1
        return [Output("predictions", "INT64", [rows.count], [Model.answered] * rows.count)]

die_with_parent(parent=int(sys.argv[2]))
Replica(Model(), listen(Path(sys.argv[1]))).run()
"""
"""Sleeps as long as a negative input says, and answers with how often it was asked."""


@pytest.fixture
def ask(plane: Plane) -> Callable[..., tuple[int, Any, dict[str, str]]]:
    """Ask an endpoint with one row."""

    def ask(
        value: Any = 1.0, *, name: str = "m", headers: dict[str, str] | None = None, **row: Any
    ) -> tuple[int, Any, dict[str, str]]:
        body = {"dataframe_records": [{"a": value, "b": 2, **row}]}
        return plane.request("POST", f"/endpoints/{name}/invocations", body, headers)

    return ask


Ask = Callable[..., tuple[int, Any, dict[str, str]]]


def sleeper(plane: Plane, name: str = "s") -> tuple[str, Any]:
    import os
    import subprocess

    process = subprocess.Popen(
        [sys.executable, "-c", ASLEEP, str(plane.state / name), str(os.getpid())], stderr=subprocess.PIPE
    )
    plane.processes.append(process)
    return plane.wait_socket(name, process), process


def test_rates_and_quotas(plane: Plane, booster_socket: str, ask: Ask) -> None:
    version = Version("1", "m/1", 100, "champion", [booster_socket])
    plane.route(version, policies=Policies(rate=Rate(5, 60)))
    plane.wait_up()
    answers = [ask() for _ in range(7)]
    assert Counter(status for status, _, _ in answers) == {200: 5, 429: 2}
    first, last = answers[0][2], answers[-1][2]
    assert first["ratelimit-policy"] == last["ratelimit-policy"] == '"endpoint";q=5;w=60'
    assert first["ratelimit"] == '"endpoint";r=4;t=12'
    assert int(last["retry-after"]) in (11, 12)
    assert last["ratelimit"].startswith('"endpoint";r=0')
    assert "takes no more requests" in str(answers[-1][1])
    waiting = ask(headers={"expect": "100-continue"})
    assert (waiting[0], int(waiting[2]["retry-after"]) > 0) == (429, True)
    v2 = plane.request("POST", "/v2/models/m/infer", {"inputs": []})
    assert (v2[0], set(v2[1])) == (429, {"error"})
    plane.route(version, policies=Policies(rate=Rate(5, 60)))  # the same table again fills nothing
    assert ask()[0] == 429
    assert plane.control.state().endpoints["m"].limited == 5
    assert 'trimtab_serving_limited_total{endpoint="m"} 5' in plane.control.metrics()

    plane.route(version, policies=Policies(quota=Quota(3)))
    assert [ask()[0] for _ in range(4)] == [200, 200, 200, 429]
    plane.gateway.send_signal(signal.SIGTERM)
    plane.gateway.wait(10)
    plane.gateway = plane.start_gateway()
    plane.wait_up()
    status, _, headers = ask()
    assert (status, headers["ratelimit"].split(";")[1]) == (429, "r=0")
    assert 0 < int(headers["retry-after"]) <= 86_400
    plane.route(version)
    assert ask()[0] == 200
    assert "ratelimit" not in ask()[2]


def test_keys_have_limits_and_endpoints_of_their_own(plane: Plane, booster_socket: str, ask: Ask) -> None:
    def token(name: str, **more: Any) -> dict[str, Token]:
        return {hashlib.sha256(name.encode()).hexdigest(): Token(name, "viewer", id=name, **more)}

    auth = Auth(open=False, tokens={**token("anna"), **token("bert", endpoints=["m"])})
    version = Version("1", "m/1", 100, "champion", [booster_socket])
    endpoint = Endpoint([version], signature=None, policies=Policies(key_rate=Rate(2, 60)))
    plane.control.put_routes(RouteTable(time.time_ns(), auth, {"m": endpoint, "n": Endpoint([version])}))
    plane.wait_up()
    anna, bert = ({"authorization": f"Bearer {name}"} for name in ("anna", "bert"))
    row: dict[str, Any] = {"c": 1.0}
    assert [ask(headers=anna, **row)[0] for _ in range(3)] == [200, 200, 429]
    assert [ask(headers=bert, **row)[0] for _ in range(3)] == [200, 200, 429]
    assert ask(headers={"authorization": "Bearer nobody"})[0] == 401
    assert ask(name="n", headers=anna, **row)[0] == 200
    status, answer, _ = ask(name="n", headers=bert, **row)
    assert (status, "other endpoints" in str(answer)) == (403, True)
    assert plane.request("GET", "/v2/models/n", headers=bert)[0] == 403
    assert plane.request("GET", "/v2/models/m", headers=bert)[0] == 200
    plane.control.put_routes(
        RouteTable(time.time_ns(), Auth(open=False, tokens=token("anna")), {"m": endpoint})
    )
    assert ask(headers=bert)[0] == 401  # revoked: the next request is refused


def test_the_same_key_is_answered_by_the_same_version(plane: Plane, booster_socket: str, ask: Ask) -> None:
    def split(first: float, **policies: Any) -> None:
        plane.route(
            Version("1", "m/1", first, "champion", [booster_socket]),
            Version("2", "m/2", 100 - first, "challenger", [booster_socket]),
            policies=Policies(**policies),
        )

    def version_of(value: float = 1.0, **headers: str) -> str:
        return ask(value, headers={name.replace("_", "-"): text for name, text in headers.items()})[2][
            "x-model-version"
        ]

    split(60)
    plane.wait_up()
    first = {key: version_of(x_routing_key=key) for key in map(str, range(60))}
    assert 10 < Counter(first.values())["2"] < 40
    assert all(version_of(x_routing_key=key) == version for key, version in first.items())
    assert len({version_of() for _ in range(30)}) == 2
    split(30)  # a challenger that gets more keeps whom it had
    second = {key: version_of(x_routing_key=key) for key in first}
    assert all(second[key] == "2" for key, version in first.items() if version == "2")
    assert Counter(second.values())["2"] > Counter(first.values())["2"]
    split(50, sticky_by="a")
    assert len({version_of(7) for _ in range(20)}) == 1
    assert {version_of(value) for value in range(20)} == {"1", "2"}


def test_the_log_tells_how_each_request_came_to_its_version(
    plane: Plane, booster_socket: str, ask: Ask
) -> None:
    def serve(**policies: Any) -> None:
        plane.route(
            Version("1", "m/1", 50, "champion", [booster_socket]),
            Version("2", "m/2", 50, "challenger", [booster_socket]),
            Version("3", "m/3", 100, "shadow", [booster_socket]),
            policies=Policies(**policies),
        )

    serve()
    plane.wait_up()
    said = [ask(1.0, headers=headers)[2]["x-prediction-id"] for headers in (
        {}, {"x-routing-key": "anna"}, {"x-routing-key": "anna"}, {"x-model-version": "2"}
    )]  # fmt: skip
    path = "/v2/models/m/versions/1/infer"
    body = {"inputs": [{"name": "a", "shape": [1], "datatype": "FP64", "data": [1.0]},
                       {"name": "b", "shape": [1], "datatype": "INT64", "data": [2]}]}  # fmt: skip
    said.append(plane.request("POST", path, body)[2]["x-prediction-id"])
    records = [one for one in plane.records(9) if isinstance(one, Prediction)]
    answered = {one.id: one.route for one in records if one.role != "shadow"}
    assert [answered[one] for one in said] == ["split", "split", "key", "pinned", "pinned"]
    copied = {one.id: one.route for one in records if one.role == "shadow"}
    assert copied == {one: answered[one] for one in said[:4]}
    serve(cache_ttl_ms=600_000)
    same = [ask(2.0)[2] for _ in range(20)]
    both = {one["x-model-version"] for one in same}
    assert both == {"1", "2"}
    assert plane.records(9 + 40)
    records = [one for one in plane.records(9 + 40) if isinstance(one, Prediction)]
    answered = {one.id: one.route for one in records if one.role != "shadow"}
    found = [answered[one["x-prediction-id"]] for one in same]
    # The first answer of either version alone is the model's own, and only the one that nobody knew yet is evidence.
    assert (found[0], Counter(found)) == ("split", Counter(split=1, repeat=1, cached=18))
    assert [one["x-cache"] for one in same] == [{"cached": "hit"}.get(one, "miss") for one in found]


def test_answers_are_kept_for_the_same_features(plane: Plane, ask: Ask) -> None:
    path, _ = sleeper(plane)
    policies = Policies(cache_ttl_ms=600)
    plane.route(Version("1", "m/1", 100, "champion", [path]), signature=PERSON, policies=policies)
    plane.wait_up()
    first, second = ask(1.0), ask(1)
    assert (first[2]["x-cache"], second[2]["x-cache"]) == ("miss", "hit")
    assert first[1] == second[1]
    assert first[2]["x-prediction-id"] != second[2]["x-prediction-id"]
    other = ask(2.0)
    assert (other[2]["x-cache"], other[1] != first[1]) == ("miss", True)
    time.sleep(0.65)
    assert ask(1.0)[2]["x-cache"] == "miss"
    records = [record for record in plane.records(4) if isinstance(record, Prediction)]
    assert [record.route for record in records] == ["split", "cached", "split", "split"]
    assert records[0].outputs == records[1].outputs
    assert records[1].columns["a"] == [1.0]
    plane.route(Version("2", "m/2", 100, "champion", [path]), signature=PERSON, policies=policies)
    assert ask(1.0)[2]["x-cache"] == "miss"  # another version, another answer
    counted = plane.control.state().endpoints["m"]
    assert (counted.cache_hits, counted.cache_misses) == (1, 4)
    plane.route(Version("2", "m/2", 100, "champion", [path]), signature=PERSON)
    assert "x-cache" not in ask(1.0)[2]


SECRETS = ("anna.secret@example.com", "1984-07-15", "078-05-1120", "secret-in-an-error", "anna.secret")


def test_what_is_anonymised_never_touches_the_disk(plane: Plane, booster_socket: str, ask: Ask) -> None:
    path, _ = sleeper(plane)
    rules = {
        "email": FieldRule("hash"),
        "born": FieldRule("generalise", "month"),
        "age": FieldRule("generalise", "10"),
        "ssn": FieldRule("drop"),
    }
    version = Version("1", "m/1", 100, "champion", [path])
    plane.route(version, signature=PERSON, policies=Policies(fields=rules))
    plane.wait_up()
    person = {"email": SECRETS[0], "born": SECRETS[1], "age": 38, "ssn": SECRETS[2]}
    assert ask(1.0, **person)[0] == 200
    assert ask(1.0, **person)[0] == 200
    refused = ask(1.0, **{**person, "age": SECRETS[3]})
    assert refused[0] == 400
    raw = [part for part in plane.records(3) if isinstance(part, Prediction)]
    assert raw[0].columns["born"] == ["1984-07"]
    assert raw[0].columns["age"] == [30]
    assert "ssn" not in raw[0].columns
    (hashed,) = raw[0].columns["email"]
    assert raw[1].columns["email"] == [hashed]
    assert (raw[2].status, raw[2].error) == (400, "invalid")
    many = {"dataframe_records": [{"a": 1.0, "b": 2, **person}] * 20}
    assert plane.request("POST", "/endpoints/m/invocations", many)[0] == 200
    (*_, of_many) = [part for part in plane.records(4) if isinstance(part, Prediction)]
    assert of_many.columns == {name: values * 20 for name, values in raw[0].columns.items()}

    # Columns of numbers, which are written packed where no rule touches them.
    numbers = struct_of(12345.678)
    plane.route(
        Version("1", "m/1", 100, "champion", [booster_socket]),
        policies=Policies(fields={"a": FieldRule("mask")}),
    )
    plane.wait_up()
    assert ask(12345.678)[0] == 200
    many = {"dataframe_records": [{"a": 12345.678, "b": 2}] * 20}
    assert plane.request("POST", "/endpoints/m/invocations", many)[0] == 200
    plane.records(6)
    everything = b"".join(file.read_bytes() for file in plane.state.rglob("*") if file.is_file())
    assert b"hashed" not in everything
    assert hashed.encode() in everything
    for secret in SECRETS:
        assert secret.encode() not in everything
    assert not any(number in everything for number in numbers)
    plain = hashlib.sha256(SECRETS[0].encode()).hexdigest()
    assert plain[:32] != hashed
    key = plane.state / "hash.key"
    assert key.stat().st_mode & 0o777 == 0o600


def struct_of(value: float) -> tuple[bytes, bytes, bytes]:
    """Return a number in the forms in which it could be on a disk."""
    import struct

    return struct.pack("<d", value), struct.pack(">d", value), str(value).encode()


def test_a_hanging_model_is_left_alone(plane: Plane, ask: Ask) -> None:
    path, process = sleeper(plane)
    policies = Policies(circuit_failures=2, circuit_open_ms=2000)
    version = Version("1", "m/1", 100, "champion", [path])
    plane.route(version, signature=PERSON, timeout_ms=600, policies=policies)
    plane.wait_up()
    assert ask(1.0)[0] == 200
    process.send_signal(signal.SIGSTOP)
    assert [ask(1.0)[0] for _ in range(2)] == [504, 504]
    status, answer, headers = ask(1.0)
    assert (status, headers["retry-after"]) in ((503, "1"), (503, "2"))
    assert "left alone" in str(answer)
    assert plane.control.state().endpoints["m"].versions["1"].circuit == "open"
    assert (
        'trimtab_serving_circuit_open{endpoint="m",version="1",role="champion"} 1' in plane.control.metrics()
    )
    process.send_signal(signal.SIGCONT)
    until = time.monotonic() + 30
    while (status := ask(1.0)[0]) != 200:  # the probe
        assert status in (503, 504), "it is left alone until one request may try it"
        assert time.monotonic() < until
        time.sleep(0.1)
    assert ask(1.0)[0] == 200
    assert plane.control.state().endpoints["m"].versions["1"].circuit == "closed"


def test_a_hanging_replica_is_passed_by(plane: Plane, ask: Ask) -> None:
    (one, hanging), (two, _) = sleeper(plane, "s1"), sleeper(plane, "s2")
    version = Version("1", "m/1", 100, "champion", [one, two])
    plane.route(
        version,
        signature=PERSON,
        timeout_ms=600,
        policies=Policies(circuit_failures=2, circuit_open_ms=60_000),
    )
    plane.wait_up()
    hanging.send_signal(signal.SIGSTOP)
    answers = Counter(ask(1.0)[0] for _ in range(30))
    hanging.send_signal(signal.SIGCONT)
    assert answers == {504: 2, 200: 28}


def test_too_many_that_wait_are_sent_away(plane: Plane, ask: Ask) -> None:
    path, _ = sleeper(plane)
    plane.route(
        Version("1", "m/1", 100, "champion", [path]), signature=PERSON, policies=Policies(max_in_flight=2)
    )
    plane.wait_up()
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(ask(-0.4)[0])) for _ in range(2)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 5
    while plane.control.state().endpoints["m"].versions["1"].in_flight < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    status, answer, headers = ask(1.0)
    assert (status, headers["retry-after"], "wait for endpoint" in str(answer)) == (503, "1", True)
    for thread in threads:
        thread.join()
    assert statuses == [200, 200]
    assert ask(1.0)[0] == 200
    assert plane.control.state().endpoints["m"].shed == 1


def test_retries_have_a_budget(plane: Plane, ask: Ask) -> None:
    path, process = sleeper(plane)
    version = Version("1", "m/1", 100, "champion", [path])

    def killed_meanwhile(policies: Policies, dies: Any) -> int:
        plane.route(version, signature=PERSON, policies=policies)
        plane.wait_up()
        statuses: list[int] = []
        thread = threading.Thread(target=lambda: statuses.append(ask(-0.3)[0]))
        thread.start()
        deadline = time.monotonic() + 5
        while (
            not plane.control.state().endpoints["m"].versions["1"].in_flight and time.monotonic() < deadline
        ):
            time.sleep(0.01)
        dies.kill()
        dies.wait()
        Path(path).unlink()
        self_healed = sleeper(plane)[1]
        thread.join()
        processes.append(self_healed)
        return statuses[0]

    processes: list[Any] = []
    assert killed_meanwhile(Policies(), process) == 200
    assert plane.control.state().endpoints["m"].versions["1"].retried == 1
    assert killed_meanwhile(Policies(retry_share=0.0), processes[-1]) == 503


@pytest.fixture
def slow_plane(tmp_path_factory: pytest.TempPathFactory, booster_socket: str) -> Iterator[Plane]:
    """A gateway that waits for no request longer than a second."""
    running = Plane(tmp_path_factory.mktemp("slow"), request_s=1.0)
    running.route(Version("1", "m/1", 100, "champion", [booster_socket]), max_body_bytes=1000)
    running.wait_up()
    yield running
    running.close()


def test_slow_and_large_requests_are_cut_off(slow_plane: Plane) -> None:
    head = b"POST /endpoints/m/invocations HTTP/1.1\r\nhost: localhost\r\ncontent-length: 900\r\n\r\n"
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", slow_plane.port)) as client:
        client.settimeout(5)
        client.sendall(head)
        with pytest.raises(OSError):
            for _ in range(100):  # a byte now and then does not buy more time
                client.sendall(b"x")
                time.sleep(0.1)
                if client_closed(client):
                    raise ConnectionResetError
    assert 0.9 < time.monotonic() - began < 4
    assert slow_plane.request("POST", "/endpoints/m/invocations", b"x" * 1001)[0] == 413
    assert slow_plane.request("GET", "/health")[0] == 200


def client_closed(client: socket.socket) -> bool:
    """Say whether the server answered 408 and went away."""
    client.setblocking(False)
    try:
        data = client.recv(4096)
    except BlockingIOError:
        return False
    finally:
        client.setblocking(True)
    assert data == b"" or data.startswith(b"HTTP/1.1 408 ")
    return True


def test_an_unknown_policy_is_refused(plane: Plane) -> None:
    table = {
        "generation": 1,
        "auth": {"open": True},
        "endpoints": {"m": {"versions": [], "policies": {"rat": 1}}},
    }
    status = put(plane, table)
    assert status == 400
    assert OPEN.open


def put(plane: Plane, table: dict[str, Any]) -> int:
    import http.client

    import msgspec

    class Unix(http.client.HTTPConnection):
        def connect(self) -> None:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.connect(str(plane.state / "control.sock"))

    connection = Unix("localhost")
    connection.request("PUT", "/routes", msgspec.json.encode(table))
    return connection.getresponse().status


def test_probabilities_can_be_kept_out_of_the_log(plane: Plane, booster_socket: str) -> None:
    rules = {"probabilities": FieldRule("drop")}
    plane.route(Version("1", "m/1", 100, "champion", [booster_socket]), policies=Policies(fields=rules))
    plane.wait_up()
    inputs = [
        {"name": name, "datatype": datatype, "shape": [1], "data": [1]}
        for name, datatype in (("a", "FP64"), ("b", "INT64"))
    ]
    status, answer, _ = plane.request("POST", "/v2/models/m/infer", {"inputs": inputs})
    assert (status, [one["name"] for one in answer["outputs"]]) == (200, ["predictions", "probabilities"])
    (record,) = [one for one in plane.records(1) if isinstance(one, Prediction)]
    assert (record.probabilities, len(record.outputs)) == (None, 1)
