"""The tables of models and versions with their files and tags."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from trimtab.domains.registry.model import (
    File,
    ModelVersion,
    RegisteredModel,
)
from trimtab.infra.db import Tx, Where, load

Q = load(__package__ or "")

_MOST_NAMES = 2000  # how many names are considered for "did you mean"
_ALL = 2**31 - 1
_FACTS = ("flavor", "flavors", "unsafe_because", "signature", "verdict", "strangers")


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


# Models


def insert_model(
    tx: Tx,
    *,
    name: str,
    description: str,
    now_us: int,
    created_by: str,
    last_version: int = 0,
    created_us: int | None = None,
) -> bool:
    """Add a model, in the place of a deleted one's tombstone where there is one; False when the name is taken."""
    return (
        tx.run(
            Q.insert_model,
            name=name,
            description=description,
            created_us=now_us if created_us is None else created_us,
            created_by=created_by,
            updated_us=now_us,
            last_version=last_version,
        )
        == 1
    )


def models(tx: Tx, where: Where, *, order: str = "", limit: int = _ALL) -> list[RegisteredModel]:
    rows = tx.all(Q.models.with_(where=where.sql, order=order), limit=limit, **where.params)
    names = [row[0] for row in rows]
    aliases: dict[str, dict[str, int]] = defaultdict(dict)
    tags: dict[str, dict[str, str]] = defaultdict(dict)
    for names_where in _in_parts("model", names):
        for name, alias, version in tx.all(Q.aliases.with_(where=names_where.sql), **names_where.params):
            aliases[name][alias] = version
        for name, key, value in tx.all(Q.model_tags.with_(where=names_where.sql), **names_where.params):
            tags[name][key] = value
    return [RegisteredModel(*row, aliases=aliases[row[0]], tags=tags[row[0]]) for row in rows]


def model(tx: Tx, *, name: str) -> RegisteredModel | None:
    found = models(tx, Where().add("m.name = :name and m.deleted_us is null", name=name), limit=1)
    return found[0] if found else None


def model_names(tx: Tx) -> list[str]:
    """Return names, those that changed last first."""
    return [name for (name,) in tx.all(Q.model_names, limit=_MOST_NAMES)]


def last_version(tx: Tx, *, name: str) -> tuple[int, str] | None:
    """Return the highest number that was ever given and who made the model, or None where there is no such model."""
    row = tx.one(Q.last_version, name=name)
    return (row[0], row[1]) if row else None


def take_version(tx: Tx, *, name: str, now_us: int) -> int | None:
    """Return the next version number, which no one else will get, or None where there is no such model."""
    row = tx.one(Q.take_version, name=name, now_us=now_us)
    return row[0] if row else None


def touch_model(tx: Tx, *, name: str, now_us: int) -> bool:
    return tx.run(Q.touch_model, name=name, now_us=now_us) == 1


def describe_model(tx: Tx, *, name: str, description: str, now_us: int) -> bool:
    return tx.run(Q.describe_model, name=name, description=description, now_us=now_us) == 1


def bury_model(tx: Tx, *, name: str, now_us: int) -> bool:
    """Leave a tombstone that remembers the last version number."""
    return tx.run(Q.bury_model, name=name, now_us=now_us) == 1


def rename(tx: Tx, *, name: str, new_name: str, now_us: int) -> None:
    """Give everything below a model to its new name, whose row exists already."""
    tx.run(Q.rename_versions, name=name, new_name=new_name, now_us=now_us)
    for query in (
        Q.rename_model_tags,
        Q.rename_version_tags,
        Q.rename_files,
        Q.rename_aliases,
        Q.rename_alias_moves,
        Q.rename_gates,
        Q.rename_scans,
        Q.rename_compilations,
        Q.rename_estimates,
        Q.rename_environments,
    ):
        tx.run(query, name=name, new_name=new_name)


def delete_model_tags(tx: Tx, *, name: str) -> None:
    tx.run(Q.delete_model_tags, name=name)


def set_model_tags(tx: Tx, *, name: str, tags: dict[str, str]) -> None:
    for key, value in tags.items():
        tx.run(Q.set_model_tag, model=name, key=key, value=value)


def delete_model_tag(tx: Tx, *, name: str, key: str) -> bool:
    return tx.run(Q.delete_model_tag, model=name, key=key) == 1


# Versions


def insert_version(tx: Tx, version: ModelVersion, files: Iterable[File]) -> None:
    columns = msgspec.structs.asdict(version)
    facts = {key: columns.pop(key) for key in _FACTS}
    tags = columns.pop("tags")
    columns.pop("aliases")
    columns.pop("status")
    name = columns.pop("name")
    metrics, data = columns.pop("metrics"), columns.pop("data")
    columns["safe"] = int(version.safe)
    tx.run(
        Q.insert_version, model=name, facts=_json(facts), metrics=_json(metrics), data=_json(data), **columns
    )
    set_version_tags(tx, name=name, version=version.version, tags=tags)
    rows = [{"model": name, "version": version.version, **msgspec.structs.asdict(file)} for file in files]
    if rows:
        tx.many(Q.insert_file, rows)


def versions(tx: Tx, where: Where, *, order: str = "", limit: int = _ALL) -> list[ModelVersion]:
    """Return versions with their tags and aliases; the conditions name the table ``v``."""
    rows = tx.all(Q.versions.with_(where=where.sql, order=order), limit=limit, **where.params)
    names = sorted({row[0] for row in rows})
    numbers = {row[1] for row in rows}
    tags: dict[tuple[str, int], dict[str, str]] = defaultdict(dict)
    aliases: dict[tuple[str, int], list[str]] = defaultdict(list)
    for names_where in _in_parts("model", names):
        names_where.add("version between :low and :high", low=min(numbers), high=max(numbers))
        for name, version, key, value in tx.all(
            Q.version_tags.with_(where=names_where.sql), **names_where.params
        ):
            tags[name, version][key] = value
        for name, alias, version in tx.all(Q.aliases.with_(where=names_where.sql), **names_where.params):
            aliases[name, version].append(alias)
    return [_version(row, tags=tags[row[0], row[1]], aliases=aliases[row[0], row[1]]) for row in rows]


def _version(row: tuple[Any, ...], *, tags: dict[str, str], aliases: list[str]) -> ModelVersion:
    *columns, size_bytes, files, facts_text, metrics, data = row
    columns[13] = bool(columns[13])
    facts: dict[str, Any] = msgspec.json.decode(facts_text)
    return ModelVersion(
        *columns,
        size_bytes=size_bytes,
        files=files,
        **facts,
        metrics=msgspec.json.decode(metrics),
        data=msgspec.json.decode(data),
        aliases=aliases,
        tags=tags,
    )


def version(tx: Tx, *, name: str, version: int) -> ModelVersion | None:
    found = versions(tx, Where().equals(model=name, version=version), limit=1)
    return found[0] if found else None


def latest_by_stage(tx: Tx, names: Sequence[str], *, stages: Sequence[str] = ()) -> list[ModelVersion]:
    """Return the highest version in each stage of each model, the stage that a model's versions reached first first."""
    ends: list[tuple[str, int, int]] = []
    for where in _in_parts("m.name", list(names)):
        where.add("m.deleted_us is null")
        if stages:
            where.any_of("s.stage", list(stages))
        rows = tx.all(Q.stage_ends.with_(where=where.sql), **where.params)
        ends += [(name, highest, lowest) for name, highest, lowest in rows if highest is not None]
    place = {(name, highest): (name, lowest) for name, highest, lowest in ends}
    found: list[ModelVersion] = []
    for part in range(0, len(ends), 200):
        where = Where()
        pairs = [
            (f"n{at}", f"v{at}", name, high) for at, (name, high, _) in enumerate(ends[part : part + 200])
        ]
        condition = " or ".join(
            f"(v.model = :{name} and v.version = :{number})" for name, number, _, _ in pairs
        )
        values = {key: value for one in pairs for key, value in ((one[0], one[2]), (one[1], one[3]))}
        found += versions(tx, where.add(condition, **values))
    return sorted(found, key=lambda version: place[version.name, version.version])


def version_numbers(tx: Tx, *, name: str) -> list[int]:
    return [number for (number,) in tx.all(Q.version_numbers, model=name)]


def versions_of_run(tx: Tx, *, run_id: str) -> list[tuple[str, int]]:
    return [(name, number) for name, number in tx.all(Q.versions_of_run, run_id=run_id)]


def version_of_digest(tx: Tx, *, digest: str) -> tuple[str, int] | None:
    row = tx.one(Q.version_of_digest, digest=digest)
    return (row[0], row[1]) if row else None


def describe_version(tx: Tx, *, name: str, version: int, description: str, now_us: int) -> bool:
    return (
        tx.run(Q.describe_version, model=name, version=version, description=description, now_us=now_us) == 1
    )


def set_stage(tx: Tx, *, name: str, version: int, stage: str, now_us: int) -> bool:
    return tx.run(Q.set_stage, model=name, version=version, stage=stage, now_us=now_us) == 1


def archive_others(tx: Tx, *, name: str, version: int, stage: str, now_us: int) -> list[int]:
    """Archive the other versions in a stage and return their numbers."""
    rows = tx.all(Q.archive_others, model=name, version=version, stage=stage, now_us=now_us)
    return sorted(number for (number,) in rows)


def set_run_facts(
    tx: Tx, *, name: str, version: int, metrics: dict[str, float | None], data: Sequence[str]
) -> None:
    tx.run(Q.set_run_facts, model=name, version=version, metrics=_json(metrics), data=_json(data))


def set_version_tags(tx: Tx, *, name: str, version: int, tags: dict[str, str]) -> None:
    for key, value in tags.items():
        tx.run(Q.set_version_tag, model=name, version=version, key=key, value=value)


def delete_version_tag(tx: Tx, *, name: str, version: int, key: str) -> bool:
    return tx.run(Q.delete_version_tag, model=name, version=version, key=key) == 1


def delete_versions(tx: Tx, *, name: str, version: int | None = None) -> int:
    """Remove one version or all of a model, with all that belongs to it; the history of aliases stays."""
    where = Where().equals(model=name, version=version)
    for query in (
        Q.delete_version_tags, Q.delete_files, Q.delete_gates, Q.delete_scans, Q.delete_compilations, Q.delete_estimates,
    ):  # fmt: skip
        tx.run(query.with_(where=where.sql), **where.params)
    return tx.run(Q.delete_versions.with_(where=where.sql), **where.params)


def files(tx: Tx, *, name: str, version: int) -> list[File]:
    return [File(*row) for row in tx.all(Q.files, model=name, version=version)]


def file(tx: Tx, *, name: str, version: int, path: str) -> File | None:
    row = tx.one(Q.file, model=name, version=version, path=path)
    return File(*row) if row else None


def every_blob(tx: Tx) -> Iterator[str]:
    """Go through the blobs of all versions, each once."""
    for (blob,) in tx.all(Q.every_blob):
        yield blob


def _in_parts(column: str, values: list[str]) -> list[Where]:
    """Return the conditions ``column in (...)`` for values in parts that one statement can take."""
    return [Where().any_of(column, values[start : start + 500]) for start in range(0, len(values), 500)]
