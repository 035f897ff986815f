"""The tables of gates, scans and estimates."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import msgspec

from trimtab.domains.registry.model import Gate, GateCheck, MetricEstimate
from trimtab.domains.registry.scan import FileScan
from trimtab.infra.db import Tx, Where, load

Q = load(__package__ or "")


def insert_gate(tx: Tx, gate: Gate, *, name: str, version: int) -> None:
    columns = msgspec.structs.asdict(gate)
    checks, evidence = columns.pop("checks"), columns.pop("evidence")
    tx.run(
        Q.insert_gate, model=name, version=version, checks=_json(checks), evidence=_json(evidence), **columns
    )


def gates(tx: Tx, where: Where, *, limit: int) -> list[Gate]:
    rows = tx.all(Q.gates.with_(where=where.sql), limit=limit, **where.params)
    return [
        Gate(
            *row[:5],
            checks=msgspec.json.decode(row[5], type=list[GateCheck]),
            evidence=msgspec.json.decode(row[6]),
        )
        for row in rows
    ]


def has_passed_gate(tx: Tx, *, name: str, version: int) -> bool:
    """Whether the newest verdict on a version is that it passed."""
    row = tx.one(Q.newest_verdict, model=name, version=version)
    return row is not None and row[0] == "passed"


def put_scan(tx: Tx, *, name: str, version: int, scan: FileScan) -> None:
    tx.run(
        Q.put_scan, model=name, version=version, at_us=scan.at_us, verdict=scan.verdict, findings=_json(scan)
    )


def set_verdict(tx: Tx, *, name: str, version: int, scan: FileScan) -> None:
    """Bring the verdict that a version shows up to date."""
    row = tx.one(Q.facts, model=name, version=version)
    if row is not None:
        facts = {**msgspec.json.decode(row[0]), "verdict": scan.verdict, "strangers": scan.strangers}
        tx.run(Q.set_facts, model=name, version=version, facts=_json(facts))


def scan(tx: Tx, *, name: str, version: int) -> FileScan | None:
    row = tx.one(Q.scan, model=name, version=version)
    return msgspec.json.decode(row[0], type=FileScan) if row else None


def put_estimates(tx: Tx, estimates: Iterable[MetricEstimate], *, name: str, version: int) -> None:
    for one in estimates:
        columns = msgspec.structs.asdict(one)
        tx.run(Q.put_estimate, model=name, version=version, row_count=columns.pop("rows"), **columns)


def estimates(tx: Tx, where: Where) -> dict[int, list[MetricEstimate]]:
    """Return estimates by version."""
    found: dict[int, list[MetricEstimate]] = defaultdict(list)
    for row in tx.all(Q.estimates.with_(where=where.sql), **where.params):
        version, key, data, estimate, low, high, level, method, rows, at_us, actor = row
        found[version].append(
            MetricEstimate(key, estimate, low, high, level, method, rows, data, at_us, actor)
        )
    return found


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
