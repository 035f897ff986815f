"""Brings registered models, versions and aliases in. Versions keep their numbers and times; what is here stays as it is."""

from typing import Annotated

import msgspec

from trimtab.domains.govern import GovernService
from trimtab.domains.registry.errors import ModelExists, ModelNotFound, ModelVersionNotFound
from trimtab.domains.registry.imports import store
from trimtab.domains.registry.model import MOST_VERSION, ModelVersion, RegisteredModel, is_prompt
from trimtab.domains.registry.service import RegistryService
from trimtab.infra.db import Database
from trimtab.kernel import refs
from trimtab.kernel.errors import Conflict
from trimtab.kernel.who import Principal

Time = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class NumberTaken(Conflict):
    """A version of this number was made here before, from something else or since deleted; numbers are used once."""

    code = "version-number-taken"


class ModelRecord(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    description: str = ""
    created_us: Time | None = None
    updated_us: Time | None = None
    tags: dict[str, str] = {}


class VersionRecord(msgspec.Struct, forbid_unknown_fields=True):
    """A version; ``source`` names the files of a run, of a logged model, or of a store elsewhere."""

    version: Annotated[int, msgspec.Meta(ge=1, le=MOST_VERSION)]
    source: str
    created_us: Time | None = None
    updated_us: Time | None = None
    stage: str = "None"
    description: str = ""
    run_id: str | None = None
    run_link: str | None = None
    model_id: str | None = None
    tags: dict[str, str] = {}


class ImportService:
    """Registered models as they were elsewhere. Bringing one in again changes nothing."""

    def __init__(self, db: Database, govern: GovernService, registry: RegistryService) -> None:
        self._db = db
        self.govern = govern
        self._registry = registry

    def put_model(self, who: Principal, record: ModelRecord, *, origin: str) -> RegisteredModel:
        """Return the model of a name, made with its times where it is new; raises ModelExists for a prompt's name."""
        self.govern.permit(who, "write", refs.model(record.name))
        try:
            known = self._registry.get_model(who, record.name)
        except ModelNotFound:
            self._registry.create_model(who, record.name, description=record.description, tags=record.tags)
            with self._db.write() as tx:
                if record.created_us is not None:
                    updated_us = record.created_us if record.updated_us is None else record.updated_us
                    store.set_model_times(
                        tx, name=record.name, created_us=record.created_us, updated_us=updated_us
                    )
                detail = {"origin": origin[:2000]}
                self.govern.audit(tx, who, "registry.model.import", refs.model(record.name), detail=detail)
            return self._registry.get_model(who, record.name)
        if is_prompt(known.tags) != is_prompt(record.tags):
            raise ModelExists(f"The name {record.name!r} is taken by a prompt or a model here.", field="name")
        return known

    def put_version(self, who: Principal, name: str, record: VersionRecord, *, origin: str) -> ModelVersion:
        """Return the version of a number, made where it is new; raises BadSource, ModelNotFound and NumberTaken."""
        self.govern.permit(who, "write", refs.model(name, record.version))
        try:
            return self._registry.get_version(who, name, record.version)
        except ModelVersionNotFound:
            pass
        with self._db.write() as tx:
            tx.lock(f"registry.model:{name}")
            if not store.number_from(tx, name=name, number=record.version - 1):
                last = store.last_number(tx, name=name)
                raise NumberTaken(
                    f"{name} has given the number {last} here before, so that no version {record.version} can be made;"
                    " import under another name.",
                    field="version",
                )
        made = self._registry.create_version(
            who,
            name,
            source=record.source,
            run_id=record.run_id,
            model_id=record.model_id,
            description=record.description,
            tags=record.tags,
            run_link=record.run_link,
        )
        if made.version != record.version:
            raise NumberTaken(
                f"Someone else registered {name} version {record.version} meanwhile.", field="version"
            )
        if record.stage != "None":
            self._registry.move_to_stage(who, name, made.version, stage=record.stage)
        with self._db.write() as tx:
            if record.created_us is not None:
                updated_us = record.created_us if record.updated_us is None else record.updated_us
                store.set_version_times(
                    tx, name=name, version=made.version, created_us=record.created_us, updated_us=updated_us
                )
            detail = {"origin": origin[:2000]}
            self.govern.audit(
                tx, who, "registry.version.import", refs.model(name, made.version), detail=detail
            )
        return self._registry.get_version(who, name, made.version)

    def put_alias(self, who: Principal, name: str, alias: str, version: int, *, origin: str) -> ModelVersion:
        """Point an alias to a version unless it points to one already; raises ModelVersionNotFound."""
        self.govern.permit(who, "write", refs.model(name, version))
        known = self._registry.get_model(who, name).aliases.get(alias)
        if known is not None and known != version:
            raise Conflict(
                f"The alias {alias!r} of {name} points to version {known} here, and stays.", field="alias"
            )
        return self._registry.set_alias(who, name, alias, version, reason=f"imported from {origin[:1000]}")
