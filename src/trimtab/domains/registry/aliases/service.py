"""Aliases: names such as ``champion`` that point to a version, with the history of who moved them, when and why."""

from typing import Any

import msgspec

from trimtab.domains.govern.model import check_reason
from trimtab.domains.registry.aliases import store
from trimtab.domains.registry.aliases.environments import Environments
from trimtab.domains.registry.events import AliasMoved
from trimtab.domains.registry.model import AliasMove, ModelVersion, check_alias
from trimtab.domains.registry.webhooks.model import WebhookEvent
from trimtab.infra.db import Tx, Where
from trimtab.kernel import refs
from trimtab.kernel.errors import Invalid
from trimtab.kernel.pages import Page, check_limit, cursor_key, page_of
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal

_MOST_EVIDENCE_BYTES = 100_000


class Aliases(Environments):
    """Aliases by model."""

    def set_alias(
        self, who: Principal, name: str, alias: str, version: int, *, reason: str = "", evidence: Any = None
    ) -> ModelVersion:
        """Point an alias to a version and record why; ``evidence`` is JSON, such as the id of a gate or rollout.

        Where it points there already, nothing changes. An environment's rules hold for the alias of its name. Raises
        ModelVersionNotFound, Invalid, NotPermitted and EnvironmentRule.
        """
        self.govern.permit(who, "write", refs.model(name, version))
        check_alias(alias)
        _check_reason(reason, evidence)
        with self._db.write() as tx:
            self._lock(tx, name)
            target = self._version(tx, name, version)
            previous = store.alias(tx, name=name, alias=alias)
            announced = {"name": name, "alias": alias, "version": str(version)}
            self.webhooks.announce(tx, WebhookEvent(self._kind(tx, name, "alias"), "created"), announced)
            if previous == version:
                return target
            self._check_environment(tx, who, name, alias, target)
            store.set_alias(tx, name=name, alias=alias, version=version)
            self._moved(tx, who, name, alias, version, previous=previous, reason=reason, evidence=evidence)
            return self._version(tx, name, version)

    def delete_alias(self, who: Principal, name: str, alias: str, *, reason: str = "") -> None:
        """Remove an alias where it is set, and record it; raises ModelNotFound."""
        self.govern.permit(who, "write", refs.model(name))
        _check_reason(reason, None)
        with self._db.write() as tx:
            self._lock(tx, name)
            self._model(tx, name)
            previous = store.alias(tx, name=name, alias=alias)
            announced = {"name": name, "alias": alias}
            self.webhooks.announce(tx, WebhookEvent(self._kind(tx, name, "alias"), "deleted"), announced)
            if previous is None:
                return
            self._check_environment(tx, who, name, alias, None)
            store.delete_alias(tx, name=name, alias=alias)
            self._moved(tx, who, name, alias, None, previous=previous, reason=reason, evidence=None)

    def alias_history(
        self,
        who: Principal,
        name: str,
        *,
        alias: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[AliasMove]:
        """Return every move of a model's aliases, newest first; raises ModelNotFound."""
        self.govern.permit(who, "read", refs.model(name))
        size = check_limit(limit)
        where = Where().equals(model=name, alias=alias)
        if cursor:
            where.add("seq < :before", before=cursor_key(cursor, int))
        with self._db.read() as tx:
            self._model(tx, name)
            moves = store.alias_moves(tx, where, limit=size + 1)
        return page_of(moves, size, key=lambda move: move.seq)

    def _moved(
        self,
        tx: Tx,
        who: Principal,
        name: str,
        alias: str,
        version: int | None,
        *,
        previous: int | None,
        reason: str,
        evidence: Any,
    ) -> None:
        now = now_us()
        ref = refs.model(name, version)
        store.insert_alias_move(
            tx,
            name=name,
            alias=alias,
            version=version,
            previous=previous,
            at_us=now,
            actor=who.id,
            reason=reason,
            evidence=evidence,
        )
        self.govern.audit(
            tx,
            who,
            "registry.alias.move",
            ref,
            detail={"alias": alias, "from": previous, "to": version, "reason": reason, "evidence": evidence},
        )
        self._bus.emit(
            tx,
            AliasMoved(name=name, alias=alias, version=version, previous=previous, reason=reason),
            subject=ref,
            actor=who.id,
        )


def _check_reason(reason: str, evidence: Any) -> None:
    check_reason(reason)
    if evidence is None:
        return
    try:
        size = len(msgspec.json.encode(evidence))
    except (TypeError, ValueError, RecursionError) as error:
        raise Invalid("The evidence is not JSON.", field="evidence") from error
    if size > _MOST_EVIDENCE_BYTES:
        raise Invalid(
            f"The evidence is larger than {_MOST_EVIDENCE_BYTES} bytes; store it and refer to it.",
            field="evidence",
        )
