"""Batch predictions as the server does them: asked for, carried out by a job, cut off, taken back, refused."""

import io
import struct
import threading
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

from tests.background import work_off
from tests.domains.deploy.batch.conftest import table
from tests.domains.deploy.conftest import Models
from trimtab.app import App
from trimtab.domains.data.model import DataFile
from trimtab.domains.deploy.batch.errors import BatchPredictionEnded, BatchPredictionNotFound
from trimtab.domains.deploy.batch.local import rules_of
from trimtab.domains.deploy.batch.model import BatchPrediction, Options
from trimtab.domains.deploy.batch.rules import UNTOLD
from trimtab.domains.deploy.batch.service import PREDICT
from trimtab.domains.deploy.settings import HASHES
from trimtab.infra.jobs import Interrupted
from trimtab.infra.secrets import Secrets
from trimtab.kernel.errors import Forbidden, Invalid, NotFound
from trimtab.kernel.who import Principal
from trimtab.sdk.client import Client
from trimtab.serving.errors import MissingColumn
from trimtab.serving.policies.fields import Anonymiser
from trimtab.serving.policies.settings import FieldRule

ROWS = table(900)
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what starts processes and asks nothing of the database that other tests do not ask of both engines."""


def add(app: App, who: Principal, name: str, rows: pa.Table, *, files: int = 1) -> None:
    made: list[DataFile] = []
    size = -(-rows.num_rows // files)
    for number in range(files):
        sink = io.BytesIO()
        pq.write_table(rows.slice(number * size, size), sink)
        content = sink.getvalue()
        made.append(DataFile(f"p{number}.parquet", len(content), app.blobs.put(content)))
    app.data.add(who, name, made)


def read(app: App, who: Principal, name: str) -> pa.Table:
    parts: list[pa.Table] = []
    for file in app.data.files(who, name):
        with app.blobs.open(file.blob) as stream:
            parts.append(pq.read_table(io.BytesIO(stream.read())))
    return pa.concat_tables(parts)


@pytest.fixture
def ready(app: App, models: Models, editor: Principal) -> App:
    """An App with the model churn and the data customers, in two files."""
    models.version()
    app.registry.set_alias(editor, "churn", "champion", 1)
    add(app, editor, "customers", ROWS, files=2)
    return app


def ask(app: App, who: Principal, **more: Any) -> BatchPrediction:
    options = Options(**{"rows_at_once": 100, "part_rows": 300, "workers": 1, **more.pop("options", {})})
    given = {"model": "models:/churn@champion", "data": "data:customers@1", **more}
    return app.batches.create(who, options=options, **given)


def test_a_data_version_is_predicted_with_lineage(ready: App, editor: Principal, viewer: Principal) -> None:
    bad = ROWS["a"].to_pylist()
    bad[17] = float("inf")
    add(ready, editor, "customers", ROWS.set_column(1, "a", [bad]))
    made = ask(ready, editor, data="data:customers", options={"on_error": "skip"}, reason="a try")
    assert (made.state, made.data_version, made.model_version, made.output) == (
        "queued", 2, 1, "customers-predictions",
    )  # fmt: skip
    work_off(ready, "heavy", "light")
    done = ready.batches.get(viewer, made.id)
    assert (done.state, done.error, done.rows_done, done.rows_total, done.rows_refused) == (
        "succeeded", None, 900, 900, 1,
    )  # fmt: skip
    assert (done.output_version, done.refused_version) == (1, 1)
    assert done.summary is not None
    assert done.summary.distribution[0]["count"] == 899
    found = read(ready, viewer, "customers-predictions")
    assert found.column_names == ["id", "note", "prediction"]
    keep = [at for at in range(900) if at != 17]
    assert found["id"].to_pylist() == ROWS["id"].take(keep).to_pylist()
    assert np.corrcoef(found["prediction"], ROWS["a"].take(keep))[0, 1] > 0.8
    assert read(ready, viewer, "customers-predictions-refused")["row"].to_pylist() == [17]

    graph = ready.lineage.graph(viewer, "data:customers-predictions@1", direction="up", depth=1)
    assert {edge.source for edge in graph.edges} == {"data:customers@2", "model:churn/1"}
    assert not (ready.settings.home_path / "batch" / made.id).exists()
    assert [one.id for one in ready.batches.list(viewer, model="churn").items] == [made.id]
    assert ready.batches.list(viewer, state="failed").items == []


@ON_SQLITE
def test_the_rules_of_what_is_written_down_hold_for_what_is_written_beside_predictions(
    ready: App, editor: Principal, viewer: Principal
) -> None:
    told = 1234.56789
    rows = ROWS.slice(0, 300).set_column(1, "a", [[told] * 299 + [float("inf")]])
    rows = rows.set_column(2, "b", [[17.25] * 300]).rename_columns(["id", "wage", "size", "note"])
    add(ready, editor, "people", rows)
    ready.deploy.deploy(editor, "live", "models:/churn/1")
    ready.deploy.settings.change(editor, "live", {}, rules={"a": "hash", "b": "generalise:10"})
    options = {"on_error": "skip", "keep": True, "inputs": ["wage", "size"]}
    made = ask(ready, editor, data="data:people@1", options=options)
    work_off(ready, "heavy", "light")
    done = ready.batches.get(viewer, made.id)
    assert (done.state, done.error, done.rows_refused) == ("succeeded", None, 1)
    found, refused = (
        read(ready, viewer, "people-predictions"),
        read(ready, viewer, "people-predictions-refused"),
    )
    key = Secrets(ready.settings.secret_key_path).derive(HASHES)
    (expected,) = Anonymiser({"a": FieldRule("hash")}, key).apply({"a": [told]})["a"]
    assert set(found["wage"].to_pylist()) == {expected}, "the hash that the log of the endpoint has"
    assert set(found["size"].to_pylist()) == {10.0}
    assert found["note"].to_pylist() == rows["note"].to_pylist()[:299]
    assert (refused["row"].to_pylist(), refused["reason"].to_pylist()) == ([299], [UNTOLD])
    assert refused["wage"].to_pylist()[0] not in ("inf", float("inf"))

    for name in ("people-predictions", "people-predictions-refused"):
        for file in ready.data.files(viewer, name):
            with ready.blobs.open(file.blob) as stream:
                content = stream.read()
            assert struct.pack("<d", told) not in content
            assert b"1234.56789" not in content


def test_a_dataset_that_is_written_from_elsewhere_has_the_rules_too(
    ready: App, editor: Principal, http: TestClient
) -> None:
    class OverHttp:
        def get(self, path: str) -> Any:
            return http.get(f"/api/v1{path}").json()

    client = cast(Client, OverHttp())
    assert rules_of("model:churn/1", client) == {}
    for name, rules in (("live", {"a": "generalise:10", "b": "mask"}), ("other", {"a": "generalise:20"})):
        ready.deploy.deploy(editor, name, "models:/churn/1")
        ready.deploy.settings.change(editor, name, {}, rules=rules)
    assert rules_of("model:churn/1", client) == {"a": FieldRule("mask"), "b": FieldRule("mask")}
    assert ready.deploy.settings.rules_of(editor, "churn") == rules_of("model:churn/1", client)
    assert ready.deploy.settings.rules_of(editor, "another") == {}
    ready.deploy.settings.change(editor, "other", {}, rules={"b": "hash"})
    assert rules_of("model:churn/1", client)["b"] == FieldRule("mask"), "the stricter one"
    ready.deploy.settings.change(Principal("o", "o", "approver"), "live", {}, rules={"b": None})
    with pytest.raises(Invalid, match="'b' is hashed"):
        rules_of("model:churn/1", client)


@ON_SQLITE
def test_what_was_cut_off_goes_on(ready: App, editor: Principal, monkeypatch: pytest.MonkeyPatch) -> None:
    made = ask(ready, editor)
    asked: list[int] = []

    class Context:
        """A job's context whose process is asked to leave after the first part."""

        @property
        def stopping(self) -> bool:
            parts = ready.settings.home_path / "batch" / made.id / "parts"
            asked.append(len(list(parts.glob("part-*.parquet"))))
            return asked[-1] >= 1

        def heartbeat(self, **_: Any) -> None: ...

    context: Any = Context()
    with pytest.raises(Interrupted):
        ready.batches.carry_out(editor, made.id, context)
    assert ready.batches.get(editor, made.id).state == "running"
    work_off(ready, "heavy")
    done = ready.batches.get(editor, made.id)
    assert done.state == "succeeded"
    assert done.summary is not None
    assert done.summary.resumed == 300
    assert read(ready, editor, "customers-predictions")["id"].to_pylist() == ROWS["id"].to_pylist()


@ON_SQLITE
def test_it_can_be_taken_back(ready: App, editor: Principal, viewer: Principal) -> None:
    waiting = ask(ready, editor)
    with pytest.raises(Forbidden):
        ready.batches.cancel(viewer, waiting.id)
    assert ready.batches.cancel(editor, waiting.id).state == "cancelled"
    with pytest.raises(BatchPredictionEnded, match="cancelled already"):
        ready.batches.cancel(editor, waiting.id)
    with pytest.raises(BatchPredictionNotFound):
        ready.batches.cancel(editor, "bp_0")
    running = ask(ready, editor)
    told = threading.Event()

    def beat(**_: Any) -> None:
        if not told.is_set():
            told.set()
            ready.batches.cancel(editor, running.id)

    context: Any = SimpleNamespace(stopping=False, heartbeat=beat)
    from trimtab.domains.deploy.batch import service

    service._NOTE_S, before = 0.0, service._NOTE_S
    try:
        ready.batches.carry_out(editor, running.id, context)
    finally:
        service._NOTE_S = before
    assert told.is_set()
    assert ready.batches.get(editor, running.id).state == "cancelled"
    assert not (ready.settings.home_path / "batch" / running.id).exists()
    with pytest.raises(NotFound):
        ready.data.get(editor, "customers-predictions")
    work_off(ready, "heavy")  # its job finds it ended


@ON_SQLITE
def test_a_bad_row_fails_it_with_the_reason(ready: App, editor: Principal) -> None:
    bad = [None, *ROWS["b"].to_pylist()[1:]]
    add(ready, editor, "holes", ROWS.set_column(2, "b", [bad]))
    made = ask(ready, editor, data="data:holes@1")
    work_off(ready, "heavy", "light")
    failed = ready.batches.get(editor, made.id)
    assert failed.state == "failed"
    assert failed.error is not None
    assert failed.error.startswith("column 'b', row 0: there is no value")
    assert ready.jobs.find(state="dead", kind=PREDICT) == []


def test_what_makes_no_sense_is_refused_at_once(
    ready: App, models: Models, editor: Principal, viewer: Principal
) -> None:
    with pytest.raises(Forbidden):
        ask(ready, viewer)
    for wrong in (
        {"data": "run:1"},
        {"data": "data:customers@x"},
        {"output": "no/name"},
        {"output": "customers"},
        {"options": {"rows_at_once": 0}},
        {"options": {"workers": 1000}},
        {"options": {"columns": ["id", "id"]}},
        {"path": "p7.parquet"},
    ):
        with pytest.raises(Invalid) as raised:
            ask(ready, editor, **wrong)
        assert raised.value.field
    for unknown in ({"data": "data:nobody"}, {"data": "data:customers@9"}, {"model": "models:/churn@nobody"}):
        with pytest.raises(NotFound):
            ask(ready, editor, **unknown)
    number = models.version(pickle=True)
    with pytest.raises(Forbidden, match="allow_pickle"):
        ask(ready, editor, model=f"models:/churn/{number}")
    with pytest.raises(Forbidden, match="approve"):
        ask(ready, editor, model=f"models:/churn/{number}", options={"allow_pickle": True}, reason="mine")
    assert ready.batches.list(viewer).items == []


def test_a_missing_column_is_named_when_it_is_asked_for(ready: App, editor: Principal) -> None:
    add(ready, editor, "narrow", ROWS.select(["id", "b"]))
    work_off(ready, "heavy", "light")  # its profile
    with pytest.raises(MissingColumn, match="'a'"):
        ask(ready, editor, data="data:narrow@1")


def test_over_http(ready: App, http: TestClient) -> None:
    asked = {"model": "models:/churn/1", "data": "data:customers@1", "output": "scores", "rows_at_once": 500}
    made = http.post("/api/v1/batch-predictions", json=asked)
    assert made.status_code == 201, made.text
    found = http.get(f"/api/v1/batch-predictions/{made.json()['id']}").json()
    assert (found["state"], found["output"], found["options"]["rows_at_once"]) == ("queued", "scores", 500)
    assert http.get("/api/v1/batch-predictions", params={"limit": 1}).json()["items"] == [found]
    again = http.post(f"/api/v1/batch-predictions/{found['id']}/cancel")
    assert again.json()["state"] == "cancelled"
    assert http.post(f"/api/v1/batch-predictions/{found['id']}/cancel").status_code == 409
    assert http.post("/api/v1/batch-predictions", json={"model": "x"}).status_code == 400
    assert http.get("/api/v1/batch-predictions/none").json()["code"] == "batch-prediction-not-found"
    second = http.post("/api/v1/batch-predictions", json=asked).json()
    page = http.get("/api/v1/batch-predictions", params={"limit": 1}).json()
    assert page["items"][0]["id"] == second["id"]
    rest = http.get("/api/v1/batch-predictions", params={"cursor": page["next_cursor"]}).json()
    assert [one["id"] for one in rest["items"]] == [found["id"]]
