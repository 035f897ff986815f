"""Traces whose spans and statements arrive in any order, twice, and after a deletion."""

import pytest

from tests.domains.traces.building import NOON_NS, experiment, span, stated, trace_id
from trimtab.app import App
from trimtab.domains.govern.errors import NotPermitted
from trimtab.domains.traces.errors import SpansIncomplete, TraceNotFound
from trimtab.domains.traces.infos import service
from trimtab.domains.traces.infos.model import SPANS_TAG
from trimtab.domains.traces.service import purge, purge_experiment
from trimtab.domains.traces.spans import store as spans_store
from trimtab.domains.tracking.errors import ExperimentNotFound
from trimtab.kernel.errors import Invalid
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal

USAGE = "mlflow.chat.tokenUsage"


def _used(tokens: int) -> dict[str, object]:
    return {USAGE: {"input_tokens": tokens, "output_tokens": 1, "total_tokens": tokens + 1}}


def test_spans_alone_make_a_trace(app: App, owner: Principal) -> None:
    here = experiment(app, owner)
    arrived = [
        span(1, 2, 1, name="llm", at_ms=5, took_ms=20, attributes=_used(10) | {"mlflow.spanType": "LLM"}),
        span(
            1,
            1,
            name="root",
            took_ms=30,
            attributes={
                "mlflow.spanInputs": {"messages": [{"role": "user", "content": "Why?"}]},
                "mlflow.traceTag.team": "red",
                "session.id": "s1",
                "user.id": "me",
            },
            resource={"service.name": "shop", "telemetry.sdk.name": "x", "mlflow.x": "no"},
        ),
    ]
    assert app.traces.traces.add_spans(owner, here, arrived) == [trace_id(1)]
    info, spans = (
        app.traces.traces.get(owner, trace_id(1)),
        app.traces.traces.get_whole(owner, trace_id(1)).spans,
    )
    assert (info.state, info.request_us, info.duration_us) == ("OK", NOON_NS // 1000, 30_000)
    assert (info.request_preview, info.root) == ("Why?", "root")
    assert info.tags["team"] == "red"
    assert info.tags["service.name"] == "shop"
    assert info.tags[SPANS_TAG] == "TRACKING_STORE"
    assert not {"telemetry.sdk.name", "mlflow.x"} & set(info.tags)
    assert info.metadata["mlflow.trace.session"] == "s1"
    assert info.metadata["mlflow.trace.user"] == "me"
    assert (
        info.metadata["mlflow.trace.tokenUsage"]
        == '{"input_tokens": 10, "output_tokens": 1, "total_tokens": 11}'
    )
    assert [one.name for one in spans] == ["root", "llm"]


def test_spans_in_pieces_count_once(app: App, owner: Principal) -> None:
    here, traces = experiment(app, owner), app.traces.traces
    for piece in ([span(1, 2, 1, attributes=_used(3))], [span(1, 3, 1, at_ms=50, attributes=_used(4))]):
        traces.add_spans(owner, here, piece)
    assert traces.get(owner, trace_id(1)).state == "IN_PROGRESS"
    traces.add_spans(owner, here, [span(1, 1, took_ms=90, status=2)])
    traces.add_spans(owner, here, [span(1, 3, 1, name="again", at_ms=50, attributes=_used(4))])
    whole = traces.get_whole(owner, trace_id(1))
    assert (whole.info.state, whole.info.duration_us) == ("ERROR", 90_000)
    assert '"total_tokens": 9' in whole.info.metadata["mlflow.trace.tokenUsage"]
    assert [one.name for one in whole.spans] == ["step", "step", "again"]
    with app.db.read() as tx:
        assert len(spans_store.chunks(tx, traces=[whole.info.no])[whole.info.no]) == 1


def test_large_traces_are_several_chunks(app: App, owner: Principal) -> None:
    here, traces = experiment(app, owner), app.traces.traces
    for number in range(1, 5):
        long = {"x": "".join(chr(33 + (place * number * 7919) % 90) for place in range(40_000))}
        traces.add_spans(
            owner, here, [span(1, number, 0 if number == 1 else 1, at_ms=number, attributes=long)]
        )
    whole = traces.get_whole(owner, trace_id(1))
    assert [len(one.attributes["x"]) > 40_000 for one in whole.spans] == [True] * 4
    with app.db.read() as tx:
        assert len(spans_store.chunks(tx, traces=[whole.info.no])[whole.info.no]) == 2


@pytest.mark.parametrize("spans_first", [True, False])
def test_what_the_client_states_wins(
    app: App, owner: Principal, spans_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_PATIENCE_S", 0.2)
    here, traces = experiment(app, owner), app.traces.traces
    said = stated(
        1,
        here,
        tags={"mlflow.traceName": "asked", "a": "1"},
        metadata={
            "mlflow.trace.tokenUsage": '{"input_tokens": 7}',
            "mlflow.trace.sizeStats": '{"num_spans": 1}',
            "k": "v",
        },
        request_preview="short",
    )
    arrived = [span(1, 1, took_ms=777, status=2, attributes=_used(5) | {"mlflow.spanInputs": "long"})]
    if spans_first:
        traces.add_spans(owner, here, arrived)
    answer = traces.state(owner, said, spans_follow=True)
    assert answer.tags[SPANS_TAG] == "TRACKING_STORE"
    if not spans_first:
        with pytest.raises(SpansIncomplete):
            traces.get_whole(owner, trace_id(1))
        traces.add_spans(owner, here, arrived)
    info = traces.get_whole(owner, trace_id(1)).info
    assert (info.request_us, info.duration_us, info.state) == (said.request_us, 100_000, "OK")
    assert (info.name, info.tags["a"], info.metadata["k"], info.request_preview) == (
        "asked",
        "1",
        "v",
        "short",
    )
    assert '"input_tokens": 7' in info.metadata["mlflow.trace.tokenUsage"]
    assert traces.state(owner, said) == info  # once more is the same
    assert len(traces.find_whole(owner, [trace_id(1), "tr-none"])) == 1


def test_the_trash_and_its_end(app: App, owner: Principal, viewer: Principal) -> None:
    here, traces = experiment(app, owner), app.traces.traces
    for number in (1, 2, 3):
        traces.add_spans(owner, here, [span(number, 1, at_ms=number)])
    with pytest.raises(NotPermitted):
        traces.delete(viewer, here, trace_ids=[trace_id(1)])
    assert traces.delete(owner, here, trace_ids=[trace_id(1), "tr-none"]) == 1
    assert traces.delete(owner, here, until_us=now_us() * 2, most=1) == 1
    assert [one.id for one in traces.search(owner, experiment_ids=[here]).items] == [trace_id(3)]
    for gone in (trace_id(1), trace_id(2)):
        with pytest.raises(TraceNotFound):
            traces.get(owner, gone)
    traces.restore(owner, trace_id(2))
    assert len(traces.get_whole(owner, trace_id(2)).spans) == 1
    traces.add_spans(owner, here, [span(1, 9, name="new")])  # the id is free again
    assert [one.name for one in traces.get_whole(owner, trace_id(1)).spans] == ["new"]
    traces.delete(owner, here, trace_ids=[trace_id(1)])
    with app.db.write() as tx:
        assert purge(tx, before_us=1)["trace"] == []
        assert purge(tx, before_us=now_us() + 1)["trace"] == [trace_id(1)]
        assert len(purge_experiment(tx, experiment_id=here)) == 2
        assert purge_experiment(tx, experiment_id=here) == []
    assert traces.search(owner, experiment_ids=[here]).items == []
    acts = [one.action for one in app.govern.audit_trail(owner).items]
    assert acts.count("traces.trace.delete") == 3
    assert "traces.trace.restore" in acts


def test_where_traces_may_go(app: App, owner: Principal, viewer: Principal) -> None:
    here, traces = experiment(app, owner), app.traces.traces
    with pytest.raises(ExperimentNotFound):
        traces.add_spans(owner, "987654", [span(1, 1)])
    with pytest.raises(ExperimentNotFound):
        traces.state(owner, stated(1, "987654"))
    app.tracking.experiments.delete(owner, here)
    with pytest.raises(Invalid, match="active"):
        traces.state(owner, stated(1, here))
    with pytest.raises(NotPermitted):
        traces.add_spans(viewer, here, [span(1, 1)])
    with pytest.raises(Invalid):
        traces.state(owner, stated(1, here, client_request_id="x" * 300))


def test_a_trace_in_the_older_protocol(app: App, owner: Principal) -> None:
    here, traces = experiment(app, owner), app.traces.traces
    begun = traces.start_old(owner, here, request_us=1_000_000, tags={"a": "1"}, metadata={"m": "1"})
    said = stated(1, "", request_us=3_500_000, tags={"b": "2"}, metadata={"n": "2"}, state="ERROR")
    ended = traces.end_old(owner, begun.id, said)
    assert (ended.duration_us, ended.state) == (2_500_000, "ERROR")
    assert (ended.tags["a"], ended.tags["b"], ended.metadata) == ("1", "2", {"m": "1", "n": "2"})
