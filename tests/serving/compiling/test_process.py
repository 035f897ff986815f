"""The compiler as a process: limits end it, faults become verdicts, and it sees no secrets."""

import pickle
import time
from pathlib import Path

import msgspec
import pytest

from trimtab.serving.compiling.process import Limits, run

SIGNATURE = {"inputs": msgspec.json.encode([{"name": "a", "type": "double"}]).decode()}


class Hostile:
    """Runs a line of code when it is unpickled."""

    def __init__(self, code: str) -> None:
        self._code = code

    def __reduce__(self) -> tuple[object, ...]:
        return exec, (self._code,)


def _folder(root: Path, code: str) -> Path:
    folder = root / "model"
    folder.mkdir()
    flavor = {"pickled_model": "model.pkl", "serialization_format": "pickle"}
    (folder / "MLmodel").write_bytes(
        msgspec.json.encode({"flavors": {"sklearn": flavor}, "signature": SIGNATURE})
    )
    (folder / "model.pkl").write_bytes(pickle.dumps(Hostile(code)))
    return folder


def test_what_is_given_up_is_killed_with_its_children(tmp_path: Path) -> None:
    written = tmp_path / "pid"
    code = (
        "import os, subprocess, time\n"
        "child = subprocess.Popen(['sleep', '60'])\n"
        f"open({str(tmp_path / 'new')!r}, 'w').write(str(child.pid)); os.rename({str(tmp_path / 'new')!r}, {str(written)!r})\n"
        "time.sleep(60)"
    )

    def give_up() -> None:
        if written.exists():
            raise InterruptedError

    with pytest.MonkeyPatch.context() as patch, pytest.raises(InterruptedError):
        patch.setattr("trimtab.serving.compiling.process._TELL_S", 0.0)
        run(_folder(tmp_path, code), tmp_path / "out", allow_pickle=True, tick=give_up)
    child = Path("/proc") / written.read_text()
    deadline = time.monotonic() + 5
    while child.exists() and " Z " not in (child / "stat").read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not child.exists() or " Z " in (child / "stat").read_text()


def test_what_hangs_is_ended(tmp_path: Path) -> None:
    folder = _folder(tmp_path, "import time; time.sleep(60)")
    verdict = run(folder, tmp_path / "out", allow_pickle=True, limits=Limits(wall_s=1))
    assert (verdict.state, "longer than 1 seconds" in verdict.message) == ("failed", True)


def test_memory_processor_time_and_privileges_are_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "s3cret")
    seen = tmp_path / "seen"
    code = (
        "import os\n"
        f"open({str(seen)!r}, 'w').write(open('/proc/self/status').read() + str(sorted(os.environ)))\n"
        "held = bytearray(3 << 30)"
    )
    folder = _folder(tmp_path, code)
    verdict = run(folder, tmp_path / "out", allow_pickle=True, limits=Limits(memory_mb=1024))
    assert (verdict.state, "memory" in verdict.message) == ("failed", True), verdict.message
    text = seen.read_text()
    assert "NoNewPrivs:\t1" in text
    assert "SECRET_TOKEN" not in text


def test_a_process_that_ends_itself_is_a_failure_and_pickles_need_a_word(tmp_path: Path) -> None:
    folder = _folder(tmp_path, "import os; print('goodbye', flush=True); os._exit(9)")
    assert "pickle" in run(folder, tmp_path / "out").message
    verdict = run(folder, tmp_path / "out", allow_pickle=True)
    assert (verdict.state, verdict.message.endswith("ended with 9: goodbye.")) == ("failed", True), verdict
    assert not (tmp_path / "out" / "model.onnx").exists()
