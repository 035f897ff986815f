"""The policies of one endpoint at work: who may ask now, what is answered from memory, and what is written down.

A guard lives on while the route table is replaced around it, so that no new table fills anybody's bucket.
"""

import math

from trimtab.serving.errors import QuotaExceeded, RateLimited
from trimtab.serving.http import Header
from trimtab.serving.policies.buckets import Bucket
from trimtab.serving.policies.cache import AnswerCache
from trimtab.serving.policies.fields import Anonymiser
from trimtab.serving.policies.quotas import Ledger, Meter
from trimtab.serving.policies.settings import Policies, Quota

_MOST_CALLERS = 10_000
_SECONDS = {"day": 86_400, "month": 2_592_000}


class Guard:
    """What stands before one endpoint."""

    def __init__(self, endpoint: str, ledger: Ledger) -> None:
        self.limited = 0
        """Requests that were refused because a rate or a quota was used up."""
        self.cache: AnswerCache | None = None
        self.anonymiser: Anonymiser | None = None
        self.sticky_by = ""
        self.counts = False
        """Whether callers are counted."""
        self.active = False
        """Whether there is anything to do for a request."""
        self._endpoint = endpoint
        self._ledger = ledger
        self._policies = Policies()
        self._bucket: Bucket | None = None
        self._buckets: dict[str, Bucket] = {}
        self._has_quotas = False
        self._policy = b""

    def configure(self, policies: Policies, *, hash_key: bytes, now: float) -> None:
        """Keep other policies from now on; what did not change goes on counting."""
        before, self._policies = self._policies, policies
        if policies.rate != before.rate:
            self._bucket = Bucket(policies.rate, now=now) if policies.rate is not None else None
        if policies.key_rate != before.key_rate:
            self._buckets.clear()
        self.counts = policies.limited
        self._has_quotas = not (policies.quota is policies.key_quota is None)
        self._policy = _described(policies)
        self.sticky_by = policies.sticky_by
        ttl_s = policies.cache_ttl_ms / 1000
        if not ttl_s:
            self.cache = None
        elif self.cache is None or (self.cache.max_bytes, self.cache.ttl_s) != (policies.cache_bytes, ttl_s):
            self.cache = AnswerCache(policies.cache_bytes, ttl_s=ttl_s)
        if not policies.fields:
            self.anonymiser = None
        elif policies.fields != before.fields or self.anonymiser is None:
            self.anonymiser = Anonymiser(policies.fields, hash_key)
        self.active = bool(
            self.counts or self.sticky_by or self.cache is not None or self.anonymiser is not None
        )

    def admit(self, caller: str, now: float, now_us: int) -> None:
        """Count a request of a caller; raises RateLimited or QuotaExceeded, and then it was not counted anywhere."""
        endpoint = self._endpoint
        common, own = self._bucket, self._bucket_of(caller, now)
        wait_s = common.wait_s(now) if common is not None else 0.0
        if own is not None:
            wait_s = max(wait_s, own.wait_s(now))
        if wait_s > 0:
            self.limited += 1
            raise RateLimited(
                f"endpoint {endpoint!r} takes no more requests for {_seconds(wait_s)} s",
                details={"retry_after_s": _seconds(wait_s), "headers": self.headers(caller, now, now_us)},
            )
        meters = self._meters(caller, now_us) if self._has_quotas else ()
        for _, meter, quota in meters:
            if meter.used >= quota.requests:
                self.limited += 1
                left_s = _seconds((meter.ends_us - now_us) / 1e6)
                raise QuotaExceeded(
                    f"the quota of {quota.requests} requests a {quota.period} of endpoint {endpoint!r} is used up; "
                    f"it begins anew in {left_s} s",
                    details={"retry_after_s": left_s, "headers": self.headers(caller, now, now_us)},
                )
        if common is not None:
            common.take(now)
        if own is not None:
            own.take(now)
        for _, meter, _ in meters:
            meter.used += 1

    def headers(self, caller: str, now: float, now_us: int) -> tuple[Header, ...]:
        """Return what a caller is told, as draft-ietf-httpapi-ratelimit-headers-10 words it."""
        parts: list[bytes] = []
        for name, bucket in ((b"endpoint", self._bucket), (b"key", self._bucket_of(caller, now))):
            if bucket is not None:
                parts.append(b'"%b";r=%d;t=%d' % (name, bucket.left(now), math.ceil(bucket.full_in_s(now))))
        for name, meter, quota in self._meters(caller, now_us):
            left_s = _seconds((meter.ends_us - now_us) / 1e6)
            parts.append(b'"%b";r=%d;t=%d' % (name, max(0, quota.requests - meter.used), left_s))
        return ((b"ratelimit-policy", self._policy), (b"ratelimit", b", ".join(parts)))

    def _bucket_of(self, caller: str, now: float) -> Bucket | None:
        rate = self._policies.key_rate
        if rate is None:
            return None
        bucket = self._buckets.get(caller)
        if bucket is None:
            if len(self._buckets) >= _MOST_CALLERS:  # those that are full again say no more than a new one
                self._buckets = {key: one for key, one in self._buckets.items() if one.full_in_s(now) > 0}
            bucket = self._buckets[caller] = Bucket(rate, now=now)
        return bucket

    def _meters(self, caller: str, now_us: int) -> list[tuple[bytes, Meter, Quota]]:
        """Return what counts for the quotas; an endpoint's name has no slash, so that a caller's meter is never its."""
        policies, ledger = self._policies, self._ledger
        found: list[tuple[bytes, Meter, Quota]] = []
        if (quota := policies.quota) is not None:
            found.append((b"endpoint-quota", ledger.meter(self._endpoint, quota.period, now_us), quota))
        if (quota := policies.key_quota) is not None:
            name = f"{self._endpoint}/{caller}"
            found.append((b"key-quota", ledger.meter(name, quota.period, now_us), quota))
        return found


def _described(policies: Policies) -> bytes:
    """Return the limits as a header tells them, in the order of their states."""
    rates = (("endpoint", policies.rate), ("key", policies.key_rate))
    quotas = (("endpoint-quota", policies.quota), ("key-quota", policies.key_quota))
    said = [f'"{name}";q={rate.requests};w={rate.window_s}' for name, rate in rates if rate is not None]
    said += [
        f'"{name}";q={quota.requests};w={_SECONDS[quota.period]}'
        for name, quota in quotas
        if quota is not None
    ]
    return ", ".join(said).encode()


def _seconds(wait_s: float) -> int:
    """Return whole seconds that are enough, at least one: clients take them literally."""
    return max(1, math.ceil(wait_s))
