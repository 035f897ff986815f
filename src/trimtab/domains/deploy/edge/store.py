"""The tables of bundles for devices, of the devices, and of the key that signs."""

import msgspec

from trimtab.domains.deploy.edge.model import EdgeBundle, EdgeDevice
from trimtab.infra.db import Tx, Where, load

Q = load(__package__ or "")


def put(tx: Tx, bundle: EdgeBundle) -> None:
    tx.run(Q.put, **msgspec.structs.asdict(bundle))


def find(tx: Tx, *, where: Where) -> list[EdgeBundle]:
    return [EdgeBundle(*row) for row in tx.all(Q.find.with_(where=where.sql), **where.params)]


def remove(tx: Tx, *, model: str, alias: str) -> bool:
    return tx.run(Q.remove, model=model, alias=alias) == 1


def rename_model(tx: Tx, *, old_name: str, new_name: str) -> None:
    tx.run(Q.rename_model, old_name=old_name, new_name=new_name)
    tx.run(Q.rename_devices, old_name=old_name, new_name=new_name)


def put_device(
    tx: Tx,
    bundle: EdgeBundle,
    *,
    device: str,
    sequence: int,
    now_us: int,
    taken: int,
    lost: int,
    problem: str | None,
) -> None:
    """Note that a device called, and add what it brought to what it had brought before."""
    tx.run(
        Q.put_device,
        model=bundle.model,
        alias=bundle.alias,
        device=device,
        sequence=sequence,
        now_us=now_us,
        taken=taken,
        lost=lost,
        problem=problem,
    )


def devices(tx: Tx, *, model: str, alias: str, limit: int) -> list[EdgeDevice]:
    return [EdgeDevice(*row) for row in tx.all(Q.devices, model=model, alias=alias, limit=limit)]


def key(tx: Tx) -> tuple[str, str] | None:
    """Return (public, sealed private) of the key that signs, None before the first bundle."""
    row = tx.one(Q.key)
    return (row[0], row[1]) if row else None


def put_key(tx: Tx, *, public: str, sealed: str, created_us: int) -> None:
    """Store a key unless there is one."""
    tx.run(Q.put_key, public=public, sealed=sealed, created_us=created_us)
