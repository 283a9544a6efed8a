"""What a day of a series tells by itself, without any day before it: gaps, flat lines, clocks put back, counters anew.

Belongs here: the definitions of the faults for a series of which nothing is learned yet, written naively. Does not
belong here: which series there are (`time_series`), and faults that only a learned band can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby, pairwise
from statistics import median

# A day with fewer points tells nothing.
FEWEST = 12

# When, and what was measured, if anything.
Point = tuple[datetime, float | None]


def gaps_of_day(delivered: Sequence[Point]) -> set[datetime]:
    """The times before which more than four usual steps lie without a point."""
    if len(delivered) < FEWEST:
        return set()
    steps = [(after, after - before) for before, after in pairwise(sorted({at for at, _ in delivered}))]
    usual = median(step.total_seconds() for _, step in steps)
    return {after for after, step in steps if step.total_seconds() > 4 * usual}


def flat_lines_of_day(delivered: Sequence[Point]) -> set[datetime]:
    """Where one value begins that is then repeated to at least twelve, four times as often as any other in a row."""
    points = _by_time(delivered)
    if len(points) < FEWEST or _is_counter(points):
        return set()
    runs = [list(run) for _, run in groupby(points, key=lambda point: point[1])]
    found = set()
    for number, run in enumerate(runs):
        others = [len(other) for place, other in enumerate(runs) if place != number]
        is_long = len(run) >= FEWEST and len(run) >= 4 * max(others, default=1)
        # Of a series that stands still all day nobody knows whether it ever moves.
        if is_long and run[0][1] is not None and len(points) - len(run) >= FEWEST:
            found.add(run[0][0])
    return found


def clock_steps(delivered: Sequence[Point]) -> set[datetime]:
    """Times delivered right after later ones, unless more than one point, or one of fifty, comes so."""
    if len(delivered) < FEWEST:
        return set()
    # A point that is sent again says nothing of the clock.
    once = list(dict.fromkeys(delivered))
    back = [after for (before, _), (after, _) in pairwise(once) if after < before]
    return set(back) if len(back) <= max(1, 0.02 * len(once)) else set()


def counter_resets_of_day(delivered: Sequence[Point]) -> set[datetime]:
    """Where what otherwise grows falls below half of what it was."""
    points = _by_time(delivered)
    if len(points) < FEWEST or not _is_counter(points):
        return set()
    return {
        at
        for (_, before), (at, value) in pairwise(points)
        if before is not None and value is not None and value < 0.5 * before
    }


def _by_time(delivered: Sequence[Point]) -> list[Point]:
    return sorted(delivered, key=lambda point: point[0])


def _is_counter(points: Sequence[Point]) -> bool:
    """Whether four of five values are above the one before, and hardly any is below."""
    steps = [b - a for (_, a), (_, b) in pairwise(points) if a is not None and b is not None]
    risen, fallen = sum(step > 0 for step in steps), sum(step < 0 for step in steps)
    return len(steps) >= FEWEST and risen >= 0.8 * len(steps) and fallen <= max(1, 0.02 * len(steps))
