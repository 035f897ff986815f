"""Ours: a whole `trimtab up` on a home where one model is deployed, asked through its public inference port."""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from serving import models
from serving.load import DidNotStart, Server, Target, ask, free_ports, running
from serving.peers import Body, Read, read_predictions, read_tensor, split_body, tensor_body
from trimtab.kernel.errors import TrimtabError
from trimtab.sdk.client import Client

ENDPOINT = "flights"
ROLES = {
    "trimtab.serving.gateway": "gateway",
    "trimtab.serving.replica": "replica",
    "trimtab.worker": "worker",
}
SERVED = ("gateway", "replica")
"""The processes without which the model would not answer; the server and its workers manage."""
_JSON = {"Content-Type": "application/json"}
_PATIENCE_S = 120.0
_BEGINS_WITHIN_S = 3.0
_V2 = f"/v2/models/{ENDPOINT}/infer"
_INVOCATIONS = f"/endpoints/{ENDPOINT}/invocations"


class Protocol(msgspec.Struct, frozen=True):
    """One of the forms in which rows can be sent."""

    title: str
    path: str
    body: Body
    read: Read
    headers: Callable[[bytes], dict[str, str]] = lambda _: _JSON


def _columns_body(rows: np.ndarray) -> bytes:
    inputs = [
        {"name": name, "shape": [len(rows)], "datatype": "FP64", "data": rows[:, at].tolist()}
        for at, name in enumerate(models.COLUMNS)
    ]
    return json.dumps({"inputs": inputs, "outputs": [{"name": "predictions"}]}).encode()


def _instances_body(rows: np.ndarray) -> bytes:
    return json.dumps({"instances": rows.tolist()}).encode()


def _binary_head(rows: np.ndarray) -> bytes:
    raw = {"binary_data_size": rows.size * 8}
    tensor = {"name": "rows", "shape": list(rows.shape), "datatype": "FP64", "parameters": raw}
    output = {"name": "predictions", "parameters": {"binary_data": True}}
    return json.dumps({"inputs": [tensor], "outputs": [output]}).encode()


def _binary_body(rows: np.ndarray) -> bytes:
    return _binary_head(rows) + np.ascontiguousarray(rows).tobytes()


def _binary_headers(body: bytes) -> dict[str, str]:
    return {
        "Content-Type": "application/octet-stream",
        "Inference-Header-Content-Length": str(_json_end(body)),
    }


def _json_end(content: bytes) -> int:
    """Return where the JSON object ends that raw bytes follow; there are no braces in its texts."""
    depth = 0
    for at, byte in enumerate(content):
        depth += (byte == ord("{")) - (byte == ord("}"))
        if depth == 0:
            return at + 1
    raise ValueError("no JSON at the start")


def _read_binary(answer: bytes) -> list[float]:
    """Read a v2 answer whose one output follows its JSON as FP64 or FP32, or is in it."""
    end = _json_end(answer)
    (output, *_) = json.loads(answer[:end])["outputs"]
    if "data" in output:
        return output["data"]
    return np.frombuffer(answer[end:], {"FP64": "<f8", "FP32": "<f4"}[output["datatype"]]).tolist()


def _arrow_body(rows: np.ndarray) -> bytes:
    import pyarrow as pa

    table = pa.table({name: rows[:, at] for at, name in enumerate(models.COLUMNS)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def _read_arrow(answer: bytes) -> list[float]:
    if answer[:1] == b"{":
        return read_predictions(answer)
    import pyarrow as pa

    return pa.ipc.open_stream(answer).read_all().column(0).to_pylist()


_ARROW = {
    "Content-Type": "application/vnd.apache.arrow.stream",
    "Accept": "application/vnd.apache.arrow.stream",
}

PROTOCOLS: dict[str, Protocol] = {
    "v2": Protocol("v2, one tensor", _V2, tensor_body("predictions"), read_tensor),
    "v2-columns": Protocol("v2, a tensor a column", _V2, _columns_body, read_tensor),
    "instances": Protocol("instances", _INVOCATIONS, _instances_body, read_predictions),
    "split": Protocol("dataframe_split", _INVOCATIONS, split_body, read_predictions),
    "binary": Protocol("v2, binary tensor", _V2, _binary_body, _read_binary, _binary_headers),
    "arrow": Protocol("Arrow stream", _INVOCATIONS, _arrow_body, _read_arrow, lambda _: _ARROW),
}


class Home(msgspec.Struct, frozen=True):
    """A folder of ours with one model deployed, and a token that may ask it."""

    folder: Path
    token: str
    note: str


def prepare(folder: Path, kind: str, models_folder: Path, *, native: bool = False) -> Home:
    """Register and deploy a model in a new home, then stop the server."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    port = free_ports(4)
    server = start(folder, port, sign_in="auto")
    with running(server):
        try:
            client = _connected(server, port)
            token: str = client.post("/tokens", {"name": "bench", "role": "viewer"})["token"]
            uri = _register(client, kind, models_folder)
            form = _deploy(client, uri, allow_pickle=kind == "python", native=native)
        except TrimtabError as error:
            raise DidNotStart(f"{error}\n{_replica_logs(folder)}", server.log) from error
    return Home(folder, token, form)


def start(
    folder: Path, port: int, *, sign_in: str = "always", environment: dict[str, str] | None = None
) -> Server:
    """Start the server of a home; its inference port is the next one."""
    command = [sys.executable, "-m", "trimtab", "up", "--home", str(folder), "--port", str(port)]
    command += ["--inference-port", str(port + 1), "--sign-in", sign_in, "--log-level", "warning"]
    log = folder.with_suffix(".log")
    return Server(command, environment=environment or {}, folder=folder.parent, log=log, roles=ROLES)


def target(home: Home, port: int, protocol: Protocol, rows: np.ndarray, *, each: int) -> Target:
    """Return requests of so many rows each."""
    count = min(256, len(rows) // each)
    bodies = [protocol.body(rows[at * each : (at + 1) * each]) for at in range(count)]
    # Bodies of as many rows have the same headers: the JSON before raw bytes says sizes only.
    headers = {**protocol.headers(bodies[0]), "Authorization": f"Bearer {home.token}"}
    return Target(port + 1, protocol.path, headers, bodies, each)


def speaks(one: Target) -> bool:
    """Say whether the server takes this form."""
    status, _ = ask(one, one.bodies[0])
    return status == 200


def _connected(server: Server, port: int) -> Client:
    client = Client(f"http://127.0.0.1:{port}")
    until = time.monotonic() + 60
    while True:
        try:
            client.get("/me")
            return client
        except TrimtabError:
            if time.monotonic() > until or server.process.poll() is not None:
                raise
            time.sleep(0.05)


def _register(client: Client, kind: str, models_folder: Path) -> str:
    """Log the model and return the version's address."""
    rows = models.rows(models_folder)[:5]
    if kind == "python":
        return _register_python(client, models_folder, rows)
    import trimtab

    sample = {name: rows[:, at] for at, name in enumerate(models.COLUMNS)}
    logged = trimtab.models.log(
        models.fitted(models_folder, kind),
        register=ENDPOINT,
        signature=sample,
        predict="predict_proba_1",
        client=client,
    )
    assert logged.version is not None, "it was registered"
    return f"models:/{ENDPOINT}/{logged.version.version}"


def _register_python(client: Client, models_folder: Path, rows: np.ndarray) -> str:
    """Log plain Python the way that MLflow has it, as a python_function over arrays."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    import mlflow
    from mlflow.models import infer_signature

    source = (models_folder / "python" / "scorecard.py").read_text()
    script = models_folder / "python" / "model_code.py"
    script.write_text(
        f"{source}\n\nimport mlflow\n\n\nclass Scorecard(mlflow.pyfunc.PythonModel):\n"
        "    def predict(self, context, model_input, params=None):\n        return chances(model_input)\n\n\n"
        "mlflow.models.set_model(Scorecard())\n"
    )
    os.environ["MLFLOW_TRACKING_URI"] = client.url
    mlflow.set_tracking_uri(client.url)
    mlflow.set_registry_uri(client.url)
    mlflow.pyfunc.log_model(
        name="model",
        python_model=str(script),
        signature=infer_signature(rows),
        registered_model_name=ENDPOINT,
        pip_requirements=["mlflow-skinny"],
    )
    return f"models:/{ENDPOINT}/1"


def _replica_logs(folder: Path) -> str:
    return "\n".join(log.read_text(errors="replace")[-1000:] for log in folder.rglob("logs/*.log"))


def _deploy(client: Client, uri: str, *, allow_pickle: bool, native: bool) -> str:
    """Deploy a version, after its compilation where it can have one, and return in which form it runs."""
    import trimtab

    version = f"/models/{ENDPOINT}/versions/{uri.rpartition('/')[2]}"
    state, message = _compiled(client, version)
    trimtab.endpoints.deploy(
        ENDPOINT, uri, allow_pickle=allow_pickle, native=native, reason="the benchmark made it", client=client
    )
    if native or state != "compiled":
        if state in ("differs", "failed"):
            print(f"not compiled: {message}")
        return "native"
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until:
        (served,) = client.get(f"/endpoints/{ENDPOINT}")["versions"]
        if served["runtime"] == "compiled":
            return "compiled"
        time.sleep(0.05)
    return "native, though it was compiled"


def _compiled(client: Client, version: str) -> tuple[str, str]:
    """Return (state, why) of a version's compilation once it is over; ``none`` where nobody tries."""
    begun = time.monotonic()
    state, message = "none", ""
    while time.monotonic() < begun + _PATIENCE_S:
        found = client.get(f"{version}/compilation")
        state, message = found["state"], (found["verdict"] or {}).get("message", "")
        # It begins after the registration, if at all.
        if state not in {"none", "pending"} or (
            state == "none" and time.monotonic() > begun + _BEGINS_WITHIN_S
        ):
            break
        time.sleep(0.1)
    return state, message
