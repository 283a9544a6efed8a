"""The trading calendar: on which days and at what hours the exchanges trade.

Belongs here: ``governance/trading_calendar.yaml`` as a checked object. Does not belong here: what follows from a
trading day for an anomaly (``quality_analysis``) or a deadline.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, tzinfo
from pathlib import Path

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from omgov_assets.model_management.documents import parse, read_yaml

CALENDAR_DOCUMENT = "governance/trading_calendar.yaml"

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SESSION = re.compile(r"(\d\d:\d\d)-(\d\d:\d\d)")


class TradingCalendar(BaseModel):
    """When the exchanges trade; a firm without the document has no trading sessions.

    Attributes:
        owner: e-mail address of who keeps it.
        sessions: ``HH:MM-HH:MM`` in the firm's time zone, one after the other.
        weekdays: names of the weekdays on which there is trading.
        closed: days without trading, by year. Of a year that is not listed, only weekdays are known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    owner: str = ""
    sessions: tuple[str, ...] = ()
    weekdays: tuple[str, ...] = _WEEKDAYS[:5]
    closed: dict[int, tuple[date, ...]] = {}

    @field_validator("weekdays")
    @classmethod
    def _weekdays_exist(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in _WEEKDAYS:
                raise ValueError(f"{name!r} is no weekday: write one of {', '.join(_WEEKDAYS)}")
        return value

    @model_validator(mode="after")
    def _is_sound(self) -> TradingCalendar:
        end = time.min
        for session in self.sessions:
            opens, closes = _bounds(session)
            if not end <= opens < closes:
                raise ValueError(f"session {session}: sessions follow each other, and each ends after it begins")
            end = closes
        for year, days in self.closed.items():
            for day in days:
                if day.year != year:
                    raise ValueError(f"closed.{year} holds {day}")
        return self

    def is_trading_day(self, day: date) -> bool:
        """Whether there is a trading session on the day."""
        return bool(self.sessions) and self.is_open(day)

    def is_open(self, day: date) -> bool:
        """Whether the day is one on which there would be trading; a firm without sessions has open days, too."""
        return _WEEKDAYS[day.weekday()] in self.weekdays and day not in self.closed.get(day.year, ())

    @property
    def session_bounds(self) -> tuple[time, ...]:
        """Times of day at which sessions open and close, ascending."""
        return tuple(bound for session in self.sessions for bound in _bounds(session))

    def knows(self, day: date) -> bool:
        """Whether the closed days of its year have been entered."""
        return day.year in self.closed

    def last_close(self, day: date, zone: tzinfo) -> datetime | None:
        """The end of the day's last session; None where it is no trading day."""
        if not self.is_trading_day(day):
            return None
        return datetime.combine(day, _bounds(self.sessions[-1])[1], zone)


def load_trading_calendar(project: Path) -> TradingCalendar:
    """Read ``governance/trading_calendar.yaml`` of a project; no sessions where it has none.

    Raises:
        GovernanceError: the document is malformed.
    """
    path = project / CALENDAR_DOCUMENT
    return parse(TradingCalendar, read_yaml(path), path) if path.is_file() else TradingCalendar()


def _bounds(session: str) -> tuple[time, time]:
    matched = _SESSION.fullmatch(session)
    if not matched:
        raise ValueError(f"session {session!r}: write it as HH:MM-HH:MM")
    opens, closes = matched.groups()
    return time.fromisoformat(opens), time.fromisoformat(closes)
