"""The first answer after a start: before the server is up where nothing can have changed, and never a stale one."""

import os
import signal
import sqlite3
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.processes import Server
from trimtab.app import App, build
from trimtab.domains.govern.model import OWNER
from trimtab.kernel.errors import Unavailable
from trimtab.serving.control import GatewayControl
from trimtab.settings import Settings

_PATIENCE_S = 60
_MLMODEL = b"""flavors:
  python_function: {loader_module: mlflow.pyfunc.loaders.code_model, model_code_path: rule.py}
signature:
  inputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}]'
  outputs: null
  params: null
"""
_RULE = b"""import mlflow


class Rule(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input.sum(axis=1)


mlflow.models.set_model(Rule())
"""


class Home:
    """A home whose server asks for tokens and serves one model from a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.server = Server(folder, "--sign-in", "always", "--log-level", "warning")
        self.serving = folder / "serving"
        self._folder = folder
        folder.mkdir()
        (folder / "config.toml").write_text('compile_models = "never"\n')
        with self.opened() as app:
            logged = app.tracking.logged_models.create(OWNER, experiment_id="0", name="rule")
            for name, content in (("MLmodel", _MLMODEL), ("rule.py", _RULE)):
                app.tracking.artifacts.put(OWNER, f"0/models/{logged.id}/artifacts/{name}", content)
            app.tracking.logged_models.finalize(OWNER, logged.id, "READY")
            app.registry.create_model(OWNER, "rule")
            app.registry.create_version(OWNER, "rule", source=f"models:/{logged.id}", model_id=logged.id)
            app.deploy.deploy(OWNER, "rule", "models:/rule/1", allow_pickle=True, reason="a test")
            self.token = app.govern.create_token(OWNER, name="owner", role="admin")[1]

    @contextmanager
    def opened(self) -> Iterator[App]:
        """Open the home in this process, as nothing does beside a server."""
        app = build(Settings(home=str(self._folder), compile_models="never"))
        try:
            yield app
        finally:
            app.close()

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Have a server that starts wait for its database until the end of the block."""
        connection = sqlite3.connect(self._folder / "trimtab.db", isolation_level=None)
        try:
            connection.execute("begin immediate")
            yield
            connection.execute("rollback")
        finally:
            connection.close()

    def settle(self) -> None:
        """Have a server have served, and ended in order, last."""
        if (self.serving / "left.json").exists():
            return
        self.server.start()
        until(
            lambda: self.ask(self.token) == 200
        )  # there is no such endpoint until its model has been loaded once
        assert self.server.stop() == 0
        assert (self.serving / "left.json").exists()

    def ask(self, token: str | None) -> int:
        """Ask until it is answered in any way but that nothing is ready; return the status."""
        url = f"{self.server.inference_url}/endpoints/rule/invocations"
        headers = {"content-type": "application/json"} | (
            {"authorization": f"Bearer {token}"} if token else {}
        )
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            try:
                asked = urllib.request.Request(url, b'{"inputs": [[1.0, 2.0]]}', headers)
                with urllib.request.urlopen(asked, timeout=_PATIENCE_S) as answer:
                    assert msgspec.json.decode(answer.read())["predictions"] == [3.0]
                    return answer.status
            except urllib.error.HTTPError as refused:
                if refused.code != 503:
                    return refused.code
            except OSError:
                pass  # nobody listens, or whoever did has gone
            time.sleep(0.02)
        raise AssertionError(f"no answer: {self.server.log.read_text()[-2000:]}")

    def server_answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.server.url}/health", timeout=0.3):
                return True
        except OSError:
            return False

    def gateway(self) -> int | None:
        """Return the process id of a gateway that answers its server."""
        try:
            return GatewayControl(self.serving).state().pid
        except Unavailable:
            return None

    def processes(self) -> list[int]:
        """Return all processes that have to do with this home."""
        found: list[int] = []
        for place in Path("/proc").iterdir():
            try:
                if place.name.isdigit() and str(self._folder).encode() in (place / "cmdline").read_bytes():
                    found.append(int(place.name))
            except OSError:
                continue
        return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("first") / "home")


@pytest.fixture
def home(made: Home) -> Iterator[Home]:
    yield made
    for pid in made.processes():
        if pid == made.server.pid:
            made.server.kill()
    until(lambda: not made.processes())


def until(found: Callable[[], Any]) -> Any:
    """Return what a call returns as soon as that is true."""
    deadline = time.monotonic() + _PATIENCE_S
    while not (result := found()):
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return result


class Asking(threading.Thread):
    """A caller who waits for an answer."""

    def __init__(self, home: Home, token: str | None) -> None:
        super().__init__(daemon=True)
        self._ask = lambda: home.ask(token)
        self.status: int | None = None
        self.start()

    def run(self) -> None:
        self.status = self._ask()

    def answered(self) -> int | None:
        self.join(_PATIENCE_S)
        return self.status


def test_it_answers_before_the_server_is_up(home: Home) -> None:
    home.settle()
    with home.held_back():
        home.server.begin()
        assert home.ask(home.token) == 200
        assert home.ask(None) == 401
        assert not home.server_answers()
        assert not (home.serving / "left.json").exists()
        first = until(home.gateway)
        replicas = home.processes()
    home.server.wait()
    assert home.ask(home.token) == 200
    assert home.gateway() == first  # the server took over what had been started for it
    assert set(replicas) <= set(home.processes())
    assert home.server.stop() == 0
    assert not home.processes()


def test_a_gateway_that_dies_before_the_server_is_up_comes_back(home: Home) -> None:
    home.settle()
    with home.held_back():
        home.server.begin()
        first = until(home.gateway)
        os.kill(first, signal.SIGKILL)
    assert home.ask(home.token) == 200
    assert home.gateway() != first
    assert home.server.stop() == 0


def test_what_was_revoked_meanwhile_is_never_let_in(home: Home) -> None:
    home.settle()
    with home.opened() as app:
        record, key = app.govern.create_token(OWNER, name="shop", role="viewer")
        app.govern.revoke_token(OWNER, record.id)
    with home.held_back():
        home.server.begin()
        until(home.gateway)
        revoked, kept = Asking(home, key), Asking(home, home.token)
        revoked.join(0.2), kept.join(0.2)
        assert (revoked.status, kept.status) == (None, None)  # both wait: nobody is told anything wrong
    assert (revoked.answered(), kept.answered()) == (401, 200)
    home.server.wait()
    assert home.server.stop() == 0


def test_after_a_crash_callers_wait_for_the_server(home: Home) -> None:
    home.settle()
    home.server.start()
    assert home.ask(home.token) == 200
    home.server.kill()
    until(lambda: not home.processes())
    with home.held_back():
        home.server.begin()
        until(home.gateway)
        caller = Asking(home, home.token)
        caller.join(0.2)
        assert caller.status is None
    assert caller.answered() == 200
    assert home.server.stop() == 0


@pytest.mark.parametrize(("phase", "asked"), [("begun", signal.SIGINT), ("waiting", signal.SIGKILL)])
def test_whoever_is_ended_while_starting_leaves_nobody(home: Home, phase: str, asked: signal.Signals) -> None:
    home.settle()
    with home.held_back():
        home.server.begin()
        ready: Callable[[], Any] = home.gateway if phase == "waiting" else lambda: len(home.processes()) > 1
        until(ready)
        os.kill(home.server.pid, asked)
    until(lambda: not home.processes())
    assert "Traceback" not in home.server.log.read_text()
