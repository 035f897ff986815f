"""The HTTP face of the registry: models, versions, files, aliases with their history, gates."""

from typing import Any

import msgspec

from trimtab.domains.registry.compilation import http as compilation_http
from trimtab.domains.registry.evidence import http as evidence
from trimtab.domains.registry.model import (
    AliasMove,
    File,
    Gate,
    GateCheck,
    ModelVersion,
    RegisteredModel,
    Verdict,
)
from trimtab.domains.registry.service import RegistryService
from trimtab.domains.registry.webhooks import http as webhooks_http
from trimtab.infra.http import Request, Route, Stream, route
from trimtab.kernel.errors import Invalid
from trimtab.kernel.pages import Page

_PIECE = 1 << 20


class SearchQuery(msgspec.Struct):
    filter: str = ""
    order_by: list[str] = []
    limit: int | None = None
    cursor: str | None = None


class HistoryQuery(msgspec.Struct):
    alias: str | None = None
    limit: int | None = None
    cursor: str | None = None


class PageQuery(msgspec.Struct):
    limit: int | None = None
    cursor: str | None = None


class ReasonQuery(msgspec.Struct):
    reason: str = ""


class CreateModel(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    description: str = ""
    tags: dict[str, str] = {}


class ChangeModel(msgspec.Struct, forbid_unknown_fields=True):
    """``name`` renames the model."""

    description: str | None = None
    name: str | None = None


class CreateVersion(msgspec.Struct, forbid_unknown_fields=True):
    """``create_model`` makes the model where it is new."""

    source: str
    run_id: str | None = None
    model_id: str | None = None
    description: str = ""
    tags: dict[str, str] = {}
    create_model: bool = False


class ChangeVersion(msgspec.Struct, forbid_unknown_fields=True):
    description: str


class SetTag(msgspec.Struct, forbid_unknown_fields=True):
    value: str


class SetAlias(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    reason: str = ""
    evidence: Any = None


class RecordGate(msgspec.Struct, forbid_unknown_fields=True):
    verdict: Verdict
    checks: list[GateCheck]
    champion: int | None = None
    evidence: dict[str, Any] = {}


def routes(service: RegistryService) -> list[Route]:
    @route("GET", "/api/v1/models", query=SearchQuery, returns=Page[RegisteredModel], tags=["models"])
    def list_models(request: Request, query: SearchQuery) -> Page[RegisteredModel]:
        """List registered models, by name unless ordered otherwise."""
        return service.search_models(
            request.who, filter=query.filter, order_by=query.order_by, limit=query.limit, cursor=query.cursor
        )

    @route("POST", "/api/v1/models", body=CreateModel, returns=RegisteredModel, status=201, tags=["models"])
    def create_model(request: Request, body: CreateModel) -> RegisteredModel:
        """Make a name under which versions can be registered."""
        return service.create_model(request.who, body.name, description=body.description, tags=body.tags)

    @route("GET", "/api/v1/models/{name}", returns=RegisteredModel, tags=["models"])
    def get_model(request: Request) -> RegisteredModel:
        """Return a model."""
        return service.get_model(request.who, request.path["name"])

    @route("PATCH", "/api/v1/models/{name}", body=ChangeModel, returns=RegisteredModel, tags=["models"])
    def change_model(request: Request, body: ChangeModel) -> RegisteredModel:
        """Change a model's description or its name."""
        name = request.path["name"]
        if (body.description is None) == (body.name is None):
            raise Invalid("Give either a description or a name.", field="description")
        if body.name is not None:
            return service.rename_model(request.who, name, new_name=body.name)
        return service.describe_model(request.who, name, description=body.description or "")

    @route("DELETE", "/api/v1/models/{name}", tags=["models"])
    def delete_model(request: Request) -> None:
        """Delete a model with its versions."""
        service.delete_model(request.who, request.path["name"])

    @route("PUT", "/api/v1/models/{name}/tags/{key:path}", body=SetTag, tags=["models"])
    def set_model_tag(request: Request, body: SetTag) -> None:
        """Set a tag of a model."""
        service.set_model_tag(request.who, request.path["name"], key=request.path["key"], value=body.value)

    @route("DELETE", "/api/v1/models/{name}/tags/{key:path}", tags=["models"])
    def delete_model_tag(request: Request) -> None:
        """Remove a tag of a model."""
        service.delete_model_tag(request.who, request.path["name"], key=request.path["key"])

    @route(
        "GET",
        "/api/v1/models/{name}/aliases/history",
        query=HistoryQuery,
        returns=Page[AliasMove],
        tags=["models"],
    )
    def alias_history(request: Request, query: HistoryQuery) -> Page[AliasMove]:
        """List who moved which alias when and why, newest first."""
        return service.alias_history(
            request.who, request.path["name"], alias=query.alias, limit=query.limit, cursor=query.cursor
        )

    @route("GET", "/api/v1/models/{name}/aliases/{alias}", returns=ModelVersion, tags=["models"])
    def version_by_alias(request: Request) -> ModelVersion:
        """Return the version that an alias, or 'latest', points to."""
        return service.version_by_alias(request.who, request.path["name"], request.path["alias"])

    @route(
        "PUT", "/api/v1/models/{name}/aliases/{alias}", body=SetAlias, returns=ModelVersion, tags=["models"]
    )
    def set_alias(request: Request, body: SetAlias) -> ModelVersion:
        """Point an alias to a version, with the reason."""
        return service.set_alias(
            request.who,
            request.path["name"],
            request.path["alias"],
            body.version,
            reason=body.reason,
            evidence=body.evidence,
        )

    @route("DELETE", "/api/v1/models/{name}/aliases/{alias}", query=ReasonQuery, tags=["models"])
    def delete_alias(request: Request, query: ReasonQuery) -> None:
        """Remove an alias."""
        service.delete_alias(request.who, request.path["name"], request.path["alias"], reason=query.reason)

    @route(
        "GET",
        "/api/v1/models/{name}/versions",
        query=SearchQuery,
        returns=Page[ModelVersion],
        tags=["models"],
    )
    def list_versions(request: Request, query: SearchQuery) -> Page[ModelVersion]:
        """List the versions of a model, the highest number first unless ordered otherwise."""
        return service.search_versions(
            request.who,
            name=request.path["name"],
            filter=query.filter,
            order_by=query.order_by,
            limit=query.limit,
            cursor=query.cursor,
        )

    @route(
        "POST",
        "/api/v1/models/{name}/versions",
        body=CreateVersion,
        returns=ModelVersion,
        status=201,
        tags=["models"],
    )
    def create_version(request: Request, body: CreateVersion) -> ModelVersion:
        """Register logged files as the next version of a model."""
        return service.create_version(
            request.who,
            request.path["name"],
            source=body.source,
            run_id=body.run_id,
            model_id=body.model_id,
            description=body.description,
            tags=body.tags,
            create_model=body.create_model,
        )

    @route("GET", "/api/v1/models/{name}/versions/{version:int}", returns=ModelVersion, tags=["models"])
    def get_version(request: Request) -> ModelVersion:
        """Return a version."""
        return service.get_version(request.who, request.path["name"], request.path["version"])

    @route(
        "PATCH",
        "/api/v1/models/{name}/versions/{version:int}",
        body=ChangeVersion,
        returns=ModelVersion,
        tags=["models"],
    )
    def change_version(request: Request, body: ChangeVersion) -> ModelVersion:
        """Change a version's description."""
        return service.describe_version(
            request.who, request.path["name"], request.path["version"], description=body.description
        )

    @route("DELETE", "/api/v1/models/{name}/versions/{version:int}", tags=["models"])
    def delete_version(request: Request) -> None:
        """Delete a version; its number is not used again."""
        service.delete_version(request.who, request.path["name"], request.path["version"])

    @route(
        "PUT", "/api/v1/models/{name}/versions/{version:int}/tags/{key:path}", body=SetTag, tags=["models"]
    )
    def set_version_tag(request: Request, body: SetTag) -> None:
        """Set a tag of a version."""
        service.set_version_tag(
            request.who,
            request.path["name"],
            request.path["version"],
            key=request.path["key"],
            value=body.value,
        )

    @route("DELETE", "/api/v1/models/{name}/versions/{version:int}/tags/{key:path}", tags=["models"])
    def delete_version_tag(request: Request) -> None:
        """Remove a tag of a version."""
        service.delete_version_tag(
            request.who, request.path["name"], request.path["version"], key=request.path["key"]
        )

    @route(
        "GET",
        "/api/v1/models/{name}/versions/{version:int}/gates",
        query=PageQuery,
        returns=Page[Gate],
        tags=["models"],
    )
    def list_gates(request: Request, query: PageQuery) -> Page[Gate]:
        """List the verdicts on a version, newest first."""
        return service.gates(
            request.who,
            request.path["name"],
            request.path["version"],
            limit=query.limit,
            cursor=query.cursor,
        )

    @route(
        "POST",
        "/api/v1/models/{name}/versions/{version:int}/gates",
        body=RecordGate,
        returns=Gate,
        status=201,
        tags=["models"],
    )
    def record_gate(request: Request, body: RecordGate) -> Gate:
        """Keep the verdict of a gate on a version."""
        return service.record_gate(
            request.who,
            request.path["name"],
            request.path["version"],
            champion=body.champion,
            verdict=body.verdict,
            checks=body.checks,
            evidence=body.evidence,
        )

    @route("GET", "/api/v1/models/{name}/versions/{version:int}/files", returns=Page[File], tags=["models"])
    def list_files(request: Request) -> Page[File]:
        """List the files of a version."""
        return Page(service.files(request.who, request.path["name"], request.path["version"]))

    @route(
        "GET",
        "/api/v1/models/{name}/versions/{version:int}/files/{path:path}",
        tags=["models"],
        media_type="application/octet-stream",
    )
    def download_file(request: Request) -> Stream:
        """Return the bytes of one file of a version; its digest is in the header etag."""
        file, stream = service.open_file(
            request.who, request.path["name"], request.path["version"], request.path["path"]
        )

        def pieces():  # noqa: ANN202
            with stream:
                while piece := stream.read(_PIECE):
                    yield piece

        headers = {"etag": f'"{file.blob}"', "content-length": str(file.size_bytes)}
        return Stream(pieces(), headers=headers)

    @route("GET", "/api/v1/model-versions", query=SearchQuery, returns=Page[ModelVersion], tags=["models"])
    def search_versions(request: Request, query: SearchQuery) -> Page[ModelVersion]:
        """List versions of all models, such as those of a run; what changed last comes first."""
        return service.search_versions(
            request.who, filter=query.filter, order_by=query.order_by, limit=query.limit, cursor=query.cursor
        )

    return [
        list_models,
        create_model,
        get_model,
        change_model,
        delete_model,
        set_model_tag,
        delete_model_tag,
        alias_history,
        version_by_alias,
        set_alias,
        delete_alias,
        list_versions,
        create_version,
        get_version,
        change_version,
        delete_version,
        set_version_tag,
        delete_version_tag,
        list_gates,
        record_gate,
        list_files,
        download_file,
        search_versions,
        *evidence.routes(service),
        *compilation_http.routes(service),
        *webhooks_http.routes(service.webhooks),
    ]
