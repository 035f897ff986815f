"""What pages show of a run's files: pages in a box, the first rows of Parquet files."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from starlette.testclient import TestClient


def test_a_logged_page_is_shown_in_a_box_of_its_own(http: TestClient) -> None:
    root = f"/api/v1/runs/{http.post('/api/v1/runs', json={}).json()['id']}/artifacts"
    http.put(f"{root}/page.html", content=b"<b>hello</b>")
    saved = http.get(f"{root}/page.html")
    assert saved.headers["content-disposition"].startswith("attachment")
    shown = http.get(f"{root}/page.html", params={"inline": "true"})
    assert shown.headers["content-disposition"].startswith("inline")
    policy = dict(
        part.strip().partition(" ")[::2] for part in shown.headers["content-security-policy"].split(";")
    )
    assert policy["sandbox"] == "allow-scripts"  # and not allow-same-origin
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'self'"
    assert shown.headers["x-content-type-options"] == "nosniff"


def test_the_first_rows_of_a_parquet_file(http: TestClient, tmp_path: Path) -> None:
    run = http.post("/api/v1/runs", json={}).json()["id"]
    table = pa.table(
        {"n": [1, 2, 3], "x": [0.5, float("nan"), None], "when": pa.array([0, 1, 2], pa.timestamp("s"))}
    )
    pq.write_table(table, tmp_path / "rows.parquet")
    http.put(f"/api/v1/runs/{run}/artifacts/a/rows.parquet", content=(tmp_path / "rows.parquet").read_bytes())
    http.put(f"/api/v1/runs/{run}/artifacts/bad.parquet", content=b"no")
    found = http.get(f"/api/v1/runs/{run}/table/a/rows.parquet", params={"rows": 2}).json()
    assert [one["name"] for one in found["columns"]] == ["n", "x", "when"]
    assert found["total"] == 3
    assert found["rows"] == [[1, 0.5, "1970-01-01 00:00:00"], [2, "nan", "1970-01-01 00:00:01"]]
    assert http.get(f"/api/v1/runs/{run}/table/bad.parquet").status_code == 400
    assert http.get(f"/api/v1/runs/{run}/table/a/none.parquet").status_code == 404
    assert http.get(f"/api/v1/runs/{run}/table/a/none.csv").status_code == 400
