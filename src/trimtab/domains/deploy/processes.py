"""What answers predictions for a server, begun before most of the server is imported or its database is open.

A server that ends in order leaves a note: under which settings it ran, what state its database was left in, which
models' processes ran. The next one takes it. Where all of that is as it was left, nothing can have been revoked,
deleted or moved since: the gateway serves what was served last while the server is still starting. Else, and after a
crash, the gateway starts as early, but lets callers wait until it has been told what to serve.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from trimtab.domains.deploy.gateway import Gateway
from trimtab.serving.files import write_atomically

if TYPE_CHECKING:
    from trimtab.domains.deploy.targets.port import ReplicaSpec
    from trimtab.domains.deploy.targets.process import ProcessTarget

log = logging.getLogger(__name__)

_NOTE = "left.json"


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """What a server left. ``database`` is the mark of its state, None where none can be had without asking it."""

    code: str
    settings: str
    database: str | None
    replicas: msgspec.Raw
    """A list of ReplicaSpec, which is read when the gateway has been started."""


class Processes:
    """The gateway and the models' processes of one home. They end with the thread that calls `begin`."""

    target: "ProcessTarget"

    def __init__(self, gateway: Gateway, folder: Path, *, memory_mb: int, code: str, settings: str) -> None:
        """``memory_mb`` is what a model's process may hold (0: most of the machine's), ``code`` the version of Trimtab,
        ``settings`` a mark of those that what is served depends on.
        """
        self.gateway = gateway
        self.folder = folder
        self._memory_mb = memory_mb
        self._code = code
        self._settings = settings

    def begin(self, *, database: str | None) -> bool:
        """Start the gateway, and what else ran last; returns whether it serves what was served last.

        ``database`` is the mark of the state that the database is in now. Raises Unavailable where a port is taken.
        """
        left = self._take()
        now = (self._code, self._settings, database)
        unchanged = left is not None and (left.code, left.settings, left.database) == now
        resumes = unchanged and database is not None
        self.folder.mkdir(parents=True, exist_ok=True)
        self.gateway.check_ports()
        if resumes or self.gateway.has_served:  # else it can wait until the server is there
            self.gateway.begin(resume=resumes)
        # What these import is not needed before the gateway starts.
        from trimtab.domains.deploy.targets.limits import Limits
        from trimtab.domains.deploy.targets.process import ProcessTarget

        self.target = ProcessTarget(self.folder, limits=Limits.of_machine(memory_mb=self._memory_mb))
        if left is not None and unchanged:
            self._begin_replicas(left.replicas)
        return resumes

    def _begin_replicas(self, noted: msgspec.Raw) -> None:
        from trimtab.domains.deploy.targets.port import ReplicaSpec

        try:
            specs = msgspec.json.decode(noted, type=list[ReplicaSpec], dec_hook=lambda kind, text: kind(text))
            for spec in specs:
                self.target.ensure(spec)
        except (OSError, msgspec.MsgspecError) as error:  # the data plane says what is wrong, if it still is
            log.info("not begun", extra={"error": str(error)})

    def leave(self, *, database: str | None, replicas: "Sequence[ReplicaSpec]") -> None:
        """Note for the next server what this one left; to be called when nothing writes to the database any more."""
        note = Left(
            code=self._code,
            settings=self._settings,
            database=database,
            replicas=msgspec.Raw(msgspec.json.encode(replicas, enc_hook=str)),
        )
        try:
            write_atomically(self.folder / _NOTE, msgspec.json.encode(note))
        except OSError as error:
            log.warning("the next start will take longer", extra={"error": str(error)})

    def end(self) -> None:
        """End what runs, for a server that does not get so far as to keep it."""
        self.gateway.end()
        if hasattr(self, "target"):
            self.target.close()

    def _take(self) -> Left | None:
        """Return what the last server left, and have it be gone: a crash leaves nothing."""
        note = self.folder / _NOTE
        try:
            content = note.read_bytes()
            note.unlink()
            return msgspec.json.decode(content, type=Left)
        except (OSError, msgspec.MsgspecError):
            return None
