"""The marks of what was brought in, and the times that only an import may set."""

from collections.abc import Mapping, Sequence

from trimtab.domains.tracking.keys import listed
from trimtab.infra.db import Tx, load

Q = load(__package__ or "")


def mark(tx: Tx, fingerprints: Mapping[str, str], *, origin: str, now_us: int) -> None:
    tx.many(
        Q.mark,
        [
            {"ref": ref, "fingerprint": fingerprints[ref], "origin": origin, "at_us": now_us}
            for ref in sorted(fingerprints)
        ],
    )


def marks(tx: Tx, refs: Sequence[str]) -> dict[str, str]:
    """Return the fingerprint of each reference that is marked."""
    return dict(tx.all(Q.marks, refs=listed(tx, refs)))


def exists(tx: Tx, ref: str) -> bool:
    """Tell whether a run or logged model is still there, in the trash or not."""
    kind, _, name = ref.partition(":")
    return tx.one(Q.run_exists if kind == "run" else Q.model_exists, id=name) is not None


def set_experiment_times(tx: Tx, *, number: int, created_us: int, updated_us: int) -> None:
    tx.run(Q.set_experiment_times, no=number, created_us=created_us, updated_us=updated_us)


def set_model_times(tx: Tx, *, model_id: str, created_us: int, updated_us: int) -> None:
    tx.run(Q.set_model_times, id=model_id, created_us=created_us, updated_us=updated_us)
