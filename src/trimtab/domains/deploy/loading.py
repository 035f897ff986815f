"""What a version's process is started with: its files, in which Python, and what it may do there.

Files are compared and interpreters asked for once in the life of this process.
"""

import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from trimtab.domains.deploy.model import Endpoint, Served
from trimtab.domains.deploy.targets.port import ReplicaSpec
from trimtab.domains.registry import RegistryService
from trimtab.kernel.errors import NotFound
from trimtab.kernel.who import system
from trimtab.serving import routes
from trimtab.serving.files import write_atomically
from trimtab.serving.processes import OWN, Interpreter

log = logging.getLogger(__name__)

InterpreterOf = Callable[[str, int], Interpreter | None]
"""Returns the Python that loads a version of a model, None while its environment is made; raises where it has none."""
_WHO = system("deploy")


def always_own(_: str, __: int) -> Interpreter | None:
    """Have every version loaded by the Python of this process."""
    return OWN


class Loading:
    """Versions as they are laid out on this machine; ``folder`` is where their files are put."""

    def __init__(self, registry: RegistryService, folder: Path, interpreter_of: InterpreterOf) -> None:
        self._registry = registry
        self._folder = folder
        self._interpreter_of = interpreter_of
        self._folders: dict[tuple[str, str], Path] = {}
        self._interpreters: dict[tuple[str, str], Interpreter] = {}
        self._signatures: dict[tuple[str, str], routes.Signature | None] = {}

    def spec(self, endpoint: Endpoint, one: Served) -> ReplicaSpec | None:
        """Return how a version's process is started, None while its environment is made; raises where it cannot be."""
        interpreter = self._interpreter(endpoint.model, one.version)
        if interpreter is None:
            return None
        return ReplicaSpec(
            endpoint.name,
            one.version,
            self._model_folder(endpoint.model, one.version),
            one.allow_pickle,
            allow_network=one.allow_network,
            interpreter=interpreter,
        )

    def signature(self, model: str, version: str) -> routes.Signature | None:
        """Return what requests to a version are checked against."""
        key = (model, version)
        if key not in self._signatures:
            found = self._registry.get_version(_WHO, model, int(version))
            self._signatures[key] = routes.signature_of(found.signature)
        return self._signatures[key]

    def _interpreter(self, model: str, version: str) -> Interpreter | None:
        known = self._interpreters.get((model, version))
        if known is not None and Path(known.python).exists():
            return known
        note = self._folder / model / f"{version}.python"
        try:
            found = self._interpreter_of(model, int(version))
        except NotFound:  # deleted from the registry while it serves: it goes on in the same Python
            found = _noted(note)
        if found is not None:
            self._interpreters[model, version] = found
            note.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(note, msgspec.json.encode(found))
        return found

    def _model_folder(self, model: str, version: str) -> Path:
        key = (model, version)
        if key not in self._folders:
            folder = self._folder / model / version
            folder.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._registry.materialize(_WHO, model, int(version), folder)
            except NotFound:
                # Deleted from the registry while it serves: the copy that was compared when it came goes on.
                if not folder.exists():
                    raise
                log.warning("serving a deleted version", extra={"model": model, "version": version})
            self._folders[key] = folder
        return self._folders[key]


def _noted(note: Path) -> Interpreter:
    """Return the interpreter that a version had when it was last started, the server's own where that is gone."""
    try:
        found = msgspec.json.decode(note.read_bytes(), type=Interpreter)
    except (OSError, msgspec.MsgspecError):
        return OWN
    return found if Path(found.python).exists() else OWN
