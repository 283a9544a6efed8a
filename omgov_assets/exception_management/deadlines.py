"""Deadlines: by when a case is due, when it is escalated, on the firm's business days, and how long a waiver may last.

Does not belong here: which days are business days (``model_management.trading_calendar``).
"""

from __future__ import annotations

from datetime import date, timedelta

from omgov_assets.exception_management.lifecycle import IllegalActError
from omgov_assets.exception_management.rules import CaseRules
from omgov_assets.model_management.trading_calendar import TradingCalendar


def business_days_later(day: date, days: int, calendar: TradingCalendar) -> date:
    """The day that is so many business days after a day, which itself does not count.

    No business days later is the day itself. Where no weekday is a business day, all days count.
    """
    later = day
    while days > 0:
        later += timedelta(days=1)
        days -= calendar.is_open(later) or not calendar.weekdays
    return later


def due_day(from_day: date, severity: str, tier: int | None, rules: CaseRules) -> date:
    """Business day by whose end a case must be closed."""
    return business_days_later(from_day, rules.exceptions.due_days(severity, tier), rules.calendar)


def escalation_day(due: date, rules: CaseRules) -> date:
    """Last day on which an overdue case is not escalated yet."""
    return business_days_later(due, rules.exceptions.escalation_business_days, rules.calendar)


def require_possible_end(until: date, day: date, rules: CaseRules) -> None:
    """Raise ``IllegalActError`` where a waiver cannot end on a day."""
    latest = day + timedelta(days=rules.exceptions.longest_waiver_days)
    if not day < until <= latest:
        raise IllegalActError(
            f"a waiver until {until} is not possible; it ends after {day}, the last governed day, and by {latest}, the "
            "longest that governance/exceptions.yaml allows"
        )
