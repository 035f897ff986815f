"""The registry beside MLflow's own server: create a version, search versions, find a version by its alias.

    python bench/bench_registry.py [--versions 10000] [--mlflow PYTHON] [--report FILE.json]

``--mlflow`` names an interpreter with MLflow's server (python -m venv ORACLE && ORACLE/bin/pip install mlflow==3.17.2). Both
servers run on SQLite in fresh folders, one after the other, and are asked by the same HTTP client over one kept-open
connection. Versions stand in 100 models and carry two tags each; sources lie in a store of the clients', so that neither
server reads files. The limit of a version is what a durable commit costs on this disk, that of a reading one what a request
for ``/version`` costs on our own server.
"""

import argparse
import json
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.processes import serving
from tests.wire.differential import oracle

API = "/api/2.0/mlflow"
MODELS = 100
MEASURED = 200


def main() -> None:
    """Fill, measure and print both servers side by side."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--versions", type=int, default=10_000)
    parser.add_argument("--mlflow", metavar="PYTHON", help=oracle.HOW_TO_INSTALL)
    parser.add_argument("--report", type=Path)
    given = parser.parse_args()
    found: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        with serving(Path(folder) / "home") as url:
            found["trimtab"] = measure(url, given.versions)
            found["limit"] = limits(url, Path(folder))
        if given.mlflow:
            with oracle.serving(given.mlflow, Path(folder) / "mlflow") as url:
                found["mlflow"] = measure(url, given.versions, database=Path(folder) / "mlflow" / "mlflow.db")
    show(found, given.versions)
    if given.report:
        report = {
            server: {work: quantiles(ms) for work, ms in works.items()} for server, works in found.items()
        }
        given.report.write_text(json.dumps({"versions": given.versions, **report}, indent=2))


def measure(url: str, versions: int, *, database: Path | None = None) -> dict[str, list[float]]:
    """Return the milliseconds of each piece of work at a server with so many versions.

    MLflow's ``database`` is filled with SQL, because its API would take ten minutes.
    """
    with httpx2.Client(base_url=url, timeout=120) as client:
        for model in range(MODELS):
            ask(client, "POST", "/registered-models/create", {"name": f"m{model:03}"})
        if database is None:
            fill(client, versions - MEASURED)
        else:
            fill_mlflow(database, versions - MEASURED)
        created = timed(MEASURED, lambda n: version(client, f"m{n % MODELS:03}", versions - MEASURED + n))
        for model in range(MODELS):
            alias = {"name": f"m{model:03}", "alias": "champion", "version": "1"}
            ask(client, "POST", "/registered-models/alias", alias)
        return {
            "create a version": created,
            "search by tag, page of 100": timed(30, lambda n: search(client, f"tags.seed = '{n % 20}'", 100)),
            "search one model's by number": timed(
                100,
                lambda n: search(client, f"name = 'm{n % MODELS:03}' and version_number > 3", 100),
            ),
            "search all, newest first, page of 1,000": timed(10, lambda _: search(client, "", 1000)),
            "find by alias": timed(
                MEASURED,
                lambda n: ask(
                    client, "GET", f"/registered-models/alias?name=m{n % MODELS:03}&alias=champion"
                ),
            ),
            "get a model": timed(
                MEASURED, lambda n: ask(client, "GET", f"/registered-models/get?name=m{n % MODELS:03}")
            ),
            "move an alias": timed(
                MEASURED,
                lambda n: ask(
                    client,
                    "POST",
                    "/registered-models/alias",
                    {"name": f"m{n % MODELS:03}", "alias": "champion", "version": str(1 + n % 5)},
                ),
            ),
        }


def fill(client: httpx2.Client, versions: int) -> None:
    for number in range(versions):
        version(client, f"m{number % MODELS:03}", number)


def fill_mlflow(database: Path, versions: int) -> None:
    now = int(time.time() * 1000)
    rows = [(f"m{number % MODELS:03}", 1 + number // MODELS, number) for number in range(versions)]
    with sqlite3.connect(database, timeout=60) as filled:
        filled.executemany(
            "insert into model_versions (name, version, creation_time, last_updated_time, description, current_stage,"
            " source, storage_location, status, workspace) values (?, ?, ?, ?, '', 'None', ?, ?, 'READY', 'default')",
            [
                (name, at, now, now, f"s3://bucket/model-{n}", f"s3://bucket/model-{n}")
                for name, at, n in rows
            ],
        )
        filled.executemany(
            "insert into model_version_tags (key, value, name, version, workspace) values (?, ?, ?, ?, 'default')",
            [
                (key, value, name, at)
                for name, at, n in rows
                for key, value in (("seed", str(n % 20)), ("team", "risk"))
            ],
        )


def version(client: httpx2.Client, name: str, number: int) -> None:
    tags = [{"key": "seed", "value": str(number % 20)}, {"key": "team", "value": "risk"}]
    body = {"name": name, "source": f"s3://bucket/model-{number}", "tags": tags}
    ask(client, "POST", "/model-versions/create", body)


def search(client: httpx2.Client, text: str, size: int) -> None:
    answer = client.get(f"{API}/model-versions/search", params={"filter": text, "max_results": size})
    assert "model_versions" in answer.json(), answer.text


def ask(client: httpx2.Client, method: str, path: str, body: object = None) -> None:
    answer = client.request(method, API + path, json=body)
    assert answer.status_code == 200, answer.text


def timed(count: int, work: Callable[[int], None]) -> list[float]:
    """Return the milliseconds of each call."""
    found = []
    for number in range(count):
        started = time.perf_counter()
        work(number)
        found.append((time.perf_counter() - started) * 1000)
    return found


def limits(url: str, folder: Path) -> dict[str, list[float]]:
    """Return what a durable commit and an empty answer cost here."""
    database = sqlite3.connect(folder / "limit.db", isolation_level=None)
    database.execute("pragma journal_mode = wal")
    database.execute("pragma synchronous = full")
    database.execute("create table t (n integer)")
    commits = timed(200, lambda n: database.execute("insert into t values (?)", (n,)) and None)
    database.close()
    with httpx2.Client(base_url=url) as client:
        empty = timed(200, lambda _: client.get("/version") and None)
    writes = ("create a version", "move an alias")
    reads = ("search by tag, page of 100", "search one model's by number", "find by alias", "get a model")
    return {
        **{key: [a + b for a, b in zip(commits, empty, strict=True)] for key in writes},
        **dict.fromkeys(reads, empty),
        "search all, newest first, page of 1,000": empty,
    }


def quantiles(ms: list[float]) -> dict[str, float]:
    ordered = sorted(ms)
    return {
        "p50": statistics.median(ordered),
        "p99": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))],
    }


def show(found: dict[str, dict[str, list[float]]], versions: int) -> None:
    table = Table(title=f"{versions:,} versions in {MODELS} models, SQLite; p50 / p99 in ms")
    for column in ("work", "trimtab", "mlflow", "ratio of p50", "limit p50"):
        table.add_column(column, justify="left" if column == "work" else "right")
    for work, ours in found["trimtab"].items():
        mine = quantiles(ours)
        theirs = quantiles(found["mlflow"][work]) if "mlflow" in found else None
        table.add_row(
            work,
            f"{mine['p50']:.2f} / {mine['p99']:.2f}",
            f"{theirs['p50']:.1f} / {theirs['p99']:.1f}" if theirs else "-",
            f"{theirs['p50'] / mine['p50']:.0f}x" if theirs else "-",
            f"{quantiles(found['limit'][work])['p50']:.2f}",
        )
    Console(width=130).print(table)


if __name__ == "__main__":
    main()
