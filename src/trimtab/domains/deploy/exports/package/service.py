"""Packs a version that an endpoint serves: files for an image, with a bill of materials and a signature."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from trimtab.domains.deploy.exports import ray
from trimtab.domains.deploy.exports.errors import NotExportable
from trimtab.domains.deploy.exports.package import bom, context
from trimtab.domains.deploy.exports.package.image import OUR_PYTHON, Packed, default_base
from trimtab.domains.deploy.exports.package.lock import (
    ON_RAY,
    Lock,
    lock,
    lock_of_own,
    pinned,
    requirements_of,
)
from trimtab.domains.deploy.exports.package.manifest import Manifest
from trimtab.domains.deploy.exports.ray import RayWish
from trimtab.domains.deploy.exports.view import view_of
from trimtab.domains.deploy.model import Served
from trimtab.domains.deploy.service import DeployService
from trimtab.domains.deploy.settings.model import EndpointSettings
from trimtab.domains.govern import GovernService
from trimtab.domains.registry import RegistryService
from trimtab.domains.registry.model import ModelVersion
from trimtab.domains.registry.runtimes.service import RuntimeService
from trimtab.infra.db import Database
from trimtab.infra.signing import Signer
from trimtab.kernel import refs
from trimtab.kernel.errors import Invalid
from trimtab.kernel.who import Principal
from trimtab.serving.loaders.mlmodel import ModelFolder
from trimtab.serving.ray_serve.spec import Member
from trimtab.serving.routes import NUMERIC

_MOST_BASE = 500


class Made(NamedTuple):
    """A package on its way: its manifest, and the tar archive piece by piece."""

    manifest: Manifest
    pieces: Iterator[bytes]


class _ForRay(NamedTuple):
    """A version that lies in a folder for Ray Serve, and the Python that its packages are for."""

    version: ModelVersion
    member: ray.RayVersion
    python: str


class PackageService:
    """Makes packages of served versions and signs them with this server's key."""

    def __init__(
        self,
        db: Database,
        *,
        govern: GovernService,
        deploy: DeployService,
        registry: RegistryService,
        runtimes: RuntimeService,
        signer: Signer,
        scratch: Path,
    ) -> None:
        self._db = db
        self._govern = govern
        self._deploy = deploy
        self._registry = registry
        self._runtimes = runtimes
        self._signer = signer
        self._scratch = scratch

    def signing_key(self, who: Principal) -> str:
        """Return the public key, in PEM, by which packages of this server are checked."""
        self._govern.permit(who, "read", "the signing key")
        return self._signer.public_key

    def package(
        self,
        who: Principal,
        name: str,
        *,
        version: str | None = None,
        base: str | None = None,
        include: Sequence[str] = (),
    ) -> Made:
        """Pack a version of an endpoint, the champion unless another is named; what is signed is recorded.

        ``base`` is the image to build on, a Debian with the server's Python; ``include`` names further packages that
        this server has. Raises EndpointNotFound, VersionNotServed, NotExportable and Invalid.
        """
        ref = refs.make("endpoint", name)
        self._govern.permit(who, "write", ref)
        endpoint = self._deploy.endpoint(who, name)
        wanted = version or endpoint.champion
        if wanted is None:
            raise NotExportable(f"Endpoint {name} has no champion yet: name a version.", field="version")
        served = endpoint.find(wanted)
        if base is not None and (any(letter.isspace() for letter in base) or not 0 < len(base) <= _MOST_BASE):
            raise Invalid(f"{base[:100]!r} is not the name of an image.", field="base")
        found = self._registry.get_version(who, endpoint.model, int(wanted))
        self._scratch.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="package-", dir=self._scratch))
        try:
            self._registry.materialize(who, found.name, found.version, folder / "model")
            compiled = self._compiled(who, found, folder / "compiled") and not served.native
            packages, python = self._packages(
                who, found, folder / "model", compiled=compiled, include=include
            )
            on = base or default_base(python)
            packed = Packed(
                name,
                found.name,
                wanted,
                found.digest,
                served.allow_pickle,
                compiled,
                complete=packages.complete,
            )
            estimates = self._registry.estimates(who, found.name, found.version)
            made = context.lay_out(
                folder,
                packed,
                base=on,
                packages=packages,
                settings=msgspec.json.encode(self._deploy.settings.get(who, name).settings),
                bill=bom.bill(name, found, packages, estimates=estimates),
                signer=self._signer,
            )
            with self._db.write() as tx:
                detail = {"version": wanted, "digest": found.digest, "base": on, "files": len(made.files)}
                self._govern.audit(tx, who, "deploy.endpoint.package", ref, detail=detail)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return Made(made, _sent(folder, modified_s=found.created_us // 1_000_000))

    def to_ray(self, who: Principal, name: str, *, wish: RayWish, version: str | None = None) -> Made:
        """Write an endpoint down for Ray Serve as it is now, with its models; what is signed is recorded.

        ``version`` gives one all the requests. Raises EndpointNotFound, VersionNotServed, NotExportable and Invalid.
        """
        ref = refs.make("endpoint", name)
        self._govern.permit(who, "write", ref)
        endpoint = self._deploy.endpoint(who, name)
        settings = self._deploy.settings.get(who, name).settings
        view = view_of(endpoint, settings, only=version)
        ray.check(wish)
        ray.scale_of(settings, wish)
        self._scratch.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="package-", dir=self._scratch))
        try:
            found = [
                self._to_ray(who, folder, endpoint.find(one.version), endpoint.model, settings=settings)
                for one in sorted(view.versions, key=lambda one: (one.role != "champion", int(one.version)))
            ]
            members = {str(one.version.version): one.member for one in found}
            pythons = {str(one.version.version): one.python for one in found}
            text = ray.config(view, members, settings, router=pinned(ON_RAY), wish=wish)
            (folder / ray.CONFIG).write_text(text)
            (folder / ray.README).write_text(ray.readme(view, pythons=pythons))
            (folder / f"{ray.module_name(name)}.py").write_text(ray.application_module(name))
            context.copy_code(folder / "trimtab", but=("compiling", "bulk"))
            made = context.sign(
                folder,
                name,
                model=endpoint.model,
                version=",".join(members),
                digest=",".join(one.version.digest for one in found),
                signer=self._signer,
            )
            with self._db.write() as tx:
                detail = {"format": "ray", "versions": list(members), "files": len(made.files)}
                self._govern.audit(tx, who, "deploy.endpoint.export", ref, detail=detail)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        modified_us = max(one.version.created_us for one in found)
        return Made(made, _sent(folder, modified_s=modified_us // 1_000_000))

    def _to_ray(
        self, who: Principal, folder: Path, served: Served, model: str, *, settings: EndpointSettings
    ) -> _ForRay:
        """Write one version's model and its bill of materials below a folder for Ray Serve."""
        version = self._registry.get_version(who, model, int(served.version))
        place = f"versions/{served.version}"
        self._registry.materialize(who, model, version.version, folder / place / "model")
        # A compiled model has no explanations, and on Ray no process of the native one is beside it.
        wanted = not served.native and not settings.policies.explain
        compiled = wanted and self._compiled(who, version, folder / place / "compiled")
        packages, python = self._packages(who, version, folder / place / "model", compiled=compiled)
        estimates = self._registry.estimates(who, model, version.version)
        bill = bom.bill(model, version, packages, estimates=estimates)
        (folder / place / "bom.cdx.json").write_bytes(bill)
        member = Member(f"{place}/model", f"{place}/compiled" if compiled else None, served.allow_pickle)
        return _ForRay(version, ray.RayVersion(member, requirements_of(packages)), python)

    def _packages(
        self,
        who: Principal,
        version: ModelVersion,
        model: Path,
        *,
        compiled: bool,
        include: Sequence[str] = (),
    ) -> tuple[Lock, str]:
        """Return what a version needs, and of which Python: its own environment's, or else as installed here."""
        runtime = self._runtimes.get(who, version.name, version.version)
        if runtime.state == "ready" and runtime.lock:
            python = ".".join(runtime.python.split(".")[:2]) or OUR_PYTHON
            return lock_of_own(runtime.lock, compiled=compiled), python
        return _packages(version, model, compiled=compiled, include=include), OUR_PYTHON

    def _compiled(self, who: Principal, version: ModelVersion, folder: Path) -> bool:
        """Write the compiled form of a version where there is one that may serve; return whether."""
        return self._registry.materialize_compiled(who, version.name, version.version, folder) is not None


def _packages(version: ModelVersion, model: Path, *, compiled: bool, include: Sequence[str]) -> Lock:
    requirements = model / "requirements.txt"
    signature = ModelFolder(model).signature
    numeric = signature is None or all(field.type in NUMERIC for field in signature.inputs)
    return lock(
        version.flavors,
        requirements=requirements.read_text() if requirements.exists() else "",
        frames=not numeric,
        compiled=compiled,
        include=include,
    )


def _sent(folder: Path, *, modified_s: int) -> Iterator[bytes]:
    """Yield the archive, and remove the folder when it was sent or nobody takes it any more."""
    try:
        yield from context.pack(folder, modified_s=modified_s)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
