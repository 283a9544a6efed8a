"""How deliveries come is judged as well: late, or with unusually few or many records for a day of this kind."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta

import pytest
from small_firm import SYSTEM, FirmOf, SmallFirm, instance

from omgov_assets.quality_policy.violations import VIOLATIONS

DATASET = "metric_instances"
FRIDAY = date(2026, 11, 27)


def deliver(firm: SmallFirm, day: date, rows: int, received: datetime | None = None) -> None:
    records = [instance(ci=f"H{n}", sample_mean=float(day.toordinal() % 90)) for n in range(rows)]
    path = firm.deliver(SYSTEM, DATASET, records, day)
    if received:
        os.utime(path, (received.timestamp(),) * 2)
    firm.collect(SYSTEM, day, DATASET)


def found(firm: SmallFirm, day: date) -> list[tuple[str, str, str, str]]:
    return firm.rows(VIOLATIONS, "policy_id, anomaly_type, observed, expected", day)


def rule(firm: SmallFirm, text: str) -> None:
    (firm.settings.project / "governance" / "admission.yaml").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(("minutes", "late"), [(-1, False), (0, False), (75, True)])
def test_a_delivery_after_the_deadline_is_late(firm: SmallFirm, minutes: int, late: bool) -> None:
    rule(firm, f"datasets:\n  {SYSTEM}/{DATASET}: {{deadline: 06:30}}\n")
    due = datetime(2026, 11, 27, 22, 30, tzinfo=UTC)  # 06:30 of the day after, in Shanghai
    deliver(firm, FRIDAY, 2, due + timedelta(minutes=minutes))
    expected = [
        (
            "admission.late_delivery",
            "late_delivery",
            "a.csv came 1 h 15 min late",
            "a delivery by 2026-11-28 06:30 Asia/Shanghai",
        )
    ]
    assert found(firm, FRIDAY) == (expected if late else [])


def test_without_a_deadline_nothing_is_late(firm_of: FirmOf) -> None:
    firm = firm_of("csv")
    deliver(firm, FRIDAY, 2, datetime(2027, 3, 1, tzinfo=UTC))
    assert found(firm, FRIDAY) == []


def test_what_never_came_names_its_deadline(firm: SmallFirm) -> None:
    rule(firm, "default: {deadline: '23:00', deadline_days: 0}\n")
    firm.collect(SYSTEM, FRIDAY, DATASET)
    assert found(firm, FRIDAY) == [
        (
            "admission.not_delivered",
            "not_delivered",
            "nothing was delivered",
            "a delivery for every day by 2026-11-27 23:00 Asia/Shanghai",
        )
    ]


@pytest.mark.parametrize(
    ("rows", "anomaly_type"),
    [(20, None), (11, None), (30, None), (9, "fewer_rows_than_usual"), (31, "more_rows_than_usual")],
)
def test_a_row_count_outside_the_band_of_its_weekday_is_unusual(
    firm_of: FirmOf, rows: int, anomaly_type: str | None
) -> None:
    firm = firm_of("csv")
    for weeks, count in ((1, 20), (2, 21), (3, 19)):
        deliver(firm, FRIDAY - timedelta(weeks=weeks), count)
        # Other weekdays say nothing of a Friday.
        deliver(firm, FRIDAY - timedelta(weeks=weeks, days=2), 60)
    deliver(firm, FRIDAY, rows)
    wanted = [("admission.unusual_row_count", anomaly_type, f"{rows} records",
               "between 10 and 30 records, as on earlier days of this kind")]  # fmt: skip
    assert found(firm, FRIDAY) == (wanted if anomaly_type else [])
    assert found(firm, FRIDAY - timedelta(weeks=1)) == []


def test_a_noisy_history_widens_the_band(firm_of: FirmOf) -> None:
    firm = firm_of("csv")
    for weeks, count in enumerate((10, 40, 20, 30, 12), start=1):
        deliver(firm, FRIDAY - timedelta(weeks=weeks), count)
    deliver(firm, FRIDAY, 50)
    assert found(firm, FRIDAY) == []


def test_working_days_stand_in_where_the_weekday_has_too_few(firm: SmallFirm) -> None:
    rule(firm, "default: {usual_rows: {minimum_days: 3, tolerance: 0.2}}\n")
    for days in (1, 2, 3, 4, 7):
        deliver(firm, FRIDAY - timedelta(days=days), 20)
    deliver(firm, FRIDAY - timedelta(days=5), 2)  # a Sunday
    deliver(firm, FRIDAY, 30)
    assert [row[1] for row in found(firm, FRIDAY)] == ["more_rows_than_usual"]


def test_a_short_history_says_nothing(firm_of: FirmOf) -> None:
    firm = firm_of("csv")
    for weeks in (1, 2):
        deliver(firm, FRIDAY - timedelta(weeks=weeks), 20)
    deliver(firm, FRIDAY, 1)
    assert found(firm, FRIDAY) == []


def test_the_firm_can_say_that_any_number_is_usual(firm: SmallFirm) -> None:
    rule(firm, f"datasets:\n  {DATASET}: {{usual_rows: null}}\n")
    for weeks in (1, 2, 3):
        deliver(firm, FRIDAY - timedelta(weeks=weeks), 20)
    deliver(firm, FRIDAY, 1)
    assert found(firm, FRIDAY) == []


def test_files_of_a_day_count_together(firm_of: FirmOf) -> None:
    firm = firm_of("csv")
    for weeks in (1, 2, 3):
        deliver(firm, FRIDAY - timedelta(weeks=weeks), 20)
    for name, first in (("a.csv", 0), ("b.csv", 50)):
        records = [instance(ci=f"H{n}") for n in range(first, first + 10)]
        firm.deliver(SYSTEM, DATASET, records, FRIDAY, name)
    firm.collect(SYSTEM, FRIDAY, DATASET)
    assert found(firm, FRIDAY) == []
