"""Bodies and addresses that are no message of the API."""

from tests.wire.differential.accepted import MALFORMED
from tests.wire.differential.script import V2, Script

_AS_JSON = {"content-type": "application/json"}


def bodies(s: Script) -> None:
    """What is no JSON, comes twice encoded, says too much, or has another type."""
    e = s.experiment()
    r = s.run(e, run_name="bodies", start_time=1)
    paths = (
        "/runs/log-metric",
        "/runs/log-batch",
        "/experiments/create",
        "/runs/search",
        "/runs/update",
        "/logged-models/search",
    )
    for path in paths:
        for content in (
            "",
            "{",
            "[]",
            "null",
            "5",
            '"x"',
            "true",
            '{"run_id"',
            "\ufeff{}",
            "{}{}",
            "not json",
        ):
            s.send("POST", V2 + path, content=content, headers=_AS_JSON, about=MALFORMED)
        for content, kind in (("{}", "text/plain"), ("{}", ""), ("a=b", "application/x-www-form-urlencoded")):
            s.send(
                "POST",
                V2 + path,
                content=content,
                headers={"content-type": kind} if kind else {},
                about=MALFORMED,
            )
    metric = f'{{"run_id": "{r}", "key": "m", "value": 1, "timestamp": 5}}'
    for kind in ("application/json; charset=utf-8", "application/json;charset=UTF-8", "APPLICATION/JSON"):
        about = "in large letters" if kind.isupper() else ""
        s.send("POST", f"{V2}/runs/log-metric", content=metric, headers={"content-type": kind}, about=about)
    s.send(
        "POST", f"{V2}/runs/log-metric", content='"' + metric.replace('"', '\\"') + '"', about="encoded twice"
    )
    s.send("POST", f"{V2}/runs/log-metric", content=metric.replace("1", "1.0").replace("5", '"5"'))
    s.post("/runs/log-metric", {"run_id": r, "key": "extra", "value": 1, "timestamp": 5, "newer": {"a": [1]}})
    s.post("/runs/log-metric", {"run_id": r, "run_uuid": r, "key": "both", "value": 1, "timestamp": 5})
    s.send("POST", f"{V2}/runs/log-metric", content=metric[:-1] + ', "key": "last"}', about="a key twice")
    s.get("/runs/get", {"run_id": r})
    s.get("/runs/get", [("run_id", r), ("run_id", "second")], "twice in the query")
    s.send("GET", f"{V2}/runs/get", {"run_id": r}, about="GET with a body")
    s.send("GET", f"{V2}/runs/get", headers={})
    s.post("/runs/set-tag", {"run_id": r, "key": "long", "value": "é" * 8000})
    s.post(
        "/runs/log-batch",
        {"run_id": r, "params": [{"key": f"p{n}", "value": "x" * 6000} for n in range(100)]},
    )
    s.post(
        "/runs/log-batch", {"run_id": r, "tags": [{"key": f"t{n}", "value": "x" * 8000} for n in range(100)]}
    )


def addresses(s: Script) -> None:
    """Addresses that are near those of the API."""
    for path in (
        "/api/2.0/mlflow/nothing",
        "/api/2.0/mlflow/runs/nothing",
        "/api/2.0/mlflow",
        "/api/2.0/",
        "/api/1.0/mlflow/experiments/search",
        "/api/3.0/mlflow/nothing",
        "/api/3.0/mlflow/runs/get",
        "/ajax-api/2.0/mlflow/nothing",
        "/ajax-api/3.0/mlflow/nothing",
        "/ajax-api/2.0/preview/mlflow/experiments/list",
        "/api/2.0/preview/mlflow/experiments/list",
        "/api/2.0/mlflow/experiments/list",
        "/api/2.0/mlflow/runs/get/",
        "/api/2.0/mlflow//runs/get",
        "/api/2.0/mlflow/Runs/get",
    ):
        for method in ("GET", "POST"):
            s.send(method, path, {} if method == "POST" else None)
    for method in ("PUT", "PATCH", "DELETE"):
        s.send(method, "/api/2.0/mlflow/runs/get", {})
    for path in ("/health", "/version", "/api/3.0/mlflow/server-info", "/ajax-api/3.0/mlflow/server-info"):
        s.send("GET", path)
