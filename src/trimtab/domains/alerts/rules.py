"""Rules: what to watch for and whom to tell, the built-in ones and those that people write."""

import msgspec

from trimtab.domains.alerts import store
from trimtab.domains.alerts.errors import ChannelNotFound, RuleBuiltIn, RuleExists, RuleNotFound
from trimtab.domains.alerts.model import BUILT_IN, RULES, Rule, check_rule
from trimtab.domains.govern import GovernService
from trimtab.infra.db import Database, Tx
from trimtab.kernel import refs
from trimtab.kernel.errors import did_you_mean
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal

_BUILT_IN = {rule.name: rule for rule in BUILT_IN}


class RuleService:
    """A stored rule takes the place of the built-in one of its name; removing it brings that one back."""

    def __init__(self, db: Database, govern: GovernService) -> None:
        self._db = db
        self.govern = govern

    def find(self, who: Principal) -> list[Rule]:
        """Return every rule by name."""
        self.govern.permit(who, "read", "alert rules")
        with self._db.read() as tx:
            return self.every(tx)

    def get(self, who: Principal, name: str) -> Rule:
        """Return a rule; raises RuleNotFound."""
        self.govern.permit(who, "read", "alert rules")
        with self._db.read() as tx:
            return self._require(tx, name)

    def add(self, who: Principal, rule: Rule) -> Rule:
        """Add a rule; raises RuleExists, and Invalid naming the part that makes no sense."""
        self.govern.permit(who, "write", "alert rules")
        return self._store(who, rule, action="alerts.rule.add")

    def replace(self, who: Principal, rule: Rule) -> Rule:
        """Replace a rule, a built-in one too; raises RuleNotFound, and Invalid as ``add`` does."""
        self.govern.permit(who, "write", "alert rules")
        return self._store(who, rule, action="alerts.rule.replace")

    def remove(self, who: Principal, name: str) -> None:
        """Remove a rule, or bring a built-in one back to its first form; raises RuleNotFound or RuleBuiltIn."""
        self.govern.permit(who, "write", "alert rules")
        with self._db.write() as tx:
            if not store.delete_rule(tx, name=name):
                self._require(tx, name)
                raise RuleBuiltIn(f"The rule {name!r} is built in: disable it instead.")
            self.govern.audit(tx, who, "alerts.rule.remove", refs.make("alert-rule", name))

    def every(self, tx: Tx) -> list[Rule]:
        """Return every rule by name, in the caller's transaction."""
        known = _BUILT_IN | {rule.name: rule for rule in store.rules(tx)}
        return [known[name] for name in sorted(known)]

    def named(self, tx: Tx, name: str) -> Rule | None:
        """Return the rule of a name, in the caller's transaction."""
        return store.rule(tx, name=name) or _BUILT_IN.get(name)

    def _require(self, tx: Tx, name: str) -> Rule:
        rule = self.named(tx, name)
        if rule is None:
            hint = did_you_mean(name, [known.name for known in self.every(tx)])
            raise RuleNotFound(f"There is no rule {name!r}.{hint}")
        return rule

    def _store(self, who: Principal, rule: Rule, *, action: str) -> Rule:
        check_rule(rule)
        stored = msgspec.structs.replace(
            rule, built_in=rule.name in _BUILT_IN, updated_us=now_us(), updated_by=who.id
        )
        with self._db.write() as tx:
            tx.lock(RULES)
            if action == "alerts.rule.replace":
                self._require(tx, rule.name)
            elif self.named(tx, rule.name) is not None:
                raise RuleExists(f"There is a rule {rule.name!r} already.", field="name")
            channels = [channel.name for channel in store.channels(tx)]
            for name in rule.channels or []:
                if name not in channels:
                    hint = did_you_mean(name, channels)
                    raise ChannelNotFound(f"There is no channel {name!r}.{hint}", field="channels")
            store.put_rule(tx, stored)
            detail = {"enabled": rule.enabled, "channels": rule.channels}
            self.govern.audit(tx, who, action, refs.make("alert-rule", rule.name), detail=detail)
        return stored
