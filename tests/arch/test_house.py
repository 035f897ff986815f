"""The rules of the house that no linter knows: who runs SQL, who asks permission, what start-up may import."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from trimtab.app import MIGRATED
from trimtab.infra.db import Database
from trimtab.infra.db.queries import Queries, statement

SOURCE = Path(__file__).parents[2] / "src" / "trimtab"
DOMAINS = sorted(path.parent for path in (SOURCE / "domains").glob("*/service.py"))
LONGEST_MODULE = 450
MOST_METHODS = 25
HEAVY = ("numpy", "scipy", "pyarrow", "duckdb", "pandas", "sklearn", "xgboost", "lightgbm")


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        yield path, ast.parse(path.read_text("utf-8"))


def test_every_module_says_what_it_is_for() -> None:
    silent = [str(path.relative_to(SOURCE)) for path, tree in modules() if not ast.get_docstring(tree)]
    assert silent == []


def test_modules_stay_small() -> None:
    long = {
        str(path.relative_to(SOURCE)): lines
        for path, _ in modules()
        if (lines := len(path.read_text("utf-8").splitlines())) > LONGEST_MODULE
    }
    assert long == {}


def test_names_that_say_nothing_are_not_used() -> None:
    empty = {"utils", "common", "helpers", "util", "misc"}
    assert [
        str(path) for path in SOURCE.rglob("*.py") if path.stem in empty or path.parent.name in empty
    ] == []


def _public_methods(path: Path) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in ast.parse(path.read_text("utf-8")).body:
        is_protocol = isinstance(node, ast.ClassDef) and any(
            "Protocol" in ast.unparse(base) for base in node.bases
        )
        if isinstance(node, ast.ClassDef) and not is_protocol:
            for member in node.body:
                if isinstance(member, ast.FunctionDef) and not member.name.startswith("_"):
                    yield f"{node.name}.{member.name}", member


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda path: path.name)
def test_public_service_methods_ask_for_permission(domain: Path) -> None:
    """A method that takes who acts must ask whether they may; one that takes a tx runs inside such a method."""
    silent: list[str] = []
    for path in sorted(domain.rglob("*.py")):
        if domain.name == "govern" or path.name in ("http.py", "cli.py", "jobs.py", "plane.py"):
            continue
        for name, method in _public_methods(path):
            arguments = [argument.arg for argument in method.args.args]
            if "who" not in arguments or "tx" in arguments:
                continue
            called = {
                node.func.attr
                for node in ast.walk(method)
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
            }
            passes_on = any(
                isinstance(node, ast.Call)
                and any(isinstance(argument, ast.Name) and argument.id == "who" for argument in node.args)
                for node in ast.walk(method)
            )
            if "permit" not in called and not passes_on:
                silent.append(f"{path.relative_to(SOURCE)}: {name}")
    assert silent == []


def _query_files() -> Iterator[tuple[Path, Queries]]:
    for path in sorted(SOURCE.rglob("store.py")):
        module = import_module(".".join(("trimtab", *path.relative_to(SOURCE).with_suffix("").parts)))
        queries = getattr(module, "Q", None)
        if isinstance(queries, Queries):
            yield path, queries


def test_statements_name_only_their_owners_tables() -> None:
    tables = re.compile(r"\b(?:from|join|into|update|table)\s+([a-z]+)_[a-z_]+", re.IGNORECASE)
    foreign: list[str] = []
    for path, queries in _query_files():
        parts = path.relative_to(SOURCE).parts
        owner = parts[1] if parts[0] in ("domains", "infra") else parts[0]
        for query in queries:
            named = set(tables.findall(query.sqlite)) - {owner, "json"}
            foreign += [f"{'/'.join(parts)}: {query.name} names {prefix}_" for prefix in named]
    assert foreign == []


def test_every_statement_prepares_in_both_dialects(db: Database) -> None:
    broken: list[str] = []
    for path, queries in _query_files():
        for query in queries:
            order = "1" if "order by {order}" in query.sqlite else ""
            filled = query.with_(where="", order=order, limit="", joins="", values="")
            if "{" in filled.sqlite:
                continue  # its fragments are tested with its store
            names = set(re.findall(r"(?<!:):([a-z_][a-z_0-9]*)", filled.sqlite))
            try:
                with db.read() as tx:
                    if db.dialect == "sqlite":
                        tx.all(statement("explain", f"explain {filled.sqlite}"), **dict.fromkeys(names))
                    else:
                        text = re.sub(r"%\([a-z_0-9]+\)s", "null", filled.postgresql)
                        tx.all(statement("explain", f"explain {text.replace('%%', '%')}"))
            except Exception as error:  # noqa: BLE001 - any refusal counts
                broken.append(f"{path.parent.name}.{query.name}: {error}")
    assert broken == []


def test_every_migrated_part_is_wired() -> None:
    found = {
        ".".join(("trimtab", *folder.parent.relative_to(SOURCE).parts))
        for folder in SOURCE.rglob("migrations")
    }
    assert found == set(MIGRATED)


def _imported_by(statement_text: str) -> set[str]:
    code = f"import sys; {statement_text}; print('\\n'.join(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in ran.stdout.split()}


def test_the_server_starts_without_numeric_libraries() -> None:
    assert _imported_by("import trimtab.server, trimtab.http").isdisjoint(HEAVY)


def test_the_sdk_is_light() -> None:
    assert _imported_by("import trimtab").isdisjoint({*HEAVY, "httpx2", "starlette", "rich", "typer"})


def test_the_gateway_is_light() -> None:
    imported = _imported_by("import trimtab.serving.gateway")
    assert imported.isdisjoint({*HEAVY, "starlette", "httpx2", "sqlite3", "psycopg"})


def test_sql_is_run_beside_its_statements_alone() -> None:
    outside: list[str] = []
    for path, tree in modules():
        owns_statements = any(
            isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "Q" for node in tree.body
        )
        if owns_statements or "infra/db" in path.as_posix():
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                held = node.func.value
                if (
                    isinstance(held, ast.Name)
                    and held.id == "tx"
                    and node.func.attr in ("all", "one", "run", "many")
                ):
                    outside.append(f"{path.relative_to(SOURCE)}:{node.lineno}")
    assert outside == []
