"""The loop's tables: policies, episodes, and the steps of the timeline."""

from typing import Any

import msgspec

from trimtab.infra.db import Tx, Where, load
from trimtab.loop.model import Collected, Collection, Episode, LoopPolicy, Step

Q = load(__package__ or "")


def put_policy(tx: Tx, policy: LoopPolicy, *, updated_us: int, updated_by: str) -> None:
    text = msgspec.json.encode(policy).decode()
    tx.run(Q.put_policy, endpoint=policy.endpoint, policy=text, updated_us=updated_us, updated_by=updated_by)


def policies(tx: Tx, *, endpoint: str | None = None) -> list[LoopPolicy]:
    where = Where().equals(endpoint=endpoint)
    rows = tx.all(Q.policies.with_(where=where.sql), **where.params)
    return [msgspec.json.decode(row[0], type=LoopPolicy) for row in rows]


def delete_policy(tx: Tx, *, endpoint: str) -> bool:
    return tx.run(Q.delete_policy, endpoint=endpoint) == 1


def put_episode(tx: Tx, episode: Episode) -> None:
    columns = msgspec.structs.asdict(episode)
    columns["baseline"] = msgspec.json.encode(episode.baseline).decode()
    tx.run(Q.put_episode, **columns)


def episodes(tx: Tx, *, where: Where, limit: int) -> list[Episode]:
    found: list[Episode] = []
    for row in tx.all(Q.episodes.with_(where=where.sql), limit=limit, **where.params):
        columns = dict(zip(Episode.__struct_fields__, row, strict=True))
        columns["baseline"] = msgspec.json.decode(columns["baseline"])
        found.append(Episode(**columns))
    return found


def insert_step(tx: Tx, step: Step) -> bool:
    """Add a step unless it is there already; return whether it is new."""
    tx.lock("loop.steps")
    columns: dict[str, Any] = msgspec.structs.asdict(step)
    columns["data"] = msgspec.json.encode(step.data).decode()
    return tx.run(Q.insert_step, **columns) == 1


def steps(tx: Tx, *, where: Where, limit: int) -> list[tuple[int, Step]]:
    found: list[tuple[int, Step]] = []
    for row in tx.all(Q.steps.with_(where=where.sql), limit=limit, **where.params):
        columns = dict(zip(Step.__struct_fields__, row[:-1], strict=True))
        columns["data"] = msgspec.json.decode(columns["data"])
        found.append((row[-1], Step(**columns)))
    return found


def insert_gc(tx: Tx, one: Collection) -> None:
    columns = msgspec.structs.asdict(one)
    columns |= {"dry_run": int(one.dry_run), "compact": int(one.compact)}
    columns["report"] = msgspec.json.encode(one.report).decode()
    tx.run(Q.insert_gc, **columns)


def update_gc(
    tx: Tx, *, gc_id: str, state: str, ended_us: int | None, error: str | None, report: Collected
) -> None:
    text = msgspec.json.encode(report).decode()
    tx.run(Q.update_gc, id=gc_id, state=state, ended_us=ended_us, error=error, report=text)


def gcs(tx: Tx, *, where: Where, limit: int) -> list[Collection]:
    found: list[Collection] = []
    for row in tx.all(Q.gcs.with_(where=where.sql), limit=limit, **where.params):
        columns = dict(zip(Collection.__struct_fields__, row, strict=True))
        columns |= {"dry_run": bool(columns["dry_run"]), "compact": bool(columns["compact"])}
        columns["report"] = msgspec.json.decode(columns["report"], type=Collected)
        found.append(Collection(**columns))
    return found
