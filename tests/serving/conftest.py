"""Real gateways, replicas and model folders for the tests of the data plane."""

import http.client
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest

from trimtab.serving import records, segments
from trimtab.serving.control import GatewayControl
from trimtab.serving.loaders.lean import without
from trimtab.serving.processes import gateway_command, replica_command, replica_environment
from trimtab.serving.routes import Auth, Endpoint, Field, RouteTable, Signature, Version

OPEN = Auth(open=True)
ABC = Signature(inputs=[Field("a", "double"), Field("b", "long"), Field("c", "double", required=False)])


def write_mlmodel(
    folder: Path, flavors: dict[str, Any], signature: Signature | None = ABC, **more: Any
) -> Path:
    """Write an MLmodel file as MLflow would, in JSON, which is YAML too."""
    content: dict[str, Any] = {"flavors": flavors, **more}
    if signature is not None:
        columns = [{"name": f.name, "type": f.type, "required": f.required} for f in signature.inputs]
        content["signature"] = {"inputs": msgspec.json.encode(columns).decode()}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "MLmodel").write_bytes(msgspec.json.encode(content))
    return folder


@pytest.fixture(scope="session")
def booster_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny XGBoost classifier of columns a, b, c: the sign of a decides."""
    with without("pandas", "pyarrow", "sklearn"):
        import xgboost

    rng = np.random.default_rng(1)
    table = rng.normal(size=(400, 3))
    data = xgboost.DMatrix(table, label=(table[:, 0] > 0).astype(int), feature_names=["a", "b", "c"])
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 1, "nthread": 1}, data, 5)
    folder = tmp_path_factory.mktemp("booster")
    booster.save_model(folder / "model.ubj")
    return write_mlmodel(
        folder, {"xgboost": {"data": "model.ubj", "model_class": "xgboost.sklearn.XGBClassifier"}}
    )


RULE = """
import sys
from pathlib import Path
from trimtab.serving.batch import Output
from trimtab.kernel.process import die_with_parent
from trimtab.serving.replica import Replica, listen

class Rule:
    flavor, names, packed, row_wise, input_errors = "rule", ("a", "b", "c"), True, True, (ValueError,)

    def predict(self, rows, want):
        return [Output("predictions", "INT64", [rows.count], (rows.matrix[:, 0] > 0).astype(int).tolist())]

die_with_parent(parent=int(sys.argv[2]))
Replica(Rule(), listen(Path(sys.argv[1]))).run()
"""
"""A replica of a model without a library: it starts in a third of the time, for tests that start many."""


class RawAnswer(NamedTuple):
    status: int
    headers: dict[str, str]
    content: bytes


class Plane:
    """A gateway process and the replicas that a test starts behind it."""

    def __init__(self, state: Path, **options: Any) -> None:
        self.state = state
        self.options = options
        self.control = GatewayControl(state)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.gateway = self.start_gateway()

    def start_gateway(self, port: int = 0) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            gateway_command(self.state, host="127.0.0.1", port=port, **self.options),
            stdout=subprocess.DEVNULL,
        )
        self.processes.append(process)
        self.port = self.control.wait_ready(15).port
        return process

    def start_replica(self, model: Path, name: str, *, allow_pickle: bool = False) -> subprocess.Popen[bytes]:
        """Start a replica and return at once; `wait_socket` waits for it."""
        process = subprocess.Popen(
            replica_command(model, self.state / name, allow_pickle=allow_pickle),
            env=replica_environment(os.environ),
            stderr=subprocess.PIPE,
        )
        self.processes.append(process)
        return process

    def start_rule(self, name: str) -> subprocess.Popen[bytes]:
        """Start a replica of a rule that needs no library and return at once."""
        command = [sys.executable, "-c", RULE, str(self.state / name), str(os.getpid())]
        process = subprocess.Popen(command, stderr=subprocess.PIPE)
        self.processes.append(process)
        return process

    def wait_socket(self, name: str, process: subprocess.Popen[bytes]) -> str:
        path = self.state / name
        deadline = time.monotonic() + 40
        while not path.exists():
            if process.poll() is not None:
                assert process.stderr is not None
                raise AssertionError(
                    f"the replica ended with {process.returncode}: {process.stderr.read()[-800:]!r}"
                )
            assert time.monotonic() < deadline, "the replica did not start"
            time.sleep(0.01)
        return str(path)

    def route(self, *versions: Version, name: str = "m", auth: Auth = OPEN, **limits: Any) -> None:
        """Serve one endpoint, with the signature of columns a, b, c unless another is given."""
        limits.setdefault("signature", ABC)
        table = RouteTable(time.time_ns(), auth, {name: Endpoint(list(versions), **limits)})
        assert self.control.put_routes(table).problem == ""

    def wait_up(self, name: str = "m") -> None:
        """Wait until every replica of an endpoint is connected."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            versions = self.control.state().endpoints[name].versions.values()
            if all(all(version.replicas.values()) for version in versions if version.routed):
                return
            time.sleep(0.01)
        raise AssertionError("not all replicas are connected")

    def raw(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> "RawAnswer":
        """Return status, headers in lower case and the body as it came."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            content = response.read()
            return RawAnswer(
                response.status, {key.lower(): value for key, value in response.getheaders()}, content
            )
        finally:
            connection.close()

    def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any, dict[str, str]]:
        """Return status, decoded body and headers of one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            content = body if isinstance(body, bytes) or body is None else msgspec.json.encode(body)
            given = {"content-type": "application/json", **(headers or {})}
            connection.request(method, path, content, given)
            response = connection.getresponse()
            data = response.read()
            answer: Any = data.decode()
            if response.headers["content-type"] == "application/json":
                answer = msgspec.json.decode(data)
            return response.status, answer, {key.lower(): value for key, value in response.getheaders()}
        finally:
            connection.close()

    def records(self, count: int = 1) -> list[records.Record]:
        """Return what the log holds in complete files, waiting until it is at least ``count`` records."""
        deadline = time.monotonic() + 5
        while True:
            found = [record for path in segments.sealed(self.state / "log") for record in segments.read(path)]
            if len(found) >= count or time.monotonic() > deadline:
                return found
            time.sleep(0.05)

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stderr is not None:
                process.stderr.close()


@pytest.fixture
def plane() -> Iterator[Plane]:
    """A gateway with a folder of its own, short enough for socket names."""
    state = Path(tempfile.mkdtemp(prefix="tts-"))
    running = Plane(state)
    yield running
    running.close()
    shutil.rmtree(state, ignore_errors=True)


@pytest.fixture(scope="session")
def booster_socket(booster_folder: Path) -> Iterator[str]:
    """The socket of a replica of the booster that no test stops."""
    with tempfile.TemporaryDirectory(prefix="tts-") as folder:
        path = Path(folder) / "r"
        process = subprocess.Popen(replica_command(booster_folder, path), env=replica_environment(os.environ))
        deadline = time.monotonic() + 60
        while not path.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield str(path)
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def served(booster_socket: str) -> Iterator[Plane]:
    """A gateway with one version of the booster as endpoint ``m``, shared by the tests of a module."""
    state = Path(tempfile.mkdtemp(prefix="tts-"))
    running = Plane(state)
    running.route(Version("1", "m/1", 100, "champion", [booster_socket]))
    running.wait_up()
    yield running
    running.close()
    shutil.rmtree(state, ignore_errors=True)
