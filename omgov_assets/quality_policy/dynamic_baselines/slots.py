"""How a business day is divided: hours in the firm's zone, cut where a trading session opens or closes.

Belongs here: which slot each minute of a day lies in. Does not belong here: what is usual in a slot (``learning``).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

import duckdb
import pyarrow as pa

from omgov_assets.data_lake.sql import identifier, qualified
from omgov_assets.model_management.business_day import day_bounds
from omgov_assets.model_management.governance import Governance

# The slot of rows that speak of a day as a whole.
WHOLE_DAY = "day"

DayKind = Literal["open", "closed"]


def day_kind(governance: Governance, day: date) -> DayKind:
    """Whether the exchanges trade on a day; without sessions, whether it is a weekday."""
    return "open" if governance.calendar.is_open(day) else "closed"


def slots_of_day(governance: Governance, day: date) -> list[str]:
    """The slot of each minute of a business day, from its begin; ``HH:MM`` of the slot's begin on the clock.

    Where the clock is put back, an hour's slot comes twice; where it is put forward, one is left out.
    """
    zone = governance.firm.zone
    begins = sorted({time(hour) for hour in range(24)} | set(governance.calendar.session_bounds))
    start, end = (bound.astimezone(UTC) for bound in day_bounds(day, zone))
    slots = []
    for number in range(int((end - start) / timedelta(minutes=1))):
        clock = (start + timedelta(minutes=number)).astimezone(zone).time().replace(second=0, microsecond=0)
        slots.append(f"{max(begin for begin in begins if begin <= clock):%H:%M}")
    return slots


def create_slots(con: duckdb.DuckDBPyConnection, table: str, governance: Governance, day: date) -> None:
    """Create table (minute: minutes since 1970, slot) of a business day."""
    slots = slots_of_day(governance, day)
    first = _minutes(day_bounds(day, governance.firm.zone)[0])
    rows = pa.table({"minute": pa.array(range(first, first + len(slots)), pa.int64()), "slot": slots})
    if "." in table:
        con.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(table.partition('.')[0])}")
    con.register("slots_of_day", rows)
    con.execute(f"CREATE OR REPLACE TABLE {qualified(table)} AS SELECT * FROM slots_of_day")  # noqa: S608 - quoted
    con.unregister("slots_of_day")


def _minutes(moment: datetime) -> int:
    return int(moment.timestamp()) // 60
