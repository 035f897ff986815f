"""What a model's process answers to a batch, with real models, in the process of the tests."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression

from tests.serving.conftest import ABC, write_mlmodel
from trimtab.serving.batch import Output
from trimtab.serving.bulk.messages import Order, Reply
from trimtab.serving.bulk.process import Bulk, opened
from trimtab.serving.compiling import compare
from trimtab.serving.compiling.attempt import compile_model
from trimtab.serving.loaders import Rows, load
from trimtab.serving.loaders.mlmodel import ModelFolder

RNG = np.random.default_rng(5)
FRAME = pd.DataFrame(RNG.normal(size=(200, 3)), columns=["a", "b", "c"]).assign(b=RNG.integers(0, 5, 200))
MODEL = LogisticRegression().fit(FRAME, np.where(FRAME.a > 0, "yes", "no"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("bulk")
    skops.io.dump(MODEL, made / "model.skops")
    flavor = {"pickled_model": "model.skops", "serialization_format": "skops"}
    return write_mlmodel(made, {"sklearn": flavor}, ABC)


def bulk(folder: Path, **more: Any) -> Bulk:
    opened = ModelFolder(folder)
    return Bulk(load(opened, allow_pickle=False), opened.signature, **more)


def order(frame: pd.DataFrame, *, first_row: int = 1000, skip: bool = False) -> Order:
    batch = pa.RecordBatch.from_pandas(frame, preserve_index=False)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return Order(first_row, sink.getvalue().to_pybytes(), skip)


def columns(reply: Reply) -> dict[str, list[Any]]:
    assert reply.fault is None, reply.message
    return pa.ipc.open_stream(reply.predictions).read_next_batch().to_pydict()


def test_predictions_are_the_librarys(folder: Path) -> None:
    reply = bulk(folder).answer(order(FRAME))
    assert columns(reply) == {"prediction": MODEL.predict(FRAME).tolist()}
    both = columns(bulk(folder, probabilities=True).answer(order(FRAME)))
    np.testing.assert_allclose(both["probabilities"], MODEL.predict_proba(FRAME))


def test_the_first_row_that_does_not_fit_is_named_by_its_place_in_the_whole(folder: Path) -> None:
    frame = FRAME.astype({"b": "object"})
    frame.loc[[7, 9], "b"] = None
    reply = bulk(folder).answer(order(frame))
    assert (reply.fault, reply.column) == ("input", "b")
    assert reply.message.startswith("column 'b', row 1007: there is no value")


def test_rows_that_do_not_fit_are_left_out_where_that_is_permitted(folder: Path) -> None:
    frame = FRAME.astype({"b": "object"})
    frame.loc[[7, 9], "b"] = None
    reply = bulk(folder).answer(order(frame, skip=True))
    assert [refusal.row for refusal in reply.refusals] == [7, 9]
    assert columns(reply)["prediction"] == MODEL.predict(FRAME.drop([7, 9])).tolist()


def test_rows_that_the_model_does_not_take_are_found_in_few_calls(folder: Path) -> None:
    frame = FRAME.copy()
    frame.loc[50:149, "c"] = None  # the signature permits it, the model does not
    answering = bulk(folder)
    calls = 0
    predict = answering._model.predict

    def counted(rows: Rows, want: int) -> list[Output]:
        nonlocal calls
        calls += 1
        return predict(rows, want)

    answering._model.predict = counted
    reply = answering.answer(order(frame, skip=True))
    assert [refusal.row for refusal in reply.refusals] == list(range(50, 150))
    assert "column 'c' is missing" in reply.refusals[0].reason
    assert columns(reply)["prediction"] == MODEL.predict(FRAME.drop(range(50, 150))).tolist()
    assert calls < 30

    reply = answering.answer(order(frame))
    assert (reply.fault, reply.predictions) == ("input", b"")
    assert "row 1050 is missing" in reply.message


class _Whole:
    """A model that fails on every set of rows of which one is negative, and says nothing of which."""

    flavor, names, packed, row_wise, input_errors = "x", ("a", "b", "c"), True, False, (TypeError,)

    def __init__(self, fails: Any) -> None:
        self._fails = fails

    def predict(self, rows: Rows, want: int) -> list[Output]:
        if self._fails(rows.matrix):
            raise RuntimeError("no")
        return [Output("predictions", "FP64", [rows.count], rows.matrix[:, 0].tolist())]


def test_a_row_on_which_the_model_itself_fails(capsys: pytest.CaptureFixture[str]) -> None:
    answering = Bulk(_Whole(lambda matrix: (matrix[:, 0] < -2).any()), ABC)
    bad = np.flatnonzero(FRAME.a < -2)
    assert 0 < len(bad) < 20
    reply = answering.answer(order(FRAME, skip=True))
    assert [refusal.row for refusal in reply.refusals] == bad.tolist()
    assert reply.refusals[0].reason == "RuntimeError: no"
    reply = answering.answer(order(FRAME))
    assert (reply.fault, reply.message) == ("model", f"row {1000 + bad[0]}: RuntimeError: no")
    assert "RuntimeError: no" in capsys.readouterr().err


def test_rows_that_only_fail_together_are_named_together() -> None:
    answering = Bulk(_Whole(lambda matrix: len(matrix) > 150), ABC)
    reply = answering.answer(order(FRAME))
    assert (reply.fault, reply.message) == ("model", "rows 1000 to 1199: RuntimeError: no")


def test_every_row_refused_leaves_no_predictions(folder: Path) -> None:
    reply = bulk(folder).answer(order(FRAME.assign(a=np.inf), skip=True))
    assert (reply.predictions, len(reply.refusals)) == (b"", 200)


def test_outputs_of_several_columns(folder: Path) -> None:
    reply = Bulk(_Two(), ABC).answer(order(FRAME.head(2)))
    assert columns(reply) == {"low": [1, 2], "name": ["x", "y"]}


class _Two(_Whole):
    def __init__(self) -> None:
        super().__init__(lambda _: False)

    def predict(self, rows: Rows, want: int) -> list[Output]:
        return [Output("low", "INT32", [2], [1, 2]), Output("name", "BYTES", [2], ["x", "y"])]


def test_the_compiled_form_answers_where_it_loads(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "_TIMED_S", 0.0)
    whole = ModelFolder(folder)
    (tmp_path / "out").mkdir()
    assert compile_model(folder, tmp_path / "out").state == "compiled"
    model = opened(whole, tmp_path / "out", allow_pickle=False)
    assert model.flavor == "compiled"
    reply = Bulk(model, whole.signature).answer(order(FRAME))
    assert columns(reply) == {"prediction": MODEL.predict(FRAME).tolist()}
    holes = FRAME.assign(c=[None, *FRAME.c[1:]])
    refused = Bulk(model, whole.signature).answer(order(holes, skip=True))
    assert [refusal.row for refusal in refused.refusals] == [0]

    (tmp_path / "out" / "model.onnx").write_bytes(b"nothing")
    assert opened(whole, tmp_path / "out", allow_pickle=False).flavor == "sklearn"
    assert "cannot be used" in capsys.readouterr().err
