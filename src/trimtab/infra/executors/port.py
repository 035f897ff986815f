"""What an engine that runs calls must do: start them, say which have ended, stop them; and keep one's crash from others."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol

import msgspec

State = Literal["done", "failed", "crashed", "timed-out", "cancelled"]


class Call(msgspec.Struct, frozen=True):
    """One call of ``target`` (``module:function``), which takes the payload and returns bytes.

    ``id`` is unique in its session. Time beyond ``timeout_s`` seconds ends the call. ``cpus`` is how many of the
    session's places it fills; a call that asks for more than there are runs alone.
    """

    id: str
    target: str
    payload: bytes
    timeout_s: float | None = None
    cpus: int = 1


class Outcome(msgspec.Struct, frozen=True):
    """How a call ended.

    ``done`` carries the result. ``failed`` means that the target raised, ``crashed`` that its process died; both say
    so in one line of ``error``. ``log`` is what the call wrote to standard output and error, its middle cut out
    where that is long.
    """

    call_id: str
    state: State
    started_us: int
    ended_us: int
    result: bytes = b""
    error: str = ""
    log: str = ""


class Session(Protocol):
    """Processes that serve one run. A session belongs to the thread that opened it."""

    @property
    def places(self) -> int:
        """How many calls of one CPU run at the same time."""
        ...

    def start(self, call: Call, /) -> None:
        """Run a call as soon as there is a place; calls begin in the order in which they fit."""
        ...

    def running(self) -> Mapping[str, int]:
        """Return the calls that have begun and not ended, with the moment at which each began."""
        ...

    def poll(self, timeout_s: float, /) -> list[Outcome]:
        """Return what has ended, waiting for it at most so long; every call is reported once."""
        ...

    def cancel(self, call_id: str, /) -> None:
        """End a call by force, or take it out of the queue; its outcome is ``cancelled`` unless it had ended."""
        ...

    def log(self, call_id: str, /) -> str:
        """Return the last lines that a running call has written so far."""
        ...

    def close(self) -> None:
        """End every process and all that they started. What still ran is not reported."""
        ...


class Executor(Protocol):
    """An engine on which sessions are opened."""

    def open(
        self, *, folder: Path, environment: Mapping[str, str], prepare: tuple[str, bytes] | None = None
    ) -> Session:
        """Open a session whose processes see this environment and nothing of the caller's.

        ``folder`` is for the session's own files; each call works in a fresh folder beneath it, which goes when
        the call ends. ``prepare`` is a target and payload that each process runs once before its first call.
        """
        ...
