"""An MLflow server, or anything that speaks its REST API: what it keeps is asked for run by run."""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from urllib.parse import quote

import msgspec

from trimtab.kernel.errors import NotFound, TrimtabError
from trimtab.moving.model import (
    DatasetUse,
    Experiment,
    File,
    Loaded,
    LoggedModelRecord,
    ModelMetric,
    ModelUse,
    Problem,
    RegisteredModel,
    RunRecord,
    Series,
    Status,
    Stub,
    Tell,
    Unreadable,
    Version,
    check_key,
    micros,
    whole,
)
from trimtab.moving.sources.local_files import good_path, local_path
from trimtab.moving.sources.mlflow_http import MlflowHttp
from trimtab.moving.sources.places import owned_source

_PROXY = "mlflow-artifacts:"
_THREADS = 4
_RUNS_AT_ONCE = 1000
_POINTS_AT_ONCE = 25_000
_MOST_FOLDERS = 100_000
_LARGEST = 1.7976931348623157e308  # how servers on a database tell of infinities
_STATUSES: tuple[Status, ...] = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
_MODEL_STATUSES = {"LOGGED_MODEL_READY": "READY", "LOGGED_MODEL_UPLOAD_FAILED": "FAILED"}
Listing = Callable[[str], list[dict[str, Any]]]
Fetch = Callable[[str], Iterator[bytes]]


class MlflowServer:
    """A server at ``http(s)://``; files that it keeps come through it, those in a store of their own stay there."""

    def __init__(self, url: str) -> None:
        self._http = MlflowHttp(url)
        self.origin = self._http.url
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="mlflow-history")

    def experiments(self, tell: Tell, *, deleted: bool) -> Iterator[Experiment]:
        view = "ALL" if deleted else "ACTIVE_ONLY"
        found = self._http.pages(
            "POST", "/experiments/search", "experiments", max_results=1000, view_type=view
        )
        for one in sorted(found, key=lambda one: str(one.get("experiment_id"))):
            try:
                yield Experiment(
                    id=str(one["experiment_id"]),
                    name=str(one["name"]),
                    tags=_texts(one.get("tags")),
                    created_us=micros(one["creation_time"], "creation_time")
                    if one.get("creation_time")
                    else None,
                    updated_us=micros(one["last_update_time"], "last_update_time")
                    if one.get("last_update_time")
                    else None,
                    artifact_location=_kept(str(one.get("artifact_location") or "")),
                    deleted=one.get("lifecycle_stage") == "deleted",
                )
            except (KeyError, Unreadable) as error:
                tell(Problem(f"experiment {one.get('experiment_id')}", f"the server told it wrong: {error}"))

    def runs(self, experiment: Experiment, tell: Tell, *, deleted: bool) -> Iterator[Stub]:
        view = "ALL" if deleted or experiment.deleted else "ACTIVE_ONLY"
        found = self._http.pages(
            "POST",
            "/runs/search",
            "runs",
            experiment_ids=[experiment.id],
            run_view_type=view,
            max_results=_RUNS_AT_ONCE,
            order_by=["attributes.start_time ASC"],
        )
        for one in found:
            info = one.get("info") or {}
            run_id = str(info.get("run_id") or info.get("run_uuid") or "")
            if not run_id:
                tell(Problem(f"experiment {experiment.id}", "the server told a run without an id"))
                continue
            mark = hashlib.blake2b(
                msgspec.json.encode(one, order="deterministic"), digest_size=16
            ).hexdigest()
            metrics = (one.get("data") or {}).get("metrics") or []
            gone = info.get("lifecycle_stage") == "deleted"
            yield Stub(run_id, f"told:{mark}", deleted=gone, points=len(metrics), place=one)

    def load(self, _experiment: Experiment, stubs: Sequence[Stub], tell: Tell) -> Iterator[Loaded]:
        for stub in stubs:
            try:
                yield self._run(stub, tell)
            except (KeyError, Unreadable) as error:
                tell(Problem(f"run {stub.id}", f"the server told it wrong: {error}"))

    def _run(self, stub: Stub, tell: Tell) -> Loaded:
        info: dict[str, Any] = stub.place["info"]
        data: dict[str, Any] = stub.place.get("data") or {}
        tags = _texts(data.get("tags"))
        keys = [str(one["key"]) for one in data.get("metrics") or ()]
        keys = [key for key in keys if check_key(key, f"run {stub.id}", tell)]
        params = {
            key: value
            for key, value in _texts(data.get("params")).items()
            if check_key(key, f"run {stub.id}", tell)
        }
        uri = str(info.get("artifact_uri") or "")
        series = list(self._pool.map(partial(self._history, stub.id), keys))
        inputs = stub.place.get("inputs") or {}
        outputs = stub.place.get("outputs") or {}
        status = info.get("status")
        record = RunRecord(
            id=stub.id,
            name=str(info.get("run_name") or tags.get("mlflow.runName") or stub.id[:8]),
            status=status if status in _STATUSES else "RUNNING",
            started_us=micros(info.get("start_time") or 0, "start_time"),
            ended_us=micros(info["end_time"], "end_time") if info.get("end_time") else None,
            owner=str(info.get("user_id") or "")[:250],
            artifact_uri=_kept(uri),
            params=params,
            tags=tags,
            metrics=series,
            datasets=[_dataset(one) for one in inputs.get("dataset_inputs") or ()],
            model_inputs=[str(one["model_id"]) for one in inputs.get("model_inputs") or ()],
            model_outputs=[
                ModelUse(str(one["model_id"]), whole(one.get("step") or 0, "step"))
                for one in outputs.get("model_outputs") or ()
            ],
        )

        def listing(path: str) -> list[dict[str, Any]]:
            return list(
                self._http.pages("GET", "/artifacts/list", "files", run_id=stub.id, path=path or None)
            )

        def fetch(path: str) -> Iterator[bytes]:
            if uri.startswith(_PROXY):
                return self._proxied(uri, path)
            return self._http.stream("/get-artifact", run_uuid=stub.id, path=path)

        return Loaded(
            stub, record, lambda: iter(()) if record.artifact_uri else _files(listing, fetch, stub.id, tell)
        )

    def _history(self, run_id: str, key: str) -> Series:
        series = Series(key)
        asked = {"run_id": run_id, "metric_key": key, "max_results": _POINTS_AT_ONCE}
        for one in self._http.pages("GET", "/metrics/get-history", "metrics", **asked):
            series.at_us.append(micros(one.get("timestamp") or 0, "the time of a point"))
            series.steps.append(whole(one.get("step") or 0, "the step of a point"))
            series.values.append(_value(one.get("value")))
        return series

    def _proxied(self, uri: str, path: str) -> Iterator[bytes]:
        rest = uri.removeprefix(_PROXY)
        root = rest[2:].partition("/")[2] if rest.startswith("//") else rest
        place = quote(f"{root.strip('/')}/{path}")
        return self._http.stream(f"/api/2.0/mlflow-artifacts/artifacts/{place}")

    def logged_models(self, experiment: Experiment, _tell: Tell, *, deleted: bool) -> Iterator[Stub]:
        del deleted  # the API tells of none in the trash
        asked = {"experiment_ids": [experiment.id], "max_results": 50}
        try:
            for one in self._http.pages("POST", "/logged-models/search", "models", **asked):
                model_id = str((one.get("info") or {}).get("model_id"))
                mark = hashlib.blake2b(
                    msgspec.json.encode(one, order="deterministic"), digest_size=16
                ).hexdigest()
                yield Stub(model_id, f"told:{mark}", place=one)
        except NotFound:
            return  # a server of before MLflow 3

    def load_models(self, stubs: Sequence[Stub], tell: Tell) -> Iterator[Loaded]:
        for stub in stubs:
            try:
                yield self._model(stub, tell)
            except (KeyError, Unreadable) as error:
                tell(Problem(f"logged model {stub.id}", f"the server told it wrong: {error}"))

    def _model(self, stub: Stub, tell: Tell) -> Loaded:
        info: dict[str, Any] = stub.place["info"]
        data: dict[str, Any] = stub.place.get("data") or {}
        uri = str(info.get("artifact_uri") or "")
        record = LoggedModelRecord(
            id=stub.id,
            name=str(info["name"]),
            status=_MODEL_STATUSES.get(str(info.get("status")), "PENDING"),
            created_us=micros(info.get("creation_timestamp_ms") or 0, "creation_timestamp_ms"),
            updated_us=micros(info.get("last_updated_timestamp_ms") or 0, "last_updated_timestamp_ms"),
            model_type=info.get("model_type") or None,
            source_run_id=info.get("source_run_id") or None,
            artifact_uri=_kept(uri),
            params=_texts(data.get("params")),
            tags=_texts(info.get("tags")),
            metrics=[
                ModelMetric(
                    str(one["key"]),
                    _value(one.get("value")),
                    micros(one.get("timestamp") or 0, "the time of a point"),
                    whole(one.get("step") or 0, "the step of a point"),
                    str(one.get("run_id") or ""),
                    str(one.get("dataset_name") or ""),
                    str(one.get("dataset_digest") or ""),
                )
                for one in data.get("metrics") or ()
            ],
        )
        base = f"/logged-models/{stub.id}/artifacts"

        def listing(path: str) -> list[dict[str, Any]]:
            asked = {"artifact_directory_path": path or None}
            return list(self._http.pages("GET", f"{base}/directories", "files", **asked))

        def fetch(path: str) -> Iterator[bytes]:
            if uri.startswith(_PROXY):
                return self._proxied(uri, path)
            return self._http.stream(f"/ajax-api/2.0/mlflow{base}/files", artifact_file_path=path)

        return Loaded(
            stub, record, lambda: iter(()) if record.artifact_uri else _files(listing, fetch, stub.id, tell)
        )

    def registered_models(self, tell: Tell) -> Iterator[RegisteredModel]:
        for one in self._http.pages("GET", "/registered-models/search", "registered_models", max_results=100):
            name = str(one.get("name"))
            try:
                yield self._registered(name)
            except (KeyError, Unreadable) as error:
                tell(Problem(f"model {name!r}", f"the server told it wrong: {error}"))

    def _registered(self, name: str) -> RegisteredModel:
        model = self._http.get("/registered-models/get", name=name)["registered_model"]
        quote_ = '"' if "'" in name else "'"
        asked = {"filter": f"name = {quote_}{name}{quote_}", "max_results": 1000}
        found = self._http.pages("GET", "/model-versions/search", "model_versions", **asked)
        versions = [
            Version(
                version=whole(one["version"], "the version"),
                source=owned_source(str(one.get("source") or ""), self._location(name, str(one["version"]))),
                created_us=micros(one.get("creation_timestamp") or 0, "creation_timestamp"),
                updated_us=micros(one.get("last_updated_timestamp") or 0, "last_updated_timestamp"),
                stage=str(one.get("current_stage") or "None"),
                description=str(one.get("description") or ""),
                run_id=one.get("run_id") or None,
                run_link=one.get("run_link") or None,
                tags=_texts(one.get("tags")),
            )
            for one in found
            if one.get("name") == name
        ]
        return RegisteredModel(
            name=name,
            description=str(model.get("description") or ""),
            created_us=micros(model.get("creation_timestamp") or 0, "creation_timestamp"),
            updated_us=micros(model.get("last_updated_timestamp") or 0, "last_updated_timestamp"),
            tags=_texts(model.get("tags")),
            aliases={
                str(one["alias"]): whole(one["version"], "the version") for one in model.get("aliases") or ()
            },
            versions=sorted(versions, key=lambda one: one.version),
        )

    def _location(self, name: str, version: str) -> str:
        try:
            found = self._http.get("/model-versions/get-download-uri", name=name, version=version)
        except TrimtabError:
            return ""
        return str(found.get("artifact_uri") or "")

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._http.close()


def _files(listing: Listing, fetch: Fetch, owner: str, tell: Tell) -> Iterator[File]:
    """Yield the files below a folder of artifacts; what a server names is believed only where it is a plain path."""
    waiting, seen = [""], 0
    while waiting:
        folder = waiting.pop()
        seen += 1
        if seen > _MOST_FOLDERS:
            tell(Problem(owner, f"it has more than {_MOST_FOLDERS} folders of files"))
            return
        for one in listing(folder):
            path = str(one.get("path") or "")
            if not good_path(path) or (folder and not path.startswith(f"{folder}/")):
                tell(
                    Problem(f"{owner}: {path[:200]}", "the server named a file that is not below its folder")
                )
            elif one.get("is_dir"):
                waiting.append(path)
            else:
                size = whole(one.get("file_size") or 0, "file_size")
                yield File(path, size, pieces=lambda path=path: fetch(path))


def _value(told: Any) -> float:
    number = float(told or 0.0)
    return math.copysign(math.inf, number) if abs(number) >= _LARGEST else number


def _texts(pairs: Any) -> dict[str, str]:
    return {str(one["key"]): str(one.get("value") or "") for one in pairs or ()}


def _dataset(one: dict[str, Any]) -> DatasetUse:
    inner = one["dataset"]
    return DatasetUse(
        name=str(inner.get("name") or ""),
        digest=str(inner.get("digest") or ""),
        source_type=str(inner.get("source_type") or ""),
        source=str(inner.get("source") or ""),
        schema=inner.get("schema"),
        profile=inner.get("profile"),
        tags=_texts(one.get("tags")),
    )


def _kept(uri: str) -> str | None:
    """Return a location where it is a store that clients reach themselves; what a server keeps comes through it."""
    return None if not uri or uri.startswith(_PROXY) or local_path(uri) is not None else uri
