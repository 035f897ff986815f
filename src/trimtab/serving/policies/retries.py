"""A budget for asking once more: retries stay a share of the requests, so that they never become the load themselves."""

_RESERVE = 100.0
_RESERVE_PER_S = 10.0
_MOST = 10_000.0


class RetryBudget:
    """What may be asked again. Times are seconds of a clock that only goes forward.

    Each request adds its share and each retry costs one. A reserve of 100, filled by 10 a second, covers the replica
    that dies while there are few requests. In every stretch of T seconds there are at most
    ``balance + share * requests + 10 T`` retries.
    """

    __slots__ = ("_at", "_balance", "share")

    def __init__(self, share: float, *, now: float) -> None:
        self.share = share
        self._balance = _RESERVE if share > 0 else 0.0
        self._at = now

    def asked(self) -> None:
        """Note a request."""
        self._balance = min(_MOST, self._balance + self.share)

    def spend(self, now: float) -> bool:
        """Take one retry out of the budget; say whether there was one. A share of 0 allows none."""
        if self.share <= 0:
            return False
        if self._balance < _RESERVE:
            self._balance = min(_RESERVE, self._balance + (now - self._at) * _RESERVE_PER_S)
        self._at = now
        if self._balance < 1.0:
            return False
        self._balance -= 1.0
        return True
