"""The tables of the trash: what was deleted, and the files of deleted artifacts."""

from collections.abc import Iterator, Sequence

import msgspec

from trimtab.domains.tracking.artifacts.model import Artifact
from trimtab.domains.tracking.trash.model import Row
from trimtab.infra.db import Tx, Where, load

Q = load(__package__ or "")


def put(tx: Tx, row: Row) -> None:
    tx.run(Q.put, **row._asdict())


def take(tx: Tx, *, ref: str) -> bool:
    """Remove an entry; return whether it was there. Of two that try, one waits for the other and gets False."""
    return tx.run(Q.take, ref=ref) == 1


def take_runs(tx: Tx, *, experiment_no: int) -> None:
    """Forget the runs of an experiment, which is in the trash or out of it as a whole now."""
    tx.run(Q.take_runs, experiment_no=experiment_no)


def take_all(tx: Tx, *, experiment_no: int) -> None:
    """Forget everything of an experiment."""
    for (ref,) in tx.all(Q.trashed_with, experiment_no=experiment_no):
        tx.run(Q.delete_files, trash=trash_id(ref))
    tx.run(Q.take_all, experiment_no=experiment_no)


def item(tx: Tx, *, ref: str) -> Row | None:
    row = tx.one(Q.item, ref=ref)
    return Row(*row) if row else None


def items(tx: Tx, *, where: Where, limit: int) -> list[Row]:
    """Return entries, the newest first."""
    return [Row(*row) for row in tx.all(Q.items.with_(where=where.sql), limit=limit, **where.params)]


def due(tx: Tx, *, before_us: int, after: str, limit: int) -> list[str]:
    """Return references of what was deleted before a moment, in their order."""
    return [ref for (ref,) in tx.all(Q.due, before_us=before_us, after=after, limit=limit)]


def put_files(tx: Tx, *, ref: str, files: Sequence[Artifact]) -> None:
    rows = [{"trash": trash_id(ref), **msgspec.structs.asdict(file)} for file in files]
    tx.many(Q.insert_file, rows)


def files(tx: Tx, *, ref: str) -> list[Artifact]:
    return [Artifact(*row) for row in tx.all(Q.files, trash=trash_id(ref))]


def files_size(tx: Tx, *, ref: str) -> tuple[int, int]:
    """Return how many files a deleted artifact has, and their bytes."""
    row = tx.one(Q.files_size, trash=trash_id(ref))
    return (row[0], row[1]) if row else (0, 0)


def delete_files(tx: Tx, *, ref: str) -> None:
    tx.run(Q.delete_files, trash=trash_id(ref))


def blobs(tx: Tx) -> Iterator[str]:
    """Go through the blobs of deleted artifacts."""
    for (blob,) in tx.all(Q.blobs):
        yield blob


def forget_import(tx: Tx, *, ref: str) -> None:
    """Have an importer bring the object in again, should it be told to."""
    tx.run(Q.forget_import, ref=ref)


def trash_id(ref: str) -> str:
    return ref.partition(":")[2]
