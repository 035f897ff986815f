"""trimtab.run() against a real server: what is logged arrives, and nothing ever fails or slows the training."""

import json
import math
import pickle
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import trimtab
from tests.commands import trimtab as command
from trimtab.kernel.errors import Invalid
from trimtab.sdk.client import Client


def test_a_run_logs_everything(client: Client, tmp_path: Path) -> None:
    (tmp_path / "plots/deep").mkdir(parents=True)
    (tmp_path / "plots/a.txt").write_text("one")
    (tmp_path / "plots/deep/b.txt").write_text("two")
    with trimtab.run("sdk", "first", tags={"team": "risk"}) as run:
        run.log_params({"depth": 3, "kind": "tree"})
        for step in range(2500):
            run.log_metric("loss", 1 / (step + 1))
        run.log_metrics({"auc": 0.5, "nan": math.nan}, step=7)
        run.set_tag("note", "x")
        run.log_artifact(tmp_path / "plots")
        run.log_artifacts(tmp_path / "plots", "copy")
        (tmp_path / "plots/a.txt").write_text("changed afterwards")
        run.log_input("data:flights@3")
    seen = client.get(f"/runs/{run.id}")
    assert (seen["name"], seen["status"]) == ("first", "FINISHED")
    assert seen["params"] == {"depth": "3", "kind": "tree"}
    assert (seen["metrics"]["loss"]["step"], seen["metrics"]["auc"]["value"]) == (2499, 0.5)
    assert seen["metrics"]["nan"]["value"] is None
    assert (seen["tags"]["team"], seen["tags"]["note"]) == ("risk", "x")
    assert seen["source"]["commit"]
    assert seen["datasets"] == [
        {"name": "flights", "digest": "3", "source": "data:flights@3", "context": "training"}
    ]
    curve = client.get(f"/runs/{run.id}/metrics/loss", points=100)
    assert (curve["total"], curve["downsampled"]) == (2500, True)
    assert len(curve["points"]) <= 100
    assert [curve["points"][0][0], curve["points"][-1][0]] == [0, 2499]
    listed = client.get(f"/runs/{run.id}/artifacts")["items"]
    assert [(one["path"], one["is_dir"]) for one in listed] == [
        ("copy", True),
        ("plots", True),
        ("trimtab", True),
    ]
    assert b"".join(client.download(f"/runs/{run.id}/artifacts/plots/a.txt")) == b"one"
    assert b"".join(client.download(f"/runs/{run.id}/artifacts/copy/deep/b.txt")) == b"two"
    name = client.get(f"/experiments/{seen['experiment_id']}")["name"]
    assert name == "sdk"


def test_a_failed_training_is_marked(client: Client) -> None:
    with pytest.raises(ZeroDivisionError), trimtab.run("sdk") as run:
        run.log_metric("m", 1 / 0)
    assert client.get(f"/runs/{run.id}")["status"] == "FAILED"
    with pytest.raises(KeyboardInterrupt), trimtab.run("sdk") as run:
        raise KeyboardInterrupt
    assert client.get(f"/runs/{run.id}")["status"] == "KILLED"


def test_wrong_entries_are_told_and_the_others_arrive(client: Client) -> None:
    with pytest.warns(RuntimeWarning) as told, trimtab.run("sdk") as run:  # noqa: PT031 - all of it warns
        for step in range(20):
            run.log_metric("good", step)
        run.log_metric("bad*key", 1.0)
        run.log_metric("text", "abc")  # type: ignore[arg-type]
        run.log_param("a", 1)
        run.log_param("p" * 300, 1)
        run.log_artifact("/nothing/here")
    said = " ".join(str(one.message) for one in told)
    for word in ("bad*key", "'text'", "'ppp", "/nothing/here"):
        assert word in said
    seen = client.get(f"/runs/{run.id}")
    assert (seen["metrics"].keys(), seen["params"]) == ({"good"}, {"a": "1"})
    assert client.get(f"/runs/{run.id}/metrics/good")["total"] == 20


def test_wrong_use_is_an_error(client: Client) -> None:
    with pytest.raises(Invalid):
        trimtab.run("sdk", tags={"k" * 300: "x"})
    with pytest.raises(Invalid):
        trimtab.run("sdk", id="no id")


def test_files_of_many_kinds(client: Client) -> None:
    class Figure:
        def savefig(self, target: Any, **options: Any) -> None:
            target.write(options["format"].encode())

    with trimtab.run("sdk") as run:
        run.log_figure(Figure(), "plots/roc.svg")
        run.log_table({"x": [1, 2], "y": ["a", None]}, "table.json")
        run.log_table([{"x": 1}, {"x": 2, "z": 3.5}], "table.csv")
        run.log_text("a note", "note.txt")
        run.log_dict({"a": {"b": [1, 2]}}, "config.yaml")
    address = f"/runs/{run.id}/artifacts"

    def read(path: str) -> bytes:
        return b"".join(client.download(f"{address}/{path}"))

    assert read("plots/roc.svg") == b"svg"
    assert json.loads(read("table.json")) == {"columns": ["x", "y"], "data": [[1, "a"], [2, None]]}
    assert read("table.csv").decode().split() == ["x,z", "1,", "2,3.5"]
    assert (read("note.txt"), read("config.yaml")) == (b"a note", b"a:\n  b:\n  - 1\n  - 2\n")
    with pytest.warns(RuntimeWarning) as told, trimtab.run("sdk", capture=False) as run:  # noqa: PT031 - all warn
        run.log_figure(object(), "x.png")
        run.log_table({"x": [1], "y": [1, 2]}, "x.json")
        run.log_params("no mapping")  # type: ignore[arg-type]
        run.log({"m": object(), "n": 1})
    assert len(told) == 4
    assert client.get(f"/runs/{run.id}")["metrics"].keys() == {"n"}


def test_a_run_goes_on(client: Client) -> None:
    with trimtab.run("sdk", "long") as first:
        first.log({"loss": 1.0, "val": {"auc": 0.5}})
    with trimtab.run(id=first.id) as again:
        assert again.flush()
        assert client.get(f"/runs/{first.id}")["status"] == "RUNNING"
        again.log({"loss": 2.0})
        again.log_metric("val/auc", 0.75)
        with again.child("fold 1") as below:
            below.log_metric("m", 1.0)
        copy = pickle.loads(pickle.dumps(again))
        copy.log_metric("elsewhere", 1.0)
        copy.finish()
        assert client.get(f"/runs/{first.id}")["status"] == "RUNNING"
    seen = client.get(f"/runs/{first.id}")
    assert (again.id, seen["status"], seen["name"]) == (first.id, "FINISHED", "long")
    assert {key: (one["step"], one["value"]) for key, one in seen["metrics"].items()} == {
        "loss": (1, 2.0),
        "val/auc": (1, 0.75),
        "elsewhere": (0, 1.0),
    }
    child = client.get(f"/runs/{below.id}")
    assert child["tags"]["mlflow.parentRunId"] == first.id
    with pytest.warns(RuntimeWarning, match="takes nothing for run"):
        trimtab.run(id="0" * 32, capture=False).finish()


def test_system_metrics(client: Client) -> None:
    with trimtab.run("sdk", system_metrics_s=0.05) as run:
        time.sleep(0.2)
    seen = client.get(f"/runs/{run.id}")["metrics"]
    assert seen["system/cpu_utilization_percentage"]["value"] >= 0
    assert seen["system/system_memory_usage_megabytes"]["value"] > 100


def test_calls_are_cheap(client: Client) -> None:
    spent_us: list[float] = []
    with trimtab.run("sdk") as run:
        for step in range(5000):
            started = time.perf_counter()
            run.log_metric("m", float(step), step=step)
            spent_us.append((time.perf_counter() - started) * 1e6)
    assert sorted(spent_us)[2500] < 30  # the promise is 20; other work shares this machine
    assert client.get(f"/runs/{run.id}/metrics/m")["total"] == 5000


def test_a_script_that_forgets_to_finish(client: Client) -> None:
    code = "import trimtab; run = trimtab.run('sdk', 'forgot'); run.log_metric('m', 3.0); print(run.id)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seen = client.get(f"/runs/{done.stdout.strip()}")
    assert (seen["status"], seen["metrics"]["m"]["value"]) == ("FINISHED", 3.0)


def test_commands(client: Client) -> None:
    ids: list[str] = []
    for depth in (1, 2):
        with trimtab.run("commands", f"depth {depth}") as run:
            run.log_param("depth", depth)
            run.log_param("same", "x")
            run.log_metric("auc", 0.5 + depth / 10)
        ids.append(str(run.id))

    listed = json.loads(command("runs", "ls", "-e", "commands", "-o", "metrics.auc DESC", "--json").stdout)
    assert [one["id"] for one in listed] == ids[::-1]
    assert "depth 2" in command("runs", "show", ids[1][:10]).stdout
    compared = json.loads(command("runs", "compare", *ids, "--json").stdout)
    assert [row["key"] for row in compared["rows"]] == ["depth", "auc"]
    assert "commands" in command("experiments", "ls").stdout
    wrong = command("runs", "ls", "-f", "metrics.auc >")
    assert (wrong.returncode, "at character 13" in wrong.stderr) == (2, True)
    assert command("runs", "show", "f" * 32).returncode == 3
    assert command("runs", "rm", ids[0]).returncode == 0
    assert len(json.loads(command("runs", "ls", "-e", "commands", "--json").stdout)) == 1
