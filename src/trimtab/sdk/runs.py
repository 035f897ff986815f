"""``trimtab.run()``: log parameters, metrics, tags and files of a training without slowing or failing it.

Calls only put what they are given into a bounded queue; a thread sends it in batches and retries while the server is
away. What cannot be kept is counted and told in a warning, never raised.
"""

import atexit
import getpass
import math
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote, urlsplit

from trimtab.kernel import refs
from trimtab.kernel.errors import TrimtabError, Unavailable
from trimtab.kernel.time import now_us
from trimtab.sdk.client import Client, connect
from trimtab.sdk.pipelines import current, note_input, note_output

__all__ = ["Run", "run"]

_MOST_QUEUED = 100_000
_MOST_IN_A_BATCH = 1000
_FLUSH_AT = 500
_PERIOD_S = 0.5
_LONGEST_RETRY_S = 10.0
_FINISH_S = 30.0
_GIT_S = 2.0
_PIECE = 1 << 20

Status = Literal["FINISHED", "FAILED", "KILLED"]
# What a call leaves in the queue: its kind, and then
#   metric: key, value, step, time; param and tag: key, value; file: the copy, its path among the artifacts
_Entry = tuple[Any, ...]


class Run:
    """A training that is being logged. ``id`` is None when the server was not there at the start."""

    def __init__(
        self,
        *,
        experiment: str | None = None,
        name: str | None = None,
        tags: Mapping[str, str] | None = None,
        client: Client | None = None,
    ) -> None:
        self._client = client or connect()
        self._entries: deque[_Entry] = deque()
        self._steps: dict[str, int] = {}
        self._dropped = 0
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._scratch: Path | None = None
        self._finished = False
        self.id: str | None = None
        self.name = name
        running = current()
        everything = {**_surroundings(), **(running.tags if running else {}), **(tags or {})}
        try:
            made = self._client.post(
                "/runs", {"experiment": experiment, "name": name, "tags": everything, "started_us": now_us()}
            )
        except Unavailable as error:
            _warn(f"This run is not logged: {error.message}")
            return
        self.id, self.name = made["id"], made["name"]
        note_output(refs.run(made["id"]))
        self._thread = threading.Thread(target=self._work, name="trimtab-run", daemon=True)
        self._thread.start()
        atexit.register(self.finish)

    @property
    def url(self) -> str | None:
        """The run's page."""
        return None if self.id is None else f"{self._client.url}/runs/{self.id}"

    def log_metric(self, key: str, value: float, *, step: int | None = None) -> None:
        """Log a value of a metric; without a step each value of the key comes one after the last."""
        try:
            number = float(value)
        except (TypeError, ValueError):
            _warn(f"The metric {key!r} is no number and was not logged: {value!r}")
            return
        if step is None:
            step = self._steps.get(key, -1) + 1
        self._steps[key] = step
        self._put(("metric", key, number, int(step), now_us()))

    def log_metrics(self, metrics: Mapping[str, float], *, step: int | None = None) -> None:
        """Log values of several metrics."""
        for key, value in metrics.items():
            self.log_metric(key, value, step=step)

    def log_param(self, key: str, value: Any) -> None:
        """Log a parameter, as text; a parameter is written once."""
        self._put(("param", key, str(value)))

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Log several parameters."""
        for key, value in params.items():
            self.log_param(key, value)

    def set_tag(self, key: str, value: Any) -> None:
        """Set a tag, as text."""
        self._put(("tag", key, str(value)))

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set several tags."""
        for key, value in tags.items():
            self.set_tag(key, value)

    def log_artifact(self, path: str | os.PathLike[str], to: str | None = None) -> None:
        """Log a file, or a folder with all that is in it, below the folder ``to``; it is copied now and sent later."""
        source = Path(path)
        files = [one for one in sorted(source.rglob("*")) if one.is_file()] if source.is_dir() else [source]
        for file in files:
            inside = file.relative_to(source.parent).as_posix()
            self._put_file(file, f"{to.strip('/')}/{inside}" if to else inside)

    def log_artifacts(self, folder: str | os.PathLike[str], to: str | None = None) -> None:
        """Log everything in a folder, below the folder ``to``."""
        root = Path(folder)
        for file in sorted(root.rglob("*")):
            if file.is_file():
                inside = file.relative_to(root).as_posix()
                self._put_file(file, f"{to.strip('/')}/{inside}" if to else inside)

    def log_input(self, data: Any, *, context: str = "training") -> None:
        """Note that a dataset version went into the run: ``data:flights@3``, or what ``trimtab.data`` returned."""
        ref = data if isinstance(data, str) else data.ref
        name, version = refs.data_parts(ref)
        note_input(ref)
        digest = getattr(data, "digest", None) or str(version or "")
        self._put(("input", name, digest[-36:], ref, context))

    def finish(self, status: Status = "FINISHED") -> None:
        """Send what is left and close the run; waits at most 30 seconds for the server."""
        if self._finished:
            return
        self._finished = True
        atexit.unregister(self.finish)
        if self.id is None:
            return
        self._put(("end", status, now_us()))
        self._ending.set()
        self._wake.set()
        self._thread.join(_FINISH_S)
        left = len(self._entries) + self._dropped
        if self._thread.is_alive() or left:
            _warn(f"{left} entries of run {self.id} were not logged.")
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish("FINISHED")
        else:
            self.finish("KILLED" if issubclass(kind, KeyboardInterrupt) else "FAILED")

    def _put(self, entry: _Entry) -> None:
        if self.id is None:
            return
        if len(self._entries) >= _MOST_QUEUED and entry[0] != "end":
            self._dropped += 1
            return
        self._entries.append(entry)
        if len(self._entries) == _FLUSH_AT:
            self._wake.set()

    def _put_file(self, file: Path, path: str) -> None:
        if self.id is None:
            return
        try:
            if self._scratch is None:
                self._scratch = Path(tempfile.mkdtemp(prefix="trimtab-run-"))
            handle, copy = tempfile.mkstemp(dir=self._scratch)
            os.close(handle)
            shutil.copyfile(file, copy)
        except OSError as error:
            _warn(f"The file {file} was not logged: {error}")
            return
        self._put(("file", copy, path))
        self._wake.set()

    def _work(self) -> None:
        while True:
            self._wake.wait(_PERIOD_S)
            self._wake.clear()
            ending = self._ending.is_set()
            while self._entries:
                self._send(self._take())
            if ending:
                return

    def _take(self) -> list[_Entry]:
        """Take a file or an end alone, or as many other entries as go into one request."""
        taken: list[_Entry] = []
        while self._entries and len(taken) < _MOST_IN_A_BATCH:
            alone = self._entries[0][0] in ("file", "end", "input")
            if alone and taken:
                break
            taken.append(self._entries.popleft())
            if alone:
                break
        return taken

    def _send(self, entries: list[_Entry]) -> None:
        match entries[0]:
            case ("file", copy, path):
                self._attempt(lambda: self._upload(copy, path), f"the file {path}")
                Path(copy).unlink(missing_ok=True)
            case ("end", status, at_us):
                body = {"status": status, "ended_us": at_us}
                self._attempt(lambda: self._client.patch(f"/runs/{self.id}", body), "the end of the run")
            case ("input", name, digest, ref, context):
                dataset = {"name": name, "digest": digest, "source": ref, "context": context}
                body = {"datasets": [dataset]}
                self._attempt(lambda: self._client.post(f"/runs/{self.id}/inputs", body), f"the input {ref}")
            case _:
                self._send_batch(entries)

    def _send_batch(self, entries: list[_Entry]) -> None:
        try:
            self._retry(lambda: self._client.post(f"/runs/{self.id}/log", _message(entries)))
        except Unavailable as error:
            self._dropped += len(entries) - 1
            self._refused(f"{len(entries)} entries", error)
        except TrimtabError as error:
            if len(entries) == 1:
                self._refused(f"the {entries[0][0]} {entries[0][1]!r}", error)
                return
            middle = len(entries) // 2  # one of them is wrong, and the others shall not suffer
            self._send_batch(entries[:middle])
            self._send_batch(entries[middle:])

    def _upload(self, copy: str, path: str) -> None:
        def pieces() -> Any:
            with Path(copy).open("rb") as file:
                while piece := file.read(_PIECE):
                    yield piece

        self._client.upload(f"/runs/{self.id}/artifacts/{quote(path)}", pieces())

    def _attempt(self, send: Callable[[], Any], what: str) -> None:
        try:
            self._retry(send)
        except TrimtabError as error:
            self._refused(what, error)

    def _retry(self, send: Callable[[], Any]) -> None:
        """Send until the server has answered, or until the run has ended and its time is over."""
        wait = _PERIOD_S
        deadline: float | None = None
        while True:
            try:
                send()
                return
            except Unavailable:
                if self._ending.is_set():
                    deadline = deadline or time.monotonic() + _FINISH_S / 2
                    if time.monotonic() > deadline:
                        raise
                self._ending.wait(wait) if deadline is None else time.sleep(min(wait, 1.0))
                wait = min(wait * 2, _LONGEST_RETRY_S)

    def _refused(self, what: str, error: TrimtabError) -> None:
        self._dropped += 1
        _warn(f"Not logged: {what}. {error.message}")


def run(
    experiment: str | None = None,
    name: str | None = None,
    *,
    tags: Mapping[str, str] | None = None,
    client: Client | None = None,
) -> Run:
    """Start a run, in an experiment that is made where it is new; use it with ``with``, or call ``finish``.

    A server that is not there does not stop the training: the run then says in a warning that nothing is logged.
    Wrong use does: raises Invalid, Unauthenticated and Forbidden.
    """
    return Run(experiment=experiment, name=name, tags=tags, client=client)


def _message(entries: list[_Entry]) -> dict[str, Any]:
    metrics = [
        {"key": entry[1], "value": _number(entry[2]), "step": entry[3], "at_us": entry[4]}
        for entry in entries
        if entry[0] == "metric"
    ]
    params = {entry[1]: entry[2] for entry in entries if entry[0] == "param"}
    tags = {entry[1]: entry[2] for entry in entries if entry[0] == "tag"}
    return {"metrics": metrics, "params": params, "tags": tags}


def _number(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _surroundings() -> dict[str, str]:
    """Return tags that say who runs which code, under the names that MLflow gives them."""
    tags = {
        "mlflow.source.type": "LOCAL",
        "mlflow.source.name": (sys.argv[0] if sys.argv else "") or "python",
    }
    try:
        tags["mlflow.user"] = getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        tags["mlflow.user"] = str(os.getuid())
    return {**tags, **_git()}


def _git() -> dict[str, str]:
    """Return the commit, branch and address of the working folder's repository, and whether it was changed."""
    status = _call_git("status", "--porcelain=v2", "--branch", "--untracked-files=no")
    if status is None:
        return {}
    lines = status.splitlines()
    head = dict(
        line[2:].split(" ", 1) for line in lines if line.startswith("# branch.") and line.count(" ") >= 2
    )
    commit = head.get("branch.oid", "")
    if not commit or commit.startswith("("):
        return {}
    changed = any(not line.startswith("#") for line in lines)
    tags = {"mlflow.source.git.commit": commit, "trimtab.git.changed": "true" if changed else "false"}
    branch = head.get("branch.head", "")
    if branch and not branch.startswith("("):
        tags["mlflow.source.git.branch"] = branch
    origin = (_call_git("config", "--get", "remote.origin.url") or "").strip()
    if origin:
        tags["mlflow.source.git.repoURL"] = _without_password(origin)
    return tags


def _call_git(*arguments: str) -> str | None:
    try:
        command = ["git", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_S, check=True)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if parts.scheme else url


def _warn(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=4)
