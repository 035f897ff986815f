"""Trainings as processes of their own, to be killed and forked by the tests of what a run leaves behind."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import IO


def environment(url: str, spool: Path) -> dict[str, str]:
    return {**os.environ, "TRIMTAB_URL": url, "TRIMTAB_SPOOL": str(spool), "PYTHONWARNINGS": "always"}


def start(code: str, *, url: str, spool: Path) -> "subprocess.Popen[str]":
    """Start a training whose output can be read line by line, and that waits where it reads a line."""
    return subprocess.Popen(
        [sys.executable, "-u", "-c", textwrap.dedent(code)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(url, spool),
    )


def run(code: str, *, url: str, spool: Path) -> tuple[str, str]:
    """Run a training to its end and return what it printed on both streams."""
    process = start(code, url=url, spool=spool)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    return out.strip(), error


def lines_until(stream: IO[str] | None, count: int) -> list[str]:
    """Return so many lines as soon as they are there."""
    assert stream is not None
    return [stream.readline().strip() for _ in range(count)]
