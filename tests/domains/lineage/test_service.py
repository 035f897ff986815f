"""Edges in the caller's transaction, and the graph around an object on both engines."""

import msgspec
import pytest

from trimtab.app import App
from trimtab.domains.lineage.errors import BadRef
from trimtab.kernel.errors import Invalid
from trimtab.kernel.who import Principal

CHAIN = [
    ("data:flights@1", "run:r1", "input"),
    ("commit:abc", "run:r1", "code"),
    ("run:r1", "model:delay/1", "trained"),
    ("model:delay/1", "endpoint:delay", "served"),
    ("data:flights@1", "run:r2", "input"),
]


@pytest.fixture
def linked(app: App) -> App:
    with app.db.write() as tx:
        for at_us, (source, target, kind) in enumerate(CHAIN):
            assert app.lineage.link(tx, source, target, kind, at_us)  # type: ignore[arg-type]
    return app


def test_from_an_endpoint_back_to_data_and_code(linked: App, viewer: Principal) -> None:
    graph = linked.lineage.graph(viewer, "endpoint:delay", direction="up")
    assert [node.ref for node in graph.nodes] == [
        "endpoint:delay", "model:delay/1", "run:r1", "commit:abc", "data:flights@1",
    ]  # fmt: skip
    assert len(graph.edges) == 4
    assert graph.nodes[1].label == "delay v1"
    assert graph.nodes[1].href == "/models/delay/versions/1"


def test_both_leaves_out_the_other_effects_of_the_causes(linked: App, viewer: Principal) -> None:
    refs = {node.ref for node in linked.lineage.graph(viewer, "run:r1").nodes}
    assert refs == {"run:r1", "data:flights@1", "commit:abc", "model:delay/1", "endpoint:delay"}
    assert "run:r2" in {
        node.ref for node in linked.lineage.graph(viewer, "data:flights@1", direction="down").nodes
    }


def test_linking_again_changes_nothing(linked: App, viewer: Principal) -> None:
    with linked.db.write() as tx:
        assert not linked.lineage.link(tx, "run:r1", "model:delay/1", "trained", 99)
    edges = linked.lineage.graph(viewer, "model:delay/1", depth=1, direction="up").edges
    assert [(edge.source, edge.at_us) for edge in edges] == [("run:r1", 2)]


def test_a_rolled_back_edge_is_gone(app: App, viewer: Principal) -> None:
    def link_and_fail() -> None:
        with app.db.write() as tx:
            app.lineage.link(tx, "run:r1", "model:m/1", "trained")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        link_and_fail()
    assert app.lineage.graph(viewer, "run:r1").edges == []


def test_labels_and_direct_sources(linked: App, viewer: Principal) -> None:
    with linked.db.write() as tx:
        linked.lineage.describe(tx, "run:r1", "gentle-wind")
        linked.lineage.describe(tx, "run:r1", "gentle-breeze")
        assert linked.lineage.sources(tx, "run:r1", kinds=("input",)) == ["data:flights@1"]
    labels = {node.ref: node.label for node in linked.lineage.graph(viewer, "run:r1").nodes}
    assert labels["run:r1"] == "gentle-breeze"


def test_limits_are_said_and_kept(linked: App, viewer: Principal) -> None:
    graph = linked.lineage.graph(viewer, "run:r1", limit=2)
    assert len(graph.nodes) == 2
    assert graph.truncated
    assert len(linked.lineage.graph(viewer, "run:r1", depth=0).nodes) == 1


@pytest.mark.parametrize(
    ("source", "target", "kind"),
    [
        ("nonsense", "run:r", "input"),
        ("run:r", "run:", "input"),
        ("run:r", "run:r", "input"),
        ("run:a", "run:b", "x"),
    ],
)
def test_what_is_no_edge_is_refused(app: App, source: str, target: str, kind: str) -> None:
    with pytest.raises(ValueError), app.db.write() as tx:
        app.lineage.link(tx, source, target, kind)  # type: ignore[arg-type]


def test_bad_questions_name_the_field(app: App, viewer: Principal) -> None:
    with pytest.raises(BadRef, match="Did you mean 'model'") as bad:
        app.lineage.graph(viewer, "modle:x/1")
    assert bad.value.field == "ref"
    with pytest.raises(Invalid, match="depth"):
        app.lineage.graph(viewer, "run:x", depth=21)
    with pytest.raises(Invalid, match="limit"):
        app.lineage.graph(viewer, "run:x", limit=0)


def test_the_wire_form_is_from_and_to(linked: App, viewer: Principal) -> None:
    seen = msgspec.to_builtins(linked.lineage.graph(viewer, "run:r2"))
    assert seen["edges"] == [{"from": "data:flights@1", "to": "run:r2", "kind": "input", "at_us": 4}]
