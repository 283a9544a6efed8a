"""Watching the landing folder: which days have deliveries that no run has taken yet, and have come to rest.

A file is known once the ledger holds its name, size and time, whatever was decided of it. What was pushed is in the
ledger before any run: its day is due where the ledger of it was written after its checks. A day is due when what is
unknown of it has stood still from one look to the next, so that no half-written file is taken and many files that come
together are taken in one run. Does not belong here: starting a run (``defs.jobs``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from omgov_assets.admission.delivery_limits import landed_at, recorded_name
from omgov_assets.admission.ledger import LEDGER
from omgov_assets.admission.reception import received_format
from omgov_assets.data_lake.lake import Lake, one_row
from omgov_assets.data_lake.settings import Settings
from omgov_assets.data_lake.sql import read_sql
from omgov_assets.data_management.collection import delivered_files
from omgov_assets.model_management.documents import content_hash
from omgov_assets.model_management.governance import Governance
from omgov_assets.quality_policy.violations import CHECK_RESULTS

# A file that was written to this recently may still grow.
STABLE_S = 30
# A day to which files keep coming is not put off for longer than this.
PATIENCE_S = 900
# Pushes that are longer ago than this were seen, unless nobody has looked for as long.
LOOKS_BACK = timedelta(days=7)


@dataclass(frozen=True)
class Waiting:
    """Unknown files of a day, as they were seen.

    Attributes:
        mark: stands for their names, sizes and times.
        since: POSIX time at which some were seen first.
        requested: mark for which a run was asked; it is not asked for again.
    """

    mark: str
    since: float
    requested: str | None = None


@dataclass(frozen=True)
class Look:
    """What a look at the landing folder found.

    Attributes:
        due: days to run, oldest first, each with the mark of what is to be taken.
        waiting: what is to be known at the next look, by day (ISO).
    """

    due: dict[date, str]
    waiting: dict[str, Waiting]

    @property
    def cursor(self) -> str:
        """The look as text, which the next one reads."""
        return json.dumps({day: [w.mark, w.since, w.requested] for day, w in sorted(self.waiting.items())})


def look(settings: Settings, lake: Lake, governance: Governance, now: datetime, cursor: str | None) -> Look:
    """Find the days whose deliveries are to be taken.

    Args:
        settings: where the landing folder is.
        lake: the lake, whose ledger tells what is known.
        governance: systems, datasets, first day and time zone.
        now: the time, with its zone.
        cursor: what the look before left; None at the first.

    Returns:
        Days that are over. Yesterday is left to the nightly run until it was governed once.
    """
    before = _read_cursor(cursor)
    known = _known_files(lake)
    checked = set(lake.days(CHECK_RESULTS))
    # Somebody's run has taken files of these; what was pushed no run has taken.
    days = checked | {day for day, name, *_ in known if not _is_received(name)}
    today = now.astimezone(governance.firm.zone).date()
    unknown: dict[date, list[tuple[str, int, datetime]]] = {}
    for day, name, path in _landed(settings, governance):
        if day >= today or (day == today - timedelta(days=1) and day not in days):
            continue
        status = path.stat()
        facts = (name, status.st_size, landed_at(status))
        if (day, *facts) not in known:
            unknown.setdefault(day, []).append(facts)
    for day, facts in _pushed_since_checked(lake, {day for day, name, *_ in known if _is_received(name)}, now):
        if day < today - timedelta(days=1) or (day < today and day in checked):
            unknown.setdefault(day, []).append(facts)
    due: dict[date, str] = {}
    waiting: dict[str, Waiting] = {}
    for day, files in sorted(unknown.items()):
        mark = content_hash(*(f"{name} {size} {moment.isoformat()}" for name, size, moment in sorted(files)))
        last = before.get(day.isoformat(), Waiting("", now.timestamp()))
        resting = last.mark == mark and (now - max(moment for *_, moment in files)).total_seconds() >= STABLE_S
        impatient = now.timestamp() - last.since >= PATIENCE_S
        seen = Waiting(mark, last.since, last.requested)
        if (resting or impatient) and last.requested != mark:
            due[day] = mark
            seen = Waiting(mark, now.timestamp(), mark)
        waiting[day.isoformat()] = seen
    return Look(due, waiting)


def _read_cursor(cursor: str | None) -> dict[str, Waiting]:
    """What the look before left; nothing where it cannot be read, which costs one look."""
    if not cursor:
        return {}
    try:
        return {
            day: Waiting(str(mark), float(since), requested)
            for day, (mark, since, requested) in json.loads(cursor).items()
        }
    except (ValueError, TypeError, AttributeError):
        return {}


def _known_files(lake: Lake) -> set[tuple[date, str, int, datetime]]:
    with lake.connect() as con:
        lake.register(con, "ledger", LEDGER, None)
        return set(con.execute("SELECT day, file_name, size_bytes, received_at FROM ledger").fetchall())


def _pushed_since_checked(
    lake: Lake, days: set[date], now: datetime
) -> Iterator[tuple[date, tuple[str, int, datetime]]]:
    """Days of which something was pushed that their checks have not seen; with the ledger's version of them."""
    checks = lake.changed_since(CHECK_RESULTS, now - LOOKS_BACK)
    for day, (version, at) in lake.changed_since(LEDGER, now - LOOKS_BACK).items():
        if day in days and (day not in checks or checks[day][1] < at or _is_behind(lake, day)):
            yield day, (LEDGER, version, at)


def _is_behind(lake: Lake, day: date) -> bool:
    """Whether rows were admitted between what the checks of a day have read and their being written."""
    with lake.connect() as con:
        lake.register(con, "ledger", LEDGER, day)
        lake.register(con, "check_results", CHECK_RESULTS, day)
        return bool(one_row(con, read_sql(Path(__file__).with_name("admitted_unchecked.sql")))[0])


def _is_received(name: str) -> bool:
    return received_format(name.rpartition("/")[2]) is not None


def _landed(settings: Settings, governance: Governance) -> Iterator[tuple[date, str, Path]]:
    """Day, name below the landing folder, and path of each finished file."""
    for system in governance.systems.values():
        for name in system.datasets:
            root = settings.landing / system.name / name
            for folder in sorted(root.iterdir()) if root.is_dir() else []:
                try:
                    day = date.fromisoformat(folder.name)
                except ValueError:
                    continue
                if day >= governance.firm.first_day:
                    for path in delivered_files(folder):
                        yield day, recorded_name(path, settings.landing), path
