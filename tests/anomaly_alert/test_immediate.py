"""Alerts that do not wait for the morning: when they are raised, when they are over, and the heartbeat."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from alert_cases import DAY, NIGHT
from night_lake import NightLake, Row

from omgov_assets.anomaly_alert.immediate import (
    OverdueCase,
    blocking_check,
    escalated_case,
    failed_run,
    missed_deadline,
    overdue_case,
    refused_batches,
    unfinished_night,
    unjudged_checks,
)
from omgov_assets.anomaly_alert.night import tell_of_night
from omgov_assets.anomaly_alert.outbox import Outbox
from omgov_assets.anomaly_alert.raising import raise_alerts

SHANGHAI = ZoneInfo("Asia/Shanghai")
FIRST_DAY = date(2026, 11, 1)


def batch(decision: str, dataset: str = "metric_instances", code: str | None = None) -> Row:
    return {
        "system": "securities_trading",
        "dataset": dataset,
        "decision": decision,
        "reason_code": code,
        "rows_in": 10,
    }


def test_a_refused_batch_is_told_by_dataset_without_the_sentence_of_the_ledger(rooms: NightLake) -> None:
    refused = batch("refused", code="wrong_columns") | {"reason": "line 3 holds 'secret'"}
    rooms.write(
        "admission/ledger", [refused, batch("refused", code="truncated"), batch("admitted"), batch("partial", "x")]
    )
    (alert,) = refused_batches(rooms.lake, DAY)
    assert (alert.labels["system"], alert.labels["dataset"]) == ("securities_trading", "metric_instances")
    assert "2 refused batches on 2026-11-20 (truncated, wrong_columns)" in alert.text("summary", "en")
    assert "20 条记录未入湖" in alert.text("description", "zh")
    assert "secret" not in alert.model_dump_json()
    assert not alert.is_momentary, "it stands until the day has no refused batch any more"


def test_a_check_without_a_verdict_is_told_and_one_that_fails_on_bad_data_is_not(rooms: NightLake) -> None:
    def verdict(policy: str, dimension: str, result: str) -> Row:
        return {
            "system": "cmdb",
            "dataset": "owners",
            "policy_id": policy,
            "quality_dimension": dimension,
            "verdict": result,
        }

    rooms.write(
        "quality/check_results",
        [
            verdict("p1", "accuracy", "failed"),
            verdict("p2", "consistency", "not_evaluated"),
            verdict("p3", "consistency", "passed"),
            verdict("p4", "uniqueness", "error"),
            verdict("p5", "uniqueness", "not_evaluated"),
        ],
    )
    found = {alert.labels["check"]: alert.labels["severity"] for alert in unjudged_checks(rooms.lake, DAY)}
    assert found == {"consistency": "warning", "uniqueness": "critical"}


def test_a_repaired_batch_is_over_and_keeps_its_checks_quiet_until_then(rooms: NightLake, outbox: Outbox) -> None:
    rooms.write("admission/ledger", [batch("refused", code="truncated")])
    judged = {"system": "securities_trading", "dataset": "metric_instances", "quality_dimension": "accuracy"}
    rooms.write("quality/check_results", [judged | {"policy_id": "p", "verdict": "not_evaluated"}])

    def tell(hours: int) -> None:
        at = NIGHT + timedelta(hours=hours)
        tell_of_night(rooms.lake, rooms.governance, rooms.report, outbox, DAY, at)

    tell(0)
    engineers = [m for m in outbox.messages() if m.receiver == "data_engineers"]
    assert [[each.name for each in message.alerts] for message in engineers] == [["refused_batch"]]
    outbox.claim(NIGHT + timedelta(minutes=2), rooms.governance.alerts.delivery, timedelta(minutes=5))
    for message in engineers:
        outbox.con.execute("UPDATE messages SET attempts = 1 WHERE key = ?", (message.key,))
    rooms.write("admission/ledger", [batch("admitted")])
    rooms.write("quality/check_results", [judged | {"policy_id": "p", "verdict": "passed"}])
    tell(5)
    said = [
        (each.status, each.name) for m in outbox.messages() if m.receiver == "data_engineers" for each in m.alerts
    ]  # fmt: skip
    assert sorted(said) == [("firing", "refused_batch"), ("resolved", "refused_batch")]


@pytest.mark.parametrize(
    ("local", "missed"),
    [
        ("2026-11-21 06:59", "2026-11-19"),
        ("2026-11-21 07:00", "2026-11-20"),
        ("2026-11-21 23:59", "2026-11-20"),
        ("2026-11-02 06:59", None),  # before the firm's first day was due
        ("2026-11-02 07:00", "2026-11-01"),
    ],
)
def test_a_night_is_missed_once_its_deadline_has_passed(
    rooms: NightLake, outbox: Outbox, local: str, missed: str | None
) -> None:
    now = datetime.fromisoformat(local).replace(tzinfo=SHANGHAI).astimezone(UTC)
    found = missed_deadline(outbox, rooms.governance.alerts, SHANGHAI, FIRST_DAY, now)
    assert [alert.labels["day"] for alert in found] == ([missed] if missed else [])


def test_a_late_night_is_told_once_and_is_over_when_it_has_run(rooms: NightLake, outbox: Outbox) -> None:
    routes = rooms.governance.alerts
    seven = datetime(2026, 11, 21, 7, tzinfo=SHANGHAI)
    for minutes in range(5):
        now = seven + timedelta(minutes=minutes)
        raise_alerts(outbox, missed_deadline(outbox, routes, SHANGHAI, FIRST_DAY, now), routes, now)
    (message,) = outbox.messages()
    assert "2026-11-21 07:00" in message.alerts[0].text("description", "en")
    tell_of_night(rooms.lake, rooms.governance, rooms.report, outbox, DAY, seven + timedelta(hours=1))
    assert missed_deadline(outbox, routes, SHANGHAI, FIRST_DAY, seven + timedelta(hours=2)) == []
    statuses = {each.name: each.status for m in outbox.messages() for each in m.alerts}
    assert statuses == {"unfinished_night": "resolved", "heartbeat": "firing"}


def test_a_failed_run_keeps_its_unfinished_night_quiet(rooms: NightLake, outbox: Outbox) -> None:
    routes, deadline = rooms.governance.alerts, datetime(2026, 11, 21, 7, tzinfo=SHANGHAI)
    raise_alerts(outbox, [failed_run("nightly_governance", "run-1", DAY, "quality__anomalies")], routes, NIGHT)
    done = raise_alerts(outbox, [unfinished_night(DAY, deadline)], routes, deadline)
    assert (done.inhibited, done.messages) == (1, 0)
    (message,) = outbox.messages()
    assert "in step quality__anomalies" in message.alerts[0].text("summary", "en")


def late(case_id: str = "C-1", members: int = 12, recipient: str = "G-1") -> OverdueCase:
    what = {"en": "value does not vary", "zh": "数值恒定不变"}
    return OverdueCase(case_id, what, DAY - timedelta(days=9), DAY, members, "support_group", recipient)


def test_cases_and_checks_are_told_apart_by_what_they_are_about() -> None:
    assert overdue_case(late()).fingerprint != overdue_case(late("C-2")).fingerprint
    assert overdue_case(late()).fingerprint != escalated_case(late()).fingerprint
    assert overdue_case(late()).fingerprint == overdue_case(late(members=13)).fingerprint
    assert not overdue_case(late()).is_momentary
    assert (
        blocking_check(DAY, "cmdb", "owners", "accuracy", 0, 1).fingerprint
        != blocking_check(DAY, "cmdb", "owners", "coverage", 0, 1).fingerprint
    )


def test_a_run_of_an_old_day_that_fails_is_about_the_day_on_which_it_failed() -> None:
    assert failed_run("nightly_governance", "r", DAY, None, DAY + timedelta(days=200)).ends_at == DAY + timedelta(200)
    assert failed_run("nightly_governance", "r", DAY, None).ends_at == DAY
