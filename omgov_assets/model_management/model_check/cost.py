"""How many rows a model goes through, by the number of rows of its tables on a day.

Each mention of a table scans it once. What is tied together by no equality is tried pair by pair. Does not belong here:
how long that takes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from omgov_assets.model_management.model_check.faults import Fault
from omgov_assets.model_management.model_check.places import Place
from omgov_assets.model_management.model_check.study import Crossing


@dataclass(frozen=True)
class Reading:
    """What a model reads: each scan of a table, and the pairs of sides that are tried row by row."""

    scans: tuple[str, ...] = ()
    crossings: tuple[Crossing, ...] = ()
    begin: Place = (1, 1)


def rows_scanned(scans: Collection[str], rows: Mapping[str, int]) -> int | None:
    """Rows of all scans; None where those of a table are not known."""
    counts = [rows.get(table) for table in scans]
    return None if None in counts or not counts else sum(count for count in counts if count is not None)


def cost_faults(reading: Reading, rows: Mapping[str, int], limit: int) -> Iterator[Fault]:
    """A fault where a model goes through more rows than the limit, at what costs most."""
    scanned = rows_scanned(reading.scans, rows)
    if scanned is None:
        return
    crossed = {crossing: _pairs(crossing, rows) for crossing in reading.crossings}
    total = scanned + sum(crossed.values())
    if total <= limit:
        return
    worst = max(crossed, key=lambda crossing: crossed[crossing], default=None)
    if worst is not None and crossed[worst] > scanned:
        problem = f"no equality ties the two sides together, so that {crossed[worst]:,} pairs of rows are tried"
        yield Fault("costly", worst.place, problem, "join on equal columns as well, or use ASOF JOIN")
    else:
        problem = f"the model scans {total:,} rows of a day, more than {limit:,}"
        yield Fault("costly", reading.begin, problem, "read each table once, and filter it first")


def _pairs(crossing: Crossing, rows: Mapping[str, int]) -> int:
    one, other = (_size(side, rows) for side in crossing.sides)
    # With one row on a side, or none that is known, there is nothing to try but the scan itself.
    return one * other if one > 1 and other > 1 else 0


def _size(side: Iterable[str], rows: Mapping[str, int]) -> int:
    return sum(rows.get(table, 0) for table in side)
