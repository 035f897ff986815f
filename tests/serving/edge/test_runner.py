"""A device with a real bundle: predicting alone, forwarding, updating, and refusing what it must not take."""

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.serving.edge.conftest import changed
from trimtab.serving.edge.home import Home
from trimtab.serving.edge.model import BadRows
from trimtab.serving.edge.runner import Runner, Unreachable, main
from trimtab.serving.edge.store import Store
from trimtab.serving.edge.verify import Refused

ROWS = {"a": [0.5, -2.0], "b": [1.0, 0.25]}


class Server:
    """What a device asks for and hands over, in the place of the real one, which its own tests ask."""

    def __init__(self) -> None:
        self.bundle: Path | None = None
        self.sequence = 1
        self.delivered: list[dict[str, Any]] = []
        self.status = 200
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                assert server.bundle is not None
                if self.path.endswith("/file"):
                    self._send(server.bundle.read_bytes())
                else:
                    size = server.bundle.stat().st_size
                    self._send(json.dumps({"sequence": server.sequence, "size_bytes": size}).encode())

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if server.status == 200:
                    server.delivered.append(body)
                self._send(json.dumps({"taken": len(body["predictions"])}).encode())

            def _send(self, body: bytes) -> None:
                self.send_response(server.status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None: ...

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, first_zip: Path) -> Iterator[Server]:
    running = Server()
    running.bundle = first_zip
    monkeypatch.setenv("TRIMTAB_URL", running.url)
    yield running
    running.http.shutdown()
    running.http.server_close()


def runner_of(device: Path, **more: Any) -> Runner:
    home = Home(device / "home")
    if not home.installed:
        home.install(device)
    return Runner(home, **more)


def offer(server: Server, first: Path, folder: Path, sequence: int, change: Any = None, **how: Any) -> None:
    """Have the server offer a bundle of this number."""

    def apply(manifest: dict[str, Any], files: dict[str, bytes]) -> None:
        manifest["sequence"] = sequence
        manifest["version"] = "4"
        if change:
            change(manifest, files)

    server.bundle = changed(first, folder / f"{sequence}.zip", apply, **how)
    server.sequence = sequence


def test_a_bundle_runs_without_trimtab(device: Path) -> None:
    """By itself, in an interpreter that knows only numpy and ONNX Runtime."""
    body = json.dumps([{"a": 0.5, "b": 1.0}, {"a": -2.0, "b": 0.25}])
    code = (
        "import sys; sys.modules['trimtab'] = None; sys.argv = ['runner.py', 'predict'];"
        " sys.path.insert(0, '.'); import runpy; runpy.run_path('runner.py', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=body, cwd=device, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["version"] == "3"
    first, second = answer["predictions"]
    assert 0.5 < first < 1
    assert 0 < second < 0.1


def test_what_was_predicted_offline_is_forwarded_when_the_server_answers(
    device: Path, server: Server
) -> None:
    server.status = 503
    runner = runner_of(device)
    ids = [runner.predict(ROWS)["prediction_id"] for _ in range(3)]
    with pytest.raises(Unreachable, match="503"):
        runner.forward()
    runner.store.close()
    runner = runner_of(device)  # the device was switched off and on
    ids.append(runner.predict({"a": [1], "b": [2]})["prediction_id"])
    server.status = 200
    assert runner.forward() == 4
    assert len(set(ids)) == 4
    sent = [one for delivery in server.delivered for one in delivery["predictions"]]
    assert [one["id"] for one in sent] == ids
    assert sent[0]["columns"] == ROWS
    assert len(sent[0]["outputs"]) == 2
    numbers = [delivery["number"] for delivery in server.delivered]
    assert numbers == sorted(set(numbers))
    assert runner.forward() == 0


def test_what_must_not_be_written_down_is_not_on_the_devices_disk(
    device: Path, server: Server, first_zip: Path, tmp_path: Path
) -> None:
    runner = runner_of(device)
    (before,) = runner.predict({"a": [0.1234567], "b": [7654.321]})["predictions"]

    def ruled(manifest: dict[str, Any], _: dict[str, bytes]) -> None:
        manifest["rules"] = {
            "a": {"kind": "hash"},
            "b": {"kind": "generalise", "by": "1000"},
            "predictions": {"kind": "invented later"},
        }

    offer(server, first_zip, tmp_path, 2, ruled)
    assert runner.sync()["updated"] == 2
    server.delivered.clear()
    rows = {"a": [0.1234567, 0.1234567, 1.0], "b": [7654.321, -1, 12]}
    answer = runner.predict(rows)
    assert answer["predictions"][0] == before, "the caller and the model see what was asked"
    runner = runner_of(device)
    runner.predict({"a": [1], "b": [3]})
    runner.store.close()
    for path in device.rglob("*"):
        assert not path.is_file() or not any(
            raw in path.read_bytes() for raw in (b"0.1234567", b"7654.321")
        ), path
    assert runner.forward() == 2
    first, second = (one for delivery in server.delivered for one in delivery["predictions"])
    (one, same, whole), edges = first["columns"]["a"], first["columns"]["b"]
    assert one == same != whole
    assert len(bytes.fromhex(one)) == 16
    assert second["columns"]["a"] == [whole], "1 and 1.0, before and after the device was switched off"
    assert (edges, first["outputs"]) == ([7000.0, -1000.0, 0.0], [None] * 3)
    key = device / "home" / "rules.key"
    assert (key.stat().st_mode & 0o777, len(key.read_bytes())) == (0o600, 32)


def test_what_the_server_will_never_take_does_not_block_the_rest(device: Path, server: Server) -> None:
    runner = runner_of(device)
    runner.predict(ROWS)
    server.status = 400
    assert runner.forward() == 0
    server.status = 200
    runner.predict(ROWS)
    assert runner.forward() == 1
    assert server.delivered[0]["lost"] == 1


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ({"a": [1.0]}, "'b' is missing"),
        ({"a": [1.0], "b": [None]}, "'b', row 0 has no value"),
        ({"a": [1.0], "b": ["x"]}, "'b', row 0 is not a number"),
        ({"a": [1.0, 2.0], "b": [1.0]}, "'b' has 1 values of 2"),
        ({"a": [float("inf")], "b": [1.0]}, "'a', row 0 is not a number"),
        ({}, "no rows"),
        ({"a": [0.0] * 20_001, "b": [0.0] * 20_001}, "more than 20000 rows"),
    ],
)
def test_rows_that_do_not_fit_are_named(device: Path, rows: Any, told: str) -> None:
    with pytest.raises(BadRows, match=told):
        runner_of(device).predict(rows)


def test_a_newer_bundle_is_taken_and_the_former_kept(
    device: Path, server: Server, first_zip: Path, tmp_path: Path
) -> None:
    runner = runner_of(device)
    assert runner.update() is None
    for sequence in (2, 5, 6):
        offer(server, first_zip, tmp_path, sequence)
        assert runner.update() == sequence
        assert runner.predict(ROWS)["version"] == "4"
    assert runner.home.state["former"] == 5
    assert sorted(path.name for path in (device / "home" / "bundles").iterdir()) == ["00000005", "00000006"]
    assert runner_of(device).model.sequence == 6


def test_an_older_bundle_played_again_is_refused(
    device: Path, server: Server, first_zip: Path, tmp_path: Path
) -> None:
    runner = runner_of(device)
    offer(server, first_zip, tmp_path, 4)
    assert runner.update() == 4
    offer(server, first_zip, tmp_path, 3)
    server.sequence = 9  # the server, or who speaks for it, says that it is newer
    assert runner.update() is None
    assert "has number 3, and 4 was here already" in runner.home.state["refused"]["reason"]
    assert runner.home.state["current"] == 4
    runner.home.roll_back("by hand")
    offer(server, first_zip, tmp_path, 4)
    assert runner.update() is None, "also after a roll-back nothing is taken twice"


def _swap_graph(manifest: dict[str, Any], files: dict[str, bytes]) -> None:
    files["model.onnx"] = b"no graph"


def _other_channel(manifest: dict[str, Any], files: dict[str, bytes]) -> None:
    manifest["channel"] = "other@champion"


def _other_reference(manifest: dict[str, Any], files: dict[str, bytes]) -> None:
    reference = json.loads(files["reference.json"])
    reference["predictions"][1] = 0.9
    files["reference.json"] = json.dumps(reference).encode()


@pytest.mark.parametrize(
    ("change", "how", "told"),
    [
        (None, {"key": Ed25519PrivateKey.generate()}, "not that of the key"),
        (_swap_graph, {"hashes": False}, "not the file that was signed"),
        (_swap_graph, {}, "the model cannot be tried"),
        (_other_channel, {}, "of other@champion"),
        (_other_reference, {}, "reference row 1 gives"),
    ],
)
def test_a_bad_bundle_is_refused_and_the_present_one_goes_on(
    device: Path, server: Server, first_zip: Path, tmp_path: Path, change: Any, how: Any, told: str
) -> None:
    runner = runner_of(device)
    offer(server, first_zip, tmp_path, 2, change, **how)
    assert runner.update() is None
    refused = runner.home.state["refused"]
    assert refused["sequence"] == 2
    assert told in refused["reason"]
    assert runner.predict(ROWS)["version"] == "3"
    assert not (device / "home" / "incoming").exists()
    server.bundle = None  # it is not even fetched again
    server.bundle = first_zip
    assert runner.update() is None
    runner.forward()
    assert told in server.delivered[-1]["refused"]["reason"]


def test_paths_out_of_a_bundle_and_damaged_archives_are_refused(
    device: Path, server: Server, first_zip: Path, tmp_path: Path
) -> None:
    runner = runner_of(device)

    def outside(manifest: dict[str, Any], files: dict[str, bytes]) -> None:
        files["../../outside"] = b"x"

    offer(server, first_zip, tmp_path, 2, outside)
    assert runner.update() is None
    assert "outside of the bundle" in runner.home.state["refused"]["reason"]
    server.bundle = tmp_path / "torn.zip"
    server.bundle.write_bytes(first_zip.read_bytes()[:1000])
    server.sequence = 3
    assert runner.update() is None
    assert "damaged" in runner.home.state["refused"]["reason"]


def test_a_bundle_that_was_changed_on_the_device_is_not_used(
    device: Path, server: Server, first_zip: Path, tmp_path: Path
) -> None:
    runner = runner_of(device)
    offer(server, first_zip, tmp_path, 2)
    assert runner.update() == 2
    bundles = device / "home" / "bundles"
    with (bundles / "00000002" / "model.onnx").open("r+b") as file:
        file.write(b"x")
    again = runner_of(device)
    assert again.model.sequence == 1, "the former one takes over"
    assert "was changed on this device" in again.home.state["refused"]["reason"]
    assert again.update() is None, "and the number stays used"
    (bundles / "00000001" / "reference.json").write_bytes(b"{}")
    with pytest.raises(Refused, match=r"reference\.json is not the file that was signed"):
        runner_of(device)


def test_the_first_key_is_the_one_that_is_trusted(device: Path) -> None:
    with pytest.raises(Refused, match="key is"):
        Home(device / "home").install(device, key="00" * 16)
    trust = json.loads((device / "trust.json").read_text())
    (device / "trust.json").write_text(json.dumps({**trust, "key": "A" * 43 + "="}))
    with pytest.raises(Refused):
        Home(device / "home").install(device)
    assert main(["status"], bundle=device) == 1


def test_a_full_disk_stops_neither_predictions_nor_the_present_bundle(
    device: Path, server: Server, first_zip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = runner_of(device)
    runner.predict(ROWS)
    write = os.write

    def full(descriptor: int, data: bytes) -> int:
        write(descriptor, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("trimtab.serving.edge.store.os.write", full)
        assert runner.predict(ROWS)["predictions"]
    runner.predict(ROWS)
    assert runner.store.lost == 1
    offer(server, first_zip, tmp_path, 2)

    def no_room(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("trimtab.serving.edge.home._unpack", no_room)
        with pytest.raises(Unreachable, match="No space left"):
            runner.update()
    assert runner.home.state["current"] == 1
    assert runner.update() == 2, "and it is tried again when there is room"
    assert runner.forward() == 2
    assert server.delivered[0]["lost"] == 1
    assert runner.store.lost == 0


def test_the_store_is_bounded_and_loses_the_oldest(tmp_path: Path) -> None:
    store = Store(tmp_path, most_bytes=600_000)
    for number in range(1000):
        assert store.append({"number": number, "text": "x" * 1000})
    waiting = store.waiting()
    kept = [one["number"] for _, path in waiting for one in store.read(path)]
    assert sum(path.stat().st_size for _, path in waiting) <= 600_000
    assert kept == list(range(1000 - len(kept), 1000))
    assert store.lost == 1000 - len(kept)
    assert not Store(tmp_path / "tiny", most_bytes=10).append({"number": 1})


def test_a_torn_line_costs_no_other(tmp_path: Path) -> None:
    store = Store(tmp_path, most_bytes=1 << 20)
    for number in range(3):
        store.append({"number": number})
    (left,) = tmp_path.glob("*.open")
    copy = tmp_path / "other"
    copy.mkdir()
    shutil.copy(left, copy / left.name)
    with (copy / left.name).open("ab") as file:
        file.write(b'{"number": 3')
    again = Store(copy, most_bytes=1 << 20)
    ((_, path),) = again.waiting()
    assert [one["number"] for one in again.read(path)] == [0, 1, 2]


def test_commands(device: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps({"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]}}))
    assert main(["predict", str(rows)], bundle=device) == 0
    assert len(json.loads(capsys.readouterr().out)["predictions"]) == 1
    assert main(["check"], bundle=device) == 0
    assert json.loads(capsys.readouterr().out)["problem"] is None
    assert main(["status"], bundle=device) == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["current"], status["waiting"], status["version"]) == (1, 1, "3")
    rows.write_text("[1]")
    assert main(["predict", str(rows)], bundle=device) == 1
    assert "give a list of rows" in capsys.readouterr().err
    assert main(["sync"], bundle=device) == 5


def test_bundles_hold_what_they_need_and_nothing_of_the_server(first_zip: Path) -> None:
    with zipfile.ZipFile(first_zip) as archive:
        names = set(archive.namelist())
        text = b"".join(archive.read(name) for name in names if name.endswith(".py")).decode()
    assert {"bundle.json", "bundle.sig", "trust.json", "model.onnx", "reference.json", "runner.py"} < names
    assert "import trimtab" not in text
    assert "from trimtab" not in text
