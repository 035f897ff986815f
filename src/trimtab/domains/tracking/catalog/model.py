"""What a table of runs can show, and how runs spread over the values of a column."""

import msgspec


class RunColumn(msgspec.Struct, frozen=True):
    """A metric, parameter or tag, and how many runs have it, those in the trash included."""

    name: str
    runs: int


class Columns(msgspec.Struct, frozen=True):
    """The columns of a table of runs, each kind in the order of names."""

    metrics: list[RunColumn]
    params: list[RunColumn]
    tags: list[RunColumn]
    attributes: list[str]


class FacetValue(msgspec.Struct, frozen=True):
    value: str
    runs: int


class Facet(msgspec.Struct, frozen=True):
    """The most frequent values of a column; ``others`` are the runs with any other value."""

    by: str
    values: list[FacetValue]
    others: int


class Facets(msgspec.Struct, frozen=True):
    """How many runs a filter matches, and how they spread."""

    total: int
    facets: list[Facet]
