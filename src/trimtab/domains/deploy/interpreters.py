"""In which Python the processes of versions are started; asked for once in the life of this process."""

from collections.abc import Callable
from pathlib import Path

from trimtab.kernel.errors import NotFound
from trimtab.serving.processes import OWN, Interpreter

InterpreterOf = Callable[[str, int], Interpreter | None]
"""Returns the Python that loads a version of a model, None while its environment is made; raises where it has none."""


def always_own(_: str, __: int) -> Interpreter | None:
    """Have every version loaded by the Python of this process."""
    return OWN


class Interpreters:
    """Interpreters by model and version."""

    def __init__(self, ask: InterpreterOf) -> None:
        self._ask = ask
        self._known: dict[tuple[str, str], Interpreter] = {}

    def find(self, model: str, version: str) -> Interpreter | None:
        """Return the Python of a version, None while it is made; raises RuntimeFailed."""
        known = self._known.get((model, version))
        if known is not None and Path(known.python).exists():
            return known
        try:
            found = self._ask(model, int(version))
        except NotFound:  # deleted from the registry while it serves
            found = OWN
        if found is not None:
            self._known[model, version] = found
        return found
