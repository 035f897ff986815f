"""MLflow's folder store (``mlruns``): a YAML file for each thing, a file for each parameter, tag and metric."""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from trimtab.kernel.errors import NotFound
from trimtab.moving.model import (
    MODEL_STATUSES,
    MOST_TEXT,
    STATUSES,
    DatasetUse,
    Experiment,
    Loaded,
    LoggedModelRecord,
    ModelMetric,
    ModelUse,
    Problem,
    RegisteredModel,
    RunRecord,
    Series,
    Stub,
    Tell,
    Unreadable,
    check_key,
    micros,
    whole,
)
from trimtab.moving.sources import mlflow_registry_folder
from trimtab.moving.sources.places import Places
from trimtab.moving.sources.plain_yaml import read_mapping

_TRASH = ".trash"
_MODELS = "models"
_RESERVED = ("tags", "datasets", "traces", _MODELS)
_META = "meta.yaml"
_LINES = re.compile(rb"(?:\d{1,18} [-+.\w]+ -?\d{1,18}\n)*")
_MOST_METRIC_BYTES = 4 << 30


class NoStore(NotFound):
    """The folder holds no store that can be read."""

    code = "no-store"


class MlflowFolder:
    """A folder that MLflow's file store wrote, or the folder above it."""

    def __init__(self, folder: Path, *, artifacts: Sequence[Path] = ()) -> None:
        root = folder / "mlruns" if (folder / "mlruns").is_dir() else folder
        if not root.is_dir():
            raise NoStore(f"There is no folder {folder}.", field="source")
        known = [
            entry for entry in root.iterdir() if entry.name in (_TRASH, _MODELS) or (entry / _META).is_file()
        ]
        if not known:
            raise NoStore(
                f"{root} holds no experiments of MLflow: no folder in it has a {_META}.", field="source"
            )
        self._root = root
        self._places = Places([root, *artifacts], proxied=artifacts[0] if artifacts else None)
        self.origin = f"file://{root.resolve()}"

    def experiments(self, tell: Tell, *, deleted: bool) -> Iterator[Experiment]:
        roots = [(self._root, False), *([(self._root / _TRASH, True)] if deleted else [])]
        for parent, trashed in roots:
            for folder in _folders(parent):
                if folder.name in (_TRASH, _MODELS) and not trashed:
                    continue
                found = _told(tell, folder / _META, lambda place=folder: self._experiment(place, tell))
                if found is not None and (deleted or not found.deleted):
                    yield found

    def _experiment(self, folder: Path, tell: Tell) -> Experiment:
        meta = read_mapping(folder / _META)
        return Experiment(
            id=folder.name,
            name=str(meta.get("name") or folder.name),
            tags=_texts(folder / "tags", tell, any_key=True),
            created_us=None
            if meta.get("creation_time") is None
            else micros(meta["creation_time"], "creation_time"),
            updated_us=None
            if meta.get("last_update_time") is None
            else micros(meta["last_update_time"], "last_update_time"),
            artifact_location=self._places.kept(_text(meta.get("artifact_location"))),
            deleted=meta.get("lifecycle_stage") == "deleted",
            place=folder,
        )

    def runs(self, experiment: Experiment, tell: Tell, *, deleted: bool) -> Iterator[Stub]:
        for folder in _folders(experiment.place):
            if folder.name in _RESERVED:
                continue
            meta = _told(tell, folder / _META, lambda place=folder: read_mapping(place / _META))
            if meta is None:
                continue
            gone = meta.get("lifecycle_stage") == "deleted"
            if gone and not (deleted or experiment.deleted):
                continue
            if str(meta.get("run_id") or meta.get("run_uuid")) != folder.name:
                tell(Problem(str(folder / _META), "it names another run than its folder"))
                continue
            mark, size = _fingerprint(folder)
            yield Stub(folder.name, mark, deleted=gone, points=size // 30, place=(folder, meta))

    def load(self, experiment: Experiment, stubs: Sequence[Stub], tell: Tell) -> Iterator[Loaded]:
        for stub in stubs:
            found = _told(tell, stub.place[0] / _META, lambda s=stub: self._run(experiment, s, tell))
            if found is not None:
                yield found

    def _run(self, experiment: Experiment, stub: Stub, tell: Tell) -> Loaded:
        folder, meta = stub.place
        tags = _texts(folder / "tags", tell, any_key=True)
        uri = _text(meta.get("artifact_uri"))
        place = self._places.find(uri, str(folder), tell, own=folder / "artifacts")
        series: list[Series] = []
        for key, file in _tree(folder / "metrics", tell):
            if check_key(key, str(file), tell):
                series.append(read_metric(key, file, tell))
        record = RunRecord(
            id=stub.id,
            name=_text(meta.get("run_name")) or tags.get("mlflow.runName", "") or stub.id[:8],
            status=STATUSES.get(whole(meta.get("status", 1), "status"), "RUNNING"),
            started_us=micros(meta.get("start_time") or 0, "start_time"),
            ended_us=None if meta.get("end_time") is None else micros(meta["end_time"], "end_time"),
            owner=_text(meta.get("user_id"))[:250],
            artifact_uri=place.kept_uri,
            params=_texts(folder / "params", tell),
            tags=tags,
            metrics=series,
            datasets=_datasets(experiment.place, folder, tell),
            model_inputs=[one for kind, one, _ in _uses(folder / "inputs", tell) if kind == "MODEL"],
            model_outputs=[
                ModelUse(one, step)
                for kind, one, step in _uses(folder / "outputs", tell)
                if kind == "RUN_OUTPUT"
            ],
        )
        return Loaded(stub, record, place.files)

    def logged_models(self, experiment: Experiment, tell: Tell, *, deleted: bool) -> Iterator[Stub]:
        for folder in _folders(experiment.place / _MODELS):
            meta = _told(tell, folder / _META, lambda place=folder: read_mapping(place / _META))
            if meta is None:
                continue
            gone = meta.get("lifecycle_stage") == "deleted"
            if not gone or deleted:
                yield Stub(folder.name, _fingerprint(folder)[0], deleted=gone, place=(folder, meta))

    def load_models(self, stubs: Sequence[Stub], tell: Tell) -> Iterator[Loaded]:
        for stub in stubs:
            found = _told(tell, stub.place[0] / _META, lambda s=stub: self._model(s, tell))
            if found is not None:
                yield found

    def _model(self, stub: Stub, tell: Tell) -> Loaded:
        folder, meta = stub.place
        uri = _text(meta.get("artifact_location"))
        place = self._places.find(uri, str(folder), tell, own=folder / "artifacts")
        metrics: list[ModelMetric] = []
        for key, file in _tree(folder / "metrics", tell):
            if check_key(key, str(file), tell):
                metrics += _model_metrics(key, file, tell)
        record = LoggedModelRecord(
            id=stub.id,
            name=str(meta.get("name") or stub.id),
            status=MODEL_STATUSES.get(whole(meta.get("status", 1), "status"), "PENDING"),
            created_us=micros(meta.get("creation_timestamp") or 0, "creation_timestamp"),
            updated_us=micros(meta.get("last_updated_timestamp") or 0, "last_updated_timestamp"),
            model_type=_text(meta.get("model_type")) or None,
            source_run_id=_text(meta.get("source_run_id")) or None,
            artifact_uri=place.kept_uri,
            params=_texts(folder / "params", tell, any_key=True),
            tags=_texts(folder / "tags", tell, any_key=True),
            metrics=metrics,
        )
        return Loaded(stub, record, place.files)

    def registered_models(self, tell: Tell) -> Iterator[RegisteredModel]:
        for folder in _folders(self._root / _MODELS):
            found = _told(
                tell,
                folder / _META,
                lambda place=folder: mlflow_registry_folder.read_model(place, tell, texts=_texts),
            )
            if found is not None:
                yield found

    def close(self) -> None:
        """Nothing stays open."""


def read_metric(key: str, file: Path, tell: Tell) -> Series:
    """Return a metric's points; lines that are none are told with their numbers."""
    series = Series(key)
    try:
        if file.stat().st_size > _MOST_METRIC_BYTES:
            raise Unreadable("the file is too large")
        text = file.read_bytes()
    except (OSError, Unreadable) as error:
        tell(Problem(str(file), f"it cannot be read: {error}"))
        return series
    if text and not text.endswith(b"\n"):
        text += b"\n"
    if _LINES.fullmatch(text):
        try:
            parts = text.split()
            series.at_us = [at * 1000 for at in map(int, parts[0::3])]
            series.values = list(map(float, parts[1::3]))
            series.steps = list(map(int, parts[2::3]))
            return series
        except ValueError:
            series = Series(key)  # said again below, with its line
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            parts = line.decode().split()
            if len(parts) < 2:
                raise Unreadable("it has too few fields")
            at_us, value = micros(parts[0], "the time"), float(parts[1])
            step = whole(parts[2], "the step") if len(parts) > 2 else 0
        except ValueError as error:
            tell(Problem(f"{file}:{number}", f"the line is no point of a metric: {error}"))
            continue
        series.at_us.append(at_us)
        series.values.append(value)
        series.steps.append(step)
    return series


def _model_metrics(key: str, file: Path, tell: Tell) -> Iterator[ModelMetric]:
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        tell(Problem(str(file), f"it cannot be read: {error}"))
        return
    for number, line in enumerate(lines, start=1):
        parts = line.split(" ")
        try:
            if len(parts) < 4:
                raise Unreadable("it has too few fields")
            name, digest = " ".join(parts[4:-1]), parts[-1] if len(parts) > 5 else ""
            yield ModelMetric(
                key,
                float(parts[1]),
                micros(parts[0], "the time"),
                whole(parts[2], "the step"),
                parts[3],
                name,
                digest,
            )
        except ValueError as error:
            tell(Problem(f"{file}:{number}", f"the line is no point of a metric: {error}"))


def _datasets(experiment: Path, run: Path, tell: Tell) -> list[DatasetUse]:
    found: list[DatasetUse] = []
    for folder in _folders(run / "inputs"):
        use = _told(tell, folder / _META, lambda place=folder: read_mapping(place / _META))
        if use is None or use.get("source_type") != "DATASET":
            continue
        name = str(use.get("source_id"))
        meta_file = experiment / "datasets" / name / _META
        if not re.fullmatch(r"[\w-]{1,64}", name):
            tell(Problem(str(folder / _META), f"it names no data set: {name[:100]!r}"))
            continue
        meta = _told(tell, meta_file, lambda place=meta_file: read_mapping(place))
        if meta is None:
            continue
        tags = use.get("tags")
        found.append(
            DatasetUse(
                name=_text(meta.get("name"))[:500],
                digest=_text(meta.get("digest"))[:36],
                source_type=_text(meta.get("source_type")),
                source=_text(meta.get("source")),
                schema=meta["schema"] if isinstance(meta.get("schema"), str) else None,
                profile=meta["profile"] if isinstance(meta.get("profile"), str) else None,
                tags={str(key): str(value) for key, value in tags.items()} if isinstance(tags, dict) else {},
            )
        )
    return found


def _uses(folder: Path, tell: Tell) -> Iterator[tuple[str, str, int]]:
    for place in _folders(folder):
        use = _told(tell, place / _META, lambda one=place: read_mapping(one / _META))
        if use is not None:
            step = use.get("step")
            yield (
                str(use.get("source_type")),
                str(use.get("source_id"))[:250],
                step if isinstance(step, int) else 0,
            )


def _texts(folder: Path, tell: Tell, *, any_key: bool = False) -> dict[str, str]:
    """Return the files of a folder of parameters or tags by their names."""
    found: dict[str, str] = {}
    for key, file in _tree(folder, tell):
        if not any_key and not check_key(key, str(file), tell):
            continue
        try:
            if file.stat().st_size > 4 * MOST_TEXT:
                raise Unreadable("it is longer than a megabyte")
            value = file.read_bytes().decode()
            if len(value) > MOST_TEXT or "\x00" in value:
                raise Unreadable("it is longer than a megabyte, or no text")
        except (OSError, ValueError) as error:
            tell(Problem(str(file), f"it cannot be read: {error}"))
            continue
        found[key] = value
    return found


def _tree(folder: Path, tell: Tell) -> Iterator[tuple[str, Path]]:
    """Yield (path below the folder, file) of each regular file; names of metrics may hold slashes."""
    waiting = [(str(folder), "")]
    while waiting:
        place, prefix = waiting.pop()
        try:
            entries = list(os.scandir(place))
        except FileNotFoundError:
            continue
        except OSError as error:
            tell(Problem(place, f"the folder cannot be read: {error.strerror}"))
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                waiting.append((entry.path, f"{prefix}{entry.name}/"))
            elif entry.is_file(follow_symlinks=False):
                yield f"{prefix}{entry.name}", Path(entry.path)
            else:
                tell(Problem(entry.path, "it is a link or no regular file, and was left out"))


def _folders(parent: Path) -> list[Path]:
    try:
        return sorted(Path(entry.path) for entry in os.scandir(parent) if entry.is_dir(follow_symlinks=False))
    except OSError:
        return []


def _fingerprint(folder: Path) -> tuple[str, int]:
    """Return what changes with any file below a folder, and the bytes of its metrics."""
    rows: list[str] = []
    size = 0
    waiting = [str(folder)]
    while waiting:
        for entry in os.scandir(waiting.pop()):
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
                continue
            facts = entry.stat(follow_symlinks=False)
            rows.append(f"{entry.path[len(str(folder)) :]}\x00{facts.st_size}\x00{facts.st_mtime_ns}")
            if "/metrics/" in entry.path:
                size += facts.st_size
    text = "\x01".join(sorted(rows)).encode(errors="surrogateescape")
    return f"files:{hashlib.blake2b(text, digest_size=16).hexdigest()}", size


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _told(tell: Tell, file: Path, read: Any) -> Any:
    """Return what is read, or None after the problem with the file was told."""
    try:
        return read()
    except Unreadable as error:
        tell(Problem(str(file), str(error)))
    except OSError as error:
        tell(Problem(str(file), f"it cannot be read: {error.strerror}"))
    return None
