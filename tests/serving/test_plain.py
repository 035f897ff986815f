"""Python functions that are loaded without MLflow, and those for which it takes over; each in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cloudpickle
import mlflow
import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature

from tests.serving.conftest import write_mlmodel
from trimtab.serving.errors import ModelNotLoaded
from trimtab.serving.frames import PREDICTIONS
from trimtab.serving.loaders import Rows, load
from trimtab.serving.loaders.mlmodel import ModelFolder
from trimtab.serving.loaders.pyfunc import GapRefused

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")

FRAME = pd.DataFrame({"a": [1.0, 2.5], "n": [3, 4], "s": ["x", "y"]})
TABLE = np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32)

LOADING = """
import json, sys, warnings
warnings.simplefilter("ignore")
from pathlib import Path
from trimtab.serving.errors import ModelNotLoaded
from trimtab.serving.loaders import load
from trimtab.serving.loaders.mlmodel import ModelFolder
from trimtab.serving.replica import warm_up

told = {}
for place in sys.argv[1:]:
    folder = ModelFolder(Path(place))
    try:
        model = load(folder, allow_pickle=True)
        loaded = len([name for name in sys.modules if name.partition(".")[0] == "mlflow"])
        warm_up(model, folder)
        from trimtab.serving.protocols import mlflow as protocol
        from trimtab.serving.schema import Schema
        from trimtab.serving.loaders import Rows
        schema = Schema(folder.signature)
        batch = protocol.decode_json(schema, folder.example())
        outputs = model.predict(Rows(batch.rows, columns=batch.by_name(schema.fields)), 1)
        told[folder.path.name] = [loaded, [output.by_row() for output in outputs], "pandas" in sys.modules]
    except ModelNotLoaded as error:
        told[folder.path.name] = error.message
told["mlflow"] = len([name for name in sys.modules if name.partition(".")[0] == "mlflow"])
print(json.dumps(told))
"""
PLACEHOLDERS = 4
"""Modules of MLflow where nothing of it has been imported."""


def load_apart(*folders: Path) -> dict[str, Any]:
    """Load models one after another in one new process; return how many modules of MLflow there were and the answers."""
    command = [sys.executable, "-c", LOADING, *map(str, folders)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


class Scaled(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        super().load_context(context)
        self.factor = float(Path(context.artifacts["factor"]).read_text()) * context.model_config["times"]

    def predict(self, context, model_input: pd.DataFrame, params=None):
        assert params is None
        assert context.model_config == {"times": 2}
        return (model_input["a"] * self.factor).tolist()


class Looks(mlflow.pyfunc.PythonModel):
    def predict(self, model_input):
        import mlflow

        version = mlflow.__version__  # the first name that is not there without MLflow
        return [f"{version} {isinstance(self, mlflow.pyfunc.PythonModel)}"] * len(model_input)


class Typed(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[str]) -> list[str]:
        return [text.upper() for text in model_input]


def doubled(rows):
    return rows * 2


CODE = """
import mlflow
from mlflow.pyfunc import PythonModel, PythonModelContext

class Sums(PythonModel):
    def predict(self, context: PythonModelContext, model_input, params=None):
        model_input[:, 0] += 1
        return model_input.sum(axis=1)

mlflow.models.set_model(Sums())
"""
LOADER = """
class Loaded:
    def predict(self, rows):
        return [text * 2 for text in rows["s"]]

def _load_pyfunc(path):
    return Loaded()
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one model of every kind, as MLflow writes them."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    root = tmp_path_factory.mktemp("plain")
    (root / "factor.txt").write_text("1.5")
    (root / "code.py").write_text(CODE)
    (root / "code_of_its_own.py").write_text(LOADER)
    (root / "touching.py").write_text(
        f"from mlflow.exceptions import MlflowException\n{CODE.replace('+= 1', '+= 2')}"
    )
    whole, only = infer_signature(FRAME), infer_signature(TABLE)

    def save(name: str, example: Any, signature: Any, **given: Any) -> None:
        mlflow.pyfunc.save_model(
            root / name, signature=signature, input_example=example, pip_requirements=[], **given
        )

    artifacts = {"factor": str(root / "factor.txt")}
    save("class", FRAME, whole, python_model=Scaled(), artifacts=artifacts, model_config={"times": 2})
    save("function", TABLE, only, python_model=doubled)
    save("code", TABLE, only, python_model=str(root / "code.py"))
    code = [str(root / "code_of_its_own.py")]
    save("loader", FRAME, whole, loader_module="code_of_its_own", code_paths=code)
    save("looks", TABLE, only, python_model=Looks())
    save("typed", ["b", "c"], None, python_model=Typed())
    save("touching", TABLE, only, python_model=str(root / "touching.py"))
    return root


def test_models_that_say_how_they_are_loaded_need_no_mlflow(saved: Path) -> None:
    told = load_apart(*(saved / name for name in ("function", "code", "class", "loader")))
    assert told == {
        "function": [PLACEHOLDERS, [[[2.0, 4.0], [6.0, 8.0]]], False],
        "code": [PLACEHOLDERS, [[4.0, 8.0]], False],
        "class": [PLACEHOLDERS, [[3.0, 7.5]], True],
        "loader": [PLACEHOLDERS, [["xx", "yy"]], True],
        "mlflow": PLACEHOLDERS,
    }


def test_mlflow_takes_over_where_a_model_asks_for_more_of_it(saved: Path) -> None:
    told = load_apart(saved / "looks", saved / "typed")
    loaded, (answer,), _ = told["looks"]
    assert loaded == PLACEHOLDERS
    assert answer == [f"{mlflow.__version__} True"] * 2
    assert told["typed"][1] == [["B", "C"]]
    assert told["mlflow"] > 100
    told = load_apart(saved / "touching")
    loaded, answers, _ = told["touching"]
    assert loaded > 100
    assert answers == [[5.0, 9.0]]


def test_the_answers_are_those_that_mlflow_gives(saved: Path) -> None:
    # MLflow is imported in this process, so that it loads them here.
    for name, rows in (("function", TABLE), ("code", TABLE), ("class", FRAME), ("loader", FRAME)):
        model = load(ModelFolder(saved / name), allow_pickle=True)
        columns = (
            {str(at): TABLE[:, at].tolist() for at in range(2)} if rows is TABLE else FRAME.to_dict("list")
        )
        (output,) = model.predict(Rows(2, columns=columns), PREDICTIONS)
        expected = mlflow.pyfunc.load_model(str(saved / name)).predict(rows.copy())
        assert output.by_row() == np.asarray(expected).tolist()


def test_a_value_that_cannot_be_missing_is_the_callers_mistake(saved: Path) -> None:
    model = load(ModelFolder(saved / "class"), allow_pickle=True)
    assert not model.packed
    rows = Rows(2, columns={"a": [1.0, None], "n": [1, None], "s": ["x", None]})
    with pytest.raises(GapRefused, match="column 'n', row 1 is missing") as refused:
        model.predict(rows, PREDICTIONS)
    assert isinstance(refused.value, model.input_errors)
    arrays = load(ModelFolder(saved / "code"), allow_pickle=True)
    assert arrays.packed
    for given in (Rows(1, matrix=np.array([[1.0, np.nan]])), Rows(1, columns={"0": [1.0], "1": [None]})):
        with pytest.raises(GapRefused, match="column '1', row 0 is missing"):
            arrays.predict(given, PREDICTIONS)


def test_bad_models_are_refused_in_the_same_words(saved: Path) -> None:
    flavor = {"loader_module": "mlflow.pyfunc.model", "python_model": "m.pkl"}
    folder = write_mlmodel(saved / "broken", {"python_function": flavor})
    (folder / "m.pkl").write_bytes(b"\x80\x04cno_such_module\nThing\n.")
    with pytest.raises(ModelNotLoaded, match="No module named 'no_such_module'") as refused:
        load(ModelFolder(folder), allow_pickle=True)
    assert load_apart(folder)["broken"] == refused.value.message
    with pytest.raises(ModelNotLoaded, match="runs the artifact's code"):
        load(ModelFolder(folder), allow_pickle=False)
