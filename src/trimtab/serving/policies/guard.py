"""The policies of one endpoint at work: who may ask now, what is answered from memory, and what is written down.

A guard lives on while the route table is replaced around it, so that no new table fills anybody's bucket.
"""

import math
from dataclasses import dataclass

from trimtab.serving.errors import QuotaExceeded, RateLimited
from trimtab.serving.http import Header
from trimtab.serving.policies.buckets import Bucket
from trimtab.serving.policies.cache import AnswerCache
from trimtab.serving.policies.fields import Anonymiser
from trimtab.serving.policies.quotas import Ledger, period_end_us
from trimtab.serving.policies.settings import Policies, Quota, Rate

_MOST_CALLERS = 10_000
_SECONDS = {"day": 86_400, "month": 2_592_000}


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one policy leaves a caller: ``left`` of ``size`` requests, and when there will be all of them again."""

    name: str
    size: int
    window_s: int
    left: int
    reset_s: int


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

    def configure(self, policies: Policies, *, hash_key: bytes, now: float) -> None:
        """Keep other policies from now on; what did not change goes on counting."""
        before, self._policies = self._policies, policies
        if policies.rate != before.rate:
            self._bucket = Bucket(policies.rate, now=now) if policies.rate is not None else None
        if policies.key_rate != before.key_rate:
            self._buckets.clear()
        self.counts = policies.limited
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
        policies, endpoint = self._policies, self._endpoint
        buckets = [bucket for bucket in (self._bucket, self._bucket_of(caller, now)) if bucket is not None]
        wait_s = max((bucket.wait_s(now) for bucket in buckets), default=0.0)
        if wait_s > 0:
            self.limited += 1
            raise RateLimited(
                f"endpoint {endpoint!r} takes no more requests for {_seconds(wait_s)} s",
                details={"retry_after_s": _seconds(wait_s), "headers": self.headers(caller, now, now_us)},
            )
        meters = [
            (self._ledger.meter(name, quota.period, now_us), quota)
            for name, quota in self._quotas(policies, caller)
        ]
        for meter, quota in meters:
            if meter.used >= quota.requests:
                self.limited += 1
                left_s = _seconds((meter.ends_us - now_us) / 1e6)
                raise QuotaExceeded(
                    f"the quota of {quota.requests} requests a {quota.period} of endpoint {endpoint!r} is used up; "
                    f"it begins anew in {left_s} s",
                    details={"retry_after_s": left_s, "headers": self.headers(caller, now, now_us)},
                )
        for bucket in buckets:
            bucket.take(now)
        for meter, _ in meters:
            meter.used += 1

    def allowances(self, caller: str, now: float, now_us: int) -> list[Allowance]:
        """Return what each policy leaves a caller."""
        policies = self._policies
        found: list[Allowance] = []
        rates: list[tuple[str, Rate | None, Bucket | None]] = [
            ("endpoint", policies.rate, self._bucket),
            ("key", policies.key_rate, self._bucket_of(caller, now)),
        ]
        for name, rate, bucket in rates:
            if rate is not None and bucket is not None:
                reset_s = math.ceil(bucket.full_in_s(now))
                found.append(Allowance(name, rate.requests, rate.window_s, bucket.left(now), reset_s))
        for name, quota in self._quotas(policies, caller):
            meter = self._ledger.meter(name, quota.period, now_us)
            left = max(0, quota.requests - meter.used)
            reset_s = _seconds((period_end_us(now_us, quota.period) - now_us) / 1e6)
            label = "key-quota" if "/" in name else "endpoint-quota"
            found.append(Allowance(label, quota.requests, _SECONDS[quota.period], left, reset_s))
        return found

    def headers(self, caller: str, now: float, now_us: int) -> tuple[Header, ...]:
        """Return what a caller is told, as draft-ietf-httpapi-ratelimit-headers-10 words it."""
        all_of = self.allowances(caller, now, now_us)
        policy = ", ".join(f'"{one.name}";q={one.size};w={one.window_s}' for one in all_of)
        state = ", ".join(f'"{one.name}";r={one.left};t={one.reset_s}' for one in all_of)
        return ((b"ratelimit-policy", policy.encode()), (b"ratelimit", state.encode()))

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

    def _quotas(self, policies: Policies, caller: str) -> list[tuple[str, Quota]]:
        """Return the quotas with the names of their meters; an endpoint's name has no slash."""
        quotas: list[tuple[str, Quota]] = []
        if policies.quota is not None:
            quotas.append((self._endpoint, policies.quota))
        if policies.key_quota is not None:
            quotas.append((f"{self._endpoint}/{caller}", policies.key_quota))
        return quotas


def _seconds(wait_s: float) -> int:
    """Return whole seconds that are enough, at least one: clients take them literally."""
    return max(1, math.ceil(wait_s))
