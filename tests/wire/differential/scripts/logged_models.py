"""Logged models: their life, and the search for them."""

from tests.wire.differential.accepted import MALFORMED
from tests.wire.differential.script import Script

MODELS = "/logged-models"
FILTERS = """name = 'alpha'|name != 'alpha'|name LIKE 'al%'|name LIKE 'AL%'|name ILIKE 'AL%'|name like 'al%'|name ilike 'AL%'|name IN ('alpha','beta')|name in ('alpha')|name NOT IN ('alpha')|name not in ('alpha')|name IN ('alpha')|name IN ()|name IN (1)|name = "alpha"|name = alpha|name = ''|name = 5|name > 'a'|name IS NULL|name IS NOT NULL
model_id = '$m0$'|model_id IN ('$m0$', '$m1$')|model_id != '$m0$'|model_id LIKE 'm-%'|attributes.model_id = '$m0$'|attribute.model_id = '$m0$'|attributes.name = 'alpha'|attr.name = 'alpha'|`name` = 'alpha'|attributes.`name` = 'alpha'|"name" = 'alpha'
model_type = 'tree'|model_type != 'tree'|model_type = ''|model_type LIKE 't%'|source_run_id = '$r$'|source_run_id != '$r$'|source_run_id IN ('$r$')|source_run_id = ''|status = 'READY'|status = 2|status = 'LOGGED_MODEL_READY'|artifact_location LIKE 'mlflow%'|lifecycle_stage = 'active'|lifecycle_stage != 'active'|experiment_id > 0|experiment_id = '0'|experiment_id = 0|experiment_id IN ('0')
creation_timestamp > 0|creation_timestamp_ms > 0|creation_time > 0|creation_time < 5|creation_timestamp LIKE 'x'|creation_timestamp > 'x'|creation_timestamp > '5'|creation_timestamp > 1.5|last_updated_timestamp > 0|last_updated_timestamp_ms > 5|last_update_time > 0|last_updated_timestamp = 0
metrics.auc > 0.6|metrics.auc < 0.6|metrics.auc = 0.7|metrics.auc != 0.7|metrics.auc >= 0.7|metrics.auc <= 0.7|metrics.none > 1|metrics.auc LIKE 'x'|metrics.auc > '0.5'|metrics.auc > x|metrics.auc IN (1)|metric.auc > 0.1|metrics.`auc` > 0.6|metrics."auc" > 0.6|metrics.AUC > 0.1|metrics.nan > 0|metrics.nan != 5|metrics.nan = 0|metrics.inf > 5|metrics.inf < 5|metrics.`a b` > 0|metrics.a/b > 0|metrics.auc > -1|metrics.auc > 1e-3|metrics.auc > .5|metrics.auc > NaN
params.lr = '0.1'|params.lr = 0.1|params.lr != '0.1'|params.lr LIKE '0%'|params.lr ILIKE '0%'|params.lr IN ('0.1')|params.lr NOT IN ('0.1')|params.lr > '0'|params.none = '1'|params.none != '1'|param.lr = '0.1'|params.`lr` = '0.1'|params.lr IS NULL|params.kind = 'Tree'|params.kind = 'tree'|params.kind ILIKE 'tREE'|params.kind LIKE 'T_ee'
tags.b = '3'|tags.b != '3'|tags.`b` = '3'|tags.b LIKE '3'|tags.b IN ('3')|tags.none = '1'|tag.b = '3'|tags.b = 3|tags.mlflow.user = 'x'|tags.`mlflow.user` = 'x'|tags.b IS NOT NULL|tags.q = 'it''s'|tags.q = "it's"|tags.empty = ''
foo = 'x'|foo.x = 1|name = 'alpha' AND metrics.auc > 0.1|name = 'alpha' and metrics.auc > 0.1|metrics.auc > 0.1 AND metrics.auc < 0.8|metrics.auc > 0.1 AND params.lr = '0.1' AND tags.b = '3'|name = 'alpha' OR name = 'beta'|name|name =|(name = 'alpha')|NOT name = 'alpha'|name = 'alpha' name = 'beta'|AND name = 'alpha'|name = 'alpha' AND|name == 'alpha'|name <> 'alpha'|;|name = 'alpha';|name = 'alpha'; name = 'beta'|'alpha' = name|metrics.auc|metrics.|.auc > 1|name = 'alpha|name='alpha'|name  =  'alpha'"""


def life(s: Script) -> None:
    """Creating, finishing, tagging, deleting, with every field missing or wrong once."""
    e = s.experiment()
    r = s.run(e, run_name="source", start_time=1)
    full = {"experiment_id": e, "name": "full", "model_type": "tree", "source_run_id": r}
    made = s.post(
        MODELS, {**full, "params": [{"key": "lr", "value": "0.1"}], "tags": [{"key": "a", "value": "1"}]}
    )
    m = made["model"]["info"]["model_id"]
    junk = s.post(MODELS, {"experiment_id": e, "name": "junk"})["model"]["info"]["model_id"]
    s.post(MODELS, {"experiment_id": e}, "a name is made up")
    s.post(MODELS, {"experiment_id": e, "name": ""})
    s.post(
        MODELS,
        {
            "experiment_id": e,
            "name": None,
            "model_type": None,
            "source_run_id": None,
            "params": None,
            "tags": None,
        },
    )
    s.post(MODELS, {"experiment_id": e, "name": "full"}, "names may be shared")
    s.post(MODELS, {"experiment_id": "0", "name": "default"})
    for name in (
        "a/b",
        "a:b",
        "a.b",
        "a%b",
        'a"b',
        "a'b",
        " ",
        "é 日本",
        "n" * 250,
        "n" * 501,
        "a\\b",
        "a b-c_d",
    ):
        s.post(MODELS, {"experiment_id": e, "name": name})
    s.post(MODELS, {})
    s.post(MODELS, {"name": "x"})
    for one in ("999999", "abc", ""):
        s.post(MODELS, {"experiment_id": one, "name": "x"})
    for wrong in (
        {"experiment_id": 5},
        {"name": 5},
        {"model_type": 5},
        {"source_run_id": 5},
        {"params": "x"},
        {"params": [{"key": 5}]},
        {"tags": {"a": "b"}},
        {"tags": ["a"]},
    ):
        s.post(MODELS, {"experiment_id": e, **wrong}, MALFORMED)
    for params in (
        [{"key": "a"}],
        [{"key": "", "value": "1"}],
        [{"value": "1"}],
        [{"key": "k" * 250, "value": "v" * 6000}],
        [{"key": "a/b.c é", "value": ""}],
        [],
    ):
        about = "" if all(one.get("key") for one in params) else MALFORMED
        s.post(MODELS, {"experiment_id": e, "name": "p", "params": params}, about)
        s.post(MODELS, {"experiment_id": e, "name": "t", "tags": params}, about)
    s.post(
        MODELS,
        {
            "experiment_id": e,
            "name": "twice",
            "tags": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}],
        },
    )
    s.post(
        MODELS,
        {
            "experiment_id": e,
            "name": "twice",
            "params": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}],
        },
    )
    s.post(MODELS, {"experiment_id": e, "name": "lost", "source_run_id": "nope"})

    s.get(f"{MODELS}/{m}")
    for one in ("m-none", "x", "m-" + "0" * 32):
        s.get(f"{MODELS}/{one}")
    for status in ("LOGGED_MODEL_READY", 1, 2, 3, "LOGGED_MODEL_UPLOAD_FAILED", "2"):
        s.patch(f"{MODELS}/{m}", {"model_id": m, "status": status})
    for status in ("READY", "", 0, 9, -1):
        s.patch(f"{MODELS}/{junk}", {"model_id": junk, "status": status}, MALFORMED)
    s.patch(f"{MODELS}/{m}", {"model_id": m, "status": None})
    for status in ([], True, 1.5, "LOGGED_MODEL_STATUS_UNSPECIFIED"):
        s.patch(f"{MODELS}/{junk}", {"model_id": junk, "status": status}, MALFORMED)
    s.patch(f"{MODELS}/{m}", {"model_id": m})
    s.patch(f"{MODELS}/{m}", {"status": 2}, "without the id in the body")
    s.patch(f"{MODELS}/{m}", {})
    s.patch(f"{MODELS}/m-none", {"model_id": "m-none", "status": 2})
    s.patch(f"{MODELS}/{m}", {"model_id": m, "status": 2})

    tags = f"{MODELS}/{m}/tags"
    s.patch(tags, {"model_id": m, "tags": [{"key": "b", "value": "2"}, {"key": "b", "value": "3"}]})
    s.patch(tags, {"tags": [{"key": "a/b", "value": "é"}, {"key": "empty"}, {"key": "c", "value": ""}]})
    s.patch(f"{MODELS}/{junk}/tags", {"tags": [{"key": "a/b", "value": "1"}]})
    s.patch(tags, {"tags": []})
    s.patch(tags, {})
    s.patch(f"{MODELS}/m-none/tags", {"tags": [{"key": "a", "value": "1"}]})
    s.patch(f"{MODELS}/{junk}/tags", {"tags": "x"}, MALFORMED)
    s.patch(f"{MODELS}/{junk}/tags", {"tags": [{"value": "x"}]}, MALFORMED)
    s.get(f"{MODELS}/{m}")
    s.delete(f"{tags}/a")
    s.delete(f"{tags}/a", about="it is gone")
    s.delete(f"{MODELS}/{junk}/tags/a/b", about="a key with a slash")
    s.delete(f"{MODELS}/m-none/tags/a")
    params = f"{MODELS}/{m}/params"
    s.post(params, {"model_id": m, "params": [{"key": "depth", "value": "3"}]})
    s.post(params, {"params": [{"key": "width", "value": "3"}]}, "without the id in the body")
    s.post(params, {"model_id": m, "params": []})
    s.post(params, {"model_id": m})
    s.post(params, {"model_id": m, "params": [{"key": "depth", "value": "4"}]}, "another value")
    s.post(params, {"model_id": m, "params": [{"key": "depth", "value": "3"}]}, "the same value")
    s.post(f"{MODELS}/m-none/params", {"model_id": "m-none", "params": [{"key": "a", "value": "1"}]})
    s.post(f"{MODELS}/m-none/params", {"model_id": "m-none", "params": []})
    s.get(f"{MODELS}/{m}")

    log = "/runs/log-metric"
    s.post(
        log,
        {
            "run_id": r,
            "key": "auc",
            "value": 0.5,
            "timestamp": 1,
            "step": 1,
            "model_id": m,
            "dataset_name": "train",
            "dataset_digest": "d1",
        },
    )
    s.post(
        log,
        {
            "run_id": r,
            "key": "auc",
            "value": 0.9,
            "timestamp": 2,
            "step": 2,
            "model_id": m,
            "dataset_name": "test",
            "dataset_digest": "d2",
        },
    )
    s.post(
        log,
        {
            "run_id": r,
            "key": "auc",
            "value": 0.9,
            "timestamp": 2,
            "step": 2,
            "model_id": m,
            "dataset_name": "test",
            "dataset_digest": "d2",
        },
        "the same again",
    )
    s.post(log, {"run_id": r, "key": "nan", "value": "NaN", "timestamp": 1, "model_id": m})
    s.post(
        "/runs/log-batch",
        {
            "run_id": r,
            "metrics": [
                {"key": "auc", "value": 0.7, "timestamp": 3, "step": 3, "model_id": m},
                {"key": "loss", "value": 0.1, "timestamp": 1},
                {"key": "f1", "value": 0.2, "timestamp": 1, "model_id": m, "run_id": r},
            ],
        },
    )
    s.post(
        "/runs/log-batch",
        {
            "run_id": r,
            "metrics": [
                {"key": "kept", "value": 0.7, "timestamp": 1},
                {"key": "lost", "value": 0.7, "timestamp": 1, "model_id": "m-none"},
            ],
        },
        "a model that is not there",
    )
    s.get("/metrics/get-history", {"run_id": r, "metric_key": "auc"})
    s.get(f"{MODELS}/{m}")
    s.delete(f"{MODELS}/{m}")
    s.delete(f"{MODELS}/{m}", about="again")
    s.get(f"{MODELS}/{m}")
    for allowed in ("true", "True", "false", "1", ""):
        s.get(f"{MODELS}/{m}", {"allow_deleted": allowed})
    s.patch(f"{MODELS}/{m}", {"model_id": m, "status": 2}, "a deleted one")
    s.patch(tags, {"tags": [{"key": "after", "value": "1"}]}, "a deleted one")
    s.post(params, {"model_id": m, "params": [{"key": "after", "value": "3"}]}, "a deleted one")
    s.delete(f"{MODELS}/m-none")
    s.get(f"{MODELS}/{junk}/artifacts/directories")
    s.post(MODELS, {"experiment_id": e, "name": "last"})
    s.send("GET", f"/ajax-api/2.0/mlflow{MODELS}/{m}", query={"allow_deleted": "true"})


def search(s: Script) -> None:
    """Filters, data sets, orderings by objects, pages."""
    e, other = s.experiment(), s.experiment("other")
    r = s.run(e, run_name="source", start_time=1)
    models: list[str] = []
    shapes = (
        ("alpha", "tree", r, "0.1", "Tree", {"b": "3", "q": "it's"}),
        ("beta", "tree", "", "0.5", "tree", {"b": "4", "empty": ""}),
        ("gamma", "", "", None, None, {}),
        ("alpha2", "net", r, "0.1", None, {"b": "3"}),
    )
    for name, kind, run, rate, tree, tags in shapes:
        params = [
            {"key": key, "value": value} for key, value in (("lr", rate), ("kind", tree)) if value is not None
        ]
        body = {
            "experiment_id": e,
            "name": name,
            "model_type": kind,
            "source_run_id": run,
            "params": params,
            "tags": [{"key": key, "value": value} for key, value in tags.items()],
        }
        models.append(s.post(MODELS, body)["model"]["info"]["model_id"])
    s.post(MODELS, {"experiment_id": other, "name": "elsewhere"})
    unread = s.post(MODELS, {"experiment_id": s.experiment("unread")})["model"]["info"]["model_id"]
    s.patch(f"{MODELS}/{models[0]}", {"model_id": models[0], "status": 2})
    gone = s.post(MODELS, {"experiment_id": e, "name": "gone"})["model"]["info"]["model_id"]
    s.delete(f"{MODELS}/{gone}")
    metrics = (
        (0, "auc", 0.5, 1, "train", "d1"),
        (0, "auc", 0.9, 2, "test", "d2"),
        (1, "auc", 0.7, 1, "train", "d1"),
        (1, "auc", 0.6, 3, "test", "d3"),
        (3, "auc", 0.7, 5, None, None),
        (0, "nan", "NaN", 1, None, None),
        (1, "nan", 5, 1, None, None),
        (0, "inf", "Infinity", 1, None, None),
        (1, "inf", "-Infinity", 1, None, None),
        (2, "a b", 1, 1, None, None),
        (2, "a/b", 1, 1, None, None),
    )
    for index, key, value, step, dataset, digest in metrics:
        about = {"dataset_name": dataset, "dataset_digest": digest} if dataset else {}
        s.post(
            "/runs/log-metric",
            {
                "run_id": r,
                "key": key,
                "value": value,
                "timestamp": 10 * step,
                "step": step,
                "model_id": models[index],
                **about,
            },
        )
    for step, digest in ((7, "d1"), (7, "d2")):
        about = "" if digest == "d1" else "of two data sets at a step"
        other_model = {"model_id": unread, "dataset_name": "train", "dataset_digest": digest}
        s.post(
            "/runs/log-metric",
            {"run_id": r, "key": "acc", "value": 1, "timestamp": 5, "step": step, **other_model},
            about,
        )
    by_name = [{"field_name": "name", "ascending": True}]

    def find(**more: object) -> dict[str, object]:
        return s.post(f"{MODELS}/search", {"experiment_ids": [e], "order_by": by_name, **more})

    find()
    written = FILTERS.replace("$r$", r)
    for index, model in enumerate(models):
        written = written.replace(f"$m{index}$", model)
    for clause in written.replace("\n", "|").split("|"):
        find(filter=clause)
    for clause in ("", " ", None):
        find(filter=clause)
    for datasets in (
        [{"dataset_name": "train"}],
        [{"dataset_name": "test", "dataset_digest": "d2"}],
        [{"dataset_name": "test", "dataset_digest": "zz"}],
        [{"dataset_digest": "d2"}],
        [{}],
        [{"dataset_name": ""}],
        [{"dataset_name": "none"}],
        [{"dataset_name": "train"}, {"dataset_name": "test"}],
        [],
        None,
    ):
        find(datasets=datasets)
        find(datasets=datasets, filter="metrics.auc > 0.6")
        find(datasets=datasets, filter="metrics.auc > 0.6 AND name LIKE 'a%'")
    for wrong in ("x", [5], ["train"], {"dataset_name": "train"}):
        s.post(f"{MODELS}/search", {"experiment_ids": [e], "datasets": wrong}, MALFORMED)
    for order in (
        [{"field_name": "metrics.auc", "ascending": False}],
        [{"field_name": "metrics.auc", "ascending": True}],
        [{"field_name": "metrics.auc"}],
        [{"field_name": "metrics.auc", "dataset_name": "train"}],
        [{"field_name": "metrics.auc", "dataset_name": "test", "dataset_digest": "d2"}],
        [{"field_name": "metrics.auc", "dataset_digest": "d3"}],
        [{"field_name": "metrics.none"}],
        [{"field_name": "metrics.nan", "ascending": False}],
        [{"field_name": "metrics.inf", "ascending": False}],
        [{"field_name": "metrics.`auc`"}],
        [{"field_name": "metrics.`a b`"}],
        [{"field_name": "metrics.a b"}],
        [{"field_name": "metrics.a/b"}],
        [{"field_name": "name", "ascending": False}],
        [{"field_name": "model_type"}],
        [{"field_name": "model_type", "ascending": False}],
        [{"field_name": "source_run_id", "ascending": False}],
        [{"field_name": "status"}],
        [{"field_name": "creation_time", "ascending": True}],
        [{"field_name": "creation_timestamp", "ascending": True}],
        [{"field_name": "last_updated_timestamp", "ascending": True}],
        [{"field_name": "experiment_id"}],
        [{"field_name": "foo"}],
        [{"field_name": "params.lr"}],
        [{"field_name": "tags.b"}],
        [{"field_name": "attributes.name"}],
        [{"field_name": ""}],
        [{}],
    ):
        find(order_by=[*order, *by_name])
    for order in ([], None):
        find(order_by=order, filter="name = 'alpha'")
    for wrong in (["name"], "name", [5], [{"field_name": 5}], [{"field_name": "name", "ascending": "x"}]):
        s.post(f"{MODELS}/search", {"experiment_ids": [e], "order_by": wrong}, MALFORMED)
    for size in (1, 2, 0, -1, 50, 50_001, "2"):
        find(max_results=size)
    for size in ("x", 1.5, True, []):
        s.post(f"{MODELS}/search", {"experiment_ids": [e], "max_results": size}, MALFORMED)
    for order in (by_name, [{"field_name": "metrics.auc", "ascending": False}, *by_name]):
        token, pages = None, 0
        while pages < 6:
            pages += 1
            more = {"page_token": token} if token else {}
            token = find(order_by=order, max_results=2, **more).get("next_page_token")
            if not token:
                break
    for bad in ("bad!!", "e30=", "abc", "", None):
        find(page_token=bad)
    for ids in ([e, other], [other], [], ["99999"], ["abc"], [e, e], [""]):
        s.post(f"{MODELS}/search", {"experiment_ids": ids, "order_by": by_name})
    for wrong in ("x", [5], None, {}):
        s.post(f"{MODELS}/search", {"experiment_ids": wrong, "order_by": by_name}, MALFORMED)
    s.post(f"{MODELS}/search", {})
    s.post(f"{MODELS}/search", {"filter": "name = 'alpha'"})
    s.send("POST", f"/ajax-api/2.0/mlflow{MODELS}/search", {"experiment_ids": [other]})
