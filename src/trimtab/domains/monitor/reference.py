"""Reads a monitor's reference data into a sketch, in a worker process."""

import tempfile
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from trimtab.domains.data import DataService
from trimtab.domains.monitor import alarms
from trimtab.domains.monitor.errors import BadReference
from trimtab.domains.monitor.model import Monitor
from trimtab.kernel import refs
from trimtab.kernel.errors import TrimtabError, did_you_mean
from trimtab.kernel.who import Principal
from trimtab.science import plain
from trimtab.science.drift import sketch


def build(monitor: Monitor, data: DataService, *, who: Principal) -> Monitor:
    """Return the monitor with its sketch and fresh alarms, or failed with the reason."""
    try:
        table = load_table(data, monitor.reference, who=who)
        features = _features(monitor, table)
        groups = None
        if monitor.group_by is not None:
            times = _column(table, monitor.group_by).to_numpy().astype(np.int64)
            groups = times - times % monitor.policy.window_us
        built = sketch.build({name: table.column(name) for name in features}, groups=groups)
    except (TrimtabError, pa.ArrowException, ValueError) as error:
        return msgspec.structs.replace(monitor, state="failed", problem=str(error))
    ready = msgspec.structs.replace(
        monitor,
        state="watching",
        problem=None,
        features=features,
        reference_rows=table.num_rows,
        sketch=plain.dump(built),
    )
    return msgspec.structs.replace(
        ready, drift_state=alarms.fresh_drift(ready), loss_state=alarms.fresh_losses(ready)
    )


def load_table(data: DataService, reference: str, *, who: Principal) -> pa.Table:
    """Return all rows of a data version of Parquet or CSV files; raises BadReference for other files."""
    name, version = refs.data_parts(reference)
    with tempfile.TemporaryDirectory(prefix="trimtab-reference-") as folder:
        data.materialize(who, name, int(version) if version else None, Path(folder) / "data")
        files = sorted(file for file in (Path(folder) / "data").rglob("*") if file.is_file())
        for format_, endings in (("parquet", (".parquet",)), ("csv", (".csv", ".csv.gz"))):
            chosen = [str(file) for file in files if file.name.endswith(endings)]
            if chosen:
                return ds.dataset(chosen, format=format_).to_table()
    raise BadReference(f"{reference} has no Parquet or CSV file.", field="reference")


def _features(monitor: Monitor, table: pa.Table) -> list[str]:
    if monitor.features:
        for name in monitor.features:
            _column(table, name)
        return monitor.features
    plain_types = (pa.types.is_integer, pa.types.is_floating, pa.types.is_string, pa.types.is_boolean)
    return [
        field.name
        for field in table.schema
        if field.name != monitor.group_by and any(is_type(field.type) for is_type in plain_types)
    ]


def _column(table: pa.Table, name: str) -> pa.ChunkedArray:
    if name not in table.column_names:
        hint = did_you_mean(name, table.column_names)
        raise BadReference(f"The reference has no column {name!r}.{hint}", field="features")
    return table.column(name)
