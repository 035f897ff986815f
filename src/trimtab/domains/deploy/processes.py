"""What answers predictions for a server, begun before most of the server is imported or its database is open.

A server that ends in order leaves a note: under which settings it ran, what state its database was left in, which
models' processes ran. The next one takes it. Where all of that is as it was left, nothing can have been revoked,
deleted or moved since: the gateway serves what was served last while the server is still starting. Else, and after a
crash, the gateway starts as early, but lets callers wait until it has been told what to serve.
"""

import logging
from pathlib import Path

import msgspec

from trimtab.domains.deploy.gateway import Gateway
from trimtab.domains.deploy.targets.limits import Limits
from trimtab.domains.deploy.targets.port import ReplicaSpec
from trimtab.domains.deploy.targets.process import ProcessTarget
from trimtab.serving.files import write_atomically

log = logging.getLogger(__name__)

_NOTE = "left.json"


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """What a server left. ``database`` is the mark of its state, None where none can be had without asking it."""

    code: str
    settings: str
    database: str | None
    replicas: list[ReplicaSpec]


class Processes:
    """The gateway and the models' processes of one home. They end with the thread that calls `begin`."""

    def __init__(self, gateway: Gateway, folder: Path, *, limits: Limits, code: str, settings: str) -> None:
        """``code`` is the version of Trimtab, ``settings`` a mark of those that what is served depends on."""
        self.gateway = gateway
        self.target = ProcessTarget(folder, limits=limits)
        self.folder = folder
        self._code = code
        self._settings = settings

    def begin(self, *, database: str | None) -> bool:
        """Start the gateway, and what else ran last; returns whether it serves what was served last.

        ``database`` is the mark of the state that the database is in now.
        """
        left = self._take()
        if left is None or (left.code, left.settings, left.database) != (
            self._code,
            self._settings,
            database,
        ):
            self.gateway.begin(resume=False)
            return False
        resumes = database is not None
        self.gateway.begin(resume=resumes)
        for spec in left.replicas:
            try:
                self.target.ensure(spec)
            except OSError as error:  # the data plane says what is wrong with it, if it still is
                log.info("not begun", extra={"endpoint": spec.endpoint, "error": str(error)})
        return resumes

    def leave(self, *, database: str | None, replicas: list[ReplicaSpec]) -> None:
        """Note for the next server what this one left; to be called when nothing writes to the database any more."""
        note = Left(code=self._code, settings=self._settings, database=database, replicas=replicas)
        try:
            write_atomically(self.folder / _NOTE, msgspec.json.encode(note, enc_hook=str))
        except OSError as error:
            log.warning("the next start will take longer", extra={"error": str(error)})

    def end(self) -> None:
        """End what runs, for a server that does not get so far as to keep it."""
        self.gateway.end()
        self.target.close()

    def _take(self) -> Left | None:
        """Return what the last server left, and have it be gone: a crash leaves nothing."""
        note = self.folder / _NOTE
        try:
            content = note.read_bytes()
            note.unlink()
            return msgspec.json.decode(content, type=Left, dec_hook=lambda kind, value: kind(value))
        except (OSError, msgspec.MsgspecError):
            return None
