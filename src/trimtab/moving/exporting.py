"""Exports runs from a server: as event files of TensorBoard, as a folder store of MLflow, or as JSON."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Protocol

from trimtab.kernel.errors import Invalid
from trimtab.moving.model import ExportReport
from trimtab.moving.reading import HeldRun, Runs
from trimtab.moving.targets.json_folder import JsonFolder
from trimtab.moving.targets.mlflow_folder import MlflowFolder
from trimtab.moving.targets.tensorboard import TensorboardFolder
from trimtab.sdk.client import Client

Format = Literal["tensorboard", "mlflow", "json"]
FORMATS: dict[str, Format] = {"tensorboard": "tensorboard", "mlflow": "mlflow", "json": "json"}
Advance = Callable[[str, int, int], None]


class Target(Protocol):
    """A folder in a foreign format. Writing a run again replaces what was written of it."""

    def write(self, run: HeldRun, report: ExportReport) -> Path:
        """Write a run and return where it is."""
        ...


def export(
    client: Client,
    run_ids: Sequence[str],
    folder: Path,
    *,
    to: Format,
    files: bool = True,
    advance: Advance = lambda _doing, _more, _total: None,
) -> ExportReport:
    """Write runs to a folder and return what was written; raises RunNotFound and Invalid.

    ``files`` takes the artifacts along, where the format has a place for them.
    """
    if folder.exists() and not folder.is_dir():
        raise Invalid(f"{folder} is a file; name a folder.", field="dest")
    runs = Runs(client)
    folder.mkdir(parents=True, exist_ok=True)
    report = ExportReport(to, str(folder))
    target: Target
    match to:
        case "tensorboard":
            target = TensorboardFolder(runs, folder, files=files)
        case "mlflow":
            target = MlflowFolder(runs, folder, files=files)
        case "json":
            target = JsonFolder(runs, folder, files=files)
    for run_id in run_ids:
        report.written.append(str(target.write(runs.get(run_id), report)))
        report.runs += 1
        advance("Runs", 1, len(run_ids))
    return report
