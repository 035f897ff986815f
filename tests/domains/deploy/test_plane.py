"""What the data plane tells the gateway."""

import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.domains.deploy.conftest import PLANE, Models
from trimtab.app import App
from trimtab.domains.deploy import http
from trimtab.domains.deploy.model import Endpoint
from trimtab.domains.deploy.plane import Plane
from trimtab.domains.deploy.targets.port import ReplicaStatus
from trimtab.kernel.who import Principal
from trimtab.serving.routes import RouteTable


class _Gateway:
    """Stands for the control socket, and keeps what it is told."""

    def __init__(self) -> None:
        self.tables: list[RouteTable] = []

    def put_routes(self, table: RouteTable) -> None:
        self.tables.append(table)


@pytest.fixture
def plane(app: App, tmp_path: Path) -> Plane:
    target: Any = SimpleNamespace()
    return Plane(
        app.deploy,
        govern=app.govern,
        registry=app.registry,
        target=target,
        folder=tmp_path / "plane",
        host="127.0.0.1",
        port=0,
    )


@pytest.fixture
def gateway(plane: Plane) -> _Gateway:
    made = _Gateway()
    plane._control = cast(Any, made)
    return made


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


def _shown(app: App, who: Principal, data_plane: Callable[[], Plane | None]) -> str:
    listed = {
        (one.method, one.path): one.handler for one in http.routes(app.deploy, data_plane, inference_url="")
    }
    request: Any = SimpleNamespace(who=who, path={"name": "churn"})
    return listed["GET", "/api/v1/endpoints/{name}"](request).versions[0].state
