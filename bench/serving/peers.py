"""The peers: how each environment is made, how each serves a model, and what its requests and answers look like."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from serving import models
from serving.load import Target, free_ports

APPS = Path(__file__).parent / "apps"
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "BENTOML_DO_NOT_TRACK": "True",
    "RAY_USAGE_STATS_ENABLED": "0",
    "DO_NOT_TRACK": "1",
    "GIT_PYTHON_REFRESH": "quiet",
}

Body = Callable[[np.ndarray], bytes]
Read = Callable[[bytes], list[float]]


class Peer(msgspec.Struct, frozen=True):
    """One way to serve: ``environment`` names the folder of ``--peers``, ``start`` gives a command for a port.

    ``prepare`` writes what has to be there before, which is not timed. ``variant`` are further BENCH_* variables.
    """

    title: str
    environment: str
    start: Callable[["Place"], list[str]]
    path: str
    body: Body
    read: Read
    prepare: tuple[str, ...] = ()
    variant: dict[str, str] = {}
    kinds: tuple[str, ...] = models.KINDS
    limit: bool = False


class Place(msgspec.Struct, frozen=True):
    """Where one peer serves one model: its interpreter, the models, a folder of its own, a port."""

    python: Path
    models: Path
    scratch: Path
    port: int
    kind: str

    def program(self, name: str) -> str:
        return str(self.python.parent / name)


def rows_body(rows: np.ndarray) -> bytes:
    """``{"rows": [[...], ...]}``, as one writes it by hand."""
    return json.dumps({"rows": rows.tolist()}).encode()


def tensor_body(output: str) -> Body:
    """Return a maker of Open Inference v2 requests with one tensor for all columns."""

    def body(rows: np.ndarray) -> bytes:
        tensor = {
            "name": "rows",
            "shape": list(rows.shape),
            "datatype": "FP64",
            "data": rows.ravel().tolist(),
        }
        return json.dumps({"inputs": [tensor], "outputs": [{"name": output}]}).encode()

    return body


def split_body(rows: np.ndarray) -> bytes:
    """MLflow's ``dataframe_split``."""
    return json.dumps({"dataframe_split": {"columns": models.COLUMNS, "data": rows.tolist()}}).encode()


def read_predictions(answer: bytes) -> list[float]:
    """Read ``{"predictions": [...]}``; where there are two columns, the second is the chance."""
    return _second(json.loads(answer)["predictions"])


def read_tensor(answer: bytes) -> list[float]:
    """Read the first output of an Open Inference v2 answer."""
    (output, *_) = json.loads(answer)["outputs"]
    values: list[float] = output["data"]
    return values[1::2] if len(output["shape"]) == 2 and output["shape"][1] == 2 else values


def _second(found: list[Any]) -> list[float]:
    return [row[1] for row in found] if found and isinstance(found[0], list) else found


def _script(name: str) -> Callable[[Place], list[str]]:
    return lambda place: [str(place.python), str(APPS / name)]


def _bento(place: Place) -> list[str]:
    where = ["--host", "127.0.0.1", "--port", str(place.port)]
    return [place.program("bentoml"), "serve", "bentoml_app:Flights", *where, "--working-dir", str(APPS)]


def _mlflow(place: Place) -> list[str]:
    where = ["-h", "127.0.0.1", "-p", str(place.port), "--workers", "1"]
    return [
        place.program("mlflow"),
        "models",
        "serve",
        "-m",
        str(place.scratch / "model"),
        "--env-manager",
        "local",
        *where,
    ]


def _mlserver(place: Place) -> list[str]:
    return [place.program("mlserver"), "start", str(place.scratch / "model")]


_BATCHING = {"BENCH_BATCHING": "1"}
_ONNX = {"BENCH_ONNX": "1"}
_GRAPHS = ("logistic", "xgboost", "forest")
_V2 = "/v2/models/flights/infer"

PEERS: dict[str, Peer] = {
    "mlserver": Peer(
        "MLServer",
        "mlserver",
        _mlserver,
        _V2,
        tensor_body("predict_proba"),
        read_tensor,
        prepare=("mlserver_app.py",),
    ),
    "mlserver-batching": Peer(
        "MLServer, batching",
        "mlserver",
        _mlserver,
        _V2,
        tensor_body("predict_proba"),
        read_tensor,
        prepare=("mlserver_app.py",),
        variant=_BATCHING,
    ),
    "bentoml": Peer("BentoML", "bentoml", _bento, "/predict", rows_body, json.loads),
    "bentoml-batching": Peer(
        "BentoML, batching",
        "bentoml",
        _bento,
        "/predict",
        rows_body,
        json.loads,
        variant=_BATCHING,
    ),
    "litserve": Peer(
        "LitServe", "litserve", _script("litserve_app.py"), "/predict", rows_body, read_predictions
    ),
    "litserve-batching": Peer(
        "LitServe, batching",
        "litserve",
        _script("litserve_app.py"),
        "/predict",
        rows_body,
        read_predictions,
        variant=_BATCHING,
    ),
    "ray": Peer("Ray Serve", "ray", _script("ray_app.py"), "/", rows_body, read_predictions),
    "ray-batching": Peer(
        "Ray Serve, batching",
        "ray",
        _script("ray_app.py"),
        "/",
        rows_body,
        read_predictions,
        variant=_BATCHING,
    ),
    "mlflow": Peer(
        "MLflow", "mlflow", _mlflow, "/invocations", split_body, read_predictions, prepare=("mlflow_app.py",)
    ),
    "fastapi": Peer(
        "FastAPI by hand", "fastapi", _script("fastapi_app.py"), "/predict", rows_body, read_predictions
    ),
    "fastapi-onnx": Peer(
        "FastAPI by hand, ONNX",
        "fastapi",
        _script("fastapi_app.py"),
        "/predict",
        rows_body,
        read_predictions,
        prepare=("convert.py",),
        variant=_ONNX,
        kinds=_GRAPHS,
    ),
    "granian-onnx": Peer(
        "granian RSGI by hand, ONNX",
        "fastapi",
        _script("granian_app.py"),
        "/predict",
        rows_body,
        read_predictions,
        prepare=("convert.py",),
        kinds=_GRAPHS,
        limit=True,
    ),
}
"""By the names of ``--only``."""

_RECIPES: dict[str, tuple[str, ...]] = {
    "mlserver": ("mlserver", "mlserver-sklearn", "mlserver-xgboost", "uvloop<0.22"),  # its workers need it
    "bentoml": ("bentoml",),
    "litserve": ("litserve",),
    "ray": ("ray[serve]",),
    "mlflow": ("mlflow==3.17.2",),
    "fastapi": (
        "fastapi",
        "uvicorn[standard]",
        "granian",
        "msgspec",
        "onnxruntime",
        "skl2onnx",
        "onnxmltools",
    ),
}


def recipe(folder: Path) -> str:
    """Return the commands that make the environments, with the model libraries that ours has."""
    from importlib.metadata import version

    same = f"scikit-learn=={version('scikit-learn')} xgboost=={version('xgboost')} joblib"
    lines: list[str] = []
    for name, packages in _RECIPES.items():
        lines.append(f"python -m venv {folder / name}")
        lines.append(
            f"{folder / name / 'bin' / 'pip'} install {' '.join(repr(one) for one in packages)} {same}"
        )
    return "\n".join(lines)


def place_of(peer: Peer, kind: str, *, peers: Path, models_folder: Path, scratch: Path) -> Place | None:
    """Return where a peer can serve a model, or None where its environment is not there."""
    python = peers / peer.environment / "bin" / "python"
    if not python.exists():
        return None
    scratch.mkdir(parents=True)
    return Place(python, models_folder, scratch, free_ports(4), kind)


def environment(peer: Peer, place: Place) -> dict[str, str]:
    """Return the variables that a peer's programs read."""
    return {
        **_ONE_THREAD,
        **_QUIET,
        "BENCH_KIND": place.kind,
        "BENCH_FOLDER": str(place.models),
        "BENCH_PORT": str(place.port),
        "BENCH_TARGET": str(place.scratch / "model"),
        "BENCH_COLUMNS": ",".join(models.COLUMNS),
        "BENTOML_HOME": str(place.scratch / "bentoml"),
        "PYTHONPATH": f"{APPS}",
        "PATH": f"{place.python.parent}{os.pathsep}{os.environ['PATH']}",
        **peer.variant,
    }


def lay_out(peer: Peer, place: Place) -> None:
    """Write what the peer needs before it is started."""
    for name in peer.prepare:
        if name == "convert.py" and (place.models / place.kind / "model.onnx").exists():
            continue
        command = [str(place.python), str(APPS / name)]
        ran = subprocess.run(
            command,
            env={**os.environ, **environment(peer, place)},
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode:
            raise RuntimeError(f"{name}: {ran.stderr[-1500:]}")


def target(peer: Peer, place: Place, rows: np.ndarray, *, each: int) -> Target:
    """Return requests of so many rows each: 256 different ones of one row, eight of a thousand."""
    count = min(256, len(rows) // each)
    bodies = [peer.body(rows[at * each : (at + 1) * each]) for at in range(count)]
    return Target(place.port, peer.path, {"Content-Type": "application/json"}, bodies, each)
