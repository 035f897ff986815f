"""One of everything, made on a running server through its own client, as a team would after its first week."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import trimtab
from trimtab.sdk.client import Client
from trimtab.sdk.submission import publish

MODEL = ENDPOINT = MONITOR = "churn"
DATA = "customers"
ROWS = [{"age": 1.5, "visits": -0.25}, {"age": -1.0, "visits": 2.0}]

PIPELINE = '''
from trimtab import pipeline, step

@step
def count(most: int) -> int:
    return most

@pipeline
def counting(most: int = 3):
    """Count."""
    return count(most=most)
'''


def fitted(seed: int = 1) -> tuple[Any, dict[str, Any]]:
    """Return a small classifier of ``age`` and ``visits`` and the columns it was fitted on."""
    from sklearn.linear_model import LogisticRegression

    table = np.random.default_rng(seed).normal(size=(300, 2))
    churned = table[:, 0] + 0.2 * seed * table[:, 1] > 0
    columns = {"age": table[:, 0].tolist(), "visits": table[:, 1].tolist()}
    return LogisticRegression().fit(table, churned), columns | {"churned": churned.astype(int).tolist()}


def alarmist() -> Any:
    """Return a classifier that finds nearly everybody likely to churn."""
    from sklearn.linear_model import LogisticRegression

    table = np.random.default_rng(1).normal(size=(300, 2))
    return LogisticRegression().fit(table, table[:, 0] > -2)


def add_version(client: Client, *, seed: int = 1, run: str | None = None, model: Any = None) -> Any:
    """Log and register the next version of the model."""
    model = fitted(seed)[0] if model is None else model
    inputs: list[Any] = [{"type": "double", "name": name, "required": True} for name in ("age", "visits")]
    signature = trimtab.models.Signature(inputs)
    return trimtab.models.log(
        model, run=run, register=MODEL, signature=signature, predict="predict_proba_1", client=client
    ).version


def _wait_for_profile(client: Client) -> None:
    deadline = time.monotonic() + 90
    while client.get(f"/data/{DATA}/versions/1")["profiled_us"] is None:
        assert time.monotonic() < deadline, "the dataset was not profiled"
        time.sleep(0.2)


def fill(client: Client, folder: Path, *, wait_s: float | None = 60.0) -> Mapping[str, str]:
    """Make an experiment with runs, a dataset, a model, an endpoint, a monitor, a pipeline and an alert.

    Returns what names them, under the names that the API's path parameters have.
    """
    data = trimtab.data.add(DATA, fitted()[1], client=client)
    _wait_for_profile(client)
    experiment = client.post("/experiments", {"name": "churn model"})["id"]
    runs: list[str] = []
    for number in range(3):
        run = client.post("/runs", {"experiment_id": experiment, "name": f"fit {number}"})["id"]
        points = [
            {
                "key": "loss",
                "value": 1 / (step + 1 + number),
                "step": step,
                "at_us": 1_700_000_000_000_000 + step,
            }
            for step in range(20)
        ]
        client.post(
            f"/runs/{run}/log", {"metrics": points, "params": {"depth": str(number)}, "tags": {"team": "ops"}}
        )
        inputs = [{"name": DATA, "digest": data.digest[:36], "source": data.ref}]
        client.post(f"/runs/{run}/inputs", {"datasets": inputs})
        client.patch(f"/runs/{run}", {"status": "FINISHED"})
        runs.append(run)
    first = add_version(client, run=runs[0])
    add_version(client, seed=2, run=runs[1])
    trimtab.models.set_alias(MODEL, "champion", 1, reason="the first", client=client)
    trimtab.endpoints.deploy(ENDPOINT, first.uri, wait_s=wait_s, client=client)
    trimtab.monitors.create(MONITOR, endpoint=ENDPOINT, reference=data.ref, features=["age"], client=client)
    file = folder / "counting_pipeline.py"
    file.write_text(PIPELINE)
    publish(client, str(file), {})
    alert = client.post(
        "/alerts",
        {
            "rule": "by-hand",
            "severity": "critical",
            "title": "Churn looks odd",
            "subject": f"endpoint:{ENDPOINT}",
            "dedupe_key": "odd",
        },
    )["id"]
    client.post("/alert-channels", {"name": "ops", "url": "http://127.0.0.1:9/", "enabled": False})
    condition = {"event": "tracking.run_finished", "where": []}
    client.post("/alert-rules", {"name": "by-hand-2", "condition": condition, "title": "t"})
    return {
        "experiment_id": experiment,
        "run_id": runs[0],
        "model_id": client.get("/logged-models", experiment_id=experiment)["items"][0]["id"],
        "alert_id": alert,
        "endpoint": ENDPOINT,
        "feature": "age",
        "alias": "champion",
        "version": "1",
        "key": "loss",
        "data": DATA,
    }
