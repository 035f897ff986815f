"""Sends runs, models and their files to a server: in batches, several at a time, and marks what is complete."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import msgspec

from trimtab.kernel.errors import Invalid, TrimtabError
from trimtab.moving.model import File, Loaded, Problem, Report, RunRecord, Series, Tell, told
from trimtab.sdk.client import Client
from trimtab.sdk.transfer import LocalFile, digests, upload

_POINTS_AT_ONCE = 50_000
_RUNS_AT_ONCE = 100
_WAITING = 3
_PLACED_AT_ONCE = 2000
_FILES_AT_ONCE = 5000
_PROXY = "mlflow-artifacts:/"

Advance = Callable[[str, int, int], None]
"""Told what is being done, how many more are done, and how many there are in all."""


class Sender:
    """Takes what was read and brings it to the server, while the next is being read."""

    def __init__(self, client: Client, origin: str, report: Report, tell: Tell, advance: Advance) -> None:
        self._client = client
        self._origin = origin
        self._report = report
        self._tell = tell
        self._advance = advance
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="trimtab-import")
        self._waiting: list[Future[None]] = []
        self._counting = threading.Lock()

    def runs(self, loaded: Iterator[Loaded], *, experiment_id: str, total: int) -> None:
        """Send an experiment's runs."""
        batch: list[Loaded] = []
        points = 0
        for one in loaded:
            one.record.experiment_id = experiment_id
            batch.append(one)
            points += one.record.points if isinstance(one.record, RunRecord) else 0
            if points >= _POINTS_AT_ONCE or len(batch) >= _RUNS_AT_ONCE:
                self._later(batch, self._send_runs, total)
                batch, points = [], 0
        self._later(batch, self._send_runs, total)
        self.wait()

    def models(self, loaded: Iterator[Loaded], *, experiment_id: str, total: int) -> None:
        """Send an experiment's logged models."""
        batch: list[Loaded] = []
        for one in loaded:
            one.record.experiment_id = experiment_id
            batch.append(one)
            if len(batch) >= _RUNS_AT_ONCE:
                self._later(batch, self._send_models, total)
                batch = []
        self._later(batch, self._send_models, total)
        self.wait()

    def wait(self) -> None:
        """Return when all that was taken is sent; raises what made that impossible."""
        while self._waiting:
            self._waiting.pop(0).result()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _later(self, batch: list[Loaded], send: Callable[[list[Loaded]], None], total: int) -> None:
        if not batch:
            return
        while len(self._waiting) >= _WAITING:
            self._waiting.pop(0).result()

        def work() -> None:
            send(batch)
            self._advance("Runs" if send == self._send_runs else "Models", len(batch), total)

        self._waiting.append(self._pool.submit(work))

    def _send_runs(self, batch: list[Loaded]) -> None:
        counts = self._report.runs
        done = self._place(batch, "/import/runs", "runs", counts)
        for one in done:
            assert isinstance(one.record, RunRecord)
            with self._counting:
                self._report.points += one.record.points
        self._finish(done, "run")

    def _send_models(self, batch: list[Loaded]) -> None:
        done = self._place(batch, "/import/logged-models", "models", self._report.logged_models)
        self._finish(done, "logged-model")

    def _place(self, batch: Sequence[Loaded], path: str, field: str, counts: dict[str, int]) -> list[Loaded]:
        """Send records and return those that were taken, with where their files belong in ``stub.place``."""
        answers: dict[str, dict[str, Any]] = {}
        for part in _parts(batch):
            try:
                for answer in self._post(path, field, part):
                    answers.setdefault(answer["id"], answer)  # a run in several parts is created by the first
            except Invalid:
                for one in part:  # find the bad one, and let the others go on
                    try:
                        for answer in self._post(path, field, [one]):
                            answers[answer["id"]] = answer
                    except Invalid as error:
                        answers[one.id] = {"outcome": "failed", "note": error.message}
        taken: list[Loaded] = []
        for one in batch:
            answer = answers[one.stub.id]
            as_there = one.stub.deleted and answer.get("reason") == "in-trash"
            with self._counting:
                counts["unchanged" if as_there else answer["outcome"]] += 1
            if as_there:
                continue
            if answer["note"]:
                self._tell(Problem(f"{field[:-1]} {one.stub.id} ({one.record.name})", answer["note"]))
            if answer["outcome"] in ("created", "updated"):
                one.stub.place = answer["artifact_uri"]
                taken.append(one)
        return taken

    def _post(self, path: str, field: str, records: Sequence[Any]) -> list[dict[str, Any]]:
        return self._client.post(path, {"origin": self._origin, field: records})["items"]

    def _finish(self, loaded: Sequence[Loaded], kind: str) -> None:
        """Send the files, mark what is complete, and move to the trash what was there."""
        failed: set[str] = set()
        local: list[tuple[str, str, LocalFile]] = []
        for one in loaded:
            for file in one.files():
                target = self._target(one, file)
                if target is None:
                    failed.add(one.stub.id)
                elif file.local is not None:
                    local.append((one.stub.id, target, LocalFile(file.path, file.local, file.size_bytes)))
                elif not self._stream(target, file):
                    failed.add(one.stub.id)
                if len(local) >= _FILES_AT_ONCE:
                    failed |= self._upload(local)
                    local = []
        failed |= self._upload(local)
        marks = {
            f"{kind}:{one.stub.id}": one.stub.fingerprint
            for one in loaded
            if one.complete and one.stub.id not in failed
        }
        for one in loaded:
            if one.stub.deleted:
                self._client.delete(f"/{'runs' if kind == 'run' else 'logged-models'}/{one.stub.id}")
        if marks:
            self._client.post("/import/marks", {"origin": self._origin, "marks": marks})

    def _target(self, one: Loaded, file: File) -> str | None:
        uri: str = one.stub.place
        if uri.startswith(_PROXY):
            return f"{uri.removeprefix(_PROXY).strip('/')}/{file.path}"
        advice = "import under another name: --prefix"
        self._tell(
            Problem(
                f"{one.stub.id}: {file.path}", f"files of this experiment are kept at {uri[:200]}", advice
            )
        )
        return None

    def _upload(self, files: Sequence[tuple[str, str, LocalFile]]) -> set[str]:
        """Send local files that the server lacks and give all of them their paths; return whose could not be sent."""
        if not files:
            return set()
        listed = [file for _, _, file in files]
        try:
            blobs = digests(listed, _silent)
            upload(self._client, listed, blobs, _silent)
            for first in range(0, len(files), _PLACED_AT_ONCE):
                part = slice(first, first + _PLACED_AT_ONCE)
                paths = {target: blob for (_, target, _), blob in zip(files[part], blobs[part], strict=True)}
                self._client.post("/import/files", {"files": paths})
        except (OSError, Invalid) as error:
            if len(files) == 1:
                self._tell(
                    Problem(str(listed[0].file), f"the file was not taken: {error}", "run the import again")
                )
                return {files[0][0]}
            return {owner for one in files for owner in self._upload([one])}
        self._count_files(len(files), sum(file.size_bytes for file in listed))
        return set()

    def _stream(self, target: str, file: File) -> bool:
        assert file.pieces is not None
        try:
            self._client.upload(f"/api/2.0/mlflow-artifacts/artifacts/{quote(target)}", file.pieces())
        except TrimtabError as error:
            if error.kind in ("unavailable", "unauthenticated", "forbidden"):
                raise
            self._tell(Problem(target, f"the file was not taken: {error.message}", "run the import again"))
            return False
        self._count_files(1, file.size_bytes)
        return True

    def _count_files(self, files: int, size_bytes: int) -> None:
        with self._counting:
            self._report.files += files
            self._report.bytes += size_bytes


def _silent(_doing: str, _advance: int, _total: int) -> None:
    pass


def _parts(batch: Sequence[Loaded]) -> Iterator[list[Any]]:
    """Yield records for one request each; a run with very many points goes in several."""
    together: list[Any] = []
    for one in batch:
        record = one.record
        if not isinstance(record, RunRecord):
            together.append(record)
        elif record.points <= 2 * _POINTS_AT_ONCE:
            together.append(_with(record, record.metrics))
        else:
            for some in cut(record.metrics):
                yield [_with(record, some)]
    if together:
        yield together


def _with(record: RunRecord, metrics: Sequence[Series]) -> RunRecord:
    """Return the record with some of its metrics, as JSON takes their values."""
    ready = [Series(one.key, one.steps, one.at_us, told(one.values)) for one in metrics]
    return msgspec.structs.replace(record, metrics=ready)


def cut(metrics: Sequence[Series]) -> Iterator[list[Series]]:
    """Yield the points of metrics in portions for one request each."""
    held: list[Series] = []
    points = 0
    for one in metrics:
        for first in range(0, len(one.steps), _POINTS_AT_ONCE):
            part = slice(first, first + _POINTS_AT_ONCE)
            held.append(Series(one.key, one.steps[part], one.at_us[part], one.values[part]))
            points += len(held[-1].steps)
            if points >= _POINTS_AT_ONCE:
                yield held
                held, points = [], 0
    if held:
        yield held
