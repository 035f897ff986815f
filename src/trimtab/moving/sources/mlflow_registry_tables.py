"""The registered models in the tables of MLflow's database store."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from trimtab.moving.model import Problem, RegisteredModel, Tell, Unreadable, Version, micros
from trimtab.moving.sources.places import owned_source
from trimtab.moving.sources.sql import Tables

_DELETED = "Deleted_Internal"


def read_models(tables: Tables, workspace: str, tell: Tell) -> Iterator[RegisteredModel]:
    """Yield the registered models of a workspace with their versions."""
    has = tables.columns("registered_models")
    if not has:
        return
    where, values = ("where workspace = ?", [workspace]) if "workspace" in has else ("", [])
    tags: dict[str, dict[str, str]] = defaultdict(dict)
    if tables.columns("registered_model_tags"):
        for name, key, value in tables.rows(
            f"select t.name, t.key, t.value from registered_model_tags t {where}", values
        ):
            tags[name][key] = value or ""
    aliases: dict[str, dict[str, int]] = defaultdict(dict)
    if tables.columns("registered_model_aliases"):
        for name, alias, version in tables.rows(
            f"select name, alias, version from registered_model_aliases {where}", values
        ):
            aliases[name][alias] = int(version)
    versions = _versions(tables, where, values, tell)
    for name, created, updated, description in tables.rows(
        f"select name, creation_time, last_updated_time, description from registered_models {where} order by name",
        values,
    ):
        try:
            yield RegisteredModel(
                name=name,
                description=description or "",
                created_us=micros(created or 0, "creation_time"),
                updated_us=micros(updated or created or 0, "last_updated_time"),
                tags=tags[name],
                aliases=aliases[name],
                versions=versions[name],
            )
        except Unreadable as error:
            tell(Problem(f"model {name!r}", str(error)))


def _versions(tables: Tables, where: str, values: list[str], tell: Tell) -> dict[str, list[Version]]:
    found: dict[str, list[Version]] = defaultdict(list)
    tags: dict[tuple[str, int], dict[str, str]] = defaultdict(dict)
    has = tables.columns("model_versions")
    if tables.columns("model_version_tags"):
        for name, version, key, value in tables.rows(
            f"select t.name, t.version, t.key, t.value from model_version_tags t {where}", values
        ):
            tags[name, version][key] = value or ""
    columns = ", ".join(column if column in has else "null" for column in ("run_link", "storage_location"))
    rows: Iterator[tuple[Any, ...]] = tables.rows(
        "select name, version, creation_time, last_updated_time, description, current_stage, source, run_id,"
        f" {columns} from model_versions {where} order by name, version",
        values,
    )
    for name, version, created, updated, description, stage, source, run_id, run_link, storage in rows:
        if stage == _DELETED:
            continue
        try:
            found[name].append(
                Version(
                    version=int(version),
                    source=owned_source(source or "", storage or ""),
                    created_us=micros(created or 0, "creation_time"),
                    updated_us=micros(updated or created or 0, "last_updated_time"),
                    stage=stage or "None",
                    description=description or "",
                    run_id=run_id or None,
                    run_link=run_link or None,
                    tags=tags[name, version],
                )
            )
        except Unreadable as error:
            tell(Problem(f"model {name!r} version {version}", str(error)))
    return found
