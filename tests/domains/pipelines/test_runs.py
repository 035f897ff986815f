"""Runs in real step processes: results, caching, failures, retries, cancelling, lineage, permission and audit."""

import threading
import time
from typing import Any

import pytest

from tests.background import work_off
from tests.domains.pipelines.conftest import Workshop
from trimtab.app import App
from trimtab.domains.govern.errors import BadToken, NotPermitted
from trimtab.domains.pipelines import store
from trimtab.domains.pipelines.errors import (
    PipelineNotFound,
    PipelineRunNotFound,
    RunEnded,
    RunNotRetryable,
    StepNotFound,
)
from trimtab.domains.pipelines.jobs import schedule as schedule_upkeep
from trimtab.infra.db.queries import statement
from trimtab.kernel.errors import Conflict, Invalid
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal, system
from trimtab.testing.executors import alive

CHAIN = """
@step
def numbers(n: int, log: str) -> dict:
    open(log, "a").write("numbers\\n")
    print("made", n)
    return {"all": list(range(n)), "note": "hello"}

@step
def total(values: list, log: str) -> int:
    open(log, "a").write("total\\n")
    return sum(values)

@pipeline
def main(n: int = 4, log: str = ""):
    \"\"\"Adds numbers.\"\"\"
    made = numbers(n=n, log=log)
    return {"total": total(values=made["all"], log=log), "note": made["note"], "n": n}
"""


def emitted(app: App, kind: str) -> list[Any]:
    return [record for record in app.bus.after(0, most=1000) if record.kind == kind]


def test_a_run_leaves_results_and_rows(workshop: Workshop, counter: Any) -> None:
    name = workshop.register(CHAIN)
    run = workshop.run(name, log=counter.path, n="5")
    assert (run.state, run.error) == ("succeeded", None)
    assert run.outputs == {"total": 10, "note": "hello", "n": 5}
    assert run.params == {"n": 5, "log": counter.path}
    steps = workshop.steps(run)
    assert [(row.name, row.state, row.cached, row.attempt, row.needs) for row in steps.values()] == [
        ("numbers", "succeeded", False, 1, []),
        ("total", "succeeded", False, 1, ["numbers"]),
    ]
    assert steps["numbers"].log_tail == "made 5\n"
    assert workshop.service.step_log(workshop.who, run.id, "numbers") == "made 5\n"
    assert run.created_us <= (run.started_us or 0) <= (steps["total"].started_us or 0) <= (run.ended_us or 0)
    assert counter() == ["numbers", "total"]


def test_events_and_audit_tell_of_a_run(workshop: Workshop, counter: Any) -> None:
    name = workshop.register(CHAIN)
    run = workshop.run(name, log=counter.path)
    (started,) = emitted(workshop.app, "pipelines.run_started")
    (finished,) = emitted(workshop.app, "pipelines.run_finished")
    assert started.data == {"run_id": run.id, "pipeline": name, "trigger": {"kind": "manual"}}
    assert finished.data["state"] == "succeeded"
    assert finished.data["outputs"] == {"total": 6, "note": "hello", "n": 4}
    assert (finished.subject, finished.actor) == (f"pipeline-run:{run.id}", "owner")
    acts = [record.action for record in workshop.app.govern.audit_trail(workshop.who).items]
    assert acts == ["pipelines.run.submit", "pipelines.register"]


def test_a_second_run_takes_everything_from_the_cache(workshop: Workshop, counter: Any) -> None:
    name = workshop.register(CHAIN)
    workshop.run(name, log=counter.path)
    again = workshop.run(name, log=counter.path)
    assert again.outputs["total"] == 6
    assert [row.cached for row in workshop.steps(again).values()] == [True, True]
    assert counter() == ["numbers", "total"]


def test_only_what_depends_on_a_change_is_done_again(workshop: Workshop, counter: Any) -> None:
    workshop.run(workshop.register(CHAIN), log=counter.path)
    changed = workshop.register(CHAIN.replace("return sum(values)", "return sum(values) * 2"))
    run = workshop.run(changed, log=counter.path)
    assert run.outputs["total"] == 12
    assert [(row.name, row.cached) for row in workshop.steps(run).values()] == [
        ("numbers", True),
        ("total", False),
    ]


def test_a_changed_result_that_is_the_same_stops_the_change(workshop: Workshop, counter: Any) -> None:
    """The key holds what a step is given, not how that was made."""
    workshop.run(workshop.register(CHAIN), log=counter.path)
    changed = workshop.register(CHAIN.replace("list(range(n))", "[i for i in range(n)]"))
    run = workshop.run(changed, log=counter.path)
    assert [(row.name, row.cached) for row in workshop.steps(run).values()] == [
        ("numbers", False),
        ("total", True),
    ]


def test_cache_false_and_missing_bytes_mean_work(workshop: Workshop, counter: Any) -> None:
    source = """
@step(cache=False)
def always(log: str):
    open(log, "a").write("always\\n")
    return b"x" * 20_000

@step
def once(data: bytes, log: str):
    open(log, "a").write("once\\n")
    return data + b"y"

@pipeline
def main(log: str = ""):
    return once(data=always(log=log), log=log)
"""
    name = workshop.register(source)
    first = workshop.run(name, log=counter.path)
    workshop.run(name, log=counter.path)
    assert counter() == ["always", "once", "always"]
    value = workshop.steps(first)["once"].value
    assert value is not None
    assert value.blob is not None
    assert first.outputs["result"] == {"type": "bytes", "size_bytes": 20_001, "blob": value.blob}
    workshop.app.blobs.delete(value.blob)
    workshop.run(name, log=counter.path)
    assert counter()[-2:] == ["always", "once"]


def test_one_failed_branch_stops_only_what_needs_it(workshop: Workshop) -> None:
    source = """
@step
def bad(x: int):
    print("about to fail")
    raise ValueError("no such\\ncolumn")

@step
def good(x: int) -> int:
    return x

@step
def both(a, b):
    return a

@step
def last(a):
    return a

@pipeline
def main():
    stopped = bad(x=1)
    return {"late": last(a=both(a=stopped, b=good(x=2))), "fine": last(a=good(x=3)), "good": good(x=4)}
"""
    run = workshop.run(workshop.register(source))
    assert run.state == "failed"
    assert run.error == "Step 'bad' failed: ValueError: no such column"
    assert run.outputs == {"fine": 3, "good": 4}
    states = {name: row.state for name, row in workshop.steps(run).items()}
    assert states == {
        "bad": "failed", "good": "succeeded", "both": "skipped", "last": "skipped", "good-2": "succeeded",
        "last-2": "succeeded", "good-3": "succeeded",
    }  # fmt: skip
    bad = workshop.steps(run)["bad"]
    assert bad.log_tail.startswith("about to fail\nTraceback")
    assert "step_process" not in bad.log_tail
    assert 'raise ValueError("no such' in bad.log_tail
    (finished,) = emitted(workshop.app, "pipelines.run_finished")
    assert (finished.data["state"], finished.data["error"]) == ("failed", run.error)


FLAKY = """
@step(retries=2, retry_delay_s=0.05)
def flaky(log: str, good_at: int):
    open(log, "a").write("try\\n")
    if len(open(log).readlines()) < good_at:
        {fail}
    return "done"

@pipeline
def main(log: str = "", good_at: int = 3):
    return flaky(log=log, good_at=good_at)
"""


@pytest.mark.parametrize(
    "fail", ["raise OSError('not yet')", "import os; os._exit(3)", "raise SystemExit(1)"]
)
def test_retries_meet_exceptions_and_crashes(workshop: Workshop, counter: Any, fail: str) -> None:
    run = workshop.run(workshop.register(FLAKY.replace("{fail}", fail)), log=counter.path)
    assert run.outputs == {"result": "done"}
    assert (workshop.steps(run)["flaky"].attempt, workshop.steps(run)["flaky"].error) == (3, None)


def test_retries_run_out(workshop: Workshop, counter: Any) -> None:
    run = workshop.run(
        workshop.register(FLAKY.replace("{fail}", "raise OSError('no')")), log=counter.path, good_at=9
    )
    assert run.state == "failed"
    assert counter() == ["try"] * 3
    assert workshop.steps(run)["flaky"].error == "OSError: no"


def test_a_step_beyond_its_time_fails(workshop: Workshop) -> None:
    source = """
import time
@step(timeout_s=0.3)
def slow():
    print("sleeping", flush=True)
    time.sleep(60)

@pipeline
def main():
    return slow()
"""
    run = workshop.run(workshop.register(source))
    assert run.error == "Step 'slow' failed: took longer than 0.3 s"
    assert workshop.steps(run)["slow"].log_tail == "sleeping\n"


def test_a_missing_part_is_named(workshop: Workshop) -> None:
    source = """
@step
def parts() -> dict:
    return {"train": 1, "test": 2}

@step
def use(x):
    return x

@pipeline
def main():
    return use(x=parts()["trian"])
"""
    run = workshop.run(workshop.register(source))
    assert run.error == "Step 'use' failed: Step 'parts' returned no part 'trian'. Did you mean 'train'?"


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("@pipeline\ndef main():\n    raise KeyError('x')", "KeyError: 'x'"),
        ("import os\nif 'TRIMTAB_URL' in os.environ:\n    import no_such_library\n@pipeline\ndef main(): pass", "no_such_library"),
        ("import os\n@pipeline\ndef main():\n    if 'TRIMTAB_URL' in os.environ: os._exit(9)", "code 9"),
    ],
)  # fmt: skip
def test_a_pipeline_that_cannot_be_built_fails_its_run(workshop: Workshop, source: str, says: str) -> None:
    if (
        "KeyError" in source
    ):  # the graph cannot be drawn at registration either: register a sound one, then break it
        source = "import os\n" + source.replace("    raise", "    if 'TRIMTAB_URL' in os.environ: raise")
    run = workshop.run(workshop.register(source))
    assert run.state == "failed"
    assert run.error is not None
    assert run.error.startswith("The pipeline could not be built: ")
    assert says in run.error


def test_a_retried_run_keeps_what_succeeded(workshop: Workshop, counter: Any, tmp_path: Any) -> None:
    source = """
import os
@step(cache=False)
def first(log: str):
    open(log, "a").write("first\\n")
    return 1

@step(cache=False)
def second(x: int, log: str, flag: str):
    open(log, "a").write("second\\n")
    assert os.path.exists(flag), "not there yet"
    return x + 1

@pipeline
def main(log: str = "", flag: str = ""):
    return second(x=first(log=log), log=log, flag=flag)
"""
    flag = tmp_path / "flag"
    run = workshop.run(workshop.register(source), log=counter.path, flag=str(flag))
    assert run.state == "failed"
    flag.touch()
    queued = workshop.service.retry(workshop.who, run.id)
    assert (queued.state, queued.error, queued.ended_us) == ("queued", None, None)
    work_off(workshop.app, "pipelines")
    assert workshop.get(run.id).outputs == {"result": 2}
    assert counter() == ["first", "second", "second"]
    with pytest.raises(RunNotRetryable):
        workshop.service.retry(workshop.who, run.id)
    acts = [record.action for record in workshop.app.govern.audit_trail(workshop.who).items]
    assert acts[0] == "pipelines.run.retry"


def test_a_waiting_run_is_cancelled_at_once(workshop: Workshop, counter: Any) -> None:
    run = workshop.submit(workshop.register(CHAIN), log=counter.path)
    assert workshop.service.cancel(workshop.who, run.id).state == "cancelled"
    work_off(workshop.app, "pipelines")
    assert workshop.get(run.id).state == "cancelled"
    assert counter() == []
    with pytest.raises(RunEnded, match="cancelled already"):
        workshop.service.cancel(workshop.who, run.id)
    (finished,) = emitted(workshop.app, "pipelines.run_finished")
    assert finished.data["state"] == "cancelled"


def test_a_running_run_is_cancelled_with_its_processes(workshop: Workshop, counter: Any) -> None:
    source = """
import os, time
@step
def slow(log: str):
    open(log, "a").write(f"{os.getpid()}\\n")
    print("began", flush=True)
    time.sleep(120)

@step
def after(x):
    return x

@pipeline
def main(log: str = ""):
    return after(x=slow(log=log))
"""
    run = workshop.submit(workshop.register(source), log=counter.path)
    worker = threading.Thread(target=work_off, args=(workshop.app, "pipelines"))
    worker.start()
    until = time.monotonic() + 30
    while not counter() or workshop.steps(run)["slow"].log_tail != "began\n":
        assert time.monotonic() < until
        time.sleep(0.05)
    assert workshop.steps(run)["slow"].state == "running"
    workshop.service.cancel(workshop.who, run.id)
    worker.join(30)
    assert workshop.get(run.id).state == "cancelled"
    assert {row.state for row in workshop.steps(run).values()} == {"cancelled"}
    assert not alive(int(counter()[0]))


def test_submitting_twice_with_a_key_makes_one_run(workshop: Workshop) -> None:
    name = workshop.register(CHAIN)
    runs = [
        workshop.service.submit(
            workshop.who, pipeline=name, idempotency_key="episode-1", trigger={"kind": "alarm"}
        )
        for _ in range(2)
    ]
    assert runs[0].id == runs[1].id
    assert runs[1].trigger == {"kind": "alarm"}
    assert len(workshop.service.find_runs(workshop.who).items) == 1


def test_lineage_leads_through_a_run(workshop: Workshop) -> None:
    source = """
from trimtab.sdk.pipelines import current, note_input, note_output
@step
def train(data: str):
    note_input("data:weather@2")
    note_output("run:0af3")
    assert current().step == "train"
    return "model:delay/4"

@pipeline
def main(data: str = "data:flights@7"):
    return {"model": train(data=data)}
"""
    name = workshop.register(source)
    run = workshop.service.submit(
        workshop.who, pipeline=name, trigger={"kind": "alarm", "ref": "alert:a1", "episode": "e1"}
    )
    work_off(workshop.app, "pipelines")
    here = f"pipeline-run:{run.id}"

    def edges() -> set[tuple[str, str, str]]:
        return {
            (edge.source, edge.target, edge.kind)
            for edge in workshop.app.lineage.graph(workshop.who, here).edges
        }

    assert edges() == {
        ("alert:a1", here, "triggered"),
        ("data:flights@7", here, "input"),
        ("data:weather@2", here, "input"),
        (here, "run:0af3", "output"),
        (here, "model:delay/4", "output"),
    }
    again = workshop.run(name)
    here = f"pipeline-run:{again.id}"
    assert (here, "run:0af3", "output") in edges()


def test_bad_submissions_change_nothing(workshop: Workshop, counter: Any) -> None:
    name = workshop.register(CHAIN)
    before = workshop.app.govern.verify_audit(workshop.who).checked
    with pytest.raises(PipelineNotFound, match="Did you mean 'main'"):
        workshop.submit("mian")
    with pytest.raises(Invalid, match="no parameter 'm'"):
        workshop.submit(name, m=1)
    with pytest.raises(Invalid, match="whole number"):
        workshop.submit(name, n="many")
    for trigger in (
        {"ref": "alert:1"},
        {"kind": "x", "ref": "nothing"},
        {"kind": 5},
        {"kind": "x", "ref": 7},
    ):
        with pytest.raises(Invalid):
            workshop.service.submit(workshop.who, pipeline=name, trigger=trigger)
    with pytest.raises(PipelineRunNotFound):
        workshop.service.cancel(workshop.who, "pr_none")
    assert workshop.service.find_runs(workshop.who).items == []
    assert workshop.app.jobs.find() == []
    assert workshop.app.govern.verify_audit(workshop.who).checked == before


def test_viewers_read_and_do_nothing_else(workshop: Workshop, viewer: Principal, editor: Principal) -> None:
    name = workshop.register(CHAIN)
    service = workshop.service
    run = service.submit(editor, pipeline=name)
    assert service.get_run(viewer, run.id).submitted_by == editor.id
    assert service.find_pipelines(viewer).items[0][0].name == name
    registered = service.get_pipeline(viewer, name)
    refused = [
        lambda: service.submit(viewer, pipeline=name),
        lambda: service.cancel(viewer, run.id),
        lambda: service.retry(viewer, run.id),
        lambda: service.add_bundle(viewer, b""),
        lambda: service.register(viewer, "x", source_blob=registered.source_blob, entry=registered.entry, spec=registered.spec),
        lambda: service.schedule(viewer, name, cron="* * * * *"),
        lambda: service.expire(editor, before_us=0),
    ]  # fmt: skip
    for attempt in refused:
        with pytest.raises(NotPermitted):
            attempt()
    assert service.get_run(viewer, run.id).state == "queued"


def test_versions_count_changes(workshop: Workshop) -> None:
    name = workshop.register(CHAIN, stem="versioned")
    first = workshop.service.get_pipeline(workshop.who, name)
    workshop.register(CHAIN, stem="versioned")
    assert workshop.service.get_pipeline(workshop.who, name) == first
    workshop.register(CHAIN + "\n# more", stem="versioned")
    assert workshop.service.get_pipeline(workshop.who, name).version == 2
    assert first.spec.description == "Adds numbers."
    assert [(step.name, step.needs) for step in first.spec.steps] == [("numbers", []), ("total", ["numbers"])]


def test_runs_and_pipelines_are_paged(workshop: Workshop) -> None:
    name = workshop.register(CHAIN)
    other = workshop.register(CHAIN.replace("def main", "def other"), name="other")
    runs = [workshop.submit(name) for _ in range(3)]
    service = workshop.service
    first = service.find_runs(workshop.who, pipeline=name, limit=2)
    second = service.find_runs(workshop.who, pipeline=name, limit=2, cursor=first.next_cursor)
    assert [run.id for run in first.items + second.items] == [run.id for run in reversed(runs)]
    assert second.next_cursor is None
    assert service.find_runs(workshop.who, state="succeeded").items == []
    with pytest.raises(Invalid, match="Did you mean 'failed'"):
        service.find_runs(workshop.who, state="faild")
    page = service.find_pipelines(workshop.who, limit=1)
    rest = service.find_pipelines(workshop.who, limit=1, cursor=page.next_cursor)
    assert [(item[0].name, item[1]) for item in page.items + rest.items] == [(name, 3), (other, 0)]
    newest = page.items[0][2]
    assert newest is not None
    assert newest.id == runs[-1].id


def test_unknown_steps_are_named(workshop: Workshop, counter: Any) -> None:
    run = workshop.run(workshop.register(CHAIN), log=counter.path)
    with pytest.raises(StepNotFound, match="Did you mean 'numbers'"):
        workshop.service.step_log(workshop.who, run.id, "number")


def test_long_logs_are_kept_apart_from_the_row(workshop: Workshop) -> None:
    source = """
@step
def talk():
    for number in range(3000):
        print("line", number)

@pipeline
def main():
    talk()
"""
    run = workshop.run(workshop.register(source))
    row = workshop.steps(run)["talk"]
    assert len(row.log_tail) <= 8192
    assert row.log_tail.endswith("line 2999\n")
    log = workshop.service.step_log(workshop.who, run.id, "talk")
    assert log.startswith("line 0\n")
    assert len(log.splitlines()) == 3000


def test_schedules_submit_runs(workshop: Workshop, counter: Any) -> None:
    name = workshop.register(CHAIN)
    with pytest.raises(Invalid, match="no parameter"):
        workshop.service.schedule(workshop.who, name, cron="0 5 * * *", params={"x": 1})
    with pytest.raises(Invalid, match="cron"):
        workshop.service.schedule(workshop.who, name, cron="often")
    made = workshop.service.schedule(workshop.who, name, cron="0 5 * * *", params={"log": counter.path})
    assert made.cron == "0 5 * * *"
    with workshop.app.db.write() as tx:  # what the ticker does when the time has come
        workshop.app.jobs.enqueue(tx, "pipelines.submit", {"pipeline": name, "params": {"log": counter.path}})
    work_off(workshop.app, "light", "pipelines")
    (run,) = workshop.service.find_runs(workshop.who).items
    assert (run.trigger, run.submitted_by, run.state) == (
        {"kind": "schedule"},
        "system:pipelines",
        "succeeded",
    )
    assert workshop.service.schedule(workshop.who, name, cron=None).cron is None


def test_runs_whose_job_died_are_failed(workshop: Workshop, counter: Any) -> None:
    run = workshop.submit(workshop.register(CHAIN), log=counter.path)
    waiting = workshop.submit("main", log=counter.path)
    workshop.app.jobs.expire(before_us=0)
    with workshop.app.db.write() as tx:
        tx.run(statement("die", "update jobs_job set state = 'dead' where id = :id"), id=run.job_id)
    assert workshop.service.bury_lost(system("pipelines")) == 1
    assert workshop.get(run.id).state == "failed"
    assert "died again and again" in (workshop.get(run.id).error or "")
    assert workshop.get(waiting.id).state == "queued"
    assert workshop.service.retry(workshop.who, run.id).state == "queued"
    work_off(workshop.app, "pipelines")
    assert workshop.get(run.id).state == "succeeded"


def test_old_runs_expire_and_their_blobs_are_let_go(workshop: Workshop) -> None:
    source = """
@step
def large() -> bytes:
    return b"z" * 50_000

@pipeline
def main():
    return large()
"""
    run = workshop.run(workshop.register(source))
    value = workshop.steps(run)["large"].value
    assert value is not None
    me = system("pipelines")
    assert value.blob in set(workshop.service.blobs_in_use(me))
    assert workshop.service.expire(me, before_us=run.created_us) == 0
    assert workshop.service.expire(me, before_us=now_us() + 1) == 1
    assert value.blob not in set(workshop.service.blobs_in_use(me))
    with pytest.raises(PipelineRunNotFound):
        workshop.get(run.id)


def test_upkeep_is_scheduled(app: App) -> None:
    with app.db.write() as tx:
        schedule_upkeep(app.jobs, tx)


def test_a_run_whose_bundle_is_gone_fails(workshop: Workshop, counter: Any) -> None:
    name = workshop.register(CHAIN)
    workshop.app.blobs.delete(workshop.service.get_pipeline(workshop.who, name).source_blob)
    run = workshop.run(name, log=counter.path)
    assert run.state == "failed"
    assert "no blob" in (run.error or "")


def test_a_key_belongs_to_one_pipeline(workshop: Workshop) -> None:
    name = workshop.register(CHAIN)
    workshop.service.submit(workshop.who, pipeline=name, idempotency_key="once")
    with pytest.raises(Conflict, match="once"):
        workshop.service.submit(workshop.who, pipeline="another", idempotency_key="once")


def test_a_run_that_is_lost_leaves_no_token(workshop: Workshop, owner: Principal, counter: Any) -> None:
    run = workshop.submit(workshop.register(CHAIN), log=counter.path)
    govern = workshop.app.govern
    token, text = govern.create_token(owner, name="pipeline run", role="editor")
    with workshop.app.db.write() as tx:
        store.set_token(tx, run.id, token.id)
        tx.run(statement("die", "update jobs_job set state = 'dead' where id = :id"), id=run.job_id)
    assert workshop.service.bury_lost(system("pipelines")) == 1
    with pytest.raises(BadToken):
        govern.authenticate(f"Bearer {text}", None)
