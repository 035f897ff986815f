"""Runs and logged models with files, from which versions are made."""

import io
import json
import zipfile
from collections.abc import Mapping

import pytest

from trimtab.app import App
from trimtab.domains.registry import RegistryService
from trimtab.domains.tracking.metrics.model import Point
from trimtab.domains.tracking.runs.model import ModelOutput
from trimtab.kernel.who import Principal

MLMODEL = b"""flavors:
  python_function: {loader_module: mlflow.sklearn, model_path: model.skops, predict_fn: predict}
  sklearn: {code: null, pickled_model: model.skops, serialization_format: skops}
signature:
  inputs: '[{"type": "double", "name": "a", "required": true}]'
  outputs: '[{"type": "long", "required": true}]'
  params: null
"""


def _skops() -> bytes:
    """Return a file as skops writes it, of an object that any server trusts."""
    node = {"__class__": "OrderedDict", "__module__": "collections", "__loader__": "DictNode", "content": {}}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("schema.json", json.dumps(node))
    return out.getvalue()


SAFE = {"MLmodel": MLMODEL, "model.skops": _skops(), "requirements.txt": b"scikit-learn\n"}
_WHO = Principal("token:t", "trainer", "editor")


class Tracked:
    """Logs what a training would log, into the first experiment."""

    def __init__(self, app: App) -> None:
        self._tracking = app.tracking

    def run(self, **metrics: float) -> str:
        run_id = self._tracking.runs.create(_WHO).id
        self.measure(run_id, **metrics)
        return run_id

    def measure(self, run_id: str, **metrics: float) -> None:
        self._tracking.runs.log(_WHO, run_id, points=[Point(key, value, 1) for key, value in metrics.items()])

    def finish(self, run_id: str) -> None:
        self._tracking.runs.update(_WHO, run_id, status="FINISHED", ended_us=1)

    def model(self, files: Mapping[str, bytes], run_id: str | None = None, name: str = "model") -> str:
        model = self._tracking.logged_models.create(_WHO, experiment_id="0", name=name, source_run_id=run_id)
        self.put(f"0/models/{model.id}/artifacts", files)
        if run_id:
            self._tracking.runs.log_outputs(_WHO, run_id, [ModelOutput(model.id)])
        self._tracking.logged_models.finalize(_WHO, model.id, "READY")
        return model.id

    def put(self, prefix: str, files: Mapping[str, bytes]) -> None:
        for path, content in files.items():
            self._tracking.artifacts.put(_WHO, f"{prefix}/{path}", content)


@pytest.fixture
def tracked(app: App) -> Tracked:
    return Tracked(app)


@pytest.fixture
def registry(app: App) -> RegistryService:
    return app.registry
