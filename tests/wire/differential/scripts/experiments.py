"""Experiments: their life, their tags and their search."""

from tests.wire.differential.accepted import MALFORMED
from tests.wire.differential.script import V2, Script


def life(s: Script) -> None:
    """Creating, reading, renaming, deleting and restoring, with every field missing or wrong once."""
    u = s.unique
    create = "/experiments/create"
    first = s.experiment("e", tags=[{"key": "a", "value": "1"}, {"key": "b", "value": ""}])
    s.get("/experiments/get", {"experiment_id": first})
    s.get("/experiments/get-by-name", {"experiment_name": f"e-{u}"})
    s.post(create, {"name": f"e-{u}"}, "the name is taken")
    for name in ("", None, 12, True, [], {}, "x" * 501):
        s.post(create, {"name": name})
    s.post(create, {})
    s.post(create, {"name": f"a/b:c é 日本 {u}"})
    s.post(create, {"name": f" {u} "})
    s.post(create, {"name": f"..{u}"})
    s.post(create, {"name": f"E-{u}"}, "another case is another name")
    s.get("/experiments/get-by-name", {"experiment_name": f"E-{u}"})
    s.post(create, {"name": "x" * (500 - len(u)) + u})
    for index, location in enumerate(
        (
            "s3://bucket/x",
            "s3://bucket/x/",
            "s3://bucket/x?a=b",
            "s3://bucket/x;y",
            "mlflow-artifacts:/some/where",
            "gs://b",
            "hdfs://h:80/x",
            "dbfs:/a",
            "",
        )
    ):
        made = s.post(create, {"name": f"at{index}-{u}", "artifact_location": location})
        if made and "experiment_id" in made:
            s.get("/experiments/get", {"experiment_id": made["experiment_id"]})
            s.post("/runs/create", {"experiment_id": made["experiment_id"], "run_name": "r"})
    for location in (
        "runs:/x",
        "s3://x#y",
        "s3://x?y=..",
        "ftp://x/y",
        "sftp://x/y",
        "hdfs://x/y",
        "abfss://c@a/x",
        "mlflow-artifacts://h/x",
        "http://x/y?a=b",
        "s3://" + "x" * 2100,
        5,
    ):
        s.post(create, {"name": f"bad-{u}", "artifact_location": location})
    for index, tags in enumerate(
        (
            [{"key": "..", "value": "1"}],
            [{"key": "a/../b", "value": "1"}],
            [{"key": "/a", "value": "1"}],
            [{"key": "k" * 251, "value": "1"}],
            [{"key": "a", "value": "v" * 20_001}],
            [{"key": "a%b", "value": "1"}],
            [{"value": "a"}],
            [{"key": "", "value": "a"}],
            [{"key": "a", "value": 5}],
            [{"key": 5, "value": "5"}],
            ["a"],
            "a",
            {"a": "b"},
        )
    ):
        s.post(create, {"name": f"tags{index}-{u}", "tags": tags}, MALFORMED)
    for index, tags in enumerate(
        (
            [{"key": "a"}],
            [{"key": "k" * 250, "value": "1"}],
            [{"key": "é a.b/c:d-e_f", "value": "ü\n\t"}],
            [],
            None,
        )
    ):
        made = s.post(create, {"name": f"ok{index}-{u}", "tags": tags})
        if made and "experiment_id" in made:
            s.get("/experiments/get", {"experiment_id": made["experiment_id"]})
    for one in ("9999999", "abc", "", "-1", "1.5", "0x1", "99999999999999999999999"):
        s.get("/experiments/get", {"experiment_id": one})
    s.get("/experiments/get")
    s.get("/experiments/get", {"experiment_id": "0"})
    s.get("/experiments/get", [("experiment_id", first), ("unknown", "1")])
    for one in ("no such", ""):
        s.get("/experiments/get-by-name", {"experiment_name": one})
    s.get("/experiments/get-by-name")

    tag, untag = "/experiments/set-experiment-tag", "/experiments/delete-experiment-tag"
    s.post(tag, {"experiment_id": first, "key": "k", "value": "v"})
    s.post(tag, {"experiment_id": first, "key": "k", "value": "w"})
    s.post(tag, {"experiment_id": first, "key": "none"})
    s.post(tag, {"experiment_id": first, "key": "uni/é.1", "value": "日本"})
    s.get("/experiments/get", {"experiment_id": first})
    for key in ("k" * 251, "", "..", "a//b", "./a", "a\nb", None, 5):
        s.post(tag, {"experiment_id": first, "key": key, "value": "v"})
    s.post(tag, {"experiment_id": first, "key": "long", "value": "v" * 20_001})
    s.post(tag, {"experiment_id": first, "key": "five", "value": 5})
    s.post(tag, {"experiment_id": "9999999", "key": "a", "value": "v"})
    s.post(tag, {"experiment_id": "abc", "key": "a", "value": "v"})
    s.post(tag, {"key": "a", "value": "v"})
    s.post(tag, {"experiment_id": first, "value": "v"})
    s.post(tag, {})
    s.post(untag, {"experiment_id": first, "key": "none"})
    s.post(untag, {"experiment_id": first, "key": "none"}, "it is gone")
    s.post(untag, {"experiment_id": first})
    s.post(untag, {"key": "k"})
    s.post(untag, {"experiment_id": "9999999", "key": "k"})
    s.get("/experiments/get", {"experiment_id": first})

    second = s.experiment("second")
    s.post("/experiments/update", {"experiment_id": second, "new_name": f"renamed-{u}"})
    s.get("/experiments/get", {"experiment_id": second})
    s.post("/experiments/update", {"experiment_id": second, "new_name": f"renamed-{u}"}, "its own name")
    s.post("/experiments/update", {"experiment_id": second, "new_name": f"e-{u}"}, "another's name")
    for new in ("", None, 5, "x" * 501):
        s.post("/experiments/update", {"experiment_id": second, "new_name": new})
    s.post("/experiments/update", {"experiment_id": second})
    s.post("/experiments/update", {"new_name": "x"})
    s.post("/experiments/update", {"experiment_id": "9999999", "new_name": "x"})
    s.post("/experiments/update", {"experiment_id": "abc", "new_name": "x"})

    run = s.run(second, run_name="in second", start_time=5)
    gone = s.run(second, run_name="deleted before", start_time=6)
    s.post("/runs/delete", {"run_id": gone})
    s.post("/experiments/delete", {"experiment_id": second})
    s.post("/experiments/delete", {"experiment_id": second}, "again")
    s.get("/experiments/get", {"experiment_id": second})
    s.get("/experiments/get-by-name", {"experiment_name": f"renamed-{u}"})
    s.get("/runs/get", {"run_id": run})
    s.post("/runs/create", {"experiment_id": second})
    s.post("/runs/log-metric", {"run_id": run, "key": "m", "value": 1, "timestamp": 1})
    s.post(tag, {"experiment_id": second, "key": "a", "value": "v"})
    s.post(untag, {"experiment_id": second, "key": "a"})
    s.post("/experiments/update", {"experiment_id": second, "new_name": f"other-{u}"}, "a deleted one")
    s.post(create, {"name": f"renamed-{u}"}, "the name of a deleted one")
    s.post("/runs/restore", {"run_id": run}, "in a deleted experiment")
    s.post("/runs/search", {"experiment_ids": [second], "run_view_type": "ALL"})
    s.post("/logged-models", {"experiment_id": second, "name": "m"})
    s.post("/experiments/restore", {"experiment_id": second})
    s.post("/experiments/restore", {"experiment_id": second}, "again")
    s.get("/experiments/get", {"experiment_id": second})
    for one in (run, gone):
        s.get("/runs/get", {"run_id": one})
    for path in ("/experiments/delete", "/experiments/restore"):
        for one in ("9999999", "abc", "", 5, None):
            s.post(path, {"experiment_id": one})
        s.post(path, {})


def search(s: Script) -> None:
    """The grammar, the orderings, the pages and the views of the search for experiments."""
    u = s.unique
    for index, name in enumerate(("apple", "Banana", "cherry", "über", "da_sh", "per%cent")):
        tags = [{"key": "n", "value": str(index)}, {"key": "fruit", "value": name}]
        s.experiment(name, tags=tags if index != 3 else [])
    deleted = s.experiment("deleted", tags=[{"key": "n", "value": "9"}])
    s.post("/experiments/delete", {"experiment_id": deleted})
    mine = f"name LIKE '%-{u}'"

    def find(clause: str, **more: object) -> None:
        s.post(
            "/experiments/search",
            {"filter": clause, "max_results": 100, "order_by": ["experiment_id ASC"], **more},
        )

    find(mine)
    for clause in (
        f"name = 'apple-{u}'",
        f"name != 'apple-{u}'",
        f'name = "apple-{u}"',
        f"name = 'APPLE-{u}'",
        "name LIKE 'apple%'",
        "name LIKE 'APPLE%'",
        "name ILIKE 'APPLE%'",
        "name ILIKE 'BANANA%'",
        "name LIKE '%pl_-%'",
        "name LIKE 'da_sh%'",
        "name LIKE 'da\\_sh%'",
        "name LIKE 'per%cent%'",
        "name LIKE '%[a]%'",
        "name LIKE '%*%'",
        "name LIKE '%?%'",
        "name ILIKE 'ÜBER%'",
        "name like 'apple%'",
        "name ilike 'apple%'",
        "tags.n = '1'",
        "tag.n = '1'",
        "tags.`n` = '1'",
        "tags.\"n\" = '1'",
        "tags.n != '1'",
        "tags.n LIKE '_'",
        "tags.fruit ILIKE 'BAN%'",
        "tags.fruit LIKE 'BAN%'",
        "tags.n IS NULL",
        "tags.n IS NOT NULL",
        "tags.n is null",
        "tags.n is not null",
        "tags.missing IS NULL",
        "tags.missing = 'x'",
        "tags.missing != 'x'",
        "tags.n = '1' and tags.fruit = 'Banana'",
        "tags.n = '1' AND tags.n = '2'",
        "attribute.name LIKE 'a%'",
        "creation_time > 0",
        "creation_time >= 0",
        "creation_time < 1",
        "creation_time != 0",
        "creation_time > '0'",
        "creation_time > 'x'",
        "creation_time > 1.5",
        "creation_time LIKE '1%'",
        "last_update_time > 0",
        "last_update_time = 0",
        "attribute.creation_time > 0",
        "`name` LIKE 'a%'",
        "attribute.`name` LIKE 'a%'",
    ):
        find(f"{clause} AND {mine}")
        find(f"{mine} and {clause}")
    for wrong in (
        "foo = 'x'",
        "attr.name = 'Default'",
        "attributes.name = 'Default'",
        "metrics.a > 1",
        "params.a = '1'",
        "name",
        "name =",
        "= 'x'",
        "name = Default",
        "name = 5",
        "name > 'a'",
        "name IN ('Default')",
        "name NOT IN ('Default')",
        "name IS NULL",
        "name IS NOT NULL",
        "tags.a > '1'",
        "tags.a = 1",
        "tags.a IN ('1')",
        "name = 'a' OR name = 'b'",
        "name = 'Default' name = 'Default'",
        "(name = 'Default')",
        "NOT name = 'Default'",
        "name == 'Default'",
        "name <> 'Default'",
        "name = 'Default",
        "name = `Default`",
        "experiment_id > '0'",
        "experiment_id LIKE '0'",
        "experiment_id = 'abc'",
        "experiment_id IN ('abc')",
        "experiment_id IN ()",
        "experiment_id IN (0)",
        "tags = 'a'",
        ".name = 'a'",
        "name. = 'a'",
        ";",
        "name = 'Default'; name = 'Default'",
        "name = 'Default' --",
        "name = 'Default' /* x */",
        "name BETWEEN 'a' AND 'b'",
    ):
        find(wrong)
    for odd in (
        "experiment_id = '0'",
        "experiment_id IN ('0', '99999')",
        "experiment_id = '99999'",
        "AND name = 'Default'",
        "name = 'Default' AND",
        "name = 'Default' AND AND name = 'Default'",
        "  name  =  'Default'  ",
        "name='Default'",
        "name\n=\n'Default'",
        " ",
        "experiment_id != '0' AND name = 'Default'",
        "experiment_id NOT IN ('0') AND name = 'Default'",
    ):
        find(f"{odd} " if odd.endswith("AND") else odd, max_results=1)
    for order in (
        ["name"],
        ["name ASC"],
        ["name DESC"],
        ["name desc"],
        ["NAME"],
        ["experiment_id"],
        ["experiment_id DESC"],
        ["creation_time", "name"],
        ["last_update_time DESC", "experiment_id ASC"],
        ["attribute.name"],
        ["attribute.`name` DESC"],
        ["`name`"],
        ['"name"'],
        ["foo"],
        ["name foo"],
        ["name ASC DESC"],
        ["tags.a"],
        ["attributes.name"],
        ["metrics.x"],
        [""],
        [" "],
        ["name", "name"],
        [],
        None,
    ):
        find(mine, order_by=order)
    for order in ([5], "name", [None], {}):
        s.post("/experiments/search", {"filter": mine, "max_results": 100, "order_by": order}, MALFORMED)
    for size in (1, 2, 0, -1, 50_000, 50_001, "5", "x", 1.0, 1.5, None, True, 2**31):
        find(mine, max_results=size)
    for view in ("ACTIVE_ONLY", "DELETED_ONLY", "ALL", "FOO", "", 1, 2, 3, 4, "2", None):
        find(mine, view_type=view)
    token, pages = None, 0
    while pages < 5:
        pages += 1
        body = {
            "filter": mine,
            "max_results": 2,
            "order_by": ["name DESC"],
            **({"page_token": token} if token else {}),
        }
        token = s.post("/experiments/search", body).get("next_page_token")
        if not token:
            break
    for bad in ("bad!!", "e30=", "eyJvZmZzZXQiOiAieCJ9", "abc", "''", 5, "", None):
        find(mine, page_token=bad)
    for method, kind in (("GET", V2), ("GET", "/ajax-api/2.0/mlflow"), ("POST", "/ajax-api/2.0/mlflow")):
        query = [
            ("filter", mine),
            ("max_results", "2"),
            ("order_by", "name DESC"),
            ("order_by", "experiment_id"),
            ("view_type", "ALL"),
        ]
        body = {"filter": mine, "max_results": 2, "order_by": ["name DESC"]}
        if method == "GET":
            s.send(method, f"{kind}/experiments/search", query=query)
        else:
            s.send(method, f"{kind}/experiments/search", body)
    s.send("GET", f"{V2}/experiments/search", query={"filter": mine}, about="GET without a page size")
    s.send("GET", f"{V2}/experiments/search", query={"max_results": "x"})
