"""Versions of a table by number or by time, as the protocol asks for them.

Does not belong here: what a version holds for whom (``access_control``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo

from omgov_assets.interface_service.problems import Problem

# yyyy-[m]m-[d]d hh:mm:ss[.f…], without a zone.
_PLAIN = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})[ T](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?", re.ASCII)
# What Delta writes numbers of versions as.
LARGEST_VERSION = 2**63 - 1
# For the document of the interface.
WRITTEN = "2026-11-20 08:00:00 is in the firm's time zone, 2026-11-20T00:00:00Z in the one that it names."


def moment(text: str, zone: tzinfo, of: str) -> datetime:
    """A time of the protocol: without a zone it is in the firm's; ISO 8601 with one is taken as well.

    Args:
        text: the time.
        zone: the firm's zone.
        of: what it is asked for by, for the error.

    Raises:
        Problem: 400, it is no time.
    """
    try:
        if matched := _PLAIN.fullmatch(text.strip()):
            year, month, day, hour, minute, second, fraction = matched.groups()
            microsecond = int((fraction or "0").ljust(6, "0")[:6])
            return datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), microsecond, zone)
        at = datetime.fromisoformat(text.strip())
        return at if at.tzinfo is not None else at.replace(tzinfo=zone)
    except ValueError as error:
        raise Problem(
            400, "bad_request", f"{of}: write a time as 2026-11-20 08:00:00 or 2026-11-20T00:00:00Z."
        ) from error


def last_version_until(times: Mapping[int, datetime], at: datetime) -> int:
    """The version that held at a time. Raises ``Problem`` (404) where there was none yet, with the first one's time.

    Whoever may read a table may know when its versions were committed.
    """
    found = [version for version, committed_at in times.items() if committed_at <= at]
    if not found:
        there = f"; the first one is of {_written(min(times.values()), at.tzinfo)}" if times else ""
        raise Problem(404, "unknown_version", f"The table had no version by {_asked(at)} that can be read{there}.")
    return max(found)


def first_version_from(times: Mapping[int, datetime], at: datetime) -> int:
    """The first version of a time or after it. Raises ``Problem`` (404) where there is none yet."""
    found = [version for version, committed_at in times.items() if committed_at >= at]
    if not found:
        there = f"; the last one is of {_written(max(times.values()), at.tzinfo)}" if times else ""
        raise Problem(404, "unknown_version", f"The table has had no version since {_asked(at)}{there}.")
    return min(found)


def _asked(at: datetime) -> str:
    """A time that was asked for, as it was understood."""
    text = _written(at, at.tzinfo)
    # Only the firm's zone has a name: it was taken for want of one.
    return f"{text} (without a zone, so in {at.tzinfo.key})" if isinstance(at.tzinfo, ZoneInfo) else text


def _written(at: datetime, zone: tzinfo | None) -> str:
    """A time to the millisecond, as Delta keeps them, so that it can be asked for as it is written."""
    return at.astimezone(zone).isoformat(" ", "milliseconds")
