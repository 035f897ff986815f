"""``trimtab.run()``: log parameters, metrics, tags and files of a training without slowing, stopping or failing it.

A call appends to a spool on this machine, which takes microseconds; a thread brings the spool to the server. What the
server does not have when the process ends, however it ends, is sent by the next one or by ``trimtab runs sync``.
"""

import atexit
import os
import sys
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path
from time import time_ns
from types import TracebackType
from typing import Any, Self

from trimtab.kernel import refs
from trimtab.kernel.errors import Invalid
from trimtab.kernel.ids import hex32, new_id
from trimtab.kernel.time import now_us
from trimtab.sdk import entries, media, spool, start
from trimtab.sdk.client import Client, connect
from trimtab.sdk.entries import End, Entry, File, Input, Status
from trimtab.sdk.hardware import Sampler
from trimtab.sdk.notices import Notices, still_to_send
from trimtab.sdk.pipelines import note_input, note_output
from trimtab.sdk.sender import Sender
from trimtab.sdk.spool import POINTS, Spool

__all__ = ["Run", "run"]

_FINISH_S = 30.0
_CHILD_FINISH_S = 3.0
_MOST_TOGETHER = 1000


class Run:
    """A training that is being logged; made by ``trimtab.run``. Usable from threads, forked children and signal handlers.

    No method raises and none waits for the server, except for ``flush`` and ``finish``. ``name`` is None until the
    server has named the run.
    """

    def __init__(self, plan: start.Plan, client: Client) -> None:
        self.id = plan.run_id
        self._plan = plan
        self._client = client
        self._steps: dict[str, int] = dict(plan.steps)
        self._notices = Notices()
        self._finished = False
        self._forked = False
        self._opening = threading.Lock()
        self._spool: Spool | None = None
        self._sender: Sender | None = None
        self._sampler: Sampler | None = None
        self._capture: threading.Thread | None = None
        _live.add(self)
        self._open()
        if plan.first:
            self._put(entries.fields("tags", plan.first))
        if plan.capture is not None:
            work = plan.capture
            self._capture = threading.Thread(
                target=lambda: self._captured(work), name="trimtab-capture", daemon=True
            )
            self._capture.start()
        if plan.every_s:
            self._sampler = Sampler(self.log_metrics, every_s=plan.every_s, prefix=plan.system_prefix)
            self._sampler.start()
        atexit.register(self._at_exit)

    @property
    def name(self) -> str | None:
        """The run's name; None until it is known."""
        return (self._sender.name if self._sender is not None else None) or self._plan.name

    @property
    def url(self) -> str:
        """The run's page."""
        return f"{self._client.url}{refs.href(refs.run(self.id))}"

    @property
    def waiting(self) -> int:
        """How many entries of this process the server does not have yet."""
        if self._sender is not None:
            return self._sender.waiting
        return self._spool.appended if self._spool is not None else 0

    def log_metric(self, key: str, value: float, *, step: int | None = None) -> None:
        """Log a value of a metric; without a step each value of the key comes one after the last."""
        try:
            number = float(value)
            step = self._steps.get(key, -1) + 1 if step is None else int(step)
            self._steps[key] = step
            payload = entries.point(key, number, step, time_ns() // 1000)
            if (kept := self._spool) is None or self._finished:
                self._put((POINTS, 1, payload))
            elif not kept.append(POINTS, 1, payload):
                self._full(kept)
        except Exception as error:  # noqa: BLE001 - logging never fails a training
            self._notices.tell(
                f"The metric {key!r} is no number and was not logged: {value!r:.100} ({error})"
            )

    def log(self, values: Mapping[str, Any], *, step: int | None = None) -> None:
        """Log several values of one step; those of a mapping within are named ``outer/inner``."""
        at_us = now_us()
        together: list[tuple[str, float, int]] = []
        try:
            for key, value in _flat(values):
                try:
                    number = float(value)
                    its = self._steps.get(key, -1) + 1 if step is None else int(step)
                except Exception as error:  # noqa: BLE001 - the same
                    self._notices.tell(
                        f"The metric {key!r} is no number and was not logged: {value!r:.100} ({error})"
                    )
                    continue
                self._steps[key] = its
                together.append((key, number, its))
            for at in range(0, len(together), _MOST_TOGETHER):
                self._put(entries.points(together[at : at + _MOST_TOGETHER], at_us))
        except Exception as error:  # noqa: BLE001 - the same
            self._notices.tell(f"Metrics were not logged: {error}")

    log_metrics = log

    def log_param(self, key: str, value: Any) -> None:
        """Log a parameter, as text; a parameter is written once."""
        self.log_params({key: value})

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Log several parameters."""
        self._fields("params", params)

    def set_tag(self, key: str, value: Any) -> None:
        """Set a tag, as text."""
        self.set_tags({key: value})

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set several tags."""
        self._fields("tags", tags)

    def log_artifact(self, path: str | os.PathLike[str], to: str | None = None) -> None:
        """Log a file, or a folder with all that is in it, below the folder ``to``; it is copied now and sent later."""
        source = Path(path)
        self._notices.guard(f"The file {path}", lambda: self._put_files(source, source.absolute().parent, to))

    def log_artifacts(self, folder: str | os.PathLike[str], to: str | None = None) -> None:
        """Log everything in a folder, below the folder ``to``."""
        source = Path(folder)
        self._notices.guard(f"The folder {folder}", lambda: self._put_files(source, source.absolute(), to))

    def log_figure(self, figure: Any, path: str) -> None:
        """Log a Matplotlib, Plotly or Pillow figure as ``name.png``, ``.svg``, ``.html``, ..."""
        self._notices.guard(f"The figure {path}", lambda: self._put_file(media.figure(figure, path), path))

    def log_table(self, table: Any, path: str) -> None:
        """Log a table as ``name.json`` (as MLflow lays tables out), ``.csv`` or ``.parquet``."""
        self._notices.guard(f"The table {path}", lambda: self._put_file(media.table(table, path), path))

    def log_text(self, text: str, path: str) -> None:
        """Log a text as a file."""
        self._notices.guard(f"The text {path}", lambda: self._put_file(str(text).encode(), path))

    def log_dict(self, value: Any, path: str) -> None:
        """Log a dictionary or list as ``name.json`` or ``.yaml``."""
        self._notices.guard(
            f"The dictionary {path}", lambda: self._put_file(media.mapping(value, path), path)
        )

    def log_input(self, data: Any, *, context: str = "training") -> None:
        """Note that a dataset version went into the run: ``data:flights@3``, or what ``trimtab.data`` returned."""

        def put() -> None:
            ref = data if isinstance(data, str) else data.ref
            name, version = refs.data_parts(ref)
            note_input(ref)
            digest = getattr(data, "digest", None) or str(version or "")
            self._put(entries.note(Input(name, digest[-36:], ref, context)))

        self._notices.guard(f"The input {data!r:.100}", put)

    def child(self, name: str | None = None, **options: Any) -> "Run":
        """Start a run below this one, in the same experiment unless another is named."""
        options.setdefault("experiment", self._plan.experiment)
        return run(name=name, parent=self, client=self._client, **options)

    def flush(self, timeout_s: float = _FINISH_S) -> bool:
        """Wait until the server has what this process logged so far; say whether it has."""
        return self.waiting == 0 if self._sender is None else self._sender.flush(timeout_s)

    def finish(self, status: Status = "FINISHED", *, timeout_s: float = _FINISH_S) -> None:
        """Close the run and wait, at most so many seconds, until everything is sent; say in a warning what was not.

        What was not is sent meanwhile and later: by this process while it lives, else by the next ``trimtab.run`` to
        this server, or by ``trimtab runs sync``.
        """
        if self._finished:
            return
        if self._forked:
            self._leave()
            return
        atexit.unregister(self._at_exit)
        if self._sampler is not None:
            self._sampler.stop()
        if self._capture is not None:
            self._capture.join(timeout_s / 2)
        kept = self._spool
        if kept is not None and kept.dropped:
            dropped = entries.fields("tags", {"trimtab.dropped_entries": str(kept.dropped)})
            kept.append(*dropped, must=True)
            self._notices.tell(
                f"{kept.dropped} entries of run {self.id} were left out, as the spool was full."
            )
        if kept is not None and (self._plan.owner or status != "FINISHED"):
            kept.append(*entries.note(End(status, now_us())), must=True)
        self._finished = True
        if self._sender is not None and not self._sender.finish(timeout_s):
            if not self._sender.refused:
                self._notices.tell(still_to_send(self.id, self._sender.waiting, kept))
        elif self._sender is None and kept is not None:
            kept.close(remove=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None or (isinstance(error, SystemExit) and not error.code):
            self.finish("FINISHED")
        else:
            self.finish("KILLED" if issubclass(kind, KeyboardInterrupt) else "FAILED")

    def __reduce__(self) -> Any:
        return _attach, (self.id, self._client.url)

    def _put(self, entry: Entry) -> None:
        kept = self._spool or self._open()
        if self._finished:
            self._notices.tell(f"Run {self.id} has ended; what is logged to it afterwards is left out.")
        elif not kept.append(*entry):
            self._full(kept)

    def _full(self, kept: Spool) -> None:
        self._notices.tell(
            f"The spool of run {self.id} is full ({kept.folder}, see TRIMTAB_SPOOL_MB): what is logged is left out "
            "until the server has taken some of it."
        )

    def _open(self) -> Spool:
        """Open the spool of this process, and send it."""
        with self._opening:
            if self._spool is None:
                plan = self._plan
                head = spool.new_head(
                    run_id=self.id,
                    url=self._client.url,
                    session=plan.session if not self._forked else new_id(),
                    owner=plan.owner and not self._forked,
                    create=plan.create if not self._forked else None,
                )
                made = Spool(head)
                if made.folder is None:
                    self._notices.tell(
                        f"{spool.root()} cannot be written (TRIMTAB_SPOOL): logging goes on in memory."
                    )
                if not plan.offline:
                    self._sender = Sender(
                        made, self._client, folder=None, tell=self._notices.tell, leftovers=not self._forked
                    )
                    self._sender.start()
                self._spool = made
            return self._spool

    def _fields(self, kind: Any, values: Mapping[str, Any]) -> None:
        def put() -> None:
            texts = {str(key): str(value) for key, value in values.items()}
            for at in range(0, len(texts), _MOST_TOGETHER):
                self._put(entries.fields(kind, dict([*texts.items()][at : at + _MOST_TOGETHER])))

        self._notices.guard(f"The {kind}", put)

    def _put_files(self, source: Path, root: Path, to: str | None) -> None:
        files = [one for one in sorted(source.rglob("*")) if one.is_file()] if source.is_dir() else [source]
        for file in files:
            inside = file.absolute().relative_to(root).as_posix()
            self._put_file(file, f"{to.strip('/')}/{inside}" if to else inside)

    def _put_file(self, content: Path | bytes, path: str) -> None:
        if self._finished:
            self._notices.tell(f"Run {self.id} has ended; what is logged to it afterwards is left out.")
            return
        added = (self._spool or self._open()).add_file(content)
        if added is None:
            self._notices.tell(
                f"The file {path} was not logged: the spool has no room for it (TRIMTAB_SPOOL_MB)."
            )
        else:
            self._put(entries.note(File(added[0], path.strip("/"), added[1])))

    def _captured(self, work: start.Captured) -> None:
        def put() -> None:
            tags, files = work()
            self._fields("tags", tags)
            for path, content in files.items():
                self._put_file(content, path)

        self._notices.guard("What the run was started from", put)

    def _at_exit(self) -> None:
        self.finish(start.status_at_exit())

    def after_fork(self) -> None:
        """Begin anew in a forked child: with a spool of its own, and without a say in how the run ends."""
        if self._spool is not None:
            self._spool.forget()
        self._forked = True
        self._opening = threading.Lock()
        self._spool = self._sender = self._sampler = self._capture = None
        if not self._finished and "multiprocessing.util" in sys.modules:
            from multiprocessing.util import Finalize

            Finalize(self, self._leave, exitpriority=0)  # such children do not call atexit

    def _leave(self) -> None:
        """End in a forked child: what is left is sent by the parent."""
        self._finished = True
        if self._sender is not None:
            self._sender.finish(_CHILD_FINISH_S)


_live: weakref.WeakSet[Run] = weakref.WeakSet()


def _after_fork() -> None:
    for one in list(_live):
        one.after_fork()


os.register_at_fork(after_in_child=_after_fork)


def run(
    experiment: str | None = None,
    name: str | None = None,
    *,
    id: str | None = None,  # noqa: A002 - the word that users know
    tags: Mapping[str, Any] | None = None,
    parent: Run | str | None = None,
    rank: int | None = None,
    capture: bool = True,
    system_metrics_s: float | None = None,
    offline: bool | None = None,
    client: Client | None = None,
) -> Run:
    """Start a run, in an experiment that is made where it is new; use it with ``with``, or call ``finish``.

    ``id`` goes on with a run; with an experiment beside it the run is made where it is not there yet, and several
    processes may call so: those whose ``rank`` is above 0 log to the run and do not end it. ``offline`` only writes the
    spool. ``system_metrics_s`` is the time between two samples of the machine's load, 0 for none, by default 10.
    The environment answers where nothing is given: ``TRIMTAB_RUN_ID``, ``RANK`` (beside an id), ``TRIMTAB_OFFLINE``,
    ``TRIMTAB_SYSTEM_METRICS_S``. A server that is not there stops nothing. Raises Invalid for wrong use.
    """
    connection = client or connect()
    above = parent.id if isinstance(parent, Run) else parent
    plan = start.plan(
        connection,
        experiment=experiment,
        name=name,
        run_id=id,
        fresh_id=hex32(),
        tags=tags or {},
        parent=above,
        rank=rank,
        capture=capture,
        system_metrics_s=system_metrics_s,
        offline=offline,
    )
    note_output(refs.run(plan.run_id))
    return Run(plan, connection)


def _attach(run_id: str, url: str) -> Run:
    """Return a run in a process that it was sent to; it logs to the run and does not end it."""
    return run(id=run_id, rank=1, capture=False, system_metrics_s=0, client=connect(url))


def _flat(values: Mapping[str, Any], prefix: str = "") -> Any:
    if not isinstance(values, Mapping):
        raise Invalid(f"A {type(values).__name__} is no mapping of names to numbers.")
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}/")
        else:
            yield f"{prefix}{key}", value
