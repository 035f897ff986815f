"""Registered versions of a real scikit-learn model."""

import io
from functools import cache

import pytest

from trimtab.app import App
from trimtab.kernel.who import Principal, system

_WHO = Principal("token:t", "trainer", "editor")
PLANE = system("deploy")
_MLMODEL = b"""flavors:
  sklearn: {code: null, pickled_model: model.skops, serialization_format: skops}
metadata: {trimtab: {predict: predict_proba_1}}
signature:
  inputs: '[{"type": "double", "name": "a"}, {"type": "double", "name": "b"}]'
  outputs: '[{"type": "double"}]'
  params: null
"""


@cache
def _fitted() -> bytes:
    import numpy as np
    import skops.io
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2))
    model = LogisticRegression().fit(x, x[:, 0] + rng.normal(size=200) > 0)
    buffer = io.BytesIO()
    skops.io.dump(model, buffer)
    return buffer.getvalue()


class Models:
    """Registers versions of a model whose probability of class 1 follows the column a."""

    def __init__(self, app: App) -> None:
        self._app = app

    def version(self, name: str = "churn", *, pickle: bool = False, content: bytes = b"\x80\x04N.") -> int:
        tracking = self._app.tracking
        logged = tracking.logged_models.create(_WHO, experiment_id="0", name=name)
        prefix = f"0/models/{logged.id}/artifacts"
        mlmodel = _MLMODEL.replace(b"skops", b"cloudpickle") if pickle else _MLMODEL
        tracking.artifacts.put(_WHO, f"{prefix}/MLmodel", mlmodel)
        file = "model.cloudpickle" if pickle else "model.skops"
        tracking.artifacts.put(_WHO, f"{prefix}/{file}", content if pickle else _fitted())
        tracking.logged_models.finalize(_WHO, logged.id, "READY")
        made = self._app.registry.create_version(
            _WHO, name, source=f"models:/{logged.id}", model_id=logged.id
        )
        return made.version


@pytest.fixture
def models(app: App) -> Models:
    made = Models(app)
    app.registry.create_model(_WHO, "churn")
    return made
