"""Event files: read as their own tools read them, followed while they grow, and written so that nothing is lost."""

import json
import math
import shutil
import struct
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.moving.conftest import EVENTS, history
from trimtab.moving import import_tensorboard
from trimtab.moving.model import Problem
from trimtab.moving.tensorboard import writing
from trimtab.moving.tensorboard.events import Batch, Decoder
from trimtab.moving.tensorboard.folder import EventRun
from trimtab.moving.tensorboard.frames import framed
from trimtab.moving.tensorboard.importing import TensorboardImport
from trimtab.science.crc32c import crc32c, masked, masked_all
from trimtab.sdk.client import Client

T = 1_700_000_000_123_456
EXPECTED = json.loads((EVENTS / "expected.json").read_text())


def read(folder: Path) -> tuple[Batch, list[Problem]]:
    """Return all that a folder's event files say."""
    run, whole, problems = EventRun("x", folder), Batch(), list[Problem]()
    for batch, progress in run.read(problems.append):
        run.progress = progress
        for tag, curve in batch.scalars.items():
            kept = whole.curves(tag)
            kept.steps += curve.steps
            kept.at_us += curve.at_us
            kept.values += curve.values
        whole.media += batch.media
        whole.session = batch.session if batch.session.params else whole.session
        whole.left_out |= batch.left_out
    return whole, problems


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_numbers_are_those_that_tensorboard_reads(name: str) -> None:
    """``expected.json`` is what TensorBoard's EventAccumulator makes of the files of PyTorch, tensorboardX and its own."""
    found, problems = read(EVENTS / name)
    assert problems == []
    shown = {
        tag: [
            [step, at, repr(value)] for step, at, value in zip(one.steps, one.at_us, one.values, strict=True)
        ]
        for tag, one in found.scalars.items()
    }
    assert shown == EXPECTED[name]


def test_media_and_parameters_are_read() -> None:
    torch, _ = read(EVENTS / "torch")
    assert {(one.kind, one.tag, one.step, one.suffix) for one in torch.media} == {
        ("text", "notes/text_summary", 1, "md"),
        ("image", "img", 5, "png"),
        ("histogram", "w", 7, "json"),
        ("audio", "snd", 1, "wav"),
    }
    bars = json.loads(next(one.content for one in torch.media if one.kind == "histogram"))
    assert (len(bars["edges"]), sum(bars["counts"])) == (len(bars["counts"]) + 1, 4)
    assert torch.left_out == {"pr_curves": 1}
    trial, _ = read(EVENTS / "torch" / "trial")
    assert trial.session.params == {"lr": "0.1", "bs": "32", "opt": "adam"}
    tensors, _ = read(EVENTS / "tf2")
    assert {one.kind for one in tensors.media} == {"histogram", "graph"}


POINTS = st.lists(
    st.tuples(
        st.integers(-(2**63), 2**63 - 1),
        st.integers(0, 2**50),
        st.floats(allow_nan=True, allow_infinity=True, width=64),
    ),
    max_size=50,
)


@given(POINTS, st.text(min_size=1, max_size=40))
def test_every_point_comes_back(points: list[tuple[int, int, float]], tag: str) -> None:
    tag = tag.encode(errors="replace").decode()
    records = list(writing.scalars(tag, points))
    data = b"".join(records)
    starts = [sum(map(len, records[:index])) for index in range(len(records))]
    batch = Batch()
    Decoder().decode(data, starts, [len(record) for record in records], batch)
    assert batch.malformed == 0
    found = batch.curves(tag)
    assert list(zip(found.steps, found.at_us, map(repr, found.values), strict=True)) == [
        (step, at, repr(value)) for step, at, value in points
    ]


def test_many_records_at_once_are_what_each_is_alone() -> None:
    values = [0.5, 1 / 3, math.nan, math.inf, -math.inf, 1e300, -2.0]
    steps = [0, 1, 127, 128, 20_000, 2**30, 2**40, -1]
    records = [writing.version(T)]
    for index in range(4000):
        tag = ("loss", "acc", "rare" if index % 1000 == 7 else "much/longer")[index % 3]
        step = steps[index % 8] if index % 11 == 0 else index
        records += writing.scalars(tag, [(step, T + index, values[index % 7])])
    records.insert(2000, b"\x09 no event \xff")
    records.insert(2100, writing.text("note", "hi", step=1, at_us=T))
    data = b"".join(records)
    lengths = [len(record) for record in records]
    starts = [sum(lengths[:index]) for index in range(len(records))]
    together, alone = Batch(), Batch()
    Decoder().decode(data, starts, lengths, together)
    each = Decoder()
    for start, length in zip(starts, lengths, strict=True):
        each.decode(data, [start], [length], alone)

    def points(batch: Batch) -> list[tuple[Any, ...]]:
        return sorted(
            (tag, step, at, repr(value))
            for tag, one in batch.scalars.items()
            for step, at, value in zip(one.steps, one.at_us, one.values, strict=True)
        )

    assert points(together) == points(alone)
    assert len(points(together)) == 4000
    assert (together.malformed, together.first_us, together.last_us) == (1, T, T + 3999)
    assert (alone.malformed, alone.last_us, len(together.media)) == (1, T + 3999, 1)


@given(st.binary(max_size=300))
def test_no_record_makes_reading_fail(data: bytes) -> None:
    batch = Batch()
    Decoder().decode(data, [0], [len(data)], batch)
    Decoder().decode(b"\x2a" + bytes([len(data) % 128]) + data, [0], [len(data) + 2], batch)


def test_checksums_are_those_of_the_field() -> None:
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4
    assert crc32c(bytes(range(32))) == 0x46DD794E
    data = bytes(i * 7 & 0xFF for i in range(200_000))
    assert masked_all(data, [0, 100, 65_000], [100_001, 33, 70_000]) == [
        masked(crc32c(data[first : first + size]))
        for first, size in ((0, 100_001), (100, 33), (65_000, 70_000))
    ]


def event_file(folder: Path, *, points: int = 100, name: str = "events.out.tfevents.1.h.1.0") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    records = [writing.version(T), *writing.scalars("loss", [(i, T + i, i / 3) for i in range(points)])]
    (folder / name).write_bytes(b"".join(framed(records)))
    return folder / name


def test_half_a_record_waits_for_its_rest(tmp_path: Path) -> None:
    whole = event_file(tmp_path / "whole").read_bytes()
    target = tmp_path / "run" / "events.out.tfevents.1.h.1.0"
    target.parent.mkdir()
    run, seen, problems = EventRun("x", target.parent), 0, list[Problem]()
    for end in (5, 30, 50, 51, 700, 701, 702, len(whole) - 1, len(whole)):
        target.write_bytes(whole[:end])
        for batch, progress in run.read(problems.append):
            run.progress = progress
            seen += sum(len(one.steps) for one in batch.scalars.values())
    assert (seen, problems) == (100, [])
    target.write_bytes(whole + bytes(100))  # given out by the file system and not filled yet
    assert sum(len(batch.scalars) for batch, _ in run.read(problems.append)) == 0
    assert problems == []


def test_damage_is_told_and_the_rest_is_read(tmp_path: Path) -> None:
    file = event_file(tmp_path / "a")
    data = bytearray(file.read_bytes())
    data[data.index(b"loss") + 1] ^= 1  # in the second record, whose checksum no longer fits
    file.write_bytes(data)
    found, problems = read(tmp_path / "a")
    assert [len(one.steps) for one in found.scalars.values()] == [99]
    assert "1 damaged" in problems[0].what
    struct.pack_into(
        "<Q", data, len(data) // 2, 2**60
    )  # amid the file: a length that is none, sooner or later
    file.write_bytes(data[:400] + bytes([1, 2, 3]) + data[400:])
    found, problems = read(tmp_path / "a")
    assert 0 < sum(len(one.steps) for one in found.scalars.values()) < 99
    assert any("checksum" in one.what for one in problems)
    huge = struct.pack("<Q", 2**40)
    file.write_bytes(huge + struct.pack("<I", masked(crc32c(huge))) + bytes(50))
    assert "checksum" in read(tmp_path / "a")[1][0].what


def test_a_log_folder_comes_over_once(client: Client, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    for name in ("torch", "tf2", "x"):
        shutil.copytree(EVENTS / name, logs / name)
    seen = import_tensorboard(logs, experiment="boards", dry_run=True, client=client)
    assert (seen.runs["created"], client.get("/experiments", filter="name = 'boards'")["items"]) == (4, [])
    report = import_tensorboard(logs, experiment="boards", client=client)
    assert (report.problems, report.runs["created"]) == ([], 4)
    assert any("pr_curves" in note for note in report.notes)
    assert any("acc (val)" in note for note in report.notes)
    runs = {
        one["name"]: one for one in client.get("/runs", experiment_id=report.experiments[0]["ours"])["items"]
    }
    assert runs.keys() == {"torch", "torch/trial", "tf2", "x"}
    assert runs["torch/trial"]["params"] == {"lr": "0.1", "bs": "32", "opt": "adam"}
    assert runs["torch/trial"]["tags"]["mlflow.parentRunId"] == runs["torch"]["id"]
    assert {one["status"] for one in runs.values()} == {"FINISHED"}
    assert runs["x"]["ended_us"] >= runs["x"]["started_us"] > T
    torch = runs["torch"]["id"]
    expected = [(step, at, str(float(value))) for step, at, value in EXPECTED["torch"]["acc (val)"]]
    assert history(client, torch, "acc%20_val_") == expected
    assert [value for _, _, value in history(client, torch, "bad")] == ["nan", "inf"]
    picture = b"".join(client.download(f"/runs/{torch}/artifacts/tensorboard/images/img/00000005.png"))
    assert picture.startswith(b"\x89PNG")
    text = b"".join(
        client.download(f"/runs/{torch}/artifacts/tensorboard/text/notes/text_summary/00000001.md")
    )
    assert text == b"hello **world**"
    moved = tmp_path / "elsewhere"
    logs.rename(moved)
    again = import_tensorboard(moved, experiment="boards", client=client)
    assert (again.runs["unchanged"], again.points, again.files) == (4, 0, 0)


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_folder_is_followed(client: Client, tmp_path: Path) -> None:
    folder = tmp_path / "live"
    folder.mkdir()
    stop, lines = threading.Event(), list[str]()
    moving = TensorboardImport(client, folder, experiment="live")

    def work() -> None:
        moving.watch(stop=stop, period_s=0.02, finished_after_s=0.3, say=lines.append)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        whole = event_file(tmp_path / "whole").read_bytes()
        file = folder / "run" / "events.out.tfevents.1.h.1.0"
        file.parent.mkdir()
        with file.open("wb", buffering=0) as writer:  # in pieces that end anywhere
            for first in range(0, len(whole), 777):
                writer.write(whole[first : first + 777])
                time.sleep(0.01)
        wait_for(lambda: moving.report.points == 100)
        event_file(file.parent, points=150, name="events.out.tfevents.2.h.1.0")  # the training began anew
        wait_for(lambda: moving.report.points == 250)
        wait_for(lambda: "run: finished" in lines)
    finally:
        stop.set()
        thread.join(10)
    assert moving.report.problems == []
    (run,) = client.get("/runs", experiment_id=moving.report.experiments[0]["ours"])["items"]
    assert run["status"] == "FINISHED"
    assert len(history(client, run["id"], "loss")) == 150  # those that came twice count once
    client.patch(f"/runs/{run['id']}", {"name": "mine"})
    fresh = TensorboardImport(client, folder, experiment="live")  # a process that knows nothing goes on
    with file.open("ab") as writer:
        writer.writelines(framed(writing.scalars("loss", [(500, T, 0.0)])))
    report = fresh.once()
    assert (report.runs["updated"], report.points) == (1, 1)
    shown = client.get(f"/runs/{run['id']}")
    assert (shown["name"], shown["metrics"]["loss"]["step"]) == ("mine", 500)


def test_parameters_come_back_as_they_were() -> None:
    params = {
        "a": "100",
        "b": "100.0",
        "c": "0.10",
        "d": "1e-05",
        "e": "nan",
        "f": "adam",
        "g": "-3",
        "h": "1_000",
    }
    batch = Batch()
    records = [
        writing.session_start(params, group="g", started_us=T),
        writing.session_end("FAILED", ended_us=T + 1),
        writing.text("note", "# hi", step=0, at_us=T),
    ]
    for record in records:
        Decoder().decode(record, [0], [len(record)], batch)
    assert batch.session.params == params
    assert (
        records[0].count(b"\x42\x06\x08\x01\x12\x02\x12\x00") == 1
    )  # the tensor without which it is not listed
    assert (batch.session.status, batch.session.ended_us) == ("FAILED", T + 1)
    assert [one.content for one in batch.media] == [b"# hi"]
    assert math.isclose(batch.session.started_us or 0, T)
