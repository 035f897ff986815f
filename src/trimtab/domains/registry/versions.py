"""The versions of a model: registered from logged files, described, tagged, resolved from URIs, deleted."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NoReturn

from trimtab.domains.registry import store
from trimtab.domains.registry.aliases import store as aliases
from trimtab.domains.registry.catalog import Catalog
from trimtab.domains.registry.errors import AliasNotFound, BadSource, ModelVersionNotFound
from trimtab.domains.registry.events import ModelVersionCreated, ModelVersionDeleted
from trimtab.domains.registry.evidence import store as evidence
from trimtab.domains.registry.model import (
    LATEST,
    MOST_VERSION,
    PROMPT_MARKS,
    PROMPT_TEXT_TAG,
    ModelVersion,
    check_description,
    check_name,
    check_tags,
    is_prompt,
    stage_of,
    tree_digest,
)
from trimtab.domains.registry.search import (
    VERSIONS,
    add_cursor,
    add_filter,
    cursor_after,
    order_sql,
    ordering,
)
from trimtab.domains.registry.sources import Origin
from trimtab.domains.registry.trash.service import keep
from trimtab.domains.registry.uris import ModelUri, parse_model_uri, parse_source
from trimtab.domains.registry.webhooks.model import WebhookEvent
from trimtab.infra.db import Tx, Where
from trimtab.kernel import refs
from trimtab.kernel.errors import Invalid, did_you_mean
from trimtab.kernel.pages import Page, check_limit
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal

SCAN = "registry.scan"
_MOST_LINK = 2000


class Versions(Catalog):
    """Versions by model and number."""

    def create_version(
        self,
        who: Principal,
        name: str,
        *,
        source: str,
        run_id: str | None = None,
        model_id: str | None = None,
        description: str = "",
        tags: Mapping[str, str] | None = None,
        run_link: str | None = None,
        create_model: bool = False,
    ) -> ModelVersion:
        """Register the files of a logged model, of a run's artifact folder or of another version as the next version.

        Which files it has is fixed now: later changes of the artifacts do not reach it. ``run_id`` and ``model_id``
        must own the source and are found from it when left out. ``create_model`` makes the name where it is new.
        Raises ModelNotFound, BadSource and Invalid.
        """
        self.govern.permit(who, "write", refs.model(name))
        check_name(name)
        check_description(description)
        kept = check_tags(tags or {})
        if run_link is not None and len(run_link) > _MOST_LINK:
            raise Invalid(f"run_link has at most {_MOST_LINK} characters.", field="run_link")
        if is_prompt(kept):
            origin = self._sources.of_prompt(source)
        else:
            origin = self._find(who, source, run_id=run_id, model_id=model_id)
        for file in origin.files:
            self._blobs.touch(file.blob)
        now = now_us()
        found = self._sources.scan(origin, trust=self._trust, now_us=now)
        with self._db.write() as tx:
            self._lock(tx, name)
            if create_model and store.model(tx, name=name) is None:
                self._create_model(tx, who, name, description="", tags={})
            number = store.take_version(tx, name=name, now_us=now)
            if number is None:
                self._no_model(tx, name)
            version = ModelVersion(
                name=name,
                version=number,
                created_us=now,
                created_by=who.id,
                updated_us=now,
                stage="None",
                source=origin.source,
                location=origin.location,
                run_id=origin.run_id,
                run_link=run_link or None,
                model_id=origin.model_id,
                description=description,
                format=origin.facts.format,
                safe=origin.facts.safe,
                digest=tree_digest(origin.files),
                size_bytes=sum(file.size_bytes for file in origin.files),
                files=len(origin.files),
                flavor=origin.facts.flavor,
                flavors=origin.facts.flavors,
                unsafe_because=origin.facts.unsafe_because,
                signature=origin.facts.signature,
                metrics=origin.metrics,
                data=self._data_of(tx, origin.run_id),
                verdict=found.verdict,
                strangers=found.strangers,
                tags=kept,
            )
            store.insert_version(tx, version, origin.files)
            evidence.put_scan(tx, name=name, version=number, scan=found)
            if found.unfinished:
                payload = {"name": name, "version": number}
                self._jobs.enqueue(tx, SCAN, payload, queue="heavy", dedupe_key=f"{name}/{number}")
            self._link(tx, version, copied_from=origin.copied_from)
            ref = refs.model(name, number)
            self.govern.audit(
                tx,
                who,
                "registry.version.create",
                ref,
                detail={"source": version.source, "digest": version.digest},
            )
            self._bus.emit(
                tx,
                ModelVersionCreated(
                    name=name,
                    version=number,
                    run_id=version.run_id,
                    model_id=version.model_id,
                    format=version.format,
                    safe=version.safe,
                    digest=version.digest,
                ),
                subject=ref,
                actor=who.id,
            )
            self._sources.note_version(tx, version)
            self._announce_created(tx, version)
        return version

    def _announce_created(self, tx: Tx, version: ModelVersion) -> None:
        tags = dict(version.tags)
        data: dict[str, Any] = {"name": version.name, "version": str(version.version)}
        if is_prompt(version.tags):
            data["template"] = tags.pop(PROMPT_TEXT_TAG, None)
            tags = {key: value for key, value in tags.items() if key not in PROMPT_MARKS}
        else:
            data |= {"source": version.source, "run_id": version.run_id}
        data |= {"tags": tags, "description": version.description or None}
        entity = "prompt_version" if is_prompt(version.tags) else "model_version"
        self.webhooks.announce(tx, WebhookEvent(entity, "created"), data)

    def _find(self, who: Principal, source: str, *, run_id: str | None, model_id: str | None) -> Origin:
        parsed = parse_source(source)
        if not isinstance(parsed, ModelUri):
            return self._sources.find(who, source, parsed, run_id=run_id, model_id=model_id)
        with self._db.read() as tx:
            if is_prompt(self._model(tx, parsed.name).tags):
                raise BadSource(
                    f"Invalid model version source: {source[:200]!r}. Prompt versions cannot be used as model version"
                    " sources.",
                    field="source",
                )
            other = self._resolve(tx, parsed)
            files = store.files(tx, name=other.name, version=other.version)
        return self._sources.of_version(other, files, run_id=run_id, model_id=model_id)

    def _data_of(self, tx: Tx, run_id: str | None) -> list[str]:
        if run_id is None:
            return []
        found = self._lineage.sources(tx, refs.run(run_id), kinds=("input",))
        return sorted(ref for ref in found if ref.startswith("data:"))

    def _link(self, tx: Tx, version: ModelVersion, *, copied_from: str | None) -> None:
        ref = refs.model(version.name, version.version)
        if version.run_id is not None:
            self._lineage.link(tx, refs.run(version.run_id), ref, "trained")
        if version.model_id is not None:
            self._lineage.link(tx, refs.make("logged-model", version.model_id), ref, "registered")
        if copied_from is not None:
            self._lineage.link(tx, copied_from, ref, "derived")
        for data in version.data:
            self._lineage.link(tx, data, ref, "input")

    def get_version(self, who: Principal, name: str, version: int) -> ModelVersion:
        """Return a version; raises ModelNotFound and ModelVersionNotFound."""
        self.govern.permit(who, "read", refs.model(name, version))
        with self._db.read() as tx:
            return self._version(tx, name, version)

    def resolve(self, who: Principal, uri: str) -> ModelVersion:
        """Return the version that ``models:/NAME/3``, ``models:/NAME@alias`` or ``models:/NAME/latest`` means now.

        Raises BadModelUri, ModelNotFound, ModelVersionNotFound and AliasNotFound, with the nearest name.
        """
        self.govern.permit(who, "read", "models")
        parsed = parse_model_uri(uri)
        with self._db.read() as tx:
            return self._resolve(tx, parsed)

    def version_by_alias(self, who: Principal, name: str, alias: str) -> ModelVersion:
        """Return the version that an alias (or ``latest``) points to; raises ModelNotFound and AliasNotFound."""
        self.govern.permit(who, "read", refs.model(name))
        with self._db.read() as tx:
            return self._resolve(tx, ModelUri(name, alias=alias))

    def search_versions(
        self,
        who: Principal,
        *,
        filter: str = "",  # noqa: A002 (the name that the API has)
        name: str | None = None,
        order_by: Sequence[str] = (),
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[ModelVersion]:
        """Return versions that a filter over ``name, version_number, run_id, source_path`` and ``tags`` admits.

        Without an order, those that changed last come first; with ``name``, only that model's, the highest number
        first. Raises BadFilter, and ModelNotFound for an unknown ``name``.
        """
        self.govern.permit(who, "read", "models")
        size = check_limit(limit)
        order = ordering(order_by or (["version_number DESC"] if name is not None else []), VERSIONS)
        where = Where()
        add_filter(where, filter, VERSIONS, dialect=self._db.dialect)
        if name is not None:
            where.add("v.model = :model", model=name)
        if cursor:
            add_cursor(where, order, cursor)
        with self._db.read() as tx:
            if name is not None:
                self._model(tx, name)
            found = store.versions(tx, where, order=order_sql(order), limit=size + 1)
        more = cursor_after(found[size - 1], order) if len(found) > size else None
        return Page(found[:size], more)

    def describe_version(self, who: Principal, name: str, version: int, *, description: str) -> ModelVersion:
        """Change a version's description; raises ModelVersionNotFound."""
        self.govern.permit(who, "write", refs.model(name, version))
        check_description(description)
        with self._db.write() as tx:
            self._version(tx, name, version)
            store.describe_version(tx, name=name, version=version, description=description, now_us=now_us())
            self.govern.audit(tx, who, "registry.version.describe", refs.model(name, version))
            return self._version(tx, name, version)

    def set_version_tag(self, who: Principal, name: str, version: int, *, key: str, value: str) -> None:
        """Set a tag of a version; raises ModelVersionNotFound and Invalid."""
        self.govern.permit(who, "write", refs.model(name, version))
        tags = check_tags({key: value})
        with self._db.write() as tx:
            before = self._version(tx, name, version).tags.get(key)
            store.set_version_tags(tx, name=name, version=version, tags=tags)
            self._tagged(tx, who, refs.model(name, version), key, before=before, after=value)
            event = WebhookEvent(f"{self._kind(tx, name, 'version')}_tag", "set")
            data = {"name": name, "version": str(version), "key": key, "value": value}
            self.webhooks.announce(tx, event, data)

    def delete_version_tag(self, who: Principal, name: str, version: int, *, key: str) -> None:
        """Remove a tag of a version where it is set; raises ModelVersionNotFound."""
        self.govern.permit(who, "write", refs.model(name, version))
        with self._db.write() as tx:
            before = self._version(tx, name, version).tags.get(key)
            if store.delete_version_tag(tx, name=name, version=version, key=key):
                self._tagged(tx, who, refs.model(name, version), key, before=before, after=None)
            event = WebhookEvent(f"{self._kind(tx, name, 'version')}_tag", "deleted")
            self.webhooks.announce(tx, event, {"name": name, "version": str(version), "key": key})

    def _kind(self, tx: Tx, name: str, noun: Literal["version", "alias"]) -> str:
        """Return what webhooks call a version or alias: those of prompts are told apart."""
        prompt = is_prompt(self._model(tx, name).tags)
        if noun == "alias":
            return "prompt_alias" if prompt else "model_version_alias"
        return "prompt_version" if prompt else "model_version"

    def delete_version(self, who: Principal, name: str, version: int) -> None:
        """Move a version and the aliases that point to it to the trash; its number is not used again.

        Raises ModelVersionNotFound.
        """
        self.govern.permit(who, "write", refs.model(name, version))
        now = now_us()
        ref = refs.model(name, version)
        with self._db.write() as tx:
            self._lock(tx, name)
            gone = self._version(tx, name, version)
            keep(tx, who, name, version=version, now_us=now)
            for alias in gone.aliases:
                aliases.end_alias(
                    tx,
                    name=name,
                    alias=alias,
                    version=version,
                    now_us=now,
                    actor=who.id,
                    reason="the version was deleted",
                )
            store.delete_versions(tx, name=name, version=version)
            store.touch_model(tx, name=name, now_us=now)
            self.govern.audit(
                tx,
                who,
                "registry.version.delete",
                ref,
                detail={"digest": gone.digest, "aliases": gone.aliases},
            )
            self._bus.emit(tx, ModelVersionDeleted(name=name, version=version), subject=ref, actor=who.id)

    def _resolve(self, tx: Tx, uri: ModelUri) -> ModelVersion:
        if uri.version is not None:
            return self._version(tx, uri.name, uri.version)
        model = self._model(tx, uri.name)
        if uri.stage is not None:
            found = store.latest_by_stage(tx, [uri.name], stages=[stage_of(uri.stage)])
            if not found:
                raise ModelVersionNotFound(f"No version of {uri.name} is in the stage {uri.stage}.")
            return found[0]
        if uri.alias is None or uri.alias.lower() == LATEST:
            if model.latest_version is None:
                raise ModelVersionNotFound(f"{uri.name} has no versions yet.")
            return self._version(tx, uri.name, model.latest_version)
        number = model.aliases.get(uri.alias)
        if number is None:
            known = f" It has {', '.join(model.aliases)}." if model.aliases else " It has none."
            hint = did_you_mean(uri.alias, model.aliases) or known
            raise AliasNotFound(
                f"Registered model alias {uri.alias[:300]} not found for {uri.name}.{hint}", field="alias"
            )
        return self._version(tx, uri.name, number)

    def _version(self, tx: Tx, name: str, version: int) -> ModelVersion:
        found = store.version(tx, name=name, version=version) if 0 < version <= MOST_VERSION else None
        if found is None:
            self._no_version(tx, name, version)
        return found

    def _no_version(self, tx: Tx, name: str, version: int) -> NoReturn:
        self._model(tx, name)
        numbers = [str(number) for number in store.version_numbers(tx, name=name)]
        known = f"It has {', '.join(numbers[-10:])}." if numbers else "It has none yet."
        raise ModelVersionNotFound(
            f"Model Version (name={name}, version={version}) not found. {known}", field="version"
        )
