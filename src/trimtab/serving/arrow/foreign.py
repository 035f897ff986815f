"""Reads Parquet and what is not plain Arrow in a process of its own, which hands back a plain Arrow stream.

    python -m trimtab.serving.arrow.foreign

A decompressor believes what a file says of its sizes; here it can cost neither the gateway its memory nor its life: the
process has a limit of memory and of time, no keys, and ends when nobody asked it for a while. pyarrow is loaded there
only, so that the gateway stays as small as it is.
"""

import contextlib
import os
import selectors
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any, BinaryIO, cast

import msgspec

from trimtab.kernel.errors import Invalid, Unavailable
from trimtab.serving.arrow.flat import BadArrow
from trimtab.serving.processes import replica_environment

MEMORY_BYTES = 1 << 30
"""What the process may take beyond what its libraries do."""

_ANSWER_S = 20.0
_IDLE_S = 30.0
_LENGTHS = struct.Struct("<II")
_ANSWER = struct.Struct("<BI")
_READ, _REFUSED = 0, 1


class _Asked(msgspec.Struct):
    parquet: bool
    columns: list[str] | None
    max_rows: int
    max_values: int


class _Reader:
    """The process, started when it is first asked and again whenever it has ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, asked: _Asked, body: bytes) -> bytes:
        head = msgspec.msgpack.encode(asked)
        question = b"".join((_LENGTHS.pack(len(head), len(body)), head, body))
        with self._lock:
            for fresh in (False, True):
                process = self._process
                if process is None or process.poll() is not None or fresh:
                    self._end()
                    process = self._process = _start()
                try:
                    status, content = self._exchange(process, question)
                except BrokenPipeError:
                    if fresh:
                        break
                    continue  # it ended for want of work just now
                except _Silent:
                    break
                if status == _READ:
                    return content
                raise Invalid(content.decode())
            self._end()
        raise BadArrow("the table cannot be read within the memory and the time that a request has")

    def _exchange(self, process: subprocess.Popen[bytes], question: bytes) -> tuple[int, bytes]:
        stdin, stdout = cast(BinaryIO, process.stdin), cast(BinaryIO, process.stdout)
        timer = threading.Timer(_ANSWER_S, process.kill)
        timer.start()
        try:
            stdin.write(question)
            stdin.flush()
            head = stdout.read(_ANSWER.size)
            if len(head) < _ANSWER.size:
                raise _Silent
            status, size = _ANSWER.unpack(head)
            content = stdout.read(size)
            if len(content) < size:
                raise _Silent
            return status, content
        finally:
            timer.cancel()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        process.wait()


class _Silent(Exception):
    """The process ended over a question."""


_reader = _Reader()


def plain(
    body: bytes, *, parquet: bool, columns: Sequence[str] | None, max_rows: int, max_values: int
) -> bytes:
    """Return a table as a plain Arrow stream, of the named columns or all of them; raises Invalid."""
    chosen = None if columns is None else list(columns)
    return _reader.ask(_Asked(parquet, chosen, max_rows, max_values), body)


def _start() -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**replica_environment(os.environ), "ARROW_DEFAULT_MEMORY_POOL": "system"},
            start_new_session=True,
        )
    except OSError as error:
        raise Unavailable(f"no process can be started that reads the table: {error}") from error


# What runs in the process.


def _main() -> None:
    import pyarrow as pa

    _limit_memory()
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    waiting = selectors.DefaultSelector()
    waiting.register(stdin, selectors.EVENT_READ)
    while waiting.select(_IDLE_S):
        head = stdin.read(_LENGTHS.size)
        if len(head) < _LENGTHS.size:
            return  # who asks is gone
        head_bytes, body_bytes = _LENGTHS.unpack(head)
        asked = msgspec.msgpack.decode(stdin.read(head_bytes), type=_Asked)
        body = stdin.read(body_bytes)
        try:
            status, content = _READ, _plain(asked, body)
        except (pa.ArrowException, OSError, ValueError, NotImplementedError, OverflowError) as error:
            text = (str(error).strip() or type(error).__name__).splitlines()[0]
            status, content = _REFUSED, f"the table cannot be read: {text[:300]}".encode()
        stdout.write(_ANSWER.pack(status, len(content)))
        stdout.write(content)
        stdout.flush()
        del body, content


def _limit_memory() -> None:
    import resource

    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - a file of the kernel
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES, used + MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _plain(asked: _Asked, body: bytes) -> bytes:
    import pyarrow as pa

    table = _parquet(asked, body) if asked.parquet else _arrow(asked, body)
    columns = [_plain_column(name, table.column(name)) for name in table.column_names]
    made = pa.Table.from_arrays(columns, names=table.column_names).combine_chunks()
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, made.schema) as writer:
        writer.write_table(made)
    return cast(bytes, out.getvalue().to_pybytes())


def _parquet(asked: _Asked, body: bytes) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(
        pa.BufferReader(body),
        thrift_string_size_limit=16 << 20,
        thrift_container_size_limit=1 << 20,
        pre_buffer=False,
    )
    names = _chosen(asked, file.schema_arrow.names)
    _check_size(asked, file.metadata.num_rows, len(names))
    return file.read(columns=names, use_threads=False, use_pandas_metadata=False)


def _arrow(asked: _Asked, body: bytes) -> Any:
    import pyarrow as pa

    buffer = pa.BufferReader(body)
    batches: list[Any] = []
    rows = 0
    if body[:6] == b"ARROW1":
        file = pa.ipc.open_file(buffer)
        schema, coming = file.schema, (file.get_batch(at) for at in range(file.num_record_batches))
    else:
        stream = pa.ipc.open_stream(buffer)
        schema, coming = stream.schema, iter(stream)
    names = _chosen(asked, schema.names)
    for batch in coming:
        rows += batch.num_rows
        _check_size(asked, rows, len(names))
        batch.validate(full=True)
        batches.append(batch.select(names))
    return pa.Table.from_batches(batches, schema=pa.schema([schema.field(name) for name in names]))


def _chosen(asked: _Asked, names: Sequence[str]) -> list[str]:
    chosen = [name for name in names if asked.columns is None or name in asked.columns]
    twice = next((name for name in chosen if chosen.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"column {twice!r} is given twice")
    return chosen


def _check_size(asked: _Asked, rows: int, columns: int) -> None:
    if not 0 <= rows <= asked.max_rows or rows * columns > asked.max_values:
        raise ValueError(
            f"a request has {asked.max_rows} rows and {asked.max_values} values at most; send fewer rows at once"
        )


def _plain_column(name: str, column: Any) -> Any:
    """Return a column in a type that is read in place; what has none stays, for the reader to name."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_decimal(kind):
        return column.cast(pa.float64())
    if pa.types.is_string_view(kind):
        return column.cast(pa.large_string())
    if pa.types.is_binary_view(kind) or pa.types.is_fixed_size_binary(kind):
        return column.cast(pa.large_binary())
    if pa.types.is_time(kind) or pa.types.is_duration(kind) or pa.types.is_interval(kind):
        raise ValueError(f"column {name!r} is of type {kind}, which no model takes")
    return column


if __name__ == "__main__":
    _main()
