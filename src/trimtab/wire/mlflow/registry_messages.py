"""The messages of the model registry, and registered models and versions as answers show them."""

from typing import Any

import msgspec

from trimtab.domains.registry.model import ModelVersion, RegisteredModel
from trimtab.wire.mlflow.messages import Int64, Tag, TagView, millis, tag_views


class VersionView(msgspec.Struct, omit_defaults=True):
    name: str
    version: str
    creation_timestamp: int
    last_updated_timestamp: int
    current_stage: str
    description: str
    source: str
    run_id: str
    status: str
    run_link: str
    tags: list[TagView] = []
    aliases: list[str] = []


class AliasView(msgspec.Struct):
    alias: str
    version: str


class ModelView(msgspec.Struct, omit_defaults=True):
    name: str
    creation_timestamp: int
    last_updated_timestamp: int
    description: str = ""
    latest_versions: list[VersionView] = []
    tags: list[TagView] = []
    aliases: list[AliasView] = []


class OneModel(msgspec.Struct):
    registered_model: ModelView


class OneVersion(msgspec.Struct):
    model_version: VersionView


class FoundModels(msgspec.Struct, omit_defaults=True):
    registered_models: list[ModelView] = []
    next_page_token: str | None = None


class FoundVersions(msgspec.Struct, omit_defaults=True):
    model_versions: list[VersionView] = []
    next_page_token: str | None = None


class Location(msgspec.Struct):
    artifact_uri: str


class ModelMessage(msgspec.Struct):
    """What the routes of one model take: its name, and whatever else they need."""

    name: str | None = None
    new_name: str | None = None
    description: str | None = None
    tags: list[Tag] | None = None
    stages: list[str] | None = None
    key: str | None = None
    value: str | None = None
    alias: str | None = None
    version: str | None = None


class VersionMessage(msgspec.Struct):
    """What the routes of one version take: its name and number, and whatever else they need."""

    name: str | None = None
    version: str | None = None
    description: str | None = None
    stage: str | None = None
    archive_existing_versions: Any = None
    key: str | None = None
    value: str | None = None


class CreateVersion(msgspec.Struct):
    name: str | None = None
    source: str | None = None
    run_id: str | None = None
    tags: list[Tag] | None = None
    run_link: str | None = None
    description: str | None = None
    model_id: str | None = None


class Search(msgspec.Struct):
    filter: str | None = None
    max_results: Int64 | None = None
    order_by: list[str] | None = None
    page_token: str | None = None


def version_view(version: ModelVersion, *, with_aliases: bool = True) -> VersionView:
    """Return a version as answers show it; MLflow's searches leave the aliases of versions out."""
    return VersionView(
        name=version.name,
        version=str(version.version),
        creation_timestamp=millis(version.created_us),
        last_updated_timestamp=millis(version.updated_us),
        current_stage=version.stage,
        description=version.description,
        source=version.source,
        run_id=version.run_id or "",
        status=version.status,
        run_link=version.run_link or "",
        tags=tag_views(version.tags),
        aliases=version.aliases if with_aliases else [],
    )


def model_view(model: RegisteredModel, latest: list[ModelVersion]) -> ModelView:
    """Return a model as answers show it; its versions are shown without their aliases, which the model lists."""
    return ModelView(
        name=model.name,
        creation_timestamp=millis(model.created_us),
        last_updated_timestamp=millis(model.updated_us),
        description=model.description,
        latest_versions=[version_view(one, with_aliases=False) for one in latest],
        tags=tag_views(model.tags),
        aliases=[AliasView(alias, str(version)) for alias, version in sorted(model.aliases.items())],
    )
