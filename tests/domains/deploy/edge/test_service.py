"""Bundles as the server makes and signs them, and what devices hand over for monitoring."""

import base64
import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.testclient import TestClient

from tests.background import work_off
from tests.serving.edge.conftest import onnx_folder
from trimtab.app import App
from trimtab.domains.deploy.edge import store
from trimtab.domains.deploy.edge.errors import BadDelivery, EdgeBundleNotFound, EdgeBundleNotReady
from trimtab.domains.deploy.edge.model import Delivery, EdgeBundle
from trimtab.domains.deploy.settings import HASHES
from trimtab.domains.monitor.service import WHO
from trimtab.infra.db import Where
from trimtab.infra.secrets import Secrets
from trimtab.kernel.errors import Forbidden, Invalid, NotFound
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal
from trimtab.serving import segments
from trimtab.serving.edge import verify
from trimtab.serving.edge.home import Home
from trimtab.serving.edge.runner import Runner
from trimtab.serving.policies.fields import Anonymiser
from trimtab.serving.policies.settings import FieldRule
from trimtab.serving.records import Prediction

__all__ = ["onnx_folder"]

DEVICE = "0123456789abcdef"
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def register(app: App, who: Principal, folder: Path, *, note: str = "") -> int:
    """Register a version with the files of a folder."""
    logged = app.tracking.logged_models.create(who, experiment_id="0", name="scans")
    for path in folder.iterdir():
        if path.is_file():
            app.tracking.artifacts.put(who, f"0/models/{logged.id}/artifacts/{path.name}", path.read_bytes())
    if note:
        app.tracking.artifacts.put(who, f"0/models/{logged.id}/artifacts/note", note.encode())
    app.tracking.logged_models.finalize(who, logged.id, "READY")
    source = f"models:/{logged.id}"
    return app.registry.create_version(who, "scans", source=source, model_id=logged.id).version


@pytest.fixture
def ready(app: App, editor: Principal, onnx_folder: Path) -> App:
    """An App with version 1 of the model scans as its champion."""
    app.registry.create_model(editor, "scans")
    register(app, editor, onnx_folder)
    app.registry.set_alias(editor, "scans", "champion", 1)
    return app


def made(app: App, who: Principal, **more: Any) -> EdgeBundle:
    app.edge.create(who, model="models:/scans@champion", **more)
    work_off(app, "heavy", "light")
    bundle = app.edge.get(who, "scans", "champion")
    assert bundle.state == "ready", bundle.error
    return bundle


def unpacked(app: App, who: Principal, folder: Path) -> Path:
    _, content = app.edge.open(who, "scans", "champion")
    with content, zipfile.ZipFile(io.BytesIO(content.read())) as archive:
        archive.extractall(folder)
    return folder


def delivery(number: int = 7, **more: Any) -> Delivery:
    one = {
        "id": f"edge-{DEVICE}-1-{number:x}",
        "at_us": now_us(),
        "version": "1",
        "columns": {"a": [1.0, 2.0], "b": [0.5, None]},
        "outputs": [0.25, 0.75],
        **more.pop("one", {}),
    }
    given = {"device": DEVICE, "number": number, "sequence": 1, "predictions": [one], **more}
    return msgspec.convert(given, Delivery)


def test_a_bundle_is_signed_and_follows_its_alias(
    ready: App, editor: Principal, viewer: Principal, onnx_folder: Path, tmp_path: Path
) -> None:
    ready.deploy.deploy(editor, "live", "models:/scans/1")
    ready.deploy.settings.change(editor, "live", {}, rules={"a": "hash"})
    first = made(ready, editor)
    assert (first.sequence, first.version, first.endpoint) == (1, 1, "scans-edge")
    key = ready.edge.public_key(viewer)
    manifest = verify.read(unpacked(ready, viewer, tmp_path / "one"), key)
    assert (manifest["channel"], manifest["version"], manifest["sequence"]) == ("scans@champion", "1", 1)
    trust = json.loads((tmp_path / "one" / "trust.json").read_text())
    assert trust == {"key": key, "server": "http://127.0.0.1:5000"}
    assert manifest["rules"] == {"a": {"kind": "hash", "by": ""}}, "of every endpoint that serves the model"
    secret = Secrets(ready.settings.secret_key_path).derive(HASHES)
    told = (secret, secret.hex().encode(), base64.b64encode(secret))
    files = [path.read_bytes() for path in (tmp_path / "one").rglob("*") if path.is_file()]
    assert not any(one in content for content in files for one in told)
    assert set(ready.edge.blobs_in_use(Principal("owner", "owner", "admin"))) == {first.blob}

    register(ready, editor, onnx_folder, note="another")
    ready.registry.set_alias(editor, "scans", "champion", 2)
    work_off(ready, "light", "heavy")
    second = ready.edge.get(viewer, "scans", "champion")
    assert (second.sequence, second.version, second.state) == (2, 2, "ready")
    ready.registry.set_alias(editor, "scans", "champion", 1)
    work_off(ready, "light", "heavy")
    third = ready.edge.get(viewer, "scans", "champion")
    assert third.sequence == 3, "going back is going on"
    assert ready.edge.create(editor, model="models:/scans@champion") == third, "there is one already"
    again = verify.read(unpacked(ready, viewer, tmp_path / "two"), key)
    assert (again["version"], again["sequence"]) == ("1", 3)


@ON_SQLITE
def test_a_device_follows_the_server(
    ready: App, editor: Principal, onnx_folder: Path, http: TestClient, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    made(ready, editor)
    device = unpacked(ready, editor, tmp_path / "device")
    home = Home(device / "home")
    home.install(device, key=verify.fingerprint(ready.edge.public_key(editor)))
    runner = Runner(home)

    def ask(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        answer = http.request(method, f"/api/v1/edge/bundles/scans/champion{path}", json=body)
        return answer.status_code, answer.json()

    def fetch(path: str, target: Path, size: int) -> None:
        content = http.get(f"/api/v1/edge/bundles/scans/champion{path}").content
        assert len(content) == size
        target.write_bytes(content)

    monkeypatch.setattr(runner, "_ask", ask)  # the test's client, since no server runs
    monkeypatch.setattr(runner, "_download", fetch)
    prediction = runner.predict({"a": [0.5], "b": [1.0]})
    assert runner.sync() == {"forwarded": 1, "updated": None}
    (path,) = segments.sealed(ready.serving_folder / "log")
    (record,) = segments.read(path)
    assert isinstance(record, Prediction)
    assert (record.id, record.endpoint, record.version, record.outputs) == (
        prediction["prediction_id"], "scans-edge", "1", prediction["predictions"],
    )  # fmt: skip

    register(ready, editor, onnx_folder, note="another")
    ready.registry.set_alias(editor, "scans", "champion", 2)
    work_off(ready, "light", "heavy")
    assert runner.sync() == {"forwarded": 0, "updated": 2}
    assert runner.predict({"a": [0.5], "b": [1.0]})["version"] == "2"
    assert runner.forward() == 1
    (seen,) = ready.edge.devices(editor, "scans", "champion")
    assert (seen.device, seen.sequence, seen.taken, seen.problem) == (runner.device, 2, 2, None)


def test_what_devices_predicted_is_taken_in_once(ready: App, editor: Principal, viewer: Principal) -> None:
    made(ready, editor)
    sent = delivery()
    assert ready.edge.deliver(editor, "scans", "champion", sent) == 1
    assert ready.edge.deliver(editor, "scans", "champion", sent) == 1, "the answer was lost on its way"
    log = ready.serving_folder / "log"
    assert len(segments.sealed(log)) == 1
    assert ready.monitors.take_in(WHO) == 1
    assert ready.edge.deliver(editor, "scans", "champion", sent) == 1, "and again, long after it was taken in"
    ready.monitors.take_in(WHO)
    rows = ready.monitors.recent_predictions(viewer, "scans-edge")
    assert len(rows) == 2, "the two rows of one prediction"
    assert {one["version"] for one in rows} == {"1"}
    assert ready.monitors.prediction(viewer, sent.predictions[0].id)["endpoint"] == "scans-edge"
    with pytest.raises(Forbidden):
        ready.edge.deliver(viewer, "scans", "champion", sent)
    ready.edge.deliver(
        editor, "scans", "champion",
        delivery(8, lost=3, refused={"sequence": 9, "reason": "row 1"}, predictions=[]),
    )  # fmt: skip
    (device,) = ready.edge.devices(viewer, "scans", "champion")
    assert (device.taken, device.lost, device.problem) == (3, 3, "bundle 9: row 1")


@ON_SQLITE
@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"device": "x"}, "device"),
        ({"one": {"id": "edge-ffffffffffffffff-1-1"}}, "predictions[0].id"),
        ({"one": {"id": "../../x"}}, "predictions[0].id"),
        ({"one": {"at_us": 1}}, "predictions[0].at_us"),
        ({"one": {"at_us": 2**61}}, "predictions[0].at_us"),
        ({"one": {"version": "x/y"}}, "predictions[0].version"),
        ({"one": {"outputs": []}}, "predictions[0].outputs"),
        ({"one": {"outputs": [{"x": 1}, 2]}}, "predictions[0].outputs"),
        ({"one": {"columns": {"z": [1, 2]}}}, "predictions[0].columns"),
        ({"one": {"columns": {"a": [1]}}}, "predictions[0].columns.a"),
        ({"one": {"columns": {"a": [[1], 2]}}}, "predictions[0].columns.a"),
    ],
)
def test_deliveries_that_make_no_sense_are_refused_whole(
    signed: App, editor: Principal, more: Any, field: str
) -> None:
    with pytest.raises(BadDelivery) as raised:
        signed.edge.deliver(editor, "scans", "champion", delivery(**more))
    assert raised.value.field == field
    assert segments.sealed(signed.serving_folder / "log") == []


@pytest.fixture
def signed(ready: App, editor: Principal) -> App:
    """The App as if a bundle had been made: what is asked for here needs no process for it."""
    ready.edge.create(editor, model="models:/scans@champion")
    with ready.db.write() as tx:
        (bundle,) = store.find(tx, where=Where())
        store.put(tx, msgspec.structs.replace(bundle, state="ready", sequence=1, version=1))
    return ready


@ON_SQLITE
def test_the_rules_of_what_is_written_down_hold_for_devices(
    signed: App, editor: Principal, viewer: Principal
) -> None:
    signed.deploy.deploy(editor, "live", "models:/scans/1")
    signed.deploy.settings.change(editor, "live", {}, rules={"a": "hash", "b": "generalise:month"})
    key = Secrets(signed.settings.secret_key_path).derive(HASHES)
    raw = {"a": ["anna@example.com", 1234.5678], "b": ["1984-07-15", "2001-02"]}
    sent = delivery(one={"columns": raw})  # of a device with an older bundle
    assert signed.edge.deliver(editor, "scans", "champion", sent) == 1
    (segment,) = segments.sealed(signed.serving_folder / "log")
    (kept,) = segments.read(segment)
    assert isinstance(kept, Prediction)
    expected = Anonymiser({"a": FieldRule("hash")}, key).apply({"a": raw["a"]})["a"]
    assert (kept.columns["a"], kept.columns["b"], kept.route) == (expected, ["1984-07", "2001-02"], "device")
    assert signed.monitors.take_in(WHO) == 1
    signed.deploy.settings.change(editor, "live", {}, rules={"a": "drop"})
    work_off(signed, "light")
    assert signed.edge.get(viewer, "scans", "champion").state == "building", (
        "another bundle, with these rules"
    )
    told = (b"anna@", b"1984-07-15", struct.pack(">d", 1234.5678), struct.pack("<d", 1234.5678), b"1234.5678")
    for path in signed.settings.home_path.rglob("*"):
        assert not path.is_file() or not any(one in path.read_bytes() for one in told), path


def test_what_makes_no_sense_is_refused_at_once(
    ready: App, editor: Principal, viewer: Principal, http: TestClient
) -> None:
    with pytest.raises(Forbidden):
        ready.edge.create(viewer, model="models:/scans@champion")
    for wrong in (
        {"model": "models:/scans/1"},
        {"model": "models:/scans@champion", "endpoint": "a b"},
        {"model": "models:/scans@champion", "reference": "run:1"},
    ):
        with pytest.raises(Invalid):
            ready.edge.create(editor, **wrong)
    for unknown in (
        {"model": "models:/scans@nobody"},
        {"model": "models:/scans@champion", "reference": "data:none"},
    ):
        with pytest.raises(NotFound):
            ready.edge.create(editor, **unknown)
    with pytest.raises(EdgeBundleNotFound):
        ready.edge.get(viewer, "scans", "champion")
    asked = http.post("/api/v1/edge/bundles", json={"model": "models:/scans@champion"})
    assert asked.status_code == 202
    with pytest.raises(EdgeBundleNotReady):
        ready.edge.open(viewer, "scans", "champion")
    assert http.get("/api/v1/edge/bundles/scans/champion/file").status_code == 409
    assert len(http.get("/api/v1/edge/bundles").json()["items"]) == 1
    body = msgspec.to_builtins(delivery())
    assert http.post("/api/v1/edge/bundles/scans/champion/predictions", json=body).status_code == 409
    bad = {**body, "number": -1}
    assert http.post("/api/v1/edge/bundles/scans/champion/predictions", json=bad).status_code == 400
    assert http.get("/api/v1/edge/bundles/scans/champion/devices").json()["items"] == []
    assert http.delete("/api/v1/edge/bundles/scans/champion").status_code == 204
    assert http.get("/api/v1/edge/bundles/scans/champion").json()["code"] == "edge-bundle-not-found"


@ON_SQLITE
def test_a_model_that_no_device_runs_says_so(
    ready: App, editor: Principal, onnx_folder: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("MLmodel", "model.onnx"):
        (bare / name).write_bytes((onnx_folder / name).read_bytes())
    number = register(ready, editor, bare)
    ready.registry.set_alias(editor, "scans", "champion", number)
    ready.edge.create(editor, model="models:/scans@champion")
    work_off(ready, "heavy", "light")
    bundle = ready.edge.get(editor, "scans", "champion")
    assert bundle.state == "failed"
    assert "no rows to check the bundle by" in (bundle.error or "")
