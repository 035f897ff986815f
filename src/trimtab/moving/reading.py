"""Reads runs from a server to take them out: the run whole, its points page by page, its files piece by piece."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import msgspec

from trimtab.moving.model import File, LoggedModelRecord, RunRecord, Series, heard
from trimtab.sdk.client import Client

_POINTS_AT_ONCE = 100_000
_PROXY = "mlflow-artifacts:"


class HeldRun(msgspec.Struct):
    """A run on the server: ``record`` without points, and the names of its metrics."""

    record: RunRecord
    keys: list[str]
    state: str


class Runs:
    """The runs of one server."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._experiments: dict[str, dict[str, Any]] = {}

    def ids(self, experiment: str) -> list[str]:
        """Return the ids of an experiment's runs, oldest first; the experiment is a name or an id."""
        if not experiment.isdigit():
            mark = '"' if "'" in experiment else "'"
            found = self._client.get("/experiments", filter=f"name = {mark}{experiment}{mark}", limit=1)[
                "items"
            ]
            experiment = found[0]["id"] if found else experiment
        self._client.get(f"/experiments/{experiment}")
        return [one["id"] for one in self._client.items("/runs", experiment_id=experiment, limit=1000)][::-1]

    def get(self, run_id: str) -> HeldRun:
        """Return a run; raises RunNotFound."""
        told = self._client.get(f"/runs/{quote(run_id)}/record")
        return HeldRun(msgspec.convert(told, RunRecord), told["keys"], told["state"])

    def experiment(self, experiment_id: str) -> dict[str, Any]:
        if experiment_id not in self._experiments:
            self._experiments[experiment_id] = self._client.get(f"/experiments/{experiment_id}")
        return self._experiments[experiment_id]

    def points(self, run_id: str, key: str) -> Iterator[Series]:
        """Yield a metric's points in the order of time, a page at once."""
        cursor = None
        while True:
            path = f"/runs/{run_id}/history/{quote(key)}"
            page = self._client.get(path, limit=_POINTS_AT_ONCE, cursor=cursor)
            series = msgspec.convert(page["series"], Series)
            series.values = heard(series.values)
            yield series
            cursor = page["next_cursor"]
            if not cursor:
                return

    def files(self, run: RunRecord) -> Iterator[File]:
        """Yield the files of a run that the server keeps."""
        if run.artifact_uri and run.artifact_uri.startswith(_PROXY):
            yield from self._below(run.artifact_uri)

    def model(self, model_id: str) -> LoggedModelRecord:
        """Return a logged model; raises LoggedModelNotFound."""
        told = self._client.get(f"/logged-models/{quote(model_id)}/record")
        return msgspec.convert(told, LoggedModelRecord)

    def model_files(self, model: LoggedModelRecord) -> Iterator[File]:
        """Yield the files of a logged model that the server keeps."""
        if model.artifact_uri and model.artifact_uri.startswith(_PROXY):
            yield from self._below(model.artifact_uri)

    def _below(self, uri: str) -> Iterator[File]:
        root = uri.removeprefix(_PROXY).strip("/")
        waiting = [""]
        while waiting:
            folder = waiting.pop()
            place = f"{root}/{folder}" if folder else root
            listed = self._client.get("/api/2.0/mlflow-artifacts/artifacts", path=place)
            for one in listed.get("files") or ():
                path = f"{folder}/{one['path']}" if folder else str(one["path"])
                if one.get("is_dir"):
                    waiting.append(path)
                else:
                    yield File(path, int(one.get("file_size") or 0), pieces=self._pieces(f"{root}/{path}"))

    def _pieces(self, place: str) -> Any:
        return lambda: self._client.download(f"/api/2.0/mlflow-artifacts/artifacts/{quote(place)}")
