"""Decides in which Python a version is loaded: the server's own where that has all it asks for, else one made for it."""

import tempfile
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from trimtab.domains.govern import GovernService
from trimtab.domains.registry import RegistryService
from trimtab.domains.registry.events import ModelEnvironmentSettled
from trimtab.domains.registry.model import ModelVersion, is_prompt
from trimtab.domains.registry.runtimes import requirements, store
from trimtab.domains.registry.runtimes.environments import Environments
from trimtab.domains.registry.runtimes.errors import (
    BadRequirements,
    BuildingOff,
    RuntimeFailed,
)
from trimtab.domains.registry.runtimes.model import PREPARE, Allowed, Runtime, RuntimeState
from trimtab.domains.registry.runtimes.requirements import Asked
from trimtab.domains.registry.runtimes.trials import try_model
from trimtab.infra.bus import Bus
from trimtab.infra.db import Database, Tx
from trimtab.infra.jobs import Jobs
from trimtab.kernel import refs
from trimtab.kernel.errors import Invalid, NotFound
from trimtab.kernel.time import DAY_US, SECOND_US, now_us
from trimtab.kernel.who import Principal
from trimtab.serving.processes import OWN, Interpreter

BUILDING = ("auto", "approve", "never")
UNUSED_US = 30 * DAY_US
"""For how long an environment is kept that no endpoint uses; it can be made again from its lock."""
_JUST_MADE_US = 3600 * SECOND_US
"""How long an environment may be there before the version that it was made for says so."""
_MOST_LISTED = 5
_ASK_AGAIN_US = 60 * SECOND_US
"""After how long whoever waits has the job enqueued again, should it have been lost with its worker."""


class RuntimeService:
    """The runtimes of versions, and the environments of this server."""

    def __init__(
        self,
        db: Database,
        bus: Bus,
        jobs: Jobs,
        *,
        govern: GovernService,
        registry: RegistryService,
        environments: Environments,
        building: str = "auto",
    ) -> None:
        """``building``: auto makes environments where they are needed, approve when an approver asks, never does not."""
        if building not in BUILDING:
            raise Invalid(
                f"model_environments is {', '.join(BUILDING)}, not {building!r}.", field="model_environments"
            )
        self._db = db
        self._bus = bus
        self._jobs = jobs
        self._govern = govern
        self._registry = registry
        self._building = building
        self.environments = environments

    def get(self, who: Principal, name: str, version: int) -> Runtime:
        """Return in which Python a version is loaded, or why it cannot be; raises ModelVersionNotFound."""
        self._govern.permit(who, "read", refs.model(name, version))
        found = self._registry.get_version(who, name, version)
        with self._db.read() as tx:
            known = store.get(tx, digest=found.digest)
        return known or Runtime(found.digest, "pending", "Nobody asked for it yet.")

    def settle(self, who: Principal, name: str, version: int) -> Runtime | None:
        """Decide for a version that has just been registered; what needs an environment gets one in the background.

        None for what is no model. Idempotent.
        """
        self._govern.permit(who, "write", refs.model(name, version))
        found = self._registry.get_version(who, name, version)
        if is_prompt(found.tags) or found.flavor is None:
            return None
        with self._db.read() as tx:
            known = store.get(tx, digest=found.digest)
        return known or self._decide(who, found, Allowed())

    def prepare(
        self,
        who: Principal,
        name: str,
        version: int,
        *,
        allow_sources: bool = False,
        allow_pickle: bool = False,
        own: bool = False,
    ) -> Runtime:
        """Have a version's environment made, or made again where that failed; return how it stands now.

        ``allow_sources`` installs what comes from addresses, repositories and paths or has to be compiled, and
        ``allow_pickle`` loads an unsafe format to try it: both run code and need an approver. ``own`` uses the server's
        packages whatever the version asks for. Raises BuildingOff, NeedsApprover, ModelVersionNotFound.
        """
        self._govern.permit(who, "write", refs.model(name, version))
        if allow_sources or allow_pickle or (self._building == "approve" and not own):
            self._govern.permit(who, "approve", f"an environment of {name} version {version}")
        if self._building == "never" and not own:
            raise BuildingOff(
                "This server makes no environments (model_environments is never). Install what the model needs beside"
                " the server."
            )
        found = self._registry.get_version(who, name, version)
        allowed = Allowed(sources=allow_sources, pickle=allow_pickle, own=own, by=who.id)
        detail = {"sources": allow_sources, "pickle": allow_pickle, "own": own}
        with self._db.write() as tx:
            self._govern.audit(
                tx, who, "registry.version.environment", refs.model(name, version), detail=detail
            )
        return self._decide(who, found, allowed, asked_for=True)

    def interpreter(self, who: Principal, name: str, version: int) -> Interpreter | None:
        """Return the Python that loads a version; None while its environment is made. Raises RuntimeFailed."""
        self._govern.permit(who, "read", refs.model(name, version))
        found = self._registry.get_version(who, name, version)
        with self._db.read() as tx:
            known = store.get(tx, digest=found.digest)
        if known is None:
            known = self._decide(who, found, Allowed())
        if known.state == "own":
            if self._still_fits(known):
                return OWN
            known = self._decide(who, found, known.allowed)
        if known.state == "own":
            return OWN
        if known.state == "ready":
            interpreter = self.environments.find(known.key)
            if interpreter is not None:
                return interpreter
            self._begin(who, found, known, "It is made again from its lock on this machine.")
            return None
        if known.state == "failed":
            raise RuntimeFailed(f"{name} version {version} has no environment: {known.message}")
        if now_us() - known.updated_us > _ASK_AGAIN_US:
            self._begin(who, found, known, known.message)
        return None

    def interpreter_now(
        self, who: Principal, name: str, version: int, *, tick: Callable[[], None] = lambda: None
    ) -> Interpreter:
        """Return the Python that loads a version, whose environment is made at once where it is not there yet.

        For worker processes, which may take the time. Raises RuntimeFailed.
        """
        self._govern.permit(who, "write", refs.model(name, version))
        found = self.interpreter(who, name, version)
        if found is None:
            self.carry_out(who, name, version, tick=tick)
            found = self.interpreter(who, name, version)
        if found is None:
            raise RuntimeFailed(f"The environment of {name} version {version} is being made elsewhere.")
        return found

    def carry_out(
        self, who: Principal, name: str, version: int, *, tick: Callable[[], None] = lambda: None
    ) -> Runtime:
        """Make a version's environment and try it; runs in a worker process."""
        self._govern.permit(who, "write", refs.model(name, version))
        found = self._registry.get_version(who, name, version)
        with self._db.read() as tx:
            known = store.get(tx, digest=found.digest)
        if known is None or known.state != "pending":
            return known or Runtime(found.digest, "pending")
        try:
            made = self._make(who, found, known, tick)
        except (BadRequirements, RuntimeFailed, OSError) as error:
            message = error.message if isinstance(error, BadRequirements | RuntimeFailed) else str(error)
            made = msgspec.structs.replace(known, state="failed", message=message)
        return self._keep(who, found, made)

    def give_up(self, who: Principal, name: str, version: int, *, why: str) -> None:
        """Note that a version's environment could not be made for a reason that nobody foresaw."""
        self._govern.permit(who, "write", refs.model(name, version))
        found = self._registry.get_version(who, name, version)
        with self._db.read() as tx:
            known = store.get(tx, digest=found.digest)
        if known is not None and known.state == "pending":
            self._keep(who, found, msgspec.structs.replace(known, state="failed", message=why))

    def collect(
        self, who: Principal, *, served: Iterable[tuple[str, str]], dry_run: bool = False
    ) -> tuple[int, int]:
        """Remove the environments that nothing uses; return how many there were and the bytes that they took.

        That is what no version asks for, and what no ``served`` (model, version) needs and nobody used for 30 days.
        """
        self._govern.permit(who, "admin", "environments")
        with self._db.read() as tx:
            asked = store.keys(tx)
        needed = self._digests(who, served)
        wanted = {key for key, digest in asked if digest in needed} | self.environments.running()
        known = {key for key, _ in asked}
        gone = [key for key in self.environments.here() if key not in wanted and self._is_old(key, known)]
        left = self.environments.leftovers()
        if not gone and not left:
            return 0, 0
        folders = [*(self.environments.folder / key for key in gone), *left]
        size = self.environments.disk_bytes([*folders, self.environments.cache])
        if not dry_run:
            for key in gone:
                self.environments.remove(key)
            self.environments.clear(left)
            self.environments.clean_cache()
            with self._db.write() as tx:
                store.forget(tx, before_us=now_us() - UNUSED_US)
        return len(folders), size

    def _is_old(self, key: str, known: Collection[str]) -> bool:
        """Say whether nobody used an environment for as long as it is kept; one that no version has goes sooner."""
        kept_us = UNUSED_US if key in known else _JUST_MADE_US
        return self.environments.used_s(key) * 1e6 < now_us() - kept_us

    def _still_fits(self, known: Runtime) -> bool:
        """Say whether the packages beside the server, which may be others by now, still are those to use."""
        if known.allowed.own or self._building == "never" or self.environments.uv() is None:
            return True
        return requirements.are_here(known.asked)

    def _digests(self, who: Principal, served: Iterable[tuple[str, str]]) -> Collection[str]:
        found: set[str] = set()
        for name, version in served:
            with suppress(NotFound):  # deleted while it serves: what runs goes on
                found.add(self._registry.get_version(who, name, int(version)).digest)
        return found

    def _asked(self, who: Principal, version: ModelVersion) -> Asked:
        files: dict[str, bytes] = {}
        for file in self._registry.files(who, version.name, version.version):
            if (
                "/" not in file.path
                and (file.path in requirements.FILES or file.path.endswith(".txt"))
                and file.size_bytes <= requirements.MOST_BYTES
            ):
                with self._registry.open_blob(who, file) as stream:
                    files[file.path] = stream.read()
        return requirements.read(files, flavors=version.flavors, format_=version.format)

    def _decide(
        self, who: Principal, version: ModelVersion, allowed: Allowed, *, asked_for: bool = False
    ) -> Runtime:
        """Keep and return what can be said at once, and have made what has to be."""
        digest = version.digest
        try:
            asked = self._asked(who, version)
        except BadRequirements as error:
            return self._keep(who, version, Runtime(digest, "failed", error.message, allowed=allowed))
        ours = Runtime(digest, "own", asked=asked.all, python=requirements.our_python(), allowed=allowed)
        if allowed.own:
            return self._keep(
                who, version, _with(ours, "own", f"The server's own packages were chosen by {allowed.by}.")
            )
        problems = requirements.lacking(asked)
        wanted = requirements.minor(asked.python)
        if not version.safe and wanted and wanted != requirements.minor(requirements.our_python()):
            problems.append(
                f"Python {asked.python} is asked for, and {requirements.our_python()} is installed"
            )
        if not problems:
            return self._keep(
                who, version, _with(ours, "own", "Everything that it asks for is installed here.")
            )
        why = "; ".join(problems[:_MOST_LISTED]) + ("; ..." if len(problems) > _MOST_LISTED else "")
        refusal = self._refusal(asked, allowed, asked_for=asked_for)
        if refusal is not None:
            state, said = refusal
            return self._keep(who, version, _with(ours, state, f"{why}. {said}"))
        return self._begin(who, version, ours, f"{why}. An environment is made for it.")

    def _refusal(self, asked: Asked, allowed: Allowed, *, asked_for: bool) -> tuple[RuntimeState, str] | None:
        """Return why no environment is made and what that means, None where one may be."""
        if self._building == "never":
            return "own", "The server's own packages are used: it makes no environments (model_environments)."
        if self.environments.uv() is None:
            hint = "pip install 'trimtab[environments]'"
            return "own", f"The server's own packages are used: making an environment needs uv ({hint})."
        if self._building == "approve" and not asked_for:
            return (
                "failed",
                "An approver has to have its environment made (trimtab models environment --build).",
            )
        if asked.elsewhere and not allowed.sources:
            named = ", ".join(repr(line[:100]) for line in asked.elsewhere[:_MOST_LISTED])
            return "failed", (
                f"Installing {named} would run code from outside the package index. If that is meant, an approver"
                " has it made with --allow-sources."
            )
        return None

    def _begin(self, who: Principal, version: ModelVersion, runtime: Runtime, message: str) -> Runtime:
        pending = msgspec.structs.replace(
            runtime, state="pending", message=message, updated_us=now_us(), updated_by=who.id
        )
        with self._db.write() as tx:
            tx.lock(f"registry.runtime:{version.digest}")
            store.put(tx, pending)
            payload = {"name": version.name, "version": version.version}
            self._jobs.enqueue(tx, PREPARE, payload, queue="heavy", dedupe_key=version.digest, max_attempts=3)
        return pending

    def _make(
        self, who: Principal, version: ModelVersion, known: Runtime, tick: Callable[[], None]
    ) -> Runtime:
        asked = self._asked(who, version)
        allowed = known.allowed
        took: dict[str, float] = {}
        environments = self.environments
        environments.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="trimtab-environment-") as scratch:
            model = self._registry.materialize(who, version.name, version.version, Path(scratch, "model"))
            began = now_us()
            python = environments.choose_python(asked.python)
            lock = known.lock or environments.resolve(
                asked, python, model=model, sources=allowed.sources, tick=tick
            )
            took["resolve"] = _since(began)
            key = environments.key(lock, python, files="" if "--hash=" in lock else version.digest)
            began = now_us()
            interpreter = environments.build(
                key, lock, python, model=model, sources=allowed.sources, tick=tick
            )
            took["install"] = _since(began)
            made = msgspec.structs.replace(
                known, key=key, lock=lock, python=python.version, size_bytes=environments.size_bytes(key)
            )
            notes = [python.note] if python.note else []
            if asked.conda:
                notes.append(
                    f"What conda would install is not there: {', '.join(asked.conda[:_MOST_LISTED])}."
                )
            return self._try(version, made, interpreter, model=model, took=took, notes=notes, tick=tick)

    def _try(
        self,
        version: ModelVersion,
        made: Runtime,
        interpreter: Interpreter,
        *,
        model: Path,
        took: dict[str, float],
        notes: list[str],
        tick: Callable[[], None],
    ) -> Runtime:
        if not (version.safe or made.allowed.pickle):
            notes = [
                *notes,
                f"It was not tried: loading {version.format} runs code, which nobody allowed yet.",
            ]
            return msgspec.structs.replace(
                made, state="ready", trial="skipped", took=took, message=" ".join(notes)
            )
        tried = try_model(model, interpreter, allow_pickle=made.allowed.pickle, tick=tick)
        took["try"] = tried.took_s
        if tried.passed:
            message = " ".join([tried.message, *notes])
            return msgspec.structs.replace(made, state="ready", trial="passed", took=took, message=message)
        message = " ".join(
            [f"The environment was made, but the model cannot be loaded in it: {tried.message}.", *notes]
        )
        return msgspec.structs.replace(made, state="failed", trial="failed", took=took, message=message)

    def _keep(self, who: Principal, version: ModelVersion, runtime: Runtime) -> Runtime:
        kept = msgspec.structs.replace(runtime, updated_us=now_us(), updated_by=who.id)
        ref = refs.model(version.name, version.version)
        with self._db.write() as tx:
            store.put(tx, kept)
            self._tell(tx, who, version, kept, ref)
        return kept

    def _tell(self, tx: Tx, who: Principal, version: ModelVersion, runtime: Runtime, ref: str) -> None:
        event: Any = ModelEnvironmentSettled(
            name=version.name,
            version=version.version,
            state=runtime.state,
            message=runtime.message[:500],
            key=runtime.key,
        )
        self._bus.emit(tx, event, subject=ref, actor=who.id)


def _with(runtime: Runtime, state: RuntimeState, message: str) -> Runtime:
    return msgspec.structs.replace(runtime, state=state, message=message)


def _since(began_us: int) -> float:
    return round((now_us() - began_us) / 1e6, 3)
