"""The prediction log: what is written is read, whatever became of the writer."""

import asyncio
import math
import os
import resource
import shutil
import struct
import threading
import zlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from trimtab.serving import records, segments
from trimtab.serving.batch import Output, nest
from trimtab.serving.records import Feedback, Prediction
from trimtab.serving.routes import Field
from trimtab.serving.segments import SegmentWriter


def prediction(number: int, size: int = 1) -> Prediction:
    return Prediction(
        f"p{number}",
        "m",
        "1",
        "champion",
        1,
        2,
        3,
        size,
        {"a": [1.5] * size, "s": ["x"] * size},
        [0] * size,
        200,
    )


LABEL = Feedback("p0", None, 1, 5, 6, "m")


def write(
    folder: Path, act: Callable[[SegmentWriter], None], *, wait_s: float = 0.0, close: bool = True
) -> SegmentWriter:
    async def main() -> SegmentWriter:
        writer = SegmentWriter(folder)
        act(writer)
        await asyncio.sleep(wait_s)
        if close:
            writer.close()
        return writer

    return asyncio.run(main())


def everything(folder: Path) -> list[records.Record]:
    return [record for path in segments.sealed(folder) for record in segments.read(path)]


def still_open(folder: Path) -> list[Path]:
    return list(folder.glob("*.open"))


def test_records_come_back_as_they_were(tmp_path: Path) -> None:
    failed = Prediction(
        "p1", "m", "1", "shadow", 1, 2, 3, 1, {"a": [None]}, [], 500, "it failed", [[0.1, 0.9]]
    )

    def act(writer: SegmentWriter) -> None:
        for record in (prediction(0, 3), failed, LABEL):
            writer.append(record)

    writer = write(tmp_path, act)
    assert everything(tmp_path) == [prediction(0, 3), failed, LABEL]
    assert (writer.written, writer.lost, writer.sealed) == (3, 0, 1)


def test_files_of_the_release_before_are_read(tmp_path: Path) -> None:
    record = ["p", "id", "m", "1", "champion", 1, 2, 3, 2, {"s": ["x", "y"]}, [0, 1], 200, None, None]
    packed = struct.pack("<2d", 1.5, 2.5)
    bodies = [
        ["l", 1, [{"name": "a", "type": "double"}]],
        [*record, packed, 1, True],
        [*record, None, 0, False],
    ]
    encoded = [msgspec.msgpack.encode(body) for body in bodies]
    frames = [struct.pack("<II", len(body), zlib.crc32(body)) + body for body in encoded]
    (tmp_path / "1.seg").write_bytes(b"".join(frames))
    first, second = everything(tmp_path)
    assert isinstance(first, Prediction)
    assert isinstance(second, Prediction)
    assert (first.id, first.route, first.columns) == ("id", "cached", {"a": [1.5, 2.5], "s": ["x", "y"]})
    assert (second.route, second.outputs) == ("", [0, 1])


def test_records_are_in_the_file_at_the_end_of_the_turn(tmp_path: Path) -> None:
    async def main() -> None:
        writer = SegmentWriter(tmp_path)
        writer.append(prediction(0))
        await asyncio.sleep(0)
        (path,) = still_open(tmp_path)
        assert list(segments.read(path)) == [prediction(0)]
        writer.close()

    asyncio.run(main())


def test_a_file_is_complete_after_half_a_second_or_four_megabytes(tmp_path: Path) -> None:
    write(tmp_path, lambda writer: writer.append(prediction(0)), wait_s=0.8, close=False)
    assert everything(tmp_path) == [prediction(0)]

    def much(writer: SegmentWriter) -> None:
        for number in range(3):
            writer.append(prediction(number, 250_000))
            writer.flush()

    write(tmp_path / "much", much)
    sizes = [path.stat().st_size for path in segments.sealed(tmp_path / "much")]
    assert len(sizes) == 2
    assert segments.MAX_SEGMENT_BYTES <= sizes[0] < 2 * segments.MAX_SEGMENT_BYTES


def test_a_torn_end_costs_only_itself(tmp_path: Path) -> None:
    def act(writer: SegmentWriter) -> None:
        for number in range(5):
            writer.append(prediction(number))

    write(tmp_path, act)
    (path,) = segments.sealed(tmp_path)
    whole = path.read_bytes()
    size = len(whole) // 5
    for cut in (1, 7, 8, 9, size - 1):
        path.write_bytes(whole[: 3 * size + cut])
        assert [record.id for record in segments.read(path) if isinstance(record, Prediction)] == [
            "p0",
            "p1",
            "p2",
        ]
        assert segments.torn_bytes(path) == cut
    path.write_bytes(whole[: 3 * size] + bytes(size) + whole[4 * size :])
    assert len(list(segments.read(path))) == 3
    path.write_bytes(whole)
    assert segments.torn_bytes(path) == 0


def test_files_of_the_dead_are_adopted_and_those_of_the_living_are_not(tmp_path: Path) -> None:
    async def main() -> None:
        living = SegmentWriter(tmp_path)
        living.append(prediction(0))
        living.flush()
        (held,) = still_open(tmp_path)
        orphan = tmp_path / "0000000000000001-99-000001.open"
        shutil.copy(held, orphan)
        empty = tmp_path / "0000000000000001-99-000002.open"
        os.close(os.open(empty, os.O_CREAT))
        assert segments.adopt(tmp_path) == [orphan.with_suffix(".seg")]
        assert still_open(tmp_path) == [held]
        living.close()

    asyncio.run(main())
    assert everything(tmp_path) == [prediction(0), prediction(0)]


def test_adopting_takes_nothing_from_a_writer_at_work(tmp_path: Path) -> None:
    done = threading.Event()

    def keep_adopting() -> None:
        while not done.is_set():
            segments.adopt(tmp_path)

    def act(writer: SegmentWriter) -> None:
        for number in range(300):
            writer.append(prediction(number))
            writer.flush()
            writer.seal()

    thread = threading.Thread(target=keep_adopting)
    thread.start()
    try:
        write(tmp_path, act)
    finally:
        done.set()
        thread.join()
    assert len(everything(tmp_path)) == 300


def test_a_full_disk_costs_records_and_nothing_else(tmp_path: Path) -> None:
    """A limit on file sizes is the kernel's own refusal, as a full disk is: part of a record fits, the rest does not."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)

    async def main() -> SegmentWriter:
        writer = SegmentWriter(tmp_path)
        writer.append(prediction(0))
        assert writer.flush()
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, limit[1]))
            writer.append(prediction(1))
            writer.append(prediction(2))
            assert not writer.flush()
            writer.seal()
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, limit[1]))
            writer.append(prediction(3))
            assert not writer.flush()
            assert still_open(tmp_path) == []
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        writer.append(prediction(4))
        assert writer.flush()
        writer.close()
        return writer

    writer = asyncio.run(main())
    assert [record.id for record in everything(tmp_path) if isinstance(record, Prediction)] == ["p0", "p4"]
    assert (writer.written, writer.lost) == (2, 3)
    assert writer.problem
    assert all(segments.torn_bytes(path) == 0 for path in segments.sealed(tmp_path))


def test_a_value_that_cannot_be_written_costs_its_own_record(tmp_path: Path) -> None:
    odd = Prediction("odd", "m", "1", "champion", 1, 2, 3, 1, {"a": [2**70]}, [0], 200)

    def act(writer: SegmentWriter) -> None:
        writer.append(odd)
        writer.append(prediction(1))

    writer = write(tmp_path, act)
    assert everything(tmp_path) == [prediction(1)]
    assert writer.lost == 1


def test_files_are_private(tmp_path: Path) -> None:
    write(tmp_path, lambda writer: writer.append(LABEL))
    (path,) = segments.sealed(tmp_path)
    assert path.stat().st_mode & 0o077 == 0


def test_numbers_of_many_rows_are_arrays_in_the_file_and_the_same_values_for_readers(tmp_path: Path) -> None:
    kinds = {
        "double": [1.5, math.nan, None, 1e308, -0.0],
        "long": [2**53 + 1, -(2**63), None, 0, 7],
        "boolean": [True, None, False, True, True],
        "string": ["x", "é", None, "", "y"],
        "integer": [1, 2, 3, 4, 5],
        "float": ["masked", 1.0, 2.0, 3.0, 4.0],
    }
    fields = [Field(name, name, required=False) for name in kinds]
    columns = {name: values * 4 for name, values in kinds.items()}
    said = [0, 1, 1, 0, 1] * 4
    chances = [n / 40 for n in range(40)]
    outputs = [
        Output("predictions", "INT64", [20], said),
        Output("probabilities", "FP64", [20, 2], chances),
        Output("notes", "BYTES", [20], ["n"] * 20),
    ]
    lists, others, arrays = records.as_arrays(columns, outputs, fields)
    assert (lists.keys(), others, arrays.columns.keys()) == (
        {"string", "float"},
        outputs[2:],
        {"double", "long", "boolean", "integer"},
    )
    start = ("p", "m", "1", "champion", 1, 2, 3, 20)
    made = Prediction(*start, lists, [], 200, route="split", arrays=arrays)
    write(tmp_path, lambda writer: writer.append(made))
    (path,) = segments.sealed(tmp_path)
    assert list(segments.stored(path)) == [(made, ())]
    (found,) = segments.read(path)
    pairs = nest(chances, [20, 2])
    expected = Prediction(*start, columns, said, 200, probabilities=pairs, route="split")
    assert repr(found) == repr(msgspec.structs.replace(expected, columns=found.columns))  # NaN is not itself
    assert {name: repr(values) for name, values in found.columns.items()} == {
        name: repr(values) for name, values in columns.items()
    }


def test_a_record_of_another_release_costs_only_itself(tmp_path: Path) -> None:
    bodies = [msgspec.msgpack.encode(one) for one in (["x", 1], prediction(0), ["l", "no"], prediction(1))]
    frames = [struct.pack("<II", len(body), zlib.crc32(body)) + body for body in bodies]
    (tmp_path / "1.seg").write_bytes(b"".join(frames))
    assert everything(tmp_path) == [prediction(0), prediction(1)]
    assert segments.torn_bytes(tmp_path / "1.seg") == 0
