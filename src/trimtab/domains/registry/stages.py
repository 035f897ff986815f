"""The legacy stages of MLflow: which version is the newest in each, and moving versions between them."""

from collections.abc import Sequence

from trimtab.domains.registry import store
from trimtab.domains.registry.events import StageChanged
from trimtab.domains.registry.model import ACTIVE_STAGES, ModelVersion, stage_of
from trimtab.domains.registry.versions import Versions
from trimtab.kernel import refs
from trimtab.kernel.errors import Invalid
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal


class Stages(Versions):
    """Versions by stage."""

    def latest_versions(
        self, who: Principal, names: Sequence[str], *, stages: Sequence[str] = ()
    ) -> dict[str, list[ModelVersion]]:
        """Return the newest version in each stage, or in the given stages, for each name (MLflow's latest versions).

        Raises Invalid for an unknown stage; an unknown name has an empty list.
        """
        self.govern.permit(who, "read", "models")
        wanted = [stage_of(stage) for stage in stages]
        found: dict[str, list[ModelVersion]] = {name: [] for name in names}
        with self._db.read() as tx:
            for version in store.latest_by_stage(tx, list(found), stages=wanted):
                found[version.name].append(version)
        return found

    def move_to_stage(
        self, who: Principal, name: str, version: int, *, stage: str, archive_others: bool = False
    ) -> ModelVersion:
        """Move a version to one of MLflow's legacy stages; ``archive_others`` archives what was in an active one.

        Raises ModelVersionNotFound and Invalid. Aliases say the same and keep their history.
        """
        self.govern.permit(who, "write", refs.model(name, version))
        target = stage_of(stage)
        if archive_others and target not in ACTIVE_STAGES:
            raise Invalid(
                "Model version transition cannot archive existing model versions because"
                f" {stage!r} is not an Active stage. Valid stages are {', '.join(ACTIVE_STAGES)}.",
                field="archive_existing_versions",
            )
        now = now_us()
        with self._db.write() as tx:
            self._lock(tx, name)
            before = self._version(tx, name, version)
            changes = [(version, before.stage, target)]
            if archive_others:
                archived = store.archive_others(tx, name=name, version=version, stage=target, now_us=now)
                changes += [(number, target, "Archived") for number in archived]
            store.set_stage(tx, name=name, version=version, stage=target, now_us=now)
            store.touch_model(tx, name=name, now_us=now)
            moved = [(number, old, new) for number, old, new in changes if old != new]
            for number, old, new in moved:
                self.govern.audit(
                    tx,
                    who,
                    "registry.version.stage",
                    refs.model(name, number),
                    detail={"from": old, "to": new},
                )
            for number, old, new in moved:
                self._bus.emit(
                    tx,
                    StageChanged(name=name, version=number, stage=new, previous=old),
                    subject=refs.model(name, number),
                    actor=who.id,
                )
            return self._version(tx, name, version)
