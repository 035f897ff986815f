"""The numbers and times of models and versions that only an import may set."""

from trimtab.infra.db import Tx, load

Q = load(__package__ or "")


def set_model_times(tx: Tx, *, name: str, created_us: int, updated_us: int) -> None:
    tx.run(Q.set_model_times, name=name, created_us=created_us, updated_us=updated_us)


def number_from(tx: Tx, *, name: str, number: int) -> bool:
    """Have the next version get the number after this one; False where a higher one was given before."""
    return tx.run(Q.number_from, name=name, number=number) == 1


def last_number(tx: Tx, *, name: str) -> int | None:
    """Return the highest number that was given, or None where there is no such model."""
    row = tx.one(Q.last_number, name=name)
    return row[0] if row else None


def set_version_times(tx: Tx, *, name: str, version: int, created_us: int, updated_us: int) -> None:
    tx.run(Q.set_version_times, name=name, version=version, created_us=created_us, updated_us=updated_us)
