"""Runs the code blocks of a Markdown page against a real server, as a reader would from top to bottom."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.commands import trimtab

ROOT = Path(__file__).resolve().parents[2]
PORTS = ("127.0.0.1:5000", "127.0.0.1:5001", "127.0.0.1:5002")
_BLOCK = re.compile(r"(<!-- not run: [^>]+-->\n+)?^```(python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SHELL = re.compile(r"[|<>&;$`]")
_FILE = re.compile(r"# (\w+\.py)\n")


class Block(NamedTuple):
    """One block of code and where it stands."""

    language: str
    text: str
    line: int
    skipped: bool


class Reader:
    """Runs pages in one folder against one server; the blocks of a page share their names."""

    def __init__(self, folder: Path, *, url: str, inference_url: str, grpc: str, home: Path) -> None:
        self.folder = folder
        self.inference_url = inference_url
        self.grpc = grpc
        self.url = url
        self.environment = {
            "TRIMTAB_URL": url,
            "MLFLOW_TRACKING_URI": url,
            "TRIMTAB_HOME": str(home),
            "TRIMTAB_CACHE": str(folder / "cache"),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "NO_COLOR": "1",
            "COLUMNS": "160",
        }

    def read(self, page: Path) -> None:
        """Run every block of a page; raises AssertionError naming the line that failed."""
        names: dict[str, Any] = {"__name__": "__main__"}
        for block in blocks(page.read_text()):
            if block.skipped:
                continue
            place = f"{page.relative_to(ROOT)}:{block.line}"
            text = self.local(block.text)
            if block.language == "console":
                for command in commands(text):
                    self.run(command, place)
            elif saved := _FILE.match(text):
                (self.folder / saved[1]).write_text(text)
            else:
                self._execute(text, names, place)

    def local(self, text: str) -> str:
        """Return a text with the addresses of this server."""
        for port, real in zip(PORTS, (self.url, self.inference_url, self.grpc), strict=True):
            text = text.replace(port, real.removeprefix("http://"))
        return text

    def run(self, command: str, place: str) -> None:
        """Run one command line; raises AssertionError with what it printed when it fails.

        The command line of the product is called in this process, which saves half a second each time, unless the
        shell has a part in it.
        """
        if command.startswith("trimtab ") and not _SHELL.search(command):
            self._call(shlex.split(command)[1:], f"{place}: {command}")
            return
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            check=False,
            cwd=self.folder,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode == 0, f"{place}: {command}\n{done.stdout}\n{done.stderr}"

    def _call(self, arguments: list[str], place: str) -> None:
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            done = trimtab(*arguments)
        finally:
            os.chdir(before)
        assert done.returncode == 0, f"{place}\n{done.stdout}\n{done.stderr}"

    def _execute(self, text: str, names: dict[str, Any], place: str) -> None:
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            exec(compile(text, place, "exec"), names)
        except Exception as error:
            raise AssertionError(f"{place}: {type(error).__name__}: {error}\n{text}") from error
        finally:
            os.chdir(before)


def blocks(page: str) -> Iterator[Block]:
    """Yield the python and console blocks of a page."""
    for found in _BLOCK.finditer(page):
        line = page.count("\n", 0, found.start(2)) + 1
        yield Block(found[2], found[3], line, found[1] is not None)


def commands(text: str) -> Iterator[str]:
    """Yield the command lines of a console block; a line that ends with a backslash goes on in the next."""
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith("$ "):
            command = line[2:]
            while command.endswith("\\"):
                command = f"{command[:-1].rstrip()} {next(lines).strip()}"
            yield command
