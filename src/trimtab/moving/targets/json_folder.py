"""Writes runs as JSON: a document for each, exact to the last digit, and a folder with its files beside it."""

from pathlib import Path
from typing import Any

import msgspec

from trimtab.moving.model import ExportReport, Series, told
from trimtab.moving.reading import HeldRun, Runs
from trimtab.moving.targets.files import write_file

FORMAT = "trimtab.run/1"


class JsonFolder:
    """A folder of runs as JSON, from which they can be imported again."""

    def __init__(self, runs: Runs, folder: Path, *, files: bool) -> None:
        self._runs = runs
        self._folder = folder
        self._files = files

    def write(self, run: HeldRun, report: ExportReport) -> Path:
        """Write a run to ``<id>.json``, and its files to ``<id>/artifacts``."""
        record = run.record
        for key in run.keys:
            whole = Series(key)
            for page in self._runs.points(record.id, key):
                whole.steps += page.steps
                whole.at_us += page.at_us
                whole.values += told(page.values)
            record.metrics.append(whole)
            report.points += len(whole.steps)
        experiment = self._runs.experiment(record.experiment_id)
        kept = ("id", "name", "tags", "created_us", "updated_us")
        models = [
            self._runs.model(one) for one in dict.fromkeys(use.model_id for use in record.model_outputs)
        ]
        document: dict[str, Any] = {
            "format": FORMAT,
            "experiment": {key: experiment[key] for key in kept},
            "run": record,
            "state": run.state,
            "logged_models": models,
        }
        target = self._folder / f"{record.id}.json"
        part = target.with_suffix(".part")
        part.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=1))
        if self._files:
            for file in self._runs.files(record):
                write_file(file, self._folder / record.id / "artifacts", report)
            for model in models:
                for file in self._runs.model_files(model):
                    write_file(file, self._folder / record.id / "models" / model.id, report)
        part.replace(target)
        return target
