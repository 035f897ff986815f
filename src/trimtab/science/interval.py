"""An estimate with the interval around it: what every measurement in `science` answers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """`low <= estimate <= high`, in the unit of the thing estimated; the coverage is said by who made it."""

    estimate: float
    low: float
    high: float

    @property
    def width(self) -> float:
        """Distance from `low` to `high`."""
        return self.high - self.low

    def covers(self, value: float) -> bool:
        """Whether `value` lies inside, ends included."""
        return self.low <= value <= self.high
