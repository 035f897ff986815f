"""Environments: places such as staging and production, each an alias with rules about who may move it and to what."""

from collections.abc import Sequence
from typing import get_args

from trimtab.domains.registry.aliases import store
from trimtab.domains.registry.errors import EnvironmentRule
from trimtab.domains.registry.evidence import store as evidence
from trimtab.domains.registry.model import (
    EnvironmentState,
    ModelEnvironment,
    ModelVersion,
    SafetyVerdict,
    check_alias,
)
from trimtab.domains.registry.versions import Versions
from trimtab.infra.db import Tx
from trimtab.kernel import refs
from trimtab.kernel.errors import Invalid
from trimtab.kernel.who import ROLES, Principal

_MOST = 20
_MOVERS = ROLES[1:]


class Environments(Versions):
    """Environments by model."""

    def environments(self, who: Principal, name: str) -> list[EnvironmentState]:
        """Return a model's environments in order, each with what is in it; raises ModelNotFound."""
        self.govern.permit(who, "read", refs.model(name))
        with self._db.read() as tx:
            model = self._model(tx, name)
            moves = store.last_moves(tx, name=name)
            found: list[EnvironmentState] = []
            for one in store.environments(tx, name=name):
                version = model.aliases.get(one.name)
                at_us, by, reason, _ = moves.get(one.name, (None, None, "", None))
                found.append(
                    EnvironmentState(one, version, at_us, by, reason)
                    if version is not None
                    else EnvironmentState(one)
                )
            return found

    def set_environments(
        self, who: Principal, name: str, environments: Sequence[ModelEnvironment], *, reason: str = ""
    ) -> list[EnvironmentState]:
        """Replace a model's environments and their rules; what is in them stays. Only an admin may.

        Raises ModelNotFound and Invalid.
        """
        self.govern.permit(who, "admin", f"environments of {refs.model(name)}")
        kept = _checked(environments)
        with self._db.write() as tx:
            self._lock(tx, name)
            self._model(tx, name)
            store.put_environments(tx, kept, name=name)
            rules = [{key: getattr(one, key) for key in one.__struct_fields__} for one in kept]
            self.govern.audit(
                tx,
                who,
                "registry.environments.set",
                refs.model(name),
                detail={"environments": rules, "reason": reason[:2000]},
            )
        return self.environments(who, name)

    def check_entry(
        self, who: Principal, name: str, environment: str, version: int
    ) -> ModelEnvironment | None:
        """Return the rules of an environment that a version meets, None where there is none of that name.

        Who may let it in is asked when its alias is moved. Raises EnvironmentRule and ModelVersionNotFound.
        """
        self.govern.permit(who, "read", refs.model(name, version))
        with self._db.read() as tx:
            rule = store.environment(tx, name=name, environment=environment)
            if rule is not None:
                _check_rules(tx, rule, name, environment, self._version(tx, name, version))
            return rule

    def _check_environment(
        self, tx: Tx, who: Principal, name: str, alias: str, version: ModelVersion | None
    ) -> None:
        """Raise NotPermitted or EnvironmentRule unless the rules of the environment of this name let a version in.

        None for the version empties the environment, which only asks for the role.
        """
        rule = store.environment(tx, name=name, environment=alias)
        if rule is None:
            return
        action = "approve" if rule.role == "approver" else "admin" if rule.role == "admin" else "write"
        self.govern.permit(who, action, f"the environment {alias} of {refs.model(name)}")
        if version is not None:
            _check_rules(tx, rule, name, alias, version)


def _check_rules(tx: Tx, rule: ModelEnvironment, name: str, alias: str, version: ModelVersion) -> None:
    label = f"Version {version.version}"
    if rule.after is not None and not store.was_aliased(
        tx, name=name, alias=rule.after, version=version.version
    ):
        raise EnvironmentRule(
            f"{label} was never in {rule.after}, which comes before {alias}.", field="version"
        )
    if rule.needs_gate and not evidence.has_passed_gate(tx, name=name, version=version.version):
        raise EnvironmentRule(f"{label} has not passed a gate, which {alias} asks for.", field="version")
    if rule.verdicts and version.verdict not in rule.verdicts:
        raise EnvironmentRule(
            f"The files of version {version.version} are {version.verdict}; {alias} takes only what is"
            f" {' or '.join(rule.verdicts)}.",
            field="version",
        )


def _checked(environments: Sequence[ModelEnvironment]) -> list[ModelEnvironment]:
    if len(environments) > _MOST:
        raise Invalid(f"A model has at most {_MOST} environments.", field="environments")
    names: list[str] = []
    for one in environments:
        check_alias(one.name)
        if one.name in names:
            raise Invalid(f"The environment {one.name!r} is there twice.", field="environments")
        if one.after is not None and one.after not in names:
            raise Invalid(
                f"{one.name!r} comes after {one.after!r}, which must stand before it.", field="environments"
            )
        if one.role not in _MOVERS:
            raise Invalid(f"role must be one of {', '.join(_MOVERS)}.", field="environments")
        if any(verdict not in get_args(SafetyVerdict) for verdict in one.verdicts):
            raise Invalid(f"verdicts are some of {', '.join(get_args(SafetyVerdict))}.", field="environments")
        names.append(one.name)
    return [*environments]
