"""MLflow's tables come over from SQLite and PostgreSQL, of old releases and of new ones."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.moving.conftest import history
from trimtab.kernel.errors import Invalid, Unavailable
from trimtab.moving import import_mlflow
from trimtab.moving.sources.sql import shown
from trimtab.sdk.client import Client

T = 1_600_000_000_000
LARGEST = 1.7976931348623157e308
NEW = {
    "experiments": "experiment_id bigint, name text, artifact_location text, lifecycle_stage text, creation_time bigint,"
    " last_update_time bigint, workspace text",
    "experiment_tags": "key text, value text, experiment_id bigint",
    "runs": "run_uuid text, name text, user_id text, status text, start_time bigint, end_time bigint,"
    " lifecycle_stage text, artifact_uri text, experiment_id bigint",
    "params": "key text, value text, run_uuid text",
    "tags": "key text, value text, run_uuid text",
    "metrics": "key text, value double precision, timestamp bigint, step bigint, is_nan boolean, run_uuid text",
    "datasets": "dataset_uuid text, experiment_id bigint, name text, digest text, dataset_source_type text,"
    " dataset_source text, dataset_schema text, dataset_profile text",
    "inputs": "input_uuid text, source_type text, source_id text, destination_type text, destination_id text, step bigint",
    "input_tags": "input_uuid text, name text, value text",
    "logged_models": "model_id text, experiment_id bigint, name text, artifact_location text,"
    " creation_timestamp_ms bigint, last_updated_timestamp_ms bigint, status integer, lifecycle_stage text,"
    " model_type text, source_run_id text",
    "logged_model_params": "model_id text, param_key text, param_value text",
    "logged_model_tags": "model_id text, tag_key text, tag_value text",
    "logged_model_metrics": "model_id text, metric_name text, metric_timestamp_ms bigint, metric_step bigint,"
    " metric_value double precision, run_id text, dataset_name text, dataset_digest text",
    "registered_models": "workspace text, name text, creation_time bigint, last_updated_time bigint, description text",
    "registered_model_tags": "workspace text, name text, key text, value text",
    "registered_model_aliases": "workspace text, name text, alias text, version integer",
    "model_versions": "workspace text, name text, version integer, creation_time bigint, last_updated_time bigint,"
    " description text, current_stage text, source text, storage_location text, run_id text, run_link text",
    "model_version_tags": "workspace text, name text, version integer, key text, value text",
}
OLD = {
    "experiments": "experiment_id bigint, name text, artifact_location text, lifecycle_stage text",
    "runs": "run_uuid text, name text, user_id text, status text, start_time bigint, end_time bigint,"
    " lifecycle_stage text, artifact_uri text, experiment_id bigint",
    "params": NEW["params"],
    "tags": NEW["tags"],
    "metrics": "key text, value double precision, timestamp bigint, run_uuid text",
}


def rows(run: str, model: str, artifacts: Path) -> dict[str, list[tuple[Any, ...]]]:
    model_uri = f"mlflow-artifacts:/1/models/{model}/artifacts"
    return {
        "experiments": [(1, f"db-{run[:4]}", "mlflow-artifacts:/1", "active", T, T + 1, "default"),
                        (2, "elsewhere", "s3://bucket/2", "active", T, T, "other")],
        "experiment_tags": [("team", "a", 1)],
        "runs": [(run, "first", "ada", "KILLED", T, T + 5, "active", f"mlflow-artifacts:/1/{run}/artifacts", 1),
                 (run[::-1], "kept", "ada", "FINISHED", T, None, "active", f"s3://bucket/1/{run[::-1]}/artifacts", 1)],
        "params": [("lr", "0.1", run)],
        "tags": [("mlflow.runName", "first", run)],
        "metrics": [("loss", 0.5, T, 1, False, run), ("loss", 0.0, T, 2, True, run), ("loss", -LARGEST, T, 3, False, run)],
        "datasets": [("d-uuid", 1, "set", "dig", "local", "x", "{}", None)],
        "inputs": [("i-uuid", "DATASET", "d-uuid", "RUN", run, 0), ("o", "RUN_OUTPUT", run, "MODEL_OUTPUT", model, 4)],
        "input_tags": [("i-uuid", "mlflow.data.context", "test")],
        "logged_models": [(model, 1, "tree", model_uri, T, T, 2, "active", "clf", run)],
        "logged_model_params": [(model, "p", "1")],
        "logged_model_tags": [(model, "t", "2")],
        "logged_model_metrics": [(model, "auc", T, 1, 0.9, run, "set", "dig")],
        "registered_models": [("default", f"m-{run[:4]}", T, T, "told"), ("other", "other", T, T, None)],
        "registered_model_tags": [("default", f"m-{run[:4]}", "k", "v")],
        "registered_model_aliases": [("default", f"m-{run[:4]}", "best", 4)],
        "model_versions": [("default", f"m-{run[:4]}", 4, T, T, None, "Staging", model_uri, model_uri, run, None)],
        "model_version_tags": [],
    }  # fmt: skip


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str, str]:
    """A database as a server of today leaves it, with its artifacts beside; (URL, run, logged model)."""
    run = ("5" if request.param == "sqlite" else "6") * 31 + "a"
    model = f"m-{run}"
    for place in (f"1/{run}/artifacts/a.txt", f"1/models/{model}/artifacts/MLmodel"):
        file = tmp_path / "mlartifacts" / place
        file.parent.mkdir(parents=True)
        file.write_text("flavors: {}\n")
    content = rows(run, model, tmp_path)
    if request.param == "sqlite":
        fill_sqlite(tmp_path / "mlflow.db", NEW, content)
        return str(tmp_path / "mlflow.db"), run, model
    import psycopg

    url: str = request.getfixturevalue("cluster_url")
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        for table, columns in NEW.items():
            cursor.execute(f"create table {table} ({columns})".encode())
            for row in content[table]:
                cursor.execute(f"insert into {table} values ({', '.join(['%s'] * len(row))})".encode(), row)
    return url, run, model


@pytest.fixture
def cluster_url(postgresql_url: str) -> str:
    """A PostgreSQL database with room for MLflow's tables beside whatever is in it."""
    return postgresql_url


def fill_sqlite(file: Path, tables: dict[str, str], content: dict[str, list[tuple[Any, ...]]]) -> None:
    with sqlite3.connect(file) as connection:
        for table, columns in tables.items():
            connection.execute(f"create table {table} ({columns})")
            for row in content.get(table, []):
                connection.execute(f"insert into {table} values ({', '.join('?' * len(row))})", row)


def test_a_database_comes_over(client: Client, database: tuple[str, str, str], tmp_path: Path) -> None:
    url, run, model = database
    artifacts = [tmp_path / "mlartifacts"] if url.startswith("postgresql") else []
    report = import_mlflow(url, artifacts=artifacts, client=client)
    assert report.problems == []
    assert (report.runs["created"], report.points, report.files, report.versions) == (2, 3, 2, 1)
    assert [one["name"] for one in report.experiments] == [f"db-{run[:4]}"]
    record = client.get(f"/runs/{run}/record")
    assert (record["status"], record["owner"], record["params"]) == ("KILLED", "ada", {"lr": "0.1"})
    assert record["model_outputs"] == [{"model_id": model, "step": 4}]
    assert record["datasets"][0]["tags"] == {"mlflow.data.context": "test"}
    at = T * 1000
    assert history(client, run, "loss") == [(1, at, "0.5"), (2, at, "nan"), (3, at, "-inf")]
    assert b"".join(client.download(f"/runs/{run}/artifacts/a.txt")) == b"flavors: {}\n"
    kept = client.get(f"/runs/{run[::-1]}/record")
    assert kept["artifact_uri"] == f"s3://bucket/1/{run[::-1]}/artifacts"
    (version,) = client.get(f"/models/m-{run[:4]}/versions")["items"]
    assert (version["version"], version["stage"], version["model_id"]) == (4, "Staging", model)
    assert version["aliases"] == ["best"]
    again = import_mlflow(url, artifacts=artifacts, client=client)
    assert (again.runs["unchanged"], again.points, again.files, again.problems) == (2, 0, 0, [])


def test_tables_of_the_first_releases_are_read(client: Client, tmp_path: Path) -> None:
    run = "7" * 32
    content = {
        "experiments": [(1, "ancient", "mlflow-artifacts:/1", "active")],
        "runs": [(run, "", "ada", "FINISHED", T, T, "active", "mlflow-artifacts:/1/x/artifacts", 1)],
        "metrics": [("loss", 0.5, T, run)],
    }
    fill_sqlite(tmp_path / "old.db", OLD, content)
    report = import_mlflow(tmp_path / "old.db", client=client)
    assert (report.runs["created"], report.points) == (1, 1)
    assert "--artifacts" in report.problems[0].advice
    assert history(client, run, "loss") == [(0, T * 1000, "0.5")]


def test_what_is_no_database_is_refused(client: Client, tmp_path: Path) -> None:
    empty = tmp_path / "empty.db"
    fill_sqlite(empty, {"x": "a text"}, {})
    with pytest.raises(Invalid, match="no tables of MLflow"):
        import_mlflow(empty, client=client)
    fill_sqlite(tmp_path / "odd.db", {"experiments": "x text", "runs": "y text"}, {})
    with pytest.raises(Invalid, match="cannot be read"):
        import_mlflow(tmp_path / "odd.db", client=client)
    with pytest.raises(Unavailable):
        import_mlflow("postgresql://u:secret@127.0.0.1:1/x", client=client)
    with pytest.raises(Invalid, match="no store"):
        import_mlflow("ftp://somewhere/mlruns", client=client)
    assert shown("mysql://u:secret@h:3/db?x=y") == "mysql://u@h:3/db"
