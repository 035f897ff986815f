"""Changing what is set for endpoints: checked against the models' inputs, audited before and after, in force at once."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from trimtab.domains.deploy.events import SettingsChanged
from trimtab.domains.deploy.model import Endpoint
from trimtab.domains.deploy.settings import model, store
from trimtab.domains.deploy.settings.model import DEFAULT, EndpointSettings, stricter
from trimtab.domains.deploy.settings.store import Stored
from trimtab.domains.govern import GovernService
from trimtab.domains.govern.model import check_reason
from trimtab.domains.registry import RegistryService
from trimtab.infra.bus import Bus
from trimtab.infra.db import Database, Tx
from trimtab.kernel import refs
from trimtab.kernel.errors import Invalid, NotFound, did_you_mean
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal
from trimtab.serving.policies.settings import FieldRule
from trimtab.serving.routes import signature_of

if TYPE_CHECKING:
    from trimtab.domains.deploy.service import DeployService

_ANSWERS = {"predictions", "probabilities"}
"""What every model's answer may hold, whatever its signature calls it."""


class Settings:
    """Limits, time-outs, caching and the rules of what is written down, for each endpoint."""

    def __init__(
        self,
        db: Database,
        bus: Bus,
        *,
        govern: GovernService,
        registry: RegistryService,
        endpoints: "DeployService",
    ) -> None:
        self._db = db
        self._bus = bus
        self._govern = govern
        self._registry = registry
        self._endpoints = endpoints

    def get(self, who: Principal, name: str) -> Stored:
        """Return an endpoint's settings; raises EndpointNotFound."""
        self._govern.permit(who, "read", refs.make("endpoint", name))
        with self._db.read() as tx:
            return self._find(tx, self._endpoints.find(tx, name))

    def in_force(self, who: Principal) -> dict[str, EndpointSettings]:
        """Return the settings of every endpoint for which anything was set."""
        self._govern.permit(who, "read", "endpoints")
        with self._db.read() as tx:
            return {stored.endpoint: stored.settings for stored in store.all_settings(tx)}

    def rules_of(self, who: Principal, model: str) -> dict[str, FieldRule]:
        """Return what is done to the columns of a model's inputs wherever predictions of it are written down.

        These are the rules of all endpoints that serve the model. Where two say different things of a column, the
        stricter one holds, and a column that they coarsen differently is masked.
        """
        self._govern.permit(who, "read", refs.model(model))
        mine = {one.name for one in self._endpoints.endpoints(who) if one.model == model}
        rules: dict[str, FieldRule] = {}
        for endpoint, settings in self.in_force(who).items():
            if endpoint in mine:
                for column, rule in settings.policies.fields.items():
                    rules[column] = stricter(rules.get(column, rule), rule)
        return rules

    def change(
        self,
        who: Principal,
        name: str,
        changes: Mapping[str, str | None],
        *,
        rules: Mapping[str, str | None] | None = None,
        reason: str = "",
    ) -> Stored:
        """Set what is named, as `SETTINGS` reads it, and the rules of columns; null sets the default.

        ``rules`` say what is done to a column before it is written down; taking one away or replacing it, other than
        by ``drop``, needs an approver. Raises Invalid naming the setting or the column, also a column that no version
        at the endpoint has.
        """
        ref = refs.make("endpoint", name)
        self._govern.permit(who, "write", ref)
        check_reason(reason)
        with self._db.write() as tx:
            tx.lock(f"deploy.endpoint:{name}")
            endpoint = self._endpoints.find(tx, name)
            stored = self._find(tx, endpoint)
            before = stored.settings
            after = model.change_fields(model.change(before, changes), rules or {})
            if after == before:
                return stored
            for column in model.weakened(before, after):
                self._govern.permit(who, "approve", f"writing down more of the column {column!r}")
            self._check_columns(who, endpoint, before, after)
            stored = Stored(name, after, now_us(), who.id)
            store.put_settings(tx, stored)
            was, now = _told(before), _told(after)
            changed = [key for key in sorted(was.keys() | now.keys()) if was.get(key) != now.get(key)]
            detail = {
                "before": {key: was.get(key) for key in changed},
                "after": {key: now.get(key) for key in changed},
                "reason": reason,
            }
            self._govern.audit(tx, who, "deploy.endpoint.settings", ref, detail=detail)
            event = SettingsChanged(endpoint=name, changed=changed, reason=reason)
            self._bus.emit(tx, event, subject=ref, actor=who.id)
            self._endpoints.moved(tx)
        return stored

    def endpoint_removed(self, tx: Tx, name: str) -> None:
        """Forget an endpoint's settings in the transaction that removes it. Permission was checked there."""
        store.delete_settings(tx, endpoint=name)

    def _find(self, tx: Tx, endpoint: Endpoint) -> Stored:
        found = store.settings(tx, endpoint=endpoint.name)
        return found or Stored(endpoint.name, DEFAULT, endpoint.created_us, endpoint.created_by)

    def _check_columns(
        self, who: Principal, endpoint: Endpoint, before: EndpointSettings, after: EndpointSettings
    ) -> None:
        """Raise Invalid for a column that is new here and that no version has: a slip would protect nothing."""
        named = {
            f"fields.{column}": column
            for column in after.policies.fields.keys() - before.policies.fields.keys()
        }
        if after.policies.sticky_by not in ("", before.policies.sticky_by):
            named["sticky_by"] = after.policies.sticky_by
        if not named:
            return
        known = self._columns(who, endpoint)
        for field, column in named.items():
            if known and column not in known:
                raise Invalid(
                    f"No version at {endpoint.name} has an input {column[:200]!r}.{did_you_mean(column, known)}",
                    field=field,
                )

    def _columns(self, who: Principal, endpoint: Endpoint) -> set[str]:
        """Return the inputs and outputs of what is served, or nothing where a version does not say its own."""
        columns: set[str] = set()
        for one in endpoint.served:
            try:
                found = self._registry.get_version(who, endpoint.model, int(one.version))
            except NotFound:  # deleted from the registry while it serves
                continue
            signature = signature_of(found.signature)
            if signature is None:
                return set()
            columns |= {field.name for field in (*signature.inputs, *signature.outputs)} | _ANSWERS
        return columns


def _told(settings: EndpointSettings) -> dict[str, str]:
    """Return everything that is set, rules of columns included, as the audit trail tells it."""
    rules = {f"fields.{column}": rule for column, rule in model.shown_fields(settings).items()}
    return {**model.shown(settings), **rules}
