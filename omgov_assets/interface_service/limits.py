"""What one client may ask of the service at most: bytes, seconds, rows, records of failed proofs.

Each limit is there so that no client, by mistake or on purpose, takes what others need. Does not belong here: rates of
tokens (``access_control.token_rates``), limits of deliveries (``admission.delivery_limits``).
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from omgov_assets.access_control.governed_pages import LARGEST_PAGE
from omgov_assets.interface_service.problems import Problem


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
        whole_answers_each: those of one principal.
        bodies: bodies of pushed data that come in at a time; more are told to come again.
        bodies_each: those of one principal.
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
    whole_answers_each: int = 4
    bodies: int = 32
    bodies_each: int = 16
    shutdown_s: int = 20


class Places:
    """Places that requests of a kind take for as long as they last; may be shared by threads.

    Args:
        in_all: how many there are.
        each: how many of them one principal may take, so that others find some.
        code: what whoever finds none is told, for programs.
        told: the same for people; ``{of_yours}`` in it says that it is their own that are too many.
        wait_s: after how many seconds to come again.
    """

    def __init__(self, in_all: int, each: int, code: str, told: str, wait_s: int) -> None:
        self._in_all, self._each = in_all, each
        self._code, self._told, self._wait_s = code, told, wait_s
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def taken(self, principal: str) -> Iterator[None]:
        """Keep a place while the context lasts.

        Raises:
            Problem: 429, the principal has taken all that are for one; 503, there is none left for anybody.
        """
        with self._lock:
            if self._taken[principal] >= self._each:
                raise self._none_left(429, " of yours")
            if self._taken.total() >= self._in_all:
                raise self._none_left(503, "")
            self._taken[principal] += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken[principal] -= 1
                # Principals come and go: those without a place are not kept.
                self._taken += Counter()

    def _none_left(self, status: int, of_yours: str) -> Problem:
        told = self._told.format(of_yours=of_yours)
        return Problem(status, self._code, told, {"Retry-After": str(self._wait_s)})


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
