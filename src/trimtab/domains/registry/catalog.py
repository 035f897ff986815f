"""The registered models themselves: create, describe, tag, rename, delete, search."""

from collections.abc import Mapping, Sequence
from typing import NoReturn

from trimtab.domains.govern import GovernService
from trimtab.domains.lineage import LineageService
from trimtab.domains.registry import store
from trimtab.domains.registry.aliases import store as aliases
from trimtab.domains.registry.errors import ModelExists, ModelNotFound
from trimtab.domains.registry.events import ModelCreated, ModelDeleted, ModelRenamed
from trimtab.domains.registry.model import (
    PROMPT_MARKS,
    RegisteredModel,
    check_description,
    check_name,
    check_tags,
    is_prompt,
)
from trimtab.domains.registry.search import MODELS, add_cursor, add_filter, cursor_after, order_sql, ordering
from trimtab.domains.registry.sources import Sources
from trimtab.domains.registry.trash.service import keep
from trimtab.domains.registry.trust import Trust
from trimtab.domains.registry.webhooks.model import WebhookEvent
from trimtab.domains.registry.webhooks.service import WebhookService
from trimtab.domains.tracking import TrackingService
from trimtab.infra.blobs import Blobs
from trimtab.infra.bus import Bus
from trimtab.infra.db import Database, Tx, Where
from trimtab.infra.jobs import Jobs
from trimtab.infra.outbound import Outbound
from trimtab.infra.secrets import Secrets
from trimtab.kernel import refs
from trimtab.kernel.errors import did_you_mean
from trimtab.kernel.pages import Page, check_limit
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal


class Catalog:
    """Registered models by name."""

    def __init__(
        self,
        db: Database,
        bus: Bus,
        blobs: Blobs,
        *,
        jobs: Jobs,
        govern: GovernService,
        lineage: LineageService,
        tracking: TrackingService,
        outbound: Outbound,
        secrets: Secrets,
        trust: Trust,
    ) -> None:
        """``trust`` says which names a model's files may import; ``outbound`` and ``secrets`` serve the webhooks."""
        self._db = db
        self._jobs = jobs
        self._trust = trust
        self.webhooks = WebhookService(db, jobs, govern, outbound=outbound, secrets=secrets)
        self._bus = bus
        self._blobs = blobs
        self._lineage = lineage
        self._sources = Sources(tracking, blobs)
        self.govern = govern

    def create_model(
        self, who: Principal, name: str, *, description: str = "", tags: Mapping[str, str] | None = None
    ) -> RegisteredModel:
        """Make a name under which versions can be registered; raises ModelExists and Invalid."""
        self.govern.permit(who, "write", refs.model(name))
        check_name(name)
        check_description(description)
        kept = check_tags(tags or {})
        with self._db.write() as tx:
            self._create_model(tx, who, name, description=description, tags=kept)
            return self._model(tx, name)

    def _create_model(
        self, tx: Tx, who: Principal, name: str, *, description: str, tags: dict[str, str]
    ) -> None:
        self._lock(tx, name)
        if not store.insert_model(tx, name=name, description=description, now_us=now_us(), created_by=who.id):
            existing = self._model(tx, name)
            if is_prompt(existing.tags) != is_prompt(tags):
                raise ModelExists(
                    f"The name {name!r} is taken: a model and a prompt cannot share one.", field="name"
                )
            noun = "Prompt" if is_prompt(tags) else "Registered Model"
            raise ModelExists(f"{noun} (name={name}) already exists.", field="name")
        store.set_model_tags(tx, name=name, tags=tags)
        self.govern.audit(tx, who, "registry.model.create", refs.model(name))
        self._bus.emit(tx, ModelCreated(name=name), subject=refs.model(name), actor=who.id)
        shown = {key: value for key, value in tags.items() if not is_prompt(tags) or key not in PROMPT_MARKS}
        event = WebhookEvent("prompt" if is_prompt(tags) else "registered_model", "created")
        self.webhooks.announce(tx, event, {"name": name, "tags": shown, "description": description})

    def get_model(self, who: Principal, name: str) -> RegisteredModel:
        """Return a model with its aliases and tags; raises ModelNotFound."""
        self.govern.permit(who, "read", refs.model(name))
        with self._db.read() as tx:
            return self._model(tx, name)

    def search_models(
        self,
        who: Principal,
        *,
        filter: str = "",  # noqa: A002 (the name that the API has)
        order_by: Sequence[str] = (),
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[RegisteredModel]:
        """Return models that a filter over ``name`` and ``tags`` admits, by name unless ordered otherwise.

        The keys of an order are ``name``, ``creation_timestamp`` and ``last_updated_timestamp``. Raises BadFilter.
        """
        self.govern.permit(who, "read", "models")
        size = check_limit(limit)
        order = ordering(order_by, MODELS)
        where = Where().add("m.deleted_us is null")
        add_filter(where, filter, MODELS, dialect=self._db.dialect)
        if cursor:
            add_cursor(where, order, cursor)
        with self._db.read() as tx:
            found = store.models(tx, where, order=order_sql(order), limit=size + 1)
        more = cursor_after(found[size - 1], order) if len(found) > size else None
        return Page(found[:size], more)

    def describe_model(self, who: Principal, name: str, *, description: str) -> RegisteredModel:
        """Change a model's description; raises ModelNotFound."""
        self.govern.permit(who, "write", refs.model(name))
        check_description(description)
        with self._db.write() as tx:
            if not store.describe_model(tx, name=name, description=description, now_us=now_us()):
                self._no_model(tx, name)
            self.govern.audit(tx, who, "registry.model.describe", refs.model(name))
            return self._model(tx, name)

    def rename_model(self, who: Principal, name: str, *, new_name: str) -> RegisteredModel:
        """Give a model and all its versions another name; raises ModelNotFound and ModelExists.

        Version numbers of either name are not used again, and lineage leads from the old versions to the new.
        """
        self.govern.permit(who, "write", refs.model(name))
        check_name(new_name)
        now = now_us()
        with self._db.write() as tx:
            for one in sorted({name, new_name}):
                self._lock(tx, one)
            model = self._model(tx, name)
            if new_name == name:
                return model
            last, maker = store.last_version(tx, name=name) or (0, who.id)
            if not store.insert_model(
                tx,
                name=new_name,
                description=model.description,
                now_us=now,
                created_us=model.created_us,
                created_by=maker,
                last_version=last,
            ):
                raise ModelExists(f"Registered Model (name={new_name}) already exists.", field="new_name")
            store.rename(tx, name=name, new_name=new_name, now_us=now)
            store.bury_model(tx, name=name, now_us=now)
            for version in store.version_numbers(tx, name=new_name):
                self._lineage.link(
                    tx, refs.model(name, version), refs.model(new_name, version), "derived", now
                )
            self.govern.audit(
                tx,
                who,
                "registry.model.rename",
                refs.model(new_name),
                detail={"old_name": name, "name": new_name},
            )
            self._bus.emit(
                tx, ModelRenamed(old_name=name, name=new_name), subject=refs.model(new_name), actor=who.id
            )
            return self._model(tx, new_name)

    def delete_model(self, who: Principal, name: str) -> None:
        """Move a model with its versions, aliases and tags to the trash; raises ModelNotFound.

        The history of its aliases stays, and its version numbers are not given again under the same name.
        """
        self.govern.permit(who, "write", refs.model(name))
        now = now_us()
        with self._db.write() as tx:
            self._lock(tx, name)
            model = self._model(tx, name)
            keep(tx, who, name, version=None, now_us=now)
            for alias, version in model.aliases.items():
                aliases.end_alias(
                    tx,
                    name=name,
                    alias=alias,
                    version=version,
                    now_us=now,
                    actor=who.id,
                    reason="the model was deleted",
                )
            versions = store.delete_versions(tx, name=name)
            store.delete_model_tags(tx, name=name)
            aliases.put_environments(tx, [], name=name)
            store.bury_model(tx, name=name, now_us=now)
            self.govern.audit(
                tx,
                who,
                "registry.model.delete",
                refs.model(name),
                detail={"versions": versions, "aliases": model.aliases},
            )
            self._bus.emit(tx, ModelDeleted(name=name), subject=refs.model(name), actor=who.id)

    def set_model_tag(self, who: Principal, name: str, *, key: str, value: str) -> None:
        """Set a tag of a model; raises ModelNotFound and Invalid."""
        self.govern.permit(who, "write", refs.model(name))
        tags = check_tags({key: value})
        with self._db.write() as tx:
            model = self._model(tx, name)
            store.set_model_tags(tx, name=name, tags=tags)
            self._tagged(tx, who, refs.model(name), key, before=model.tags.get(key), after=value)
            if is_prompt(model.tags):
                self.webhooks.announce(
                    tx, WebhookEvent("prompt_tag", "set"), {"name": name, "key": key, "value": value}
                )

    def delete_model_tag(self, who: Principal, name: str, *, key: str) -> None:
        """Remove a tag of a model where it is set; raises ModelNotFound."""
        self.govern.permit(who, "write", refs.model(name))
        with self._db.write() as tx:
            model = self._model(tx, name)
            if store.delete_model_tag(tx, name=name, key=key):
                self._tagged(tx, who, refs.model(name), key, before=model.tags.get(key), after=None)
            if is_prompt(model.tags):
                self.webhooks.announce(tx, WebhookEvent("prompt_tag", "deleted"), {"name": name, "key": key})

    def _tagged(
        self, tx: Tx, who: Principal, ref: str, key: str, *, before: str | None, after: str | None
    ) -> None:
        """Record a change of a tag, with the beginnings of its values."""
        if before == after:
            return
        detail = {"key": key, "from": _beginning(before), "to": _beginning(after)}
        self.govern.audit(
            tx, who, "registry.tag.set" if after is not None else "registry.tag.delete", ref, detail=detail
        )

    def _lock(self, tx: Tx, name: str) -> None:
        tx.lock(f"registry.model:{name}")

    def _model(self, tx: Tx, name: str) -> RegisteredModel:
        model = store.model(tx, name=name)
        if model is None:
            self._no_model(tx, name)
        return model

    def _no_model(self, tx: Tx, name: str) -> NoReturn:
        hint = did_you_mean(name, store.model_names(tx))
        raise ModelNotFound(f"Registered Model with name={name[:300]} not found.{hint}", field="name")


def _beginning(value: str | None) -> str | None:
    return value if value is None or len(value) <= 200 else f"{value[:200]}..."
