"""Finds out what kind of MLflow store a text names, and opens it."""

from collections.abc import Sequence
from pathlib import Path

from trimtab.kernel.errors import Invalid
from trimtab.moving.sources import sql
from trimtab.moving.sources.local_files import local_path
from trimtab.moving.sources.port import Source


def open_source(source: str, *, artifacts: Sequence[Path] = (), workspace: str = "default") -> Source:
    """Open a server (``http://``), a database (a URL, or a SQLite file) or a folder (``mlruns``) for reading.

    ``artifacts`` are local folders where files of runs may be, besides those of the store itself. Raises NotFound,
    Unavailable and Invalid.
    """
    if source.startswith(("http://", "https://")):
        from trimtab.moving.sources.mlflow_server import MlflowServer

        return MlflowServer(source)
    if sql.is_database(source):
        from trimtab.moving.sources.mlflow_database import MlflowDatabase

        return MlflowDatabase(source, artifacts=artifacts, workspace=workspace)
    folder = local_path(source)
    if folder is None:
        raise Invalid(
            f"{source} is no store of MLflow: give a folder, a SQLite file, a URL of a database, or that of a server.",
            field="source",
        )
    from trimtab.moving.sources.mlflow_folder import MlflowFolder

    return MlflowFolder(folder, artifacts=artifacts)
