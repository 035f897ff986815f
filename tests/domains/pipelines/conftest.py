"""A workshop that registers pipelines from source text and carries out their runs in real step processes."""

import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.background import work_off
from trimtab.app import App
from trimtab.domains.pipelines.model import Run, Spec, StepRow
from trimtab.kernel.who import Principal
from trimtab.sdk.bundles import collect, pack
from trimtab.sdk.submission import load, spec_of


class Workshop:
    """What a person does with a pipeline file, without the network in between."""

    def __init__(self, app: App, who: Principal, folder: Path) -> None:
        self.app = app
        self.who = who
        self.folder = folder
        self.service = app.pipelines

    def register(self, source: str, *, name: str = "main", stem: str | None = None, **others: str) -> str:
        """Write the file (and the modules beside it), register its pipeline and return the pipeline's name."""
        file = self.folder / f"{stem or 'p' + uuid.uuid4().hex}.py"
        for module, text in others.items():
            (self.folder / f"{module}.py").write_text(text)
            sys.modules.pop(module, None)
        file.write_text(f"import trimtab\nfrom trimtab import pipeline, step\n{source}")
        _, found = load(f"{file}:{name}")
        blob, _ = self.service.add_bundle(self.who, pack(collect(file)))
        spec = msgspec.convert(spec_of(file, found, {}), Spec)
        self.service.register(self.who, found.name, source_blob=blob, entry=f"{file.stem}:{name}", spec=spec)
        return found.name

    def submit(self, pipeline: str, **params: Any) -> Run:
        return self.service.submit(self.who, pipeline=pipeline, params=params)

    def run(self, pipeline: str, **params: Any) -> Run:
        """Submit a run, carry out all that is queued, and return the run."""
        run = self.submit(pipeline, **params)
        work_off(self.app, "pipelines")
        return self.get(run.id)

    def get(self, run_id: str) -> Run:
        return self.service.get_run(self.who, run_id)

    def steps(self, run: Run) -> dict[str, StepRow]:
        return {row.name: row for row in self.service.get_steps(self.who, [run.id])[run.id]}


@pytest.fixture
def workshop(
    app: App, owner: Principal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workshop]:
    """The workshop; what its files add to this process's modules goes again."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield Workshop(app, owner, folder)
    for name in set(sys.modules) - before:
        module = sys.modules[name]
        if str(folder) in str(getattr(module, "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def counter(tmp_path: Path) -> Callable[[], list[str]]:
    """A file to which steps append a line each time they really run; returns its lines."""
    file = tmp_path / "calls.txt"

    def lines() -> list[str]:
        return file.read_text().split() if file.exists() else []

    lines.path = str(file)  # type: ignore[attr-defined]
    return lines
