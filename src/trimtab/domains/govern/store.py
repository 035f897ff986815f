"""The tables of tokens and of the audit trail."""

from collections.abc import Iterator
from typing import Any

import msgspec

from trimtab.domains.govern.model import GENESIS, AuditRecord, Hold, Token, chain_hash
from trimtab.infra.db import Tx, Where, load

Q = load(__package__ or "")


def insert_token(tx: Tx, token: Token) -> None:
    columns = msgspec.structs.asdict(token)
    columns.pop("revoked_us")
    columns["endpoints"] = None if token.endpoints is None else msgspec.json.encode(token.endpoints).decode()
    tx.run(Q.insert_token, **columns)


def token_by_digest(tx: Tx, *, digest: str) -> Token | None:
    row = tx.one(Q.token_by_digest, digest=digest)
    return _token(*row) if row else None


def tokens_in_force(tx: Tx, *, now_us: int) -> list[Token]:
    return [_token(*row) for row in tx.all(Q.tokens_in_force, now_us=now_us)]


def tokens(tx: Tx) -> list[Token]:
    return [_token(*row) for row in tx.all(Q.tokens)]


def revoke_token(tx: Tx, *, token_id: str, now_us: int) -> bool:
    return tx.run(Q.revoke_token, id=token_id, now_us=now_us) == 1


def append_audit(
    tx: Tx, *, at_us: int, actor: str, action: str, subject: str, detail: dict[str, Any]
) -> AuditRecord:
    """Add a record to the chain; concurrent writers wait for each other until their transactions end."""
    tx.lock("govern.audit")
    last = tx.one(Q.last_audit)
    seq, previous = (last[0] + 1, last[1]) if last else (1, GENESIS)
    text = msgspec.json.encode(detail).decode()
    digest = chain_hash(
        seq=seq, at_us=at_us, actor=actor, action=action, subject=subject, detail=text, previous=previous
    )
    tx.run(
        Q.insert_audit,
        seq=seq,
        at_us=at_us,
        actor=actor,
        action=action,
        subject=subject,
        detail=text,
        previous=previous,
        hash=digest,
    )
    return AuditRecord(seq, at_us, actor, action, subject, detail, previous, digest)


def audit_chain(tx: Tx) -> Iterator[tuple[int, int, str, str, str, str, str, str]]:
    """Go through the raw records in order, some thousands at a time."""
    seq = 0
    while rows := tx.all(Q.audit_after, seq=seq, most=5000):
        yield from rows  # type: ignore[misc]
        seq = rows[-1][0]


def audit_page(tx: Tx, *, where: Where, limit: int) -> list[AuditRecord]:
    rows = tx.all(Q.audit_page.with_(where=where.sql), limit=limit, **where.params)
    return [
        AuditRecord(*row[:5], detail=msgspec.json.decode(row[5]), previous=row[6], hash=row[7])
        for row in rows
    ]


def put_hold(tx: Tx, hold: Hold) -> None:
    tx.run(Q.put_hold, **msgspec.structs.asdict(hold))


def delete_hold(tx: Tx, *, ref: str) -> bool:
    return tx.run(Q.delete_hold, ref=ref) == 1


def holds(tx: Tx) -> list[Hold]:
    return [Hold(*row) for row in tx.all(Q.holds)]


def _token(*row: Any) -> Token:
    *columns, endpoints = row
    return Token(
        *columns, endpoints=None if endpoints is None else msgspec.json.decode(endpoints, type=list[str])
    )
