"""The registered models of MLflow's folder store."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from trimtab.moving.model import (
    Problem,
    RegisteredModel,
    Tell,
    Unreadable,
    Version,
    micros,
    whole,
)
from trimtab.moving.sources.places import owned_source
from trimtab.moving.sources.plain_yaml import read_mapping

_META = "meta.yaml"
_DELETED = "Deleted_Internal"


def read_model(folder: Path, tell: Tell, *, texts: Callable[..., dict[str, str]]) -> RegisteredModel:
    """Return a registered model with its versions; raises Unreadable."""
    meta = read_mapping(folder / _META)
    model = RegisteredModel(
        name=folder.name,
        description=_text(meta.get("description")),
        created_us=micros(meta.get("creation_timestamp") or 0, "creation_timestamp"),
        updated_us=micros(meta.get("last_updated_timestamp") or 0, "last_updated_timestamp"),
        tags=texts(folder / "tags", tell, any_key=True),
    )
    for alias, number in texts(folder / "aliases", tell, any_key=True).items():
        try:
            model.aliases[alias] = whole(number.strip(), f"the version of {alias}")
        except Unreadable as error:
            tell(Problem(str(folder / "aliases" / alias), str(error)))
    for place in sorted(folder.glob("version-*")):
        try:
            found = _version(place, tell, texts)
        except Unreadable as error:
            tell(Problem(str(place / _META), str(error)))
            continue
        if found is not None:
            model.versions.append(found)
    model.versions.sort(key=lambda one: one.version)
    return model


def _version(folder: Path, tell: Tell, texts: Callable[..., dict[str, str]]) -> Version | None:
    meta = read_mapping(folder / _META)
    if meta.get("current_stage") == _DELETED:
        return None
    return Version(
        version=whole(folder.name.removeprefix("version-"), "the version"),
        source=owned_source(_text(meta.get("source")), _text(meta.get("storage_location"))),
        created_us=micros(meta.get("creation_timestamp") or 0, "creation_timestamp"),
        updated_us=micros(meta.get("last_updated_timestamp") or 0, "last_updated_timestamp"),
        stage=_text(meta.get("current_stage")) or "None",
        description=_text(meta.get("description")),
        run_id=_text(meta.get("run_id")) or None,
        run_link=_text(meta.get("run_link")) or None,
        model_id=_text(meta.get("model_id")) or None,
        tags=texts(folder / "tags", tell, any_key=True),
    )


def _text(value: Any) -> str:
    return "" if value is None else str(value)
