"""Imports a foreign store into a server: experiment by experiment, run by run, and what is complete is not sent again."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

from trimtab.kernel.errors import Conflict, Invalid, NotFound, TrimtabError, did_you_mean
from trimtab.moving.model import Experiment, Loaded, Problem, RegisteredModel, Report, Stub, Tell
from trimtab.moving.sending import Advance, Sender
from trimtab.moving.sources.port import Source
from trimtab.sdk.client import Client

_ASKED_AT_ONCE = 1000
_MOST_PROBLEMS = 10_000
_NOT_IN_MODELS = str.maketrans("/:", "--")  # what a prefix may hold and the name of a model may not


def run(
    client: Client,
    source: Source,
    *,
    experiments: Sequence[str] = (),
    prefix: str = "",
    deleted: bool = False,
    models: bool = True,
    dry_run: bool = False,
    advance: Advance = lambda _doing, _more, _total: None,
) -> Report:
    """Bring everything of a source to a server and return what became of it.

    ``experiments`` are names or ids; all without any. ``prefix`` goes before the names of experiments and models.
    ``deleted`` takes also what is in the trash, into the trash here. What cannot be read or is in the way is in the
    report; raises Unavailable and Forbidden where nothing can go on, and NotFound for an experiment that is not there.
    """
    started = time.monotonic()
    report = Report(source.origin, dry_run=dry_run)

    def tell(problem: Problem) -> None:
        if len(report.problems) < _MOST_PROBLEMS and problem not in report.problems[-50:]:
            report.problems.append(problem)

    importing = _Import(
        client, source, report, tell, advance, prefix=prefix, deleted=deleted, dry_run=dry_run
    )
    try:
        importing.experiments(experiments)
        if models and not experiments:
            for model in source.registered_models(tell):
                importing.model(model)
    finally:
        importing.close()
    report.seconds = round(time.monotonic() - started, 3)
    return report


class _Import:
    def __init__(
        self,
        client: Client,
        source: Source,
        report: Report,
        tell: Tell,
        advance: Advance,
        *,
        prefix: str,
        deleted: bool,
        dry_run: bool,
    ) -> None:
        self._client = client
        self._source = source
        self._report = report
        self._tell = tell
        self._prefix = prefix
        self._deleted = deleted
        self._dry_run = dry_run
        self._sender = Sender(client, source.origin, report, tell, advance)

    def close(self) -> None:
        self._sender.close()

    def experiments(self, wanted: Sequence[str]) -> None:
        found = list(self._source.experiments(self._tell, deleted=self._deleted))
        chosen = [one for one in found if not wanted or one.name in wanted or one.id in wanted]
        for name in wanted:
            if not any(name in (one.name, one.id) for one in chosen):
                hint = did_you_mean(name, [one.name for one in found])
                raise NotFound(f"{self._source.origin} has no experiment {name!r}.{hint}", field="experiment")
        for experiment in chosen:
            self._experiment(experiment)

    def _experiment(self, experiment: Experiment) -> None:
        stubs = list(self._source.runs(experiment, self._tell, deleted=self._deleted))
        models = list(self._source.logged_models(experiment, self._tell, deleted=self._deleted))
        missing = self._missing(stubs, "run", self._report.runs)
        missing_models = self._missing(models, "logged-model", self._report.logged_models)
        entry: dict[str, Any] = {
            "theirs": experiment.id,
            "name": f"{self._prefix}{experiment.name}",
            "runs": len(stubs),
            "new_runs": len(missing),
            "deleted": experiment.deleted,
            "ours": None,
            "created": False,
        }
        self._report.experiments.append(entry)
        if self._dry_run:
            self._report.runs["created"] += len(missing)
            self._report.logged_models["created"] += len(missing_models)
            self._report.points += sum(stub.points for stub in missing)
            return
        if experiment.deleted and not missing and not missing_models:
            return
        made = self._made(experiment)
        if made is None:
            self._report.runs["refused"] += len(missing)
            return
        entry["ours"], entry["created"] = made["id"], made["created"]
        ours: str = made["id"]
        runs = _Counted(self._source.load(experiment, missing, self._tell))
        self._sender.runs(iter(runs), experiment_id=ours, total=len(missing))
        logged = _Counted(self._source.load_models(missing_models, self._tell))
        self._sender.models(iter(logged), experiment_id=ours, total=len(missing_models))
        self._report.runs["failed"] += len(missing) - runs.read
        self._report.logged_models["failed"] += len(missing_models) - logged.read
        if experiment.deleted and made["created"]:
            self._client.delete(f"/experiments/{ours}")

    def _made(self, experiment: Experiment) -> dict[str, Any] | None:
        record = {
            "name": f"{self._prefix}{experiment.name}",
            "tags": experiment.tags,
            "created_us": experiment.created_us,
            "updated_us": experiment.updated_us,
            "artifact_location": experiment.artifact_location,
        }
        body = {"origin": self._source.origin, "experiment": record}
        try:
            return self._client.post("/import/experiments", body)
        except (Invalid, Conflict) as error:
            advice = "restore or rename it here, or import under another name: --prefix TEXT"
            self._tell(Problem(f"experiment {experiment.name!r}", error.message, advice))
            return None

    def _missing(self, stubs: Sequence[Stub], kind: str, counts: dict[str, int]) -> list[Stub]:
        """Return what is not complete here as it looks there now, and count the rest as unchanged."""
        wanted: set[str] = set()
        for part in _portions(stubs):
            marks = {f"{kind}:{stub.id}": stub.fingerprint for stub in part}
            wanted.update(self._client.post("/import/missing", {"marks": marks})["items"])
        missing = [stub for stub in stubs if f"{kind}:{stub.id}" in wanted]
        counts["unchanged"] += len(stubs) - len(missing)
        return missing

    def model(self, model: RegisteredModel) -> None:
        """Bring a registered model with its versions and aliases."""
        self._report.models += 1
        self._report.versions += len(model.versions)
        if self._dry_run:
            return
        name = f"{self._prefix.translate(_NOT_IN_MODELS)}{model.name}"
        head = {
            "name": name,
            "description": model.description,
            "created_us": model.created_us,
            "updated_us": model.updated_us,
            "tags": model.tags,
        }
        try:
            self._client.post("/import/models", {"origin": self._source.origin, "model": head})
        except (Invalid, Conflict) as error:
            self._tell(
                Problem(f"model {model.name!r}", error.message, "import under another name: --prefix TEXT")
            )
            return
        for version in model.versions:
            body = {"origin": self._source.origin, "model": name, "version": version}
            try:
                self._client.post("/import/versions", body)
            except TrimtabError as error:
                if error.kind not in ("invalid", "conflict", "not-found"):
                    raise
                self._report.versions -= 1
                advice = "import the run or logged model that owns its files, then import again"
                self._tell(Problem(f"model {model.name!r} version {version.version}", error.message, advice))
        for alias, number in model.aliases.items():
            body = {"origin": self._source.origin, "model": name, "alias": alias, "version": number}
            try:
                self._client.post("/import/aliases", body)
            except TrimtabError as error:
                if error.kind not in ("invalid", "conflict", "not-found"):
                    raise
                self._tell(Problem(f"model {model.name!r} alias {alias!r}", error.message))


class _Counted:
    """Counts what could be read; the rest was told as a problem."""

    def __init__(self, loaded: Iterator[Loaded]) -> None:
        self._loaded = loaded
        self.read = 0

    def __iter__(self) -> Iterator[Loaded]:
        for one in self._loaded:
            self.read += 1
            yield one


def _portions(stubs: Sequence[Stub]) -> Iterator[Sequence[Stub]]:
    for first in range(0, len(stubs), _ASKED_AT_ONCE):
        yield stubs[first : first + _ASKED_AT_ONCE]
