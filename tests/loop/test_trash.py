"""The trash of everything, holds, and collections: what nothing needs goes, and nothing else does."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.background import work_off
from tests.domains.traces import building
from trimtab.app import MIGRATED, App
from trimtab.domains.data.model import DataFile
from trimtab.domains.traces.errors import TraceNotFound
from trimtab.infra.db.migrate import statements
from trimtab.infra.db.queries import statement
from trimtab.kernel.time import DAY_US, now_us
from trimtab.kernel.who import Principal
from trimtab.loop.model import Collected, Collection

Age = Callable[[], None]


@pytest.fixture
def age(app: App) -> Age:
    """Make every blob that is kept for its writer's sake no longer look as if it had been stored long ago."""

    def run() -> None:
        for blob in app.blobs.ids():
            path = app.blobs.path(blob)
            assert path is not None
            if path.stat().st_mtime < time.time() + 1:
                os.utime(path, (0, time.time() - 3600))

    return run


def collect(app: App, *, dry_run: bool = False, older_than_us: int = 0) -> Collected:
    one = Collection("gc_x", dry_run, older_than_us, False, "queued", 0, None, "test", None, Collected())
    return app.collector.collect(one)


def blobs(app: App) -> set[str]:
    return set(app.blobs.ids())


def _experiment(app: App, who: Principal, name: str, content: bytes) -> tuple[str, str]:
    experiment = app.tracking.experiments.create(who, name=name).id
    run_id = app.tracking.runs.create(who, experiment_id=experiment).head.id
    app.tracking.artifacts.put(who, f"{experiment}/{run_id}/artifacts/own", content)
    app.tracking.artifacts.put(who, f"{experiment}/{run_id}/artifacts/shared", b"the same everywhere")
    return experiment, run_id


def _model(app: App, who: Principal, name: str) -> None:
    model = app.tracking.logged_models.create(who, experiment_id="0", name="m").id
    for path, content in (("MLmodel", b"flavors: {}\n"), ("weights.bin", name.encode() * 50)):
        app.tracking.artifacts.put(who, f"0/models/{model}/artifacts/{path}", content)
    app.tracking.logged_models.finalize(who, model, "READY")
    app.registry.create_version(who, name, source=f"models:/{model}", create_model=True, tags={"k": "v"})
    app.tracking.artifacts.delete(who, f"0/models/{model}/artifacts")


def test_only_what_nothing_needs_goes(app: App, owner: Principal, age: Age) -> None:
    _experiment(app, owner, "stays", b"stays")
    experiment, _ = _experiment(app, owner, "goes", b"goes" * 1000)
    app.tracking.experiments.delete(owner, experiment)
    age()
    before = blobs(app)
    would = collect(app, dry_run=True)
    assert (would.experiments, would.runs, would.files, would.file_bytes) == (1, 1, 2, 4019)
    assert (would.blobs, would.blob_bytes) == (1, 4000), "the shared file is needed still"
    assert blobs(app) == before
    assert app.tracking.experiments.get(owner, experiment).state == "deleted"
    assert collect(app, older_than_us=DAY_US) == Collected(), "it was deleted just now"
    gone = collect(app)
    assert (gone.experiments, gone.runs, gone.blobs, gone.blob_bytes) == (1, 1, 1, 4000)
    assert len(blobs(app)) == len(before) - 1
    again = collect(app)
    assert (again.experiments, again.blobs) == (0, 0)


def test_uploads_in_flight_are_safe(app: App, owner: Principal, age: Age) -> None:
    experiment, run_id = _experiment(app, owner, "goes", b"wanted again")
    app.tracking.experiments.delete(owner, experiment)
    age()
    stored = app.blobs.put(b"wanted again")  # a client sends the same bytes; its row is still to come
    app.data.content.put(owner, _id(b"of a data set"), iter([b"of a data set"]))
    upload, secret = app.tracking.uploads.begin(owner, f"0/{run_id}/artifacts", "big.bin", parts=2)
    app.tracking.uploads.put_part(upload.id, 1, iter([b"half"]), secret=secret, size_bytes=4)
    assert collect(app).runs == 1
    app.tracking.artifacts.put_blob(owner, "0/r/artifacts/x", stored)
    assert app.tracking.artifacts.open(owner, "0/r/artifacts/x").read() == b"wanted again"
    app.data.add(owner, "d", [DataFile("a.bin", 13, _id(b"of a data set"))])
    app.tracking.uploads.put_part(upload.id, 2, iter([b"!"]), secret=secret, size_bytes=1)


def _id(content: bytes) -> str:
    from trimtab.testing.blobs import name_of

    return name_of(content)


def test_every_domain_keeps_what_it_needs(app: App, owner: Principal, age: Age) -> None:
    app.data.content.put(owner, _id(b"a,b\n1,2\n"), iter([b"a,b\n1,2\n"]))
    app.data.add(owner, "table", [DataFile("a.csv", 8, _id(b"a,b\n1,2\n"))])
    app.data.content.put(owner, _id(b"removed"), iter([b"removed"]))
    app.data.add(owner, "old", [DataFile("b.bin", 7, _id(b"removed"))])
    app.data.remove(owner, "old")
    _model(app, owner, "kept")
    _model(app, owner, "deleted")
    app.registry.delete_model(owner, "deleted")
    for blob in blobs(app):
        path = app.blobs.path(blob)
        assert path is not None
        os.utime(path, (0, time.time() - 3600))
    report = collect(app, older_than_us=DAY_US)
    assert report.blobs == 0
    assert [file.path for file in app.data.files(owner, "table")] == ["a.csv"]
    assert app.registry.open_file(owner, "kept", 1, "weights.bin")[1].read() == b"kept" * 50
    app.registry.trash.restore(owner, "model:deleted")
    assert app.registry.open_file(owner, "deleted", 1, "weights.bin")[1].read() == b"deleted" * 50
    app.registry.delete_model(owner, "deleted")
    gone = collect(app)
    assert (gone.models, gone.model_versions, gone.artifacts) == (1, 1, 2)
    assert _id(b"removed") not in blobs(app)
    assert app.registry.open_file(owner, "kept", 1, "weights.bin")[1].read() == b"kept" * 50


def test_tables_that_refer_to_blobs_are_all_known() -> None:
    """A new column of blobs must be added to what a collection asks for, and then here."""
    from importlib import resources

    known = {
        *("data_version.manifest", "data_version.profile", "data_version.sketches", "monitor_part.blob"),
        *("pipelines_pipeline.source_blob", "pipelines_run.source_blob", "pipelines_step.log_blob"),
        *("registry_version_file.blob", "tracking_artifact.blob", "tracking_trash_file.blob"),
        *("registry_compilation.blob", "deploy_edge.blob"),
        "tracking_upload.blob",  # an artifact has the same
    }
    found: set[str] = set()
    for package in MIGRATED:
        for file in resources.files(package).joinpath("migrations").iterdir():
            if file.name.endswith(".sql"):
                for text in statements(file.read_text(), "postgresql"):
                    words = text.split()
                    if words[:2] == ["create", "table"]:
                        columns = [line.split()[0] for line in text.splitlines()[1:] if line.split()]
                        found |= {
                            f"{words[2]}.{column}"
                            for column in columns
                            if "blob" in column or column in ("manifest", "profile", "sketches")
                        }
    assert found - {"tracking_dataset.profile", "traces_dataset.profile"} == known


def test_models_and_versions_come_back_as_they_were(app: App, owner: Principal) -> None:
    registry, trash = app.registry, app.registry.trash
    _model(app, owner, "m")
    registry.describe_model(owner, "m", description="what it is for")
    registry.set_model_tag(owner, "m", key="team", value="a")
    registry.set_alias(owner, "m", "champion", 1)
    before = (registry.get_model(owner, "m"), registry.get_version(owner, "m", 1))
    registry.delete_version(owner, "m", 1)
    (item,) = trash.items(owner, limit=10)
    assert (item.ref, item.kind, item.size_bytes) == ("model:m/1", "model-version", 62)
    trash.restore(owner, "model:m/1")
    assert registry.get_version(owner, "m", 1).tags == {"k": "v"}
    assert registry.get_model(owner, "m").aliases == {"champion": 1}
    registry.delete_model(owner, "m")
    app.govern.hold(owner, "model:m/1", reason="an audit")
    assert [one.held for one in trash.items(owner, limit=10)] == [True]
    assert app.trash.hold(owner, "model:m", reason="also deleted ones can be held").ref == "model:m"
    registry.create_model(owner, "m")
    with pytest.raises(Exception, match="in use again"):
        trash.restore(owner, "model:m")
    registry.delete_model(owner, "m")
    assert sorted(one.ref.partition("~")[0] for one in trash.items(owner, limit=10)) == ["model:m", "model:m"]
    trash.restore(owner, "model:m")
    after = (registry.get_model(owner, "m"), registry.get_version(owner, "m", 1))
    assert (after[0].description, after[0].tags, after[0].aliases) == (
        before[0].description, before[0].tags, before[0].aliases,
    )  # fmt: skip
    assert after[1].digest == before[1].digest
    assert after[1].created_us == before[1].created_us
    assert registry.open_file(owner, "m", 1, "weights.bin")[1].read() == b"m" * 50


def test_what_goes_into_the_trash_of_the_registry_is_complete(app: App) -> None:
    """Every column of the tables is copied, so that one which is added later is not forgotten."""
    from trimtab.domains.registry.trash.store import MODEL_TABLES, VERSION_TABLES

    for table, columns in (VERSION_TABLES | MODEL_TABLES).items():
        if app.db.dialect == "sqlite":
            listing = f"select name from pragma_table_info('{table}')"
        else:
            listing = f"select column_name from information_schema.columns where table_name = '{table}'"
        with app.db.read() as tx:
            assert {name for (name,) in tx.all(statement("columns", listing))} == set(columns), table


def test_over_http(app: App, http: TestClient, owner: Principal) -> None:
    _, run_id = _experiment(app, owner, "e", b"x")
    _model(app, owner, "m")
    http.delete(f"/api/v1/runs/{run_id}")
    app.registry.delete_version(owner, "m", 1)
    refs = [item["ref"] for item in http.get("/api/v1/trash").json()["items"]]
    assert refs[0] == "model:m/1"
    assert refs[1] == f"run:{run_id}"
    first = http.get("/api/v1/trash", params={"limit": 1}).json()
    rest = http.get("/api/v1/trash", params={"limit": 9, "cursor": first["next_cursor"]}).json()
    assert [item["ref"] for item in first["items"] + rest["items"]] == refs
    (item,) = http.get("/api/v1/trash", params={"kind": "run"}).json()["items"]
    assert item.keys() == {
        *("ref", "kind", "name", "deleted_us", "deleted_by", "purge_us", "held", "size_bytes"),
    }
    assert item["purge_us"] == item["deleted_us"] + 30 * DAY_US
    held = http.put(f"/api/v1/holds/run:{run_id}", json={"reason": "a lawsuit"})
    assert (held.status_code, held.json()["placed_by"]) == (200, "owner")
    assert http.get("/api/v1/holds").json()["items"][0]["ref"] == f"run:{run_id}"
    assert http.get("/api/v1/trash", params={"kind": "run"}).json()["items"][0]["held"] is True
    refused = http.post("/api/v1/trash/purge", json={"refs": [f"run:{run_id}"]})
    assert (refused.status_code, refused.json()["code"]) == (409, "held")
    assert http.delete(f"/api/v1/holds/run:{run_id}", params={"reason": "settled"}).status_code == 204
    for path, body in [
        ("/api/v1/trash/restore", {"refs": ["nonsense"]}),
        ("/api/v1/trash/purge", {"refs": ["run:none"]}),
        ("/api/v1/gc", {"older_than_us": -1}),
        ("/api/v1/gc", {"older": 1}),
    ]:
        assert 400 <= http.post(path, json=body).status_code < 500
    for ref in ("run:none", "experiment:99", "model:none/1", "data:none", "alert:1", "nonsense", "model:m/x"):
        assert 400 <= http.put(f"/api/v1/holds/{ref}", json={"reason": "x"}).status_code < 500, ref
    assert http.get("/api/v1/trash", params={"kind": "rum"}).json()["detail"].endswith("Did you mean 'run'?")
    assert http.post("/api/v1/trash/restore", json={"refs": refs[:2]}).status_code == 200
    started = http.post("/api/v1/gc", json={"dry_run": True})
    assert (started.status_code, started.json()["state"]) == (202, "queued")
    assert http.get(f"/api/v1/gc/{started.json()['id']}").json()["dry_run"] is True
    assert http.get("/api/v1/gc/none").status_code == 404
    assert len(http.get("/api/v1/gc").json()["items"]) == 1


def test_traces_go_as_well_and_with_their_experiment(app: App, owner: Principal) -> None:
    traces = app.traces.traces
    here, held = building.experiment(app, owner, "here"), building.experiment(app, owner, "held")
    for number, experiment in ((1, here), (2, held), (3, here)):
        traces.state(owner, building.stated(number, experiment))
    traces.delete(owner, here, trace_ids=[building.trace_id(1)])
    traces.delete(owner, held, trace_ids=[building.trace_id(2)])
    app.trash.hold(owner, f"experiment:{held}", reason="a lawsuit")
    assert collect(app, dry_run=True).traces == 1
    assert collect(app).traces == 1
    assert collect(app).traces == 0
    app.govern.release(owner, f"experiment:{held}")
    assert collect(app).traces == 1
    app.tracking.experiments.delete(owner, here)
    assert collect(app).experiments == 1
    work_off(app)
    with pytest.raises(TraceNotFound):
        traces.get(owner, building.trace_id(3))


def test_the_database_file_shrinks(app: App, owner: Principal, tmp_path: Path) -> None:
    if app.db.dialect != "sqlite":
        assert app.db.reclaim() == 0
        return
    for number in range(40):
        app.tracking.experiments.create(owner, name=f"e{number}", tags={"t": "x" * 20_000})
    for number in range(1, 41):
        app.tracking.experiments.delete(owner, str(number))
    assert collect(app).database_bytes > 500_000
    assert app.db.reclaim(whole=True) >= 0
    assert now_us() > 0
