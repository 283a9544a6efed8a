"""Learning dynamic baselines: what becomes of days of samples, and which band holds on a day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from sampled_series import MONDAY, Point, SampledSeries, constant, wave

from omgov_assets.model_management.trading_calendar import TradingCalendar, load_trading_calendar
from omgov_assets.quality_policy.dynamic_baselines.learning import DYNAMIC_BASELINES
from omgov_assets.quality_policy.dynamic_baselines.slots import day_kind, slots_of_day

SOME_DAY = MONDAY
Day = Callable[[date], list[Point]]


def test_a_day_is_cut_by_hours_and_by_trading_sessions(tmp_path: Path) -> None:
    slots = Counter(slots_of_day(SampledSeries.at(tmp_path).governance, MONDAY))
    assert (slots["09:00"], slots["09:30"], slots["11:00"], slots["11:30"], slots["15:00"]) == (30, 30, 30, 30, 60)
    assert sum(slots.values()) == 1440
    assert len(slots) == 26


@pytest.mark.parametrize(
    ("day", "minutes", "of_two"),
    [(date(2026, 10, 25), 1500, 120), (date(2026, 3, 29), 1380, 0), (date(2026, 10, 26), 1440, 60)],
)
def test_where_the_clock_changes_an_hour_comes_twice_or_not_at_all(
    tmp_path: Path, day: date, minutes: int, of_two: int
) -> None:
    series = SampledSeries.at(tmp_path, "Europe/Berlin", TradingCalendar())
    slots = slots_of_day(series.governance, day)
    assert (len(slots), slots.count("02:00"), slots[0], slots[-1]) == (minutes, of_two, "00:00", "23:00")


def test_a_holiday_is_closed_and_a_firm_without_sessions_has_weekdays(tmp_path: Path, project_root: Path) -> None:
    with_calendar = SampledSeries.at(tmp_path, calendar=load_trading_calendar(project_root)).governance
    without = SampledSeries.at(tmp_path, calendar=TradingCalendar()).governance
    days = [date(2026, 10, 1), date(2026, 10, 8), date(2026, 10, 10)]
    assert [day_kind(with_calendar, day) for day in days] == ["closed", "open", "closed"]
    assert [day_kind(without, day) for day in days] == ["open", "open", "closed"]


def test_a_band_follows_the_trading_sessions_of_trading_days(tmp_path: Path) -> None:
    series = SampledSeries.at(tmp_path)

    def traded(day: date) -> list[Point]:
        quiet = wave(swing=0)(day)
        busy = day_kind(series.governance, day) == "open"
        return [
            (at, value + (50 if busy and (34_200 <= at < 41_400 or 46_800 <= at < 54_000) else 0))
            for at, value in quiet
            if value is not None
        ]

    after = series.learn_days(MONDAY, 21, {"orders": traded})
    assert series.learned(after - timedelta(days=1), "season") == [("weekly",)]
    assert series.faults(after, {"orders": traded(after)}) == []
    # What is usual on a trading day at that hour is not so on a Saturday, nor half an hour before the session.
    saturday = after + timedelta(days=5)
    assert (25 * 3600 // 2, "out_of_band") not in series.faults(after, {"orders": traded(after)})
    odd = [(at, 150.0 if at == 36_000 else value) for at, value in traded(saturday)]
    assert series.faults(saturday, {"orders": odd}) == [("orders", 36_000, "out_of_band")]
    early = [(at, 150.0 if at == 32_400 else value) for at, value in traded(after)]
    assert series.faults(after, {"orders": early}) == [("orders", 32_400, "out_of_band")]


def test_a_series_without_season_has_one_band_for_all_day(tmp_path: Path) -> None:
    series = SampledSeries.at(tmp_path)
    after = series.learn_days(MONDAY, 5, {"a": wave(swing=0)})
    series.deliver(after, {"a": wave(swing=0)(after)})
    # Closed days were none so far: nothing is known of them.
    assert {origin for origin, *_ in series.bands(after).values()} == {None}
    monday = after + timedelta(days=2)
    series.deliver(monday, {"a": wave(swing=0)(monday)})
    bands = set(series.bands(monday).values())
    assert len(bands) == 1
    (origin, low, high) = bands.pop()
    assert origin == "flat"
    assert low is not None
    assert high is not None
    assert 80 < low < 90
    assert 110 < high < 120


def test_a_new_level_is_normal_after_three_days(tmp_path: Path) -> None:
    series = SampledSeries.at(tmp_path)
    before, after = wave(swing=0), wave(level=200, swing=0)
    day = series.learn_days(MONDAY, 7, {"a": before})
    found = []
    for _ in range(5):
        found.append([fault for *_, fault in series.faults(day, {"a": after(day)})])
        series.learn(day)
        day += timedelta(days=1)
    # Three days are out; the fourth is normal, and what used to be so no longer is.
    assert found == [["level_shift"]] * 3 + [[], []]
    assert series.learned(day - timedelta(days=1), "level_since") == [(MONDAY + timedelta(days=7),)]
    assert [fault for *_, fault in series.faults(day + timedelta(days=2), {"a": before(day)})] == ["level_shift"]


def test_one_strange_day_does_not_move_the_band(tmp_path: Path) -> None:
    series = SampledSeries.at(tmp_path)
    day = series.learn_days(MONDAY, 9, {"a": wave(swing=0)})
    series.deliver(day, {"a": wave(level=500, swing=0)(day)})
    series.learn(day)
    next_day = day + timedelta(days=1)
    assert series.faults(next_day, {"a": wave(swing=0)(next_day)}) == []


def test_a_trend_is_followed(tmp_path: Path) -> None:
    series = SampledSeries.at(tmp_path)
    rising = wave(swing=0, per_day=5.0)
    day = series.learn_days(MONDAY, 14, {"a": rising})
    [(slope,)] = series.learned(day - timedelta(days=1), "slope_per_day")
    assert slope == pytest.approx(5, abs=0.2)
    assert series.faults(day, {"a": rising(day)}) == []
    standing = wave(level=100 + 5 * 7, swing=0)
    assert [fault for *_, fault in series.faults(day, {"a": standing(day)})] == ["level_shift"]
    # Two nights without learning: the band has gone on.
    later = day + timedelta(days=2)
    assert series.faults(later, {"a": rising(later)}) == []


def test_a_new_series_is_judged_by_its_metrics_population_until_it_has_days_of_its_own(tmp_path: Path) -> None:
    series = SampledSeries.at(tmp_path)
    known = {f"s{n}": wave(level=100 + n, swing=0, seed=n) for n in range(5)}
    day = series.learn_days(MONDAY, 8, known, metric="cpu")
    assert series.learned(day - timedelta(days=1), "subject_key, instances", "subject_kind = 'metric'") == [("cpu", 5)]
    sound = wave(level=104, swing=0)(day)
    wrong = [(at, 1000.0 if at == 0 else value) for at, value in sound]
    assert series.faults(day, {"new": wrong}, "cpu") == [("new", 0, "out_of_band")]
    assert {origin for origin, *_ in series.bands(day).values()} == {"population"}
    # Of another metric nothing is known, and so nothing is said.
    assert series.faults(day, {"new": wrong}, "memory") == []


def test_too_few_series_are_no_population(tmp_path: Path) -> None:
    series = SampledSeries.at(tmp_path)
    day = series.learn_days(MONDAY, 8, {f"s{n}": wave(seed=n) for n in range(4)}, metric="cpu")
    assert series.learned(day - timedelta(days=1), "1", "subject_kind = 'metric'") == []
    assert series.faults(day, {"new": [(n * 900, 1e6) for n in range(3)]}, "cpu") == []


def test_a_band_that_has_grown_old_is_applied_no_more(tmp_path: Path) -> None:
    series = SampledSeries.at(tmp_path, maximum_age_days=3)
    day = series.learn_days(MONDAY, 9, {"a": wave(swing=0)})
    strange = [(0.0, 1e6)]
    for later, expected in ((0, 1), (2, 1), (3, 0)):
        assert len(series.faults(day + timedelta(days=later), {"a": strange})) == expected


def test_a_series_that_is_silent_for_a_day_keeps_its_band(tmp_path: Path) -> None:
    series = SampledSeries.at(tmp_path)
    day = series.learn_days(MONDAY, 8, {"a": wave(swing=0), "b": wave(swing=0)})
    series.deliver(day, {"b": wave(swing=0)(day)})
    assert series.learn(day).learned == 2
    assert series.faults(day + timedelta(days=1), {"a": [(0.0, 1e6)]}) == [("a", 0, "out_of_band")]


def test_learning_a_day_again_gives_the_same_table(tmp_path: Path) -> None:
    series = SampledSeries.at(tmp_path)
    shapes = {"a": wave(), "b": wave(swing=0), "c": constant(3.0)}
    day = series.learn_days(MONDAY, 6, shapes, metric="m") - timedelta(days=1)
    first = series.learned(day, "*", "true")
    assert series.learn(day).rows == len(first)
    assert series.learned(day, "*", "true") == first
    # A later day is learned, and the day before it again: nothing of the later one comes in.
    series.learn_days(day + timedelta(days=1), 1, shapes, metric="m")
    series.learn(day)
    assert series.learned(day, "*", "true") == first
    assert series.lake.days(DYNAMIC_BASELINES)[-1] == day + timedelta(days=1)


def test_points_of_another_day_teach_nothing(tmp_path: Path) -> None:
    series = SampledSeries.at(tmp_path)
    series.deliver(SOME_DAY, {"a": [*wave()(SOME_DAY), (86_400.0, 1e9), (-1.0, 1e9)]})
    series.learn(SOME_DAY)
    [(points, maximum)] = series.learned(SOME_DAY, "points, maximum")
    assert points == 96
    assert maximum < 200


def test_the_summary_says_what_was_learned(tmp_path: Path) -> None:
    series = SampledSeries.at(tmp_path)
    shapes = {**{f"s{n}": wave(swing=0, seed=n) for n in range(5)}, "daily": wave(), "constant": constant(1.0)}
    day = series.learn_days(MONDAY, 8, shapes, metric="m")
    series.deliver(day, {name: shape(day) for name, shape in shapes.items()}, "m")
    summary = series.learn(day)
    assert (summary.series, summary.learned, summary.bands, summary.seasonal) == (7, 7, 6, 1)
    assert (summary.new_levels, summary.cold_starts) == (0, 1)


def test_a_day_without_samples_carries_on_what_is_known(tmp_path: Path) -> None:
    series = SampledSeries.at(tmp_path)
    assert series.learn(MONDAY).rows == 0
    day = series.learn_days(MONDAY, 8, {"a": wave(swing=0)})
    assert series.learn(day).bands == 1
