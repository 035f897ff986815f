"""The walk over edges: which nodes it reaches, and that its limits hold."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from trimtab.domains.lineage.model import Edge, Way, label_of, walk

_PAIRS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(lambda pair: pair[0] != pair[1]), max_size=40
)


def _neighbours(pairs: Sequence[tuple[int, int]]):
    edges = [Edge(f"run:{source}", f"run:{target}", "derived", 0) for source, target in pairs]

    def neighbours(frontier: Sequence[str], way: Way, most: int) -> list[Edge]:
        return [edge for edge in edges if (edge.target if way == "up" else edge.source) in frontier][:most]

    return neighbours


def _closure(pairs: Sequence[tuple[int, int]], start: int) -> set[int]:
    reached = {start}
    while more := {target for source, target in pairs if source in reached} - reached:
        reached |= more
    return reached


@given(_PAIRS)
def test_both_ways_are_all_causes_and_all_effects_cycles_or_not(pairs: list[tuple[int, int]]) -> None:
    found, edges, truncated = walk("run:0", _neighbours(pairs), direction="both", depth=12, limit=100)
    effects = _closure(pairs, 0)
    causes = _closure([(target, source) for source, target in pairs], 0)
    assert set(found) == {f"run:{number}" for number in causes | effects}
    assert not truncated
    assert {edge.source for edge in edges} | {edge.target for edge in edges} <= set(found)


@given(_PAIRS, st.integers(1, 5), st.integers(0, 4))
def test_the_limits_hold(pairs: list[tuple[int, int]], limit: int, depth: int) -> None:
    found, edges, _ = walk("run:0", _neighbours(pairs), direction="down", depth=depth, limit=limit)
    assert len(found) <= limit
    assert found[0] == "run:0"
    assert all(edge.source in found and edge.target in found for edge in edges)
    if depth == 0:
        assert found == ["run:0"]


def test_labels_come_from_references() -> None:
    assert label_of("model:flights/3") == "flights v3"
    assert label_of("model:flights") == "flights"
    assert label_of("data:flights@2") == "flights v2"
    assert label_of("run:0123456789abcdef0123456789abcdef") == "01234567"
    assert label_of("endpoint:delay") == "delay"
