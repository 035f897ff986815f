"""Which served versions the gateway runs itself: those whose model was compiled and found equal."""

import logging
import shutil
import time
from pathlib import Path

from trimtab.domains.registry import RegistryService
from trimtab.kernel.errors import NotFound, TrimtabError
from trimtab.kernel.who import system

log = logging.getLogger(__name__)

_LOOK_S = 1.0
"""How often to look for what was not compiled yet."""
_LOOK_AGAIN_S = 10.0
"""How often to look whether it was compiled anew, should nobody say so."""
_WHO = system("deploy")


class CompiledVersions:
    """The folders of compiled models, by registered model and version."""

    def __init__(self, registry: RegistryService, folder: Path) -> None:
        self._registry = registry
        self._folder = folder
        self._found: dict[tuple[str, str], Path] = {}
        self._seen: dict[tuple[str, str], int] = {}
        self._refused: set[tuple[str, str]] = set()
        self._not_before: dict[tuple[str, str], float] = {}

    def find(self, model: str, version: str) -> Path | None:
        """Return a compiled version's folder, or None where there is none, or none yet.

        A verdict that comes later is followed: each compiled model has a folder of its own.
        """
        key = (model, version)
        if time.monotonic() >= self._not_before.get(key, 0.0):
            self._not_before[key] = time.monotonic() + (_LOOK_AGAIN_S if key in self._found else _LOOK_S)
            try:
                self._look(model, version)
            except NotFound:
                pass  # it was deleted while it serves: the copy that was made goes on
            except (TrimtabError, OSError) as error:
                self.refuse(model, version, str(error))
        return self.known(model, version)

    def forget(self, model: str, version: str) -> None:
        """Look for a version's compiled form the next time, however short ago one looked; any thread may call it."""
        self._not_before.pop((model, version), None)

    def _look(self, model: str, version: str) -> None:
        key = (model, version)
        compilation = self._registry.compilation(_WHO, model, int(version))
        if compilation.state == "pending" or compilation.at_us == self._seen.get(key):
            return
        found: Path | None = None
        if compilation.state == "compiled":
            folder = self._folder / model / version / str(compilation.at_us)
            found = self._registry.materialize_compiled(_WHO, model, int(version), folder)
        self._seen[key] = compilation.at_us
        self._refused.discard(key)
        before = self._found.pop(key, None)
        if found is not None:
            self._found[key] = found
        for old in (self._folder / model / version).glob("*"):
            if old not in (before, found):  # the gateway may still read the one before
                shutil.rmtree(old, ignore_errors=True)

    def known(self, model: str, version: str) -> Path | None:
        """Return the folder that `find` found, without looking for it."""
        key = (model, version)
        return None if key in self._refused else self._found.get(key)

    def refuse(self, model: str, version: str, problem: str) -> None:
        """Serve a version natively from now on, since its compiled form cannot be loaded here."""
        key = (model, version)
        if key not in self._refused:
            self._refused.add(key)
            log.warning(
                "a compiled model cannot be loaded",
                extra={"model": model, "version": version, "problem": problem},
            )
