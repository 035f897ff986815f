"""What the data plane tells the gateway."""

import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.background import work_off
from tests.domains.deploy.conftest import PLANE, Models
from trimtab.app import App
from trimtab.domains.deploy import http
from trimtab.domains.deploy.loading import Loading
from trimtab.domains.deploy.model import Endpoint
from trimtab.domains.deploy.plane import Plane
from trimtab.domains.deploy.targets.port import ReplicaSpec, ReplicaStatus
from trimtab.domains.registry.compilation.model import Compilation
from trimtab.domains.registry.errors import ModelCorrupt, ModelVersionNotFound
from trimtab.domains.registry.events import ModelCompiled
from trimtab.kernel.who import Principal
from trimtab.serving.processes import OWN, Interpreter
from trimtab.serving.routes import RouteTable, Version


class _Gateway:
    """Stands for the gateway's process and its control socket, and keeps what it is told."""

    pid = 99

    def __init__(self) -> None:
        self.control = self
        self.tables: list[RouteTable] = []
        self.problem = ""
        """Why it loads no compiled model."""

    def publish(self, table: RouteTable) -> None:
        self.tables.append(table)

    def state(self) -> Any:
        """Return what a gateway that does as it is told would tell."""

        def version(route: Version) -> Any:
            wanted = route.compiled is not None
            return SimpleNamespace(
                compiled=wanted and not self.problem,
                problem=self.problem if wanted else "",
                replicas=dict.fromkeys(route.sockets, True),
                in_flight=0,
                routed=True,
            )

        endpoints = self.tables[-1].endpoints
        return SimpleNamespace(
            endpoints={
                name: SimpleNamespace(versions={one.version: version(one) for one in endpoint.versions})
                for name, endpoint in endpoints.items()
            }
        )

    def route(self, version: str = "1") -> Version:
        """Return how it routes to a version now."""
        return next(one for one in self.tables[-1].endpoints["churn"].versions if one.version == version)


class _Target:
    """Stands for the processes of versions: each is ready at once."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], int] = {}

    def ensure(self, spec: ReplicaSpec, *, replicas: int = 1, patience_s: float = 60.0) -> ReplicaStatus:
        self.held[spec.key] = replicas
        return ReplicaStatus("ready", pid=7, sockets=[f"{spec.version}-{at}" for at in range(replicas)])

    def running(self) -> set[tuple[str, str]]:
        return {key for key, replicas in self.held.items() if replicas}

    def stop(self, key: tuple[str, str]) -> None:
        self.held.pop(key, None)


@pytest.fixture
def target() -> _Target:
    return _Target()


@pytest.fixture
def gateway() -> _Gateway:
    return _Gateway()


@pytest.fixture
def plane(app: App, tmp_path: Path, target: _Target, gateway: _Gateway) -> Plane:
    return Plane(
        app.deploy,
        govern=app.govern,
        registry=app.registry,
        gateway=cast(Any, gateway),
        target=target,
        folder=tmp_path / "plane",
    )


def test_what_was_read_before_another_push_does_not_undo_it(
    app: App,
    models: Models,
    editor: Principal,
    plane: Plane,
    gateway: _Gateway,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for version in (1, 2):
        models.version()
        app.deploy.deploy(editor, "churn", f"models:/churn/{version}")
        app.deploy.replica_ready(PLANE, "churn", str(version), pid=version)
        plane._ready["churn", str(version)] = ReplicaStatus("ready", pid=version, sockets=["s"])
    has_read, may_push = threading.Event(), threading.Event()
    plane_view = app.deploy.plane_view

    def held_after_the_first_reading(who: Principal) -> list[Endpoint]:
        read = plane_view(who)
        if not has_read.is_set():
            has_read.set()
            assert may_push.wait(20)
        return read

    monkeypatch.setattr(app.deploy, "plane_view", held_after_the_first_reading)
    older, newer = threading.Thread(target=plane.apply), threading.Thread(target=plane.apply)
    older.start()
    assert has_read.wait(20)
    app.deploy.traffic(editor, "churn", {"1": 100.0})
    newer.start()
    newer.join(0.5)
    may_push.set()
    older.join(20), newer.join(20)
    weights = {one.version: one.weight for one in gateway.tables[-1].endpoints["churn"].versions}
    assert weights == {"1": 100.0, "2": 0.0}


def test_a_version_is_shown_as_ready_when_requests_find_it(
    app: App, models: Models, editor: Principal, plane: Plane, gateway: _Gateway
) -> None:
    models.version()
    app.deploy.deploy(editor, "churn", "models:/churn/1")
    app.deploy.replica_ready(PLANE, "churn", "1", pid=1)
    assert _shown(app, editor, lambda: plane) == "starting"
    plane._ready["churn", "1"] = ReplicaStatus("ready", pid=1, sockets=["s"])
    plane.apply()
    assert _shown(app, editor, lambda: plane) == "ready"
    assert _shown(app, editor, lambda: None) == "ready", (
        "a server without a data plane of its own trusts the store"
    )


@pytest.fixture
def compiled(app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folder of version 1's compiled form, once it is put in here."""
    found: list[Path] = []

    def compilation(*_: object) -> Compilation:
        # Each folder in the list is another compilation, the last one that of now.
        return Compilation("compiled" if found else "unsupported", len(found), 1, None)

    def materialize(*_: object) -> Path | None:
        return found[-1] if found else None

    monkeypatch.setattr(app.registry, "compilation", compilation)
    monkeypatch.setattr(app.registry, "materialize_compiled", materialize)
    monkeypatch.setattr("trimtab.domains.deploy.compiled._LOOK_AGAIN_S", 0.0)
    monkeypatch.setattr("trimtab.domains.deploy.compiled._LOOK_S", 0.0)
    return found


def _reconcile(plane: Plane, times: int = 4) -> None:
    for _ in range(times):
        plane._reconcile()


def test_a_compiled_version_needs_no_process(
    app: App,
    models: Models,
    editor: Principal,
    plane: Plane,
    gateway: _Gateway,
    target: _Target,
    compiled: list[Path],
    tmp_path: Path,
) -> None:
    compiled.append(tmp_path)
    models.version()
    app.deploy.deploy(editor, "churn", "models:/churn/1")
    _reconcile(plane)
    served = app.deploy.endpoint(editor, "churn").served[0]
    assert (served.state, served.weight, served.pid) == ("ready", 100.0, gateway.pid)
    assert (gateway.route().compiled, gateway.route().sockets) == (str(tmp_path), [])
    assert target.held == {}
    assert plane.runtime("churn", "1") == "compiled"


def test_a_native_version_has_a_process_until_its_compiled_form_answers(
    app: App,
    models: Models,
    editor: Principal,
    plane: Plane,
    gateway: _Gateway,
    target: _Target,
    compiled: list[Path],
    tmp_path: Path,
) -> None:
    models.version()
    app.deploy.deploy(editor, "churn", "models:/churn/1")
    _reconcile(plane)
    assert (plane.runtime("churn", "1"), target.running()) == ("process", {("churn", "1")})
    compiled.append(tmp_path)
    plane._reconcile()
    assert gateway.route().sockets, "it answers until the gateway has the other"
    _reconcile(plane)
    assert (plane.runtime("churn", "1"), target.running()) == ("compiled", set())
    app.deploy.settings.change(editor, "churn", {"explain": "on"})
    _reconcile(plane)
    assert (plane.runtime("churn", "1"), gateway.route().sockets) == ("compiled", ["1-0"])
    app.deploy.settings.change(editor, "churn", {"explain": "off"})
    _reconcile(plane)
    assert (gateway.route().sockets, target.running()) == ([], set())


def test_one_that_was_compiled_anew_is_loaded_anew(
    app: App,
    models: Models,
    editor: Principal,
    plane: Plane,
    gateway: _Gateway,
    compiled: list[Path],
    tmp_path: Path,
) -> None:
    compiled.append(tmp_path / "1")
    models.version()
    app.deploy.deploy(editor, "churn", "models:/churn/1")
    _reconcile(plane)
    compiled.append(tmp_path / "2")
    _reconcile(plane)
    assert (gateway.route().compiled, plane.runtime("churn", "1")) == (str(tmp_path / "2"), "compiled")


def test_what_was_compiled_anew_is_taken_up_when_that_is_told(
    app: App,
    models: Models,
    editor: Principal,
    plane: Plane,
    gateway: _Gateway,
    compiled: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled.append(tmp_path / "1")
    models.version()
    app.deploy.deploy(editor, "churn", "models:/churn/1")
    _reconcile(plane)
    monkeypatch.setattr("trimtab.domains.deploy.compiled._LOOK_AGAIN_S", 3600.0)
    _reconcile(plane)
    compiled.append(tmp_path / "2")
    _reconcile(plane)
    assert gateway.route().compiled == str(tmp_path / "1")
    app.deploy.followed_by(plane.apply, compiled=plane.compiled_anew)
    with app.db.write() as tx:
        event = ModelCompiled(
            name="churn", version=1, state="compiled", message="", native_us=None, compiled_us=None
        )
        app.bus.emit(tx, event, subject="model:churn/1", actor="owner")
    work_off(app, "light")
    _reconcile(plane)
    assert gateway.route().compiled == str(tmp_path / "2")


def test_one_whose_file_is_damaged_runs_natively_and_disturbs_no_other(
    app: App,
    models: Models,
    editor: Principal,
    plane: Plane,
    compiled: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def damaged(*_: object) -> Path | None:
        raise ModelCorrupt("the compiled model is gone")

    compiled.append(tmp_path)
    monkeypatch.setattr(app.registry, "materialize_compiled", damaged)
    models.version()
    app.deploy.deploy(editor, "churn", "models:/churn/1")
    _reconcile(plane)
    assert plane.runtime("churn", "1") == "process"


def test_one_that_the_gateway_cannot_load_or_shall_not_runs_natively(
    app: App,
    models: Models,
    editor: Principal,
    plane: Plane,
    gateway: _Gateway,
    target: _Target,
    compiled: list[Path],
    tmp_path: Path,
) -> None:
    compiled.append(tmp_path)
    gateway.problem = "no onnxruntime"
    models.version(), models.version()
    app.deploy.deploy(editor, "churn", "models:/churn/1")
    _reconcile(plane)
    assert (plane.runtime("churn", "1"), gateway.route().compiled) == ("process", None)
    gateway.problem = ""
    app.deploy.deploy(editor, "churn", "models:/churn/2", native=True)
    _reconcile(plane)
    assert (plane.runtime("churn", "2"), gateway.route("2").compiled) == ("process", None)


def test_processes_follow_what_is_set(
    app: App,
    models: Models,
    editor: Principal,
    plane: Plane,
    gateway: _Gateway,
    target: _Target,
    compiled: list[Path],
) -> None:
    assert not compiled
    models.version()
    app.deploy.deploy(editor, "churn", "models:/churn/1")
    app.deploy.settings.change(editor, "churn", {"min_replicas": "2", "max_replicas": "3"})
    _reconcile(plane)
    assert gateway.route().sockets == ["1-0", "1-1"]
    app.deploy.settings.change(editor, "churn", {"min_replicas": "0", "idle": "1s"})
    _reconcile(plane)
    scaler = plane._scalers["churn", "1"]
    scaler.wanted = 0
    _reconcile(plane)
    assert (gateway.route().asleep, target.running()) == (True, set())
    assert app.deploy.endpoint(editor, "churn").state == "ready", "whoever asks is answered"


def _shown(app: App, who: Principal, data_plane: Callable[[], Plane | None]) -> str:
    listed = {
        (one.method, one.path): one.handler for one in http.routes(app.deploy, data_plane, inference_url="")
    }
    request: Any = SimpleNamespace(who=who, path={"name": "churn"})
    return listed["GET", "/api/v1/endpoints/{name}"](request).versions[0].state


def test_a_version_that_was_deleted_goes_on_in_its_python(
    app: App, models: Models, owner: Principal, editor: Principal, tmp_path: Path
) -> None:
    python = tmp_path / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    known = Interpreter(str(python), "source")
    gone = False

    def ask(_: str, __: int) -> Interpreter | None:
        if gone:
            raise ModelVersionNotFound("It was deleted.")
        return known

    models.version()
    endpoint = app.deploy.deploy(editor, "churn", "models:/churn/1")
    (one,) = endpoint.served
    before = Loading(app.registry, tmp_path / "models", ask).spec(endpoint, one)
    gone = True
    app.registry.delete_version(owner, "churn", 1)
    after = Loading(app.registry, tmp_path / "models", ask)
    spec = after.spec(endpoint, one)
    assert spec == before
    assert spec is not None
    assert spec.interpreter == known
    python.unlink()
    spec = after.spec(endpoint, one)
    assert spec is not None
    assert spec.interpreter == OWN
