"""Trees taken out of a graph answer as the graph does, on every side of every threshold."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from trimtab.serving.compiling.forest import Forest
from trimtab.serving.compiling.graph import NewGraph
from trimtab.serving.loaders import Rows
from trimtab.serving.loaders.compiled import load_compiled
from trimtab.serving.loaders.contract import METADATA_KEY, Answered, Contract
from trimtab.serving.trees import predictor
from trimtab.serving.trees.graphs import cut

pytest.importorskip("onnxruntime")
pytest.importorskip("xgboost")
helper: Any = pytest.importorskip("onnx.helper")

COLUMNS = 3


def _grow(rng: np.random.Generator, forest: Forest, *, target: int, mode: Any) -> None:
    """Add a tree of three levels, with its nodes in an order of its own and leaves in between."""
    yes = np.array([4, 0, 0, 0, 1, 0, 3])
    no = np.array([6, 0, 0, 0, 2, 0, 5])
    leaf = np.array([False, True, True, True, False, True, False])
    forest.add(
        feature=rng.integers(0, COLUMNS, 7),
        value=np.round(rng.normal(size=7).astype(np.float32), 1).astype(np.float64),
        yes=yes,
        no=no,
        missing_yes=rng.random(7) < 0.5,
        leaf=leaf,
        weights=rng.normal(size=7),
        target=target,
        mode=mode,
    )


def _write(file: Path, forest: Forest, *, base: np.ndarray | None = None) -> Path:
    """Write a model that answers the forest's sums for rows that are doubled first."""
    graph = NewGraph(np.float32)
    doubled = graph.node("Add", ["rows", "rows"])[0]
    sums = forest.write(graph, doubled, rounded=True, base=base)
    graph.name_output(graph.node("Neg", [sums])[0], "predictions")
    taken = helper.make_tensor_value_info("rows", 1, [None, COLUMNS])
    body = helper.make_graph(
        graph.nodes, "model", [taken], [helper.make_empty_tensor_value_info("predictions")], graph.constants
    )
    imports = [helper.make_opsetid(domain, version) for domain, version in graph.opsets().items()]
    model = helper.make_model(body, opset_imports=imports, ir_version=8)
    shape = [forest.targets] if forest.targets > 1 else []
    contract = Contract(
        "matrix", ["a", "b", "c"], ["float32"] * COLUMNS, [Answered("predictions", "FP32", shape)]
    )
    helper.set_model_props(model, {METADATA_KEY: msgspec.json.encode(contract).decode()})
    file.write_bytes(model.SerializeToString())
    return file


def _rows(rng: np.random.Generator) -> np.ndarray:
    """Return rows that lie on thresholds, between them, beyond all numbers and nowhere."""
    rows = np.round(rng.normal(size=(400, COLUMNS)), 1) / 2
    rows[rng.random(rows.shape) < 0.1] = np.nan
    rows[rng.random(rows.shape) < 0.05] = np.inf
    rows[rng.random(rows.shape) < 0.05] = -np.inf
    return rows.astype(np.float32)


@pytest.mark.parametrize("mode", ["BRANCH_LEQ", "BRANCH_LT"])
@pytest.mark.parametrize("targets", [1, 3])
def test_blocks_answer_as_the_graph(mode: Any, targets: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    forest = Forest(targets)
    forest.add_constant(np.arange(1.0, 1 + targets))
    for at in range(12):
        _grow(rng, forest, target=at % targets, mode=mode)
    model = load_compiled(_write(tmp_path / "model.onnx", forest, base=np.full(targets, 0.5)))
    rows = _rows(rng)
    model.in_blocks = False
    wanted = model.predict(Rows(len(rows), matrix=rows), 3)[0]
    model.in_blocks = True
    assert model.prepare_batches(Rows(len(rows), matrix=rows))
    with ThreadPoolExecutor(4) as threads:
        for given in threads.map(lambda _: model.predict(Rows(len(rows), matrix=rows), 3)[0], range(12)):
            assert given.shape == wanted.shape
            np.testing.assert_allclose(given.data, wanted.data, rtol=1e-6, atol=1e-6)


def test_what_is_no_such_forest_stays_a_graph(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    several = Forest(2)
    several.add(
        feature=np.zeros(3),
        value=np.zeros(3),
        yes=np.array([1, 0, 0]),
        no=np.array([2, 0, 0]),
        missing_yes=np.zeros(3, bool),
        leaf=np.array([False, True, True]),
        weights=rng.normal(size=(3, 2)),
    )
    above, constant = Forest(1), Forest(1)
    _grow(rng, above, target=0, mode="BRANCH_GT")
    constant.add_constant(np.ones(1))
    for forest in (several, above, constant):
        file = _write(tmp_path / "model.onnx", forest)
        assert cut(file.read_bytes()) is None
        model, rows = load_compiled(file), _rows(rng)
        assert not model.prepare_batches(Rows(len(rows), matrix=rows))
        assert len(model.predict(Rows(len(rows), matrix=rows), 3)[0].data) == len(rows) * forest.targets


def test_without_the_library_the_graph_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> Any:
        raise predictor.PredictorFailed("XGBoost is not installed")

    monkeypatch.setattr(predictor, "_library", gone)
    rng = np.random.default_rng(7)
    forest = Forest(1)
    _grow(rng, forest, target=0, mode="BRANCH_LT")
    model, rows = load_compiled(_write(tmp_path / "model.onnx", forest)), _rows(rng)
    assert not model.prepare_batches(Rows(len(rows), matrix=rows))
    assert len(model.predict(Rows(len(rows), matrix=rows), 3)[0].data) == len(rows)


def test_the_library_says_what_it_refuses() -> None:
    with pytest.raises(predictor.PredictorFailed):
        predictor.Predictor(b"{no model", columns=1)
