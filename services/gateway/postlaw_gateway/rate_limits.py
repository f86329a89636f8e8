"""Rate limits: a token bucket per API key, in this process's memory (with n gateways behind one address, n times as much passes)."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

_KEPT = 50_000  # buckets; a dropped one was idle the longest, and comes back full


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


@dataclass(frozen=True, slots=True)
class Taken:
    """`allowed`; what is left; seconds until one more (0 when some are left) and until the bucket is full."""

    allowed: bool
    remaining: int
    retry_after_s: float
    full_after_s: float


class RateLimits:
    """`per_second` requests in the long run, `burst` at once."""

    def __init__(self, per_second: float, burst: int, monotonic: Callable[[], float]) -> None:
        self._per_second = per_second
        self._burst = burst
        self._monotonic = monotonic
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        # RateLimit header fields for HTTP, draft-ietf-httpapi-ratelimit-headers
        self.policy = f'"default";q={burst};w={max(1, math.ceil(burst / per_second))}'.encode()

    def take(self, credential_id: str) -> Taken:
        now = self._monotonic()
        bucket = self._buckets.get(credential_id)
        if bucket is None:
            bucket = self._buckets[credential_id] = _Bucket(self._burst, now)
            if len(self._buckets) > _KEPT:
                self._buckets.popitem(last=False)
        else:
            bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) * self._per_second)
            bucket.at = now
            self._buckets.move_to_end(credential_id)
        allowed = bucket.tokens >= 1
        if allowed:
            bucket.tokens -= 1
        return Taken(
            allowed=allowed,
            remaining=int(bucket.tokens),
            retry_after_s=0.0 if bucket.tokens >= 1 else (1 - bucket.tokens) / self._per_second,
            full_after_s=(self._burst - bucket.tokens) / self._per_second,
        )

    def headers(self, taken: Taken) -> list[tuple[bytes, bytes]]:
        left = f'"default";r={taken.remaining};t={math.ceil(taken.full_after_s)}'.encode()
        return [(b"ratelimit-policy", self.policy), (b"ratelimit", left)]
