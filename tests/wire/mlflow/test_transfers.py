"""Files on their way: large ones, parts, ranges, signed addresses, slow and broken connections, and the real client."""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import mlflow
import pytest

from tests.processes import Server, running

FILES = "/api/2.0/mlflow-artifacts/artifacts"
PARTS = "/api/2.0/mlflow-artifacts/mpu"
LARGE = 3 << 20


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose memory and files can be looked at."""
    with running(tmp_path_factory.mktemp("transfers") / "home", "--log-level", "warning") as server:
        yield server


@pytest.fixture
def http(own: Server) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=own.url, timeout=30) as client:
        yield client


@pytest.fixture
def folder(http: httpx2.Client) -> str:
    """The path of the artifacts of a fresh run."""
    run = http.post("/api/2.0/mlflow/runs/create", json={"experiment_id": "0"}).json()["run"]["info"]
    return f"0/{run['run_id']}/artifacts"


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


def head(method: str, path: str, **headers: Any) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Read one answer, and leave what follows in the connection."""
    stream = connection.makefile("rb", buffering=0)
    status = int(stream.readline().split()[1])
    headers: dict[str, str] = {}
    while (line := stream.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    body = b""
    size = int(headers.get("content-length", 0)) if status != 100 else 0
    while len(body) < size:
        body += stream.read(size - len(body)) or b""
    return status, headers, body


def incoming(server: Server) -> list[Path]:
    return [path for path in (server.home / "blobs" / "incoming").rglob("*") if path.is_file()]


def eventually(check: Any) -> None:
    until = time.monotonic() + 20
    while not check() and time.monotonic() < until:
        time.sleep(0.02)
    assert check()


def pss_mb(pid: int) -> float:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) / 1000 for line in text.splitlines() if line.startswith("Pss:"))


def test_large_files_use_no_memory(own: Server, http: httpx2.Client, folder: str) -> None:
    piece = os.urandom(1 << 20)
    http.put(f"{FILES}/{folder}/first", content=piece)
    before = pss_mb(own.pid)
    most = 0.0
    with connect(own) as connection:
        connection.sendall(head("PUT", f"{FILES}/{folder}/large", content_length=96 << 20))
        for _ in range(96):
            connection.sendall(piece)
            most = max(most, pss_mb(own.pid))
        assert answer(connection)[0] == 200
        connection.sendall(head("GET", f"{FILES}/{folder}/large"))
        stream, got = connection.makefile("rb", buffering=1 << 20), 0
        while stream.readline() != b"\r\n":
            pass
        while got < 96 << 20:
            chunk = stream.read(1 << 20)
            assert chunk == piece
            got += len(chunk)
            most = max(most, pss_mb(own.pid))
    assert most - before < 32


def test_one_connection_for_many_requests(own: Server, folder: str) -> None:
    contents = [os.urandom(size) for size in (LARGE, 10, 200_000, 0, 131_072)]
    with connect(own) as connection:
        for number, content in enumerate(contents):
            connection.sendall(
                head("PUT", f"{FILES}/{folder}/{number}", content_length=len(content)) + content
            )
            assert answer(connection)[0] == 200
        for number, content in enumerate(contents):
            connection.sendall(head("GET", f"{FILES}/{folder}/{number}"))
            status, headers, body = answer(connection)
            assert (status, int(headers["content-length"])) == (200, len(content))
            assert body == content


def test_a_body_that_nobody_reads_is_passed_over(own: Server, folder: str) -> None:
    content = os.urandom(LARGE)
    with connect(own) as connection:
        for path in (f"{FILES}/a%23b", "/api/2.0/mlflow/nothing", f"{PARTS}/part/up_none/1"):
            connection.sendall(head("PUT", path, content_length=LARGE) + content)
            assert 400 <= answer(connection)[0] < 500
        connection.sendall(head("PUT", f"{FILES}/{folder}/x", content_length=LARGE) + content)
        assert answer(connection)[0] == 200


def test_clients_that_wait_to_be_asked(own: Server, folder: str) -> None:
    with connect(own) as connection:
        connection.sendall(head("PUT", f"{FILES}/{folder}/x", content_length=LARGE, expect="100-continue"))
        assert answer(connection)[0] == 100
        connection.sendall(os.urandom(LARGE))
        assert answer(connection)[0] == 200


def test_an_upload_in_small_drops_arrives(own: Server, http: httpx2.Client, folder: str) -> None:
    content = os.urandom(300_000)
    with connect(own) as connection:
        connection.sendall(head("PUT", f"{FILES}/{folder}/x", content_length=len(content)))
        for start in range(0, len(content), 60_000):
            connection.sendall(content[start : start + 60_000])
            time.sleep(0.05)
        assert answer(connection)[0] == 200
    assert http.get(f"{FILES}/{folder}/x").content == content


def test_a_cut_connection_leaves_nothing(own: Server, http: httpx2.Client, folder: str) -> None:
    for sent in (0, 1000, LARGE):
        connection = connect(own)
        connection.sendall(head("PUT", f"{FILES}/{folder}/cut", content_length=2 * LARGE) + bytes(sent))
        if sent == LARGE:
            eventually(lambda: incoming(own))
        connection.close()
    eventually(lambda: not incoming(own))
    assert http.get(f"{FILES}/{folder}/cut").status_code == 404
    assert http.get(FILES, params={"path": folder}).json() == {}


def test_a_reader_that_leaves_or_is_slow_harms_nobody(own: Server, http: httpx2.Client, folder: str) -> None:
    content = os.urandom(16 << 20)
    http.put(f"{FILES}/{folder}/x", content=content)
    connections = [connect(own) for _ in range(40)]
    for connection in connections:
        connection.sendall(head("GET", f"{FILES}/{folder}/x"))
    time.sleep(0.3)
    assert http.get("/health").status_code == 200
    slow = connections.pop()
    for connection in connections:
        connection.close()
    body = answer(slow)[2]
    slow.close()
    assert body == content
    assert http.get(f"{FILES}/{folder}/x").content == content


def test_ranges(http: httpx2.Client, folder: str) -> None:
    content = os.urandom(LARGE)
    http.put(f"{FILES}/{folder}/x.bin", content=content)

    def get(method: str = "GET", **headers: str) -> httpx2.Response:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return http.request(method, f"{FILES}/{folder}/x.bin", headers=given)

    whole = get()
    etag = whole.headers["etag"]
    for asked, start, end in [
        ("bytes=0-0", 0, 1),
        ("bytes=5-9", 5, 10),
        (f"bytes={LARGE - 3}-", LARGE - 3, LARGE),
        ("bytes=-4", LARGE - 4, LARGE),
        ("bytes=100-999999999", 100, LARGE),
        ("bytes=1048576-2097151", 1 << 20, 2 << 20),
    ]:
        part = get(range=asked)
        assert (part.status_code, part.content) == (206, content[start:end])
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{LARGE}"
        assert get(range=asked, if_range=etag).status_code == 206
        assert get(range=asked, if_range='"another"').content == content
    beyond = get(range=f"bytes={LARGE}-")
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{LARGE}")
    assert get(range="bytes=x").status_code == get(range="bytes=9-3").status_code == 400
    assert get(range="bytes=0-1,4-5").status_code == 200
    asked_for_head = get("HEAD")
    assert (asked_for_head.headers["content-length"], asked_for_head.content) == (str(LARGE), b"")
    assert get("HEAD", range="bytes=0-9").headers["content-length"] == "10"
    unchanged = get(if_none_match=f'"x", {etag}')
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["content-type"] == "application/octet-stream"


def test_parts_by_hand(own: Server, http: httpx2.Client, folder: str) -> None:
    pieces = [os.urandom(LARGE), os.urandom(LARGE), b"the end"]
    made = http.post(f"{PARTS}/create/{folder}/deep", json={"path": "C:\\data\\x.bin", "num_parts": 3}).json()
    by_number = {one["part_number"]: one["url"] for one in made["credentials"]}
    assert sorted(by_number) == [1, 2, 3]
    tags: dict[int, str] = {}
    for number in (3, 2, 1):
        sent = httpx2.put(by_number[number], content=pieces[number - 1])
        assert sent.status_code == 200, sent.text
        tags[number] = sent.headers["etag"]
    for url in (by_number[1].replace("secret=", "secret=x"), by_number[1].partition("?")[0]):
        assert httpx2.put(url, content=pieces[0]).status_code == 403
    assert httpx2.put(by_number[1].replace("/1?", "/4?"), content=b"x").status_code == 400
    named = [{"part_number": number, "etag": tags[number], "url": "x"} for number in (1, 2, 3)]
    body = {"path": "x.bin", "upload_id": made["upload_id"], "parts": named}
    wrong = {**body, "parts": [{**named[0], "etag": '"0"'}, *named[1:]]}
    for path, sent in [(f"{folder}/deep", wrong), (f"{folder}/deep", {**body, "parts": named[:2]})]:
        assert (
            http.post(f"{PARTS}/complete/{path}", json=sent).json()["error_code"] == "INVALID_PARAMETER_VALUE"
        )
    assert http.post(f"{PARTS}/complete/{folder}", json=body).status_code == 404
    for _ in range(2):  # a client that got no answer asks again
        assert http.post(f"{PARTS}/complete/{folder}/deep", json=body).json() == {}
    assert http.get(f"{FILES}/{folder}/deep/x.bin").content == b"".join(pieces)
    assert http.post(f"{PARTS}/abort/{folder}/deep", json=body).json() == {}
    given_up = http.post(f"{PARTS}/create/{folder}", json={"path": "y", "num_parts": 2}).json()
    httpx2.put(given_up["credentials"][0]["url"], content=b"1")
    abort = {"path": "y", "upload_id": given_up["upload_id"]}
    assert http.post(f"{PARTS}/abort/{folder}", json=abort).json() == {}
    assert httpx2.put(given_up["credentials"][1]["url"], content=b"1").status_code == 404
    assert incoming(own) == []
    for bad in (
        {"num_parts": 2},
        {"path": "x", "num_parts": -1},
        {"path": "x", "num_parts": 10_001},
        {"path": ".."},
    ):
        assert http.post(f"{PARTS}/create/{folder}", json=bad).status_code == 400


def test_signed_addresses(http: httpx2.Client, folder: str) -> None:
    content = os.urandom(LARGE)
    http.put(f"{FILES}/{folder}/a b.bin", content=content)
    given = http.get(f"/api/2.0/mlflow-artifacts/presigned/{folder}/a b.bin").json()
    assert given["headers"] == {}
    assert httpx2.get(given["url"]).content == content
    assert httpx2.get(given["url"], headers={"range": "bytes=5-9"}).content == content[5:10]
    address = urlsplit(given["url"])
    for changed in (
        given["url"].replace("a%20b", "other"),
        given["url"].replace("expires=1", "expires=2"),
        given["url"][:-1] + ("0" if given["url"][-1] != "0" else "1"),
        given["url"].replace("b3%3A", "b3%3Aff"),
        f"{address.scheme}://{address.netloc}{address.path}",
    ):
        refused = httpx2.get(changed)
        assert 400 <= refused.status_code < 500, changed
    assert http.get(f"/api/2.0/mlflow-artifacts/presigned/{folder}/none").status_code == 404


@pytest.mark.parametrize("in_parts", ["true", "false"])
def test_the_real_client(
    each_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_parts: str
) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD", in_parts)
    monkeypatch.setenv("MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD", in_parts)
    monkeypatch.setenv("MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE", "1")
    monkeypatch.setenv("MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE", str(1 << 20))
    (tmp_path / "sub").mkdir()
    contents = {
        "large.bin": os.urandom(3 * LARGE + 17),
        "sub/exact.bin": os.urandom(2 << 20),
        "sub/s.txt": b"x",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    with mlflow.start_run() as run:
        mlflow.log_artifacts(str(tmp_path), "all")
    got = mlflow.artifacts.download_artifacts(
        run_id=run.info.run_id, artifact_path="all", dst_path=str(tmp_path / "got")
    )
    for name, content in contents.items():
        assert (Path(got) / name).read_bytes() == content


def test_the_pages_of_mlflow(http: httpx2.Client, folder: str) -> None:
    run_id = folder.split("/")[1]
    upload = "/ajax-api/2.0/mlflow/upload-artifact"
    assert http.post(upload, params={"run_uuid": run_id, "path": "u/x.txt"}, content=b"text").content == b""
    assert http.get("/get-artifact", params={"run_id": run_id, "path": "u/x.txt"}).content == b"text"
    for params, said in [
        ({"run_uuid": run_id}, "path"),
        ({"path": "x"}, "run_uuid"),
        ({"run_uuid": run_id, "path": "../x"}, "Invalid path"),
        ({"run_uuid": run_id, "path": "empty"}, "data"),
    ]:
        refused = http.post(upload, params=params, content=b"" if said == "data" else b"x")
        assert (refused.status_code, said in refused.json()["message"]) == (400, True)
    too_large = http.post(upload, params={"run_uuid": run_id, "path": "x"}, content=bytes((10 << 20) + 1))
    assert too_large.json()["message"] == "Artifact size is too large. Max size is 10MB."
    for params in (
        {"run_id": run_id, "path": "u"},
        {"run_id": run_id},
        {"run_id": run_id, "path": "../../etc"},
    ):
        assert http.get("/get-artifact", params=params).json()["error_code"] == "INVALID_PARAMETER_VALUE"
    for params in ({"run_id": run_id, "path": "none"}, {"run_id": "none", "path": "x"}):
        assert http.get("/get-artifact", params=params).json()["error_code"] == "RESOURCE_DOES_NOT_EXIST"
    model = http.post("/api/2.0/mlflow/logged-models", json={"experiment_id": "0", "name": "m"}).json()
    model_id = model["model"]["info"]["model_id"]
    http.put(f"{FILES}/0/models/{model_id}/artifacts/MLmodel", content=b"flavors: {}\n")
    files = f"/ajax-api/2.0/mlflow/logged-models/{model_id}/artifacts/files"
    found = http.get(files, params={"artifact_file_path": "MLmodel"})
    assert (found.content, found.headers["content-type"]) == (b"flavors: {}\n", "text/plain")
    assert http.get(files).json()["error_code"] == "BAD_REQUEST"
    http.post("/api/2.0/mlflow/registered-models/create", json={"name": "pages"})
    version = {"name": "pages", "source": f"models:/{model_id}", "model_id": model_id}
    assert http.post("/api/2.0/mlflow/model-versions/create", json=version).status_code == 200
    asked = {"name": "pages", "version": "1", "path": "MLmodel"}
    assert http.get("/model-versions/get-artifact", params=asked).content == b"flavors: {}\n"
    for changed in ({"path": "none"}, {"version": "9"}, {"version": "x"}, {"name": ""}, {"path": "../x"}):
        assert 400 <= http.get("/model-versions/get-artifact", params={**asked, **changed}).status_code < 500


def test_a_server_stops_though_someone_has_stopped_sending(tmp_path: Path) -> None:
    server = Server(tmp_path / "home", "--log-level", "warning")
    server.start()
    with connect(server) as connection:
        connection.sendall(head("PUT", f"{FILES}/0/r/artifacts/x", content_length=LARGE) + bytes(1000))
        eventually(lambda: incoming(server))
        assert server.stop() == 0
    assert incoming(server) == []


def test_what_the_server_says_it_can(http: httpx2.Client) -> None:
    said = http.get("/api/3.0/mlflow/server-info").json()
    assert (said["multipart_uploads_enabled"], said["multipart_downloads_enabled"]) == (True, False)
