"""Proxied artifacts: paths, listings, downloads, ranges, deletion, multipart."""

from tests.wire.differential.script import Script

A = "/api/2.0/mlflow-artifacts/artifacts"
MPU = "/api/2.0/mlflow-artifacts/mpu"


def files(s: Script) -> None:
    """Files of runs and models, and paths that lead elsewhere."""
    e = s.experiment()
    r = s.run(e, run_name="files", start_time=1)
    m = s.post("/logged-models", {"experiment_id": e, "name": "m"})["model"]["info"]["model_id"]
    root, of_model = f"{e}/{r}/artifacts", f"{e}/models/{m}/artifacts"

    def put(path: str, content: bytes = b"x", about: str = "") -> None:
        s.send("PUT", f"{A}/{path}", content=content, headers={}, about=about)

    def listing(path: str | None, about: str = "") -> None:
        s.send("GET", A, query=[] if path is None else [("path", path)], about=about)

    listing(root, "before anything is there")
    for name, content in (
        ("MLmodel", b"flavors: {}"),
        ("model/MLmodel", b"flavors: {}"),
        ("model/data/model.bin", bytes(range(256))),
        ("empty.txt", b""),
        ("a b/é.txt", "ü".encode()),
        ("page.html", b"<script>"),
        ("data.json", b'{"a": 1}'),
        ("plot.png", b"\x89PNG"),
        ("table.csv", b"a,b\n"),
        ("notes.md", b"# x"),
        ("no_suffix", b"x"),
        ("x.tar.gz", b"x"),
        ("conf.yaml", b"a: 1"),
    ):
        put(f"{root}/{name}", content)
        s.send("GET", f"{A}/{root}/{name}")
    put(f"{root}/MLmodel", b"flavors: {a: 1}", "again, with another content")
    s.send("GET", f"{A}/{root}/MLmodel")
    put(f"{of_model}/MLmodel", b"flavors: {}")
    for path in (
        root,
        f"{root}/",
        f"{root}/model",
        f"{root}/model/data",
        f"{root}/none",
        f"{root}/empty.txt",
        of_model,
        e,
        f"{e}/{r}",
        f"{e}/models",
        None,
        "",
        ".",
        "/",
        "../x",
        f"{root}/../..",
        "/etc",
        f"{root}/%2e%2e",
        "a//b",
        "none/at/all",
        "file:///etc",
        "a\\b",
        "C:\\x",
        "a#b",
    ):
        listing(path)
    s.get("/artifacts/list", {"run_id": r})
    for path in ("model", "model/data", "none", "", "../..", "/etc", "MLmodel", "a b"):
        s.get("/artifacts/list", {"run_id": r, "path": path})
    s.get("/artifacts/list", {"run_uuid": r})
    s.get("/artifacts/list", {"run_id": "nope"})
    s.get("/artifacts/list")
    s.get(f"/logged-models/{m}/artifacts/directories")
    for path in ("", "none", "../x"):
        s.get(f"/logged-models/{m}/artifacts/directories", {"artifact_directory_path": path})
    s.get("/logged-models/m-none/artifacts/directories")
    for path in (f"{root}/none.txt", f"{root}/model", "none", f"{root}/../x", f"{root}/%2e%2e/x"):
        s.send("GET", f"{A}/{path}", about="a folder" if path.endswith("model") else "")
    for span in (
        "bytes=0-3",
        "bytes=5-",
        "bytes=-4",
        "bytes=300-400",
        "bytes=0-0,2-3",
        "lines=1-2",
        "bytes=4-2",
    ):
        about = "several ranges" if "," in span else "no range" if "lines" in span else ""
        s.send("GET", f"{A}/{root}/model/data/model.bin", headers={"range": span}, about=about)
    s.send("DELETE", f"{A}/{root}/empty.txt", {})
    s.send("DELETE", f"{A}/{root}/empty.txt", {}, about="again")
    s.send("DELETE", f"{A}/{root}/model", {}, about="a folder")
    s.send("DELETE", f"{A}/{root}/none/at/all", {})
    listing(root)
    s.send("GET", "/get-artifact", query={"run_id": r, "path": "data.json"})
    s.send("GET", "/get-artifact", query={"run_uuid": r, "path": "page.html"})
    s.send("GET", "/get-artifact", query={"run_id": r, "path": "none"})
    s.send("GET", "/get-artifact", query={"run_id": r, "path": "../x"})
    s.send(
        "GET",
        f"/ajax-api/2.0/mlflow/logged-models/{m}/artifacts/files",
        query={"artifact_file_path": "MLmodel"},
    )
    s.send(
        "POST",
        "/ajax-api/2.0/mlflow/upload-artifact",
        content="hello",
        query={"run_uuid": r, "path": "up/hello.txt"},
        headers={"content-type": "text/plain"},
    )
    s.send("GET", f"{A}/{root}/up/hello.txt")
    listing(f"{root}/up")
