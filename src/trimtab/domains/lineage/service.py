"""Keeps the edges that other domains report and answers where an object came from and what it led to."""

from collections.abc import Sequence
from typing import Literal, Protocol

from trimtab.domains.lineage import store
from trimtab.domains.lineage.errors import BadRef
from trimtab.domains.lineage.model import EDGE_KINDS, Direction, Edge, EdgeKind, Graph, Way, nodes, walk
from trimtab.infra.db import Database, Tx
from trimtab.kernel import refs
from trimtab.kernel.errors import Invalid, did_you_mean
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal

DEFAULT_DEPTH = 6
MAX_DEPTH = 20
DEFAULT_NODES = 200
MAX_NODES = 2000


class Permission(Protocol):
    """Who may do what; govern, which stands in the same tier and is therefore not imported."""

    def permit(
        self, who: Principal, action: Literal["read", "write", "approve", "admin"], subject: str
    ) -> None: ...


class LineageService:
    """The graph of every domain's objects. An edge points the way data flows."""

    def __init__(self, db: Database, govern: Permission) -> None:
        self._db = db
        self.govern = govern

    def link(
        self, tx: Tx, source_ref: str, target_ref: str, kind: EdgeKind, at_us: int | None = None
    ) -> bool:
        """Add an edge in the caller's transaction and return whether it is new; known ones keep their time.

        Raises ValueError for what is no reference, an unknown kind of edge, or an edge from an object to itself.
        """
        refs.split(source_ref)
        refs.split(target_ref)
        if kind not in EDGE_KINDS:
            raise ValueError(f"unknown kind of edge {kind!r}.{did_you_mean(kind, EDGE_KINDS)}")
        if source_ref == target_ref:
            raise ValueError(f"{source_ref} cannot come from itself")
        return store.insert_edge(tx, Edge(source_ref, target_ref, kind, now_us() if at_us is None else at_us))

    def describe(self, tx: Tx, ref: str, label: str) -> None:
        """Set the name under which people see an object, such as a run's; without one the reference serves."""
        refs.split(ref)
        store.set_label(tx, ref=ref, label=label[:200])

    def sources(self, tx: Tx, ref: str, *, kinds: tuple[EdgeKind, ...] = (), most: int = 100) -> list[str]:
        """Return the references with an edge into this one, newest first, in the caller's transaction."""
        return [edge.source for edge in store.edges(tx, [ref], way="up", most=most, kinds=kinds)]

    def graph(
        self,
        who: Principal,
        ref: str,
        *,
        direction: Direction = "both",
        depth: int = DEFAULT_DEPTH,
        limit: int = DEFAULT_NODES,
    ) -> Graph:
        """Return what the object came from (``up``), what it led to (``down``) or both, nearest first.

        ``depth`` counts edges, ``limit`` nodes. An object that nothing refers to is a graph of one node.
        Raises BadRef and Invalid.
        """
        self.govern.permit(who, "read", "lineage")
        try:
            refs.split(ref)
        except ValueError as error:
            hint = did_you_mean(ref.partition(":")[0], refs.KINDS)
            raise BadRef(
                f"{ref[:200]!r} is not a reference such as model:flights/3 or run:0af3.{hint}", field="ref"
            ) from error
        if not 0 <= depth <= MAX_DEPTH:
            raise Invalid(f"depth must be between 0 and {MAX_DEPTH}, not {depth}.", field="depth")
        if not 1 <= limit <= MAX_NODES:
            raise Invalid(f"limit must be between 1 and {MAX_NODES}, not {limit}.", field="limit")
        with self._db.read() as tx:

            def neighbours(frontier: Sequence[str], way: Way, most: int) -> list[Edge]:
                return store.edges(tx, frontier, way=way, most=most)

            found, edges, truncated = walk(ref, neighbours, direction=direction, depth=depth, limit=limit)
            labels = store.labels(tx, found)
        return Graph(nodes(found, labels), edges, truncated)
