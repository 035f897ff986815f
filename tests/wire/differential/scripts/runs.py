"""Runs: their life, what is logged to them, batches, inputs and outputs, and the histories of metrics."""

import json

from tests.wire.differential.accepted import MALFORMED
from tests.wire.differential.script import V2, Script

KEYS = (
    "plain",
    "with space",
    "a/b",
    "a.b",
    "a:b",
    "a-b_c",
    "é",
    "日本",
    "k" * 250,
    "a/b.c d-e_f:g/h",
    " leading",
    "trailing ",
    ".hidden",
    "a..b",
    "...",
)
BAD_KEYS = (
    "",
    ".",
    "..",
    "../a",
    "a/../b",
    "a//b",
    "/a",
    "a/",
    "./a",
    "a/.",
    "b*",
    "a%b",
    "a\nb",
    "a\\b",
    "a'b",
    "😀",
    "k" * 251,
)
VALUES = (
    0,
    1,
    -1,
    0.5,
    1e-300,
    1.7976931348623157e308,
    -1.7976931348623157e308,
    5e-324,
    -0.0,
    123456789012345678,
    2**63,
    "NaN",
    "Infinity",
    "-Infinity",
    "5",
    "-1e5",
    "0.1",
)
BAD_VALUES = ("x", "", None, True, [], {}, "nan", "inf", "1,5", "0x10", 1e400)
BAD_WHOLES = ("x", 1.5, True, [], "1.5", 2**63, -(2**63) - 1, "")


def life(s: Script) -> None:
    """Creating, reading, updating, deleting and restoring, with every field missing or wrong once."""
    u = s.unique
    e = s.experiment()
    s.post("/runs/create", {"experiment_id": e, "run_name": "named", "start_time": 1000, "user_id": "u1"})
    s.post("/runs/create", {"experiment_id": e, "start_time": 1000}, "a name is made up")
    s.post("/runs/create", {"experiment_id": e, "run_name": "", "start_time": 0})
    s.post("/runs/create", {"experiment_id": e, "run_name": "no start"})
    s.post("/runs/create", {"experiment_id": e, "run_name": "x", "start_time": "12"})
    s.post("/runs/create", {"experiment_id": e, "run_name": "x", "start_time": 12.0})
    s.post("/runs/create", {"experiment_id": e, "run_name": "x", "start_time": -5})
    s.post("/runs/create", {"experiment_id": e, "run_name": "x", "start_time": None})
    s.post(
        "/runs/create", {"experiment_id": e, "run_name": None, "user_id": None, "tags": None, "start_time": 1}
    )
    s.post("/runs/create", {"run_name": "in the default one", "start_time": 1})
    s.post("/runs/create", {"experiment_id": "", "run_name": "in the default one", "start_time": 1})
    s.post("/runs/create", {"experiment_id": e, "run_name": "é 日本 😀 / .. \\ '\"", "start_time": 1})
    s.post("/runs/create", {"experiment_id": e, "run_name": "n" * 300, "start_time": 1})
    for tags in (
        [{"key": "mlflow.runName", "value": "tagged"}],
        [{"key": "mlflow.runName", "value": ""}],
        [{"key": "mlflow.user", "value": "tagged"}, {"key": "mlflow.parentRunId", "value": "p" * 32}],
        [{"key": "../x", "value": "b"}],
        [{"key": "a"}],
        [{"key": "v", "value": "v" * 8000}],
        [{"key": "empty", "value": ""}],
        [],
    ):
        s.post("/runs/create", {"experiment_id": e, "start_time": 1, "tags": tags})
    s.post(
        "/runs/create",
        {"experiment_id": e, "run_name": "tagged", "tags": [{"key": "mlflow.runName", "value": "tagged"}]},
    )
    s.post(
        "/runs/create",
        {"experiment_id": e, "run_name": "x", "tags": [{"key": "mlflow.runName", "value": "tagged"}]},
    )
    for one in ("99999", "abc", 5, None, [], "1.0"):
        s.post("/runs/create", {"experiment_id": one, "run_name": "x", "start_time": 1})
    for one in BAD_WHOLES:
        s.post("/runs/create", {"experiment_id": e, "run_name": "x", "start_time": one}, MALFORMED)
    for one in (5, [], {}):
        s.post("/runs/create", {"experiment_id": e, "run_name": one, "start_time": 1})
    s.post(
        "/runs/create",
        {"experiment_id": e, "status": "FINISHED", "run_name": "unknown field", "start_time": 1},
    )

    r = s.run(e, run_name="mine", start_time=1000, user_id="u")
    junk = s.run(e, run_name="takes what is wrong, and is not read", start_time=1000)
    s.get("/runs/get", {"run_id": r})
    s.get("/runs/get", {"run_uuid": r})
    s.get("/runs/get", [("run_id", r), ("run_uuid", "nope")])
    for one in ("nope", "", "../x", r.upper(), r[:31], " " + r):
        s.get("/runs/get", {"run_id": one})
    s.get("/runs/get")
    update = "/runs/update"
    for status in ("FINISHED", "FAILED", "KILLED", "SCHEDULED", "RUNNING", 3, 1, "4"):
        s.post(update, {"run_id": r, "status": status})
    for status in ("finished", "DONE", "", 0, 6, -1, None, "9"):
        s.post(update, {"run_id": r, "status": status})
    for status in ([], 1.5):
        s.post(update, {"run_id": junk, "status": status}, MALFORMED)
    for end in (2000, "3000", 4000.0, 0, -1, None):
        s.post(update, {"run_id": r, "end_time": end})
    for end in BAD_WHOLES:
        s.post(update, {"run_id": junk, "end_time": end}, MALFORMED)
    for name in ("renamed", "", None, "日本", "n" * 300):
        s.post(update, {"run_id": r, "run_name": name})
    s.get("/runs/get", {"run_id": r})
    s.post(update, {"run_id": r, "run_name": 5})
    s.post(update, {"run_id": r})
    s.post(update, {"run_uuid": r, "status": "FINISHED", "end_time": 9000})
    s.post(update, {"run_id": "nope", "status": "FINISHED"})
    s.post(update, {"status": "FINISHED"})
    s.post(update, {})
    for path in ("/runs/delete", "/runs/restore"):
        for one in ("nope", "", None, 5):
            s.post(path, {"run_id": one})
        s.post(path, {})
        s.post(path, {"run_uuid": r})
    s.post("/runs/restore", {"run_id": r}, "it is active")
    s.post("/runs/delete", {"run_id": r})
    s.post("/runs/delete", {"run_id": r}, "again")
    s.get("/runs/get", {"run_id": r}, "a deleted one")
    s.post(update, {"run_id": r, "status": "FAILED"})
    s.post("/runs/log-metric", {"run_id": r, "key": "m", "value": 1, "timestamp": 1})
    s.post("/runs/log-parameter", {"run_id": r, "key": "p", "value": "1"})
    s.post("/runs/set-tag", {"run_id": r, "key": "t", "value": "1"})
    s.post("/runs/delete-tag", {"run_id": r, "key": "mlflow.runName"})
    s.post("/runs/log-batch", {"run_id": r, "metrics": [{"key": "m", "value": 1, "timestamp": 1}]})
    s.post("/runs/log-batch", {"run_id": r})
    s.post("/runs/log-inputs", {"run_id": r, "datasets": []})
    s.post("/runs/outputs", {"run_id": r, "models": []})
    s.get("/metrics/get-history", {"run_id": r, "metric_key": "m"})
    s.post("/runs/restore", {"run_id": r})
    s.get("/runs/get", {"run_id": r})
    s.post("/runs/create", {"experiment_id": e, "run_name": f"last {u}", "start_time": 10**15})
    s.post(
        "/runs/create",
        {"experiment_id": e, "run_name": "far", "start_time": 2**62},
        "a time beyond all calendars",
    )


def logging(s: Script) -> None:
    """Single metrics, parameters and tags: keys, values and limits."""
    e = s.experiment()
    r = s.run(e, run_name="logged", start_time=1)
    log, param, tag = "/runs/log-metric", "/runs/log-parameter", "/runs/set-tag"
    for key in (*KEYS, *BAD_KEYS):
        s.post(log, {"run_id": r, "key": key, "value": 1, "timestamp": 1})
        s.post(param, {"run_id": r, "key": key, "value": "1"})
        s.post(tag, {"run_id": r, "key": key, "value": "1"})
    for key in (None, 5, True, []):
        for path, more in (
            (log, {"value": 1, "timestamp": 1}),
            (param, {"value": "1"}),
            (tag, {"value": "1"}),
        ):
            s.post(path, {"run_id": r, "key": key, **more})
    s.get("/runs/get", {"run_id": r})

    r, junk = s.run(e, run_name="values", start_time=1), s.run(e, run_name="is not read", start_time=1)
    for index, value in enumerate(VALUES):
        s.post(log, {"run_id": r, "key": f"v{index}", "value": value, "timestamp": 1})
    for index, value in enumerate(BAD_VALUES):
        body = {"run_id": junk, "key": f"v{index}", "value": value, "timestamp": 1}
        if value == 1e400:
            s.send("POST", V2 + log, content=json.dumps(body).replace("Infinity", "1e400"), about=MALFORMED)
        else:
            s.post(log, body, MALFORMED)
    for bare in ("NaN", "Infinity", "-Infinity"):
        s.send(
            "POST",
            V2 + log,
            content=f'{{"run_id": "{junk}", "key": "bare {bare}", "value": {bare}, "timestamp": 1}}',
        )
    for index, stamp in enumerate((0, 1, "5", 7.0, 2**53, 1_700_000_000_000, -1, None, 9 * 10**15)):
        s.post(log, {"run_id": r, "key": f"at{index}", "value": 1, "timestamp": stamp})
    for index, step in enumerate((0, 1, -1, "5", 7.0, None, 2**63 - 1, -(2**63))):
        s.post(log, {"run_id": r, "key": f"step{index}", "value": 1, "timestamp": 1, "step": step})
    for index, whole in enumerate(BAD_WHOLES):
        s.post(log, {"run_id": junk, "key": f"at{index}", "value": 1, "timestamp": whole}, MALFORMED)
        s.post(
            log, {"run_id": junk, "key": f"step{index}", "value": 1, "timestamp": 1, "step": whole}, MALFORMED
        )
    s.get("/runs/get", {"run_id": r})

    r = s.run(e, run_name="missing fields", start_time=1)
    full = {"run_id": r, "key": "m", "value": 1, "timestamp": 1}
    for field in full:
        s.post(log, {name: value for name, value in full.items() if name != field}, f"without {field}")
    s.post(log, {"run_uuid": r, "key": "by uuid", "value": 1, "timestamp": 1})
    s.post(log, {"run_id": "nope", "key": "m", "value": 1, "timestamp": 1})
    s.post(log, {"run_id": r, "run_uuid": "nope", "key": "both", "value": 1, "timestamp": 1})
    s.post(log, {"run_id": 5, "key": "m", "value": 1, "timestamp": 1})
    for model in ("m-none", "", None, 5):
        s.post(log, {**full, "key": "of model", "model_id": model})
    s.post(log, {**full, "key": "of data", "dataset_name": "d", "dataset_digest": "x"})
    s.get("/metrics/get-history", {"run_id": r, "metric_key": "of data"})

    for body in (
        {"run_id": r, "key": "p"},
        {"run_id": r, "value": "1"},
        {"key": "p2", "value": "1"},
        {"run_id": "nope", "key": "p", "value": "1"},
        {},
    ):
        s.post(param, body)
        s.post(tag, body)
    for index, value in enumerate(("", None, "é 日本 😀", "a\nb", 5, True, [], "v" * 6000, "v" * 6001)):
        s.post(param, {"run_id": r, "key": f"value{index}", "value": value})
    for index, value in enumerate(("", None, "é 日本 😀", "a\nb", 5, True, [], "v" * 8000, "v" * 8001)):
        s.post(tag, {"run_id": r, "key": f"value{index}", "value": value})
    s.post(param, {"run_id": r, "key": "once", "value": "1"})
    s.post(param, {"run_id": r, "key": "once", "value": "1"}, "the same again")
    s.post(param, {"run_id": r, "key": "once", "value": "2"}, "another value")
    s.post(param, {"run_id": r, "key": "once", "value": "1 "}, "another value")
    s.post(param, {"run_id": r, "key": "Once", "value": "2"}, "another case is another key")
    s.post(param, {"run_uuid": r, "key": "by uuid", "value": "2"})
    s.post(tag, {"run_id": r, "key": "again", "value": "1"})
    s.post(tag, {"run_id": r, "key": "again", "value": "2"})
    s.post(tag, {"run_uuid": r, "key": "by uuid", "value": "2"})
    s.post(tag, {"run_id": r, "key": "mlflow.runName", "value": "renamed by tag"})
    s.post(tag, {"run_id": r, "key": "mlflow.runName", "value": ""}, "an empty name")
    s.post(tag, {"run_id": r, "key": "mlflow.note.content", "value": "# Notes"})
    s.get("/runs/get", {"run_id": r})
    untag = "/runs/delete-tag"
    s.post(untag, {"run_id": r, "key": "again"})
    s.post(untag, {"run_id": r, "key": "again"}, "it is gone")
    s.post(untag, {"run_id": r, "key": "mlflow.runName"})
    s.get("/runs/get", {"run_id": r}, "without the tag of its name")
    s.post("/runs/update", {"run_id": r, "run_name": "named anew"})
    for body in (
        {"run_id": r},
        {"key": "a"},
        {},
        {"run_id": "nope", "key": "a"},
        {"run_uuid": r, "key": "by uuid"},
        {"run_id": r, "key": ""},
        {"run_id": r, "key": 5},
    ):
        s.post(untag, body)
    s.get("/runs/get", {"run_id": r})


def histories(s: Script) -> None:
    """What a metric remembers: order, ties, doubles, the latest value, pages, samples."""
    e = s.experiment()
    r = s.run(e, run_name="curves", start_time=1)

    def log(key: str, value: object, at: int, step: int | None = None, **more: object) -> None:
        s.post(
            "/runs/log-metric",
            {
                "run_id": r,
                "key": key,
                "value": value,
                "timestamp": at,
                **({} if step is None else {"step": step}),
                **more,
            },
        )

    for value, at, step in (
        (0.9, 5, 1),
        (0.8, 4, 1),
        (0.85, 5, 1),
        (0.85, 5, 1),
        (0.1, 1, 0),
        (0.2, 9, 0),
        (0.3, 5, -7),
        (0.4, 5, 3),
        (0.45, 4, 3),
    ):
        log("m", value, at, step)
        s.get("/runs/get", {"run_id": r})
    for value, at, step in (
        ("NaN", 5, 1),
        (0.5, 5, 1),
        ("NaN", 5, 2),
        ("NaN", 5, 2),
        ("Infinity", 5, 2),
        ("-Infinity", 5, 2),
        (-1, 5, 3),
        ("NaN", 5, 3),
    ):
        log("nan", value, at, step)
        s.get("/runs/get", {"run_id": r})
    log("zero", -0.0, 1, 0)
    log("zero", 0.0, 1, 0)
    log("neg", -3, 1, 0)
    log("neg", "NaN", 1, 0)
    log("neg2", "NaN", 1, 0)
    log("neg2", -3, 1, 0)
    log("steps", 1, 1, 2**63 - 1)
    log("steps", 2, 1, -(2**63))
    log("steps", 3, 2**53 + 1, 5)
    for n in range(7):
        log("pages", n, 100 - n, n)
    for key in ("m", "nan", "zero", "neg", "neg2", "steps", "none", "M"):
        s.get("/metrics/get-history", {"run_id": r, "metric_key": key})
    s.get("/runs/get", {"run_id": r})
    history = "/metrics/get-history"
    for size in ("1", "2", "7", "8", "0", "-1", "x", "1.5", "", "1000000", "25000"):
        s.get(history, {"run_id": r, "metric_key": "pages", "max_results": size})
    token = ""
    for _ in range(5):
        query = {
            "run_id": r,
            "metric_key": "pages",
            "max_results": "3",
            **({"page_token": token} if token else {}),
        }
        token = s.get(history, query).get("next_page_token", "")
        if not token:
            break
    for bad in ("!!", "abc", "e30=", "", "eyJvZmZzZXQiOiAieCJ9"):
        s.get(history, {"run_id": r, "metric_key": "pages", "max_results": "3", "page_token": bad})
    s.get(history, {"run_uuid": r, "metric_key": "m"})
    s.get(history, {"run_id": "nope", "metric_key": "m"})
    s.get(history, {"run_id": r})
    s.get(history, {"run_id": r, "metric_key": ""})
    s.get(history, {"metric_key": "m"})
    s.get(history)
    s.post("/metrics/get-history", {"run_id": r, "metric_key": "m"}, "by the wrong verb")

    other = s.run(e, run_name="other", start_time=1)
    for n in range(10):
        s.post(
            "/runs/log-metric",
            {"run_id": other, "key": "pages", "value": n * n, "timestamp": 50 + n, "step": n // 2},
        )
    bulk, interval = (
        "/ajax-api/2.0/mlflow/metrics/get-history-bulk",
        "/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval",
    )
    first, second = sorted((r, other))
    both = [("run_id", first), ("run_id", second)]
    s.send("GET", bulk, query=[("run_id", r), ("metric_key", "pages")])
    s.send("GET", bulk, query=[("run_id", other), ("metric_key", "pages"), ("max_results", "4")])
    s.send("GET", bulk, query=[("run_id", "nope"), ("metric_key", "pages")])
    s.send("GET", bulk, query=[("run_id", r), ("run_id", r), ("metric_key", "pages")])
    s.send("GET", bulk, query=[("metric_key", "pages")])
    s.send("GET", bulk, query=both)
    s.send("GET", bulk, query=[("run_id", r), ("metric_key", "none")])
    s.send("GET", bulk, query=[*[("run_id", f"{n:032x}") for n in range(101)], ("metric_key", "pages")])
    s.send("GET", "/api/2.0/mlflow/metrics/get-history-bulk", query=[("run_id", r), ("metric_key", "pages")])
    for prefix in ("/api/2.0/mlflow/metrics/get-history-bulk-interval", interval):
        s.send("GET", prefix, query=[("run_ids", r), ("run_ids", other), ("metric_key", "pages")])
    for size in ("1", "2", "3", "4", "5", "6", "9", "10", "11", "2500", "2501", "0", "-1", "x"):
        s.send("GET", interval, query=[("run_ids", other), ("metric_key", "pages"), ("max_results", size)])
    for start, end in (
        ("0", "2"),
        ("2", "2"),
        ("3", "1"),
        ("0", ""),
        ("100", "200"),
        ("-5", "1"),
        ("x", "1"),
    ):
        s.send(
            "GET",
            interval,
            query=[("run_ids", other), ("metric_key", "pages"), ("start_step", start), ("end_step", end)],
        )
    s.send("GET", interval, query=[("run_ids", other), ("metric_key", "pages"), ("start_step", "0")])
    s.send("GET", interval, query=[("run_ids", other), ("metric_key", "pages"), ("end_step", "0")])
    s.send("GET", interval, query=[("run_ids", r), ("metric_key", "nan")])
    s.send("GET", interval, query=[("run_ids", "nope"), ("metric_key", "pages")])
    s.send("GET", interval, query=[("metric_key", "pages")])
    s.send("GET", interval, query=[("run_ids", r)])
    s.send("GET", interval, query=[*[("run_ids", f"{n:032x}") for n in range(101)], ("metric_key", "pages")])


def batches(s: Script) -> None:
    """Batches: doubles within, what fails as a whole, and the limits."""
    e = s.experiment()
    r = s.run(e, run_name="batch", start_time=1)

    junk = s.run(e, run_name="is not read", start_time=1)

    def batch(about: str = "", **body: object) -> None:
        s.post("/runs/log-batch", {"run_id": r, **body}, about)

    def metric(key: object = "m", value: object = 1, at: object = 1, **more: object) -> dict[str, object]:
        return {"key": key, "value": value, "timestamp": at, **more}

    batch()
    batch(metrics=[], params=[], tags=[])
    batch(metrics=None, params=None, tags=None)
    batch(
        metrics=[metric("a", 1, 1, step=0), metric("a", 2, 2, step=1), metric("a", 1, 1, step=0)],
        params=[{"key": "p", "value": "1"}],
        tags=[{"key": "t", "value": "1"}],
    )
    s.get("/runs/get", {"run_id": r})
    s.get("/metrics/get-history", {"run_id": r, "metric_key": "a"})
    batch(metrics=[metric("n", "NaN"), metric("n", "NaN"), metric("n", 1), metric("n", "Infinity", step=-1)])
    s.get("/metrics/get-history", {"run_id": r, "metric_key": "n"})
    batch(metrics=[metric("a", 5, 1, step=0), metric("../bad", 1)], about="one bad key refuses all")
    batch(
        params=[{"key": "p2", "value": "1"}],
        metrics=[metric("a", None)],
        about="one missing value refuses all",
    )
    s.get("/runs/get", {"run_id": r})
    batch(params=[{"key": "p", "value": "1"}, {"key": "p3", "value": "3"}], about="one is there already")
    batch(params=[{"key": "p", "value": "other"}, {"key": "p4", "value": "4"}], about="one has another value")
    batch(params=[{"key": "p", "value": "other"}])
    batch(params=[{"key": "q", "value": "1"}, {"key": "q", "value": "1"}], about="twice the same")
    batch(params=[{"key": "q", "value": "1"}, {"key": "q", "value": "2"}], about="twice")
    batch(tags=[{"key": "q", "value": "1"}, {"key": "q", "value": "2"}], about="the last one counts")
    batch(tags=[{"key": "mlflow.runName", "value": "by batch"}, {"key": "z", "value": ""}])
    batch(tags=[{"key": "mlflow.runName", "value": ""}])
    s.get("/runs/get", {"run_id": r})
    for bad in (
        {"metrics": [{"value": 1, "timestamp": 1}]},
        {"metrics": [{"key": "m", "timestamp": 1}]},
        {"metrics": [{"key": "m", "value": 1}]},
        {"metrics": [metric(""), metric("ok")]},
        {"metrics": [metric(None)]},
        {"metrics": [metric(5)]},
        {"metrics": [metric("m", None)]},
        {"metrics": [metric("m", "")]},
        {"metrics": [metric("m", True)]},
        {"metrics": [metric("m", [])]},
        {"metrics": [metric("m", 1, -1)]},
        {"metrics": [metric("m", 1, "x")]},
        {"metrics": [metric("m", 1, 1.5)]},
        {"metrics": [metric("m", 1, 1, step="x")]},
        {"metrics": [metric("m", 1, 1, step=1.5)]},
        {"metrics": [metric("m", 1, 1, step=None)]},
        {"metrics": [metric("k" * 251)]},
        {"metrics": {"key": "m"}},
        {"metrics": "m"},
        {"metrics": ["m"]},
        {"metrics": [None]},
        {"metrics": [[]]},
        {"params": [{"value": "1"}]},
        {"params": [{"key": "", "value": "1"}]},
        {"params": [{"key": None, "value": "1"}]},
        {"params": [{"key": 5, "value": "1"}]},
        {"params": [{"key": "five", "value": 5}]},
        {"params": [{"key": "nothing"}]},
        {"params": [{"key": "none", "value": None}]},
        {"params": [{"key": "k" * 251, "value": "1"}]},
        {"params": [{"key": "a/../b", "value": "1"}]},
        {"params": "p"},
        {"tags": [{"value": "1"}]},
        {"tags": [{"key": "", "value": "1"}]},
        {"tags": [{"key": "five", "value": 5}]},
        {"tags": [{"key": "nothing"}]},
        {"tags": [{"key": "k" * 251, "value": "1"}]},
        {"tags": [{"key": "..", "value": "1"}]},
        {"tags": {"a": "b"}},
        {"run_id": 5},
        {"run_id": ""},
        {"run_id": None},
        {"run_id": "nope"},
        {"run_id": "../x"},
        {"run_id": "a b"},
        {"run_id": "x" * 257},
    ):
        batch(MALFORMED, **{"run_id": junk, **bad})
    s.post("/runs/log-batch", {})
    s.post("/runs/log-batch", {"metrics": [metric()]})
    s.post("/runs/log-batch", {"run_uuid": r, "metrics": [metric()]})
    batch(
        params=[{"key": "long", "value": "v" * 6001}],
        tags=[{"key": "long", "value": "v" * 8001}],
        about="long values are cut",
    )
    s.get("/runs/get", {"run_id": r})

    many = s.run(e, run_name="many", start_time=1)
    small = [{"key": "m", "value": n, "timestamp": n} for n in range(1001)]
    pairs = [{"key": f"k{n}", "value": "1"} for n in range(101)]
    for counts in (
        (1001, 0, 0),
        (1000, 0, 0),
        (0, 101, 0),
        (0, 100, 0),
        (0, 0, 101),
        (0, 0, 100),
        (801, 100, 100),
        (800, 100, 100),
    ):
        metrics, params, tags = counts
        s.post(
            "/runs/log-batch",
            {"run_id": many, "metrics": small[:metrics], "params": pairs[:params], "tags": pairs[:tags]},
            str(counts),
        )
    s.get("/metrics/get-history", {"run_id": many, "metric_key": "m", "max_results": "2"})


def links(s: Script) -> None:
    """Data sets and models that went into runs, models that came out, and the legacy way of logging models."""
    e = s.experiment()
    r, q = s.run(e, run_name="one", start_time=2), s.run(e, run_name="two", start_time=1)
    junk = s.run(s.experiment("junk"), run_name="is not read", start_time=1)

    def data(name: object = "flights", digest: object = "d1", **more: object) -> dict[str, object]:
        return {"name": name, "digest": digest, "source_type": "local", "source": "here", **more}

    def inputs(*datasets: object, run: str = r, about: str = "") -> None:
        s.post("/runs/log-inputs", {"run_id": run, "datasets": list(datasets)}, about)

    context = [{"key": "mlflow.data.context", "value": "training"}, {"key": "other", "value": "1"}]
    inputs({"dataset": data(schema="{}", profile=""), "tags": context})
    s.get("/runs/get", {"run_id": r})
    inputs({"dataset": data(source="elsewhere"), "tags": [{"key": "mlflow.data.context", "value": "eval"}]})
    inputs({"dataset": data(), "tags": []}, {"dataset": data(), "tags": context}, run=q)
    inputs(
        {"dataset": data("weather", "d2", profile='{"rows": 5}')}, {"dataset": data("flights", "d9")}, run=q
    )
    for one in (r, q):
        s.get("/runs/get", {"run_id": one})
    for bad in (
        {"dataset": {"name": "flights"}},
        {"dataset": {"digest": "d"}},
        {"dataset": {}},
        {"dataset": None},
        {},
        {"tags": context},
        {"dataset": data("n" * 501)},
        {"dataset": data("n" * 500)},
        {"dataset": data(digest="d" * 37)},
        {"dataset": data(digest="d" * 36)},
        {"dataset": data(source="s" * 65_536)},
        {"dataset": data("")},
        {"dataset": data(digest="")},
        {"dataset": data(5)},
        {"dataset": data("tagged"), "tags": [{"key": "k" * 256, "value": "1"}]},
        {"dataset": data("tagged"), "tags": [{"key": "k", "value": "v" * 501}]},
        {"dataset": data("tagged"), "tags": [{"key": "k"}]},
        {"dataset": data("tagged"), "tags": [{"value": "v"}]},
        {"dataset": data("tagged"), "tags": "x"},
        "x",
    ):
        inputs(bad, run=junk, about=MALFORMED)
    s.post("/runs/log-inputs", {"run_id": r})
    s.post("/runs/log-inputs", {})
    s.post("/runs/log-inputs", {"run_id": "nope", "datasets": []})
    s.post("/runs/log-inputs", {"run_id": "../x", "datasets": []})
    s.post("/runs/log-inputs", {"run_id": r, "datasets": "x"})
    s.post("/runs/log-inputs", {"run_id": r, "datasets": {"a": 1}})
    s.post("/runs/log-inputs", {"run_uuid": r, "datasets": []})
    m = s.post("/logged-models", {"experiment_id": e, "name": "m"})["model"]["info"]["model_id"]
    s.post("/runs/log-inputs", {"run_id": r, "models": [{"model_id": m}]})
    s.post("/runs/log-inputs", {"run_id": r, "models": [{"model_id": m}, {"model_id": "m-none"}]})
    s.post("/runs/log-inputs", {"run_id": junk, "models": [{}]}, MALFORMED)
    s.post("/runs/log-inputs", {"run_id": r, "models": "x"})
    for models in (
        [{"model_id": m, "step": 3}],
        [{"model_id": "m-1", "step": "4"}],
        [{"model_id": "m-none", "step": -1}, {"model_id": "m-2"}],
        [],
        None,
    ):
        s.post("/runs/outputs", {"run_id": q, "models": models})
    s.post("/runs/outputs", {"run_id": q, "models": [{"model_id": m, "step": 3}]}, "sent again")
    for models in ([{}], "x", [{"model_id": "m-3", "step": "x"}]):
        s.post("/runs/outputs", {"run_id": junk, "models": models}, MALFORMED)
    s.post("/runs/outputs", {"run_id": q})
    s.post("/runs/outputs", {"models": [{"model_id": m}]})
    s.post("/runs/outputs", {"run_id": "nope", "models": [{"model_id": m}]})
    s.post("/runs/outputs", {})
    for one in (r, q):
        s.get("/runs/get", {"run_id": one})
    s.post("/runs/search", {"experiment_ids": [e]})
    for path in ("/api/2.0/mlflow", "/ajax-api/2.0/mlflow"):
        s.send("POST", f"{path}/experiments/search-datasets", {"experiment_ids": [e]})
    ajax = "/ajax-api/2.0/mlflow/experiments/search-datasets"
    for ids in ([], ["99999"], [e, "0"], ["abc"], [str(n) for n in range(21)], "x", None):
        s.send("POST", ajax, {"experiment_ids": ids})
    s.send("POST", ajax, {})

    model = {
        "artifact_path": "m",
        "flavors": {"python_function": {"a": 1}},
        "utc_time_created": "2024-01-01 00:00:00",
        "run_id": "x",
        "model_uuid": "u1",
    }
    s.post("/runs/log-model", {"run_id": r, "model_json": json.dumps(model)})
    s.get("/runs/get", {"run_id": r})
    s.post(
        "/runs/log-model",
        {
            "run_id": r,
            "model_json": json.dumps({**model, "artifact_path": "n"}),
        },
    )
    s.get("/runs/get", {"run_id": r})
    for text in ("{", "{}", "[]", "null", '"x"', "", None, 5, json.dumps({"artifact_path": "m"})):
        s.post("/runs/log-model", {"run_id": r, "model_json": text})
    s.post("/runs/log-model", {"run_id": r})
    s.post("/runs/log-model", {"run_id": "nope", "model_json": json.dumps(model)})
    s.post("/runs/log-model", {"model_json": json.dumps(model)})
