"""The model registry of the MLflow API."""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from trimtab.domains.registry import RegistryService
from trimtab.domains.registry.model import ModelVersion, RegisteredModel, check_alias_letters, is_prompt
from trimtab.domains.registry.uris import (
    ArtifactSource,
    ExternalSource,
    LoggedModelSource,
    ModelUri,
    RunSource,
    parse_source,
)
from trimtab.domains.tracking.names import check_key
from trimtab.infra.http import Request
from trimtab.kernel.errors import Invalid
from trimtab.kernel.pages import Page
from trimtab.wire.mlflow.binding import Handler, handler
from trimtab.wire.mlflow.errors import missing as missing_field
from trimtab.wire.mlflow.messages import Tag, page_size, required, tag_pairs
from trimtab.wire.mlflow.registry_messages import (
    CreateVersion,
    FoundModels,
    FoundVersions,
    Location,
    ModelMessage,
    OneModel,
    OneVersion,
    Search,
    VersionMessage,
    model_view,
    version_view,
)

T = TypeVar("T")
_MOST_MODELS = 1000
_DEFAULT_MODELS = 100
_MOST_VERSIONS = 200_000
_MOST_AT_ONCE = 1000
_MODEL_ORDERS = ("name", "timestamp", "last_updated_timestamp")


def handlers(registry: RegistryService) -> list[Handler]:
    return [*_models(registry), *_aliases(registry), *_versions(registry)]


def _models(registry: RegistryService) -> list[Handler]:
    def shown(request: Request, model: RegisteredModel) -> OneModel:
        latest = registry.latest_versions(request.who, [model.name])[model.name]
        return OneModel(model_view(model, latest))

    @handler("POST", "/mlflow/registered-models/create", ModelMessage)
    def create(request: Request, body: ModelMessage) -> OneModel:
        made = registry.create_model(
            request.who,
            _name(body.name),
            description=body.description or "",
            tags=_tags(body.tags),
        )
        return OneModel(model_view(made, []))

    @handler("GET", "/mlflow/registered-models/get", ModelMessage)
    def get(request: Request, body: ModelMessage) -> OneModel:
        return shown(request, registry.get_model(request.who, _name(body.name)))

    @handler("GET", "/mlflow/registered-models/search", Search)
    def search(request: Request, body: Search) -> FoundModels:
        for text in body.order_by or ():
            if text.split(" ")[0].strip() not in _MODEL_ORDERS:
                raise Invalid(
                    f"Invalid order by key '{text[:200]}' specified. Valid keys are 'name' and 'timestamp'.",
                    field="order_by",
                )
        page = registry.search_models(
            request.who,
            filter=body.filter or "",
            order_by=body.order_by or (),
            limit=page_size(body.max_results, default=_DEFAULT_MODELS, most=_MOST_MODELS),
            cursor=body.page_token or None,
        )
        latest = registry.latest_versions(request.who, [model.name for model in page.items])
        found = [model_view(one, sorted(latest[one.name], key=_stage)) for one in page.items]
        return FoundModels(found, page.next_cursor)

    @handler("POST", "/mlflow/registered-models/rename", ModelMessage)
    def rename(request: Request, body: ModelMessage) -> OneModel:
        name, new_name = _name(body.name), required(body.new_name, "new_name")
        return shown(request, registry.rename_model(request.who, name, new_name=new_name))

    @handler("PATCH", "/mlflow/registered-models/update", ModelMessage)
    def update(request: Request, body: ModelMessage) -> OneModel:
        name = _name(body.name)
        model = registry.describe_model(request.who, name, description=body.description or "")
        return shown(request, model)

    @handler("DELETE", "/mlflow/registered-models/delete", ModelMessage)
    def delete(request: Request, body: ModelMessage) -> None:
        registry.delete_model(request.who, _name(body.name))

    @handler("POST", "/mlflow/registered-models/set-tag", ModelMessage)
    def set_tag(request: Request, body: ModelMessage) -> None:
        name, key = _name(body.name), required(body.key, "key")
        registry.set_model_tag(request.who, name, key=check_key(key, "key"), value=body.value or "")

    @handler("DELETE", "/mlflow/registered-models/delete-tag", ModelMessage)
    def delete_tag(request: Request, body: ModelMessage) -> None:
        name, key = _name(body.name), required(body.key, "key")
        registry.delete_model_tag(request.who, name, key=check_key(key, "key"))

    def latest(request: Request, body: ModelMessage) -> FoundVersions:
        name = registry.get_model(request.who, _name(body.name)).name
        found = registry.latest_versions(request.who, [name], stages=body.stages or ())[name]
        return FoundVersions([version_view(one) for one in found])

    return [
        create,
        get,
        search,
        rename,
        update,
        delete,
        set_tag,
        delete_tag,
        handler("GET", "/mlflow/registered-models/get-latest-versions", ModelMessage)(latest),
        handler("POST", "/mlflow/registered-models/get-latest-versions", ModelMessage)(latest),
    ]


def _aliases(registry: RegistryService) -> list[Handler]:
    @handler("POST", "/mlflow/registered-models/alias", ModelMessage)
    def set_alias(request: Request, body: ModelMessage) -> None:
        name, alias = _name(body.name), required(body.alias, "alias")
        registry.set_alias(request.who, name, alias, _number(body.version))

    @handler("GET", "/mlflow/registered-models/alias", ModelMessage)
    def get_by_alias(request: Request, body: ModelMessage) -> OneVersion:
        name, alias = _name(body.name), check_alias_letters(required(body.alias, "alias"))
        return OneVersion(version_view(registry.version_by_alias(request.who, name, alias)))

    @handler("DELETE", "/mlflow/registered-models/alias", ModelMessage)
    def delete_alias(request: Request, body: ModelMessage) -> None:
        name, alias = _name(body.name), check_alias_letters(required(body.alias, "alias"))
        registry.delete_alias(request.who, name, alias)

    return [set_alias, get_by_alias, delete_alias]


def _versions(registry: RegistryService) -> list[Handler]:
    @handler("POST", "/mlflow/model-versions/create", CreateVersion)
    def create(request: Request, body: CreateVersion) -> OneVersion:
        source = required(body.source, "source")
        tags = _tags(body.tags)
        if not is_prompt(tags):
            check_owner(registry, request, source, run_id=body.run_id, model_id=body.model_id)
        made = registry.create_version(
            request.who,
            _name(body.name),
            source=source,
            run_id=body.run_id or None,
            model_id=body.model_id or None,
            description=body.description or "",
            tags=tags,
            run_link=body.run_link or None,
        )
        return OneVersion(version_view(made))

    @handler("GET", "/mlflow/model-versions/get", VersionMessage)
    def get(request: Request, body: VersionMessage) -> OneVersion:
        return OneVersion(version_view(registry.get_version(request.who, *_named(body))))

    @handler("GET", "/mlflow/model-versions/get-download-uri", VersionMessage)
    def get_download_uri(request: Request, body: VersionMessage) -> Location:
        return Location(registry.location(request.who, *_named(body)))

    @handler("GET", "/mlflow/model-versions/search", Search)
    def search(request: Request, body: Search) -> FoundVersions:
        def page(size: int, cursor: str | None) -> Page[ModelVersion]:
            return registry.search_versions(
                request.who,
                filter=body.filter or "",
                order_by=body.order_by or (),
                limit=size,
                cursor=cursor,
            )

        size = page_size(body.max_results, default=_MOST_VERSIONS, most=_MOST_VERSIONS)
        found = _gather(page, size, body.page_token or None)
        return FoundVersions(
            [version_view(one, with_aliases=False) for one in found.items], found.next_cursor
        )

    @handler("PATCH", "/mlflow/model-versions/update", VersionMessage)
    def update(request: Request, body: VersionMessage) -> OneVersion:
        name, version = _named(body)
        changed = registry.describe_version(request.who, name, version, description=body.description or "")
        return OneVersion(version_view(changed))

    @handler("POST", "/mlflow/model-versions/transition-stage", VersionMessage)
    def transition(request: Request, body: VersionMessage) -> OneVersion:
        name, version = _named(body)
        moved = registry.move_to_stage(
            request.who,
            name,
            version,
            stage=required(body.stage, "stage"),
            archive_others=_flag(body.archive_existing_versions, "archive_existing_versions"),
        )
        return OneVersion(version_view(moved))

    @handler("DELETE", "/mlflow/model-versions/delete", VersionMessage)
    def delete(request: Request, body: VersionMessage) -> None:
        registry.delete_version(request.who, *_named(body))

    @handler("POST", "/mlflow/model-versions/set-tag", VersionMessage)
    def set_tag(request: Request, body: VersionMessage) -> None:
        name, version = _named(body)
        key = check_key(required(body.key, "key"), "key")
        registry.set_version_tag(request.who, name, version, key=key, value=body.value or "")

    @handler("DELETE", "/mlflow/model-versions/delete-tag", VersionMessage)
    def delete_tag(request: Request, body: VersionMessage) -> None:
        name, version = _named(body)
        key = check_key(required(body.key, "key"), "key")
        registry.delete_version_tag(request.who, name, version, key=key)

    return [create, get, get_download_uri, search, update, transition, delete, set_tag, delete_tag]


def _gather(page: Callable[[int, str | None], Page[T]], size: int, cursor: str | None) -> Page[T]:
    """Put pages together until there are as many items as a client asked for at once."""
    items: list[T] = []
    while True:
        one = page(min(size - len(items), _MOST_AT_ONCE), cursor)
        items += one.items
        cursor = one.next_cursor
        if cursor is None or len(items) >= size:
            return Page(items, cursor)


def _stage(version: ModelVersion) -> str:
    return version.stage


def check_owner(
    registry: RegistryService, request: Request, source: str, *, run_id: str | None, model_id: str | None
) -> None:
    """Raise Invalid unless the run or logged model that holds the source is named, as MLflow's server demands.

    A copy of a version may name them too, and must then name the right ones; None means not named at all.
    """
    parsed = parse_source(source)
    match parsed:
        case ModelUri():
            copied = registry.resolve(request.who, source)
            if (run_id is not None and run_id != (copied.run_id or "")) or model_id:
                raise Invalid(
                    f"Invalid model version source: '{source[:200]}'. The run_id and model_id request parameters must "
                    "match the referenced model version.",
                    field="run_id",
                )
            return
        case LoggedModelSource():
            missing, wrong = "model_id", not model_id
        case ArtifactSource() if model_id:
            missing, wrong = "model_id", parsed.owner != "logged-model"
        case ArtifactSource():
            missing, wrong = "run_id", not run_id or parsed.owner != "run"
        case RunSource() if model_id:
            missing, wrong = "model_id", True
        case RunSource():
            missing, wrong = "run_id", not run_id
        case ExternalSource():
            return
    if wrong:
        raise Invalid(
            f"Invalid model version source: '{source[:200]}'. The {missing} request parameter must identify the "
            "resource that contains the source.",
            field=missing,
        )


def _name(given: str | None) -> str:
    name = required(given, "name")
    if not name.strip():
        raise missing_field("name")
    if "/" in name or ":" in name:
        raise Invalid(f"Invalid model name '{name[:300]}'. Names cannot contain '/' or ':'.", field="name")
    return name


def _tags(tags: list[Tag] | None) -> dict[str, str]:
    pairs = tag_pairs(tags)
    for key, _ in pairs:
        check_key(key, "key")
    return dict(pairs)


def _flag(given: Any, field: str) -> bool:
    if given is None or isinstance(given, bool):
        return bool(given)
    raise Invalid(
        f"Invalid value {msgspec.json.encode(given).decode()[:200]} for parameter '{field}' supplied:  Hint: Value was of "
        f"type '{type(given).__name__}'. See the API docs for more information about request parameters.",
        field=field,
    )


def _named(body: VersionMessage) -> tuple[str, int]:
    return _name(body.name), _number(body.version)


def _number(version: str | None) -> int:
    text = required(version, "version").strip()
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 19):
        raise Invalid(f"Parameter 'version' must be an integer, got '{text[:100]}'.", field="version")
    return int(text)
