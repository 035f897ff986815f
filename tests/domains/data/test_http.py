"""The routes of data, as the SDK, the UI and mistaken callers use them."""

import pytest
from starlette.testclient import TestClient

from tests.background import work_off
from tests.domains.data.conftest import Warehouse, blob_of
from trimtab.app import App
from trimtab.kernel.errors import did_you_mean

CSV = b"a,b\n" + b"".join(b"%d,x\n" % number for number in range(40))


def manifest(**contents: bytes) -> dict[str, object]:
    return {
        "files": [
            {"path": path, "size_bytes": len(content), "blob": blob_of(content)}
            for path, content in contents.items()
        ]
    }


def test_from_upload_to_profile(app: App, http: TestClient) -> None:
    blob = blob_of(CSV)
    assert http.post("/api/v1/blobs/missing", json={"blobs": [blob]}).json() == {"missing": [blob]}
    assert http.put(f"/api/v1/blobs/{blob}", content=iter([CSV[:10], CSV[10:]])).json() == {"blob": blob}
    assert http.post("/api/v1/blobs/missing", json={"blobs": [blob]}).json() == {"missing": []}
    body = {"files": [{"path": "t.csv", "size_bytes": len(CSV), "blob": blob}], "message": "first"}
    added = http.post("/api/v1/data/t/versions", json=body)
    assert (added.status_code, added.json()["created"], added.json()["ref"]) == (201, True, "data:t@1")
    assert http.post("/api/v1/data/t/versions", json=body).json()["created"] is False

    detail = http.get("/api/v1/data/t/versions/latest").json()
    assert (detail["validation"]["state"], detail["profile"], detail["rows"]) == ("pending", None, None)
    work_off(app, "heavy")
    detail = http.get("/api/v1/data/t/versions/1").json()
    assert (detail["validation"]["state"], detail["rows"], detail["message"]) == ("passed", 40, "first")
    assert detail["schema"] == [
        {"name": "a", "type": "int64", "table": "t"},
        {"name": "b", "type": "string", "table": "t"},
    ]
    assert detail["files"] == body["files"]
    first, second = detail["profile"]["columns"]
    assert (first["name"], first["count"], first["min"], first["max"], first["mean"]) == (
        "a",
        40,
        0,
        39,
        19.5,
    )
    assert set(first["quantiles"]) == {"0.01", "0.05", "0.25", "0.5", "0.75", "0.95", "0.99"}
    assert sum(first["histogram"]["counts"]) == 40
    assert second["top"] == [{"value": "x", "count": 40}]
    assert set(detail["validation"]["checks"][0]) >= {
        "expectation", "column", "passed", "observed", "expected", "message",
    }  # fmt: skip

    assert http.get("/api/v1/data").json()["items"][0]["latest_version"] == 1
    assert http.get("/api/v1/data/t/versions").json()["items"][0]["validation"] == {"state": "passed"}
    assert (
        http.get("/api/v1/data/t/compare", params={"from": 1}).json()["tables"][0]["columns"][0]["psi"] == 0
    )
    suite = http.get("/api/v1/data/t/expectations").json()
    edited = http.put("/api/v1/data/t/expectations", json={"expectations": suite["expectations"][:1]})
    assert edited.json()["version"] == 2
    assert http.post("/api/v1/data/t/versions/latest/validate").status_code == 202
    assert http.get("/api/v1/data/t").json()["validation_state"] == "pending"
    assert http.delete("/api/v1/data/t/versions/1").json() == {"versions": 1}
    assert http.get("/api/v1/data/t").status_code == 404


def test_files_and_packs_are_downloaded(http: TestClient, warehouse: Warehouse) -> None:
    warehouse.add("d", {"a b/ü?.txt": b"one", "c": b"", "d": b"one"})
    listed = http.get("/api/v1/data/d/versions/1/files", params={"limit": 2}).json()
    assert ([file["path"] for file in listed["items"]], listed["next_after"]) == (["a b/ü?.txt", "c"], "c")
    rest = http.get("/api/v1/data/d/versions/1/files", params={"after": "c"}).json()
    assert ([file["path"] for file in rest["items"]], rest["next_after"]) == (["d"], None)
    file = http.get("/api/v1/data/d/versions/1/files/a%20b/%C3%BC%3F.txt")
    assert (file.content, file.headers["content-length"]) == (b"one", "3")
    assert http.get("/api/v1/data/d/versions/1/files/c").content == b""
    pack = http.post("/api/v1/data/d/versions/1/pack", json={"blobs": [blob_of(b"one")]})
    assert pack.content == f"{blob_of(b'one')} 3\none".encode()


@pytest.mark.parametrize(
    "path", ["../../etc/passwd", "..%2F..%2Fetc%2Fpasswd", "%2Fetc%2Fpasswd", "nothing", "a%00b", "a%0Ab"]
)
def test_path_tricks_find_nothing(http: TestClient, warehouse: Warehouse, path: str) -> None:
    warehouse.add("d", {"a": b"one"})
    assert http.get(f"/api/v1/data/d/versions/1/files/{path}").status_code in (400, 404)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"files": []}, "files"),
        (manifest(**{"../x": b""}), "files[0].path"),
        ({"files": [{"path": "a", "size_bytes": "1", "blob": blob_of(b"")}]}, "files[0].size_bytes"),
        ({"files": [{"path": "a", "size_bytes": 1}]}, "files[0]"),
        ({"files": [{"path": "a", "size_bytes": 0, "blob": "b3:0"}]}, "blob"),
        ({**manifest(a=b""), "surprise": 1}, "surprise"),
        ({**manifest(a=b""), "derived_from": ["x"]}, "derived_from[0]"),
    ],
)
def test_bad_manifests_are_refused_by_field(http: TestClient, body: dict[str, object], field: str) -> None:
    answer = http.post("/api/v1/data/d/versions", json=body)
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert http.get("/api/v1/data").json()["items"] == []


def test_bad_requests_change_nothing(app: App, http: TestClient) -> None:
    missing = http.post("/api/v1/data/d/versions", json=manifest(a=b"x"))
    assert (missing.status_code, missing.json()["code"]) == (409, "blobs-missing")
    assert http.post("/api/v1/data/a%20b/versions", json=manifest(a=b"x")).status_code == 400
    wrong = http.put(f"/api/v1/blobs/{blob_of(b'x')}", content=b"y")
    assert (wrong.status_code, wrong.json()["code"]) == (400, "blob-mismatch")
    assert http.put("/api/v1/blobs/b3:..", content=b"y").status_code == 400
    assert http.post("/api/v1/blobs/pack", content=b"noise").status_code == 400
    assert http.get("/api/v1/data/d/compare").status_code == 400
    assert http.get("/api/v1/data/d/compare", params={"form": 1}).json()["detail"] == (
        "Unknown query parameter 'form'." + did_you_mean("form", ["from", "to"])
    )
    assert http.get("/api/v1/data/d/versions/0").status_code == 400
    assert http.get("/api/v1/data/d/versions/1").status_code == 404
    assert http.delete("/api/v1/data/d/versions/latest").status_code == 400
    assert (
        http.put("/api/v1/data/d/expectations", json={"expectations": [{"kind": "odd"}]}).status_code == 400
    )
    assert list(app.blobs.ids()) == []
