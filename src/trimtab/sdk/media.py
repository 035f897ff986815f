"""Turns figures, tables and dictionaries into the bytes of a file, by the ending of its name."""

import io
from collections.abc import Mapping
from typing import Any

import msgspec

from trimtab.kernel.errors import Invalid


def figure(value: Any, path: str) -> bytes:
    """Return a Matplotlib, Plotly or Pillow figure as a picture or page; raises Invalid for what is none."""
    ending = path.rpartition(".")[2].lower()
    buffer = io.BytesIO()
    if hasattr(value, "savefig"):
        value.savefig(buffer, format=ending, bbox_inches="tight")
    elif ending in ("html", "htm") and hasattr(value, "write_html"):
        text = io.StringIO()
        value.write_html(text, include_plotlyjs=True)
        return text.getvalue().encode()
    elif hasattr(value, "write_image"):
        value.write_image(buffer, format=ending)
    elif hasattr(value, "save"):
        value.save(buffer, format={"jpg": "jpeg"}.get(ending, ending))
    else:
        raise Invalid(f"A {type(value).__name__} is no figure: Matplotlib's, Plotly's and Pillow's are.")
    return buffer.getvalue()


def table(value: Any, path: str) -> bytes:
    """Return rows or columns as ``.json`` in MLflow's layout of tables, or as ``.csv`` or ``.parquet``.

    Takes a mapping of columns, a list of mappings, and what Arrow reads (pandas, polars, Arrow).
    """
    ending = path.rpartition(".")[2].lower()
    columns = _columns(value)
    if ending == "json":
        rows = [list(row) for row in zip(*columns.values(), strict=True)]
        return msgspec.json.encode({"columns": list(columns), "data": rows}, enc_hook=_plain)
    if ending == "csv":
        import csv

        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
        return text.getvalue().encode()
    if ending == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        buffer = io.BytesIO()
        pq.write_table(pa.table(columns), buffer, compression="zstd")
        return buffer.getvalue()
    raise Invalid(f"Tables are written as .json, .csv or .parquet, not as {path!r}.", field="path")


def mapping(value: Any, path: str) -> bytes:
    """Return a dictionary or list as YAML for ``.yaml`` and ``.yml``, else as JSON."""
    plain = msgspec.to_builtins(value, enc_hook=_plain, str_keys=True)
    if path.lower().endswith((".yaml", ".yml")):
        import yaml

        return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True).encode()
    return msgspec.json.format(msgspec.json.encode(plain), indent=2)


def _columns(value: Any) -> dict[str, list[Any]]:
    if isinstance(value, Mapping):
        columns = {str(name): [*column] if _is_list(column) else [column] for name, column in value.items()}
    elif hasattr(value, "__arrow_c_stream__") or hasattr(value, "to_pydict"):
        import pyarrow as pa

        is_pandas = type(value).__module__.partition(".")[0] == "pandas"
        columns = (
            pa.Table.from_pandas(value, preserve_index=False) if is_pandas else pa.table(value)
        ).to_pydict()
    elif isinstance(value, list | tuple) and all(isinstance(row, Mapping) for row in value):
        names = {str(name): None for row in value for name in row}
        columns = {name: [row.get(name) for row in value] for name in names}
    else:
        raise Invalid(f"A {type(value).__name__} is no table: a mapping of columns or a list of rows is.")
    if len({len(column) for column in columns.values()}) > 1:
        raise Invalid("The columns of the table have different lengths.")
    return columns


def _is_list(value: Any) -> bool:
    return hasattr(value, "__iter__") and not isinstance(value, str | bytes | Mapping)


def _plain(value: Any) -> Any:
    """Return NumPy's and Torch's values as Python's, anything else as text."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)
