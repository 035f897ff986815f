"""Circuits: after failures in a row nobody is sent there for a while, and then one request tries whether it works again."""

_LONGEST_FACTOR = 8


class Circuit:
    """Closed while all is well; open after ``failures`` in a row; half-open for one probe once its time is up.

    Times are seconds of a clock that only goes forward. A probe that fails doubles the time, up to eight times as long.
    """

    __slots__ = ("_again_at", "_factor", "_failures", "_open_s", "_row", "is_open", "opened_at")

    def __init__(self, failures: int = 5, *, open_s: float = 2.0) -> None:
        self._failures = failures
        self._open_s = open_s
        self._row = 0
        self._factor = 1
        self._again_at = 0.0
        self.is_open = False
        self.opened_at = 0.0

    def configure(self, failures: int, *, open_s: float) -> None:
        """Take other limits from now on; without failures to count, the circuit closes."""
        self._failures, self._open_s = failures, open_s
        if failures == 0:
            self.succeeded()

    def allows(self, now: float) -> bool:
        """Say whether a request may go there: always while closed, once for each probe while open."""
        return not self.is_open or now >= self._again_at

    def begin(self, now: float) -> None:
        """Note that a request goes there: while open it is the probe, and no other follows until it is known."""
        if self.is_open:
            self._again_at = now + self._open_s * self._factor

    def succeeded(self) -> None:
        """Close: an answer came."""
        self._row = 0
        self._factor = 1
        self.is_open = False

    def failed(self, now: float, *, certain: bool = False) -> None:
        """Count a failure; open, or stay open for longer, where it is one too many, or it is ``certain`` that nothing answers."""
        if self._failures == 0:
            return
        self._row += 1
        if self.is_open:
            if now < self.opened_at + self._open_s * self._factor:
                return  # it was on its way before the circuit opened, and says nothing of the present
            self._factor = min(self._factor * 2, _LONGEST_FACTOR)
        elif self._row < self._failures and not certain:
            return
        self.is_open = True
        self.opened_at = now
        self._again_at = now + self._open_s * self._factor

    def wait_s(self, now: float) -> float:
        """Return how long it is until the next probe."""
        return max(0.0, self._again_at - now) if self.is_open else 0.0
