"""Rankings put the most anomalies first, name keys for people, and say what changed since the day before."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from lower_rooms import DAY, NEXT_DAY, RULES, THIRD_DAY, Rooms, instance, violation

from omgov_assets.quality_analysis.anomalies import identify_anomalies
from omgov_assets.quality_analysis.rankings import (
    RANKED_DIMENSIONS,
    RANKINGS,
    NotRankedError,
    UnknownDimensionError,
    rank_anomalies,
    read_rankings,
)
from omgov_assets.quality_analysis.statistics import compute_statistics
from omgov_assets.quality_policy.violations import VIOLATIONS


def govern(rooms: Rooms, day: date, anomalies_by_ci: dict[str | None, int]) -> None:
    """A day on which each of these CIs has so many anomalous instances, of ten that it has."""
    rooms.write_cmdb(day)
    inventory = [
        instance(f"{ci_id}-{number}", ci_id=ci_id) for ci_id in anomalies_by_ci if ci_id for number in range(10)
    ]
    rooms.write("securities/metric_instances", day, inventory)
    rooms.write(
        VIOLATIONS,
        day,
        [
            violation(f"{ci_id}-{number}", ci_id=ci_id)
            for ci_id, count in anomalies_by_ci.items()
            for number in range(count)
        ],
    )
    identify_anomalies(rooms.lake, day, RULES)
    compute_statistics(rooms.lake, day, RULES)
    rank_anomalies(rooms.lake, day)


def columns(rows: list[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in rows]


def test_the_most_anomalies_come_first_and_equal_counts_in_the_order_of_the_key(rooms: Rooms) -> None:
    govern(rooms, DAY, {"HOST-2": 3, "DB-1": 2, "APP-2": 2, "HOST-1": 2})
    hosts = read_rankings(rooms.lake, "host", 10, DAY)
    # DB-1 runs on HOST-1 alone and counts there; APP-2 runs on two hosts and counts on none.
    assert columns(hosts, "rank", "key", "label", "anomalies", "instances", "rate") == [
        (1, "HOST-1", "sh-01", 4, 20, 0.2),
        (2, "HOST-2", "sh-02", 3, 10, 0.3),
    ]
    groups = read_rankings(rooms.lake, "support_group", 10, DAY)
    assert columns(groups, "rank", "key", "label", "anomalies") == [
        (1, "SG-1", "主机组", 6),
        (2, "SG-2", "数据库组", 3),
    ]
    govern(rooms, DAY, {"HOST-2": 2, "HOST-1": 2})
    assert columns(read_rankings(rooms.lake, "host", 10, DAY), "rank", "key") == [
        (1, "HOST-1"),
        (2, "HOST-2"),
    ]


def test_an_anomaly_counts_for_each_application_on_its_ci(rooms: Rooms) -> None:
    govern(rooms, DAY, {"HOST-1": 2, "HOST-2": 1})
    applications = read_rankings(rooms.lake, "application", 10, DAY)
    assert columns(applications, "key", "label", "anomalies") == [("APP-2", "清算", 3), ("APP-1", "交易", 2)]


def test_every_dimension_is_ranked(rooms: Rooms) -> None:
    govern(rooms, DAY, {"HOST-1": 1})
    keys = {name: [row["key"] for row in read_rankings(rooms.lake, name, 10, DAY)] for name in RANKED_DIMENSIONS}
    assert keys == {
        "anomaly_type": ["flat_line"],
        "metric": ["system.cpu.utilization"],
        "application": ["APP-1", "APP-2"],
        "host": ["HOST-1"],
        "support_group": ["SG-1"],
        "owner": ["OWN-1"],
        "system": ["securities"],
        "network_device": ["NET-1", "NET-2"],
        "site": ["SITE-1"],
        "collector": ["collector-1"],
        "severity": ["warning"],
    }


def test_what_has_no_key_is_not_ranked_and_what_has_no_name_bears_its_key(rooms: Rooms) -> None:
    govern(rooms, DAY, {"HOST-GHOST": 2, "HOST-2": 1})
    assert columns(read_rankings(rooms.lake, "owner", 10, DAY), "key") == []
    assert columns(read_rankings(rooms.lake, "collector", 10, DAY), "key", "label") == [("collector-1", "collector-1")]


def test_changes_are_against_exactly_the_day_before(rooms: Rooms) -> None:
    govern(rooms, DAY, {"HOST-1": 5, "APP-1": 1})
    govern(rooms, NEXT_DAY, {"HOST-1": 2, "HOST-2": 3})
    names = ("key", "previous_anomalies", "change", "previous_rank")
    first_day = columns(read_rankings(rooms.lake, "host", 10, DAY), *names)
    assert first_day == [("HOST-1", None, None, None)]
    # HOST-2 had none the day before, which is known; it had no rank.
    assert columns(read_rankings(rooms.lake, "host", 10, NEXT_DAY), *names) == [
        ("HOST-2", 0, 3, None),
        ("HOST-1", 6, -4, 1),
    ]


def test_a_day_after_a_gap_is_compared_with_nothing(rooms: Rooms) -> None:
    govern(rooms, DAY, {"HOST-1": 5})
    govern(rooms, THIRD_DAY, {"HOST-1": 2})
    rows = read_rankings(rooms.lake, "host", 10, THIRD_DAY)
    assert columns(rows, "previous_anomalies", "change", "previous_rank") == [(None, None, None)]


def test_a_clean_day_before_is_a_day_to_compare_with(rooms: Rooms) -> None:
    govern(rooms, DAY, {"HOST-1": 0})
    govern(rooms, NEXT_DAY, {"HOST-1": 2})
    rows = read_rankings(rooms.lake, "host", 10)
    assert columns(rows, "previous_anomalies", "change", "previous_rank") == [(0, 2, None)]


def test_keys_can_be_ordered_by_rate_score_impact_and_change(rooms: Rooms) -> None:
    govern(rooms, DAY, {"HOST-1": 9, "HOST-2": 1})
    rooms.write_cmdb(NEXT_DAY)
    sizes = {"HOST-1": 400, "HOST-2": 100, "DB-2": 1, "NET-1": 10}
    flagged = {"HOST-1": 40, "HOST-2": 50, "DB-2": 1, "NET-1": 3}
    rooms.write(
        "securities/metric_instances",
        NEXT_DAY,
        [instance(f"{ci}-{n}", ci_id=ci, collector=ci) for ci, size in sizes.items() for n in range(size)],
    )
    critical = {"NET-1", "HOST-2"}
    rooms.write(
        VIOLATIONS,
        NEXT_DAY,
        [
            violation(f"{ci}-{n}", ci_id=ci, collector=ci, severity="critical" if ci in critical else "info")
            for ci, count in flagged.items()
            for n in range(count)
        ],
    )
    identify_anomalies(rooms.lake, NEXT_DAY, RULES)
    compute_statistics(rooms.lake, NEXT_DAY, RULES)
    rank_anomalies(rooms.lake, NEXT_DAY)

    def ordered(order: str, by: str = "collector") -> list[str]:
        return [row["key"] for row in read_rankings(rooms.lake, by, 10, NEXT_DAY, order)]

    assert ordered("count") == ["HOST-2", "HOST-1", "NET-1", "DB-2"]
    # The only instance of DB-2 is anomalous, a rate of 1: that says less than half of a hundred.
    rates = {row["key"]: row["rate"] for row in read_rankings(rooms.lake, "collector", 10, NEXT_DAY)}
    assert rates == {"HOST-1": 0.1, "HOST-2": 0.5, "DB-2": 1.0, "NET-1": 0.3}
    assert ordered("rate") == ["HOST-2", "DB-2", "NET-1", "HOST-1"]
    assert ordered("score") == ["HOST-2", "NET-1", "HOST-1", "DB-2"]
    # HOST-1 carries an application of tier 1 (4 × 40 × 0.05 = 8), HOST-2 one of tier 3 (50).
    assert ordered("impact") == ["HOST-2", "HOST-1", "NET-1", "DB-2"]
    assert ordered("change", "host") == ["HOST-2", "HOST-1"]
    with pytest.raises(UnknownDimensionError, match=r"cannot order by 'colour': choose one of count, rate"):
        ordered("colour")


def test_rankings_are_read_as_flat_rows_of_the_last_day(rooms: Rooms) -> None:
    govern(rooms, DAY, {"HOST-1": 1})
    govern(rooms, NEXT_DAY, {"HOST-1": 1, "HOST-2": 1})
    rows = read_rankings(rooms.lake, "host", top=1)
    assert [row["day"] for row in rows] == ["2026-11-21"]
    assert all(value is None or isinstance(value, str | int | float) for row in rows for value in row.values())


def test_a_dimension_that_is_not_ranked_is_named_with_those_that_are(rooms: Rooms) -> None:
    with pytest.raises(UnknownDimensionError, match=r"cannot rank by 'colour': choose one of anomaly_type, metric"):
        read_rankings(rooms.lake, "colour", 10)


def test_a_day_that_was_never_governed_is_an_error_that_says_what_to_do(rooms: Rooms) -> None:
    with pytest.raises(NotRankedError, match="govern a day first with `omgov run"):
        read_rankings(rooms.lake, "host", 10)
    govern(rooms, DAY, {"HOST-1": 1})
    with pytest.raises(NotRankedError, match=r"2026-11-21 is not ranked .*`omgov run --day 2026-11-21`"):
        read_rankings(rooms.lake, "host", 10, NEXT_DAY)


def test_a_second_run_changes_nothing(rooms: Rooms) -> None:
    govern(rooms, DAY, {"HOST-1": 5, "HOST-2": 5})
    first = rooms.rows(RANKINGS)
    govern(rooms, DAY, {"HOST-1": 5, "HOST-2": 5})
    # The inventory was written anew, and so has another version.
    without_versions = [[{**row, "data_versions": None} for row in rows] for rows in (first, rooms.rows(RANKINGS))]
    assert without_versions[0] == without_versions[1]
