"""The most frequent values of a stream with their counts: exact up to `CAPACITY` distinct values, then
bounded below.

Source: Misra & Gries, "Finding repeated elements", Sci. Comput. Program. 2 (1982); merged as in Agarwal et
al., "Mergeable summaries", TODS 38 (2013).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

CAPACITY = 1000


@dataclass(frozen=True)
class Frequent:
    """`counts` by value, most frequent first; each at most `missed` too small. 0 = exact and complete."""

    counts: dict[str, int] = field(default_factory=dict[str, int])
    missed: int = 0

    @property
    def exact(self) -> bool:
        """Whether every value is there with its exact count."""
        return self.missed == 0


def add(sketch: Frequent, counts: Mapping[str, int]) -> Frequent:
    """The sketch with more values, given as counts.

    >>> add(add(Frequent(), {"a": 2, "b": 1}), {"b": 3}).counts
    {'b': 4, 'a': 2}
    """
    both = dict(sketch.counts)
    for value, count in counts.items():
        both[value] = both.get(value, 0) + count
    return _pruned(both, sketch.missed)


def merge(first: Frequent, second: Frequent) -> Frequent:
    """The sketch of both streams."""
    joined = add(first, second.counts)
    return Frequent(joined.counts, joined.missed + second.missed)


def _pruned(counts: dict[str, int], missed: int) -> Frequent:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    if len(ordered) <= CAPACITY:
        return Frequent(dict(ordered), missed)
    # Every counter gives up what the first one dropped has: the error of each stays below that.
    drop = ordered[CAPACITY][1]
    kept = {value: count - drop for value, count in ordered[:CAPACITY] if count > drop}
    return Frequent(kept, missed + drop)
