"""The spool: what was appended is read back, whatever happened to the process, the disk or the room there was."""

import os
import resource
import signal
import threading
from pathlib import Path

import pytest

from trimtab.sdk import entries
from trimtab.sdk.spool import FIELDS, POINTS, Spool, new_head
from trimtab.sdk.spool_reader import Reader, claim, heads


def made(folder: Path, *, most: int | None = None) -> Spool:
    head = new_head(run_id="a" * 32, url="http://x", session=os.urandom(4).hex(), owner=True, create={})
    return Spool(head, folder=folder, most=most)


def payloads(reader: Reader) -> list[bytes]:
    found: list[bytes] = []
    while (frames := reader.read(most=100)) or reader.behind:
        found += [payload for _, _, payload, _ in frames]
        if frames:
            reader.commit(frames[-1][3])
    return found


def test_what_is_appended_is_read_in_order(tmp_path: Path) -> None:
    spool = made(tmp_path)
    assert spool.folder is not None
    wanted = [b"%d" % at * 4000 for at in range(2500)]  # several segments
    for one in wanted:
        assert spool.append(POINTS, 1, one)
    assert len([*spool.folder.glob("*.log")]) > 3
    reader = Reader(spool.folder, spool=spool)
    assert payloads(reader) == wanted
    assert len([*spool.folder.glob("*.log")]) == 1  # the room is given back as it is read
    assert spool.held_bytes < 5 << 20
    assert spool.append(FIELDS, 1, b"more")
    again = Reader(spool.folder)
    assert payloads(again) == [b"more"]
    assert again.damaged == 0


def test_a_torn_end_is_left_out(tmp_path: Path) -> None:
    spool = made(tmp_path)
    assert spool.folder is not None
    for at in range(3):
        spool.append(POINTS, 1, b"payload %d" % at)
    spool.forget()
    (segment,) = spool.folder.glob("*.log")
    whole = segment.read_bytes()
    for cut in range(len(whole)):
        segment.write_bytes(whole[:cut])
        assert len(payloads(Reader(spool.folder))) == cut // (len(whole) // 3)
        (spool.folder / "sent").unlink(missing_ok=True)
    (spool.folder / "00000002.log").write_bytes(whole)
    segment.write_bytes(whole + bytes(3 << 20))  # what a loss of power leaves
    assert len(payloads(Reader(spool.folder))) == 6
    (spool.folder / "sent").unlink()
    segment.write_bytes(whole.replace(b"payload 1", b"payl\0ad 1"))
    (spool.folder / "00000002.log").write_bytes(whole.replace(b"payload 2", b"payload X"))
    reader = Reader(spool.folder)
    assert payloads(reader) == [b"payload 0", b"payload 2", b"payload 0", b"payload 1"]
    assert reader.damaged >= 2


def test_the_room_is_bounded_and_the_end_always_fits(tmp_path: Path) -> None:
    spool = made(tmp_path, most=100_000)
    assert spool.folder is not None
    kept = sum(spool.append(POINTS, 1, b"x" * 100) for _ in range(2000))
    assert 850 < kept < 1000
    assert (spool.dropped, spool.appended) == (2000 - kept, kept)
    assert spool.append(FIELDS, 1, b"the end", must=True)
    assert spool.add_file(b"y" * 1000) is None
    assert sum(file.stat().st_size for file in spool.folder.glob("*.log")) <= 100_100
    reader = Reader(spool.folder, spool=spool)
    assert len(payloads(reader)) == kept + 1
    assert spool.append(POINTS, 1, b"z" * 100)  # there is room again
    assert not spool.append(POINTS, 1, b"z" * (2 << 20))


def test_a_disk_that_is_full_is_not_felt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes beyond the limit of the process fail like those to a full disk, in part at first."""
    monkeypatch.setattr("trimtab.sdk.spool._DISK_PAUSE_S", 0.0)
    spool = made(tmp_path)
    assert spool.folder is not None
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1050, before[1]))
        assert all(spool.append(POINTS, 1, b"%04d" % at * 25) for at in range(30))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert spool.append(POINTS, 1, b"%04d" % 30 * 25)
    assert spool.appended == 31
    reader = Reader(spool.folder, spool=spool)
    found = payloads(reader) + [one[12:] for one in spool.take_memory()]
    assert found == [b"%04d" % at * 25 for at in range(31)]
    assert reader.damaged == 0


def test_no_folder_means_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    spool = made(tmp_path / "file")
    assert spool.folder is None
    assert spool.append(POINTS, 1, b"kept")
    assert [one[12:] for one in spool.take_memory()] == [b"kept"]
    spool.close(remove=True)


def test_threads_and_signal_handlers_may_write(tmp_path: Path) -> None:
    spool = made(tmp_path)
    assert spool.folder is not None
    count = 0

    def handler(*_: object) -> None:
        nonlocal count
        count += 1
        spool.append(POINTS, 1, b"signal")

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
    try:
        threads = [
            threading.Thread(target=lambda: [spool.append(POINTS, 1, b"thread") for _ in range(2000)])
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for _ in range(10_000):
            spool.append(POINTS, 1, b"main")
        for thread in threads:
            thread.join()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    found = payloads(Reader(spool.folder))
    assert (found.count(b"main"), found.count(b"thread"), found.count(b"signal")) == (10_000, 6000, count)
    assert spool.appended == len(found)


def test_only_one_may_send(tmp_path: Path) -> None:
    spool = made(tmp_path)
    ((folder, head),) = heads(tmp_path)
    assert claim(folder, head) is None
    spool.forget()
    found = claim(folder, head)
    assert found is not None
    assert claim(folder, head) is None
    found.remove()
    found.__exit__()
    assert heads(tmp_path) == []
    assert claim(folder, head) is None


def test_bodies_and_their_parts() -> None:
    frames = [
        (POINTS, 1, entries.point("a", float("nan"), 1, 5)),
        entries.points([("b", 2.0, 1), ("c", float("-inf"), 1)], 6),
        entries.fields("params", {"p": "1"}),
        entries.fields("params", {"p": "2", "q": "3"}),
        entries.fields("tags", {"t": "1"}),
        entries.fields("tags", {"t": "2"}),
    ]
    import json

    body = json.loads(bytes(entries.body(frames)))
    assert [(one["key"], one["value"]) for one in body["metrics"]] == [
        ("a", "NaN"),
        ("b", 2.0),
        ("c", "-Infinity"),
    ]
    assert (body["params"], body["tags"]) == ({"p": "1", "q": "3"}, {"t": "2"})
    assert [len(entries.split(one)) for one in frames] == [1, 2, 1, 2, 1, 1]
    assert [entries.name_of(one) for one in frames[:3]] == ["the metric 'a'", "2 points", "the parameter 'p'"]
