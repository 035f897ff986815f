"""Tables predicted on a Ray cluster: what is refused, here, and the real one, which loses processes: by 'make ray'."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest

from tests.commands import trimtab
from tests.domains.deploy.batch.conftest import expected, table
from tests.processes import free_port
from trimtab.domains.deploy.batch.processes import Loading, bulk_options
from trimtab.domains.deploy.batch.ray import Cluster
from trimtab.kernel.errors import Unavailable
from trimtab.serving.bulk import messages, node
from trimtab.serving.bulk.messages import EXIT_NOT_LOADED, Order
from trimtab.serving.bulk.node import Gone, Node

RAY = os.environ.get("TRIMTAB_RAY", "")
ROOT = Path(__file__).parents[4]


def test_ray_that_is_not_installed_is_named(
    tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pq.write_table(table(10), "d.parquet")
    words = ["predict", "--model", str(model_folder), "--data", "d.parquet", "--output", "out.parquet"]
    said = trimtab(*words, "--ray", "auto")
    assert (said.returncode, "pip install 'ray[client]'" in said.stderr) == (5, True)
    assert not Path("out.parquet").exists()
    said = trimtab(*words, "--ray", "auto", "--detach")
    assert (said.returncode, "on this machine" in said.stderr) == (2, True)


def test_an_address_where_nothing_listens_is_refused_at_once(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trimtab.domains.deploy.batch.ray.import_module", lambda _: None)
    for address in (f"127.0.0.1:{free_port()}", f"ray://localhost:{free_port()}", "127.0.0.1:99999"):
        with pytest.raises(Unavailable, match=f"{address} cannot be reached"):
            Cluster(address, model_folder)


def test_a_node_predicts_in_a_process_of_its_own(
    tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same as on a node of a cluster: the model is found among what was sent, and its folder holds no code."""
    from trimtab.domains.deploy.batch.pool import _stream

    shutil.copytree(model_folder, tmp_path / node.MODEL)
    (tmp_path / node.MODEL / "msgspec.py").write_text("raise SystemExit(77)")
    monkeypatch.syspath_prepend(str(tmp_path))
    rows = table(5).select(["a", "b"])
    order = messages.encode(Order(0, _stream(rows.combine_chunks().to_batches()[0]), skip=False))
    made = Node(bulk_options(Loading(model_folder)))
    greeting = made.greet(60.0)
    assert isinstance(greeting, bytes)
    reply = made.ask(order, 60.0)
    assert isinstance(reply, bytes)
    assert messages.decode_reply(reply).fault is None
    assert made._receive(0.01) == Gone(late=True)
    os.kill(messages.decode_greeting(greeting).pid, signal.SIGKILL)
    assert made.ask(order, 60.0) == Gone(-signal.SIGKILL, [])

    (tmp_path / node.MODEL / "MLmodel").write_text("flavors: {}")
    gone = Node(bulk_options(Loading(model_folder))).greet(60.0)
    assert isinstance(gone, Gone)
    assert (gone.code, '"load-failed"' in gone.said[-1]) == (EXIT_NOT_LOADED, True)


class RunningCluster:
    """A Ray of its own on this machine: folder, home, key, ports; two processors, whatever the machine has."""

    def __init__(self) -> None:
        self.own = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # sockets' paths have little room
        (self.own / "home").mkdir()
        (self.own / "r").mkdir()
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.own / "home"),
            "RAY_TMPDIR": str(self.own / "r"),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
        }
        self.port = _port()
        self.client_port = _port()
        command = [
            f"{RAY}/bin/ray",
            "start",
            "--head",
            "--block",
            "--num-cpus",
            "2",
            "--port",
            str(self.port),
        ]
        command += ["--include-dashboard", "false", "--ray-client-server-port", str(self.client_port)]
        self._log = self.own / "ray.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        for port in (self.port, self.client_port):
            waited(lambda port=port: self._listens(port), self.said)

    def said(self) -> str:
        return self._log.read_text(errors="replace")[-5000:]

    def predict(self, folder: Path, *words: str, address: str = "") -> "subprocess.Popen[str]":
        """Begin to predict with the Python that has Ray; the nodes have this package only from what is sent."""
        run = "import sys; from trimtab.cli import main; sys.exit(main())"
        command = [f"{RAY}/bin/python", "-c", run, "predict", "--data", "d.parquet", *words]
        command += ["--rows-at-once", "100", "--part-rows", "1000"]
        command += ["--ray", address or f"127.0.0.1:{self.port}"]
        environment = {**self.environment, "PYTHONPATH": str(ROOT / "src")}
        return subprocess.Popen(
            command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def processes(self) -> list[psutil.Process]:
        """Return the models' processes that run on the cluster."""
        found: list[psutil.Process] = []
        for process in self._mine():
            try:
                if "trimtab.serving.bulk.process" in process.cmdline():
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def end(self) -> None:
        mine = self._mine()
        self._process.terminate()
        try:
            self._process.wait(60)
        finally:
            for process in mine:
                if process.is_running():
                    process.kill()
            self._process.wait(10)
            shutil.rmtree(self.own, ignore_errors=True)

    def _mine(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self._process.pid).children(recursive=True)
        except psutil.Error:
            return []

    def _listens(self, port: int) -> bool:
        assert self._process.poll() is None, self.said()
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", port)) == 0


def _port() -> int:
    """Return a free port that is not among those that Ray keeps for its workers."""
    while 10_002 <= (port := free_port()) <= 19_999:
        pass
    return port


def waited(what: Callable[[], Any], said: Callable[[], str]) -> Any:
    """Return the first true answer."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if answer := what():
            return answer
        time.sleep(0.05)
    raise AssertionError(said())


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    running = RunningCluster()
    yield running
    running.end()


@pytest.mark.skipif(not RAY, reason="Ray is large: run by 'make ray'")
@pytest.mark.timeout(600)
def test_a_table_is_predicted_whatever_is_killed_meanwhile(
    cluster: RunningCluster, tmp_path: Path, sklearn_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = table(100_000)
    holes = rows["a"].to_numpy().tolist()
    holes[77_777] = None
    pq.write_table(rows.set_column(1, "a", [holes]), "d.parquet")
    words = ["--model", str(sklearn_folder), "--on-error", "skip"]
    local = ["predict", "--data", "d.parquet", *words, "--output", "local.parquet"]
    assert trimtab(*local).returncode == 0

    parts = tmp_path / "out.parquet.parts"
    first = cluster.predict(tmp_path, *words, "--output", "out.parquet")
    waited(lambda: len([*parts.glob("*.parquet")]) > 2 or first.poll() is not None, cluster.said)
    assert first.poll() is None, first.communicate()
    assert len(cluster.processes()) == 2
    for process in cluster.processes():  # what they run is what was sent, and not what lies here
        assert process.environ()["PYTHONPATH"].startswith(str(cluster.own))
    first.kill()
    first.communicate()
    waited(lambda: not cluster.processes(), cluster.said)

    second = cluster.predict(
        tmp_path,
        *words,
        "--output",
        "out.parquet",
        "--resume",
        address=f"ray://127.0.0.1:{cluster.client_port}",
    )
    before = len([*parts.glob("*.parquet")])

    waited(lambda: len([*parts.glob("*.parquet")]) > before + 1 or second.poll() is not None, cluster.said)
    one, other = cluster.processes()
    assert second.poll() is None, second.communicate()
    one.parent().kill()  # Ray's actor, and the model's process with it
    other.kill()
    waited(lambda: not one.is_running() and not other.is_running(), cluster.said)
    said, wrong = second.communicate(timeout=300)
    assert second.returncode == 0, wrong
    assert "of them before, 1 refused" in said
    assert pq.read_table("out.parquet").equals(pq.read_table("local.parquet"))
    assert pq.read_table("out.refused.parquet").equals(pq.read_table("local.refused.parquet"))
    found = pq.read_table("out.parquet")["prediction"]
    np.testing.assert_allclose(found, np.delete(expected(rows), 77_777), rtol=1e-6)
    waited(lambda: not cluster.processes(), cluster.said)


@pytest.mark.skipif(not RAY, reason="Ray is large: run by 'make ray'")
@pytest.mark.timeout(600)
def test_why_a_model_does_not_load_on_a_node_is_told(
    cluster: RunningCluster, tmp_path: Path, sklearn_folder: Path
) -> None:
    pq.write_table(table(1000), tmp_path / "d.parquet")
    shutil.copytree(sklearn_folder, tmp_path / "m")
    (tmp_path / "m" / "model.skops").write_bytes(b"no archive")
    asked = cluster.predict(tmp_path, "--model", "m", "--output", "out.parquet")
    _, wrong = asked.communicate(timeout=300)
    assert (asked.returncode, "the skops file cannot be read" in wrong) == (2, True), wrong
