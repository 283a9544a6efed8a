"""Scoring points: each fault where it is, none where it only looks like one, and input that is no series at all."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path

import pytest
from sampled_series import MONDAY, SYSTEM, Point, SampledSeries, constant, wave

from omgov_assets.model_management.trading_calendar import TradingCalendar
from omgov_assets.quality_policy.evaluation import evaluate_dataset
from omgov_assets.quality_policy.policies import load_policy_set
from omgov_assets.quality_policy.violations import VIOLATIONS

# A step of a quarter of an hour.
STEP = 900.0
LEARNED_DAYS = 9
DAY = MONDAY + timedelta(days=LEARNED_DAYS)
SOUND = wave(level=100, swing=5, noise=2)


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> SampledSeries:
    """Nine days of a sound gauge, of a counter and of a series that never varied."""
    series = SampledSeries.at(tmp_path_factory.mktemp("learned"))
    shapes = {"gauge": SOUND, "counter": lambda day: counter(), "constant": constant(7.0), "empty": constant(None)}
    series.learn_days(MONDAY, LEARNED_DAYS, shapes)
    return series


def counter(begin: float = 0.0, points: int = 96, rate: float = 10.0) -> list[Point]:
    return [(n * STEP, begin + n * rate + 0.1 * (n % 7)) for n in range(points)]


def changed(points: Iterable[Point], **values: float) -> list[Point]:
    """The points with other values: ``at_40=1.5`` for the point of number 40."""
    by_number = {int(name.removeprefix("at_")): value for name, value in values.items()}
    return [(at, by_number.get(number, value)) for number, (at, value) in enumerate(points)]


def run(begin: int, end: int, factor: float = 1.0, offset: float = 0.0) -> list[Point]:
    return [
        (at, value * factor + offset if begin <= number < end and value is not None else value)
        for number, (at, value) in enumerate(SOUND(DAY))
    ]


def test_a_sound_day_has_no_fault(learned: SampledSeries) -> None:
    sound = {"gauge": SOUND(DAY), "counter": counter(), "constant": constant(7.0)(DAY), "empty": constant(None)(DAY)}
    assert learned.faults(DAY, sound) == []


def test_single_values_beyond_the_band_are_faults_each(learned: SampledSeries) -> None:
    points = changed(SOUND(DAY), at_10=200.0, at_11=0.0, at_60=180.0)
    assert learned.faults(DAY, {"gauge": points}) == [("gauge", n * STEP, "out_of_band") for n in (10, 11, 60)]


def test_a_lasting_run_beyond_the_band_is_one_fault_where_it_begins(learned: SampledSeries) -> None:
    assert learned.faults(DAY, {"gauge": run(30, 60, offset=90)}) == [("gauge", 30 * STEP, "level_shift")]
    # Three points are no level yet, nor is what changes its side.
    assert [fault for *_, fault in learned.faults(DAY, {"gauge": run(30, 33, offset=90)})] == ["out_of_band"] * 3
    swaying = [(at, value + (90 if n % 2 else -90)) for n, (at, value) in enumerate(SOUND(DAY)) if value is not None]
    assert {fault for *_, fault in learned.faults(DAY, {"gauge": swaying})} == {"out_of_band"}


@pytest.mark.parametrize("factor", [1000, 1024, 8, 100, 1 / 1000, 1 / 1024, 1 / 8, 1 / 100])
def test_a_factor_between_units_is_a_unit_jump(learned: SampledSeries, factor: float) -> None:
    assert learned.faults(DAY, {"gauge": run(50, 96, factor)}) == [("gauge", 50 * STEP, "unit_jump")]


@pytest.mark.parametrize("factor", [4, 30, 500, 2000])
def test_another_factor_is_a_level_shift(learned: SampledSeries, factor: float) -> None:
    assert learned.faults(DAY, {"gauge": run(50, 96, factor)}) == [("gauge", 50 * STEP, "level_shift")]


def test_a_value_that_stands_still_is_a_flat_line_from_its_first_point(learned: SampledSeries) -> None:
    still = changed(SOUND(DAY), **{f"at_{n}": 101.0 for n in range(20, 40)})
    assert learned.faults(DAY, {"gauge": still}) == [("gauge", 20 * STEP, "flat_line")]
    # It is told on the first day, too; a plateau or a series that never varies is none.
    assert learned.faults(DAY, {"unknown": still}) == [("unknown", 20 * STEP, "flat_line")]
    assert learned.faults(DAY, {"unknown": changed(SOUND(DAY), **{f"at_{n}": 101.0 for n in range(20, 31)})}) == []
    assert learned.faults(DAY, {"unknown": constant(5.0)(DAY)}) == []


def test_a_gap_is_told_at_the_point_after_it(learned: SampledSeries) -> None:
    lost = [point for n, point in enumerate(SOUND(DAY)) if not 20 <= n < 26]
    for name in ("gauge", "unknown"):
        assert learned.faults(DAY, {name: lost}) == [(name, 26 * STEP, "gap")]
    restarted = [point for n, point in enumerate(SOUND(DAY)) if n not in (20, 50, 51)]
    assert learned.faults(DAY, {"gauge": restarted}) == []


def test_a_second_point_at_one_time_is_a_duplicate(learned: SampledSeries) -> None:
    twice = [*SOUND(DAY), SOUND(DAY)[33]]
    assert learned.faults(DAY, {"gauge": twice}) == [("gauge", 33 * STEP, "duplicate_timestamp")]


def test_a_clock_that_is_put_back_is_told_by_the_order_of_delivery(learned: SampledSeries) -> None:
    back = [(at - (2400 if n >= 50 else 0), value) for n, (at, value) in enumerate(SOUND(DAY))]
    for name in ("gauge", "unknown"):
        assert learned.faults(DAY, {name: back}) == [(name, 50 * STEP - 2400, "clock_step")]
    # Points in the order of their times, or in none, say nothing of a clock.
    assert learned.faults(DAY, {"gauge": SOUND(DAY)[::-1]}) == []


def test_a_clock_put_back_by_whole_steps_is_told_from_points_sent_again(learned: SampledSeries) -> None:
    points = list(SOUND(DAY))
    hour_again = [(at - 4 * STEP if n >= 50 else at, value) for n, (at, value) in enumerate(points)]
    told = [(46 * STEP, "clock_step"), *((n * STEP, "duplicate_timestamp") for n in range(46, 50))]
    assert learned.faults(DAY, {"gauge": hour_again}) == sorted(("gauge", *fault) for fault in told)
    sent_again = [*points[:50], *points[46:]]
    assert learned.faults(DAY, {"gauge": sent_again}) == [
        ("gauge", n * STEP, "duplicate_timestamp") for n in range(46, 50)
    ]


def test_the_order_of_a_few_points_says_nothing_of_the_clock(learned: SampledSeries) -> None:
    few = [point for n, point in enumerate(SOUND(DAY)) if n % 12 == 0]
    assert learned.faults(DAY, {"gauge": [*few[4:], *few[:4]]}) == []


def test_a_counter_is_judged_by_its_increments(learned: SampledSeries) -> None:
    assert learned.learned(DAY - timedelta(days=1), "subject_key, usual_counter") == [
        ("constant", False), ("counter", True), ("empty", None), ("gauge", False),
    ]  # fmt: skip
    # Far above all that it ever was, but as fast as ever.
    assert learned.faults(DAY, {"counter": counter(begin=1e6)}) == []
    burst = [(at, value + (5000 if n >= 40 else 0)) for n, (at, value) in enumerate(counter()) if value is not None]
    assert learned.faults(DAY, {"counter": burst}) == [("counter", 40 * STEP, "out_of_band")]


def test_a_counter_that_begins_anew_is_told_and_a_falling_gauge_is_not(learned: SampledSeries) -> None:
    reset = [*counter(begin=500, points=48), *[(at, value) for at, value in counter() if at >= 48 * STEP]]
    reset = [(at, value - 480 if n >= 48 and value is not None else value) for n, (at, value) in enumerate(reset)]
    for name in ("counter", "unknown"):
        assert learned.faults(DAY, {name: reset}) == [(name, 48 * STEP, "counter_reset")]
    assert [fault for *_, fault in learned.faults(DAY, {"gauge": changed(SOUND(DAY), at_10=1.0)})] == ["out_of_band"]


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, None])
def test_what_is_no_number_is_no_fault_and_teaches_nothing(tmp_path: Path, odd: float | None) -> None:
    series = SampledSeries.at(tmp_path)

    def pitted(day: date) -> list[Point]:
        return [(at, odd if n % 10 == 0 else value) for n, (at, value) in enumerate(wave(swing=0)(day))]

    day = series.learn_days(MONDAY, 8, {"a": pitted})
    [(points, level, reach_up)] = series.learned(day - timedelta(days=1), "points, level, reach_up")
    assert points == 86
    assert 98 < level < 102
    assert 0 < reach_up < 10
    assert series.faults(day, {"a": pitted(day)}) == []
    assert series.faults(day, {"a": changed(pitted(day), at_11=1e6)}) == [("a", 11 * STEP, "out_of_band")]


@pytest.mark.parametrize("value", [0.0, -5.0, 1e300, 5e-324, 1.7976931348623157e308])
def test_a_constant_series_has_no_band(tmp_path: Path, value: float) -> None:
    series = SampledSeries.at(tmp_path)
    day = series.learn_days(MONDAY, 8, {"a": constant(value)})
    assert series.learned(day - timedelta(days=1), "days, reach_up, usual_flat_points") == [(8, None, 96.0)]
    assert series.faults(day, {"a": changed(constant(value)(day), at_3=42.0)}) == []


def test_three_points_a_day_are_too_few_to_learn_from(tmp_path: Path) -> None:
    series = SampledSeries.at(tmp_path)
    three = [(0.0, 1.0), (900.0, 2.0), (1800.0, 1.0)]
    day = series.learn_days(MONDAY, 8, {"a": lambda day: three})
    assert series.learned(day - timedelta(days=1), "points, days, reach_up") == [(3, None, None)]
    assert series.faults(day, {"a": [(0.0, 1e9), (40_000.0, 2.0), (80_000.0, -1.0)]}) == []


def test_without_any_point_nothing_is_found(learned: SampledSeries) -> None:
    assert learned.faults(DAY, {}) == []


@pytest.mark.parametrize("day", [date(2026, 10, 25), date(2026, 3, 29)])
def test_the_hour_of_a_changed_clock_is_judged_as_any_other(tmp_path: Path, day: date) -> None:
    series = SampledSeries.at(tmp_path, "Europe/Berlin", TradingCalendar())
    hours = 25 if day.month == 10 else 23

    def by_clock(count: int, points_per_hour: int = 4) -> list[Point]:
        """Busy at 01:00 on the clock and from 03:00, by local time."""
        points: list[Point] = []
        for n in range(count * points_per_hour):
            hour = n / points_per_hour
            clock = hour if hour < 2 or count == 24 else hour - 1 if count == 25 and hour >= 3 else hour + (count == 23)
            points.append((n * 3600 / points_per_hour, 100.0 + (80 if int(clock) == 8 else 0) + n % 3))
        return points

    first = day - timedelta(days=14)
    assert series.learn_days(first, 14, {"a": lambda _: by_clock(24)}) == day
    assert series.learned(day - timedelta(days=1), "season") == [("weekly",)]
    assert series.faults(day, {"a": by_clock(hours)}) == []
    wrong = changed(by_clock(hours), at_9=400.0)
    assert series.faults(day, {"a": wrong}) == [("a", 9 * STEP, "out_of_band")]


def test_the_policies_count_and_store_exactly_the_points_that_are_scored(tmp_path: Path, project_root: Path) -> None:
    series = SampledSeries.at(tmp_path)
    shapes = {"gauge": SOUND, "other": wave(seed=3)}
    day = series.learn_days(MONDAY, LEARNED_DAYS, shapes)
    lost = [point for n, point in enumerate(changed(run(60, 80, 1000), at_5=300.0)) if not 20 <= n < 30]
    expected = series.faults(day, {"gauge": lost, "other": wave(seed=3)(day)})
    assert [fault for *_, fault in expected] == ["out_of_band", "gap", "unit_jump"]
    policies = load_policy_set(project_root, SYSTEM, "metric_samples")
    results = evaluate_dataset(series.lake, series.governance, policies, day)
    failed = {result.policy.meta.anomaly_type: result.failed for result in results if result.verdict == "failed"}
    assert {result.verdict for result in results} == {"passed", "failed"}
    assert failed == {"sample_out_of_band": 1, "sample_gap": 1, "sample_unit_jump": 1}
    assert {result.engine for result in results} == {"duckdb"}
    with series.lake.connect() as con:
        series.lake.register(con, "violations", VIOLATIONS, day)
        rows = con.execute("SELECT anomaly_type, observed FROM violations ORDER BY subject_key").fetchall()
    assert [kind for kind, _ in rows] == ["sample_out_of_band", "sample_gap", "sample_unit_jump"]
    assert rows[0][1].startswith("value=300.0, band_low=")
    assert "band_learned_from=" in rows[0][1]


def test_on_a_first_night_only_what_the_day_itself_tells_is_found(tmp_path: Path, project_root: Path) -> None:
    series = SampledSeries.at(tmp_path)
    series.deliver(MONDAY, {"a": run(60, 80, 1000), "b": constant(3.0)(MONDAY)})
    policies = load_policy_set(project_root, SYSTEM, "metric_samples")
    results = evaluate_dataset(series.lake, series.governance, policies, MONDAY)
    assert {result.verdict for result in results} == {"passed"}
