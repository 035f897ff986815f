"""Makes a bundle: the graph, what it takes, reference rows with what the native model says of them, the runner, a signature.

Heavy: imported only in a worker process. The native model runs in a process of its own, and so does the bundle's graph,
which must give the same before anything is signed.
"""

import hashlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from trimtab.domains.deploy.batch.pool import Pool
from trimtab.domains.deploy.batch.processes import Loading
from trimtab.domains.deploy.edge.errors import NotForTheEdge
from trimtab.serving import edge
from trimtab.serving.edge import verify
from trimtab.serving.edge.model import GRAPH, REFERENCE
from trimtab.serving.loaders.mlmodel import ModelFolder
from trimtab.serving.processes import OWN, Interpreter, replica_environment

MOST_REFERENCE_ROWS = 64
_RTOL, _ATOL = 1e-4, 1e-5
_TRY_S = 120.0
_EPOCH = (1980, 1, 1, 0, 0, 0)
_LAUNCHER = '''"""Predicts with this bundle: python runner.py --help."""

import sys

from edge.runner import main

sys.exit(main())
'''


def graph_of(folder: ModelFolder, compiled: Path | None) -> Path:
    """Return the graph that devices run: the compiled one, or the model's own; raises NotForTheEdge."""
    if compiled is not None:
        return compiled / GRAPH
    if "onnx" in folder.flavors:
        return folder.file("onnx", "data")
    raise NotForTheEdge("The model is no ONNX graph and was not compiled to one, which is what devices run.")


def reference_rows(folder: ModelFolder, rows: pa.Table | None) -> pa.Table:
    """Return rows to check a bundle by: of the given table, else the model's input example; raises NotForTheEdge."""
    if folder.signature is None or folder.signature.tensor:
        raise NotForTheEdge("Devices need a model with a signature of named columns: log it with one.")
    names = [field.name for field in folder.signature.inputs]
    if rows is None:
        body = folder.example()
        rows = _example(json.loads(body)) if body is not None else None
    if rows is None or not rows.num_rows:
        raise NotForTheEdge(
            "There are no rows to check the bundle by: log the model with an input example, or name a data version.",
            field="reference",
        )
    lacking = [name for name in names if name not in rows.column_names]
    required = [field.name for field in folder.signature.inputs if field.required]
    if any(name in required for name in lacking):
        raise NotForTheEdge(f"The reference rows lack the column {lacking[0]!r}.", field="reference")
    return rows.select([name for name in names if name not in lacking]).slice(0, MOST_REFERENCE_ROWS)


def _example(document: Any) -> pa.Table | None:
    if not isinstance(document, dict):
        return None
    if isinstance(split := document.get("dataframe_split"), dict):
        return pa.table(dict(zip(split["columns"], map(list, zip(*split["data"], strict=True)), strict=True)))
    if isinstance(records := document.get("dataframe_records"), list):
        return pa.Table.from_pylist(records)
    return None


def build(
    target: Path,
    *,
    model: Path,
    compiled: Path | None,
    reference: pa.Table | None,
    manifest: dict[str, Any],
    server: str,
    public: str,
    sign: Callable[[bytes], bytes],
    interpreter: Interpreter = OWN,
) -> None:
    """Write a bundle as a zip file; raises NotForTheEdge, ModelNotLoaded and ModelProcessFailed.

    ``manifest`` holds what is said of it; ``sign`` returns the signature of what it is given; ``interpreter`` is the
    Python that loads the native model.
    """
    folder = ModelFolder(model)
    graph = graph_of(folder, compiled).read_bytes()
    rows = reference_rows(folder, reference)
    expected = _predict(Loading(model, interpreter=interpreter), rows, target.parent)
    assert folder.signature is not None
    columns = {name: _plain(values) for name, values in rows.to_pydict().items()}
    files = {
        GRAPH: graph,
        REFERENCE: json.dumps(
            {"rows": columns, "predictions": expected, "rtol": _RTOL, "atol": _ATOL}
        ).encode(),
        "runner.py": _LAUNCHER.encode(),
        **_runner(),
    }
    whole = {
        **manifest,
        "format": verify.FORMAT,
        "predict": folder.predict,
        "inputs": [
            {"name": field.name, "type": field.type, "required": field.required}
            for field in folder.signature.inputs
        ],
        "files": {
            name: [hashlib.sha256(data).hexdigest(), len(data)] for name, data in sorted(files.items())
        },
    }
    content = json.dumps(whole, indent=1, sort_keys=True).encode()
    files[verify.MANIFEST] = content
    files[verify.SIGNATURE] = sign(verify.CONTEXT + content)
    files[verify.TRUST] = json.dumps({"key": public, "server": server}, indent=1).encode()
    _try(target.parent / "tried", files)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)


def _predict(loading: Loading, rows: pa.Table, scratch: Path) -> list[Any]:
    """Return what the native model says of the reference rows."""
    batch = rows.combine_chunks().to_batches()[0]
    with Pool(loading, workers=1, log=scratch / "process.log") as pool:
        pool.greeting()
        ((_, _, reply),) = pool.predict([(0, batch, batch)], skip=False, idle=lambda: None)
    if reply.fault is not None:
        raise NotForTheEdge(
            f"The model does not predict the reference rows: {reply.message}", field="reference"
        )
    with pa.ipc.open_stream(pa.py_buffer(reply.predictions)) as reader:
        predicted = reader.read_next_batch()
    if "prediction" not in predicted.schema.names:
        raise NotForTheEdge("The model answers several outputs, which devices do not.")
    return _plain(predicted.column("prediction").to_pylist())


def _plain(values: Sequence[Any]) -> list[Any]:
    return [None if isinstance(value, float) and value != value else value for value in values]  # noqa: PLR0124


def _runner() -> dict[str, bytes]:
    source = Path(edge.__file__).parent
    return {f"edge/{path.name}": path.read_bytes() for path in sorted(source.glob("*.py"))}


def _try(folder: Path, files: dict[str, bytes]) -> None:
    """Have the bundle predict its reference rows as a device would; raises NotForTheEdge."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    done = subprocess.run(
        [sys.executable, str(folder / "runner.py"), "check"],
        capture_output=True,
        text=True,
        timeout=_TRY_S,
        check=False,
        env=replica_environment({}),
    )
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        try:
            problem = json.loads(said[-1])["problem"]
        except (ValueError, KeyError, IndexError, TypeError):
            problem = said[-1][:500] if said else f"it ended with code {done.returncode}"
        raise NotForTheEdge(f"The graph does not answer as the model does: {problem}")
