"""The datasets of a batch prediction: the rows that it reads, checked and lent, and the versions that it writes."""

import shutil
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from trimtab.domains.data import DataService
from trimtab.domains.data.model import DataFile, DataVersion, parse_version
from trimtab.domains.data.tables import format_of
from trimtab.domains.deploy.batch.errors import BadTable
from trimtab.domains.deploy.batch.model import BatchPrediction, Options
from trimtab.domains.registry.model import ModelVersion
from trimtab.infra.blobs import Blobs
from trimtab.kernel import refs
from trimtab.kernel.errors import Invalid, did_you_mean
from trimtab.kernel.who import Principal
from trimtab.serving.errors import MissingColumn
from trimtab.serving.routes import signature_of

if TYPE_CHECKING:
    from trimtab.domains.deploy.batch.sources import Table


class Datasets:
    """What batch predictions take from the data and add to it."""

    def __init__(self, data: DataService, blobs: Blobs) -> None:
        self._data = data
        self._blobs = blobs

    def check(
        self, who: Principal, found: ModelVersion, rows: DataVersion, *, path: str, options: Options
    ) -> None:
        """Raise BadTable or MissingColumn for what is known to be wrong before any byte is read."""
        files = _tables(self._data.files(who, rows.name, rows.version), path)
        known = self._data.findings(who, rows.name, rows.version).columns
        signature = signature_of(found.signature)
        if signature is None or signature.tensor or options.inputs or not known or len(files) > 1 or path:
            return
        if len({column.table for column in known}) > 1:
            return
        have = [column.name for column in known]
        for field in signature.inputs:
            if field.required and field.name not in have:
                hint = did_you_mean(field.name, have).replace("Did you mean", "Is it")
                raise MissingColumn(
                    f"column {field.name!r}, which the model needs, is missing in the data.{hint}",
                    field=field.name,
                )

    @contextmanager
    def table(self, who: Principal, batch: BatchPrediction, folder: Path) -> "Generator[Table]":
        """Lend the rows of the data version, copied only where its blobs are not on this machine."""
        from trimtab.domains.deploy.batch.sources import Table

        version = self._data.get_version(who, batch.data, batch.data_version)
        files = _tables(self._data.files(who, batch.data, batch.data_version), batch.path)
        with ExitStack() as copies:
            local: list[tuple[Path, str]] = []
            for file in files:
                path = self._blobs.path(file.blob)
                if path is None:
                    path = folder / "data" / file.blob.removeprefix("b3:")
                    path.parent.mkdir(parents=True, exist_ok=True)
                    copies.callback(path.unlink, missing_ok=True)
                    with path.open("wb") as copy, self._blobs.open(file.blob) as source:
                        shutil.copyfileobj(source, copy, 1 << 20)
                local.append((path, file.path))
            yield Table(local, digest=f"{version.digest}/{batch.path}")

    def add(self, who: Principal, batch: BatchPrediction, name: str, files: Sequence[Path]) -> int:
        """Add files as the next version of a dataset, which came from the data and the model; return its number."""
        held: list[DataFile] = []
        for file in files:
            with file.open("rb") as content:
                held.append(DataFile(file.name, file.stat().st_size, self._blobs.put(content)))
        data, model = (
            refs.data(batch.data, batch.data_version),
            refs.model(batch.model, batch.model_version),
        )
        what = "Rows refused by" if name == batch.refused else "Predictions of"
        message = f"{what} {batch.model} version {batch.model_version} on {batch.data}@{batch.data_version}"
        added = self._data.add(who, name, held, message=message, derived_from=[data, model])
        return added.version.version


def data_parts(ref: str) -> tuple[str, int | None]:
    """Return (name, version or None for the newest) of ``data:NAME@3``, ``data:NAME@latest`` or ``data:NAME``."""
    name, _, version = ref.removeprefix("data:").partition("@")
    if not name or ":" in name:
        raise Invalid(f"{ref[:80]!r} is not a data version such as data:flights@3.", field="data")
    return name, parse_version(version or "latest")


def _tables(files: Sequence[DataFile], path: str) -> list[DataFile]:
    """Return the files that are tables, or the one of them that is asked for; raises BadTable."""
    tabular = [file for file in files if format_of(file.path)]
    chosen = [file for file in tabular if file.path == path] if path else tabular
    if chosen:
        return chosen
    if path:
        hint = did_you_mean(path, [file.path for file in tabular[:1000]])
        raise BadTable(f"The data has no table file {path[:200]!r}.{hint}", field="path")
    raise BadTable("The data version holds no table: Parquet, Arrow, CSV or JSON lines.", field="data")
