"""Roles and what they permit, tokens, and the arithmetic of the hash chain."""

import hashlib
import secrets
from typing import Any, Literal

import msgspec

from trimtab.kernel.errors import Invalid
from trimtab.kernel.who import Principal, Role

Action = Literal["read", "write", "approve", "admin"]

_PERMITTED: dict[Role, frozenset[Action]] = {
    "viewer": frozenset({"read"}),
    "editor": frozenset({"read", "write"}),
    "approver": frozenset({"read", "write", "approve"}),
    "admin": frozenset({"read", "write", "approve", "admin"}),
}
_NEEDED: dict[Action, Role] = {"read": "viewer", "write": "editor", "approve": "approver", "admin": "admin"}

OWNER = Principal(id="owner", name="owner", role="admin")
GENESIS = "0" * 64
MOST_REASON = 2000


def check_reason(reason: str) -> None:
    """Raise Invalid where somebody's reason is longer than histories and the audit trail keep."""
    if len(reason) > MOST_REASON:
        raise Invalid(f"A reason has at most {MOST_REASON} characters.", field="reason")


def permits(who: Principal, action: Action) -> bool:
    """Whether the role of the principal includes the action."""
    return action in _PERMITTED[who.role]


def needed_role(action: Action) -> Role:
    """Return the least role that permits the action."""
    return _NEEDED[action]


class Token(msgspec.Struct, frozen=True):
    """A service token. Only the SHA-256 of its text is kept.

    One with ``endpoints`` is a key: it opens these at the inference port, and nothing else.
    """

    id: str
    name: str
    role: Role
    digest: str
    created_us: int
    created_by: str
    expires_us: int | None
    revoked_us: int | None
    endpoints: list[str] | None = None

    def in_force(self, now_us: int) -> bool:
        """Whether the token is neither revoked nor expired."""
        return self.revoked_us is None and (self.expires_us is None or now_us < self.expires_us)

    def principal(self) -> Principal:
        return Principal(id=f"token:{self.id}", name=self.name, role=self.role)


def new_token_text() -> str:
    """Return the text of a new token: a mark that scanners of leaked secrets can find, and 256 random bits."""
    return f"tt_{secrets.token_urlsafe(32)}"


def token_digest(text: str) -> str:
    """Return the SHA-256 of a token's text; 256 random bits need no slow hash."""
    return hashlib.sha256(text.encode()).hexdigest()


class AuditRecord(msgspec.Struct, frozen=True):
    """One act: who did what to which object, chained to the act before by its hash."""

    seq: int
    at_us: int
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    previous: str
    hash: str


def chain_hash(
    *, seq: int, at_us: int, actor: str, action: str, subject: str, detail: str, previous: str
) -> str:
    """Return the SHA-256 over the record and the hash before it; ``detail`` is the stored JSON text."""
    content = msgspec.json.encode([seq, at_us, actor, action, subject, detail, previous])
    return hashlib.sha256(content).hexdigest()


class Hold(msgspec.Struct, frozen=True):
    """A legal hold: what the reference names, and all that belongs to it, is never purged."""

    ref: str
    reason: str
    placed_us: int
    placed_by: str


class AuditVerdict(msgspec.Struct, frozen=True):
    """Whether the chain holds; ``first_bad_seq`` is the first record that was changed, removed or put in."""

    ok: bool
    checked: int
    first_bad_seq: int | None
    head: str
