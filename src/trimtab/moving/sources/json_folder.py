"""Runs that were exported as JSON, from this server or another."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from trimtab.kernel.errors import NotFound
from trimtab.moving.model import (
    Experiment,
    Loaded,
    LoggedModelRecord,
    Problem,
    RegisteredModel,
    RunRecord,
    Stub,
    Tell,
    check_key,
    heard,
)
from trimtab.moving.sources.local_files import files_below, good_path

_MOST_BYTES = 8 << 30
_FORMAT = "trimtab.run/1"


class _ExperimentPart(msgspec.Struct):
    id: str
    name: str
    tags: dict[str, str] = {}
    created_us: int | None = None
    updated_us: int | None = None


class _Document(msgspec.Struct):
    format: str
    experiment: _ExperimentPart
    run: RunRecord
    state: str = "active"
    logged_models: list[LoggedModelRecord] = []


class _Head(msgspec.Struct):
    """What of a document is needed before it is read whole."""

    format: str
    experiment: _ExperimentPart
    run: dict[str, Any]
    state: str = "active"
    logged_models: list[dict[str, Any]] = []


class JsonFolder:
    """A folder with a ``<run id>.json`` for each run."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise NotFound(f"There is no folder {folder}.", field="source")
        self._folder = folder
        self.origin = f"file://{folder.resolve()}"
        self._heads: dict[str, list[tuple[Path, _Head]]] | None = None

    def experiments(self, tell: Tell, *, deleted: bool) -> Iterator[Experiment]:
        del deleted
        seen: dict[str, Experiment] = {}
        for name, heads in self._all(tell).items():
            one = heads[0][1].experiment
            seen[name] = Experiment(one.id, name, one.tags, one.created_us, one.updated_us)
        yield from seen.values()

    def _all(self, tell: Tell) -> dict[str, list[tuple[Path, _Head]]]:
        if self._heads is None:
            self._heads = {}
            for file in sorted(self._folder.glob("*.json")):
                try:
                    if file.is_symlink() or file.stat().st_size > _MOST_BYTES:
                        raise ValueError("it is a link or too large")
                    head = msgspec.json.decode(file.read_bytes(), type=_Head)
                    if head.format != _FORMAT or head.run.get("id") != file.stem or not good_path(file.stem):
                        raise ValueError(f"it is no run in the format {_FORMAT}, or has another id")
                except (OSError, ValueError, RecursionError) as error:
                    tell(Problem(str(file), f"it cannot be read: {error}"))
                    continue
                head.run.pop("metrics", None)
                self._heads.setdefault(head.experiment.name, []).append((file, head))
        return self._heads

    def runs(self, experiment: Experiment, tell: Tell, /, *, deleted: bool) -> Iterator[Stub]:
        for file, head in self._all(tell).get(experiment.name, []):
            gone = head.state == "deleted"
            if not gone or deleted:
                mark = hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest()
                yield Stub(file.stem, f"json:{mark}", deleted=gone, place=file)

    def load(self, _experiment: Experiment, stubs: Sequence[Stub], tell: Tell) -> Iterator[Loaded]:
        for stub in stubs:
            file: Path = stub.place
            try:
                record = msgspec.json.decode(file.read_bytes(), type=_Document).run
                for series in record.metrics:
                    series.values = heard(series.values)
            except (OSError, ValueError) as error:
                tell(Problem(str(file), f"it cannot be read: {error}"))
                continue
            record.metrics = [one for one in record.metrics if check_key(one.key, str(file), tell)]
            record.artifact_uri = _kept(record.artifact_uri)
            yield Loaded(stub, record, self._files(file.with_suffix("") / "artifacts", tell))

    def logged_models(self, experiment: Experiment, tell: Tell, /, *, deleted: bool) -> Iterator[Stub]:
        del deleted
        for file, head in self._all(tell).get(experiment.name, []):
            for model in head.logged_models:
                mark = hashlib.blake2b(msgspec.json.encode(model), digest_size=16).hexdigest()
                yield Stub(str(model.get("id")), f"json:{mark}", place=(file, model))

    def load_models(self, stubs: Sequence[Stub], tell: Tell) -> Iterator[Loaded]:
        for stub in stubs:
            file, model = stub.place
            try:
                record = msgspec.convert(model, LoggedModelRecord)
                if not good_path(record.id):
                    raise ValueError("it names no logged model")
            except ValueError as error:
                tell(Problem(str(file), f"a logged model cannot be read: {error}"))
                continue
            record.artifact_uri = _kept(record.artifact_uri)
            yield Loaded(stub, record, self._files(file.with_suffix("") / "models" / record.id, tell))

    def _files(self, folder: Path, tell: Tell) -> Any:
        return lambda: files_below(folder, tell) if folder.is_dir() else iter(())

    def registered_models(self, tell: Tell) -> Iterator[RegisteredModel]:
        del tell
        return iter(())

    def close(self) -> None:
        """Nothing stays open."""


def _kept(uri: str | None) -> str | None:
    return None if uri is None or uri.startswith("mlflow-artifacts:") else uri
