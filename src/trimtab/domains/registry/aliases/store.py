"""The tables of aliases with their history, and of a model's environments."""

from collections.abc import Iterable
from typing import Any

import msgspec

from trimtab.domains.registry.model import AliasMove, ModelEnvironment
from trimtab.infra.db import Tx, Where, load

Q = load(__package__ or "")


def alias(tx: Tx, *, name: str, alias: str) -> int | None:
    row = tx.one(Q.alias, model=name, alias=alias)
    return row[0] if row else None


def set_alias(tx: Tx, *, name: str, alias: str, version: int) -> None:
    tx.run(Q.set_alias, model=name, alias=alias, version=version)


def delete_alias(tx: Tx, *, name: str, alias: str) -> bool:
    return tx.run(Q.delete_alias, model=name, alias=alias) == 1


def end_alias(tx: Tx, *, name: str, alias: str, version: int, now_us: int, actor: str, reason: str) -> None:
    """Remove an alias because what it points to goes, and note that in its history."""
    delete_alias(tx, name=name, alias=alias)
    insert_alias_move(
        tx, name=name, alias=alias, version=None, previous=version, at_us=now_us, actor=actor, reason=reason
    )


def insert_alias_move(
    tx: Tx,
    *,
    name: str,
    alias: str,
    version: int | None,
    previous: int | None,
    at_us: int,
    actor: str,
    reason: str,
    evidence: Any = None,
) -> None:
    tx.run(
        Q.insert_alias_move,
        model=name,
        alias=alias,
        version=version,
        previous=previous,
        at_us=at_us,
        actor=actor,
        reason=reason,
        evidence=_json(evidence),
    )


def alias_moves(tx: Tx, where: Where, *, limit: int) -> list[AliasMove]:
    rows = tx.all(Q.alias_moves.with_(where=where.sql), limit=limit, **where.params)
    return [AliasMove(*row[:7], evidence=msgspec.json.decode(row[7])) for row in rows]


def environments(tx: Tx, *, name: str) -> list[ModelEnvironment]:
    return [_environment(row) for row in tx.all(Q.environments, model=name)]


def environment(tx: Tx, *, name: str, environment: str) -> ModelEnvironment | None:
    row = tx.one(Q.environment, model=name, name=environment)
    return _environment(row) if row else None


def _environment(row: tuple[Any, ...]) -> ModelEnvironment:
    name, role, after, needs_gate, verdicts = row
    return ModelEnvironment(name, role, after, bool(needs_gate), msgspec.json.decode(verdicts))


def put_environments(tx: Tx, environments: Iterable[ModelEnvironment], *, name: str) -> None:
    tx.run(Q.clear_environments, model=name)
    for place, one in enumerate(environments):
        tx.run(
            Q.insert_environment,
            model=name,
            name=one.name,
            place=place,
            move=one.role,
            after=one.after,
            needs_gate=int(one.needs_gate),
            verdicts=_json(one.verdicts),
        )


def last_moves(tx: Tx, *, name: str) -> dict[str, tuple[int, str, str, int | None]]:
    """Return (when, who, why, to which version) of the newest move of each alias."""
    return {row[0]: row[1:] for row in tx.all(Q.last_moves, model=name)}


def was_aliased(tx: Tx, *, name: str, alias: str, version: int) -> bool:
    """Whether an alias ever pointed to a version."""
    where = Where().equals(model=name, alias=alias, version=version)
    return bool(tx.all(Q.alias_moves.with_(where=where.sql), limit=1, **where.params))


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
