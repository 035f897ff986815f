"""Compiled models answer as the native ones do: real libraries, every kind of tree, text, missing values, categories."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from tests.serving.compiling.conftest import Write
from trimtab.serving.compiling import attempt, forest
from trimtab.serving.compiling.attempt import compile_model
from trimtab.serving.compiling.verdict import Timing, Tolerance, Verdict
from trimtab.serving.frames import PREDICTIONS, PROBABILITIES
from trimtab.serving.loaders import Rows, load
from trimtab.serving.loaders.compiled import CompiledModel, load_compiled
from trimtab.serving.loaders.mlmodel import ModelFolder

sklearn = pytest.importorskip("sklearn")
BOTH = PREDICTIONS | PROBABILITIES


def _fit(kind: str, table: Any, label: Any) -> tuple[Any, Any, str]:
    """Return a fitted model, the rows that it takes, and what it serves."""
    from sklearn import ensemble, linear_model, svm, tree
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

    words = np.array(["no", "yes"])[label]
    three = np.digitize(table.a, [-0.5, 0.5])
    amount = table.a * 3 + table.b
    gaps = table.mask(np.random.default_rng(9).random(table.shape) < 0.2)
    text = table[["a", "n"]].assign(carrier=np.array(["AA", "B6", "DL"])[table.n % 3])
    by_name = ColumnTransformer(
        [("num", StandardScaler(), ["a", "n"]), ("text", OneHotEncoder(handle_unknown="ignore"), ["carrier"])]
    )
    one_word = ColumnTransformer([("text", OneHotEncoder(), ["carrier"]), ("num", "passthrough", ["n", "a"])])
    models: dict[str, tuple[Any, Any, Any, str]] = {
        "logistic": (make_pipeline(StandardScaler(), linear_model.LogisticRegression()), table, label, "predict_proba_1"),
        "logistic, three classes": (linear_model.LogisticRegression(max_iter=2000), table, three, "predict"),
        "support vectors": (svm.LinearSVC(), table, words, "predict"),
        "linear": (make_pipeline(StandardScaler(), linear_model.LinearRegression()), table, amount, "predict"),
        # Grown to the end by an even number of trees: halves of the votes are common, and the first class then wins.
        "forest of words": (ensemble.RandomForestClassifier(10, random_state=1), table, words, "predict"),
        "forest": (ensemble.RandomForestClassifier(10, max_depth=4, random_state=1), table, three, "predict_proba"),
        "forest of amounts": (ensemble.RandomForestRegressor(8), table, np.c_[amount, -amount], "predict"),
        "extra trees, truths": (ensemble.ExtraTreesClassifier(8), table, label.astype(bool), "predict"),
        "boosting": (ensemble.GradientBoostingClassifier(n_estimators=8), table, three, "predict"),
        "boosting, exponential": (
            ensemble.GradientBoostingClassifier(n_estimators=8, loss="exponential"), table, label, "predict_proba_1",
        ),
        "boosted amounts": (ensemble.GradientBoostingRegressor(n_estimators=8), table, amount, "predict"),
        "histogram": (ensemble.HistGradientBoostingClassifier(max_iter=8), gaps, label, "predict_proba_1"),
        "histogram of categories": (
            ensemble.HistGradientBoostingClassifier(max_iter=8, categorical_features=[3]), gaps, three, "predict",
        ),
        "histogram of counts": (
            ensemble.HistGradientBoostingRegressor(max_iter=8, loss="poisson"), table, amount.abs(), "predict",
        ),
        "filled, then histogram": (
            make_pipeline(SimpleImputer(), ensemble.HistGradientBoostingRegressor(max_iter=8)), gaps, amount, "predict",
        ),
        "text": (make_pipeline(by_name, linear_model.LogisticRegression()), text, label, "predict"),
        "text that must be known": (make_pipeline(one_word, ensemble.RandomForestClassifier(5)), text, label, "predict"),
        "columns by name": (
            make_pipeline(ColumnTransformer([("x", StandardScaler(), ["c", "a"])]), linear_model.Ridge()),
            table, amount, "predict",
        ),
        "functions": (
            make_pipeline(
                ColumnTransformer([("log", FunctionTransformer(np.square), ["c", "n"]), ("abs", FunctionTransformer(np.abs), ["a"])]),
                ensemble.VotingClassifier([("l", linear_model.LogisticRegression()), ("t", tree.DecisionTreeClassifier())], voting="soft"),
            ),
            table, label, "predict",
        ),
        "bagging": (ensemble.BaggingClassifier(n_estimators=3, random_state=1), table, label, "predict"),
    }  # fmt: skip
    model, rows, target, predict = models[kind]
    return model.fit(rows, target), rows, predict


KINDS = (
    "logistic", "logistic, three classes", "support vectors", "linear", "forest of words", "forest", "forest of amounts", "extra trees, truths",
    "boosting", "boosting, exponential", "boosted amounts", "histogram", "histogram of categories", "histogram of counts", "filled, then histogram",
    "text", "text that must be known", "columns by name", "functions", "bagging",
)  # fmt: skip

IN_BLOCKS = (
    "forest of words", "extra trees, truths", "boosting", "boosting, exponential", "boosted amounts", "text that must be known",
)  # fmt: skip
"""Kinds whose trees compare in single precision and add to one number each."""


def _compile(folder: Path, **more: Any) -> Verdict:
    out = folder.with_name("out")
    out.mkdir(exist_ok=True)
    verdict = compile_model(folder, out, allow_pickle=True, **more)
    assert (out / "model.onnx").exists() == (verdict.state == "compiled")
    return verdict


def _agree(folder: Path, rows: Any, *, in_blocks: bool | None = None) -> CompiledModel:
    """Compare both models on all rows that it was fitted on, and on single ones; return the compiled one.

    ``in_blocks`` is whether its trees can be asked in blocks of rows, which are compared too.
    """
    native = load(ModelFolder(folder), allow_pickle=True)
    compiled = load_compiled(folder.with_name("out"), ModelFolder(folder).signature)
    columns = {name: [None if value != value else value for value in rows[name].tolist()] for name in rows}
    many = Rows(len(rows), columns=columns)
    batches = [many, *(_one(columns, at) for at in range(5))]
    if in_blocks is not None:
        assert compiled.prepare_batches(many) == in_blocks
        batches.append(Rows(2 * len(rows), columns={name: values * 2 for name, values in columns.items()}))
    for batch in batches:
        for wanted, given in zip(native.predict(batch, BOTH), compiled.predict(batch, BOTH), strict=True):
            assert (given.name, given.datatype, given.shape) == (wanted.name, wanted.datatype, wanted.shape)
            assert [type(value) for value in given.data] == [type(value) for value in wanted.data]
            if wanted.datatype.startswith("FP"):
                np.testing.assert_allclose(given.data, wanted.data, rtol=1e-5, atol=1e-5)
            else:
                assert given.data == wanted.data
    return compiled


def _one(columns: dict[str, list[Any]], at: int) -> Rows:
    return Rows(1, columns={name: values[at : at + 1] for name, values in columns.items()})


@pytest.mark.parametrize("kind", KINDS)
def test_scikit_learn(kind: str, table: Any, label: Any, write: Write) -> None:
    model, rows, predict = _fit(kind, table, label)
    folder = write(model, rows, predict=predict)
    verdict = _compile(folder)
    assert verdict.state == "compiled", verdict.message
    assert verdict.largest is not None
    assert verdict.largest.share <= 1
    compiled = _agree(folder, rows, in_blocks=kind in IN_BLOCKS)
    assert compiled.packed == ("text" not in kind)
    if kind == "text that must be known":
        assert verdict.refused > 0
        with pytest.raises(ValueError, match="none of those"):
            compiled.predict(Rows(1, columns={"a": [1.0], "n": [1], "carrier": ["XX"]}), BOTH)
    if kind.startswith("histogram") and kind != "histogram of counts":
        assert verdict.rows["missing"] > 0


@pytest.mark.parametrize(
    ("settings", "predict"),
    [
        ({"objective": "binary:logistic"}, "predict_proba_1"),
        ({"objective": "multi:softprob", "num_class": 3}, "predict"),
        ({"objective": "reg:squarederror"}, "predict"),
        ({"objective": "count:poisson", "booster": "dart", "rate_drop": 0.5}, "predict"),
        ({"objective": "binary:logistic", "in a pipeline": True}, "predict"),
    ],
)
def test_xgboost(settings: dict[str, Any], predict: str, table: Any, write: Write) -> None:
    xgboost = pytest.importorskip("xgboost")
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    piped = settings.pop("in a pipeline", False)
    regresses = settings["objective"].startswith(("reg", "count"))
    kind = xgboost.XGBRegressor if regresses else xgboost.XGBClassifier
    model = kind(n_estimators=12, n_jobs=1, **settings)
    target = np.digitize(table.a + table.c, [0.2, 0.8])
    if regresses:
        target = (table.b.abs() + 1).to_numpy()
    elif "num_class" not in settings:
        target = np.minimum(target, 1)
    gaps = table.mask(np.random.default_rng(9).random(table.shape) < 0.2)
    rows = table if piped else gaps
    folder = write(
        (make_pipeline(StandardScaler(), model) if piped else model).fit(rows, target), rows, predict=predict
    )
    verdict = _compile(folder)
    assert verdict.state == "compiled", verdict.message
    assert {"thresholds"} <= set(verdict.rows)
    _agree(folder, rows, in_blocks=True)


@pytest.mark.parametrize(
    "settings",
    [
        {"objective": "binary"},
        {"objective": "multiclass", "num_class": 3},
        {"objective": "regression", "zero_as_missing": True},
        {"objective": "poisson", "use_missing": False},
        {"objective": "binary", "min_data_per_group": 5, "cat_smooth": 1, "categories": [3]},
    ],
)
def test_lightgbm(settings: dict[str, Any], table: Any, write: Write) -> None:
    lightgbm = pytest.importorskip("lightgbm")
    target = np.digitize(table.a + (table.n % 3), [0.2, 1.8])
    if settings["objective"] == "binary":
        target = np.minimum(target, 1)
    gaps = table.mask(np.random.default_rng(9).random(table.shape) < 0.2)
    rows = (table if "categories" in settings else gaps).assign(c=np.where(table.c < 0.3, 0.0, table.c))
    named = {"feature_name": list(rows), "categorical_feature": settings.pop("categories", "auto")}
    data = lightgbm.Dataset(rows.to_numpy(dtype=float), target, **named)
    parameters = {"verbose": -1, "num_threads": 1, "min_data_in_leaf": 3, **settings}
    folder = write(lightgbm.train(parameters, data, 10), rows)
    verdict = _compile(folder)
    assert verdict.state == "compiled", verdict.message
    _agree(folder, rows)


def test_a_model_that_answers_otherwise_is_refused(
    table: Any, label: Any, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, rows, _ = _fit("forest of words", table, label)
    folder = write(model, rows)
    monkeypatch.setattr(forest, "round_down", lambda values: values + 1e-6)  # a converter with a fault
    verdict = _compile(folder)
    assert verdict.state == "differs"
    assert verdict.largest is not None
    assert verdict.largest.kind == "thresholds"
    assert set(verdict.largest.row) == set(table)
    assert {verdict.largest.native, verdict.largest.compiled} == {"no", "yes"}
    assert "native model serves" in verdict.message


def test_a_tie_may_turn_either_way() -> None:
    from trimtab.serving.batch import Output
    from trimtab.serving.compiling.compare import Comparison

    def answers(first: float, labels: list[str]) -> list[Output]:
        shares = [first, 1 - first, 0.9, 0.1]
        return [Output("predictions", "BYTES", [2], labels), Output("probabilities", "FP64", [2, 2], shares)]

    def compare(native: list[Output], compiled: list[Output]) -> Comparison:
        made = Comparison(lambda _: native, lambda _: compiled, tolerance=Tolerance(), refusals=(ValueError,))
        made.take("random", Rows(2, columns={"a": [1.0, 2.0]}))
        return made

    even = compare(answers(0.5, ["a", "a"]), answers(0.4999999, ["b", "a"]))
    assert (even.differs, even.ties) == (False, 1)
    assert compare(answers(0.51, ["a", "a"]), answers(0.51, ["b", "a"])).ties == 0
    assert compare(answers(0.51, ["a", "a"]), answers(0.49, ["b", "a"])).differs
    assert compare(answers(0.5, ["a", "a"]), answers(0.5, ["a", "b"])).differs


def test_the_tolerance_decides(table: Any, label: Any, write: Write) -> None:
    model, rows, _ = _fit("boosted amounts", table, label)
    verdict = _compile(write(model, rows), tolerance=Tolerance(0, 0))
    assert verdict.state == "differs"
    assert msgspec.json.decode(msgspec.json.encode(verdict), type=Verdict) == verdict


def test_given_rows_are_compared_too(table: Any, label: Any, write: Write) -> None:
    model, rows, _ = _fit("linear", table, label)
    body = msgspec.json.encode({"dataframe_records": rows.head(7).to_dict("records")})
    verdict = _compile(write(model, rows), given=body)
    assert verdict.rows == {"given": 7, "example": 3, "random": 1000}


def test_what_is_not_compiled_is_told_in_words(
    table: Any, label: Any, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import CategoricalNB
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    own = make_pipeline(FunctionTransformer(np.nan_to_num), LogisticRegression()).fit(table, label)
    verdict = _compile(write(own, table, name="own"))
    assert (verdict.state, "FunctionTransformer" in verdict.message) == ("unsupported", True)

    unsigned = write(LogisticRegression().fit(table, label), table, name="unsigned")
    content = (unsigned / "MLmodel").read_text("utf-8")
    (unsigned / "MLmodel").write_text(content.partition("signature:")[0])
    assert "no signature" in _compile(unsigned).message

    broken = write(LogisticRegression().fit(table, label), table, name="broken")
    next(broken.glob("model.*")).write_bytes(b"\x00" * 100)
    assert _compile(broken).state == "unsupported"

    counted = CategoricalNB().fit(table[["n"]], label)
    assert "refuses some" in _compile(write(counted, table[["n"]].astype(float), name="counted")).message

    # Neighbours are found in a loop, which the gateway does not run.
    nearest = KNeighborsClassifier().fit(table, label)
    assert "operator Scan" in _compile(write(nearest, table, name="nearest")).message

    # A model may be compiled in good order and still be slower than it was.
    monkeypatch.setattr(attempt, "timings", lambda *_: [Timing(1, 5.0, 9.0)])
    verdict = _compile(write(LogisticRegression().fit(table, label), table, name="slow"))
    assert (verdict.state, "one row would take" in verdict.message) == ("unsupported", True)


def test_missing_values_that_the_native_model_refuses_are_refused(
    table: Any, label: Any, write: Write
) -> None:
    from sklearn.linear_model import LogisticRegression

    gaps = table.astype(float)
    folder = write(LogisticRegression(max_iter=1000).fit(gaps, label), gaps)
    mlmodel = (folder / "MLmodel").read_text("utf-8").replace('"required":true', '"required":false')
    (folder / "MLmodel").write_text(mlmodel.replace('"required": true', '"required": false'))
    verdict = _compile(folder)
    assert (verdict.state, verdict.refused > 0) == ("compiled", True), verdict.message
    compiled = load_compiled(folder.with_name("out"))
    with pytest.raises(ValueError, match="column 'b', row 0 is missing"):
        compiled.predict(Rows(1, columns={"a": [1.0], "b": [None], "c": [1.0], "n": [1.0]}), BOTH)
    matrix = np.array([[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, np.nan, 4.0]])
    with pytest.raises(ValueError, match="column 'c', row 1 is missing"):
        compiled.predict(Rows(2, matrix=matrix), BOTH)


def test_rows_are_the_same_each_time(table: Any, label: Any) -> None:
    from trimtab.serving.compiling.rows import References, hints_of
    from trimtab.serving.routes import Field

    model, _, _ = _fit("forest", table, label)
    fields = [Field(name, "long" if name == "n" else "double", required=name != "c") for name in table]
    make: Callable[[], References] = lambda: References(fields, hints_of(model, list(table)), {})  # noqa: E731
    first, second = make(), make()
    assert first.random().columns == second.random().columns
    near = first.near()
    assert near is not None
    assert near.columns == (second.near() or near).columns
    assert set(first.gaps()) == {"c"}
    thresholds = set(np.concatenate([tree.tree_.threshold for tree in model.estimators_]).tolist())
    assert near.columns is not None
    assert any(value in thresholds for value in near.columns["a"])
    assert {type(value) for value in near.columns["n"]} == {int}
    assert len(near.columns["a"]) % 6 == 0


@pytest.mark.parametrize(
    ("settings", "predict"),
    [
        ({"loss_function": "Logloss"}, "predict_proba_1"),
        ({"loss_function": "Logloss", "words": True, "nan_mode": "Max"}, "predict"),
        ({"loss_function": "MultiClass"}, "predict"),
        ({"loss_function": "MultiClass", "grow_policy": "Lossguide"}, "predict_proba"),
        ({"loss_function": "RMSE", "grow_policy": "Depthwise"}, "predict"),
        ({"loss_function": "Poisson"}, "predict"),
    ],
)
def test_catboost(settings: dict[str, Any], predict: str, table: Any, tmp_path: Path) -> None:
    catboost = pytest.importorskip("catboost", reason="100 MB; install it to run this")
    words = settings.pop("words", False)
    target = np.digitize(table.a + table.c, [0.2, 0.8])
    kind = "CatBoostClassifier"
    if settings["loss_function"] == "Logloss":
        target = np.minimum(target, 1)
    elif settings["loss_function"] != "MultiClass":
        kind, target = "CatBoostRegressor", (table.b.abs() + 1).to_numpy()
    rows = table.astype(float).mask(np.random.default_rng(9).random(table.shape) < 0.2)
    model = getattr(catboost, kind)(iterations=8, depth=4, verbose=0, allow_writing_files=False, **settings)
    model.fit(rows, np.array(["no", "yes"])[target] if words else target)
    folder = tmp_path / "model"
    folder.mkdir()
    model.save_model(str(folder / "model.cb"), format="cbm")
    columns = [{"name": name, "type": "double", "required": False} for name in rows]
    mlmodel = {
        "flavors": {"catboost": {"data": "model.cb", "model_type": kind, "save_format": "cbm"}},
        "metadata": {"trimtab": {"predict": predict}},
        "signature": {"inputs": msgspec.json.encode(columns).decode()},
    }
    (folder / "MLmodel").write_bytes(msgspec.json.encode(mlmodel))
    verdict = _compile(folder)
    assert verdict.state == "compiled", verdict.message
    assert {"thresholds", "missing"} <= set(verdict.rows)
    _agree(folder, rows)
