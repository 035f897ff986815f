"""``trimtab.endpoints``: deploy registered models, split and take back their traffic, ask them, tell them the truth."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx2
import msgspec

from trimtab.kernel.errors import Conflict, Invalid, Unavailable
from trimtab.sdk.client import Client, connect

_POLL_S = 0.1


def deploy(
    name: str,
    model: str,
    *,
    weight: float | None = 100.0,
    wait_s: float | None = 120.0,
    allow_pickle: bool = False,
    native: bool = False,
    reason: str = "",
    client: Client | None = None,
) -> dict[str, Any]:
    """Have ``models:/NAME/VERSION`` or ``models:/NAME@alias`` answer at an endpoint and return the endpoint.

    Waits until it answers, at most ``wait_s`` seconds; None returns at once. Raises Conflict when it cannot be loaded.
    """
    server = client or connect()
    body = {
        "model": model,
        "weight": weight,
        "allow_pickle": allow_pickle,
        "native": native,
        "reason": reason,
    }
    view = server.post(f"/endpoints/{name}/deploy", body)
    return view if wait_s is None else wait(name, timeout_s=wait_s, client=server)


def wait(name: str, *, timeout_s: float = 120.0, client: Client | None = None) -> dict[str, Any]:
    """Return the endpoint once every version of it answers; raises Conflict for one that cannot be loaded."""
    server = client or connect()
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        view = server.get(f"/endpoints/{name}")
        states = {one["state"] for one in view["versions"]}
        if "starting" not in states:
            failed = [one for one in view["versions"] if one["state"] == "failed"]
            if failed:
                raise Conflict(f"Version {failed[-1]['version']} cannot be loaded: {failed[-1]['error']}")
            return view
        time.sleep(_POLL_S)
    raise Unavailable(
        f"Endpoint {name} was not ready within {timeout_s:g} s; 'trimtab endpoints logs {name}' may say why."
    )


def traffic(
    name: str, weights: Mapping[str, float], *, reason: str = "", client: Client | None = None
) -> dict[str, Any]:
    """Split the requests over versions, in percent that add up to 100."""
    body = {"traffic": dict(weights), "reason": reason}
    return (client or connect()).post(f"/endpoints/{name}/traffic", body)


def rollback(name: str, *, reason: str = "", client: Client | None = None) -> dict[str, Any]:
    """Undo the newest change of who answers, at once."""
    return (client or connect()).post(f"/endpoints/{name}/rollback", {"reason": reason})


def release(
    name: str,
    model: str,
    *,
    evaluation: str,
    champion_evaluation: str | None = None,
    reference: str | None = None,
    event_us: int | None = None,
    reason: str = "",
    client: Client | None = None,
) -> dict[str, Any]:
    """Send a version through gate, canary and judge, and return the episode that tells how it goes.

    ``evaluation`` is the data version (``data:NAME@VERSION``) that it is gated on.
    """
    body = {
        "model": model,
        "evaluation": evaluation,
        "champion_evaluation": champion_evaluation,
        "reference": reference,
        "event_us": event_us,
        "reason": reason,
    }
    return (client or connect()).post(f"/endpoints/{name}/releases", body)


def get(name: str, *, client: Client | None = None) -> dict[str, Any]:
    """Return an endpoint with its versions and its last minute."""
    return (client or connect()).get(f"/endpoints/{name}")


def list(*, client: Client | None = None) -> Sequence[dict[str, Any]]:  # noqa: A001 - reads as trimtab.endpoints.list()
    """Return every endpoint."""
    return [*(client or connect()).items("/endpoints")]


def predict(
    name: str, rows: Sequence[Mapping[str, Any]], *, client: Client | None = None
) -> tuple[Sequence[Any], str]:
    """Return (predictions, prediction id) for rows given as mappings from column to value.

    Raises Invalid, naming the column, for rows that the model cannot take.
    """
    server = client or connect()
    url = server.get(f"/endpoints/{name}")["invocations_url"]
    response = _send(server, url, {"dataframe_records": [dict(row) for row in rows]})
    answer = msgspec.json.decode(response.content, type=dict[str, Any])
    return answer["predictions"], response.headers["x-prediction-id"]


def feedback(name: str, prediction_id: str, labels: Sequence[Any], *, client: Client | None = None) -> None:
    """Tell what turned out to be true of a prediction's rows, in their order."""
    server = client or connect()
    url = server.get(f"/endpoints/{name}")["invocations_url"].removesuffix("invocations") + "feedback"
    _send(server, url, {"prediction_id": prediction_id, "labels": [*labels]})


def _send(server: Client, url: str, body: dict[str, Any]) -> httpx2.Response:
    try:
        response = httpx2.post(url, content=msgspec.json.encode(body), headers=server.headers, timeout=60.0)
    except httpx2.TransportError as error:
        raise Unavailable(
            f"The inference front at {url} does not answer ({type(error).__name__})."
        ) from error
    if response.status_code >= 500:
        raise Unavailable(f"The endpoint answered {response.status_code}: {response.text[:500]}")
    if response.status_code >= 400:
        problem = msgspec.json.decode(response.content, type=dict[str, Any])
        raise Invalid(str(problem.get("message") or problem.get("error") or response.text))
    return response
