"""Profiles, inferred expectations, later versions held to them, and the alert when one fails."""

import msgspec
import pytest

from tests.background import work_off
from tests.domains.data.conftest import Warehouse
from trimtab.app import App
from trimtab.domains.data.errors import DatasetNotFound, SuiteNotFound
from trimtab.domains.data.suites import Expectation
from trimtab.infra.db.queries import statement
from trimtab.infra.jobs import Job, JobContext
from trimtab.kernel.errors import Invalid
from trimtab.kernel.who import Principal, system


def csv(*rows: str, header: str = "delay,carrier") -> dict[str, bytes]:
    return {"flights.csv": "\n".join([header, *rows, ""]).encode()}


GOOD = csv(*[f"{delay},{'AB'[delay % 2]}" for delay in range(60)])
LIKE_GOOD = csv(*[f"{delay},{'AB'[delay % 2]}" for delay in range(55)])
BAD = csv(*[f"{delay * 100},{'AX'[delay % 2]}" for delay in range(60)])


def finished(app: App) -> list[dict[str, object]]:
    return [record.data for record in app.bus.after(0) if record.kind == "data.validation_finished"]


def test_the_first_version_sets_the_rules(app: App, warehouse: Warehouse) -> None:
    version = warehouse.validated("flights", GOOD)
    assert (version.validation_state, version.rows, version.suite_version) == ("passed", 60, 1)
    suite = app.data.validation.suite(warehouse.who, "flights")
    assert (suite.version, suite.inferred_from) == (1, 1)
    wanted = {(one.kind, one.column) for one in suite.expectations}
    assert {("columns", None), ("rows", None), ("range", "delay"), ("values", "carrier")} <= wanted
    found = app.data.findings(warehouse.who, "flights", 1)
    assert [(column.name, column.type) for column in found.columns] == [
        ("delay", "int64"),
        ("carrier", "string"),
    ]
    assert all(check.passed for check in found.checks)
    assert finished(app)[0] | {"message": ""} == {
        "name": "flights",
        "version": 1,
        "state": "passed",
        "checks": len(suite.expectations),
        "failed": 0,
        "message": "",
    }


def test_later_versions_are_held_to_them(app: App, warehouse: Warehouse) -> None:
    warehouse.validated("flights", GOOD)
    assert warehouse.validated("flights", LIKE_GOOD).validation_state == "passed"
    bad = warehouse.validated("flights", BAD)
    assert bad.validation_state == "failed"
    failed = [check for check in app.data.findings(warehouse.who, "flights", 3).checks if not check.passed]
    assert {(check.expectation, check.column) for check in failed} == {
        ("range", "delay"),
        ("values", "carrier"),
    }
    assert app.data.validation.suite(warehouse.who, "flights").version == 1
    assert app.data.get_version(warehouse.who, "flights").version == 3, "a failed version stays available"


def test_a_failure_opens_an_alert_and_the_next_good_version_ends_it(
    app: App, warehouse: Warehouse, owner: Principal
) -> None:
    warehouse.validated("flights", GOOD)
    warehouse.validated("flights", BAD)
    work_off(app)
    (alert,) = app.alerts.find(owner, state="open").items
    assert (alert.rule, alert.subject) == ("data-validation-failed", "data:flights@2")
    assert alert.title == "flights version 2 fails its expectations"
    assert "delay" in alert.detail
    warehouse.validated("flights", LIKE_GOOD)
    work_off(app)
    assert app.alerts.get(owner, alert.id).state == "resolved"


def test_versions_added_at_once_are_judged_in_their_order(app: App, warehouse: Warehouse) -> None:
    for contents in (GOOD, BAD, LIKE_GOOD):
        warehouse.add("flights", contents)
    app.data.validation.run(system("data"), "flights", 3, progress=lambda share, note: None)
    states = [version.validation_state for version in app.data.versions(warehouse.who, "flights").items]
    assert states == ["passed", "failed", "passed"]
    assert app.data.validation.suite(warehouse.who, "flights").inferred_from == 1
    work_off(app, "heavy")
    assert len(finished(app)) == 3, "the jobs of each find nothing left to do"


def test_edited_expectations_count_from_then_on(app: App, warehouse: Warehouse, owner: Principal) -> None:
    warehouse.validated("flights", GOOD)
    assert warehouse.validated("flights", BAD).validation_state == "failed"
    wider = [Expectation("range", "delay", low=0, high=10_000), Expectation("rows", low=10)]
    suite = app.data.validation.replace_suite(warehouse.who, "flights", wider)
    assert (suite.version, suite.inferred_from) == (2, None)
    assert app.data.validation.replace_suite(warehouse.who, "flights", wider) == suite, (
        "the same adds nothing"
    )
    assert app.data.get_version(owner, "flights", 2).validation_state == "failed", (
        "not judged again by itself"
    )
    asked = app.data.validation.request(warehouse.who, "flights", 2)
    assert asked.validation_state == "pending"
    work_off(app, "heavy")
    judged = app.data.get_version(owner, "flights", 2)
    assert (judged.validation_state, judged.suite_version) == ("passed", 2)
    assert app.data.validation.suite(owner, "flights", 1).inferred_from == 1
    with pytest.raises(SuiteNotFound):
        app.data.validation.suite(owner, "flights", 3)


def test_warnings_do_not_fail(app: App, warehouse: Warehouse) -> None:
    warehouse.validated("flights", GOOD)
    app.data.validation.replace_suite(
        warehouse.who, "flights", [Expectation("range", "delay", high=1, severity="warning")]
    )
    assert warehouse.validated("flights", LIKE_GOOD).validation_state == "passed"
    (check,) = app.data.findings(warehouse.who, "flights", 2).checks
    assert (check.passed, check.severity) == (False, "warning")


def test_what_holds_no_table_is_not_judged(app: App, warehouse: Warehouse) -> None:
    version = warehouse.add("photos", {"a.jpg": b"x"})
    assert version.validation_state == "none"
    assert finished(app)[0]["state"] == "none"
    assert app.jobs.find(kind="data.profile") == []
    with pytest.raises(SuiteNotFound):
        app.data.validation.suite(warehouse.who, "photos")
    with pytest.raises(Invalid):
        app.data.validation.request(warehouse.who, "photos")


def test_a_table_that_cannot_be_read_fails(app: App, warehouse: Warehouse) -> None:
    version = warehouse.validated("flights", {"a.parquet": b"nonsense"})
    assert (version.validation_state, version.rows) == ("failed", None)
    (check,) = app.data.findings(warehouse.who, "flights", 1).checks
    assert check.expectation == "readable"
    assert "a.parquet" in check.message
    good = warehouse.validated("flights", GOOD)
    assert good.validation_state == "passed"
    assert app.data.validation.suite(warehouse.who, "flights").inferred_from == 2


def test_several_tables_are_held_to_their_own(app: App, warehouse: Warehouse) -> None:
    weather = {"weather.csv": b"temp\n1\n2\n"}
    version = warehouse.validated("both", {**GOOD, **weather, "notes.txt": b"x"})
    assert (version.validation_state, version.rows) == ("passed", 62)
    tables = {one.table for one in app.data.validation.suite(warehouse.who, "both").expectations}
    assert tables == {"flights", "weather"}
    alone = warehouse.validated("both", weather)
    assert alone.validation_state == "failed"
    checks = app.data.findings(warehouse.who, "both", 2).checks
    assert [(check.table, check.message) for check in checks if check.expectation == "table"] == [
        ("flights", "there is no table flights")
    ]


def test_parts_of_one_table_are_counted_together(app: App, warehouse: Warehouse) -> None:
    parts = {f"2013-0{number}.csv": GOOD["flights.csv"] for number in range(1, 4)}
    assert warehouse.validated("flights", parts).rows == 180


def test_a_table_without_rows_has_columns(app: App, warehouse: Warehouse) -> None:
    version = warehouse.validated("empty", csv())
    assert (version.rows, version.validation_state) == (0, "passed")
    assert [column.name for column in app.data.findings(warehouse.who, "empty", 1).columns] == [
        "delay",
        "carrier",
    ]


def test_a_known_content_is_not_read_again(app: App, warehouse: Warehouse) -> None:
    warehouse.validated("flights", GOOD)
    warehouse.validated("flights", BAD)
    for file in warehouse.files(GOOD):
        app.blobs.delete(file.blob)
    app.blobs.put(GOOD["flights.csv"])
    first = app.data.findings(warehouse.who, "flights", 1)
    again = warehouse.validated("flights", GOOD)
    found = app.data.findings(warehouse.who, "flights", 3)
    assert (again.validation_state, again.rows) == ("passed", 60)
    assert (found.profile, found.sketches) == (first.profile, first.sketches)


def test_doing_the_job_twice_changes_nothing(app: App, warehouse: Warehouse) -> None:
    version = warehouse.validated("flights", GOOD)
    app.data.validation.run(system("data"), "flights", 1, progress=lambda share, note: None)
    assert app.data.get_version(warehouse.who, "flights") == version
    assert len(finished(app)) == 1


def test_a_profile_that_never_comes_is_given_up(app: App, warehouse: Warehouse) -> None:
    version = warehouse.add("flights", GOOD)
    app.blobs.delete(version.manifest)
    handle = app.jobs.handler_of("data.profile")
    assert handle is not None
    payload = {"name": "flights", "version": 1}
    for attempt in (4, 5):
        job = Job("job_x", "data.profile", "heavy", payload, attempt, 5)
        with pytest.raises(Exception, match="no blob"):
            handle(job, JobContext(app.db, job, "me"))
        state = app.data.get_version(warehouse.who, "flights").validation_state
        assert state == ("pending" if attempt == 4 else "failed")
    assert "no blob" in (app.data.findings(warehouse.who, "flights", 1).problem or "")


@pytest.mark.parametrize(
    ("one", "field"),
    [
        (Expectation("range", low=1), "column"),
        (Expectation("rows", "delay", low=1), "column"),
        (Expectation("range", "delay"), "low"),
        (Expectation("range", "delay", low=2, high=1), "low"),
        (Expectation("nulls", "delay"), "high"),
        (Expectation("nulls", "delay", high=1.5), "high"),
        (Expectation("values", "delay"), "values"),
        (Expectation("columns"), "values"),
    ],
)
def test_expectations_that_make_no_sense(
    app: App, warehouse: Warehouse, one: Expectation, field: str
) -> None:
    warehouse.add("flights", GOOD)
    with pytest.raises(Invalid) as caught:
        app.data.validation.replace_suite(warehouse.who, "flights", [Expectation("rows", low=1), one])
    assert caught.value.field == f"expectations[1].{field}"
    with pytest.raises(SuiteNotFound):
        app.data.validation.suite(warehouse.who, "flights")


def test_only_a_dataset_has_expectations(app: App, warehouse: Warehouse) -> None:
    with pytest.raises(DatasetNotFound):
        app.data.validation.replace_suite(warehouse.who, "nope", [])


def test_an_inferred_suite_can_be_sent_back_as_it_is(app: App, warehouse: Warehouse) -> None:
    warehouse.validated("flights", GOOD)
    suite = app.data.validation.suite(warehouse.who, "flights")
    sent = msgspec.json.decode(msgspec.json.encode(suite.expectations), type=list[Expectation])
    assert app.data.validation.replace_suite(warehouse.who, "flights", sent) == suite


def test_a_profile_whose_worker_died_each_time_is_given_up(app: App, warehouse: Warehouse) -> None:
    lost, waiting = warehouse.add("flights", GOOD), warehouse.add("others", GOOD)
    assert app.data.validation.give_up_lost(warehouse.who) == 0
    bury = statement("bury", "update jobs_job set state = 'dead' where payload like '%flights%'")
    with app.db.write() as tx:
        tx.run(bury)
    assert app.data.validation.give_up_lost(warehouse.who) == 1
    assert app.data.get_version(warehouse.who, "flights").validation_state == "failed"
    assert app.data.get_version(warehouse.who, "others") == waiting
    app.data.validation.request(warehouse.who, "flights", lost.version)  # asked for again, it waits for that
    assert app.data.validation.give_up_lost(warehouse.who) == 0
