"""What a version's tables hold, and whether they meet expectations. Heavy: runs in a worker process only."""

import shutil
import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from trimtab.domains.data.model import Check, Column, DataFile
from trimtab.domains.data.suites import Expectation
from trimtab.domains.data.tables import Unreadable, format_of, group, open_table, plain
from trimtab.infra.blobs import Blobs
from trimtab.science.plain import load
from trimtab.science.profile import table as tables
from trimtab.science.profile.table import TableProfile, TableState
from trimtab.science.validate import suite as validate
from trimtab.science.validate.infer import infer

Progress = Callable[[float, str], None]

_MOST_TABLES = 100
_LONGEST_VALUE = 200


class Profiled(msgspec.Struct, frozen=True):
    """The tables of a version, that of most rows first, and the files that could not be read."""

    tables: list[tuple[str, TableState]]
    columns: list[Column]
    unreadable: list[tuple[str, str]]

    def sketches(self) -> bytes:
        """Return what comparisons need, as JSON."""
        return msgspec.json.encode(
            [{"name": name, "rows": state.rows, "columns": state.columns} for name, state in self.tables]
        )

    def profile(self) -> bytes:
        """Return what people and validation read, as JSON."""
        found = [(name, tables.finish(state)) for name, state in self.tables]
        return msgspec.json.encode(
            {
                "tables": [{"name": name, **_short(one)} for name, one in found],
                "unreadable": [{"path": path, "error": error} for path, error in self.unreadable],
            }
        )


def _short(profile: TableProfile) -> dict[str, Any]:
    content = msgspec.to_builtins(profile)
    for column in content["columns"]:
        if any(len(value) > _LONGEST_VALUE for value in column["values"]):
            column["values"] = ()  # whole documents are no categories
        for top in column["top"]:
            top["value"] = top["value"][:_LONGEST_VALUE]
    return content


def profile_files(files: Sequence[DataFile], blobs: Blobs, scratch: Path, progress: Progress) -> Profiled:
    """Read every table file once and return what they hold; memory does not grow with their size."""
    tabular = [file for file in files if format_of(file.path)]
    whole = sum(file.size_bytes for file in tabular) or 1
    states: dict[frozenset[str], TableState] = {}
    kinds: dict[frozenset[str], dict[str, str]] = {}
    readable: list[tuple[DataFile, tuple[str, ...]]] = []
    unreadable: list[tuple[str, str]] = []
    done = 0
    for file in tabular:
        try:
            with _local(blobs, file, scratch) as path:
                schema, batches = open_table(path, file.path)
                key = frozenset(schema.names)
                if len(key) < len(schema.names):
                    raise Unreadable("Two columns have the same name.")
                if key not in states and len(states) >= _MOST_TABLES:
                    raise Unreadable(
                        f"The version holds more than {_MOST_TABLES} tables of different columns."
                    )
                state = states.get(key, TableState())
                for batch in batches:
                    columns = zip(batch.schema.names, batch.columns, strict=True)
                    state = tables.add(state, {name: plain(values) for name, values in columns})
                    progress(min(1.0, (done + file.size_bytes / 2) / whole), f"reads {file.path}")
        except Unreadable as error:
            unreadable.append((file.path, str(error)))
        else:
            if not state.columns:  # a table without rows still has columns
                empty = {field.name: plain(_no_values(field)) for field in schema}
                state = tables.add(state, empty)
            states[key] = state
            kinds.setdefault(key, {field.name: str(field.type) for field in schema})
            readable.append((file, tuple(schema.names)))
        done += file.size_bytes
    groups = group(readable)
    keys = {file.path: frozenset(names) for file, names in readable}
    found = [(one.name, keys[one.files[0].path]) for one in groups]
    found.sort(key=lambda each: -states[each[1]].rows)
    return Profiled(
        tables=[(name, states[key]) for name, key in found],
        columns=[Column(column, kind, name) for name, key in found for column, kind in kinds[key].items()],
        unreadable=unreadable,
    )


@contextmanager
def _local(blobs: Blobs, file: DataFile, scratch: Path) -> Generator[Path]:
    """Lend a local path with the bytes of a file."""
    path = blobs.path(file.blob)
    if path is not None:
        yield path
        return
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=scratch) as copy, blobs.open(file.blob) as source:
        shutil.copyfileobj(source, copy, 1 << 20)
        copy.flush()
        yield Path(copy.name)


def read_profile(raw: bytes) -> tuple[list[tuple[str, TableProfile]], list[tuple[str, str]]]:
    """Return (tables, unreadable files) of a stored profile."""
    content = msgspec.json.decode(raw)
    found = [
        (one["name"], load(TableProfile, {"rows": one["rows"], "columns": one["columns"]}))
        for one in content["tables"]
    ]
    return found, [(one["path"], one["error"]) for one in content["unreadable"]]


def infer_expectations(found: Sequence[tuple[str, TableProfile]]) -> list[Expectation]:
    """Return expectations that these tables meet, with slack on what may vary; a single table goes unnamed."""
    named = len(found) > 1
    return [
        Expectation(
            kind=one.kind,
            column=one.column,
            low=one.low,
            high=one.high,
            values=list(one.values),
            only=one.only,
            severity=one.severity,
            table=name if named else None,
        )
        for name, profile in found
        for one in infer(profile).expectations
    ]


def check_expectations(
    expectations: Sequence[Expectation],
    found: Sequence[tuple[str, TableProfile]],
    unreadable: Sequence[tuple[str, str]],
) -> list[Check]:
    """Return one check for each expectation, each lacking table and each file that cannot be read."""
    checks = [
        Check("readable", None, False, error, None, f"{path} cannot be read: {error}")
        for path, error in unreadable
    ]
    wanted = list(dict.fromkeys(one.table for one in expectations))
    by_name: dict[str | None, TableProfile] = dict(found)
    if len(wanted) == 1 and len(found) == 1:
        by_name = {wanted[0]: found[0][1]}  # the only table is the same one, whatever its file is called
    for name in wanted:
        profile = by_name.get(name)
        if profile is None:
            have = [each for each, _ in found]
            lacking = f"there is no table {name}" if name else f"there are {len(have)} tables and not one"
            checks.append(Check("table", None, False, have, name, lacking, table=name))
            continue
        suite = validate.Suite(tuple(_scientific(one) for one in expectations if one.table == name))
        checks += [
            Check(
                expectation=result.expectation,
                column=result.column,
                passed=result.passed,
                observed=result.observed,
                expected=result.expected,
                message=result.message,
                severity=result.severity,
                table=name,
            )
            for result in validate.check(suite, profile)
        ]
    return checks


def _scientific(one: Expectation) -> validate.Expectation:
    return validate.Expectation(
        one.kind, one.column, one.low, one.high, tuple(one.values), one.only, one.severity
    )


def _no_values(field: Any) -> Any:
    import pyarrow as pa

    return pa.array([], field.type)
