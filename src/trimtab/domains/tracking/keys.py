"""The numbers that stand for the names of metrics, parameters and tags in the large tables."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from trimtab.infra.db import Tx, load
from trimtab.infra.db.port import Dialect

Q = load(__package__ or "")

_MOST_REMEMBERED = 100_000


def listed(tx: Tx, values: Sequence[Any]) -> Any:
    """Return values as one parameter: an array on PostgreSQL, JSON for ``json_each`` on SQLite."""
    return listed_as(tx.dialect, values)


def listed_as(dialect: Dialect, values: Sequence[Any]) -> Any:
    """Return values as one parameter for an engine."""
    return list(values) if dialect == "postgresql" else msgspec.json.encode(values).decode()


class Keys:
    """Names and their numbers, remembered after the transaction that made them is durable; they never change."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._names: dict[int, str] = {}

    def intern(self, tx: Tx, names: Iterable[str]) -> dict[str, int]:
        """Return the number of each name, making those that are new.

        A transaction interns all its names in one call: in a fixed order, no two transactions wait for each other.
        """
        found = {name: self._numbers.get(name) for name in names}
        missing = sorted(name for name, number in found.items() if number is None)
        if missing:
            fresh = dict(tx.all(Q.keys_by_name, names=listed(tx, missing)))
            unknown = [name for name in missing if name not in fresh]
            if unknown:
                tx.many(Q.insert_key, [{"name": name} for name in unknown])
                fresh.update(tx.all(Q.keys_by_name, names=listed(tx, unknown)))
            tx.after_commit(lambda: self._remember(fresh))
            found.update(fresh)
        return {name: number for name, number in found.items() if number is not None}

    def find(self, tx: Tx, name: str) -> int | None:
        """Return the number of a name, or None where nothing was ever called so."""
        number = self._numbers.get(name)
        if number is None:
            found: dict[str, int] = dict(tx.all(Q.keys_by_name, names=listed(tx, [name])))
            number = found.get(name)
        return number

    def names(self, tx: Tx, numbers: Iterable[int]) -> dict[int, str]:
        """Return the name of each number."""
        found = {number: self._names.get(number) for number in numbers}
        missing = [number for number, name in found.items() if name is None]
        if missing:
            fresh: dict[int, str] = dict(tx.all(Q.keys_by_number, numbers=listed(tx, missing)))
            if len(self._names) > _MOST_REMEMBERED:
                self._names.clear()
            self._names.update(fresh)
            found.update(fresh)
        return {number: name for number, name in found.items() if name is not None}

    def _remember(self, numbers: dict[str, int]) -> None:
        if len(self._numbers) > _MOST_REMEMBERED:
            self._numbers.clear()
        self._numbers.update(numbers)
