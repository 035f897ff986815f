"""Rate limits by token buckets: a bucket holds what may still be asked, and fills again evenly."""

from trimtab.serving.policies.settings import Rate


class Bucket:
    """Tokens of one caller or one endpoint. Times are seconds of any clock that only goes forward.

    In every stretch of T seconds at most ``requests * (1 + T / window_s)`` tokens are taken, and whoever asks no more
    often than ``requests / window_s`` a second is never told to wait.

    >>> bucket = Bucket(Rate(2, 1), now=0.0)
    >>> [bucket.wait_s(0.0), bucket.take(0.0), bucket.wait_s(0.0), bucket.take(0.0), bucket.wait_s(0.0)]
    [0.0, None, 0.0, None, 0.5]
    """

    __slots__ = ("_at", "_level", "_per_s", "size")

    def __init__(self, rate: Rate, *, now: float) -> None:
        self.size = float(rate.requests)
        self._per_s = rate.requests / rate.window_s
        self._level = self.size
        self._at = now

    def wait_s(self, now: float) -> float:
        """Return how long it is until there is a token: 0 where there is one now."""
        self._fill(now)
        # What was filled in many small steps may lack the last bits of a token.
        missing = 1.0 - self._level
        return missing / self._per_s if missing > 1e-9 else 0.0

    def take(self, now: float) -> None:
        """Take a token that is there, as `wait_s` has said."""
        self._fill(now)
        self._level -= 1.0

    def left(self, now: float) -> int:
        """Return how many tokens could be taken now."""
        self._fill(now)
        return max(0, int(self._level + 1e-9))

    def full_in_s(self, now: float) -> float:
        """Return how long it is until the bucket is full."""
        self._fill(now)
        return (self.size - self._level) / self._per_s

    def _fill(self, now: float) -> None:
        if now > self._at:
            self._level = min(self.size, self._level + (now - self._at) * self._per_s)
            self._at = now
