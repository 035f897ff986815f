"""Tables predicted by real model processes: the same as the library, in order, and again after any interruption."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from tests.commands import trimtab
from tests.domains.deploy.batch.conftest import expected, table
from trimtab.domains.deploy.batch import processes
from trimtab.domains.deploy.batch.errors import BadTable, ModelProcessFailed, RowRefused
from trimtab.domains.deploy.batch.model import Options, Progress
from trimtab.domains.deploy.batch.parts import join
from trimtab.domains.deploy.batch.pool import Pool
from trimtab.domains.deploy.batch.processes import Loading, Process, start
from trimtab.domains.deploy.batch.rules import TableRules
from trimtab.domains.deploy.batch.run import Finished, Run
from trimtab.domains.deploy.batch.sources import Table, cut, digest_of_file
from trimtab.kernel.errors import Invalid, Unavailable
from trimtab.serving.bulk.messages import Order
from trimtab.serving.errors import MissingColumn, ModelNotLoaded
from trimtab.serving.policies.settings import FieldRule
from trimtab.serving.processes import Interpreter

SMALL = Options(rows_at_once=100, part_rows=250, workers=1)


def written(rows: pa.Table, path: Path, **how: Any) -> Path:
    pq.write_table(rows, path, **how)
    return path


def run_of(path: Path, model: Path, folder: Path, options: Options = SMALL, digest: str = "m1") -> Run:
    opened = Table([(path, path.name)], digest=digest_of_file(path))
    return Run(opened, model, model_digest=digest, options=options, folder=folder)


def predicted(run: Run, done: Finished) -> pa.Table:
    return pa.concat_tables([pq.read_table(file) for file in run.parts.files(done.parts)])


def test_a_table_is_predicted_in_order(
    tmp_path: Path, sklearn_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trimtab.domains.deploy.batch.run._COUNTED_ROWS", 200)
    monkeypatch.setattr("trimtab.domains.deploy.batch.parts._GROUP_ROWS", 150)
    rows = table(1234)
    run = run_of(
        written(rows, tmp_path / "d.parquet", row_group_size=333), sklearn_folder, tmp_path / "p",
        Options(rows_at_once=100, part_rows=250, workers=2),
    )  # fmt: skip
    told: list[Progress] = []
    done = run.carry_out(told.append)
    found = predicted(run, done)
    assert found.column_names == ["id", "note", "prediction"]
    assert found["id"].to_pylist() == rows["id"].to_pylist()
    np.testing.assert_allclose(found["prediction"], expected(rows), rtol=1e-6)
    assert [pq.read_metadata(file).num_rows for file in run.parts.files(done.parts)] == [200] * 6 + [34]
    assert (told[-1].counts.rows, told[-1].total, told[-1].resumed) == (1234, 1234, 0)
    (distribution,) = done.summary.distribution
    assert (distribution["name"], distribution["count"]) == ("prediction", 1234)
    assert distribution["mean"] == pytest.approx(expected(rows).mean())

    again = run.carry_out(told.append)
    assert (again.summary.resumed, again.parts) == (1234, done.parts), "nothing is done twice"
    assert again.summary.distribution == done.summary.distribution


def test_what_is_wrong_with_the_columns_is_said_before_anything_is_written(
    tmp_path: Path, model_folder: Path
) -> None:
    path = written(table(10).rename_columns(["id", "aa", "b", "note"]), tmp_path / "d.parquet")
    with pytest.raises(MissingColumn, match=r"'a'.*Is it 'aa'"):
        run_of(path, model_folder, tmp_path / "p")
    good = written(table(10), tmp_path / "good.parquet")
    with pytest.raises(Invalid, match=r"no column 'nota'.*'note'"):
        run_of(good, model_folder, tmp_path / "p", Options(columns=["nota"]))
    taken = written(table(10).append_column("prediction", [[0] * 10]), tmp_path / "taken.parquet")
    with pytest.raises(Invalid, match="'prediction', as the predictions do"):
        run_of(taken, model_folder, tmp_path / "p", Options(keep=True))
    (tmp_path / "no.csv").write_bytes(b"a,b\n1,2\n3\n")
    with pytest.raises(BadTable, match="cannot be read"):
        run_of(tmp_path / "no.csv", model_folder, tmp_path / "p")
    assert not (tmp_path / "p").exists()


def test_a_bad_row_ends_the_run_or_is_left_out(tmp_path: Path, model_folder: Path) -> None:
    rows = table(450)
    values = rows["a"].to_pylist()
    values[150] = values[444] = None
    rows = rows.set_column(1, "a", [values])
    path = written(rows, tmp_path / "d.parquet")
    with pytest.raises(RowRefused, match="column 'a', row 150: there is no value"):
        run_of(path, model_folder, tmp_path / "p").carry_out(lambda _: None)

    skipping = Options(rows_at_once=100, part_rows=250, workers=1, on_error="skip", keep=True)
    run = run_of(path, model_folder, tmp_path / "p", skipping)
    done = run.carry_out(lambda _: None)
    assert (done.summary.counts.rows, done.summary.counts.refused) == (450, 2)
    good = rows.filter(pa.compute.is_valid(rows["a"]))
    found = predicted(run, done)
    assert found["id"].to_pylist() == good["id"].to_pylist()
    np.testing.assert_allclose(found["prediction"], expected(good), rtol=1e-6)
    join(run.parts.refused_files(done.parts), tmp_path / "refused.parquet")
    refused = pq.read_table(tmp_path / "refused.parquet").to_pylist()
    assert [(one["row"], one["column"], one["id"]) for one in refused] == [(150, "a", 1500), (444, "a", 4440)]
    assert "requires one" in refused[0]["reason"]


def test_rules_give_columns_the_same_type_whatever_their_values(tmp_path: Path, model_folder: Path) -> None:
    rules = TableRules(
        {"a": FieldRule("generalise", "10"), "b": FieldRule("drop"), "c": FieldRule("mask")},
        b"key",
        inputs={"a": "wage", "b": "size"},
    )
    first = pa.table({"wage": [12.0, None], "size": [1, 2], "c": [[1], None], "note": ["x", "y"]})
    second = pa.table({"wage": ["none", "17"], "size": [1, 2], "c": ["x", "y"], "note": ["x", "y"]})
    kept = [rules.apply(one) for one in (first, second)]
    assert kept[0].schema == kept[1].schema
    assert pa.concat_tables(kept).to_pydict() == {
        "wage": [10.0, None, None, 10.0], "c": ["***", None, "***", "***"], "note": ["x", "y", "x", "y"],
    }  # fmt: skip
    path = written(table(10), tmp_path / "d.parquet")
    opened = Table([(path, path.name)], digest="d")
    options = Options(columns=["a", "b"])
    dropping = {"a": FieldRule("drop"), "b": FieldRule("drop")}
    run = Run(opened, model_folder, model_digest="m", options=options, folder=tmp_path / "p", rules=dropping)
    assert pq.read_table(run.parts.files(run.carry_out(lambda _: None).parts)[0]).column_names == [
        "row", "prediction",
    ]  # fmt: skip


def test_a_part_that_is_torn_or_of_another_model_is_done_again(tmp_path: Path, model_folder: Path) -> None:
    path = written(table(500), tmp_path / "d.parquet")
    run = run_of(path, model_folder, tmp_path / "p")
    run.carry_out(lambda _: None)
    torn = run.parts.path(1)
    torn.write_bytes(torn.read_bytes()[:-9])
    again = run_of(path, model_folder, tmp_path / "p").carry_out(lambda _: None)
    assert again.summary.resumed == 200
    other = run_of(path, model_folder, tmp_path / "p", digest="m2")
    assert other.parts.finished() == []
    assert list((tmp_path / "p").glob("*.parquet")) == []


def test_a_model_process_that_is_killed_is_replaced(tmp_path: Path, model_folder: Path) -> None:
    rows = table(3000)
    run = run_of(written(rows, tmp_path / "d.parquet"), model_folder, tmp_path / "p")
    killed: list[int] = []

    def kill(progress: Progress) -> None:
        if progress.counts.rows >= 300 and not killed:
            (process,) = _model_processes(os.getpid())
            process.kill()
            killed.append(process.pid)

    done = run.carry_out(kill)
    assert killed
    np.testing.assert_allclose(predicted(run, done)["prediction"], expected(rows), rtol=1e-6)


OTHER = Interpreter(next(
    str(path) for name in ("python3", "python") if (path := Path(sys.executable).with_name(name)).exists()
    and str(path) != sys.executable
))  # fmt: skip
"""The same Python under another name, as if it were a model's own environment."""


def test_a_model_in_an_environment_of_its_own(tmp_path: Path, model_folder: Path) -> None:
    rows = table(450)
    values = rows["a"].to_pylist()
    values[150] = None
    path = written(rows.set_column(1, "a", [values]), tmp_path / "d.parquet")
    opened = Table([(path, path.name)], digest="d")
    options = Options(rows_at_once=100, part_rows=250, workers=1, on_error="skip")
    run = Run(
        opened, model_folder, model_digest="m", options=options, folder=tmp_path / "p", interpreter=OTHER
    )
    killed: list[int] = []
    others = psutil.Process().children()

    def kill(progress: Progress) -> None:
        if progress.counts.rows >= 100 and not killed:
            # Other tests of this process may have replicas of their own.
            before = {process.pid for process in others}
            for process in psutil.Process().children():
                if process.pid not in before and "trimtab.serving.replica" in _command(process):
                    process.kill()
                    killed.append(process.pid)

    done = run.carry_out(kill)
    assert killed
    good = rows.filter(pa.array([at != 150 for at in range(450)]))
    np.testing.assert_allclose(predicted(run, done)["prediction"], expected(good), rtol=1e-6)
    assert done.summary.counts.refused == 1


def _model_processes(pid: int) -> list[psutil.Process]:
    children = psutil.Process(pid).children(recursive=True)
    return [child for child in children if "trimtab.serving.bulk.process" in _command(child)]


def _command(process: psutil.Process) -> list[str]:
    """Return a process's command line, nothing of one that has ended."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@pytest.fixture(scope="module")
def cut_off(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> Path:
    """The folder of a prediction by the command line that was killed after its third part."""
    folder = tmp_path_factory.mktemp("cut-off")
    pq.write_table(table(20_000), folder / "d.parquet")
    command = [sys.executable, "-m", "trimtab", *_WORDS, "--model", str(model_folder)]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (folder / "out.parquet.parts" / "part-00002.parquet").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.002)
    models = _model_processes(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert models
    _, alive = psutil.wait_procs(models, timeout=10)
    assert alive == [], "a model's process outlives the one that started it"
    return folder


_WORDS = [
    "predict", "--data", "d.parquet", "--output", "out.parquet", "--workers", "1", "--rows-at-once", "50",
    "--part-rows", "500",
]  # fmt: skip


def test_what_was_killed_goes_on_from_the_last_complete_part(
    cut_off: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(cut_off)
    assert not Path("out.parquet").exists()
    ended = trimtab(*_WORDS, "--model", str(model_folder), "--resume")
    assert ended.returncode == 0, ended.stderr
    resumed = int(ended.stdout.split(" of them before")[0].rpartition(" ")[2].replace(",", ""))
    assert resumed >= 1500
    assert resumed % 500 == 0
    found = pq.read_table("out.parquet")
    np.testing.assert_allclose(found["prediction"], expected(table(20_000)), rtol=1e-6)
    assert found["id"].to_pylist() == table(20_000)["id"].to_pylist()
    assert sorted(path.name for path in Path().iterdir()) == ["d.parquet", "out.parquet"]


def test_a_model_that_cannot_be_loaded_says_why(tmp_path: Path, model_folder: Path) -> None:
    broken = tmp_path / "model"
    broken.mkdir()
    (broken / "MLmodel").write_bytes((model_folder / "MLmodel").read_bytes())
    (broken / "model.onnx").write_bytes(b"nothing")
    run = run_of(written(table(10), tmp_path / "d.parquet"), broken, tmp_path / "p")
    with pytest.raises((ModelNotLoaded, ModelProcessFailed)) as raised:
        run.carry_out(lambda _: None)
    assert raised.value.message
    assert list((tmp_path / "p").glob("*.parquet*")) == []


def test_two_processes_do_not_write_the_same(tmp_path: Path, model_folder: Path) -> None:
    run = run_of(written(table(10), tmp_path / "d.parquet"), model_folder, tmp_path / "p")

    def meanwhile(_: Progress) -> None:
        with pytest.raises(Unavailable, match="Another process"):
            run_of(tmp_path / "d.parquet", model_folder, tmp_path / "p").carry_out(lambda _: None)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.carry_out(meanwhile)


def test_data_without_rows_gives_predictions_without_rows(tmp_path: Path, model_folder: Path) -> None:
    run = run_of(written(table(0), tmp_path / "d.parquet"), model_folder, tmp_path / "p")
    done = run.carry_out(lambda _: None)
    assert predicted(run, done).column_names == ["id", "note"]
    assert done.summary.counts.rows == 0


def test_batches_have_as_many_rows_as_asked_for_whatever_is_read() -> None:
    whole = table(1000).combine_chunks().to_batches()[0]
    pieces = [whole.slice(0, 1), whole.slice(1, 640), whole.slice(641, 9), whole.slice(650)]
    found = [*cut(iter(pieces), 300)]
    assert [piece.num_rows for piece in found] == [300, 300, 300, 100]
    assert pa.Table.from_batches(found).combine_chunks() == table(1000).combine_chunks()


@pytest.mark.parametrize("skip", [0, 1, 333, 700, 999, 1000])
def test_reading_begins_at_any_row(tmp_path: Path, skip: int) -> None:
    rows = table(1000)
    path = written(rows, tmp_path / "d.parquet", row_group_size=333)
    pa.csv.write_csv(rows, tmp_path / "d.csv")
    for name in ("d.parquet", "d.csv"):
        opened = Table([(tmp_path / name, name)], digest="")
        found = [row for batch in opened.batches(["id"], skip=skip) for row in batch["id"].to_pylist()]
        assert found == rows["id"].to_pylist()[skip:]
    both = Table([(path, "x.parquet"), (tmp_path / "d.csv", "y.csv")], digest="")
    assert sum(batch.num_rows for batch in both.batches(["b"], skip=skip)) == 2000 - skip
    assert both.rows is None


def test_no_more_batches_are_held_than_processes_need(tmp_path: Path, model_folder: Path) -> None:
    whole = table(2000).select(["a", "b"]).combine_chunks().to_batches()[0]
    read = taken = most = 0

    def batches() -> Any:
        nonlocal read, most
        for at in range(0, 2000, 10):
            read += 1
            most = max(most, read - taken)
            yield at, whole.slice(at, 10), whole.slice(at, 10)

    with Pool(Loading(model_folder), workers=1, log=tmp_path / "log") as pool:
        for _ in pool.predict(batches(), skip=False, idle=lambda: None):
            taken += 1
    assert (read, taken) == (200, 200)
    assert most <= 4


def test_a_process_that_cannot_be_started_again_leaves_its_work_to_the_others(
    tmp_path: Path, model_folder: Path
) -> None:
    whole = table(300).select(["a", "b"]).combine_chunks().to_batches()[0]
    started: list[Process] = []

    def begin(loading: Loading, log: Path) -> Process:
        there = loading.model if len(started) < 2 else tmp_path
        started.append(start(msgspec.structs.replace(loading, model=there), log))
        return started[-1]

    batches = ((at, whole.slice(at, 10), whole.slice(at, 10)) for at in range(0, 300, 10))
    done: list[int] = []
    with Pool(Loading(model_folder), workers=2, log=tmp_path / "log", start=begin) as pool:
        found = pool.predict(batches, skip=False, idle=lambda: None)
        done.append(next(found)[0])
        started[0].end()
        done += [next(found)[0] for _ in range(20)]
        assert done == [*range(0, 210, 10)]
        started[1].end()
        with pytest.raises((ModelNotLoaded, ModelProcessFailed)):
            _ = [*found]


def test_one_of_several_tables_on_this_machine(
    tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d").mkdir()
    pa.csv.write_csv(table(30), "d/rows.csv")
    pa.csv.write_csv(table(3).select(["id"]), "d/other.csv")
    words = ["predict", "--model", str(model_folder), "--data", "d", "--output", "out.parquet"]
    refused = trimtab(*words)
    assert (refused.returncode, "several tables" in refused.stderr) == (2, True)
    assert trimtab(*words, "--path", "row.csv").stderr.endswith("Did you mean 'rows.csv'?\n")
    assert trimtab(*words, "--path", "rows.csv", "--workers", "1").returncode == 0
    np.testing.assert_allclose(pq.read_table("out.parquet")["prediction"], expected(table(30)), rtol=1e-6)
    for wrong in (["--detach"], ["--on-error", "maybe"], ["--output", "a/b.csv"], ["--data", "none.csv"]):
        assert trimtab(*words, *wrong).returncode in (2, 3)


def test_a_process_that_stops_reading_is_said_to_be_too_slow(
    tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = start(Loading(model_folder), tmp_path / "log")
    try:
        os.kill(process.greeting().pid, signal.SIGSTOP)
        monkeypatch.setattr(processes, "LONGEST_BATCH_S", 0.2)
        with pytest.raises(ModelProcessFailed, match=r"did not answer within 0\.2 s"):
            process.ask(Order(0, bytes(8_000_000), skip=False))
    finally:
        process.end()
