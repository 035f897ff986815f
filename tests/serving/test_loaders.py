"""Model folders of every flavour, loaded as a replica does, against the libraries' own predictions."""

import math
import os
import warnings
from pathlib import Path
from typing import Any

import cloudpickle
import mlflow
import mlflow.pyfunc
import mlflow.sklearn
import numpy as np
import pandas as pd
import pytest
import skops.io
from mlflow.models import infer_signature
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

from tests.serving.conftest import ABC, write_mlmodel
from trimtab.serving.batch import Output
from trimtab.serving.errors import ModelNotLoaded
from trimtab.serving.frames import PREDICTIONS, PROBABILITIES
from trimtab.serving.loaders import Model, Rows, load
from trimtab.serving.loaders.mlmodel import ModelFolder
from trimtab.serving.replica import warm_up
from trimtab.serving.routes import Field, Signature

BOTH = PREDICTIONS | PROBABILITIES
RNG = np.random.default_rng(3)
TABLE = RNG.normal(size=(300, 3))
FRAME = pd.DataFrame(TABLE, columns=["a", "b", "c"]).assign(b=RNG.integers(0, 5, 300))
LABELS = (FRAME.a + 0.1 * RNG.normal(size=300) > 0).astype(int)


def loaded(folder: Path, **allowed: bool) -> Model:
    opened = ModelFolder(folder)
    model = load(opened, allow_pickle=allowed.get("allow_pickle", False))
    warm_up(model, opened)
    return model


def skops_folder(folder: Path, estimator: Any, signature: Signature | None = ABC, **more: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    skops.io.dump(estimator, folder / "model.skops")
    flavor = {"pickled_model": "model.skops", "serialization_format": "skops"}
    return write_mlmodel(folder, {"sklearn": flavor}, signature, **more)


def packed(frame: pd.DataFrame) -> Rows:
    return Rows(len(frame), matrix=frame.to_numpy(dtype=float))


def columns(frame: pd.DataFrame) -> Rows:
    lists = {
        name: [None if value != value else value for value in frame[name].tolist()] for name in frame.columns
    }
    return Rows(len(frame), columns=lists)


def by_name(outputs: list[Output]) -> dict[str, list[Any]]:
    return {output.name: output.by_row() for output in outputs}


def test_a_model_that_mlflow_saved(tmp_path: Path) -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(FRAME, LABELS)
    mlflow.sklearn.save_model(
        model,
        tmp_path / "m",
        signature=infer_signature(FRAME, LABELS),
        input_example=FRAME.head(2),
        pip_requirements=[],
    )
    served = loaded(tmp_path / "m")
    assert (served.names, served.packed, served.row_wise) == (("a", "b", "c"), True, True)
    for rows in (packed(FRAME), columns(FRAME)):
        answer = by_name(served.predict(rows, BOTH))
        assert answer["predictions"] == model.predict(FRAME).tolist()
        assert np.allclose(answer["probabilities"], model.predict_proba(FRAME))
    assert [output.name for output in served.predict(packed(FRAME.head(1)), PREDICTIONS)] == ["predictions"]


def test_probabilities_as_predictions(tmp_path: Path) -> None:
    model = LogisticRegression().fit(FRAME, LABELS)
    served = loaded(skops_folder(tmp_path, model, metadata={"trimtab": {"predict": "predict_proba_1"}}))
    (output,) = served.predict(packed(FRAME), PREDICTIONS)
    assert output.datatype == "FP64"
    assert output.data == model.predict_proba(FRAME)[:, 1].tolist()
    both = loaded(skops_folder(tmp_path / "2", model, metadata={"trimtab": {"predict": "predict_proba"}}))
    assert np.allclose(both.predict(packed(FRAME), PREDICTIONS)[0].by_row(), model.predict_proba(FRAME))
    flavors = {
        "sklearn": {"pickled_model": "model.skops", "serialization_format": "skops"},
        "python_function": {"predict_fn": "predict_proba"},
    }
    asked_of_mlflow = loaded(write_mlmodel(tmp_path, flavors))
    assert np.allclose(
        asked_of_mlflow.predict(packed(FRAME), PREDICTIONS)[0].by_row(), model.predict_proba(FRAME)
    )
    regression = LinearRegression().fit(FRAME, LABELS)
    with pytest.raises(ModelNotLoaded, match="no predict_proba"):
        loaded(skops_folder(tmp_path / "3", regression, metadata={"trimtab": {"predict": "predict_proba_1"}}))
    with pytest.raises(ModelNotLoaded, match="asks for '__reduce__'; known: predict"):
        loaded(skops_folder(tmp_path / "4", regression, metadata={"trimtab": {"predict": "__reduce__"}}))


def test_columns_of_text_go_through_a_frame(tmp_path: Path) -> None:
    frame = FRAME.assign(s=np.where(FRAME.c > 0, "up", "down"))
    model = make_pipeline(
        ColumnTransformer([("s", OneHotEncoder(), ["s"]), ("n", StandardScaler(), ["a", "b"])]),
        LogisticRegression(),
    ).fit(frame, LABELS)
    signature = Signature([*ABC.inputs, Field("s", "string")])
    served = loaded(skops_folder(tmp_path, model, signature))
    assert not served.packed
    assert by_name(served.predict(columns(frame), BOTH))["predictions"] == model.predict(frame).tolist()
    with pytest.raises(served.input_errors, match="unknown categories"):
        served.predict(columns(frame.head(1).assign(s="sideways")), PREDICTIONS)


def test_a_model_of_arrays_with_text_needs_no_frame(tmp_path: Path) -> None:
    table = FRAME.assign(s=np.where(FRAME.c > 0, "up", "down"))[["s", "a", "b"]].to_numpy(dtype=object)
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    model = make_pipeline(
        ColumnTransformer([("s", codes, [0]), ("n", StandardScaler(), [1, 2])]),
        HistGradientBoostingClassifier(max_iter=5),
    ).fit(table, LABELS)
    fields = [Field("s", "string"), Field("a", "double", required=False), Field("b", "long", required=False)]
    served = loaded(skops_folder(tmp_path, model, Signature(fields)))
    assert (served.names, served.packed) == (("s", "a", "b"), False)
    table[0, 1], table[1, 0] = None, "sideways"
    given = {name: table[:, at].tolist() for at, name in enumerate(served.names)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answer = by_name(served.predict(Rows(len(table), columns=given), BOTH))
    assert np.array_equal(answer["probabilities"], model.predict_proba(table))


def test_columns_by_name_need_no_frame_where_all_are_numbers(tmp_path: Path) -> None:
    model = make_pipeline(
        ColumnTransformer([("b", OneHotEncoder(handle_unknown="ignore"), ["b"])], remainder=StandardScaler()),
        LogisticRegression(),
    ).fit(FRAME[["c", "b", "a"]], LABELS)
    served = loaded(skops_folder(tmp_path, model))
    assert (served.names, served.packed) == (("c", "b", "a"), True)
    expected = model.predict_proba(FRAME[["c", "b", "a"]])
    for rows in (packed(FRAME[["c", "b", "a"]]), columns(FRAME)):
        assert np.allclose(by_name(served.predict(rows, BOTH))["probabilities"], expected)
    by_label = make_pipeline(FunctionTransformer(np.log1p), LogisticRegression()).fit(FRAME.abs(), LABELS)
    assert loaded(skops_folder(tmp_path / "log", by_label)).packed


def test_missing_values(tmp_path: Path) -> None:
    gaps = FRAME.assign(c=FRAME.c.where(FRAME.c > -1))
    boosted = HistGradientBoostingClassifier(max_iter=5).fit(gaps, LABELS)
    served = loaded(skops_folder(tmp_path / "hgb", boosted))
    for rows in (packed(gaps), columns(gaps)):
        assert by_name(served.predict(rows, BOTH))["predictions"] == boosted.predict(gaps).tolist()
    strict = loaded(skops_folder(tmp_path / "lr", LogisticRegression().fit(FRAME, LABELS)))
    for rows in (packed(gaps), columns(gaps)):
        with pytest.raises(
            strict.input_errors, match=r"column 'c', row \d+ is missing, and this model takes no missing"
        ):
            strict.predict(rows, PREDICTIONS)


def test_models_of_arrays(tmp_path: Path) -> None:
    model = RandomForestClassifier(3, n_jobs=2, random_state=0).fit(TABLE, np.where(LABELS == 1, "yes", "no"))
    inputs = [Field(str(at), "double", required=False) for at in range(3)]
    folder = skops_folder(tmp_path, model, Signature(inputs, tensor=True))
    served = loaded(folder)
    answer = served.predict(Rows(300, matrix=TABLE), BOTH)
    assert answer[0].datatype == "BYTES"
    assert answer[0].data == model.predict(TABLE).tolist()
    bare = loaded(skops_folder(tmp_path / "bare", model, None))
    assert (bare.names, bare.packed) == ((), False)
    plain = Rows(300, columns={str(at): TABLE[:, at].tolist() for at in range(3)})
    assert bare.predict(plain, BOTH)[0].data == model.predict(TABLE).tolist()


def test_pickles_need_leave(tmp_path: Path) -> None:
    model = LogisticRegression().fit(FRAME, LABELS)
    (tmp_path / "model.pkl").write_bytes(cloudpickle.dumps(model))
    flavor = {"pickled_model": "model.pkl", "serialization_format": "cloudpickle"}
    folder = write_mlmodel(
        tmp_path, {"sklearn": flavor, "python_function": {"loader_module": "mlflow.sklearn"}}
    )
    with pytest.raises(
        ModelNotLoaded, match="runs code when it is loaded; log it with serialization_format='skops'"
    ):
        loaded(folder)
    served = loaded(folder, allow_pickle=True)
    assert by_name(served.predict(packed(FRAME), BOTH))["predictions"] == model.predict(FRAME).tolist()


def test_the_artifact_does_not_choose_what_is_trusted(tmp_path: Path) -> None:
    model = make_pipeline(FunctionTransformer(os.system), LogisticRegression())
    folder = skops_folder(tmp_path, model)
    flavor = {
        "pickled_model": "model.skops",
        "serialization_format": "skops",
        "skops_trusted_types": skops.io.get_untrusted_types(file=folder / "model.skops"),
    }
    write_mlmodel(folder, {"sklearn": flavor})
    with pytest.raises(ModelNotLoaded, match=r"types that are not trusted: (posix|os)\.system"):
        loaded(folder)
    (folder / "model.skops").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(ModelNotLoaded, match="cannot be read"):
        loaded(folder)


@pytest.mark.parametrize(("field", "value"), [("left_child", 10**6), ("left_child", 0), ("feature", 99)])
def test_trees_that_point_outside_are_refused(tmp_path: Path, field: str, value: int) -> None:
    forest = RandomForestClassifier(2, max_depth=2, random_state=0).fit(TABLE, LABELS)
    assert loaded(skops_folder(tmp_path / "good", forest)).predict(packed(FRAME), PREDICTIONS)
    tree = forest.estimators_[1].tree_
    state = tree.__getstate__()
    state["nodes"][field][0] = value
    tree.__setstate__(state)
    with pytest.raises(ModelNotLoaded, match="a tree of the model"):
        loaded(skops_folder(tmp_path / "bad", forest))


def test_xgboost(booster_folder: Path, tmp_path: Path) -> None:
    import xgboost

    served = loaded(booster_folder)
    booster = xgboost.Booster(model_file=booster_folder / "model.ubj")
    expected = booster.predict(xgboost.DMatrix(FRAME))
    answer = by_name(served.predict(packed(FRAME), BOTH))
    assert answer["predictions"] == (expected > 0.5).astype(int).tolist()
    assert np.allclose(np.array(answer["probabilities"])[:, 1], expected)

    frame = FRAME[["a"]].assign(s=pd.Categorical(np.where(FRAME.c > 0, "up", "down")))
    data = xgboost.DMatrix(frame, label=FRAME.c > 0, enable_categorical=True)
    categorical = xgboost.train({"objective": "binary:logistic"}, data, 3)
    categorical.save_model(tmp_path / "model.json")
    signature = Signature([Field("a", "double"), Field("s", "string")])
    folder = write_mlmodel(
        tmp_path,
        {"xgboost": {"data": "model.json"}},
        signature,
        metadata={"trimtab": {"predict": "predict_proba_1"}},
    )
    few = frame.head(1)  # one row has one category: its code must be that of the training
    (output,) = loaded(folder).predict(columns(few), PREDICTIONS)
    assert math.isclose(output.data[0], categorical.predict(data)[0], rel_tol=1e-6)


def test_lightgbm(tmp_path: Path) -> None:
    import lightgbm

    booster = lightgbm.train({"objective": "binary", "verbose": -1}, lightgbm.Dataset(FRAME, LABELS), 5)
    booster.save_model(tmp_path / "model.lgb")
    served = loaded(write_mlmodel(tmp_path, {"lightgbm": {"data": "model.lgb"}}))
    answer = by_name(served.predict(packed(FRAME), BOTH))
    assert np.allclose(answer["predictions"], booster.predict(FRAME))
    assert np.allclose(np.array(answer["probabilities"])[:, 1], booster.predict(FRAME))


class Doubler(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input):
        return pd.DataFrame({"twice": model_input["a"] * 2, "rows": len(model_input)})


def test_python_functions(tmp_path: Path) -> None:
    cloudpickle.register_pickle_by_value(__import__(__name__, fromlist=["x"]))
    mlflow.pyfunc.save_model(
        tmp_path / "m", python_model=Doubler(), signature=infer_signature(FRAME[["a"]]), pip_requirements=[]
    )
    with pytest.raises(ModelNotLoaded, match="runs the artifact's code"):
        loaded(tmp_path / "m")
    served = loaded(tmp_path / "m", allow_pickle=True)
    assert not served.row_wise
    answer = by_name(served.predict(columns(FRAME[["a"]].head(2)), BOTH))
    assert answer == {"twice": (FRAME.a.head(2) * 2).tolist(), "rows": [2, 2]}


def test_folders_that_cannot_be_served_say_why(tmp_path: Path) -> None:
    with pytest.raises(ModelNotLoaded, match="no model folder"):
        loaded(tmp_path)
    with pytest.raises(ModelNotLoaded, match="no flavour of spark can be served; known: sklearn"):
        loaded(write_mlmodel(tmp_path, {"spark": {}}))
    with pytest.raises(ModelNotLoaded, match="outside of the model's folder"):
        loaded(write_mlmodel(tmp_path, {"xgboost": {"data": "../../etc/passwd"}}))
    with pytest.raises(ModelNotLoaded, match="not there"):
        loaded(write_mlmodel(tmp_path, {"xgboost": {"data": "model.ubj"}}))
    (tmp_path / "model.ubj").write_bytes(b"nonsense")
    with pytest.raises(ModelNotLoaded, match=r"XGBoost cannot read model\.ubj"):
        loaded(write_mlmodel(tmp_path, {"xgboost": {"data": "model.ubj"}}))
    (tmp_path / "MLmodel").write_text("flavors: [")
    with pytest.raises(ModelNotLoaded, match="cannot be understood"):
        loaded(tmp_path)


def test_a_model_must_predict_its_own_example(tmp_path: Path) -> None:
    model = LogisticRegression().fit(FRAME, LABELS)
    folder = skops_folder(tmp_path, model)
    (folder / "input_example.json").write_text('{"columns": ["a", "b", "c"], "data": [[1, 2, null]]}')
    with pytest.raises(
        ModelNotLoaded, match="does not predict its input example: column 'c', row 0 is missing"
    ):
        loaded(folder)
    (folder / "input_example.json").write_text('{"columns": ["a", "b", "c"], "data": [[1, 2, 3]]}')
    loaded(folder)
