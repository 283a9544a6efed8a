"""Versions of a table by number or by time, as the protocol asks for them.

Does not belong here: what a version holds for whom (``access_control``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, tzinfo

from omgov_assets.interface_service.problems import Problem

# yyyy-[m]m-[d]d hh:mm:ss[.f…], without a zone.
_PLAIN = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})[ T](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?", re.ASCII)
# What Delta writes numbers of versions as.
LARGEST_VERSION = 2**63 - 1


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
    """The version that held at a time. Raises ``Problem`` (404) where there was none yet."""
    found = [version for version, committed_at in times.items() if committed_at <= at]
    if not found:
        raise Problem(404, "unknown_version", "The table had no version by then that can be read.")
    return max(found)


def first_version_from(times: Mapping[int, datetime], at: datetime) -> int:
    """The first version of a time or after it. Raises ``Problem`` (404) where there is none yet."""
    found = [version for version, committed_at in times.items() if committed_at >= at]
    if not found:
        raise Problem(404, "unknown_version", "The table has had no version since then.")
    return min(found)
