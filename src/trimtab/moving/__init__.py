"""Moving runs and models in and out: MLflow's stores, TensorBoard's event files, and plain JSON.

What the commands ``trimtab import`` and ``trimtab runs export`` do, for programs. Each function talks to the server of
``client``, else to the one that ``TRIMTAB_URL`` names.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from trimtab.moving.model import ExportReport, Report
    from trimtab.sdk.client import Client

__all__ = ["export_runs", "import_json", "import_mlflow", "import_tensorboard"]


def import_mlflow(
    source: str | os.PathLike[str],
    *,
    experiments: Sequence[str] = (),
    prefix: str = "",
    deleted: bool = False,
    artifacts: Sequence[str | os.PathLike[str]] = (),
    workspace: str = "default",
    dry_run: bool = False,
    client: "Client | None" = None,
) -> "Report":
    """Import a folder, a database or a server of MLflow and return what became of it.

    Ids of runs, names, times, tags, parameters, whole histories of metrics, data sets, logged models, files and
    registered models come over; running it again changes nothing. Raises NotFound, Unavailable and Invalid.
    """
    from trimtab.moving import importing
    from trimtab.moving.mlflow import open_source
    from trimtab.sdk.client import connect

    folders = [Path(one) for one in artifacts]
    opened = open_source(os.fspath(source), artifacts=folders, workspace=workspace)
    try:
        return importing.run(
            client or connect(),
            opened,
            experiments=experiments,
            prefix=prefix,
            deleted=deleted,
            dry_run=dry_run,
        )
    finally:
        opened.close()


def import_tensorboard(
    folder: str | os.PathLike[str],
    *,
    experiment: str | None = None,
    dry_run: bool = False,
    client: "Client | None" = None,
) -> "Report":
    """Import the event files below a folder, each folder with some as a run; running it again changes nothing."""
    from trimtab.moving.tensorboard.importing import TensorboardImport
    from trimtab.sdk.client import connect

    return TensorboardImport(client or connect(), Path(folder), experiment=experiment).once(dry_run=dry_run)


def import_json(
    folder: str | os.PathLike[str], *, prefix: str = "", dry_run: bool = False, client: "Client | None" = None
) -> "Report":
    """Import runs that were exported as JSON; running it again changes nothing."""
    from trimtab.moving import importing
    from trimtab.moving.sources.json_folder import JsonFolder
    from trimtab.sdk.client import connect

    return importing.run(client or connect(), JsonFolder(Path(folder)), prefix=prefix, dry_run=dry_run)


def export_runs(
    run_ids: Sequence[str],
    folder: str | os.PathLike[str],
    *,
    to: Literal["tensorboard", "mlflow", "json"],
    artifacts: bool = True,
    client: "Client | None" = None,
) -> "ExportReport":
    """Write runs to a folder as event files, as a folder store of MLflow, or as JSON; raises RunNotFound."""
    from trimtab.moving.exporting import export
    from trimtab.sdk.client import connect

    return export(client or connect(), run_ids, Path(folder), to=to, files=artifacts)
