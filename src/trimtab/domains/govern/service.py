"""Signs callers in, decides what their role permits, issues tokens, and keeps the hash-chained audit trail."""

import base64
import binascii
import threading
from collections.abc import Callable, Sequence
from typing import Any

from trimtab.domains.govern import store
from trimtab.domains.govern.errors import BadToken, HoldNotFound, NotPermitted, TokenNotFound
from trimtab.domains.govern.model import (
    GENESIS,
    MOST_REASON,
    OWNER,
    Action,
    AuditRecord,
    AuditVerdict,
    Hold,
    Token,
    chain_hash,
    needed_role,
    new_token_text,
    permits,
    token_digest,
)
from trimtab.infra.db import Database, Tx, Where
from trimtab.kernel import refs
from trimtab.kernel.errors import Invalid, did_you_mean
from trimtab.kernel.ids import new_id
from trimtab.kernel.names import is_name
from trimtab.kernel.pages import Page, check_limit, cursor_key, page_of
from trimtab.kernel.time import now_us
from trimtab.kernel.who import ROLES, Principal, Role

_CACHE_US = 5_000_000
HOLDS = "govern.holds"


class GovernService:
    """Sign-in, permission and audit for every other domain."""

    def __init__(self, db: Database, *, open_to_owner: bool) -> None:
        """``open_to_owner``: callers without credentials act as the owner; only right on a loopback address."""
        self._db = db
        self._open_to_owner = open_to_owner
        self._follow: Callable[[], None] = _nothing
        self._cache: dict[str, tuple[int, Principal]] = {}
        self._cache_lock = threading.Lock()

    def followed_by(self, apply: Callable[[], None]) -> None:
        """Have this called after each change of tokens: the data plane of this process refuses and accepts at once."""
        self._follow = apply

    def authenticate(self, authorization: str | None, cookie: str | None) -> Principal:
        """Return who calls, from a Bearer or Basic header or the session cookie; raises BadToken.

        Basic takes the token as the password, with any user name, so that MLflow's clients can send it.
        """
        text = _credential(authorization) if authorization else cookie
        if text is None:
            if self._open_to_owner:
                return OWNER
            raise BadToken(
                "Sign in with a token: Authorization: Bearer tt_...  ('trimtab tokens create' makes one)."
            )
        now = now_us()
        key = token_digest(text)
        with self._cache_lock:
            cached = self._cache.get(key)
        if cached and now < cached[0]:
            return cached[1]
        with self._db.read() as tx:
            token = store.token_by_digest(tx, digest=key)
        if token is None or not token.in_force(now):
            raise BadToken("This token is unknown, expired or revoked.")
        if token.endpoints is not None:
            raise BadToken(
                f"This key opens {', '.join(token.endpoints[:5])} at the inference port, and nothing here."
            )
        principal = token.principal()
        with self._cache_lock:
            if len(self._cache) > 1000:
                self._cache.clear()
            self._cache[key] = (min(now + _CACHE_US, token.expires_us or now + _CACHE_US), principal)
        return principal

    def permit(self, who: Principal, action: Action, subject: str) -> None:
        """Return when the principal may act on the subject; raises NotPermitted that says which role could."""
        if not permits(who, action):
            raise NotPermitted(
                f"{who.name} ({who.role}) may not {action} {subject}: this needs the role {needed_role(action)}.",
                details={"needed_role": needed_role(action), "role": who.role},
            )

    def audit(
        self, tx: Tx, who: Principal, action: str, subject: str, *, detail: dict[str, Any] | None = None
    ) -> AuditRecord:
        """Record an act in the caller's transaction. ``detail`` must hold no secret."""
        return store.append_audit(
            tx, at_us=now_us(), actor=who.id, action=action, subject=subject, detail=detail or {}
        )

    def create_token(
        self,
        who: Principal,
        *,
        name: str,
        role: str = "editor",
        expires_us: int | None = None,
        endpoints: Sequence[str] | None = None,
    ) -> tuple[Token, str]:
        """Make a token and return it with its text, which is never shown again; raises Invalid.

        With ``endpoints`` it is a key to these at the inference port alone; they need not exist yet.
        """
        self.permit(who, "admin", "tokens")
        if role not in ROLES:
            raise Invalid(
                f"Unknown role {role!r} ({', '.join(ROLES)}).{did_you_mean(role, ROLES)}", field="role"
            )
        if not name or len(name) > 200:
            raise Invalid("A token needs a name of at most 200 characters.", field="name")
        if expires_us is not None and expires_us <= now_us():
            raise Invalid("The token would expire in the past.", field="expires_us")
        if endpoints is not None and not (0 < len(endpoints) <= 100 and all(map(is_name, endpoints))):
            raise Invalid("A key is for 1 to 100 endpoints, by their names.", field="endpoints")
        text = new_token_text()
        token = Token(
            id=new_id(),
            name=name,
            role=_role(role),
            digest=token_digest(text),
            created_us=now_us(),
            created_by=who.id,
            expires_us=expires_us,
            revoked_us=None,
            endpoints=None if endpoints is None else sorted(set(endpoints)),
        )
        with self._db.write() as tx:
            store.insert_token(tx, token)
            self.audit(
                tx,
                who,
                "govern.token.create",
                refs.make("token", token.id),
                detail={
                    "name": name,
                    "role": role,
                    **({"endpoints": token.endpoints} if token.endpoints else {}),
                },
            )
            tx.after_commit(self._follow)
        return token, text

    def tokens(self, who: Principal) -> list[Token]:
        """Return every token, newest first."""
        self.permit(who, "admin", "tokens")
        with self._db.read() as tx:
            return store.tokens(tx)

    def tokens_in_force(self) -> list[Token]:
        """Return what other processes of this server need to sign callers in by themselves: digests and roles."""
        with self._db.read() as tx:
            return _in_force(tx)

    @property
    def open_to_owner(self) -> bool:
        """Whether callers without credentials act as the owner."""
        return self._open_to_owner

    def revoke_token(self, who: Principal, token_id: str) -> None:
        """End a token at once; raises TokenNotFound."""
        self.permit(who, "admin", "tokens")
        with self._db.write() as tx:
            if not store.revoke_token(tx, token_id=token_id, now_us=now_us()):
                raise TokenNotFound(f"There is no token {token_id} in force.")
            self.audit(tx, who, "govern.token.revoke", refs.make("token", token_id))
            tx.after_commit(self._follow)
        with self._cache_lock:
            self._cache.clear()

    def first_token(self) -> str | None:
        """Make the owner a token where no admin's is in force, and return its text once."""
        with self._db.read() as tx:
            if any(one.role == "admin" and one.endpoints is None for one in _in_force(tx)):
                return None
        return self.create_token(OWNER, name="owner", role="admin")[1]

    def audit_trail(
        self,
        who: Principal,
        *,
        subject: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[AuditRecord]:
        """Return the audit trail, newest first."""
        self.permit(who, "read", "the audit trail")
        size = check_limit(limit)
        where = Where().equals(subject=subject)
        if cursor:
            where.add("seq < :before", before=cursor_key(cursor, int))
        with self._db.read() as tx:
            records = store.audit_page(tx, where=where, limit=size + 1)
        return page_of(records, size, key=lambda record: record.seq)

    def verify_audit(self, who: Principal) -> AuditVerdict:
        """Recompute the whole chain and say whether, and from where, it was tampered with."""
        self.permit(who, "read", "the audit trail")
        expected_seq, previous = 1, GENESIS
        with self._db.read() as tx:
            for seq, at_us, actor, action, subject, detail, its_previous, digest in store.audit_chain(tx):
                computed = chain_hash(
                    seq=seq,
                    at_us=at_us,
                    actor=actor,
                    action=action,
                    subject=subject,
                    detail=detail,
                    previous=previous,
                )
                if seq != expected_seq or its_previous != previous or computed != digest:
                    return AuditVerdict(
                        ok=False, checked=expected_seq - 1, first_bad_seq=expected_seq, head=previous
                    )
                expected_seq, previous = seq + 1, digest
        return AuditVerdict(ok=True, checked=expected_seq - 1, first_bad_seq=None, head=previous)

    def hold(self, who: Principal, ref: str, *, reason: str) -> Hold:
        """Keep an object and all that belongs to it from being purged, also one in the trash; raises Invalid.

        The caller has seen that there is such an object. A second hold on it changes the reason.
        """
        self.permit(who, "admin", "holds")
        if not reason.strip() or len(reason) > MOST_REASON:
            raise Invalid(f"A hold needs a reason of at most {MOST_REASON} characters.", field="reason")
        hold = Hold(ref=ref, reason=reason, placed_us=now_us(), placed_by=who.id)
        with self._db.write() as tx:
            tx.lock(HOLDS)
            store.put_hold(tx, hold)
            self.audit(tx, who, "govern.hold.place", ref, detail={"reason": reason})
        return hold

    def release(self, who: Principal, ref: str, *, reason: str = "") -> None:
        """End a hold; raises HoldNotFound."""
        self.permit(who, "admin", "holds")
        with self._db.write() as tx:
            tx.lock(HOLDS)
            if not store.delete_hold(tx, ref=ref):
                raise HoldNotFound(f"Nothing holds {ref[:200]}.")
            self.audit(tx, who, "govern.hold.release", ref, detail={"reason": reason[:MOST_REASON]})

    def holds(self, who: Principal) -> list[Hold]:
        """Return every hold, by reference."""
        self.permit(who, "read", "holds")
        with self._db.read() as tx:
            return store.holds(tx)

    def held(self, tx: Tx, *, purging: bool = False) -> dict[str, str]:
        """Return the references that are held, with the reasons; with ``purging``, none is placed until the tx ends."""
        if purging:
            tx.lock(HOLDS)
        return {hold.ref: hold.reason for hold in store.holds(tx)}


def _in_force(tx: Tx) -> list[Token]:
    return store.tokens_in_force(tx, now_us=now_us())


def _nothing() -> None:
    """What follows a change in a process without a data plane: the server's notices by itself."""


def _credential(authorization: str) -> str:
    scheme, _, value = authorization.partition(" ")
    match scheme.lower():
        case "bearer":
            return value.strip()
        case "basic":
            try:
                return base64.b64decode(value, validate=True).decode().partition(":")[2]
            except (binascii.Error, UnicodeDecodeError) as error:
                raise BadToken("The Basic credentials are not valid.") from error
        case _:
            raise BadToken("Only Bearer and Basic credentials are understood.")


def _role(text: str) -> Role:
    return next(role for role in ROLES if role == text)
