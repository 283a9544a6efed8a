"""Days of the firm, and on which of them a defect shows.

Belongs here: day bounds in UTC seconds and the schedule of defects. A defect's days follow from its own phase
and the date alone, so that a day looks the same whether it is generated alone or among others.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np
import numpy.typing as npt

UTC_OFFSET_S = 8 * 3600
DAY_S = 86400
# No series is older; what is broken for ever broke in the year after.
HISTORY_BEGINS = date(2023, 1, 1)
EARLIEST_DAY = date(2025, 1, 1)

_CYCLE_DAYS = 40
_DAYS_PRESENT = 30
_SHARE_TRANSIENT = 0.2
# What is on the rota rests one day of so many.
DAYS_OF_ROTA = 4
_NOT_ON_ROTA = -1

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class BusinessDay:
    """A business day of the firm (Asia/Shanghai), its bounds as UTC epoch seconds."""

    day: date

    @property
    def start_s(self) -> int:
        """First second of the day."""
        midnight = datetime(self.day.year, self.day.month, self.day.day, tzinfo=UTC)
        return int(midnight.timestamp()) - UTC_OFFSET_S

    @property
    def end_s(self) -> int:
        """First second of the next day."""
        return self.start_s + DAY_S

    @property
    def ordinal(self) -> int:
        """Number of the day."""
        return self.day.toordinal()


@dataclass(frozen=True)
class Schedule:
    """When each of a number of defects shows: most always, some come and are fixed again, some rest by a rota.

    Attributes:
        phase: place of a transient defect in its cycle. transient: whether it comes and goes.
        rests: on which day of the rota a defect does not show; -1 if it is not on the rota.
    """

    phase: Ints
    transient: Bools
    rests: Ints

    @classmethod
    def draw(cls, rng: np.random.Generator, size: int, *, first_is_permanent: bool = True) -> Schedule:
        """A schedule for ``size`` defects; the first stays, so that every kind shows on every day."""
        transient = rng.random(size) < _SHARE_TRANSIENT
        if first_is_permanent and size:
            transient[0] = False
        return cls(rng.integers(0, _CYCLE_DAYS, size), transient, np.full(size, _NOT_ON_ROTA))

    def shows(self, day: BusinessDay) -> Bools:
        """Which defects show on the day."""
        present = ~self.transient | ((day.ordinal + self.phase) % _CYCLE_DAYS < _DAYS_PRESENT)
        shown: Bools = present & (self.rests != day.ordinal % DAYS_OF_ROTA)
        return shown

    def began_s(self, day: BusinessDay) -> Ints:
        """Start of the day on which each defect that shows today appeared; lasting ones did so long ago."""
        past_days = (day.ordinal + self.phase) % _CYCLE_DAYS
        long_ago = BusinessDay(HISTORY_BEGINS).start_s + (365 + self.phase * 9) * DAY_S
        return np.where(self.transient, day.start_s - past_days * DAY_S, long_ago)
