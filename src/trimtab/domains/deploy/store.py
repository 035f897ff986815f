"""The tables of endpoints, what they serve, their changes and rollouts."""

from typing import Any

import msgspec

from trimtab.domains.deploy.model import Change, Endpoint, JudgeSaid, Rollout, Served, Step
from trimtab.domains.deploy.rollouts.plans import Plan
from trimtab.infra.db import Tx, Where, load

Q = load(__package__ or "")


def insert_endpoint(tx: Tx, endpoint: Endpoint) -> None:
    tx.run(
        Q.insert_endpoint,
        name=endpoint.name,
        model=endpoint.model,
        created_us=endpoint.created_us,
        updated_us=endpoint.updated_us,
        created_by=endpoint.created_by,
    )


def endpoint(tx: Tx, *, name: str) -> Endpoint | None:
    row = tx.one(Q.endpoint, name=name)
    return Endpoint(*row, served=[_served(each) for each in tx.all(Q.served, endpoint=name)]) if row else None


def endpoints(tx: Tx) -> list[Endpoint]:
    served: dict[str, list[Served]] = {}
    for name, *row in tx.all(Q.all_served):
        served.setdefault(name, []).append(_served(row))
    return [Endpoint(*row, served=served.get(row[0], [])) for row in tx.all(Q.endpoints)]


def rename_model(tx: Tx, *, old_name: str, new_name: str) -> int:
    return tx.run(Q.rename_model, old_name=old_name, new_name=new_name)


def delete_endpoint(tx: Tx, *, name: str) -> bool:
    tx.run(Q.delete_all_served, endpoint=name)
    return tx.run(Q.delete_endpoint, name=name) == 1


def put_served(tx: Tx, *, endpoint: str, served: list[Served], removed: list[str], now_us: int) -> None:
    """Store the versions of an endpoint."""
    for one in served:
        columns = msgspec.structs.asdict(one)
        columns["allow_pickle"] = int(one.allow_pickle)
        columns["native"] = int(one.native)
        columns["allow_network"] = int(one.allow_network)
        tx.run(Q.put_served, endpoint=endpoint, **columns)
    for version in removed:
        tx.run(Q.delete_served, endpoint=endpoint, version=version)
    tx.run(Q.touch_endpoint, name=endpoint, updated_us=now_us)


def set_pid(tx: Tx, *, endpoint: str, version: str, pid: int | None) -> None:
    tx.run(Q.set_pid, endpoint=endpoint, version=version, pid=pid)


def insert_change(tx: Tx, change: Change) -> None:
    columns = msgspec.structs.asdict(change)
    columns["before"], columns["after"] = _json(change.before), _json(change.after)
    tx.run(Q.insert_change, **columns)


def changes(tx: Tx, *, where: Where, limit: int) -> list[Change]:
    found: list[Change] = []
    for row in tx.all(Q.changes.with_(where=where.sql), limit=limit, **where.params):
        columns = list(row)
        columns[6], columns[7] = msgspec.json.decode(row[6]), msgspec.json.decode(row[7])
        found.append(Change(*columns))
    return found


def put_rollout(tx: Tx, rollout: Rollout) -> None:
    columns = msgspec.structs.asdict(rollout)
    for key in ("policy", "steps", "judge", "plan", "verdict"):
        columns[key] = _json(columns[key])
    tx.run(Q.put_rollout, **columns)


def rollouts(tx: Tx, *, where: Where, limit: int) -> list[Rollout]:
    found: list[Rollout] = []
    for row in tx.all(Q.rollouts.with_(where=where.sql), limit=limit, **where.params):
        columns = dict(zip(Rollout.__struct_fields__, row, strict=True))
        columns["policy"] = msgspec.json.decode(columns["policy"])
        columns["steps"] = msgspec.json.decode(columns["steps"], type=list[Step])
        columns["judge"] = msgspec.json.decode(columns["judge"])
        columns["plan"] = msgspec.json.decode(columns["plan"], type=Plan)
        columns["verdict"] = msgspec.json.decode(columns["verdict"], type=JudgeSaid)
        found.append(Rollout(**columns))
    return found


def running_rollout(tx: Tx, *, endpoint: str) -> Rollout | None:
    found = rollouts(tx, where=Where().equals(endpoint=endpoint, state="running"), limit=1)
    return found[0] if found else None


def _served(row: Any) -> Served:
    version, weight, role, state, activate, allow_pickle, added_us, error, pid, native, network = row
    return Served(
        version,
        weight,
        role,
        state,
        activate,
        bool(allow_pickle),
        added_us,
        error,
        pid,
        bool(native),
        bool(network),
    )


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
