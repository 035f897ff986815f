"""Shows the first rows of a columnar file among the artifacts, read in a process of its own."""

import tempfile
from pathlib import Path
from shutil import copyfileobj
from typing import Any

import msgspec

from trimtab.domains.govern import GovernService
from trimtab.domains.tracking.artifacts.service import ArtifactService
from trimtab.infra import aside
from trimtab.infra.blobs import Blobs
from trimtab.kernel.errors import Invalid, TooLarge
from trimtab.kernel.who import Principal

MOST_ROWS = 1000
MOST_BYTES = 1 << 30
ENDINGS = (".parquet", ".pq")


class TableColumn(msgspec.Struct):
    name: str
    type: str


class TableRows(msgspec.Struct):
    """The first rows of a table; values that JSON does not know are text."""

    columns: list[TableColumn]
    rows: list[list[Any]]
    total: int


class TableService:
    """Looks into Parquet files."""

    def __init__(self, blobs: Blobs, govern: GovernService, artifacts: ArtifactService) -> None:
        self._blobs = blobs
        self.govern = govern
        self._artifacts = artifacts

    def rows(self, who: Principal, path: str, *, most: int) -> TableRows:
        """Return a table's first rows; raises ArtifactNotFound, Invalid for what is no Parquet file, TooLarge."""
        self.govern.permit(who, "read", "artifacts")
        if not path.lower().endswith(ENDINGS):
            raise Invalid("Only Parquet files are read as tables.", field="path")
        if not 1 <= most <= MOST_ROWS:
            raise Invalid(f"rows must be between 1 and {MOST_ROWS}, not {most}.", field="rows")
        artifact = self._artifacts.get(who, path)
        if artifact.size_bytes > MOST_BYTES:
            raise TooLarge("Files of more than 1 GiB are not shown; save it to look at it.")
        local = self._blobs.path(artifact.blob)
        if local is not None:
            return _read(local, most)
        with tempfile.NamedTemporaryFile(suffix=".parquet") as copy:
            with self._blobs.open(artifact.blob) as source:
                copyfileobj(source, copy, 1 << 20)
            copy.flush()
            return _read(Path(copy.name), most)


def _read(file: Path, most: int) -> TableRows:
    asked = msgspec.json.encode({"file": str(file), "most": most})
    answer = aside.compute("trimtab.domains.tracking.artifacts.table_process", asked, seconds=20.0)
    found = msgspec.json.decode(answer, type=TableRows | None)
    if found is None:
        raise Invalid("The file cannot be read as Parquet.", field="path")
    return found
