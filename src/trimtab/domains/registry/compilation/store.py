"""The table of compilations."""

from collections.abc import Iterator
from typing import Any

import msgspec

from trimtab.domains.registry.compilation.model import Compilation, Kept
from trimtab.infra.db import Tx, load
from trimtab.serving.compiling.verdict import Verdict

Q = load(__package__ or "")


def get(tx: Tx, *, name: str, version: int) -> Kept | None:
    return _kept(tx.one(Q.get, model=name, version=version))


def of_digest(tx: Tx, *, digest: str) -> Kept | None:
    """Return the newest result for any version with exactly these files."""
    return _kept(tx.one(Q.of_digest, digest=digest))


def begin(tx: Tx, *, name: str, version: int, at_us: int) -> None:
    """Note that a compilation is under way; what was found before stays until there is a new verdict."""
    tx.run(Q.begin, model=name, version=version, at_us=at_us)


def put(tx: Tx, *, name: str, version: int, at_us: int, verdict: Verdict, blob: str | None) -> None:
    tx.run(
        Q.put,
        model=name,
        version=version,
        at_us=at_us,
        state=verdict.state,
        verdict=msgspec.json.encode(verdict).decode(),
        blob=blob,
        size_bytes=verdict.size_bytes if blob is not None else 0,
    )


def blobs(tx: Tx) -> Iterator[str]:
    """Go through the blobs of all compiled models."""
    for (blob,) in tx.all(Q.blobs):
        yield blob


def _kept(row: tuple[Any, ...] | None) -> Kept | None:
    if row is None:
        return None
    state, at_us, size_bytes, verdict, blob = row
    decoded = msgspec.json.decode(verdict, type=Verdict) if verdict else None
    return Kept(Compilation(state, at_us, size_bytes, decoded), blob)
