"""What is known of a version's runtime."""

from typing import Literal

import msgspec

RuntimeState = Literal["own", "ready", "failed", "pending"]
Trial = Literal["none", "passed", "failed", "skipped"]

PREPARE = "registry.prepare_runtime"


class Allowed(msgspec.Struct, frozen=True):
    """What somebody allowed or chose for exactly these files.

    ``sources`` lets addresses, repositories, paths and source archives be installed, which run code; ``pickle`` lets
    the files be loaded to try them although that runs code; ``own`` uses the server's packages whatever is asked for.
    """

    sources: bool = False
    pickle: bool = False
    own: bool = False
    by: str = ""


class Runtime(msgspec.Struct, frozen=True):
    """The runtime of a version's files.

    ``own``: the server's own packages do. ``ready``: an environment was made by the ``lock``; ``key`` names it.
    ``failed`` and ``pending`` say why in ``message``. ``asked`` are the requirements that count here; ``python`` is the
    version that loads the model; ``took`` has the seconds of each step; ``size_bytes`` is the environment's on the disk.
    """

    digest: str
    state: RuntimeState
    message: str = ""
    asked: list[str] = []
    python: str = ""
    key: str = ""
    lock: str = ""
    trial: Trial = "none"
    took: dict[str, float] = {}
    size_bytes: int = 0
    allowed: Allowed = Allowed()
    updated_us: int = 0
    updated_by: str = ""

    @property
    def took_s(self) -> float:
        """Seconds of all steps together."""
        return round(sum(self.took.values()), 3)
