"""Environments on this machine's disk: made by uv from a lock, whole or not there at all, shared by all that need them.

Each is a folder named by the hash of its lock and Python. It is put together beside its place and renamed to it, so
that a process which is killed leaves only a folder that the next collection takes. Packages are hard links into one
cache of unpacked wheels.
"""

import fcntl
import hashlib
import os
import platform
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

import trimtab
from trimtab.domains.registry.runtimes import processes
from trimtab.domains.registry.runtimes.errors import BadRequirements, RuntimeFailed
from trimtab.domains.registry.runtimes.requirements import Asked, minor, our_python
from trimtab.serving.processes import Interpreter

DONE_FILE = "trimtab-environment.json"
LOCK_FILE = "requirements.lock"
_USED_FILE = ".used"
_LEAST_PYTHON = (3, 11)
_MOST_RESOLVE_S = 600.0
_MOST_INSTALL_S = 3600.0
_ASK = "import platform; print(platform.python_version())"


class Python(msgspec.Struct, frozen=True):
    """An interpreter that environments can be made of; ``note`` says where it is not the one that was asked for."""

    path: str
    version: str
    note: str = ""


class Environments:
    """The environments in one folder."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        """``environment`` is what uv finds its configuration in."""
        self.folder = folder
        self._environment = processes.installer_environment(environment)

    def uv(self) -> str | None:
        """Return where the installer is, None where there is none."""
        return processes.find_uv()

    def find(self, key: str) -> Interpreter | None:
        """Return the interpreter of an environment that is whole, and note that it is used; None where it is not here."""
        place = self.folder / key
        if not key or not (place / DONE_FILE).exists() or not (place / "bin" / "python").exists():
            return None
        with suppress(OSError):
            (place / _USED_FILE).touch()
        return Interpreter(str(place / "bin" / "python"), str(self.source()))

    def source(self) -> Path:
        """Return a folder in which there is this package and nothing else, for environments that do not have it."""
        package = Path(trimtab.__file__).parent
        place = self.folder / "source" / hashlib.sha256(str(package).encode()).hexdigest()[:16]
        if not (place / "trimtab" / "__init__.py").exists():
            place.mkdir(parents=True, exist_ok=True)
            beside = place / f".{os.getpid()}"
            beside.unlink(missing_ok=True)
            beside.symlink_to(package)
            beside.replace(place / "trimtab")
        return place

    def choose_python(self, asked: str) -> Python:
        """Return the Python that a model asks for where it is on this machine, else the server's with a note."""
        wanted = minor(asked)
        ours = Python(sys.executable, our_python())
        if not wanted or wanted == minor(ours.version):
            return ours
        if tuple(int(part) for part in wanted.split(".")) < _LEAST_PYTHON:
            note = (
                f"Python {asked} is asked for; models are served by 3.11 or newer, so it is {ours.version}."
            )
            return msgspec.structs.replace(ours, note=note)
        found = self._run("python", "find", "--system", "--no-project", wanted)
        path = found.output.strip()
        if found.code == 0 and path:
            told = processes.run([path, "-I", "-c", _ASK], environment={}, folder=self.folder, most_s=30.0)
            if told.code == 0:
                return Python(path, told.output.strip())
        note = f"Python {asked} is asked for and not on this machine; it is {ours.version}."
        return msgspec.structs.replace(ours, note=note)

    def resolve(
        self,
        asked: Asked,
        python: Python,
        *,
        model: Path,
        sources: bool,
        tick: Callable[[], None] = lambda: None,
    ) -> str:
        """Return a lock with the hashes of all packages; raises BadRequirements naming what cannot be had.

        ``sources`` lets addresses, paths and source archives in; paths start at the ``model`` folder.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".resolve-", dir=self.folder) as name:
            scratch = Path(name)
            lines = [*asked.lines, *(asked.elsewhere if sources else [])]
            (scratch / "requirements.in").write_text("".join(f"{line}\n" for line in lines))
            (scratch / "constraints.txt").write_text("".join(f"{line}\n" for line in asked.constraints))
            options = [
                "--constraint",
                str(scratch / "constraints.txt"),
                "--output-file",
                str(scratch / LOCK_FILE),
            ]
            if not (sources and asked.elsewhere):
                options.append("--generate-hashes")
            ended = self._run(
                *("pip", "compile", str(scratch / "requirements.in"), *options),
                *("--quiet", "--no-header", "--no-annotate", "--python", python.path),
                *([] if sources else ["--no-build"]),
                folder=model,
                most_s=_MOST_RESOLVE_S,
                tick=tick,
            )
            if ended.code != 0:
                raise BadRequirements(_why(ended, asked.lines, _MOST_RESOLVE_S))
            return (scratch / LOCK_FILE).read_text()

    def key(self, lock: str, python: Python, *, files: str = "") -> str:
        """Return the name of a lock's environment; ``files`` is the digest of the files that it refers to, if any."""
        tag = f"{sys.implementation.name}-{minor(python.version)}-{platform.machine()}"
        return hashlib.sha256(f"{lock}\0{tag}\0{files}".encode()).hexdigest()[:32]

    def build(
        self,
        key: str,
        lock: str,
        python: Python,
        *,
        model: Path,
        sources: bool,
        tick: Callable[[], None] = lambda: None,
    ) -> Interpreter:
        """Make an environment and return its interpreter; raises RuntimeFailed. Nothing is done where it is here."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._alone(key, tick):
            if (found := self.find(key)) is not None:
                return found
            incoming = Path(tempfile.mkdtemp(prefix=f".{key}-", dir=self.folder))
            try:
                self._make(incoming, lock, python, model=model, sources=sources, tick=tick)
                told = {"key": key, "python": python.version, "made_us": time.time_ns() // 1000}
                (incoming / DONE_FILE).write_bytes(msgspec.json.encode(told))
                incoming.chmod(0o755)
                os.sync()  # so that after a power cut it is whole, or not there
                incoming.rename(self.folder / key)
            finally:
                shutil.rmtree(incoming, ignore_errors=True)
        found = self.find(key)
        assert found is not None, "it has just been put there"
        return found

    def remove(self, key: str) -> None:
        """Remove an environment that nothing uses."""
        with self._alone(key, lambda: None):
            gone = self.folder / f".{key}-gone"
            with suppress(FileNotFoundError):
                (self.folder / key).rename(gone)  # never half of it under its own name
            shutil.rmtree(gone, ignore_errors=True)

    def here(self) -> list[str]:
        """Return the environments that are here."""
        if not self.folder.is_dir():
            return []
        return sorted(place.name for place in self.folder.iterdir() if (place / DONE_FILE).exists())

    def running(self) -> set[str]:
        """Return the environments out of which a process of this machine runs now."""
        found: set[str] = set()
        start = os.fsencode(self.folder) + b"/"
        for task in Path("/proc").iterdir():
            with suppress(OSError):
                first = (task / "cmdline").read_bytes().split(b"\0", 1)[0] if task.name.isdigit() else b""
                if first.startswith(start):
                    found.add(os.fsdecode(first.removeprefix(start).split(b"/", 1)[0]))
        return found

    def used_s(self, key: str) -> float:
        """Return when an environment was last used, in seconds since the epoch."""
        for name in (_USED_FILE, DONE_FILE):
            with suppress(OSError):
                return (self.folder / key / name).stat().st_mtime
        return 0.0

    def leftovers(self) -> list[Path]:
        """Return what builds that were killed have left."""
        if not self.folder.is_dir():
            return []
        return [path for path in self.folder.iterdir() if self._is_left(path)]

    def clear(self, leftovers: Sequence[Path]) -> None:
        """Remove what killed builds have left."""
        for path in leftovers:
            shutil.rmtree(path, ignore_errors=True)

    def clean_cache(self) -> None:
        """Forget the unpacked packages; what environments use of them stays theirs."""
        shutil.rmtree(self.cache, ignore_errors=True)

    @property
    def cache(self) -> Path:
        """Where unpacked packages are kept."""
        return self.folder / "packages"

    def disk_bytes(self, going: Sequence[Path]) -> int:
        """Return how many bytes are free once these folders are gone, which may share files among them and others."""
        links: Counter[tuple[int, int]] = Counter()
        size = 0
        for folder in going:
            for status in _files(folder):
                place = (status.st_dev, status.st_ino)
                links[place] += 1
                if links[place] == status.st_nlink:
                    size += status.st_blocks * 512
        return size

    def size_bytes(self, key: str) -> int:
        """Return the bytes that an environment's files take, shared ones too."""
        return sum(status.st_blocks * 512 for status in _files(self.folder / key))

    def _make(
        self,
        place: Path,
        lock: str,
        python: Python,
        *,
        model: Path,
        sources: bool,
        tick: Callable[[], None],
    ) -> None:
        made = self._run("venv", "--relocatable", "--no-project", "--quiet", "--allow-existing", "--python",
                         python.path, str(place), folder=self.folder)  # fmt: skip
        if made.code != 0:
            raise RuntimeFailed(
                f"No environment can be made of {python.path}: {processes.plain(made.errors)}"
            )
        (place / LOCK_FILE).write_text(lock)
        hashed = "--hash=" in lock
        ended = self._run(
            *("pip", "install", "--quiet", "--no-deps", "--link-mode", "hardlink"),
            *("--python", str(place / "bin" / "python"), "--requirements", str(place / LOCK_FILE)),
            *(["--require-hashes"] if hashed else []),
            *([] if sources else ["--no-build"]),
            folder=model,
            most_s=_MOST_INSTALL_S,
            tick=tick,
        )
        if ended.code != 0:
            raise RuntimeFailed(_why(ended, lock.splitlines(), _MOST_INSTALL_S))

    def _run(
        self,
        *arguments: str,
        folder: Path | None = None,
        most_s: float = 60.0,
        tick: Callable[[], None] = lambda: None,
    ) -> processes.Ended:
        uv = self.uv()
        if uv is None:
            raise RuntimeFailed("uv is not installed here: pip install 'trimtab[environments]'.")
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [uv, *arguments, "--cache-dir", str(self.cache)]
        return processes.run(
            command, environment=self._environment, folder=folder or self.folder, most_s=most_s, tick=tick
        )

    @contextmanager
    def _alone(self, key: str, tick: Callable[[], None]) -> Generator[None]:
        """Be the only process that makes or removes an environment; the lock ends with the process."""
        with (self.folder / f".{key}.lock").open("ab") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    time.sleep(0.2)
                    tick()
            yield

    def _is_left(self, path: Path) -> bool:
        name = path.name
        if path.is_dir() and name.startswith(".resolve-"):
            return time.time() - path.stat().st_mtime > _MOST_RESOLVE_S * 2
        if not (path.is_dir() and name.startswith(".") and "-" in name):
            return False
        key = name[1:].partition("-")[0]
        with (self.folder / f".{key}.lock").open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False  # it is being made right now
        return path.exists()


def _files(folder: Path) -> Iterator[os.stat_result]:
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                yield os.lstat(os.path.join(parent, name))  # noqa: PTH118 - a hundred thousand of them


def _why(ended: processes.Ended, lines: Sequence[str], most_s: float) -> str:
    """Return in plain words why the installer failed, beginning with the requirements that it names."""
    if ended.code is None:
        return f"The installer took longer than {most_s:g} seconds."
    said = processes.plain(ended.errors)
    said = said.removeprefix("error: No solution found when resolving dependencies cause: ")
    lowered = said.lower().replace("_", "-")
    named = [line for line in lines if not line.startswith(" ") and _bare(line) and _bare(line) in lowered]
    if "failed to fetch" in lowered or "could not connect" in lowered or "dns error" in lowered:
        return f"The package index cannot be reached. uv says: {said}"
    if named:
        shown = ", ".join(one.removesuffix("\\").strip() for one in named[:5])
        return f"{shown} cannot be had together with the rest. uv says: {said}"
    return f"uv could not do it: {said}"


def _bare(line: str) -> str:
    name = ""
    for character in line:
        if not (character.isalnum() or character in "-_."):
            break
        name += character
    return name.lower().replace("_", "-")
