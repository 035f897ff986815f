"""``trimtab.models``: log models in safe formats, register versions, move aliases, and load models back."""

import builtins
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from trimtab.kernel import refs
from trimtab.kernel.errors import Invalid
from trimtab.sdk import model_files, model_loading
from trimtab.sdk import model_transfer as transfer
from trimtab.sdk.client import Client, connect
from trimtab.sdk.model_records import AliasMove, Estimate, Model, ModelVersion
from trimtab.sdk.pipelines import current, note_input, note_moving, note_output
from trimtab.sdk.runs import Run
from trimtab.sdk.signatures import Signature, infer

__all__ = [
    "AliasMove",
    "Estimate",
    "LoggedModel",
    "Model",
    "ModelVersion",
    "Signature",
    "compare",
    "download",
    "evaluate",
    "get",
    "history",
    "infer_signature",
    "list",
    "load",
    "log",
    "record_metrics",
    "register",
    "set_alias",
    "versions",
]

Predict = Literal["predict", "predict_proba_1", "predict_proba"]

infer_signature = infer

_MLFLOW = "/api/2.0/mlflow"


class LoggedModel(msgspec.Struct, frozen=True):
    """A model whose files are on the server; ``version`` is the registered one where that was asked for."""

    id: str
    name: str
    run_id: str | None
    signature: Signature | None
    version: ModelVersion | None = None

    @property
    def uri(self) -> str:
        return f"models:/{self.id}"


def log(
    model: Any,
    *,
    run: Any = None,
    name: str | None = None,
    register: str | None = None,
    signature: Any = None,
    input_example: Any = None,
    predict: Predict = "predict",
    metadata: Mapping[str, Any] | None = None,
    description: str = "",
    tags: Mapping[str, str] | None = None,
    experiment_id: str | None = None,
    allow_pickle: bool = False,
    client: Client | None = None,
) -> LoggedModel:
    """Store a fitted model on the server and, with ``register``, make it the next version of a registered model.

    Takes scikit-learn estimators and pipelines (kept as skops), XGBoost and LightGBM models (in their own formats) and
    ONNX graphs (``bytes``). ``run`` is the run that made it: its id, or an object of ours or of MLflow's.
    ``signature`` is a sample of the inputs, a pair of samples (inputs, outputs), or a Signature; with
    ``input_example`` it is read from that and from the model's answer. ``predict`` says what is served:
    ``predict_proba_1`` is the probability of class 1. ``description`` and ``tags`` go to the version. A model that
    needs a pickle is refused unless ``allow_pickle``. Raises Invalid.
    """
    connection = client or connect()
    run_id = _run_id(run)
    chosen = name or register or "model"
    signed = _signature(signature)
    running = current()
    with tempfile.TemporaryDirectory(prefix="trimtab-model-") as scratch:
        folder = Path(scratch)
        # Everything that can be wrong with the model shows before the server hears of it.
        made: dict[str, Any] = {
            "name": chosen,
            "run_id": run_id,
            "signature": signed,
            "input_example": input_example,
            "predict": predict,
            "metadata": dict(metadata or {}),
            "allow_pickle": allow_pickle,
        }
        signed = model_files.write(model, folder, **made)
        experiment = experiment_id or (_experiment_of(connection, run_id) if run_id else "0")
        created = connection.post(
            f"{_MLFLOW}/logged-models",
            {
                "experiment_id": experiment,
                "name": chosen.replace("/", "_").replace(":", "_").replace(".", "_"),
                "source_run_id": run_id,
                "tags": [
                    {"key": key, "value": value} for key, value in (running.tags if running else {}).items()
                ],
            },
        )["model"]["info"]
        model_id: str = created["model_id"]
        model_files.set_id(folder, model_id)
        try:
            transfer.upload(connection, folder, transfer.prefix_of(created["artifact_uri"]))
        except BaseException:
            _finalize(connection, model_id, "LOGGED_MODEL_UPLOAD_FAILED")
            raise
    _finalize(connection, model_id, "LOGGED_MODEL_READY")
    if run_id:
        connection.post(
            f"{_MLFLOW}/runs/outputs", {"run_id": run_id, "models": [{"model_id": model_id, "step": 0}]}
        )
    note_output(refs.make("logged-model", model_id))
    logged = LoggedModel(model_id, chosen, run_id, signed)
    if register is None:
        return logged
    version = _register(connection, logged.uri, register, description=description, tags=tags or {})
    return msgspec.structs.replace(logged, version=version)


def register(
    uri: str,
    name: str,
    *,
    description: str = "",
    tags: Mapping[str, str] | None = None,
    client: Client | None = None,
) -> ModelVersion:
    """Make the next version of a registered model, which is created where it is new.

    ``uri`` is ``models:/m-<id>`` of a logged model, ``runs:/<run>/<path>``, or another version. Raises Invalid.
    """
    return _register(client or connect(), uri, name, description=description, tags=tags or {})


def get(uri: str, *, client: Client | None = None) -> ModelVersion:
    """Return a version by ``models:/NAME/3``, ``NAME/3``, ``NAME@alias`` or ``NAME``, which means the newest.

    Raises NotFound with the nearest name.
    """
    return _get(client or connect(), uri)


def list(*, filter: str = "", client: Client | None = None) -> "Sequence[Model]":  # noqa: A001, A002 (trimtab.models.list)
    """Return the registered models by name; the filter is MLflow's (``name LIKE 'fl%' AND tags.team = 'ops'``)."""
    return msgspec.convert(
        [*(client or connect()).items("/models", filter=filter or None, limit=1000)], tuple[Model, ...]
    )


def versions(name: str, *, client: Client | None = None) -> Sequence[ModelVersion]:
    """Return the versions of a model, the newest first; raises NotFound."""
    found = (client or connect()).items(f"/models/{quote(name, safe='')}/versions", limit=1000)
    return msgspec.convert([*found], tuple[ModelVersion, ...])


def set_alias(
    name: str,
    alias: str,
    version: int | ModelVersion,
    *,
    reason: str = "",
    evidence: Any = None,
    client: Client | None = None,
) -> ModelVersion:
    """Point an alias to a version; the reason and the evidence (JSON) are kept in its history. Raises NotFound."""
    number = version.version if isinstance(version, ModelVersion) else version
    moved = (client or connect()).put(
        f"/models/{quote(name, safe='')}/aliases/{quote(alias, safe='')}",
        {"version": number, "reason": reason, "evidence": evidence},
    )
    return msgspec.convert(moved, ModelVersion)


def record_metrics(
    uri: str,
    metrics: Mapping[str, Any],
    *,
    rows: int | None = None,
    data: str = "",
    method: str = "",
    level: float = 0.95,
    client: Client | None = None,
) -> Sequence[Estimate]:
    """Keep metrics of a version: numbers, or triples (estimate, low, high) with the ends of the interval.

    ``rows`` says on how many rows they were estimated, ``data`` on which (``data:NAME@VERSION``), ``method`` how the
    intervals were made. Returns all that are kept of the version. Raises NotFound and Invalid.
    """
    connection = client or connect()
    given: builtins.list[dict[str, Any]] = []
    for key, value in metrics.items():
        estimate, low, high = value if isinstance(value, tuple) else (value, None, None)
        given.append(
            {
                "key": key,
                "estimate": float(estimate),
                "low": None if low is None else float(low),
                "high": None if high is None else float(high),
                "level": level,
                "method": method,
                "rows": rows,
                "data": data,
            }
        )
    found = _get(connection, uri)
    kept = connection.post(f"{_version_path(found)}/metrics", {"metrics": given})
    return msgspec.convert(kept["items"], tuple[Estimate, ...])


def evaluate(
    uri: str,
    truth: Any,
    predicted: Any,
    *,
    task: Literal["classification", "regression"] = "classification",
    data: str = "",
    client: Client | None = None,
) -> str:
    """Have the server compute metrics with intervals from what was true and what a version said; return the job's id.

    The truths of a classification are 0 and 1, its predictions probabilities of 1. Raises NotFound and Invalid.
    """
    connection = client or connect()
    rows = {"task": task, "truth": _floats(truth), "predicted": _floats(predicted), "data": data}
    return connection.post(f"{_version_path(_get(connection, uri))}/evaluations", rows)["job"]


def compare(name: str, versions: Sequence[int], *, client: Client | None = None) -> dict[str, Any]:
    """Return versions side by side: rows of metrics, params, signature, data, environment and facts, each with a value
    for each version and whether they differ. Raises NotFound and Invalid.
    """
    numbers = ",".join(str(one) for one in versions)
    return (client or connect()).get(f"/models/{quote(name, safe='')}/compare", versions=numbers)


def _version_path(version: ModelVersion) -> str:
    return f"/models/{quote(version.name, safe='')}/versions/{version.version}"


def _floats(values: Any) -> "builtins.list[float]":
    return [float(value) for value in (values.tolist() if hasattr(values, "tolist") else values)]


def history(name: str, *, client: Client | None = None) -> Sequence[AliasMove]:
    """Return who moved which alias when and why, newest first; raises NotFound."""
    moves = (client or connect()).items(f"/models/{quote(name, safe='')}/aliases/history", limit=1000)
    return msgspec.convert([*moves], tuple[AliasMove, ...])


def download(uri: str, folder: str | os.PathLike[str], *, client: Client | None = None) -> Path:
    """Write a model's files to a new or empty folder, each compared with its digest, and return the folder.

    ``uri`` is a version as in ``get``, or ``models:/m-<id>`` of a logged model, whose files have no digests yet.
    """
    connection = client or connect()
    target = Path(folder)
    if target.exists() and any(target.iterdir()):
        raise Invalid(f"{target} is not empty.", field="folder")
    with transfer.arriving(target) as incoming:
        if _is_logged(uri):
            transfer.download_artifacts(connection, _logged_prefix(connection, uri), incoming)
        else:
            found = _get(connection, uri)
            transfer.download_version(connection, found.name, found.version, found.digest, incoming)
    return target


def cached(version: ModelVersion, *, client: Client | None = None) -> Path:
    """Return a folder of this user's cache with exactly a version's files, compared with its digest each time."""
    return transfer.cached(client or connect(), version.name, version.version, version.digest)


def load(uri: str, *, allow_pickle: bool = False, client: Client | None = None) -> Any:
    """Return the model itself, ready to predict, from a version (as in ``get``) or a logged model.

    A version's files are kept in a cache and compared with its digest each time. In a pipeline step the version
    becomes an input of the run. Raises NotFound, and Invalid for pickles and types that are not trusted.
    """
    connection = client or connect()
    if _is_logged(uri):
        with tempfile.TemporaryDirectory(prefix="trimtab-model-") as scratch:
            folder = download(uri, Path(scratch) / "model", client=connection)
            return model_loading.load(folder, allow_pickle=allow_pickle)
    version = _get(connection, uri)
    note_input(version.ref)
    folder = transfer.cached(connection, version.name, version.version, version.digest)
    return model_loading.load(folder, allow_pickle=allow_pickle)


def _register(
    connection: Client, uri: str, name: str, *, description: str, tags: Mapping[str, str]
) -> ModelVersion:
    made = connection.post(
        f"/models/{quote(name, safe='')}/versions",
        {"source": uri, "description": description, "tags": dict(tags), "create_model": True},
    )
    version = msgspec.convert(made, ModelVersion)
    note_output(version.ref)
    return version


def _get(connection: Client, uri: str) -> ModelVersion:
    rest = uri.removeprefix("models:/")
    name, slash, suffix = rest.rpartition("/")
    if slash and suffix.isascii() and suffix.isdigit():
        found = connection.get(f"/models/{quote(name, safe='')}/versions/{suffix}")
    else:
        name, at, alias = (name, "@", suffix) if slash else rest.rpartition("@")
        if not at:
            name, alias = rest, "latest"
        if not name or not alias:
            raise Invalid(f"{uri[:200]!r} is not models:/NAME/VERSION or models:/NAME@ALIAS.", field="uri")
        note_moving(f"model:{name}@{alias}")
        found = connection.get(f"/models/{quote(name, safe='')}/aliases/{quote(alias, safe='')}")
    return msgspec.convert(found, ModelVersion)


def _run_id(run: Any) -> str | None:
    """Return the id of a run given as text, as one of our objects or as one of MLflow's."""
    if run is None or isinstance(run, str):
        return run
    if isinstance(run, Run):
        run.flush()  # the server shall know it
    found = getattr(getattr(run, "info", None), "run_id", None) or getattr(run, "id", None)
    if not isinstance(found, str):
        raise Invalid(f"A {type(run).__name__} is no run: give its id.", field="run")
    return found


def _signature(given: Any) -> Signature | None:
    if given is None or isinstance(given, Signature):
        return given
    if hasattr(given, "to_dict") and type(given).__module__.startswith("mlflow"):
        parts = given.to_dict()
        return Signature(
            msgspec.json.decode(parts["inputs"]) if parts.get("inputs") else [],
            msgspec.json.decode(parts["outputs"]) if parts.get("outputs") else None,
        )
    if isinstance(given, tuple) and len(given) == 2:
        return infer(given[0], given[1])
    return infer(given)


def _experiment_of(connection: Client, run_id: str) -> str:
    return connection.get(f"{_MLFLOW}/runs/get", run_id=run_id)["run"]["info"]["experiment_id"]


def _finalize(connection: Client, model_id: str, status: str) -> None:
    connection.patch(f"{_MLFLOW}/logged-models/{model_id}", {"model_id": model_id, "status": status})


def _is_logged(uri: str) -> bool:
    rest = uri.removeprefix("models:/")
    return rest != uri and rest.startswith("m-") and len(rest) == 34 and "/" not in rest and "@" not in rest


def _logged_prefix(connection: Client, uri: str) -> str:
    found = connection.get(f"{_MLFLOW}/logged-models/{quote(uri.removeprefix('models:/'))}")
    return transfer.prefix_of(found["model"]["info"]["artifact_uri"])
