"""After a re-run of a day, the days after it are what they would have been had it been right at once."""

from __future__ import annotations

from datetime import date, timedelta

from lower_rooms import DAY, NEXT_DAY, RULES, THIRD_DAY, Rooms, Row, instance, violation

from omgov_assets.quality_analysis.anomalies import ANOMALIES, identify_anomalies
from omgov_assets.quality_analysis.changes import recompute_changes
from omgov_assets.quality_analysis.rankings import RANKINGS, rank_anomalies
from omgov_assets.quality_analysis.scorecards import SCORECARDS, compute_scorecards
from omgov_assets.quality_analysis.statistics import STATISTICS, compute_statistics
from omgov_assets.quality_policy.violations import VIOLATIONS

SYSTEMS = ["securities"]
TABLES = (ANOMALIES, STATISTICS, RANKINGS, SCORECARDS)


def govern(rooms: Rooms, day: date) -> None:
    identify_anomalies(rooms.lake, day, RULES)
    compute_statistics(rooms.lake, day, RULES)
    rank_anomalies(rooms.lake, day)
    compute_scorecards(rooms.lake, day, RULES)


def contents(rooms: Rooms) -> list[list[Row]]:
    return [rooms.rows(table) for table in TABLES]


def test_the_days_after_a_rerun_day_are_brought_into_line(rooms: Rooms) -> None:
    days = [DAY + timedelta(days=number) for number in range(4)]
    rooms.write("securities/metric_instances", NEXT_DAY, [instance("i1"), instance("i2")])
    for day in days[1:]:
        rooms.write(VIOLATIONS, day, [violation("i1"), *([violation("i2")] if day == NEXT_DAY else [])])
    rooms.write(VIOLATIONS, DAY, [violation("i1"), violation("i2"), violation("i3")])
    for day in days:
        govern(rooms, day)
    right_at_once = contents(rooms)

    rooms.write(VIOLATIONS, DAY, [])
    for day in days:
        govern(rooms, day)
    assert contents(rooms) != right_at_once
    rooms.write(VIOLATIONS, DAY, [violation("i1"), violation("i2"), violation("i3")])
    govern(rooms, DAY)

    assert recompute_changes(rooms.lake, DAY, RULES) == days[1:]
    assert contents(rooms) == right_at_once


def test_it_stops_at_a_day_whose_anomalies_are_no_older_than_before(rooms: Rooms) -> None:
    for day in (DAY, NEXT_DAY, THIRD_DAY):
        rooms.write(VIOLATIONS, day, [violation(f"only on {day}")])
        govern(rooms, day)
    assert recompute_changes(rooms.lake, DAY, RULES) == [NEXT_DAY]


def test_a_day_that_was_never_governed_is_left_alone(rooms: Rooms) -> None:
    rooms.write(VIOLATIONS, DAY, [violation("i1")])
    rooms.write(VIOLATIONS, NEXT_DAY, [violation("i1")])
    govern(rooms, DAY)
    assert recompute_changes(rooms.lake, DAY, RULES) == []
    assert not rooms.lake.has_day(ANOMALIES, NEXT_DAY)
