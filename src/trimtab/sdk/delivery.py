"""Sends what a spool holds to the server: in batches, again until it arrives, each refused entry told and left out."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from trimtab.kernel.errors import (
    Forbidden,
    Invalid,
    NotFound,
    TooLarge,
    TrimtabError,
    Unauthenticated,
    Unavailable,
)
from trimtab.sdk import entries
from trimtab.sdk.client import Client
from trimtab.sdk.entries import End, Entry, File, Input, Reopen
from trimtab.sdk.spool import FRAME, NOTE, Head
from trimtab.sdk.spool_reader import ENDED, ENSURED, Reader

Outcome = Literal["done", "away", "barred", "refused"]
ENDED_STATES = ("FINISHED", "FAILED", "KILLED")
SESSION_TAG = "trimtab.session"
MOST_IN_A_BATCH = 10_000
_PIECE = 1 << 20
_RUN_IS_GONE = ("run-not-found", "not-active", "experiment-not-found")

Tell = Callable[[str], None]


class _RunIsGoneError(Exception):
    """The server takes nothing for this run any more."""


class Delivery:
    """Brings one spool to one server. ``pump`` sends all that is there now; it may be called again and again.

    "away": the server was not reached and the rest waits. "barred": it wants another token. "refused": it has no such
    run, or has it in the trash.
    """

    def __init__(self, head: Head, reader: Reader | None, client: Client, *, tell: Tell) -> None:
        self.name: str | None = None
        self.sent = 0
        self.refused = 0
        self.ended = False
        self.reason = ""
        self._head = head
        self._reader = reader
        self._client = client
        self._tell = tell
        self._ensured = reader is not None and bool(reader.flags & ENSURED)
        self._made_again = False
        self._memory: list[Entry] = []

    def pump(self, stop: Callable[[], bool] = bool) -> Outcome:
        """Send what is there; ``stop`` is asked between requests."""
        try:
            self._ensure()
            while self._send_some(stop):
                pass
            return "away" if stop() else "done"
        except _RunIsGoneError as error:
            self.reason = str(error)
            return "refused"
        except (Unauthenticated, Forbidden) as error:
            self.reason = error.message
            return "barred"
        except TrimtabError as error:  # not reached, or failing within
            self.reason = error.message
            return "away"

    def add_memory(self, frames: list[bytes]) -> None:
        """Take frames that never came to the disk; they follow those that did."""
        self._memory += [(kind, count, payload) for kind, count, payload in _decode(frames)]

    @property
    def has_memory(self) -> bool:
        return bool(self._memory)

    def mark_lost(self, at_us: int) -> None:
        """Have a run FAILED whose process ended without a word, unless it goes on elsewhere or has ended."""
        run = self._client.get(f"/runs/{self._head.run_id}")
        if run["status"] == "RUNNING" and run["tags"].get(SESSION_TAG) == self._head.session:
            tags = {"trimtab.ended": "lost"}
            self._client.post(f"/runs/{self._head.run_id}/log", {"tags": tags})
            self._client.patch(f"/runs/{self._head.run_id}", {"status": "FAILED", "ended_us": at_us})

    def _ensure(self) -> None:
        """Have the run on the server, running, where this spool is its owner's."""
        if self._ensured:
            return
        head = self._head
        try:
            if head.create is not None:
                made = self._client.post("/runs", {"id": head.run_id, **head.create})
                self.name = made["name"]
                if head.owner and made["status"] in ENDED_STATES:
                    self._client.patch(f"/runs/{head.run_id}", {"status": "RUNNING"})
            elif head.owner:
                self.name = self._client.patch(f"/runs/{head.run_id}", {"status": "RUNNING"})["name"]
        except (NotFound, Invalid) as error:
            raise _RunIsGoneError(error.message) from error
        self._ensured = True
        if self._reader is not None:
            self._reader.mark(ENSURED)

    def _send_some(self, stop: Callable[[], bool]) -> bool:
        """Send what one reading gives, and say whether there was more than that.

        What is logged meanwhile waits for the next time: few large requests disturb a training less than many.
        """
        if self._reader is not None:
            frames = self._reader.read(most=MOST_IN_A_BATCH)
            at = 0
            for group in _groups([(kind, count, payload) for kind, count, payload, _ in frames]):
                if stop():
                    return False
                self._send(group)
                at += len(group)
                self.sent += len(group)
                self._reader.commit(frames[at - 1][3], ENDED if self.ended else 0)
            if self._reader.behind:
                return True
        for group in _groups(self._memory[:MOST_IN_A_BATCH]):
            self._send(group)
            self.sent += len(group)
            del self._memory[: len(group)]
        return bool(self._memory) and not stop()

    def _send(self, group: list[Entry]) -> None:
        if group[0][0] != NOTE:
            self._log(group)
            return
        value = entries.read_note(group[0][2])
        try:
            self._send_note(value)
        except (Unavailable, Unauthenticated, Forbidden):
            raise
        except TrimtabError as error:
            self._judge(error)
            self._refuse(_what(value), error.message)
            if isinstance(value, File) and self._reader is not None:
                self._reader.drop_file(value.name)

    def _send_note(self, value: entries.Note) -> None:
        address = f"/runs/{self._head.run_id}"
        match value:
            case File(name, path):
                assert self._reader is not None
                copy = self._reader.file(name)
                if not copy.exists():
                    return  # it was sent, and only the note of that was lost
                size = copy.stat().st_size
                self._client.upload(f"{address}/artifacts/{quote(path)}", _pieces(copy), size_bytes=size)
                self._reader.drop_file(name)
            case Input(name, digest, ref, context):
                dataset = {"name": name, "digest": digest, "source": ref, "context": context}
                self._client.post(f"{address}/inputs", {"datasets": [dataset]})
            case Reopen():
                self._client.patch(address, {"status": "RUNNING"})
                self.ended = False
            case End(status, at_us):
                self._client.patch(address, {"status": status, "ended_us": at_us})
                self.ended = True

    def _log(self, group: list[Entry]) -> None:
        try:
            self._client.post(f"/runs/{self._head.run_id}/log", entries.body(group))
        except (Invalid, TooLarge, NotFound) as error:
            self._judge(error)
            if len(group) == 1:
                parts = entries.split(group[0])
                if len(parts) <= 1:
                    self._refuse(entries.name_of(group[0]), error.message)
                    return
                group = parts
            middle = len(group) // 2  # one of them is wrong, and the others shall not suffer
            self._log(group[:middle])
            self._log(group[middle:])

    def _judge(self, error: TrimtabError) -> None:
        """Go on where only an entry is wrong; make the run again where it is gone and this spool can."""
        if error.kind == "bug":
            raise error
        if error.code not in _RUN_IS_GONE:
            return
        if error.code == "run-not-found" and self._head.create is not None and not self._made_again:
            self._made_again, self._ensured = True, False
            self._ensure()
            raise Unavailable("The server had lost the run; it was made again.")
        raise _RunIsGoneError(error.message)

    def _refuse(self, what: str, why: str) -> None:
        self.refused += 1
        self._tell(f"Not logged: {what}. {why}")


def _groups(frames: list[Entry]) -> Iterator[list[Entry]]:
    """Yield what goes into one request: a note alone, else as many entries as there are up to the next note."""
    group: list[Entry] = []
    for frame in frames:
        if frame[0] == NOTE:
            if group:
                yield group
            yield [frame]
            group = []
        else:
            group.append(frame)
    if group:
        yield group


def _decode(frames: list[bytes]) -> Iterator[Entry]:
    for frame in frames:
        _, _, kind, count = FRAME.unpack_from(frame)
        yield kind, count, frame[FRAME.size :]


def _what(value: entries.Note) -> str:
    match value:
        case File(_, path):
            return f"the file {path}"
        case Input(_, _, ref):
            return f"the input {ref}"
        case _:
            return "the state of the run"


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while piece := stream.read(_PIECE):
            yield piece
