"""The commits of a Delta table as files: which there are, what they did, and that they are on disk.

Belongs here: reading and forcing ``_delta_log`` where delta-rs does not tell or does not do it. Does not belong here:
writing commits (``lake``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from omgov_assets.data_lake.durability import fsync


def commit_path(table: Path, version: int) -> Path:
    """The file of a commit."""
    return table / "_delta_log" / f"{version:020d}.json"


def commit_identity(table: Path, version: int) -> tuple[int, int] | None:
    """What tells the file of a commit from another one in its place; None where there is none."""
    try:
        status = commit_path(table, version).stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


def actions(table: Path, version: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """The actions of a commit, each with its kind. One that is gone, or empty after a power cut, has none."""
    commit = commit_path(table, version)
    # Lines of bytes: statistics hold values of columns, and among those are characters that end a line of text.
    for line in commit.read_bytes().splitlines() if commit.is_file() else ():
        yield from json.loads(line).items()


def day_of(action: Mapping[str, Any]) -> date | None:
    """The day whose partition an action adds a file to or removes one from."""
    text = (action.get("partitionValues") or {}).get("day")
    if text is None and (found := re.match(r"day=(\d{4}-\d{2}-\d{2})/", str(action.get("path", "")))):
        text = found.group(1)
    return date.fromisoformat(text) if text else None


def changed_days(table: Path, version: int) -> list[date]:
    """Days of which a commit added or removed rows, oldest first."""
    days = {
        day_of(action)
        for kind, action in actions(table, version)
        if kind in ("add", "remove") and action.get("dataChange", True)
    }
    return sorted(day for day in days if day is not None)


def last_version_of(table: Path, version: int, day: date) -> int:
    """The last version whose commit adds or removes a file of the day, looking back from ``version``."""
    mark = f'"day={day.isoformat()}/'.encode()
    for earlier in range(version, -1, -1):
        commit = commit_path(table, earlier)
        if not commit.is_file():
            break  # cleaned up behind a checkpoint
        if mark in commit.read_bytes():
            return earlier
    return version


def commit_times(table: Path, last: int) -> dict[int, datetime]:
    """When the versions up to the last one were committed, oldest first, without those that were cleaned up.

    Clocks of writers may differ: a time that is not after the one before is a millisecond after it.
    """
    times: dict[int, datetime] = {}
    previous: datetime | None = None
    for version in range(last, -1, -1):
        identity = commit_identity(table, version)
        if identity is None:
            break  # cleaned up behind a checkpoint
        times[version] = _committed_at(table, version, identity)
    for version in sorted(times):
        if previous is not None and times[version] <= previous:
            times[version] = previous + timedelta(milliseconds=1)
        previous = times[version]
    return dict(sorted(times.items()))


def changes_since(table: Path, last: int, since: datetime) -> dict[date, tuple[int, datetime]]:
    """By day the newest version up to ``last`` that changed it, and when that was committed, of those since a time."""
    newest: dict[date, tuple[int, datetime]] = {}
    for version in range(last, -1, -1):
        identity = commit_identity(table, version)
        if identity is None:
            break  # cleaned up behind a checkpoint
        at = _committed_at(table, version, identity)
        if at < since:
            break
        for day in _days_changed(table, version, identity):
            newest.setdefault(day, (version, at))
    return newest


@lru_cache(maxsize=8192)
def _days_changed(table: Path, version: int, identity: tuple[int, int]) -> tuple[date, ...]:
    return tuple(changed_days(table, version))


@lru_cache(maxsize=8192)
def _committed_at(table: Path, version: int, identity: tuple[int, int]) -> datetime:
    """What the commit says of its time; of one that says nothing, the time of its file."""
    said = next((action for kind, action in actions(table, version) if kind == "commitInfo"), {})
    milliseconds = said.get("inCommitTimestamp", said.get("timestamp"))
    if not isinstance(milliseconds, int):
        milliseconds = identity[1] // 1_000_000
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds)


def sync_commit(table: Path, version: int) -> None:
    """Force a commit to disk, data files first: after a power cut delta-rs reads a torn commit as an empty version."""
    commit = commit_path(table, version)
    folders = {commit.parent}
    for kind, action in actions(table, version):
        if kind == "add":
            file = table / unquote(action["path"])
            fsync(file)
            # Down to the table's own folder: a new partition is an entry of the folder above it.
            folders |= {folder for folder in file.parents if folder.is_relative_to(table)}
    fsync(commit)
    for folder in folders:
        fsync(folder)
