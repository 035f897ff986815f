"""Edges between references, and the breadth-first walk that makes a graph of them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, get_args

import msgspec

from trimtab.kernel import refs

Direction = Literal["up", "down", "both"]
Way = Literal["up", "down"]
EdgeKind = Literal[
    "input", "output", "trained", "registered", "served", "predicted", "code", "triggered", "derived"
]  # fmt: skip
EDGE_KINDS: tuple[EdgeKind, ...] = get_args(EdgeKind)

_EDGES_PER_NODE = 4  # how many edges a step may read for each node that the limit allows


class Edge(msgspec.Struct, frozen=True):
    """An arrow the way data flows: ``target`` was made from, or by, ``source``."""

    source: str = msgspec.field(name="from")
    target: str = msgspec.field(name="to")
    kind: str
    at_us: int


class Node(msgspec.Struct, frozen=True):
    """An object with its name for people and its page in the web UI."""

    ref: str
    kind: str
    label: str
    href: str


class Graph(msgspec.Struct, frozen=True):
    """What was found around one object; ``truncated`` when a limit left something out."""

    nodes: list[Node]
    edges: list[Edge]
    truncated: bool = False


Neighbours = Callable[[Sequence[str], Way, int], list[Edge]]


def walk(
    start: str, neighbours: Neighbours, *, direction: Direction, depth: int, limit: int
) -> tuple[list[str], list[Edge], bool]:
    """Return (references nearest first, edges between them, whether a limit cut something off).

    ``both`` means all causes and all effects, not the other effects of the causes. ``neighbours(refs, way, most)``
    gives at most so many edges that end (``up``) or begin (``down``) at the references.
    """
    found: dict[str, None] = {start: None}
    edges: dict[tuple[str, str, str], Edge] = {}
    truncated = False
    ways: tuple[Way, ...] = ("up", "down") if direction == "both" else (direction,)
    frontiers: dict[Way, list[str]] = {way: [start] for way in ways}
    seen: dict[Way, set[str]] = {way: {start} for way in ways}
    for _ in range(depth):
        for way in ways:
            if not frontiers[way]:
                continue
            most = limit * _EDGES_PER_NODE
            step = neighbours(frontiers[way], way, most)
            truncated = truncated or len(step) >= most
            ahead: list[str] = []
            for edge in step:
                other = edge.source if way == "up" else edge.target
                if other not in found and len(found) >= limit:
                    truncated = True
                    continue
                found[other] = None
                edges[edge.source, edge.target, edge.kind] = edge
                if other not in seen[way]:
                    seen[way].add(other)
                    ahead.append(other)
            frontiers[way] = ahead
    return list(found), list(edges.values()), truncated


def nodes(found: Iterable[str], labels: dict[str, str]) -> list[Node]:
    """Return the nodes of references; those without a given label are named after their reference."""
    return [
        Node(ref=ref, kind=refs.split(ref)[0], label=labels.get(ref) or label_of(ref), href=refs.href(ref))
        for ref in found
    ]


def label_of(ref: str) -> str:
    """Return a short name made from the reference alone, for example ``flights v3``."""
    kind, name = refs.split(ref)
    match kind:
        case "model":
            name, version = refs.model_parts(ref)
        case "data":
            name, version = refs.data_parts(ref)
        case "run" | "commit":
            return name[:8]
        case _:
            return name
    return f"{name} v{version}" if version else name
