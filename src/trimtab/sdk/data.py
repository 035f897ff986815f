"""``trimtab.data``: add folders, files and frames as immutable versions, and get them back."""

import os
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from trimtab.kernel.errors import Conflict, Invalid, Unavailable, did_you_mean
from trimtab.sdk import transfer
from trimtab.sdk.client import Client, connect
from trimtab.sdk.pipelines import note_input, note_moving, note_output
from trimtab.sdk.progress import bars
from trimtab.sdk.repeating import pinned
from trimtab.sdk.transfer import RemoteFile

if TYPE_CHECKING:
    import pyarrow as pa

_FRAME_FILE = "data.parquet"
_LONGEST_WAIT_S = 600.0


class Validation(msgspec.Struct, frozen=True):
    """Whether a version meets its expectations."""

    state: Literal["pending", "passed", "failed", "none"]


class DataVersion(msgspec.Struct, frozen=True):
    """A version as the server has it. ``rows`` is None until it was profiled."""

    name: str
    version: int
    ref: str
    digest: str
    rows: int | None
    size_bytes: int
    file_count: int
    message: str
    created_us: int
    created_by: str
    derived_from: tuple[str, ...]
    validation: Validation


class Dataset(msgspec.Struct, frozen=True):
    """A dataset and its newest version."""

    name: str
    latest_version: int
    versions: int
    rows: int | None
    size_bytes: int
    updated_us: int


def add(
    name: str,
    source: Any,
    *,
    message: str = "",
    derived_from: Sequence[str | DataVersion] = (),
    client: Client | None = None,
) -> DataVersion:
    """Add a folder, a file or a frame (pandas, polars, Arrow, a dict of columns) as the next version.

    The newest version is returned if it holds the same already. Only what the server lacks is sent. Raises
    Invalid for a source or name that cannot be added.
    """
    connection = client or connect()
    parents = [one.ref if isinstance(one, DataVersion) else one for one in derived_from]
    if isinstance(source, str | os.PathLike):
        added = _add_path(connection, name, Path(source), message, parents)
    else:
        with tempfile.TemporaryDirectory(prefix="trimtab-") as folder:
            file = Path(folder) / _FRAME_FILE
            _write_frame(source, file)
            added = _add_path(connection, name, file, message, parents)
    note_output(added.ref)
    return added


def _add_path(client: Client, name: str, source: Path, message: str, parents: Sequence[str]) -> DataVersion:
    try:
        files = transfer.scan(source)
        with bars() as report:
            blobs = transfer.digests(files, report)
            transfer.upload(client, files, blobs, report)
    except OSError as error:
        raise Invalid(
            f"{error.filename or source} cannot be read: {error.strerror}.", field="path"
        ) from error
    manifest = [
        {"path": file.path, "size_bytes": file.size_bytes, "blob": blob}
        for file, blob in zip(files, blobs, strict=True)
    ]
    body = {"files": manifest, "message": message, "derived_from": parents}
    return msgspec.convert(client.post(f"/data/{name}/versions", body), DataVersion)


def _write_frame(frame: Any, file: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if isinstance(frame, pa.Table):
        table = frame
    elif isinstance(frame, Mapping) or hasattr(frame, "__arrow_c_stream__"):
        is_pandas = type(frame).__module__.partition(".")[0] == "pandas"
        table = pa.Table.from_pandas(frame) if is_pandas else pa.table(frame)
    else:
        raise Invalid(
            f"{type(frame).__name__} is neither a path nor a frame that Arrow can read.", field="source"
        )
    pq.write_table(table, file, compression="zstd")


def get(
    name: str,
    version: int | None = None,
    dest: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    client: Client | None = None,
) -> Path:
    """Write a version (the newest for None) into a folder and return it; every byte is checked.

    Without ``dest`` the folder is in this user's cache, read-only, and kept for the next call. ``dest`` appears
    complete or not at all; it must be empty or not there, unless ``overwrite``.
    """
    connection = client or connect()
    found = show(name, version, client=connection)
    note_input(found.ref)
    if dest is None:
        folder = _cache() / found.digest.removeprefix("b3:")[:40]
        if not folder.is_dir():
            _download(connection, found, folder, overwrite=False, keep=True)
        return folder
    folder = Path(dest)
    _download(connection, found, folder, overwrite=overwrite, keep=False)
    return folder


def _download(client: Client, version: DataVersion, folder: Path, *, overwrite: bool, keep: bool) -> None:
    if not overwrite and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Conflict(f"{folder} is there already and not an empty folder. Choose another, or overwrite it.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        incoming = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.incoming-"))
        try:
            with bars() as report:
                address = f"/data/{version.name}/versions/{version.version}"
                transfer.download(client, address, _files(client, address), incoming, report)
            if keep:
                for file in incoming.rglob("*"):
                    if file.is_file():
                        file.chmod(0o444)
            incoming.chmod(0o755)
            _move(incoming, folder, overwrite=overwrite, keep=keep)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
    except OSError as error:
        raise Unavailable(f"{error.filename or folder} cannot be written: {error.strerror}.") from error


def _files(client: Client, address: str) -> tuple[RemoteFile, ...]:
    files: tuple[RemoteFile, ...] = ()
    after: str | None = ""
    while after is not None:
        page = client.get(f"{address}/files", after=after, limit=100_000)
        files += msgspec.convert(page["items"], tuple[RemoteFile, ...])
        after = page["next_after"]
    return files


def _move(incoming: Path, folder: Path, *, overwrite: bool, keep: bool) -> None:
    if overwrite and folder.exists():
        aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.old-"))
        folder.replace(aside / "old")
        incoming.replace(folder)
        shutil.rmtree(aside, ignore_errors=True)
        return
    try:
        incoming.replace(folder)
    except OSError:
        if not (keep and folder.is_dir()):  # another process has filled the cache meanwhile
            raise


def _cache() -> Path:
    root = os.environ.get("TRIMTAB_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "trimtab"
    return Path(root).expanduser() / "data"


def frame(
    name: str, version: int | None = None, *, path: str | None = None, client: Client | None = None
) -> "pa.Table":
    """Return a version's table; ``path`` picks one file where it holds several tables.

    Reads Parquet, Arrow, CSV (also ``.gz``, ``.zst``, ``.bz2``, ``.zip``) and JSON lines. Raises Invalid.
    """
    import pyarrow as pa

    folder = get(name, version, client=client)
    every = sorted(file for file in folder.rglob("*") if file.is_file())
    names = [file.relative_to(folder).as_posix() for file in every]
    if path is not None and path not in names:
        raise Invalid(f"There is no file {path!r} in this version.{did_you_mean(path, names)}", field="path")
    chosen = [folder / path] if path is not None else [file for file in every if _reader(file)]
    if not chosen:
        raise Invalid(f"{name} holds no table; its files are {', '.join(names[:10])}.")
    tables = [_read(file) for file in chosen]
    if len({frozenset(table.column_names) for table in tables}) > 1:
        raise Invalid(
            f"{name} holds several tables; choose one with path=: {', '.join(names[:10])}.", field="path"
        )
    return tables[0] if len(tables) == 1 else pa.concat_tables(tables, promote_options="permissive")


def _reader(file: Path) -> str | None:
    endings = [ending.lower() for ending in file.suffixes]
    if endings and endings[-1] in (".gz", ".zst", ".bz2", ".zip"):
        endings.pop()
    kinds = {
        ".parquet": "parquet", ".pq": "parquet", ".arrow": "arrow", ".feather": "arrow", ".ipc": "arrow",
        ".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl",
    }  # fmt: skip
    return kinds.get(endings[-1]) if endings else None


def _read(file: Path) -> "pa.Table":
    import pyarrow as pa
    from pyarrow import csv, feather, json, parquet

    try:
        match _reader(file):
            case "parquet":
                return parquet.read_table(file)
            case "arrow":
                return feather.read_table(file)
            case "csv":
                with _opened(file) as stream:
                    head = bytes(stream.read(64 << 10)).split(b"\n", 1)[0]
                separator = max((",", "\t", ";", "|"), key=lambda each: head.count(each.encode()))
                with _opened(file) as stream:
                    return csv.read_csv(
                        stream,
                        parse_options=csv.ParseOptions(delimiter=separator, newlines_in_values=True),
                        convert_options=csv.ConvertOptions(
                            strings_can_be_null=True, quoted_strings_can_be_null=False
                        ),
                    )
            case "jsonl":
                with _opened(file) as stream:
                    return json.read_json(stream)
            case _:
                raise Invalid(f"{file.name} is not a table that can be read.", field="path")
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Invalid(f"{file.name} cannot be read: {error}", field="path") from error


def _opened(file: Path) -> Any:
    import pyarrow as pa

    if file.suffix.lower() != ".zip":
        return pa.input_stream(str(file))  # decompresses by the ending
    import zipfile

    archive = zipfile.ZipFile(file)
    if len(archive.namelist()) != 1:
        raise Invalid(f"{file.name} holds {len(archive.namelist())} files; a table is a single one.")
    return pa.PythonFile(archive.open(archive.namelist()[0]))


def list(*, client: Client | None = None) -> "Sequence[Dataset]":  # noqa: A001 - reads as trimtab.data.list()
    """Return every dataset by name."""
    return [msgspec.convert(item, Dataset) for item in (client or connect()).items("/data")]


def show(name: str, version: int | None = None, *, client: Client | None = None) -> DataVersion:
    """Return one version, the newest for None; in a reproduction the one that the original run read."""
    version = version or pinned(name)
    if version is None:
        note_moving(f"data:{name}")
    address = f"/data/{name}/versions/{version or 'latest'}"
    return msgspec.convert((client or connect()).get(address), DataVersion)


def wait_validated(
    name: str,
    version: int | None = None,
    *,
    timeout_s: float = _LONGEST_WAIT_S,
    client: Client | None = None,
) -> DataVersion:
    """Return a version once it was held to its expectations; raises Unavailable after the time-out.

    Look at ``validation.state``: a failed validation raises nothing.
    """
    connection = client or connect()
    deadline = time.monotonic() + timeout_s
    pause_s = 0.05
    while True:
        found = show(name, version, client=connection)
        if found.validation.state != "pending":
            return found
        if time.monotonic() > deadline:
            raise Unavailable(f"{found.ref} was not validated within {timeout_s:g} s.")
        time.sleep(pause_s)
        pause_s = min(1.0, pause_s * 1.5)
