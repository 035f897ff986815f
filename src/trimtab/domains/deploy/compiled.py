"""Which served versions the gateway runs itself: those whose model was compiled and found equal."""

import logging
import time
from pathlib import Path

from trimtab.domains.registry import RegistryService
from trimtab.kernel.errors import NotFound
from trimtab.kernel.who import system

log = logging.getLogger(__name__)

_LOOK_S = 1.0
"""How often to look for what was not compiled yet."""
_WHO = system("deploy")


class CompiledVersions:
    """The folders of compiled models, by registered model and version."""

    def __init__(self, registry: RegistryService, folder: Path) -> None:
        self._registry = registry
        self._folder = folder
        self._found: dict[tuple[str, str], Path] = {}
        self._refused: set[tuple[str, str]] = set()
        self._not_before: dict[tuple[str, str], float] = {}

    def find(self, model: str, version: str) -> Path | None:
        """Return a compiled version's folder, or None where there is none, or none yet."""
        key = (model, version)
        if key in self._refused:
            return None
        if key not in self._found and time.monotonic() >= self._not_before.get(key, 0.0):
            self._not_before[key] = time.monotonic() + _LOOK_S
            folder = self._folder / model / version
            try:
                found = self._registry.materialize_compiled(_WHO, model, int(version), folder)
            except NotFound:  # deleted from the registry while it serves: the copy that was made goes on
                found = folder if folder.exists() else None
            if found is not None:
                self._found[key] = found
        return self.known(model, version)

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
