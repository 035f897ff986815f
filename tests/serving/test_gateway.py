"""The gateway as clients meet it: real processes, real sockets."""

import hashlib
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.serving.conftest import ABC, OPEN, Plane
from trimtab.kernel.errors import Invalid
from trimtab.kernel.sockets import listen
from trimtab.serving import segments
from trimtab.serving.control import GatewayControl
from trimtab.serving.gateway import EXIT_FOLDER_TAKEN, EXIT_PORT_TAKEN
from trimtab.serving.processes import gateway_command
from trimtab.serving.records import Feedback, Prediction
from trimtab.serving.routes import Auth, Endpoint, RouteTable, Token, Version

ROW = {"dataframe_records": [{"a": 1.0, "b": 2}]}
V2 = {
    "id": "mine",
    "inputs": [
        {"name": "a", "datatype": "FP64", "shape": [2], "data": [1.0, -1.0]},
        {"name": "b", "datatype": "INT64", "shape": [2], "data": [1, 2]},
        {"name": "c", "datatype": "FP64", "shape": [2], "data": [None, 1]},
    ],
}


def test_mlflow_scoring(served: Plane) -> None:
    status, answer, headers = served.request("POST", "/endpoints/m/invocations", ROW)
    assert (status, answer) == (200, {"predictions": [1]})
    assert headers["x-model-version"] == "1"
    assert len(headers["x-prediction-id"]) == 26
    csv = served.request(
        "POST", "/endpoints/m/invocations", b"a,b\n-1,2\n1,2\n", {"content-type": "text/csv"}
    )
    assert csv[:2] == (200, {"predictions": [0, 1]})


def test_open_inference(served: Plane) -> None:
    status, answer, headers = served.request("POST", "/v2/models/m/infer", V2)
    assert status == 200
    assert answer["id"] == "mine"
    assert (answer["model_name"], answer["model_version"]) == ("m", "1")
    predictions, probabilities = answer["outputs"]
    assert (predictions["name"], predictions["datatype"], predictions["data"]) == (
        "predictions",
        "INT64",
        [1, 0],
    )
    assert (probabilities["name"], probabilities["datatype"], probabilities["shape"]) == (
        "probabilities",
        "FP32",
        [2, 2],
    )
    assert probabilities["data"][1] > 0.5 > probabilities["data"][3]
    pinned = served.request("POST", "/v2/models/m/versions/1/infer", {**V2, "id": None})
    assert pinned[1]["id"] == pinned[2]["x-prediction-id"] != headers["x-prediction-id"]


def test_descriptions(served: Plane) -> None:
    assert served.request("GET", "/health")[:2] == (200, "OK")
    assert served.request("GET", "/v2")[1]["name"] == "trimtab"
    assert served.request("GET", "/v2/health/live")[:2] == (200, {"live": True})
    assert served.request("GET", "/v2/health/ready")[:2] == (200, {"live": True, "ready": True})
    assert served.request("GET", "/v2/models/m/ready")[:2] == (200, {"name": "m", "ready": True})
    assert served.request("GET", "/v2/models/m/versions/1/ready")[:2] == (200, {"name": "m", "ready": True})
    assert served.request("GET", "/v2/models/m")[1]["versions"] == ["1"]
    assert served.request("GET", "/v2/models/m/versions/1")[1]["inputs"][0]["name"] == "a"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("POST", "/endpoints/n/invocations", ROW, 404, "there is no endpoint 'n'."),
        ("POST", "/endpoints/mm/invocations", ROW, 404, "there is no endpoint 'mm'. Did you mean 'm'?"),
        ("POST", "/v2/models/m/versions/2/infer", V2, 404, "endpoint 'm' has no version '2'."),
        ("GET", "/v2/models/m/versions/2", None, 404, "endpoint 'm' has no version '2'."),
        ("GET", "/nowhere", None, 404, "there is no '/nowhere' here"),
        ("GET", "/endpoints/m/invocations", None, 405, "GET is not answered here; use POST"),
        ("DELETE", "/v2", None, 405, "DELETE is not answered here; use GET"),
        ("POST", "/endpoints/m/invocations", b"{", 400, "the body is not JSON"),
        (
            "POST",
            "/endpoints/m/invocations",
            {"instances": [["x", 1, 1]]},
            400,
            "column 'a', row 0: expected a number",
        ),
        ("POST", "/v2/models/m/infer", {"inputs": []}, 400, "the request has no inputs"),
        (
            "POST",
            "/v2/models/m/infer",
            {**V2, "outputs": [{"name": "x"}]},
            400,
            "the model has no output 'x'",
        ),
        ("POST", "/endpoints/m/feedback", {}, 400, "prediction_id is the text"),
    ],
)
def test_errors_have_the_protocols_shape(
    served: Plane, method: str, path: str, body: object, status: int, message: str
) -> None:
    got, answer, headers = served.request(method, path, body)
    assert got == status
    if path.startswith("/endpoints"):
        assert set(answer) == {"error_code", "message"}
        assert message in answer["message"]
    else:
        assert set(answer) == {"error"}
        assert message in answer["error"]
    assert headers["content-type"] == "application/json"


def test_bodies_of_other_kinds_are_refused(served: Plane) -> None:
    for headers in ({"content-type": "text/plain"}, {"content-encoding": "gzip"}):
        assert served.request("POST", "/endpoints/m/invocations", ROW, headers)[0] == 415
    assert served.request("POST", "/endpoints/m/invocations", ROW, {"x-event-time": "soon"})[0] == 400
    assert (
        served.request("POST", "/endpoints/m/invocations", ROW, {"origin": "http://evil.example"})[0] == 403
    )
    assert served.request("POST", "/endpoints/m/invocations", ROW, {"host": "evil.example"})[0] == 403


def test_a_body_over_the_limit_is_refused_with_and_without_its_length(
    served: Plane, booster_socket: str
) -> None:
    served.route(Version("1", "m/1", 100, "champion", [booster_socket]), max_body_bytes=1000)
    big = b" " * 2000 + msgspec.json.encode(ROW)
    status, answer, _ = served.request("POST", "/endpoints/m/invocations", big)
    assert status == 413
    assert "more than the 1000" in answer["message"]
    with socket.create_connection(("127.0.0.1", served.port)) as raw:
        raw.sendall(
            b"POST /endpoints/m/invocations HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
            b"5dc\r\n" + b" " * 1500 + b"\r\n0\r\n\r\n"
        )
        assert raw.recv(1000).startswith(b"HTTP/1.1 413 ")
    assert served.request("POST", "/endpoints/m/invocations", ROW)[0] == 200
    served.route(Version("1", "m/1", 100, "champion", [booster_socket]))


def test_keep_alive_requests_never_wait_for_a_delayed_acknowledgement(served: Plane) -> None:
    listener = listen("127.0.0.1", 0)
    with listener, socket.create_connection(listener.getsockname()):
        listener.setblocking(True)
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
            assert accepted.proto == socket.IPPROTO_TCP
    request = b"POST /endpoints/m/invocations HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n"
    body = msgspec.json.encode(ROW)
    took: list[float] = []
    with socket.create_connection(("127.0.0.1", served.port)) as raw:
        for _ in range(30):
            before = time.perf_counter()
            raw.sendall(request % len(body) + body)
            answer = b""
            while b"predictions" not in answer:
                answer += raw.recv(4096)
            took.append(time.perf_counter() - before)
    assert min(took) < 0.03, "a delayed acknowledgement would take each 40 ms"


def test_what_was_answered_is_in_the_log(plane: Plane, booster_socket: str) -> None:
    plane.route(Version("7", "m/7", 100, "champion", [booster_socket]))
    plane.wait_up()
    event = {"x-event-time": "2013-03-01T05:00:00Z"}
    ids = [
        plane.request("POST", "/endpoints/m/invocations", ROW, event)[2]["x-prediction-id"],
        plane.request("POST", "/v2/models/m/infer", V2, {"x-event-time": "77"})[2]["x-prediction-id"],
        plane.request("POST", "/endpoints/m/invocations", {"instances": [["x", 1, 1]]})[2]["x-prediction-id"],
    ]
    labels = [
        {"prediction_id": ids[0], "label": 1},
        {"prediction_id": f"{ids[1]}/1", "label": 0, "event_time": 9},
    ]
    assert plane.request("POST", "/endpoints/m/feedback", labels)[:2] == (200, {"accepted": 2})
    first, second, third, *feedback = plane.records(5)
    assert isinstance(first, Prediction)
    assert (first.id, first.endpoint, first.version, first.role) == (ids[0], "m", "7", "champion")
    assert (first.event_us, first.rows, first.status) == (1362114000_000_000, 1, 200)
    assert (first.columns, first.outputs, first.probabilities) == (
        {"a": [1.0], "b": [2], "c": [None]},
        [1],
        None,
    )
    assert abs(first.at_us / 1e6 - time.time()) < 60
    assert 0 < first.latency_us < 10_000_000
    assert isinstance(second, Prediction)
    assert (second.event_us, second.rows, second.outputs) == (77, 2, [1, 0])
    assert second.probabilities is not None
    assert len(second.probabilities) == 2
    assert isinstance(third, Prediction)
    assert (third.status, third.version, third.rows, third.outputs) == (400, "", 0, [])
    assert "column 'a'" in (third.error or "")
    assert [(f.prediction_id, f.row, f.label, f.endpoint) for f in feedback if isinstance(f, Feedback)] == [
        (ids[0], None, 1, "m"),
        (ids[1], 1, 0, "m"),
    ]
    counted = plane.control.state().endpoints["m"]
    assert counted.invalid == 1
    assert (counted.versions["7"].requests, counted.versions["7"].rows, counted.versions["7"].errors) == (
        2,
        3,
        0,
    )
    assert sum(counted.versions["7"].latency_counts) == 2
    assert 'trimtab_serving_rows_total{endpoint="m",version="7",role="champion"} 3' in plane.control.metrics()


def test_many_rows_are_logged_as_they_came(plane: Plane, booster_socket: str) -> None:
    plane.route(Version("1", "m/1", 100, "champion", [booster_socket]))
    plane.wait_up()
    columns: dict[str, list[Any]] = {
        "a": [n / 8 for n in range(20)],
        "b": [*range(19), 2**53 + 1],  # too large for the model's packed form
        "c": [None if n % 3 else n * 1.5 for n in range(20)],
    }
    few = {name: values[:19] for name, values in columns.items()}
    answers: list[Any] = []
    for given in (columns, few):
        rows = [dict(zip(given, row, strict=True)) for row in zip(*given.values(), strict=True)]
        status, answer, _ = plane.request("POST", "/endpoints/m/invocations", {"dataframe_records": rows})
        assert status == 200, answer
        answers.append(answer["predictions"])
    first, second = plane.records(2)
    assert isinstance(first, Prediction)
    assert isinstance(second, Prediction)
    assert [(one.rows, one.columns, one.outputs) for one in (first, second)] == [
        (20, columns, answers[0]),
        (19, few, answers[1]),
    ]
    for path in segments.sealed(plane.state / "log"):
        for record, _fields in segments.stored(path):
            assert isinstance(record, Prediction)
            assert record.outputs == []
            assert record.columns == {}


def test_the_log_survives_a_kill_and_a_full_disk(plane: Plane, booster_socket: str) -> None:
    plane.route(Version("1", "m/1", 100, "champion", [booster_socket]))
    plane.wait_up()
    last = plane.request("POST", "/endpoints/m/invocations", ROW)[2]["x-prediction-id"]
    deadline = time.monotonic() + 5  # it is written one turn of the loop after the answer
    while plane.control.state().log_written == 0:
        assert time.monotonic() < deadline
    plane.gateway.kill()
    plane.gateway.wait()
    plane.gateway = plane.start_gateway()
    assert [r.id for r in plane.records() if isinstance(r, Prediction)][-1] == last

    plane.wait_up()  # the table came back from disk
    resource.prlimit(plane.gateway.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    assert plane.request("POST", "/endpoints/m/invocations", ROW)[0] == 200
    status, answer, headers = plane.request(
        "POST", "/endpoints/m/feedback", {"prediction_id": last, "label": 1}
    )
    assert (status, headers["retry-after"]) == (503, "1")
    assert "send them again" in answer["message"]
    state = plane.control.state()
    assert state.log_lost == 2
    assert state.log_problem
    assert "trimtab_serving_log_lost_total 2" in plane.control.metrics()


def test_sign_in(plane: Plane, booster_socket: str) -> None:
    digest = hashlib.sha256(b"secret").hexdigest()
    auth = Auth(open=False, tokens={digest: Token("ada", "viewer")})
    plane.route(Version("1", "m/1", 100, "champion", [booster_socket]), auth=auth)
    plane.wait_up()
    status, _, headers = plane.request("POST", "/endpoints/m/invocations", ROW)
    assert status == 401
    assert "Bearer" in headers["www-authenticate"]
    bearer = {"authorization": "Bearer secret", "host": "models.example"}
    assert plane.request("POST", "/endpoints/m/invocations", ROW, bearer)[0] == 200
    assert (
        plane.request("POST", "/endpoints/m/feedback", {"prediction_id": "p", "label": 1}, bearer)[0] == 403
    )
    assert plane.request("GET", "/v2/models/m")[0] == 401
    assert plane.request("GET", "/v2/models/m", None, bearer)[0] == 200
    assert plane.request("GET", "/v2/health/ready")[0] == 200


def test_the_process_is_lean_keeps_its_folder_to_itself_and_ends_by_itself(plane: Plane) -> None:
    plane.request("GET", "/health")
    status = Path(f"/proc/{plane.gateway.pid}/status").read_text()
    resident_kb = int(status.partition("VmRSS:")[2].split()[0])
    assert resident_kb < 40_000
    maps = Path(f"/proc/{plane.gateway.pid}/maps").read_text()
    assert "numpy" not in maps
    assert "sqlite" not in maps
    assert (plane.state / "control.sock").stat().st_mode & 0o077 == 0
    second = plane_process(plane, "127.0.0.1", 0)
    assert second == EXIT_FOLDER_TAKEN
    plane.gateway.send_signal(signal.SIGTERM)
    assert plane.gateway.wait(10) == 0
    assert not (plane.state / "control.sock").exists()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert plane_process(plane, "127.0.0.1", taken.getsockname()[1]) == EXIT_PORT_TAKEN


def plane_process(plane: Plane, host: str, port: int) -> int:
    """Return the exit code of another gateway in the same folder."""
    command = gateway_command(plane.state, host=host, port=port)
    return subprocess.run(command, check=False, capture_output=True, timeout=20).returncode


def test_a_gateway_dies_with_its_parent(tmp_path: Path) -> None:
    script = (
        "import subprocess, sys, time; from pathlib import Path\n"
        "from trimtab.serving.processes import gateway_command\n"
        "subprocess.Popen(gateway_command(Path(sys.argv[1]), host='127.0.0.1', port=0)); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.DEVNULL)
    pid = GatewayControl(tmp_path).wait_ready(15).pid
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}/exe").exists():  # a process that ended has none, even while nobody waited for it
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_routes_are_refused_whole_or_served_whole(plane: Plane) -> None:
    assert plane.control.routes() is None
    good = RouteTable(3, OPEN, {"m": Endpoint([], ABC)})
    assert plane.control.put_routes(good).generation == 3
    with pytest.raises(Invalid, match="one champion"):
        plane.control.put_routes(
            RouteTable(
                4, OPEN, {"m": Endpoint([Version("1", "m", 1, "champion"), Version("2", "m", 1, "champion")])}
            )
        )
    assert plane.control.routes() == good
    assert plane.control.state().generation == 3
    status, answer, headers = plane.request("POST", "/endpoints/m/invocations", ROW)
    assert (status, headers["retry-after"]) == (503, "1")
    assert "no version that takes traffic" in answer["message"]
