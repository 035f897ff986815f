"""What one server keeps comes over to another through the API of MLflow."""

from pathlib import Path
from typing import Any

import pytest

from tests.moving.conftest import Store, history
from tests.processes import serving
from trimtab.kernel.errors import Invalid, Unavailable
from trimtab.moving import import_mlflow
from trimtab.moving.sources.mlflow_http import MlflowHttp
from trimtab.sdk.client import Client


def test_a_server_comes_over(url: str, mlruns: Store, imported: Any, tmp_path: Path) -> None:
    assert imported.models == 1
    with serving(tmp_path / "other") as other, Client(other) as there, Client(url) as here:
        report = import_mlflow(url, experiments=["flights"], client=there)
        assert report.problems == []
        assert (report.runs["created"], report.logged_models["created"], report.files) == (2, 1, 3)
        for key in ("loss", "val/odd", "auc"):
            assert history(there, mlruns.parent, key) == history(here, mlruns.parent, key)
        first, second = (one.get(f"/runs/{mlruns.parent}/record") for one in (here, there))
        for changed in ("experiment_id", "artifact_uri"):
            first.pop(changed), second.pop(changed)
        assert first == second
        model, copy = (one.get(f"/logged-models/{mlruns.model}/record") for one in (here, there))
        assert (model["metrics"], model["params"]) == (copy["metrics"], copy["params"])
        text = b"".join(there.download(f"/runs/{mlruns.parent}/artifacts/notes/a%20b.txt"))
        assert text == b"hello"
        again = import_mlflow(url, experiments=["flights"], client=there)
        assert (again.runs["unchanged"], again.files) == (2, 0)


def test_a_server_that_is_none_is_told(client: Client, url: str) -> None:
    with pytest.raises(Unavailable):
        MlflowHttp("http://127.0.0.1:1").get("/experiments/search")
    with pytest.raises(Invalid, match="no server of MLflow"):
        MlflowHttp(f"{url}/experiments").get("/../..")


def test_credentials_are_not_shown() -> None:
    assert MlflowHttp("https://me:secret@host:8443/base/").url == "https://host:8443/base"
