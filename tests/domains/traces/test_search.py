"""Searches for traces: every kind of thing that a filter compares, orders, pages and figures."""

import pytest

from tests.domains.traces.building import experiment, span, stated, trace_id
from trimtab.app import App
from trimtab.domains.traces.analysis.model import Aggregation, correlation
from trimtab.domains.traces.assessments.model import Assessment
from trimtab.domains.traces.infos.patterns import like, regex
from trimtab.kernel.errors import Invalid
from trimtab.kernel.filters import BadFilter
from trimtab.kernel.who import Principal

KINDS = ("RETRIEVER", "CHAT_MODEL", "TOOL")


def assessment(number: int, name: str, value: object, **more: object) -> Assessment:
    values: dict[str, object] = {"kind": "feedback", "metadata": None, "overrides": None, **more}
    return Assessment(
        id="",
        trace_id=trace_id(number),
        name=name,
        value=value,
        error=None,
        source_type="HUMAN",
        source_id="me",
        run_id=None,
        span_id=None,
        rationale=None,
        valid=True,
        created_us=number,
        updated_us=number,
        **values,  # type: ignore[arg-type]
    )


@pytest.fixture
def here(app: App, owner: Principal) -> str:
    """An experiment with six traces."""
    where = experiment(app, owner)
    for number in range(1, 7):
        tags = {"mlflow.traceName": f"name{number % 3}", "team": ("red", "Blue", "green")[number % 3]}
        if number == 6:
            del tags["team"]
        metadata = {
            "k": str(number),
            "mlflow.sourceRun": f"run{number}",
            "mlflow.trace.session": f"s{number % 2}",
        }
        app.traces.traces.state(
            owner,
            stated(
                number,
                where,
                state="ERROR" if number == 4 else "OK",
                tags=tags,
                metadata=metadata,
                client_request_id=f"c{number}",
                duration_us=None if number == 5 else number * 100_000,
            ),
        )
        spans = [
            span(
                number,
                1,
                name="root",
                at_ms=number * 1000,
                attributes={"mlflow.spanInputs": f"number {number} ü"},
            )
        ]
        for place, kind in enumerate(KINDS, start=2):
            cost = {"mlflow.llm.cost": {"total_cost": number / 10}, "mlflow.llm.model": f"m{number % 2}"}
            attributes = {"mlflow.spanType": kind, "model.x": f"v{number}", **(cost if place == 3 else {})}
            spans.append(
                span(
                    number,
                    place,
                    1,
                    name=kind.lower(),
                    at_ms=number * 1000 + place,
                    took_ms=number,
                    status=2 if (number, place) == (2, 4) else 1,
                    attributes=attributes,
                )
            )
        app.traces.traces.add_spans(owner, where, spans)
        app.traces.assessments.create(owner, assessment(number, "score", number / 10))
        app.traces.assessments.create(owner, assessment(number, "good", ("yes", True, None)[number % 3]))
    app.traces.assessments.create(owner, assessment(1, "want", "Paris", kind="expectation"))
    app.traces.assessments.create(owner, assessment(1, "wide", "x", metadata={"mlflow.trace.session": "s1"}))
    app.traces.assessments.create(owner, assessment(3, "iss", {"issue_name": "slow"}, kind="issue"))
    app.traces.traces.link_to_run(owner, "linked", [trace_id(2), trace_id(3), "tr-none"])
    app.traces.traces.link_prompts(owner, trace_id(4), ["hello/1", "hello/1"])
    return where


FOUND = {
    "": "123456",
    "status = 'ERROR'": "4",
    "trace.status != 'OK'": "4",
    "attributes.status IN ('OK')": "12356",
    "status RLIKE '^E'": "4",
    "name = 'name1'": "14",
    "trace.name LIKE 'name%' AND tags.`mlflow.traceName` ILIKE 'NAME2'": "25",
    "name RLIKE '[12]$'": "1245",
    "tags.team = 'red'": "3",
    "tags.team != 'red'": "1245",
    "tag.team LIKE '%e%'": "12345",
    "tags.team LIKE 'b%'": "",
    "tags.team ILIKE 'b%'": "14",
    "tags.team RLIKE '^[rg]'": "235",
    "tags.team IS NULL": "6",
    "tags.team IS NOT NULL": "12345",
    "metadata.k = '2'": "2",
    "request_metadata.k RLIKE '[45]'": "45",
    "metadata.nope IS NULL": "123456",
    "metadata.`mlflow.trace.session` = 's1'": "135",
    "run_id = 'run2'": "2",
    "run_id = 'linked'": "23",
    "prompt = 'hello/1'": "4",
    "client_request_id IN ('c1', 'c6')": "16",
    "request_id = 'tr-00000000000000000000000000000005'": "5",
    "timestamp_ms > 1795289575501": "456",
    "trace.timestamp >= 1795289575501 AND timestamp < 1795289577501": "34",
    "execution_time_ms >= 400": "46",
    "end_time > 1795289576000": "456",
    "span.name = 'tool'": "123456",
    "span.type = 'TOOL' AND span.status = 'ERROR'": "2",
    "span.type = 'CHAT_MODEL' AND span.status = 'ERROR'": "",
    "span.name RLIKE 'oo' AND span.status = 'ERROR'": "2",
    "span.attributes.model.x LIKE '%v3%'": "3",
    "span.attributes.`model.x` RLIKE '^v[34]$'": "34",
    "span.attributes.model.x RLIKE '^v[34]$' AND span.type = 'TOOL'": "34",
    "trace.text LIKE '%number 3 ü%'": "3",
    "trace.text ILIKE '%NUMBER _ %'": "123456",
    "span.content LIKE '%NUMBER%'": "",
    "feedback.score > 0.35": "456",
    "feedback.score <= 0.2": "12",
    "feedback.good = 'yes'": "36",
    "feedback.good = 'true'": "14",
    "feedback.good != 'yes'": "1245",
    "feedback.good RLIKE '^\"y'": "36",
    "feedback.good IS NOT NULL": "123456",
    "feedback.wide IS NULL": "246",
    "feedback.wide = 'x'": "135",
    "expectation.want = 'Paris'": "1",
    "expectation.want IS NOT NULL": "1",
    "issue.id = 'iss'": "3",
}


def test_filters(app: App, owner: Principal, here: str) -> None:
    for text, expected in FOUND.items():
        found = app.traces.traces.search(owner, experiment_ids=[here], filter=text).items
        assert "".join(sorted(one.id[-1] for one in found)) == expected, text


def test_filters_that_mean_nothing(app: App, owner: Principal, here: str) -> None:
    for text in (
        "foo = '1'",
        "foo.bar = '1'",
        "status > 'OK'",
        "status = 1",
        "status IS NULL",
        "name IN ('a')",
        "timestamp > '1'",
        "tags.team IN ('a')",
        "tags.team = 1",
        "prompt = 'hello'",
        "prompt != 'hello/1'",
        "span.foo = 'x'",
        "span.name = 3",
        "span.content = 'x'",
        "span.attributes. LIKE '%'",
        "text LIKE '%x%'",
        "trace.text RLIKE 'x'",
        "feedback.score = 0.5",
        "feedback.score > '0.5'",
        "issue.title = 'x'",
        "metadata.`mlflow.trace.cost` LIKE '%'",
        "name RLIKE '('",
        "name RLIKE '(a+)+$'",
        "status = 'OK' OR status = 'ERROR'",
    ):
        with pytest.raises(Invalid):
            app.traces.traces.search(owner, experiment_ids=[here], filter=text)


def test_orders_and_pages(app: App, owner: Principal, here: str) -> None:
    def ids(*order_by: str, where: str = "", limit: int = 2) -> str:
        seen, cursor = "", None
        while True:
            page = app.traces.traces.search(
                owner, experiment_ids=[here], filter=where, order_by=order_by, limit=limit, cursor=cursor
            )
            seen += "".join(one.id[-1] for one in page.items)
            cursor = page.next_cursor
            if cursor is None:
                return seen

    assert ids() == "654321"
    assert ids("timestamp_ms ASC") == "123456"
    assert ids("execution_time_ms DESC", limit=4) == "643215"  # what is missing comes last
    assert ids("execution_time") == "123465"
    assert ids("status", "name DESC", "request_id") == "425136"
    assert ids("tags.team") == "142536" or ids("tags.team") == "415236"
    assert ids("metadata.k DESC") == "654321"
    assert ids(where="trace.text LIKE '%number%'", limit=4) == "654321"
    assert ids("timestamp_ms", where="name RLIKE '[12]'", limit=3) == "1245"
    for wrong in (("foo",), ("name", "name"), ("span.name",), ("metadata.`mlflow.trace.cost`",)):
        with pytest.raises(BadFilter):
            ids(*wrong)
    with pytest.raises(Invalid):
        app.traces.traces.search(owner, experiment_ids=[here], cursor="bm9uZQ")


def test_figures(app: App, owner: Principal, here: str) -> None:
    def figures(
        view: str, name: str, *kinds: str, **more: object
    ) -> list[tuple[dict[str, str], dict[str, float]]]:
        wanted = [
            Aggregation("PERCENTILE", float(one[1:])) if one[0] == "P" else Aggregation(one) for one in kinds
        ]  # type: ignore[arg-type]
        points = app.traces.analysis.metrics(
            owner,
            experiment_ids=[here],
            view=view,
            metric_name=name,
            aggregations=wanted,
            **more,  # type: ignore[arg-type]
        )
        return [(one.dimensions, one.values) for one in points]

    assert figures("TRACES", "trace_count", "COUNT") == [({}, {"COUNT": 6.0})]
    assert figures("TRACES", "session_count", "COUNT") == [({}, {"COUNT": 2.0})]
    assert figures("TRACES", "trace_count", "COUNT", dimensions=["trace_status"]) == [
        ({"trace_status": "ERROR"}, {"COUNT": 1.0}),
        ({"trace_status": "OK"}, {"COUNT": 5.0}),
    ]
    assert figures("TRACES", "latency", "AVG", "MIN", "MAX", "P50") == [
        ({}, {"AVG": 320.0, "MIN": 100.0, "MAX": 600.0, "P50.0": 300.0})
    ]
    by_time = figures(
        "TRACES", "trace_count", "COUNT", interval_s=4, from_ms=1795289570000, until_ms=1795289580000
    )
    assert by_time == [
        ({"time_bucket": "2026-11-21T19:32:52+00:00"}, {"COUNT": 3.0}),
        ({"time_bucket": "2026-11-21T19:32:56+00:00"}, {"COUNT": 3.0}),
    ]
    assert figures("SPANS", "span_count", "COUNT", filters=["span.status = 'ERROR'"]) == [
        ({}, {"COUNT": 1.0})
    ]
    costs = figures("SPANS", "total_cost", "SUM", "P100", dimensions=["span_model_name"])
    assert [(one["span_model_name"], round(two["SUM"], 6), two["P100.0"]) for one, two in costs] == [
        ("m0", 1.2, 0.6),
        ("m1", 0.9, 0.5),
    ]
    assert figures(
        "ASSESSMENTS", "assessment_count", "COUNT", filters=["assessment.type = 'expectation'"]
    ) == [({}, {"COUNT": 1.0})]
    scores = figures(
        "ASSESSMENTS",
        "assessment_value",
        "AVG",
        filters=["trace.tag.team = 'red'"],
        dimensions=["assessment_name"],
    )
    assert [(one["assessment_name"], two["AVG"]) for one, two in scores] == [("good", 1.0), ("score", 0.3)]
    for wrong in ({"filters": ["span.name = 'x'"]}, {"dimensions": ["foo"]}, {"interval_s": 5}):
        with pytest.raises(Invalid):
            figures("TRACES", "trace_count", "COUNT", **wrong)


def test_what_goes_together(app: App, owner: Principal, here: str) -> None:
    found = app.traces.analysis.correlate(
        owner, experiment_ids=[here], first="feedback.score > 0.35", second="trace.text LIKE '%number 4%'"
    )
    assert (found.filter1_count, found.filter2_count, found.joint_count, found.total_count) == (3, 1, 1, 6)
    assert 0 < found.npmi_smoothed < found.npmi < 1
    assert correlation(joint=0, first=2, second=2, total=10).npmi == -1.0
    assert correlation(joint=4, first=4, second=4, total=4).npmi == 1.0
    assert correlation(joint=2, first=5, second=4, total=10).npmi == pytest.approx(0.0)


def test_patterns() -> None:
    assert like("%a%b_d%", fold=False)("xxaxxbcdxx")
    assert not like("%a%b_d%", fold=False)("xxaxxbd")
    assert not like("a%a", fold=False)("a")
    assert like("_%_", fold=True)("ab")
    assert like("", fold=False)("")
    with pytest.raises(Invalid):
        regex("(a|b*)*c")
    assert regex("^[a-z]+(-[0-9]{2})?$").search("ab-12")
