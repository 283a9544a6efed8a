"""Which days a table holds and which it once held: what its own commits prove of how long records were kept.

Belongs here: reading a table's Delta log back as far as it goes. Does not belong here: how long records must be kept
(``model_management.compliance_rules``), or saying that they were not (``quality_analysis.compliance``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from deltalake import DeltaTable

from omgov_assets.data_lake.commits import actions, commit_path, day_of
from omgov_assets.data_lake.lake import Lake

_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint(\.\d{10}\.\d{10})?\.parquet")


@dataclass(frozen=True)
class KeptDays:
    """What the log of a table says of its days.

    Attributes:
        version: the table's last version.
        days: days that hold rows now.
        gone: version in which a day that once held rows lost the last of them, by day.
        missing_files: how many data files of a day are not on disk, by day; days without such are left out.
        rewritten: versions that took rows out, replaced ones among them.
        is_append_only: whether Delta itself refuses to take rows out (``delta.appendOnly``).
        known_since: time of the oldest commit that is left, where older ones were cleaned up; None where all are there.
    """

    version: int
    days: frozenset[date]
    gone: Mapping[date, int]
    missing_files: Mapping[date, int]
    rewritten: tuple[int, ...]
    is_append_only: bool
    known_since: datetime | None


def kept_days(lake: Lake, table: str) -> KeptDays | None:
    """Go through the commits of a table; None where it was never written."""
    delta = lake.open(table)
    if delta is None:
        return None
    path, version = lake.root / table, delta.version()
    first = _first_of_run(path, version)
    ever = _days_at_oldest_checkpoint(path, version) if first > 0 else set()
    gone: dict[date, int] = {}
    rewritten: list[int] = []
    known_since: datetime | None = None
    for number in range(first, version + 1):
        for kind, action in actions(path, number):
            day = day_of(action)
            if kind == "commitInfo" and number == first > 0 and "timestamp" in action:
                known_since = datetime.fromtimestamp(action["timestamp"] / 1000, UTC)
            elif kind == "add" and day is not None:
                ever.add(day)
            elif kind == "remove" and day is not None:
                # The day may have been committed before the oldest commit that is left.
                ever.add(day)
                gone[day] = number
                if action.get("dataChange", True) and number not in rewritten:
                    rewritten.append(number)
    if first > 0 and known_since is None:
        known_since = datetime.fromtimestamp(commit_path(path, first).stat().st_mtime, UTC)
    days = frozenset(lake.days(table))
    return KeptDays(
        version=version,
        days=days,
        gone={day: gone.get(day, first) for day in sorted(ever - days)},
        missing_files=_missing_files(lake, table),
        rewritten=tuple(rewritten),
        is_append_only=delta.metadata().configuration.get("delta.appendOnly") == "true",
        known_since=known_since,
    )


def _first_of_run(path: Path, version: int) -> int:
    """The oldest commit from which on none is missing."""
    first = version
    while first > 0 and commit_path(path, first - 1).is_file():
        first -= 1
    return first


def _days_at_oldest_checkpoint(path: Path, version: int) -> set[date]:
    names = (_CHECKPOINT.fullmatch(file.name) for file in (path / "_delta_log").iterdir())
    oldest = min((int(name.group(1)) for name in names if name), default=None)
    if oldest is None or oldest > version:
        return set()
    return {date.fromisoformat(str(partition["day"])) for partition in DeltaTable(path, version=oldest).partitions()}


def _missing_files(lake: Lake, table: str) -> dict[date, int]:
    missing: dict[date, int] = {}
    for file in lake.files(table):
        if not file.is_file():
            parts = file.relative_to(lake.root / table).parts
            day = date.fromisoformat(next(part for part in parts if part.startswith("day=")).removeprefix("day="))
            missing[day] = missing.get(day, 0) + 1
    return dict(sorted(missing.items()))
