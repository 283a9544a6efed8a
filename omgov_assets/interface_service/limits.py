"""What one client may ask of the service at most: bytes, seconds, rows, records of failed proofs.

Each limit is there so that no client, by mistake or on purpose, takes what others need. Does not belong here: rates of
tokens (``access_control.token_rates``), limits of deliveries (``admission.delivery_limits``).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from omgov_assets.access_control.governed_pages import LARGEST_PAGE


@dataclass(frozen=True)
class Limits:
    """Limits of one process.

    Attributes:
        head_bytes: request line and headers together.
        head_s: seconds from a connection's, or a request's, first byte until its head is whole.
        body_bytes: body of a request that pushes no data.
        stalled_s: seconds after which a client is cut off that takes nothing of its answer or sends too little of its
            body.
        slowest_bytes_s: bytes of a body a second that are enough.
        idle_s: seconds that a connection stays open without a request.
        connections: connections at a time; more are told to come again.
        page_rows: rows of a page.
        threads: requests that are worked on at a time; more wait.
        whole_answers: answers with all rows at a time; more are told to come again. Each has a database of its own for
            as long as its client takes, and formats such as XLSX keep a thread until they are written.
        shutdown_s: seconds that requests may go on for after the service was told to stop.
    """

    head_bytes: int = 32 * 1024
    head_s: float = 10.0
    body_bytes: int = 1 << 20
    stalled_s: float = 30.0
    slowest_bytes_s: int = 1024
    idle_s: int = 15
    connections: int = 512
    page_rows: int = LARGEST_PAGE
    threads: int = 16
    whole_answers: int = 8
    shutdown_s: int = 20


class FailureRecords:
    """Says which failed proofs go on record one by one: enough to see an attack by, too few to fill the disk with one.

    Args:
        per_second: how many in the long run.
        burst: how many at once.
        ticks: seconds of a clock that nobody can set.
    """

    def __init__(self, per_second: float = 5.0, burst: int = 50, ticks: Callable[[], float] = time.monotonic) -> None:
        self._per_second, self._burst, self._ticks = per_second, burst, ticks
        self._left, self._at = float(burst), ticks()
        self._unrecorded = 0
        self._lock = threading.Lock()

    def take(self) -> int | None:
        """How many failures before this one were left out since the last that was not; None to leave this one out."""
        with self._lock:
            now = self._ticks()
            self._left = min(float(self._burst), self._left + (now - self._at) * self._per_second)
            self._at = now
            if self._left < 1:
                self._unrecorded += 1
                return None
            self._left -= 1
            left_out, self._unrecorded = self._unrecorded, 0
            return left_out
