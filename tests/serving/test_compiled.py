"""Compiled models as the gateway holds them: rows in either form, many threads, what does not fit, and nothing else loaded."""

import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import numpy as np
import pytest

from trimtab.serving.errors import ModelNotLoaded
from trimtab.serving.frames import PREDICTIONS, PROBABILITIES
from trimtab.serving.loaders import Rows
from trimtab.serving.loaders.compiled import load_compiled
from trimtab.serving.loaders.contract import METADATA_KEY, Answered, Contract
from trimtab.serving.routes import Field, Signature

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
BOTH = PREDICTIONS | PROBABILITIES


def _sums(file: Path, contract: Contract | None, *, kind: int = 1) -> Path:
    """Write a graph that answers the sum of two columns, and the columns themselves as probabilities."""
    helper = onnx.helper
    nodes = [
        helper.make_node("ReduceSum", ["rows", "axes"], ["predictions"], keepdims=0),
        helper.make_node("Identity", ["rows"], ["probabilities"]),
    ]
    given = [helper.make_tensor_value_info("rows", kind, [None, 2])]
    taken = [helper.make_empty_tensor_value_info(name) for name in ("predictions", "probabilities")]
    axes = onnx.numpy_helper.from_array(np.array([1]), "axes")
    model = helper.make_model(
        helper.make_graph(nodes, "sums", given, taken, [axes]),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=8,
    )
    if contract is not None:
        helper.set_model_props(model, {METADATA_KEY: msgspec.json.encode(contract).decode()})
    file.write_bytes(model.SerializeToString())
    return file


def _contract(**more: object) -> Contract:
    outputs = [Answered("predictions", "FP64", []), Answered("probabilities", "FP64", [2])]
    plain = Contract("matrix", ["a", "b"], ["float32"] * 2, outputs)
    return msgspec.structs.replace(plain, **more)


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_rows_come_in_either_form(tmp_path: Path, kind: str) -> None:
    element = {"float32": 1, "float64": 11}[kind]
    _sums(tmp_path / "model.onnx", _contract(types=[kind] * 2), kind=element)
    model = load_compiled(tmp_path, Signature([Field("b", "double"), Field("a", "double")]))
    assert (model.names, model.packed, model.dtype) == (("a", "b"), True, np.dtype(kind))
    for columns in ({"a": [1.0], "b": [2.5]}, {"a": [1.0, 3], "b": [2.5, True], "more": [0, 0]}):
        count = len(columns["a"])
        matrix = np.array([columns["a"], columns["b"]], dtype=float).T
        by_list = model.predict(Rows(count, columns=columns), BOTH)
        assert by_list == model.predict(Rows(count, matrix=matrix), BOTH)
        assert by_list == model.predict(Rows(count, matrix=np.ascontiguousarray(matrix)), BOTH)
        assert [one.shape for one in by_list] == [[count], [count, 2]]
        assert by_list[0].data[0] == 3.5
        assert [one.name for one in model.predict(Rows(count, columns=columns), PREDICTIONS)] == [
            "predictions"
        ]
        arrays = model.run(np.ascontiguousarray(matrix, dtype=model.dtype), BOTH)
        assert arrays[0].tolist() == by_list[0].data
    (gap, _) = model.predict(Rows(1, columns={"a": [None], "b": [2.0]}), BOTH)
    assert np.isnan(gap.data[0])


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    model = load_compiled(_sums(tmp_path / "sums.onnx", _contract()))
    huge = {"a": [1e39], "b": [0.0]}
    for rows in (
        Rows(1, columns=huge),
        Rows(1, matrix=np.array([[1e39, 0]])),
        Rows(2, matrix=np.full((2, 2), 1e39)),
    ):
        with pytest.raises(ValueError, match="too large"):
            model.predict(rows, BOTH)
    with pytest.raises(ValueError, match="column 'b' is missing"):
        model.predict(Rows(1, columns={"a": [1.0]}), BOTH)
    with pytest.raises(ValueError, match="column 'a' has a value that is no number"):
        model.predict(Rows(2, columns={"a": [1.0, "x"], "b": [1.0, 2.0]}), BOTH)
    strict = load_compiled(_sums(tmp_path / "strict.onnx", _contract(complete=["b"])))
    with pytest.raises(ValueError, match="column 'b', row 1 is missing"):
        strict.predict(Rows(2, columns={"a": [None, 1.0], "b": [1.0, None]}), BOTH)
    (first, _) = strict.predict(Rows(1, columns={"a": [2.0], "b": [1.0]}), BOTH)
    assert first.data == [3.0]


def test_threads_do_not_see_one_anothers_rows(tmp_path: Path) -> None:
    model = load_compiled(_sums(tmp_path / "model.onnx", _contract()))
    wrong: list[float] = []

    def work(number: int) -> None:
        for _ in range(400):
            value = model.predict(Rows(1, columns={"a": [float(number)], "b": [0.5]}), BOTH)[0].data[0]
            if value != number + 0.5:
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_what_is_no_compiled_model_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    with pytest.raises(ModelNotLoaded, match="cannot read"):
        load_compiled(tmp_path)
    file.write_bytes(b"nothing of the kind")
    with pytest.raises(ModelNotLoaded, match="cannot read"):
        load_compiled(tmp_path)
    _sums(file, None)
    with pytest.raises(ModelNotLoaded, match="no compiled model"):
        load_compiled(file)
    _sums(file, _contract(version=2))
    with pytest.raises(ModelNotLoaded, match="compile it again"):
        load_compiled(file)
    _sums(file, _contract())
    with pytest.raises(ModelNotLoaded, match="lacks: b"):
        load_compiled(file, Signature([Field("a", "double")]))


def test_nothing_but_numpy_and_onnx_runtime_is_loaded(tmp_path: Path) -> None:
    _sums(tmp_path / "model.onnx", _contract())
    code = (
        "import sys; from pathlib import Path; from trimtab.serving.loaders.compiled import load_compiled;"
        f"load_compiled(Path({str(tmp_path)!r}));"
        "print(sorted({'pandas','sklearn','scipy','yaml','onnx','pyarrow','xgboost','skl2onnx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
