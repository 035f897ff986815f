"""The real Ray Serve runs an exported folder: it splits, checks, scales, changes shares and ends: by 'make ray'."""

import hashlib
import http.client
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from tests.domains.deploy.conftest import Models, models  # noqa: F401 - a fixture
from tests.domains.deploy.exports.test_export import split  # noqa: F401 - a fixture
from tests.domains.deploy.exports.test_ray import exported
from tests.processes import free_port
from trimtab.app import App
from trimtab.domains.deploy.exports.view import Upstream
from trimtab.kernel.who import Principal

RAY = os.environ.get("TRIMTAB_RAY", "")
KEY = "a-key"
ROW = b'{"dataframe_records": [{"a": 1.0, "b": 2.0}]}'
TENSORS = (
    b'{"inputs": [{"name": "a", "shape": [1], "datatype": "FP64", "data": [1.0]},'
    b' {"name": "b", "shape": [1], "datatype": "FP64", "data": [2.0]}]}'
)
MARK = "TRIMTAB_RAY_TEST"

pytestmark = [
    pytest.mark.skipif(not RAY, reason="Ray is large: run by 'make ray'"),
    pytest.mark.timeout(900),
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
]


class Cluster:
    """A local Ray with everything of its own: folder, home, key, ports; ``serve run`` started it and ends it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.own = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # sockets' paths have little room
        self.mark = secrets.token_hex(8)
        self.log = self.own / "serve.log"
        (self.own / "home").mkdir()
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.own / "home"),
            "RAY_TMPDIR": str(self.own),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_SERVE_REPLICA_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "1",
            "RAY_SERVE_HANDLE_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "1",
            "TRIMTAB_TOKEN_DIGESTS": hashlib.sha256(KEY.encode()).hexdigest(),
            MARK: self.mark,
        }
        command = [f"{RAY}/bin/serve", "run", "--working-dir", ".", "serve.yaml"]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=folder, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def wait(self, what: Callable[[], Any], *, seconds: float = 300) -> Any:
        """Return the first true answer."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self._process.poll() is None, self.said()[-5000:]
            try:
                if answer := what():
                    return answer
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.5)
        raise AssertionError(self.said()[-5000:])

    def post(
        self, path: str = "/invocations", body: bytes = ROW, *, method: str = "POST", key: str | None = KEY
    ) -> tuple[int, Any, str]:
        """Return the status, the answer, and the version that gave it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"content-type": "application/json"}
        headers |= {"authorization": f"Bearer {key}"} if key is not None else {}
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        said = json.loads(content) if content[:1] == b"{" else content.decode()
        return answer.status, said, answer.headers.get("x-model-version", "")

    def serve(self, *words: str) -> str:
        """Run a command of ``serve`` against this cluster."""
        found = re.search(r"http://127\.0\.0\.1:\d+", self.said())
        assert found is not None, self.said()
        command = [f"{RAY}/bin/serve", words[0], "-a", found[0], *words[1:]]
        done = subprocess.run(
            command, env=self._environment, cwd=self.own, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def running(self, deployment: str) -> int:
        """Return how many replicas of a deployment run."""
        (application,) = yaml.safe_load(self.serve("status"))["applications"].values()
        return application["deployments"][deployment]["replica_states"].get("RUNNING", 0)

    def left(self) -> list[psutil.Process]:
        """Return the processes that this cluster started and that still run."""
        found: list[psutil.Process] = []
        for process in psutil.process_iter():
            try:
                # A model's process sees little of its parent's environment; its model lies below our folder.
                ours = process.environ().get(MARK) == self.mark or str(self.own) in " ".join(
                    process.cmdline()
                )
                if ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return found

    def end(self) -> list[psutil.Process]:
        """End it as Ctrl-C does; return the processes that stay all the same."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(120)
        deadline = time.monotonic() + 60
        while (left := self.left()) and time.monotonic() < deadline:
            time.sleep(0.5)
        return left


@pytest.fixture
def cluster(
    split: App,  # noqa: F811
    editor: Principal,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Cluster]:
    """Version 1 native, version 2 compiled, both from an export, and a version 3 that nobody is sent to."""

    def compiled(who: Principal, name: str, version: int, folder: Path) -> Path | None:
        if version != 2:
            return None
        model = split.registry.materialize(who, name, version, tmp_path / "to-compile")
        command = [
            sys.executable,
            "-m",
            "trimtab.serving.compiling",
            "--model",
            str(model),
            "--out",
            str(folder),
        ]
        subprocess.run(command, check=True, capture_output=True)
        assert (folder / "model.onnx").exists()
        return folder

    monkeypatch.setattr(split.registry, "materialize_compiled", compiled)
    split.deploy.settings.change(editor, "churn", {"max_replicas": "2", "target_delay": "1ms"})
    port = free_port()
    folder = exported(
        split,
        editor,
        tmp_path / "churn",
        installed=True,
        listen=Upstream("127.0.0.1", port),
        cpu="100m",
        memory="128Mi",
    )
    # Any queue at all is too long: how long one lasts is this machine's affair, and not what is tried.
    text = (folder / "serve.yaml").read_text()
    (folder / "serve.yaml").write_text(text.replace("target_delay_ms: 1\n", "target_delay_ms: 0.001\n"))
    running = Cluster(folder, port)
    yield running
    for process in running.end():
        process.kill()
    shutil.rmtree(running.own, ignore_errors=True)


def shares(cluster: Cluster, *, first: float, second: float) -> None:
    """Deploy the configuration with other shares."""
    whole = yaml.safe_load((cluster.folder / "serve.yaml").read_text())
    versions = whole["applications"][0]["deployments"][0]["user_config"]["versions"]
    versions["1"]["weight"], versions["2"]["weight"] = first, second
    (cluster.own / "other.yaml").write_text(yaml.safe_dump(whole))
    cluster.serve("deploy", str(cluster.own / "other.yaml"))


def test_ray_serves_the_endpoint(cluster: Cluster) -> None:
    for version in ("1", "2"):
        ready = f"/v2/models/churn/versions/{version}/ready"
        cluster.wait(lambda path=ready: cluster.post(path, b"", method="GET")[0] == 200)

    # The split, and that both forms of the model say the same.
    answers = [cluster.post() for _ in range(120)]
    assert {status for status, _, _ in answers} == {200}
    met = Counter(version for _, _, version in answers)
    assert set(met) == {"1", "2"}
    assert abs(met["1"] - 90) < 30, met  # six standard deviations of a binomial of 120
    told = {version: said["predictions"][0] for _, said, version in answers}
    assert told["1"] == pytest.approx(told["2"], rel=1e-5)
    assert 0.5 < told["1"] < 1

    # The other protocol, a version by its address, and what is wrong with a row.
    status, said, _ = cluster.post("/v2/models/churn/infer", TENSORS)
    assert (status, said["outputs"][0]["data"]) == (200, pytest.approx([told["1"]], rel=1e-5))
    status, said, version = cluster.post("/v2/models/churn/versions/3/infer", TENSORS)
    assert (status, version) == (200, "3")
    status, said, _ = cluster.post(body=b'{"dataframe_records": [{"a": 1.0, "b": "two"}]}')
    assert (status, "column 'b', row 0" in said["message"]) == (400, True)
    assert cluster.post("/v2/models/other/infer", TENSORS)[0] == 404
    assert cluster.post(key=None)[0] == 401
    assert cluster.post(key="wrong")[0] == 401

    # Other shares: no replica restarts, and no request fails, also not of those under way.
    stop, statuses = threading.Event(), Counter[int]()

    def ask() -> None:
        while not stop.is_set():
            statuses[cluster.post()[0]] += 1

    asking = [threading.Thread(target=ask) for _ in range(6)]
    for thread in asking:
        thread.start()
    try:
        shares(cluster, first=100, second=0)
        cluster.wait(lambda: {cluster.post()[2] for _ in range(20)} == {"1"})
        # Six at a time queue at the one process of version 1: there is a second one soon.
        cluster.wait(lambda: cluster.running("version-1") == 2)
    finally:
        stop.set()
        for thread in asking:
            thread.join()
    assert set(statuses) == {200}, statuses
    assert cluster.running("version-2") == 1
    print(f"{statuses[200]} requests while shares changed and a replica was added, none failed")

    # A model's process that is killed is started again, and the version answers on.
    native = [one for one in cluster.left() if "trimtab.serving.replica" in one.cmdline()]
    assert native
    for process in native:
        process.kill()
    for version in ("1", "2", "3"):
        path = f"/v2/models/churn/versions/{version}/infer"
        cluster.wait(lambda path=path: cluster.post(path, TENSORS)[0] == 200)

    assert cluster.end() == []
