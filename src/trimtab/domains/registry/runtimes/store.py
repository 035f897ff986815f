"""The table of runtimes, by the digest of a version's files."""

import msgspec

from trimtab.domains.registry.runtimes.model import Allowed, Runtime
from trimtab.infra.db import Tx, load

Q = load(__package__ or "")
_JSON = ("asked", "took", "allowed")


def get(tx: Tx, *, digest: str) -> Runtime | None:
    row = tx.one(Q.get, digest=digest)
    if row is None:
        return None
    columns = dict(zip(Runtime.__struct_fields__, row, strict=True))
    columns["asked"] = msgspec.json.decode(columns["asked"])
    columns["took"] = msgspec.json.decode(columns["took"])
    columns["allowed"] = msgspec.json.decode(columns["allowed"], type=Allowed)
    return Runtime(**columns)


def put(tx: Tx, runtime: Runtime) -> None:
    columns = msgspec.structs.asdict(runtime)
    for name in _JSON:
        columns[name] = msgspec.json.encode(columns[name]).decode()
    tx.run(Q.put, **columns)


def keys(tx: Tx) -> list[tuple[str, str]]:
    """Return (environment, digest of files) of every version that was given an environment."""
    return [(key, digest) for key, digest in tx.all(Q.keys)]


def forget(tx: Tx, *, before_us: int) -> int:
    """Forget the runtimes of files that no version has any more."""
    return tx.run(Q.forget, before_us=before_us)
