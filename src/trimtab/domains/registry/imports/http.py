"""The HTTP face of bringing registered models in."""

import msgspec

from trimtab.domains.registry.imports.service import ImportService, ModelRecord, VersionRecord
from trimtab.domains.registry.model import ModelVersion, RegisteredModel
from trimtab.infra.http import Request, Route, route


class ImportModel(msgspec.Struct, forbid_unknown_fields=True):
    origin: str
    model: ModelRecord


class ImportVersion(msgspec.Struct, forbid_unknown_fields=True):
    origin: str
    model: str
    version: VersionRecord


class ImportAlias(msgspec.Struct, forbid_unknown_fields=True):
    origin: str
    model: str
    alias: str
    version: int


def routes(service: ImportService) -> list[Route]:
    @route("POST", "/api/v1/import/models", body=ImportModel, returns=RegisteredModel, tags=["moving"])
    def import_model(request: Request, body: ImportModel) -> RegisteredModel:
        """Make the registered model of a name with its times, where there is none."""
        return service.put_model(request.who, body.model, origin=body.origin)

    @route("POST", "/api/v1/import/versions", body=ImportVersion, returns=ModelVersion, tags=["moving"])
    def import_version(request: Request, body: ImportVersion) -> ModelVersion:
        """Register a version under the number that it has elsewhere, where there is none."""
        return service.put_version(request.who, body.model, body.version, origin=body.origin)

    @route("POST", "/api/v1/import/aliases", body=ImportAlias, returns=ModelVersion, tags=["moving"])
    def import_alias(request: Request, body: ImportAlias) -> ModelVersion:
        """Point an alias to a version, unless it points to another here."""
        return service.put_alias(request.who, body.model, body.alias, body.version, origin=body.origin)

    return [import_model, import_version, import_alias]
