"""Imports a folder of event files once, or follows it while trainings write to it."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

from trimtab.kernel.errors import NotFound, Unavailable
from trimtab.moving.model import Problem, Report, RunRecord, Series, tidy_key, told
from trimtab.moving.sending import cut
from trimtab.moving.tensorboard.events import Batch, Media, Session
from trimtab.moving.tensorboard.folder import EventRun, Progress, event_runs
from trimtab.sdk.client import Client

PARENT_TAG = "mlflow.parentRunId"
_FOLDERS = {"image": "images", "audio": "audio", "text": "text", "histogram": "histograms", "graph": "graphs"}
_LONGEST_PAUSE_S = 30.0
_MOST_PROBLEMS = 10_000
Say = Callable[[str], None]


class TensorboardImport:
    """One folder on its way into one experiment. Points that were sent before count once, so reading again is harmless."""

    def __init__(
        self, client: Client, folder: Path, *, experiment: str | None = None, media: bool = True
    ) -> None:
        if not folder.is_dir():
            raise NotFound(f"There is no folder {folder}.", field="folder")
        self._client = client
        self._folder = folder
        self._experiment = experiment or folder.resolve().name or "tensorboard"
        self._media = media
        self._origin = f"file://{folder.resolve()}"
        self._known: dict[str, EventRun] = {}
        self._experiment_id: str | None = None
        self._ids: dict[str, str] = {}
        self._keys: dict[str, dict[str, str]] = {}
        self._sessions: dict[str, Session] = {}  # how runs ended, as the hparams plugin says
        self._new: set[str] = set()
        self._changed: dict[str, float] = {}  # when a run that is not finished last had something new
        self.report = Report(self._origin)

    def once(self, *, dry_run: bool = False) -> Report:
        """Bring over what is in the folder now and return what became of it; runs count as finished."""
        started = time.monotonic()
        self.report.dry_run = dry_run
        for run in event_runs(self._folder, self._known):
            if dry_run:
                self._look(run)
            else:
                self._bring(run, ended=True)
        self.report.seconds = round(time.monotonic() - started, 3)
        return self.report

    def watch(
        self,
        *,
        stop: threading.Event,
        period_s: float = 1.0,
        finished_after_s: float = 300.0,
        say: Say = lambda _line: None,
    ) -> Report:
        """Follow the folder until told to stop: new runs, new files, new records, also after a restart of either side.

        A run whose files rest for ``finished_after_s`` counts as finished, until more is written.
        """
        pause = period_s
        while True:
            try:
                for run in event_runs(self._folder, self._known):
                    self._follow(run, finished_after_s, say)
                pause = period_s
            except Unavailable as error:
                say(f"{error.message} Trying again.")
                pause = min(pause * 2, _LONGEST_PAUSE_S)
            if stop.wait(pause):
                return self.report

    def _follow(self, run: EventRun, finished_after_s: float, say: Say) -> None:
        before = self.report.points
        now = time.monotonic()
        if self._bring(run, ended=False):
            self._changed[run.name] = now
            say(f"{run.name}: {self.report.points - before} points")
        elif now - self._changed.get(run.name, now) >= finished_after_s:
            del self._changed[run.name]
            self._send(run, [], self._sessions.get(run.name, Session()), status="FINISHED")
            say(f"{run.name}: finished")

    def _look(self, run: EventRun) -> None:
        """Count what a run would bring."""
        if run.identity() is None:
            return
        self.report.runs["created"] += 1
        for batch, progress in run.read(self._tell):
            run.progress = progress
            self.report.points += sum(len(curve.steps) for curve in batch.scalars.values())
            self.report.files += len(batch.media)

    def _bring(self, run: EventRun, *, ended: bool) -> bool:
        """Send what is new in a run and say whether anything was."""
        if run.name not in self._ids and not self._begin(run):
            return False
        anything = False
        for batch, progress in run.read(self._tell):
            anything = True
            self._note(batch, run)
            if batch.session.status:
                self._sessions[run.name] = Session(
                    status=batch.session.status, ended_us=batch.session.ended_us
                )
            self._send(run, self._series(run, batch), batch.session, status="RUNNING")
            self._upload(run, batch.media)
            run.progress = progress
            self._mark(run, progress)
        if ended and anything:
            self._send(run, [], self._sessions.get(run.name, Session()), status="FINISHED")
        if ended:
            outcome = "created" if run.name in self._new else "updated"
            self.report.runs[outcome if anything else "unchanged"] += 1
        return anything

    def _begin(self, run: EventRun) -> bool:
        """Find out which run of the server it is and how far it was read before; False before its first record."""
        if run.identity() is None:
            return False
        if self._experiment_id is None:
            body = {"origin": self._origin, "experiment": {"name": self._experiment}}
            made = self._client.post("/import/experiments", body)
            self._experiment_id = made["id"]
            self.report.experiments.append({"theirs": str(self._folder), "name": made["name"], "ours": made["id"],
                                            "created": made["created"]})  # fmt: skip
        run_id = self._ids[run.name] = run.id(self._experiment)
        marks = self._client.post("/import/marks/read", {"refs": [f"run:{run_id}"]})["marks"]
        if marks.get(f"run:{run_id}"):
            run.resume(marks[f"run:{run_id}"])
            if self._client.get(f"/runs/{run_id}")["status"] == "RUNNING":
                self._changed[run.name] = time.monotonic()
        else:
            self._new.add(run.name)
        return True

    def _send(self, run: EventRun, series: list[Series], session: Session, *, status: Any) -> None:
        assert run.first_us is not None
        created = run.progress == Progress()
        record = RunRecord(
            id=self._ids[run.name],
            experiment_id=self._experiment_id or "",
            name=run.name if created else "",
            status=session.status or status,
            started_us=session.started_us or run.first_us,
            ended_us=None if status == "RUNNING" else session.ended_us or run.last_us or run.changed_us(),
            params={tidy_key(key): value.replace("\x00", "") for key, value in session.params.items()},
            tags=self._tags(run) if created else {},
        )
        for part in list(cut(series)) or [[]]:
            record.metrics = [Series(one.key, one.steps, one.at_us, told(one.values)) for one in part]
            (placed,) = self._client.post("/import/runs", {"origin": self._origin, "runs": [record]})["items"]
            if placed["note"]:
                self._tell(Problem(run.name, placed["note"]))
            self.report.points += record.points if placed["outcome"] != "refused" else 0

    def _tags(self, run: EventRun) -> dict[str, str]:
        tags = {"mlflow.source.type": "TENSORBOARD", "mlflow.source.name": str(run.folder)}
        parent = run.name.rpartition("/")[0]
        if parent in self._ids:
            tags[PARENT_TAG] = self._ids[parent]
        return tags

    def _series(self, run: EventRun, batch: Batch) -> list[Series]:
        keys = self._keys.setdefault(run.name, {})
        found: list[Series] = []
        for tag, curve in batch.scalars.items():
            if tag not in keys:
                keys[tag] = _free(tidy_key(tag), set(keys.values()))
                if keys[tag] != tag:
                    self._say_once(f"the tag {tag[:100]!r} is the metric {keys[tag]!r} here")
            found.append(Series(keys[tag], curve.steps, curve.at_us, curve.values))
        return found

    def _upload(self, run: EventRun, media: list[Media]) -> None:
        if not media or not self._media:
            return
        run_id = self._ids[run.name]

        def send(one: Media) -> None:
            step = f"{one.step:08d}" + (f"-{one.number}" if one.number else "")
            path = f"tensorboard/{_FOLDERS[one.kind]}/{tidy_key(one.tag)}/{step}.{one.suffix}"
            self._client.upload(f"/runs/{run_id}/artifacts/{quote(path)}", one.content)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(send, media))
        self.report.files += len(media)
        self.report.bytes += sum(len(one.content) for one in media)

    def _mark(self, run: EventRun, progress: Progress) -> None:
        marks = {f"run:{self._ids[run.name]}": progress.encode()}
        self._client.post("/import/marks", {"origin": self._origin, "marks": marks})

    def _note(self, batch: Batch, run: EventRun) -> None:
        for plugin, count in batch.left_out.items():
            self._say_once(f"{run.name}: summaries of {plugin!r} have no place here ({count} in one piece)")

    def _say_once(self, note: str) -> None:
        if note not in self.report.notes and len(self.report.notes) < 1000:
            self.report.notes.append(note)

    def _tell(self, problem: Problem) -> None:
        if problem not in self.report.problems and len(self.report.problems) < _MOST_PROBLEMS:
            self.report.problems.append(problem)


def _free(key: str, taken: set[str]) -> str:
    """Return a name that is not taken: the key, or the key with a number."""
    free, number = key, 2
    while free in taken:
        free, number = f"{key[:240]}_{number}", number + 1
    return free
