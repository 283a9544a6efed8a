"""When a business day begins and ends.

Does not belong here: which days the exchanges trade on (``trading_calendar``).
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, tzinfo


def day_bounds(day: date, zone: tzinfo) -> tuple[datetime, datetime]:
    """Begin and end of a business day in the firm's time zone."""
    return datetime.combine(day, time(), zone), datetime.combine(day + timedelta(days=1), time(), zone)
