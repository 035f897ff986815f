"""The registry as one face: models, versions, stages, files, aliases, gates and compilations, each written in its own module."""

from collections.abc import Iterator
from functools import cached_property

from trimtab.domains.registry import store
from trimtab.domains.registry.aliases.service import Aliases
from trimtab.domains.registry.compilation import store as compilations
from trimtab.domains.registry.compilation.service import Compilations
from trimtab.domains.registry.evidence.comparison import Comparisons
from trimtab.domains.registry.evidence.gates import Gates
from trimtab.domains.registry.evidence.service import Evidence
from trimtab.domains.registry.stages import Stages
from trimtab.domains.registry.trash.service import RegistryTrash
from trimtab.kernel import refs
from trimtab.kernel.who import Principal


class RegistryService(Aliases, Gates, Compilations, Evidence, Comparisons, Stages):
    """Which models there are, what they are made of, which version is meant, and on what evidence."""

    def refresh_run(self, who: Principal, run_id: str) -> None:
        """Take over what a run knows now (metrics, input data) into the versions that came from it; idempotent."""
        self.govern.permit(who, "write", refs.run(run_id))
        with self._db.read() as tx:
            if not store.versions_of_run(tx, run_id=run_id):
                return
        metrics = self._sources.metrics(who, run_id)
        with self._db.write() as tx:
            data = self._data_of(tx, run_id)
            for name, version in store.versions_of_run(tx, run_id=run_id):
                store.set_run_facts(tx, name=name, version=version, metrics=metrics, data=data)
                for ref in data:
                    self._lineage.link(tx, ref, refs.model(name, version), "input")

    def blobs_in_use(self, who: Principal) -> Iterator[str]:
        """Go through the blobs of every version, and of those in the trash."""
        self.govern.permit(who, "admin", "blobs")
        with self._db.read() as tx:
            yield from store.every_blob(tx)
            yield from compilations.blobs(tx)
        yield from self.trash.blobs_in_use(who)

    @cached_property
    def trash(self) -> RegistryTrash:
        """What was deleted."""
        return RegistryTrash(self._db, self._bus, self.govern)
