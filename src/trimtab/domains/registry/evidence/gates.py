"""Gates: the recorded verdicts on a version before it may serve, with every check and its numbers."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from trimtab.domains.registry.events import GateDecided
from trimtab.domains.registry.evidence import store
from trimtab.domains.registry.model import MOST_VERSION, Gate, GateCheck, Verdict
from trimtab.domains.registry.versions import Versions
from trimtab.infra.db import Where
from trimtab.kernel import refs
from trimtab.kernel.errors import Invalid
from trimtab.kernel.ids import new_id
from trimtab.kernel.pages import Page, check_limit, cursor_key, page_of
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal

_MOST_CHECKS = 1000
_MOST_BYTES = 1_000_000


class Gates(Versions):
    """Gates by version."""

    def record_gate(
        self,
        who: Principal,
        name: str,
        version: int,
        *,
        champion: int | None,
        verdict: Verdict,
        checks: Sequence[GateCheck | Mapping[str, Any]],
        evidence: Mapping[str, Any] | None = None,
    ) -> Gate:
        """Keep a verdict for good; ``evidence`` is JSON that says on what it rests (rows, data version, report).

        NaN and infinities in checks are kept as None. Raises ModelVersionNotFound, and Invalid for a passed gate with
        a failed check.
        """
        self.govern.permit(who, "write", refs.model(name, version))
        if verdict not in ("passed", "failed"):
            raise Invalid("verdict must be 'passed' or 'failed'.", field="verdict")
        if champion is not None and not 0 < champion <= MOST_VERSION:
            raise Invalid("champion must be the number of a version.", field="champion")
        kept = _checks(checks)
        failed = [check.name for check in kept if not check.passed]
        if verdict == "passed" and failed:
            raise Invalid(
                f"A gate with failed checks ({', '.join(failed[:5])}) has not passed.", field="verdict"
            )
        gate = Gate(
            id=new_id("gate_"),
            at_us=now_us(),
            actor=who.id,
            verdict=verdict,
            champion=champion,
            checks=kept,
            evidence=dict(evidence or {}),
        )
        try:
            size = len(msgspec.json.encode(gate))
        except (TypeError, ValueError, RecursionError) as error:
            raise Invalid("The evidence is not JSON.", field="evidence") from error
        if size > _MOST_BYTES:
            raise Invalid(
                f"The gate is larger than {_MOST_BYTES} bytes; store the report and refer to it.",
                field="evidence",
            )
        ref = refs.model(name, version)
        with self._db.write() as tx:
            self._version(tx, name, version)
            store.insert_gate(tx, gate, name=name, version=version)
            self.govern.audit(
                tx,
                who,
                "registry.gate.record",
                ref,
                detail={"gate": gate.id, "verdict": verdict, "champion": champion, "failed": failed},
            )
            self._bus.emit(
                tx,
                GateDecided(
                    name=name,
                    version=version,
                    gate_id=gate.id,
                    verdict=verdict,
                    champion=champion,
                    failed_checks=failed,
                ),
                subject=ref,
                actor=who.id,
            )
        return gate

    def gates(
        self, who: Principal, name: str, version: int, *, limit: int | None = None, cursor: str | None = None
    ) -> Page[Gate]:
        """Return the verdicts on a version, newest first; raises ModelVersionNotFound."""
        self.govern.permit(who, "read", refs.model(name, version))
        size = check_limit(limit)
        where = Where().equals(model=name, version=version)
        if cursor:
            where.add("id < :before", before=cursor_key(cursor, str))
        with self._db.read() as tx:
            self._version(tx, name, version)
            found = store.gates(tx, where, limit=size + 1)
        return page_of(found, size, key=lambda gate: gate.id)


def _checks(checks: Sequence[GateCheck | Mapping[str, Any]]) -> list[GateCheck]:
    if len(checks) > _MOST_CHECKS:
        raise Invalid(f"A gate has at most {_MOST_CHECKS} checks.", field="checks")
    kept: list[GateCheck] = []
    for index, given in enumerate(checks):
        try:
            check = (
                given
                if isinstance(given, GateCheck)
                else msgspec.convert(dict(given), GateCheck, strict=True)
            )
        except msgspec.ValidationError as error:
            raise Invalid(f"Check {index}: {error}.", field="checks") from error
        numbers = {key: _finite(getattr(check, key)) for key in ("value", "threshold", "low", "high")}
        kept.append(msgspec.structs.replace(check, **numbers))
    return kept


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
