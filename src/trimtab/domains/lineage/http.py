"""The HTTP face of lineage: the graph around one object."""

import msgspec

from trimtab.domains.lineage.model import Direction, Graph
from trimtab.domains.lineage.service import DEFAULT_DEPTH, DEFAULT_NODES, LineageService
from trimtab.infra.http import Request, Route, route


class GraphQuery(msgspec.Struct):
    ref: str
    direction: Direction = "both"
    depth: int = DEFAULT_DEPTH
    limit: int = DEFAULT_NODES


def routes(service: LineageService) -> list[Route]:
    @route("GET", "/api/v1/lineage", query=GraphQuery, returns=Graph, tags=["lineage"])
    def graph(request: Request, query: GraphQuery) -> Graph:
        """Return what an object came from and what it led to."""
        return service.graph(
            request.who, query.ref, direction=query.direction, depth=query.depth, limit=query.limit
        )

    return [graph]
