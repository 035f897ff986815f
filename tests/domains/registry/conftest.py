"""A registry over logged files: runs and logged models stand still here, files are real blobs."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

from trimtab.app import App
from trimtab.domains.registry import RegistryService
from trimtab.domains.registry.sources import Sources
from trimtab.kernel.errors import NotFound
from trimtab.kernel.ids import hex32

MLMODEL = b"""flavors:
  python_function: {loader_module: mlflow.sklearn, model_path: model.skops, predict_fn: predict}
  sklearn: {code: null, pickled_model: model.skops, serialization_format: skops}
signature:
  inputs: '[{"type": "double", "name": "a", "required": true}]'
  outputs: '[{"type": "long", "required": true}]'
  params: null
"""
SAFE = {"MLmodel": MLMODEL, "model.skops": b"PK\x03\x04 not really", "requirements.txt": b"scikit-learn\n"}


class Tracked:
    def __init__(self, app: App) -> None:
        self._app = app
        self._runs: dict[str, SimpleNamespace] = {}
        self._models: dict[str, SimpleNamespace] = {}
        self._files: dict[str, SimpleNamespace] = {}
        self.runs = SimpleNamespace(get=lambda who, key: _get(self._runs, key))
        self.logged_models = SimpleNamespace(get=lambda who, key: _get(self._models, key))
        self.artifacts = SimpleNamespace(files=self._under)

    def run(self, **metrics: float) -> str:
        run_id = hex32()
        self._runs[run_id] = SimpleNamespace(
            head=SimpleNamespace(artifact_uri=f"mlflow-artifacts:/1/{run_id}/artifacts"),
            metrics={key: SimpleNamespace(value=value) for key, value in metrics.items()},
            model_outputs=[],
        )
        return run_id

    def measure(self, run_id: str, **metrics: float) -> None:
        self._runs[run_id].metrics.update({k: SimpleNamespace(value=v) for k, v in metrics.items()})

    def model(self, files: Mapping[str, bytes], run_id: str | None = None, name: str = "model") -> str:
        model_id = f"m-{hex32()}"
        uri = f"mlflow-artifacts:/1/models/{model_id}/artifacts"
        self._models[model_id] = SimpleNamespace(
            id=model_id, name=name, artifact_uri=uri, source_run_id=run_id
        )
        if run_id:
            self._runs[run_id].model_outputs.append(SimpleNamespace(model_id=model_id, step=0))
        self.put(uri.removeprefix("mlflow-artifacts:/"), files)
        return model_id

    def put(self, prefix: str, files: Mapping[str, bytes]) -> None:
        for path, content in files.items():
            self._files[f"{prefix}/{path}"] = SimpleNamespace(
                path=f"{prefix}/{path}", blob=self._app.blobs.put(content), size_bytes=len(content)
            )

    def _under(self, who, prefix):
        return [one for path, one in sorted(self._files.items()) if path.startswith(f"{prefix}/")]


def _get(table, key):
    if key not in table:
        raise NotFound(key)
    return table[key]


@pytest.fixture
def tracked(app: App) -> Tracked:
    return Tracked(app)


@pytest.fixture
def registry(app: App, tracked: Tracked) -> RegistryService:
    return RegistryService(
        app.db,
        app.bus,
        app.blobs,
        govern=app.govern,
        lineage=app.lineage,
        sources=Sources(tracked, app.blobs),
    )
