"""The registry as one face: models, versions, files, aliases and gates, each written in the module of its noun."""

from trimtab.domains.registry import store
from trimtab.domains.registry.aliases import Aliases
from trimtab.domains.registry.files import Files
from trimtab.domains.registry.gates import Gates
from trimtab.kernel import refs
from trimtab.kernel.who import Principal


class RegistryService(Aliases, Gates, Files):
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

    def blobs_in_use(self, who: Principal, blobs: list[str]) -> set[str]:
        """Return which of these blobs belong to a version, so that nothing else may delete them."""
        self.govern.permit(who, "read", "models")
        with self._db.read() as tx:
            return store.blobs_in_use(tx, blobs)
