"""What a database must do for the stores; each engine implements these two protocols and no more."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol

from trimtab.infra.db.queries import Query
from trimtab.kernel.errors import Conflict

Dialect = Literal["sqlite", "postgresql"]
Row = tuple[Any, ...]


class Duplicate(Conflict):
    """A unique key is already taken; the transaction that met it is rolled back."""

    code = "duplicate"


class Tx(Protocol):
    """An open transaction. It belongs to one thread and ends with its ``with`` block."""

    dialect: Dialect

    def all(self, query: Query, /, **params: Any) -> list[Row]:
        """Return every row."""
        ...

    def one(self, query: Query, /, **params: Any) -> Row | None:
        """Return the first row, or None."""
        ...

    def run(self, query: Query, /, **params: Any) -> int:
        """Execute a change and return how many rows it touched; raises Duplicate for a taken unique key."""
        ...

    def many(self, query: Query, params: Sequence[Mapping[str, Any]], /) -> None:
        """Execute one change for each set of parameters."""
        ...

    def script(self, statements: Sequence[str], /) -> None:
        """Execute schema statements, which take no parameters."""
        ...

    def lock(self, name: str, /, *, shared: bool = False) -> None:
        """Hold the named lock until the transaction ends, so that read-then-write is safe on every engine.

        Shared holders do not wait for each other, only for one who holds it alone, and he for them.
        """
        ...

    def before_commit(self, call: Callable[[], None], /) -> None:
        """Call this as the last thing in the transaction, if its block ends normally."""
        ...

    def after_commit(self, call: Callable[[], None], /) -> None:
        """Call this once the transaction is durable; never called when it is rolled back."""
        ...


class Database(Protocol):
    """A database with one durable writer at a time for each name and readers that are never blocked."""

    dialect: Dialect

    def read(self) -> AbstractContextManager[Tx]:
        """Open a snapshot of what is committed."""
        ...

    def write(self) -> AbstractContextManager[Tx]:
        """Open a change; leaving the block makes it durable, an exception rolls all of it back."""
        ...

    def reclaim(self, *, whole: bool = False) -> int:
        """Give the space of deleted rows back to the file system and return how many bytes; others work on meanwhile.

        ``whole`` writes the file anew where the engine needs that, which holds up other writers for as long.
        """
        ...

    def close(self) -> None:
        """Close every connection."""
        ...
