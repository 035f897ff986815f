"""Bundles for devices: made when they are asked for and whenever their alias moves, and what devices bring back."""

import hashlib
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from trimtab.domains.data import DataService
from trimtab.domains.data.tables import format_of
from trimtab.domains.deploy.admission import check_loadable
from trimtab.domains.deploy.edge import store
from trimtab.domains.deploy.edge.errors import (
    EdgeBundleNotFound,
    EdgeBundleNotReady,
    NotCompiledYet,
    NotForTheEdge,
)
from trimtab.domains.deploy.edge.keys import SigningKey
from trimtab.domains.deploy.edge.model import Delivery, EdgeBundle, EdgeDevice, check_delivery
from trimtab.domains.deploy.settings import HASHES
from trimtab.domains.govern import GovernService
from trimtab.domains.registry import RegistryService
from trimtab.domains.registry.model import ModelVersion
from trimtab.domains.registry.runtimes.service import RuntimeService
from trimtab.infra.blobs import Blobs
from trimtab.infra.db import Database, Tx, Where
from trimtab.infra.jobs import Jobs
from trimtab.infra.secrets import Secrets
from trimtab.kernel import refs
from trimtab.kernel.errors import Invalid, NotFound, TrimtabError, did_you_mean
from trimtab.kernel.names import is_name
from trimtab.kernel.pages import check_limit
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal
from trimtab.serving import segments
from trimtab.serving.policies.fields import Anonymiser
from trimtab.serving.policies.settings import FieldRule
from trimtab.serving.routes import signature_of

if TYPE_CHECKING:
    import pyarrow as pa

BUILD = "deploy.edge"


class EdgeService:
    """Bundles by model and alias, and the devices that use them."""

    def __init__(
        self,
        db: Database,
        jobs: Jobs,
        blobs: Blobs,
        *,
        govern: GovernService,
        registry: RegistryService,
        runtimes: RuntimeService,
        data: DataService,
        secrets: Secrets,
        rules_of: Callable[[Principal, str], dict[str, FieldRule]],
        server_url: str,
        log_folder: Path,
    ) -> None:
        """``log_folder`` is where monitoring takes predictions in; ``server_url`` where devices find this server.

        ``rules_of`` returns what is done to a model's columns before they are written down.
        """
        self._db = db
        self._jobs = jobs
        self._blobs = blobs
        self._registry = registry
        self._runtimes = runtimes
        self._data = data
        self._key = SigningKey(db, secrets)
        self._secrets = secrets
        self._rules_of = rules_of
        self._server_url = server_url
        self._log_folder = log_folder
        self.govern = govern

    def create(self, who: Principal, *, model: str, endpoint: str = "", reference: str = "") -> EdgeBundle:
        """Have a bundle made of what an alias points to now, and again whenever it moves.

        ``model`` is ``models:/NAME@alias``. ``reference`` is a data version of whose first rows the bundle is checked,
        by default the model's input example. ``endpoint`` is the name under which monitoring finds the predictions.
        What is left empty stays as it was, and a bundle that is there already is returned as it is.
        Raises Invalid, NotFound, and Forbidden as deploying does.
        """
        self.govern.permit(who, "write", "edge bundles")
        name, _, alias = model.removeprefix("models:/").rpartition("@")
        if not name or not alias:
            raise Invalid(
                f"{model[:200]!r} is not models:/NAME@ALIAS: devices follow an alias.", field="model"
            )
        found = self._registry.resolve(who, f"models:/{name}@{alias}")
        check_loadable(self.govern, who, found, allow_pickle=False, reason="")
        if endpoint and not is_name(endpoint):
            raise Invalid("An endpoint's name has letters, digits, '.', '_' and '-' only.", field="endpoint")
        if reference:
            self._reference_version(who, reference)
        now = now_us()
        with self._db.write() as tx:
            tx.lock(f"deploy.edge:{found.name}@{alias}")
            known = store.find(tx, where=Where().equals(model=found.name, alias=alias))
            before = known[0] if known else None
            if before is not None:
                endpoint, reference = endpoint or before.endpoint, reference or before.reference
                made = before.state == "ready" and before.version == found.version
                if made and (before.endpoint, before.reference) == (endpoint, reference):
                    return before
            bundle = EdgeBundle(
                model=found.name,
                alias=alias,
                endpoint=endpoint or f"{re.sub(r'[^A-Za-z0-9._-]', '-', found.name)[:120]}-edge",
                reference=reference,
                state="building",
                sequence=before.sequence if before else 0,
                version=before.version if before else None,
                blob=before.blob if before else None,
                size_bytes=before.size_bytes if before else 0,
                error=None,
                created_us=before.created_us if before else now,
                updated_us=now,
                created_by=before.created_by if before else who.id,
            )
            store.put(tx, bundle)
            self._enqueue(tx, bundle)
            detail = {"channel": bundle.channel, "endpoint": bundle.endpoint, "reference": reference}
            self.govern.audit(tx, who, "deploy.edge.create", refs.model(found.name), detail=detail)
        return bundle

    def get(self, who: Principal, model: str, alias: str) -> EdgeBundle:
        """Return the bundle of an alias; raises EdgeBundleNotFound."""
        self.govern.permit(who, "read", "edge bundles")
        with self._db.read() as tx:
            return self._find(tx, model, alias)

    def bundles(self, who: Principal) -> list[EdgeBundle]:
        """Return every bundle by model and alias."""
        self.govern.permit(who, "read", "edge bundles")
        with self._db.read() as tx:
            return store.find(tx, where=Where())

    def public_key(self, who: Principal) -> str:
        """Return the key with which devices check bundles, in base 64."""
        self.govern.permit(who, "read", "edge bundles")
        return self._key.public

    def open(self, who: Principal, model: str, alias: str) -> tuple[EdgeBundle, BinaryIO]:
        """Open the newest bundle for reading; raises EdgeBundleNotReady while there is none."""
        self.govern.permit(who, "read", "edge bundles")
        bundle = self.get(who, model, alias)
        if bundle.blob is None:
            raise EdgeBundleNotReady(bundle.error or "The bundle is still being made.")
        return bundle, self._blobs.open(bundle.blob)

    def remove(self, who: Principal, model: str, alias: str) -> None:
        """Make no more bundles for an alias; devices go on with what they have."""
        self.govern.permit(who, "write", "edge bundles")
        with self._db.write() as tx:
            self._find(tx, model, alias)
            store.remove(tx, model=model, alias=alias)
            detail = {"channel": f"{model}@{alias}"}
            self.govern.audit(tx, who, "deploy.edge.remove", refs.model(model), detail=detail)

    def devices(
        self, who: Principal, model: str, alias: str, *, limit: int | None = None
    ) -> list[EdgeDevice]:
        """Return the devices that called, the latest first."""
        self.govern.permit(who, "read", "edge bundles")
        with self._db.read() as tx:
            self._find(tx, model, alias)
            return store.devices(tx, model=model, alias=alias, limit=check_limit(limit))

    def deliver(self, who: Principal, model: str, alias: str, delivery: Delivery) -> int:
        """Take in what a device predicted, for monitoring, and return how many predictions; raises BadDelivery.

        The predictions become a complete segment whose name comes from the device and the number of its file, so that
        monitoring takes the same file once, however often it is sent.
        """
        self.govern.permit(who, "write", "edge bundles")
        bundle = self.get(who, model, alias)
        if bundle.version is None:
            raise EdgeBundleNotReady("No bundle was made for this alias yet.")
        columns: dict[str, frozenset[str]] = {}
        for version in {one.version for one in delivery.predictions}:
            columns[version] = self._columns(who, model, version)
        records = check_delivery(delivery, bundle, columns, now_us=now_us())
        rules = self._rules_of(who, model)
        if rules:  # of now: the device may have an older bundle, or kept these before there were any
            anonymiser = Anonymiser(rules, self._secrets.derive(HASHES))
            records = [anonymiser.record(one) for one in records]
        if records:
            source = hashlib.sha256(f"{bundle.channel}/{delivery.device}".encode()).hexdigest()[:16]
            name = f"{records[0].at_us:016d}-edge-{source}-{delivery.number:020d}"
            segments.deliver(self._log_folder, name, records)
        refused = delivery.refused
        problem = f"bundle {refused.sequence}: {refused.reason}"[:1000] if refused else None
        with self._db.write() as tx:
            store.put_device(
                tx,
                bundle,
                device=delivery.device,
                sequence=delivery.sequence,
                now_us=now_us(),
                taken=len(records),
                lost=delivery.lost,
                problem=problem,
            )
        return len(records)

    def _columns(self, who: Principal, model: str, version: str) -> frozenset[str]:
        """Return the columns of a version's signature, none for what is no version."""
        if not (version.isascii() and version.isdigit() and len(version) < 10):
            return frozenset()
        try:
            signature = signature_of(self._registry.get_version(who, model, int(version)).signature)
        except NotFound:
            return frozenset()
        return frozenset(field.name for field in signature.inputs) if signature else frozenset()

    def alias_moved(self, who: Principal, model: str, alias: str) -> None:
        """Have a new bundle made where an alias with bundles points elsewhere."""
        self.govern.permit(who, "write", "edge bundles")
        with self._db.write() as tx:
            for bundle in store.find(tx, where=Where().equals(model=model, alias=alias)):
                self._enqueue(tx, bundle)

    def rules_changed(self, who: Principal, model: str) -> None:
        """Have new bundles made of a model after the rules of what is written down have changed."""
        self.govern.permit(who, "write", "edge bundles")
        with self._db.write() as tx:
            for bundle in store.find(tx, where=Where().equals(model=model)):
                store.put(tx, msgspec.structs.replace(bundle, state="building", updated_us=now_us()))
                self._enqueue(tx, bundle)

    def model_renamed(self, who: Principal, old_name: str, new_name: str) -> None:
        """Forget nothing when a model gets another name; its devices need a bundle of the new name to go on."""
        self.govern.permit(who, "write", refs.model(new_name))
        with self._db.write() as tx:
            store.rename_model(tx, old_name=old_name, new_name=new_name)

    def blobs_in_use(self, who: Principal) -> Iterator[str]:
        """Go through the blobs of the bundles that can be fetched."""
        self.govern.permit(who, "admin", "blobs")
        with self._db.read() as tx:
            yield from [one.blob for one in store.find(tx, where=Where()) if one.blob is not None]

    def build(self, who: Principal, model: str, alias: str, *, last_attempt: bool = True) -> None:
        """Make the bundle of what an alias points to now, in a worker process; nothing is done where it is made already.

        Raises NotCompiledYet, to be tried again, unless this is the ``last_attempt``.
        """
        self.govern.permit(who, "write", "edge bundles")
        while True:
            try:
                bundle = self.get(who, model, alias)
                version = self._registry.resolve(who, f"models:/{model}@{alias}")
            except NotFound:  # it was removed meanwhile
                return
            if bundle.state == "ready" and bundle.version == version.version:
                return
            try:
                made = self._build(who, bundle, version)
            except TrimtabError as error:
                if error.kind == "unavailable" and not last_attempt:
                    raise
                made = msgspec.structs.replace(
                    bundle, state="failed", error=error.message, updated_us=now_us()
                )
            with self._db.write() as tx:
                tx.lock(f"deploy.edge:{bundle.channel}")
                if self._find(tx, model, alias) != bundle:
                    continue  # another job was faster, or something else is wanted of the bundle by now
                store.put(tx, made)
                if made.state == "ready":
                    detail = {
                        "channel": made.channel, "sequence": made.sequence, "size_bytes": made.size_bytes
                    }  # fmt: skip
                    ref = refs.model(version.name, version.version)
                    self.govern.audit(tx, who, "deploy.edge.sign", ref, detail=detail)
            return

    def _build(self, who: Principal, bundle: EdgeBundle, version: ModelVersion) -> EdgeBundle:
        from trimtab.domains.deploy.edge.building import build  # it computes, in a worker process

        with tempfile.TemporaryDirectory(prefix="trimtab-edge-") as folder:
            scratch = Path(folder)
            model = self._registry.materialize(who, version.name, version.version, scratch / "model")
            compiled = self._compiled(who, version, scratch)
            sequence = bundle.sequence + 1
            build(
                scratch / "bundle.zip",
                model=model,
                compiled=compiled,
                reference=self._reference(who, bundle.reference),
                manifest={
                    "channel": bundle.channel,
                    "model": version.name,
                    "version": str(version.version),
                    "digest": version.digest,
                    "sequence": sequence,
                    "endpoint": bundle.endpoint,
                    "created_us": now_us(),
                    "rules": msgspec.to_builtins(self._rules_of(who, version.name)),
                },
                server=self._server_url,
                public=self._key.public,
                sign=self._key.sign,
                interpreter=self._runtimes.interpreter_now(who, version.name, version.version),
            )
            size = (scratch / "bundle.zip").stat().st_size
            with (scratch / "bundle.zip").open("rb") as content:
                blob = self._blobs.put(content)
        return msgspec.structs.replace(
            bundle,
            state="ready",
            sequence=sequence,
            version=version.version,
            blob=blob,
            size_bytes=size,
            error=None,
            updated_us=now_us(),
        )

    def _compiled(self, who: Principal, version: ModelVersion, scratch: Path) -> Path | None:
        """Return the compiled form of a version, None for a model that is a graph itself; raises NotForTheEdge."""
        if "onnx" in version.flavors:
            return None
        found = self._registry.materialize_compiled(who, version.name, version.version, scratch / "compiled")
        if found is not None:
            return found
        compilation = self._registry.compilation(who, version.name, version.version)
        if compilation.state == "none":
            self._registry.recompile(who, version.name, version.version)
        if compilation.state in {"none", "pending"}:
            raise NotCompiledYet(f"{version.name} version {version.version} is still being compiled.")
        verdict = compilation.verdict.message if compilation.verdict else compilation.state
        raise NotForTheEdge(f"Devices run ONNX graphs, and this model was not compiled to one: {verdict}")

    def _reference(self, who: Principal, reference: str) -> "pa.Table | None":
        if not reference:
            return None
        import pyarrow as pa

        from trimtab.domains.data.tables import open_table
        from trimtab.domains.deploy.edge.building import MOST_REFERENCE_ROWS

        name, number = self._reference_version(who, reference)
        for file in self._data.files(who, name, number):
            if format_of(file.path):
                with tempfile.NamedTemporaryFile() as copy, self._blobs.open(file.blob) as source:
                    shutil.copyfileobj(source, copy, 1 << 20)
                    copy.flush()
                    _, batches = open_table(Path(copy.name), file.path)
                    return pa.Table.from_batches([next(batches)]).slice(0, MOST_REFERENCE_ROWS)
        raise NotForTheEdge(f"{reference} holds no table.", field="reference")

    def _reference_version(self, who: Principal, reference: str) -> tuple[str, int]:
        name, _, version = reference.removeprefix("data:").partition("@")
        if not name or ":" in name or (version and not (version.isascii() and version.isdigit())):
            raise Invalid(
                f"{reference[:80]!r} is not a data version such as data:flights@3.", field="reference"
            )
        return name, self._data.get_version(who, name, int(version) if version else None).version

    def _enqueue(self, tx: Tx, bundle: EdgeBundle) -> None:
        payload = {"model": bundle.model, "alias": bundle.alias}
        self._jobs.enqueue(tx, BUILD, payload, queue="heavy", max_attempts=8)

    def _find(self, tx: Tx, model: str, alias: str) -> EdgeBundle:
        found = store.find(tx, where=Where().equals(model=model, alias=alias))
        if not found:
            known = [one.channel for one in store.find(tx, where=Where())]
            hint = did_you_mean(f"{model}@{alias}", known)
            raise EdgeBundleNotFound(f"There is no bundle of {model[:100]}@{alias[:100]}.{hint}")
        return found[0]
