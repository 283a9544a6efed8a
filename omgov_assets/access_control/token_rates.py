"""How often a token may be used: a token bucket for each.

Buckets are in memory and belong to one process: a limit keeps a service from being flooded, it is no right. They run on
a clock that nobody can set. Does not belong here: whether a token is worth anything (``tokens``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

# More tokens than a firm has; beyond it, buckets that are full again are forgotten.
_MOST_BUCKETS = 10_000


@dataclass(frozen=True)
class Rate:
    """So many uses a minute in the long run, and so many at once."""

    per_minute: int = 600
    burst: int = 100

    def __post_init__(self) -> None:
        if self.per_minute < 1 or self.burst < 1:
            raise ValueError("a rate is of one use a minute and one at once, at least")


@dataclass
class _Bucket:
    left: float
    filled_at: float
    rate: Rate

    def fill(self, now: float) -> None:
        """Let flow in what has come since."""
        elapsed_s = max(0.0, now - self.filled_at)
        self.left = min(float(self.rate.burst), self.left + elapsed_s * self.rate.per_minute / 60)
        self.filled_at = max(self.filled_at, now)


class RateLimits:
    """The buckets of a process; may be shared by threads.

    Args:
        ticks: seconds of a clock that only goes on.
    """

    def __init__(self, ticks: Callable[[], float]) -> None:
        self._ticks = ticks
        self._lock = threading.Lock()
        self._buckets: dict[str, _Bucket] = {}

    def take(self, name: str, rate: Rate) -> float:
        """Use a token once. Returns 0 where that is allowed, else the seconds until it will be."""
        with self._lock:
            now = self._ticks()
            bucket = self._buckets.get(name)
            if bucket is None:
                self._forget_full(now)
                bucket = self._buckets[name] = _Bucket(float(rate.burst), now, rate)
            bucket.fill(now)
            # Sums of parts of a use fall short of a whole one by rounding.
            if bucket.left >= 1 - 1e-9:
                bucket.left = max(0.0, bucket.left - 1)
                return 0.0
            return (1 - bucket.left) * 60 / rate.per_minute

    def _forget_full(self, now: float) -> None:
        if len(self._buckets) < _MOST_BUCKETS:
            return
        for bucket in self._buckets.values():
            bucket.fill(now)
        self._buckets = {name: bucket for name, bucket in self._buckets.items() if bucket.left < bucket.rate.burst}
