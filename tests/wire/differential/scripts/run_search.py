"""The search for runs: its grammar, orderings, pages and views."""

from pathlib import Path

from tests.wire.differential.accepted import MALFORMED
from tests.wire.differential.script import Script

CLAUSES = Path(__file__).with_name("run_clauses.txt").read_text()


def _world(s: Script) -> tuple[str, list[str]]:
    """Make runs that differ in everything that a search can ask for, and return their experiment and ids."""
    e = s.experiment()
    runs: list[str] = []
    for index, name in enumerate(("a", "b", "c", "d", "é", "f", "A")):
        run = s.run(
            e,
            run_name=name,
            start_time=1000 * (index // 2 + 1),
            user_id=f"u{index % 2}",
            tags=[{"key": "idx", "value": str(index)}],
        )
        runs.append(run)
    metrics = (
        ("m", 0, 0.9),
        ("m", 1, 0.5),
        ("m", 2, "NaN"),
        ("m", 3, "Infinity"),
        ("m", 4, "-Infinity"),
        ("val m", 0, 1e-300),
        ("a/b", 0, 1),
        ("a.b", 1, 1),
        ("é", 0, 1),
        ("a-b", 2, 1),
        ("zero", 0, -0.0),
        ("zero", 1, 0.0),
        ("order", 0, 1),
        ("1", 3, 1),
        ("in", 0, 2),
        ("loss", 0, 1),
        ("loss", 1, 1),
        ("loss", 2, 2),
    )
    for key, index, value in metrics:
        s.post("/runs/log-metric", {"run_id": runs[index], "key": key, "value": value, "timestamp": 5})
    params = (
        ("kind", 0, "Tree"),
        ("kind", 1, "tree"),
        ("kind", 2, "linear"),
        ("kind", 5, "TREE"),
        ("num", 0, "5"),
        ("num", 1, "10"),
        ("num", 2, "-3"),
        ("my key", 1, "x%y"),
        ("my key", 0, "xzy"),
        ("q", 0, "it's"),
        ("q", 2, "it''s"),
        ("q", 3, 'say "hi"'),
        ("q", 4, "it\\'s"),
        ("empty", 0, ""),
        ("star", 0, "*"),
        ("star", 1, "a"),
        ("uni", 0, "ÄÖ"),
        ("uni", 1, "äö"),
        ("line", 0, "a\nb"),
        ("back", 0, "a\\b"),
    )
    for key, index, value in params:
        s.post("/runs/log-parameter", {"run_id": runs[index], "key": key, "value": value})
    tags = (
        ("team", 0, "risk"),
        ("team", 2, ""),
        ("team", 3, "Risk"),
        ("team", 6, "ri_k"),
        ("a/b", 0, "1"),
        ("a b", 1, "1"),
        ("mlflow.runName", 5, "renamed"),
        ("mlflow.note.content", 0, "x"),
    )
    for key, index, value in tags:
        s.post("/runs/set-tag", {"run_id": runs[index], "key": key, "value": value})
    s.post("/runs/update", {"run_id": runs[0], "status": "FINISHED", "end_time": 9000})
    s.post("/runs/update", {"run_id": runs[1], "status": "FINISHED", "end_time": 8000})
    s.post("/runs/update", {"run_id": runs[2], "status": "FAILED", "end_time": 9000})
    s.post("/runs/update", {"run_id": runs[3], "status": "KILLED"})
    flights = {"name": "flights", "digest": "d1", "source_type": "local", "source": "x"}
    weather = {"name": "weather", "digest": "d2", "source_type": "local", "source": "y"}
    for index, dataset, context in (
        (0, flights, "training"),
        (0, weather, "eval"),
        (1, flights, "eval"),
        (2, weather, None),
    ):
        tagged = [{"key": "mlflow.data.context", "value": context}] if context else []
        s.post(
            "/runs/log-inputs", {"run_id": runs[index], "datasets": [{"dataset": dataset, "tags": tagged}]}
        )
    return e, runs


def _clauses(part: str, runs: list[str]) -> list[str]:
    """Return the lines of a part of ``run_clauses.txt`` with the ids of runs."""
    written = CLAUSES.partition(f"== {part}\n")[2].partition("\n== ")[0]
    for index, run in enumerate(runs):
        written = written.replace(f"$r{index}$", run)
    return [line.replace("\\n", "\n") for line in written.removesuffix("\n").split("\n")]


def filters(s: Script) -> None:
    """Every clause of the grammar, right and wrong."""
    e, runs = _world(s)
    order = ["attributes.start_time DESC", "tags.idx ASC"]
    for part in ("metrics", "texts", "attributes", "datasets", "broken"):
        for clause in _clauses(part, runs):
            s.post("/runs/search", {"experiment_ids": [e], "filter": clause, "order_by": order})
    for odd in (" ", "", None, 5, [], "x" * 100, "tags.team = '" + "x" * 9000 + "'"):
        s.post("/runs/search", {"experiment_ids": [e], "filter": odd, "order_by": order})


def orders(s: Script) -> None:
    """Orderings with ties and missing values, pages, views and limits."""
    e, runs = _world(s)

    def find(**more: object) -> dict[str, object]:
        return s.post("/runs/search", {"experiment_ids": [e], **more})

    # The identifiers that servers make up break the last ties, so each ordering ends in a tag of our own.
    for clause in _clauses("orders", runs):
        if clause.strip().split(" ")[0].endswith(("run_id", "artifact_uri")):
            find(order_by=[clause], filter="tags.idx = '1'")
        else:
            find(order_by=[clause, "tags.idx"])
    for several in (
        ["metrics.m", "params.kind DESC", "tags.idx"],
        ["params.kind", "metrics.m DESC", "tags.idx"],
        ["metrics.loss", "metrics.m DESC", "tags.idx"],
        ["metrics.m", "metrics.m"],
        ["metrics.m", "metric.m DESC"],
        ["start_time", "attributes.start_time"],
        ["start_time", "created"],
        ["metrics.m", "params.m", "tags.m", "tags.idx"],
        [""],
        ["tags.idx DESC"],
        ["end_time DESC", "start_time ASC", "tags.idx DESC"],
    ):
        find(order_by=several)
    for order in ([5], [None], "metrics.m"):
        s.post("/runs/search", {"experiment_ids": [e], "order_by": order}, MALFORMED)
    for size in (1, 3, 0, -1, 1000, 50_000, 50_001, "5", "x", 1.0, 2**31):
        find(max_results=size, order_by=["tags.idx"])
    for size in (1.5, None, True, [], 2**63):
        s.post("/runs/search", {"experiment_ids": [e], "max_results": size}, MALFORMED)
    for view in ("ACTIVE_ONLY", "DELETED_ONLY", "ALL", "FOO", "", 1, 2, 3, "2", None):
        find(run_view_type=view, order_by=["tags.idx"])
    for view in ([], True):
        s.post("/runs/search", {"experiment_ids": [e], "run_view_type": view}, MALFORMED)
    s.post("/runs/delete", {"run_id": runs[1]})
    for view in ("ACTIVE_ONLY", "DELETED_ONLY", "ALL"):
        find(run_view_type=view, order_by=["tags.idx"])
        find(run_view_type=view, order_by=["metrics.m DESC", "tags.idx"], filter="metrics.m <= 0.9")
    s.post("/runs/restore", {"run_id": runs[1]})
    for order in (
        ["metrics.m DESC", "tags.idx"],
        ["params.kind", "tags.idx"],
        ["tags.team DESC", "tags.idx DESC"],
        ["end_time", "tags.idx"],
        ["tags.idx"],
    ):
        for size in (1, 2, 3):
            token, pages = None, 0
            while pages < 8:
                pages += 1
                more = {"page_token": token} if token else {}
                token = find(order_by=order, max_results=size, **more).get("next_page_token")
                if not token:
                    break
    for bad in ("bad!!", "e30=", "eyJvZmZzZXQiOiAieCJ9", "abc", "''", "", None, "eyJvZmZzZXQiOiAwfQ=="):
        find(page_token=bad, order_by=["tags.idx"])
    s.post("/runs/search", {"experiment_ids": [e], "page_token": 5}, MALFORMED)
    other = s.experiment("other")
    s.run(other, run_name="elsewhere", start_time=5, tags=[{"key": "idx", "value": "9"}])
    for ids in (
        [e, other],
        [other],
        [],
        ["99999"],
        [e, "99999"],
        ["abc"],
        [""],
        None,
        [e, e],
        ["-1"],
        ["1.5"],
    ):
        s.post("/runs/search", {"experiment_ids": ids, "order_by": ["tags.idx"], "max_results": 9})
    for ids in ([5], "x", [None], {}):
        s.post("/runs/search", {"experiment_ids": ids, "max_results": 9}, MALFORMED)
    by_start = s.experiment("by start")
    for start in (3, 1, 2):
        s.run(by_start, run_name=f"at {start}", start_time=start)
    for order in ([], None, ["created DESC"], ["attributes.start_time"]):
        s.post("/runs/search", {"experiment_ids": [by_start], "order_by": order})
    s.post("/runs/search", {})
    s.post("/runs/search", {"filter": "tags.idx = '0'"}, "without experiments")
    s.post(
        "/runs/search", {"experiment_ids": [e], "filter": "tags.idx = '1'", "max_results": 1, "unknown": 5}
    )
    s.send(
        "POST",
        "/ajax-api/2.0/mlflow/runs/search",
        {"experiment_ids": [e], "max_results": 1, "order_by": ["tags.idx"]},
    )
