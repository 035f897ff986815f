"""Runs the installer and trials: with a time limit, in a session of their own, told of in plain words when they fail."""

import os
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import msgspec

_LOOK_S = 0.05
_TELL_S = 5.0
_MOST_OUTPUT = 65_536
_PASSED = frozenset(
    (
        *(
            "PATH",
            "HOME",
            "LANG",
            "LC_ALL",
            "TMPDIR",
            "NETRC",
            "XDG_CONFIG_HOME",
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
        ),
        *(
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "ALL_PROXY",
            "NO_PROXY",
            "http_proxy",
            "https_proxy",
            "all_proxy",
            "no_proxy",
        ),
    )
)
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_FRAME = re.compile(r"[×╰├│─▶]+")  # noqa: RUF001 - what the installer draws


class Ended(msgspec.Struct, frozen=True):
    """How a process ended. ``code`` is None for one that took too long."""

    code: int | None
    output: str
    errors: str
    took_s: float


def find_uv() -> str | None:
    """Return where uv is: from its package beside us, or on the PATH."""
    if find_spec("uv") is not None:
        import uv

        with suppress(FileNotFoundError):
            return str(uv.find_uv_bin())
    return shutil.which("uv")


def installer_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what the installer may see: its own configuration and how to reach the index, and no secret of ours."""
    chosen = {
        name: value
        for name, value in environment.items()
        if name in _PASSED or (name.startswith("UV_") and name not in ("UV_PYTHON", "UV_PROJECT_ENVIRONMENT"))
    }
    return {**chosen, "NO_COLOR": "1", "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}


def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    most_s: float,
    memory_bytes: int | None = None,
    tick: Callable[[], None] = lambda: None,
) -> Ended:
    """Run a command to its end. ``tick`` is called every few seconds; what it raises ends the process.

    ``memory_bytes`` is the most that it may ask for; its processor time is at most ``most_s`` for each of two threads.
    """
    started = told = time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        if memory_bytes is not None:
            with suppress(ProcessLookupError):
                resource.prlimit(process.pid, resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
                seconds = int(2 * most_s)
                resource.prlimit(process.pid, resource.RLIMIT_CPU, (seconds, seconds))
        in_time = True
        try:
            while True:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_LOOK_S)
                    break
                now = time.monotonic()
                if now - started > most_s:
                    in_time = False
                    break
                if now - told >= _TELL_S:
                    told = now
                    tick()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        texts: list[str] = []
        for file in (out, err):
            file.seek(max(0, file.seek(0, os.SEEK_END) - _MOST_OUTPUT))
            texts.append(file.read().decode(errors="replace"))
    took_s = round(time.monotonic() - started, 3)
    return Ended(process.returncode if in_time else None, texts[0], texts[1], took_s)


def plain(errors: str) -> str:
    """Return what the installer wrote as running text, without drawings, and without credentials in addresses."""
    text = _CREDENTIALS.sub("", _FRAME.sub(" ", errors))
    return re.sub(r"\s+", " ", text).strip()[:2000]
