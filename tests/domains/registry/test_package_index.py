"""A model of another scikit-learn than the server's, with packages from the real index: `make environments`."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.domains.deploy.conftest import _MLMODEL
from tests.domains.registry.conftest import Tracked
from trimtab.app import App
from trimtab.domains.registry.runtimes.requirements import Asked
from trimtab.kernel.who import Principal, system

pytestmark = pytest.mark.skipif(
    "TRIMTAB_TEST_INDEX" not in os.environ, reason="it downloads: make environments"
)

PLANE = system("deploy")
OTHER = "scikit-learn==1.7.2"
TRAIN = """
import numpy as np, skops.io, sys
from sklearn.linear_model import LogisticRegression
x = np.random.default_rng(0).normal(size=(200, 2))
skops.io.dump(LogisticRegression().fit(x, x[:, 0] > 0), sys.argv[1])
"""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_model_is_loaded_by_the_packages_that_made_it(app: App, editor: Principal, tmp_path: Path) -> None:
    places = app.runtimes.environments
    python = places.choose_python("")
    lock = places.resolve(Asked(lines=[OTHER, "skops"]), python, model=tmp_path, sources=False)
    made = places.build("a" * 32, lock, python, model=tmp_path, sources=False)
    subprocess.run([made.python, "-c", TRAIN, str(tmp_path / "model.skops")], check=True)
    files = {
        "MLmodel": _MLMODEL,
        "model.skops": (tmp_path / "model.skops").read_bytes(),
        "requirements.txt": f"{OTHER}\nmlflow\n".encode(),
        "serving_input_example.json": b'{"dataframe_split": {"columns": ["a", "b"], "data": [[1.0, 2.0]]}}',
    }
    logged = Tracked(app).model(files)
    app.registry.create_version(editor, "m", source=f"models:/{logged}", create_model=True)
    app.runtimes.settle(PLANE, "m", 1)
    found = app.runtimes.carry_out(PLANE, "m", 1)
    assert (found.state, found.trial) == ("ready", "passed"), found.message
    assert "scikit-learn==1.7.2 " in found.lock
    assert "\nmlflow" not in found.lock
    print(found.took, f"{found.size_bytes >> 20} MB")
