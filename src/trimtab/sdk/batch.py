"""``trimtab.batch``: have the server predict whole data versions, and get the predictions back."""

import time
from collections.abc import Sequence
from typing import Any, Literal

from trimtab.kernel.errors import Invalid, Unavailable
from trimtab.sdk.client import Client, connect
from trimtab.sdk.data import DataVersion
from trimtab.sdk.models import ModelVersion
from trimtab.sdk.pipelines import note_input, note_output

_ENDED = ("succeeded", "failed", "cancelled")
_LONGEST_PAUSE_S = 1.0


def predict(
    model: str | ModelVersion,
    data: str | DataVersion,
    *,
    output: str = "",
    columns: Sequence[str] = (),
    keep: bool = False,
    probabilities: bool = False,
    on_error: Literal["fail", "skip"] = "fail",
    wait: bool = True,
    timeout_s: float = 86_400.0,
    client: Client | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Have a registered version predict a data version and return the batch prediction, as the HTTP API shows it.

    The predictions become the next version of the dataset ``output``, by default the data's name and ``-predictions``;
    its reference is in ``output_ref`` once there is one. ``options`` are the others that the API takes. In a pipeline
    step the data and the predictions become an input and an output of the run. Raises Invalid with the reason where it
    fails, and Unavailable after the time-out.
    """
    connection = client or connect()
    body = {
        "model": model.uri if isinstance(model, ModelVersion) else model,
        "data": data.ref if isinstance(data, DataVersion) else data,
        "output": output,
        "columns": [*columns],
        "keep": keep,
        "probabilities": probabilities,
        "on_error": on_error,
        **options,
    }
    made = connection.post("/batch-predictions", body)
    note_input(f"data:{made['data']}@{made['data_version']}")
    note_input(f"model:{made['model']}/{made['model_version']}")
    return follow(made["id"], timeout_s=timeout_s, client=connection) if wait else made


def get(batch_id: str, *, client: Client | None = None) -> dict[str, Any]:
    """Return a batch prediction: how far it is, or what came out."""
    return _view((client or connect()).get(f"/batch-predictions/{batch_id}"))


def follow(batch_id: str, *, timeout_s: float = 86_400.0, client: Client | None = None) -> dict[str, Any]:
    """Return a batch prediction once it has succeeded; raises Invalid where it has not, and Unavailable."""
    connection = client or connect()
    deadline = time.monotonic() + timeout_s
    pause_s = 0.05
    while True:
        found = get(batch_id, client=connection)
        if found["state"] == "succeeded":
            note_output(found["output_ref"])
            return found
        if found["state"] in _ENDED:
            raise Invalid(f"Batch prediction {batch_id} has {found['state']}: {found['error'] or 'by hand'}")
        if time.monotonic() > deadline:
            raise Unavailable(f"Batch prediction {batch_id} did not end within {timeout_s:g} s.")
        time.sleep(pause_s)
        pause_s = min(_LONGEST_PAUSE_S, pause_s * 1.5)


def cancel(batch_id: str, *, client: Client | None = None) -> dict[str, Any]:
    """Take a batch prediction back; nothing of it is kept."""
    return _view((client or connect()).post(f"/batch-predictions/{batch_id}/cancel"))


def _view(found: dict[str, Any]) -> dict[str, Any]:
    version = found["output_version"]
    return {**found, "output_ref": None if version is None else f"data:{found['output']}@{version}"}
