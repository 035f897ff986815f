"""Writes runs as MLflow's folder store has them, for MLflow's own clients and UI."""

import hashlib
import math
from pathlib import Path
from typing import Any

from trimtab.kernel.errors import Invalid
from trimtab.moving.model import DatasetUse, ExportReport, LoggedModelRecord, Problem, Unreadable
from trimtab.moving.reading import HeldRun, Runs
from trimtab.moving.sources.local_files import good_path
from trimtab.moving.sources.plain_yaml import read_mapping
from trimtab.moving.targets.files import write_file

_META = "meta.yaml"
_STATUSES = {"RUNNING": 1, "SCHEDULED": 2, "FINISHED": 3, "FAILED": 4, "KILLED": 5}
_MODEL_STATUSES = {"PENDING": 1, "READY": 2, "FAILED": 3}
_SOURCE_LOCAL = 4


class MlflowFolder:
    """A folder ``mlruns``; one that is there already gets the runs beside its own."""

    def __init__(self, runs: Runs, folder: Path, *, files: bool) -> None:
        self._runs = runs
        self._root = folder.resolve()
        self._files = files
        (self._root / ".trash").mkdir(exist_ok=True)
        self._by_name = self._known()

    def write(self, run: HeldRun, report: ExportReport) -> Path:
        """Write a run whole. Times are whole milliseconds there."""
        record = run.record
        place = self._experiment(record.experiment_id)
        folder = place / record.id
        for name in ("metrics", "params", "tags", "artifacts"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        _write_yaml(folder / _META, self._run_meta(run, place.name, folder))
        tags = {"mlflow.runName": record.name, **record.tags}
        for kind, texts in (("params", record.params), ("tags", tags)):
            for key, value in texts.items():
                _write_text(folder / kind, key, value, report)
        for key in run.keys:
            self._metric(folder / "metrics", record.id, key, report)
        for one in record.datasets:
            _write_dataset(place, folder, record.id, one)
        for model_id in record.model_inputs:
            name = hashlib.md5(f"{model_id}{record.id}".encode(), usedforsecurity=False).hexdigest()
            use = _use("MODEL", model_id, "RUN", model_id)
            _write_yaml(folder / "inputs" / name / _META, {**use, "tags": {}})
        for one in record.model_outputs:
            use = _use("RUN_OUTPUT", one.model_id, "MODEL_OUTPUT", one.model_id)
            _write_yaml(folder / "outputs" / one.model_id / _META, {**use, "tags": {}, "step": one.step})
            self._model(place, self._runs.model(one.model_id), report)
        if self._files:
            for file in self._runs.files(record):
                write_file(file, folder / "artifacts", report)
        return folder

    def _known(self) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for folder in self._root.iterdir():
            if (folder / _META).is_file():
                try:
                    found[str(read_mapping(folder / _META).get("name"))] = folder
                except Unreadable as error:
                    raise Invalid(f"{folder / _META}: {error}", field="dest") from error
        return found

    def _experiment(self, experiment_id: str) -> Path:
        experiment = self._runs.experiment(experiment_id)
        name: str = experiment["name"]
        if name in self._by_name:
            return self._by_name[name]
        number = int(experiment_id)
        while (self._root / str(number)).exists():
            number += 1_000_000
        place = self._by_name[name] = self._root / str(number)
        _write_yaml(
            place / _META,
            {
                "artifact_location": place.as_uri(),
                "creation_time": experiment["created_us"] // 1000,
                "experiment_id": str(number),
                "last_update_time": experiment["updated_us"] // 1000,
                "lifecycle_stage": "active",
                "name": name,
            },
        )
        for key, value in experiment["tags"].items():
            if good_path(key):
                _put(place / "tags" / key, value)
        return place

    def _run_meta(self, run: HeldRun, experiment_id: str, folder: Path) -> dict[str, Any]:
        record = run.record
        kept = (
            record.artifact_uri
            if record.artifact_uri and not record.artifact_uri.startswith("mlflow-")
            else None
        )
        return {
            "artifact_uri": kept or (folder / "artifacts").as_uri(),
            "deleted_time": None,
            "end_time": None if record.ended_us is None else record.ended_us // 1000,
            "entry_point_name": "",
            "experiment_id": experiment_id,
            "lifecycle_stage": run.state,
            "run_id": record.id,
            "run_name": record.name,
            "source_name": "",
            "source_type": _SOURCE_LOCAL,
            "source_version": "",
            "start_time": record.started_us // 1000,
            "status": _STATUSES[record.status],
            "tags": [],
            "user_id": record.owner,
        }

    def _metric(self, folder: Path, run_id: str, key: str, report: ExportReport) -> None:
        if not _fits(folder, key, report):
            return
        target = folder / key
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("w", encoding="utf-8") as file:
            for page in self._runs.points(run_id, key):
                rows = zip(page.at_us, page.values, page.steps, strict=True)
                file.writelines(f"{at // 1000} {_number(value)} {step}\n" for at, value, step in rows)
                report.points += len(page.steps)

    def _model(self, place: Path, model: LoggedModelRecord, report: ExportReport) -> None:
        folder = place / "models" / model.id
        for name in ("metrics", "params", "tags"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        kept = (
            model.artifact_uri
            if model.artifact_uri and not model.artifact_uri.startswith("mlflow-")
            else None
        )
        meta = {
            "artifact_location": kept or (folder / "artifacts").as_uri(),
            "creation_timestamp": model.created_us // 1000,
            "experiment_id": place.name,
            "last_updated_timestamp": model.updated_us // 1000,
            "lifecycle_stage": "active",
            "model_id": model.id,
            "model_type": model.model_type,
            "name": model.name,
            "source_run_id": model.source_run_id,
            "status": _MODEL_STATUSES.get(model.status, 1),
            "status_message": None,
        }
        _write_yaml(folder / _META, meta)
        for kind, texts in (("params", model.params), ("tags", model.tags)):
            for key, value in texts.items():
                _write_text(folder / kind, key, value, report)
        lines: dict[str, list[str]] = {}
        for one in model.metrics:
            data = (
                f" {one.dataset_name} {one.dataset_digest}" if one.dataset_name and one.dataset_digest else ""
            )
            line = f"{one.at_us // 1000} {_number(float(one.value))} {one.step} {one.run_id}{data}\n"
            lines.setdefault(one.key, []).append(line)
        for key, texts in lines.items():
            _write_text(folder / "metrics", key, "".join(texts), report)
        if self._files:
            for file in self._runs.model_files(model):
                write_file(file, folder / "artifacts", report)


def _write_dataset(experiment: Path, run: Path, run_id: str, one: DatasetUse) -> None:
    name = hashlib.md5(f"{one.name}{one.digest}".encode(), usedforsecurity=False).hexdigest()
    meta = {
        "digest": one.digest,
        "name": one.name,
        "profile": one.profile,
        "schema": one.schema,
        "source": one.source,
        "source_type": one.source_type,
    }
    _write_yaml(experiment / "datasets" / name / _META, meta)
    use = hashlib.md5(f"{name}{run_id}".encode(), usedforsecurity=False).hexdigest()
    _write_yaml(run / "inputs" / use / _META, {**_use("DATASET", name, "RUN", name), "tags": one.tags})


def _use(source_type: str, source: str, destination_type: str, destination: str) -> dict[str, Any]:
    return {
        "destination_id": destination,
        "destination_type": destination_type,
        "source_id": source,
        "source_type": source_type,
    }


def _number(value: float) -> str:
    if math.isnan(value):
        return "nan"
    return str(value)


def _fits(folder: Path, key: str, report: ExportReport) -> bool:
    """Tell whether a name can be that of a file, beside the names that are there."""
    target = folder / key
    if not good_path(key):
        report.problems.append(Problem(str(folder), f"no file can have the name {key[:100]!r}"))
        return False
    above = [one for one in target.parents if folder in one.parents]
    if target.is_dir() or any(one.is_file() for one in above):
        report.problems.append(Problem(str(target), "the name is that of a file and of a folder"))
        return False
    return True


def _write_text(folder: Path, key: str, value: str, report: ExportReport) -> None:
    if _fits(folder, key, report):
        _put(folder / key, value)


def _put(target: Path, value: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(value.encode())


def _write_yaml(target: Path, content: dict[str, Any]) -> None:
    import yaml

    text = yaml.safe_dump(content, default_flow_style=False, allow_unicode=True, sort_keys=True)
    _put(target, text)
