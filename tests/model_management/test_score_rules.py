"""Score rules and the trading calendar: what the firm's files say, and what is wrong with faulty ones."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.score_rules import ScoreRules, load_score_rules
from omgov_assets.model_management.trading_calendar import TradingCalendar, load_trading_calendar

SHANGHAI = ZoneInfo("Asia/Shanghai")


def project(tmp_path: Path, name: str, text: str) -> Path:
    (tmp_path / "governance").mkdir()
    (tmp_path / "governance" / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_a_firm_without_the_documents_has_equal_weights_and_no_sessions(tmp_path: Path) -> None:
    scores = load_score_rules(tmp_path)
    assert set(scores.quality_dimension_weights.values()) == {1}
    assert not load_trading_calendar(tmp_path).is_trading_day(date(2026, 11, 20))


def test_the_firms_own_documents_are_sound(project_root: Path) -> None:
    scores, calendar = load_score_rules(project_root), load_trading_calendar(project_root)
    assert scores.severity_weights["critical"] == 1
    assert scores.tier_weights[1] > scores.tier_weights[3]
    days = [date.fromordinal(date(2026, 1, 1).toordinal() + n) for n in range(365)]
    assert sum(calendar.is_trading_day(day) for day in days) == 261 - len(calendar.closed[2026])
    assert calendar.last_close(date(2026, 11, 20), SHANGHAI) == datetime(2026, 11, 20, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "trades"),
    [
        (date(2026, 11, 20), True),
        (date(2026, 11, 21), False),
        (date(2026, 10, 1), False),
        (date(2026, 10, 8), True),
        (date(2027, 10, 1), True),
    ],
)
def test_a_trading_day_is_a_weekday_that_is_not_closed(project_root: Path, day: date, trades: bool) -> None:
    calendar = load_trading_calendar(project_root)
    assert calendar.is_trading_day(day) is trades
    assert (calendar.last_close(day, SHANGHAI) is not None) is trades
    # Of 2027 nobody has entered the closed days, which can be asked.
    assert calendar.knows(day) is (day.year == 2026)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("severity_weights: {critical: 1, warning: 1}", "severity_weights lacks info"),
        ("severity_weights: {critical: 2, warning: 1, info: 0}", "critical must lie between 0 and 1"),
        ("severity_weights: {fatal: 1}", "severity_weights"),
        ("quality_dimension_weights: {accuracy: 0}", "must have one above 0"),
        ("quality_dimension_weights: {colour: 1}", "quality_dimension_weights"),
        ("quality_dimension_weights: {accuracy: -1, coverage: 1}", "weight of accuracy"),
        ("tier_weights: {1: .inf}", "weight of 1"),
        ("tier_weights: {gold: 4}", "tier_weights"),
        ("minimum_subjects: 0", "minimum_subjects"),
        ("trend_days: 1", "trend_days"),
        ("weights: {}", "weights"),
        ("- 1", "scorecards.yaml"),
    ],
)
def test_faulty_score_rules_name_file_and_key(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(GovernanceError, match=r"scorecards\.yaml") as raised:
        load_score_rules(project(tmp_path, "scorecards.yaml", text))
    assert problem in str(raised.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('sessions: ["9:30-11:30"]', "write it as HH:MM-HH:MM"),
        ('sessions: ["11:30-09:30"]', "ends after it begins"),
        ('sessions: ["09:30-11:30", "11:00-15:00"]', "follow each other"),
        ('sessions: ["09:30-25:00"]', "hour"),
        ("weekdays: [funday]", "no weekday"),
        ("closed: {2026: [2027-01-01]}", "closed.2026 holds 2027-01-01"),
        ("closed: {2026: [soon]}", "closed"),
    ],
)
def test_a_faulty_calendar_names_file_and_key(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(GovernanceError, match=r"trading_calendar\.yaml") as raised:
        load_trading_calendar(project(tmp_path, "trading_calendar.yaml", text))
    assert problem in str(raised.value)


def test_rules_cannot_be_changed_by_who_reads_them() -> None:
    with pytest.raises(ValueError, match="frozen"):
        ScoreRules().minimum_subjects = 1  # type: ignore[misc]
    with pytest.raises(ValueError, match="frozen"):
        TradingCalendar().sessions = ()  # type: ignore[misc]
