"""The tables of datasets, versions and expectation suites."""

from typing import Any

import msgspec

from trimtab.domains.data.model import Check, Column, Dataset, DataVersion, Findings
from trimtab.domains.data.suites import Expectation, Suite
from trimtab.infra.db import Tx, Where, load

Q = load(__package__ or "")


def put_dataset(tx: Tx, *, name: str, version: int, created_by: str, now_us: int) -> None:
    """Add the dataset, or note its newest version."""
    tx.run(Q.put_dataset, name=name, version=version, created_by=created_by, now_us=now_us)


def touch_dataset(tx: Tx, *, name: str, now_us: int) -> None:
    tx.run(Q.touch_dataset, name=name, now_us=now_us)


def last_version(tx: Tx, *, name: str) -> int | None:
    """Return the newest number ever given, also to a version that was removed; None for an unknown dataset."""
    row = tx.one(Q.last_version, name=name)
    return row[0] if row else None


def datasets(tx: Tx, *, where: Where, limit: int) -> list[Dataset]:
    return [Dataset(*row) for row in tx.all(Q.datasets.with_(where=where.sql), limit=limit, **where.params)]


def insert_version(tx: Tx, version: DataVersion) -> None:
    columns = msgspec.structs.asdict(version)
    columns["derived_from"] = _dump(version.derived_from)
    for later in ("rows", "suite_version", "profiled_us"):
        columns.pop(later)
    tx.run(Q.insert_version, **columns)


def version(tx: Tx, *, name: str, version: int) -> DataVersion | None:
    row = tx.one(Q.version, name=name, version=version)
    return _version(row) if row else None


def latest(tx: Tx, *, name: str) -> DataVersion | None:
    row = tx.one(Q.latest, name=name)
    return _version(row) if row else None


def versions(tx: Tx, *, where: Where, limit: int) -> list[DataVersion]:
    return [_version(row) for row in tx.all(Q.versions.with_(where=where.sql), limit=limit, **where.params)]


def pending(tx: Tx, *, name: str, upto: int) -> list[int]:
    """Return the versions that wait for their profile, oldest first."""
    return [row[0] for row in tx.all(Q.pending, name=name, upto=upto)]


def findings(tx: Tx, *, name: str, version: int) -> Findings | None:
    row = tx.one(Q.findings, name=name, version=version)
    if row is None:
        return None
    profile, sketches, columns, checks, problem = row
    return Findings(
        profile,
        sketches,
        msgspec.json.decode(columns, type=list[Column]),
        msgspec.json.decode(checks, type=list[Check]),
        problem,
    )


def twin_findings(tx: Tx, *, name: str, digest: str) -> tuple[Findings, int] | None:
    """Return what was found in a version with the same content, and its number of rows."""
    row = tx.one(Q.twin_profile, name=name, digest=digest)
    if row is None:
        return None
    profile, sketches, columns, rows = row
    return Findings(profile, sketches, msgspec.json.decode(columns, type=list[Column]), [], None), rows


def record_findings(
    tx: Tx,
    found: Findings,
    *,
    name: str,
    version: int,
    state: str,
    rows: int | None,
    suite_version: int | None,
    now_us: int,
) -> None:
    tx.run(
        Q.record_findings,
        name=name,
        version=version,
        state=state,
        rows=rows,
        suite_version=suite_version,
        now_us=now_us,
        profile=found.profile,
        sketches=found.sketches,
        columns=_dump(found.columns),
        checks=_dump(found.checks),
        problem=found.problem,
    )


def reopen(tx: Tx, *, name: str, version: int) -> None:
    """Have a version wait for its validation again."""
    tx.run(Q.reopen, name=name, version=version)


def remove_version(tx: Tx, *, name: str, version: int, now_us: int) -> bool:
    return tx.run(Q.remove_version, name=name, version=version, now_us=now_us) == 1


def remove_versions(tx: Tx, *, name: str, now_us: int) -> int:
    return tx.run(Q.remove_versions, name=name, now_us=now_us)


def kept_versions(
    tx: Tx, *, removed_before_us: int, held: bool
) -> list[tuple[str, int, str, str | None, str | None, int | None]]:
    """Return (name, version, manifest, profile, sketches, removed_us) of versions, with all removed ones if ``held``."""
    rows = tx.all(Q.kept_versions, removed_before_us=removed_before_us, held=int(held))
    return [(row[0], row[1], row[2], row[3], row[4], row[5]) for row in rows]


def insert_suite(tx: Tx, suite: Suite) -> None:
    columns = msgspec.structs.asdict(suite)
    columns["expectations"] = _dump(suite.expectations)
    tx.run(Q.insert_suite, **columns)


def latest_suite(tx: Tx, *, name: str) -> Suite | None:
    row = tx.one(Q.latest_suite, name=name)
    return _suite(row) if row else None


def suite(tx: Tx, *, name: str, version: int) -> Suite | None:
    row = tx.one(Q.suite, name=name, version=version)
    return _suite(row) if row else None


def remove_suites(tx: Tx, *, name: str) -> int:
    return tx.run(Q.remove_suites, name=name)


def _dump(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _version(row: tuple[Any, ...]) -> DataVersion:
    values = list(row)
    values[9] = msgspec.json.decode(values[9], type=list[str])  # derived_from
    return DataVersion(*values)


def _suite(row: tuple[Any, ...]) -> Suite:
    name, version, expectations, created_us, created_by, inferred_from = row
    decoded = msgspec.json.decode(expectations, type=list[Expectation])
    return Suite(name, version, decoded, created_us, created_by, inferred_from)
