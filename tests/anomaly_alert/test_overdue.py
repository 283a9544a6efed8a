"""Cases that are not done in time: told by group, until they are closed or waived, within what a night may say."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from alert_cases import DAY
from night_lake import GROUPS, NightLake, Row

from omgov_assets.anomaly_alert.alerts import ESCALATED_CASE, OVERDUE_CASE
from omgov_assets.anomaly_alert.budget import cost_of, messages_of, most_messages
from omgov_assets.anomaly_alert.night import tell_of_night
from omgov_assets.anomaly_alert.outbox import Message, Outbox
from omgov_assets.anomaly_alert.overdue import overdue_cases
from omgov_assets.exception_management import acts
from omgov_assets.exception_management.rules import CaseRules
from omgov_assets.model_management.alert_routes import AlertRoutes, Digests

# DAY is a Friday. A warning without tier is due on 4 December, and escalated after three business days.
OVERDUE, ESCALATED = date(2026, 12, 5), date(2026, 12, 10)


@pytest.fixture
def firm(rooms: NightLake) -> NightLake:
    """A firm that tells everybody, with a CMDB."""
    routes = rooms.governance.alerts.model_copy(update={"digests": Digests(most_messages_share=1)})
    rooms.write_cmdb()
    return rooms.with_routes(routes)


def wrong(number: int, anomaly_type: str, group: str | None) -> list[Row]:
    return [
        {"anomaly_id": f"{anomaly_type}-{n}", "anomaly_type": anomaly_type, "support_group_id": group,
         "subject_kind": "dataset", "first_seen_day": DAY}
        for n in range(number)
    ]  # fmt: skip


def tell(firm: NightLake, outbox: Outbox, day: date, rows: list[Row]) -> list[Message]:
    """Govern and tell a day; the messages that it brought."""
    firm.write_cmdb(day)
    firm.write_anomalies(rows, day)
    verdicts = [
        {"system": "-", "dataset": "-", "policy_id": "p", "anomaly_type": kind, "verdict": "passed"} for kind in "abcd"
    ]
    firm.write("quality/check_results", verdicts, day)
    firm.update_cases(day)
    before = {message.key for message in outbox.messages()}
    now = datetime.combine(day, time(20), UTC)
    tell_of_night(firm.lake, firm.governance, firm.report, outbox, day, now)
    # What one night said is sent before the next one comes.
    outbox.con.execute("UPDATE messages SET state = 'sent', attempts = 1")
    return [message for message in outbox.messages() if message.key not in before]


def said(messages: list[Message], *names: str) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """By receiver and recipient, the cases told of with their status."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for message in messages:
        for each in message.alerts:
            if each.name in names:
                key = (message.receiver, each.labels["recipient"])
                found.setdefault(key, []).append((each.name, each.status))
    return {key: sorted(value) for key, value in found.items()}


def test_a_groups_overdue_cases_are_one_message_and_what_nobody_leads_is_the_offices(
    firm: NightLake, outbox: Outbox
) -> None:
    rows = [*wrong(9, "a", "G-1"), *wrong(3, "b", "G-1"), *wrong(2, "c", "G-2"), *wrong(4, "d", None)]
    late = (OVERDUE_CASE, ESCALATED_CASE)
    assert said(tell(firm, outbox, DAY, rows), *late) == {}
    overdue = (OVERDUE_CASE, "firing")
    messages = tell(firm, outbox, OVERDUE, rows)
    assert said(messages, *late) == {
        ("support_groups", "G-1"): [overdue, overdue],
        ("support_groups", "G-2"): [overdue],
        ("governance_office", "governance_office"): [overdue],
    }
    late_messages = [message for message in messages if message.alerts[0].name in late]
    assert len(late_messages) == 3
    assert said(tell(firm, outbox, OVERDUE + timedelta(days=1), rows), *late) == {}, "it stands: nothing new"
    escalated = said(tell(firm, outbox, ESCALATED, rows), *late)
    assert escalated["governance_office", "governance_office"].count((ESCALATED_CASE, "firing")) == 4
    assert set(escalated) == {("governance_office", "governance_office")}


def test_an_overdue_case_is_over_when_it_is_closed_or_waived(firm: NightLake, outbox: Outbox) -> None:
    rows = [*wrong(9, "a", None), *wrong(3, "b", None), *wrong(5, "c", None)]
    tell(firm, outbox, DAY, rows)
    tell(firm, outbox, OVERDUE, rows)
    case = firm.cases(OVERDUE)["b"]
    person = acts.Person("someone", datetime(2026, 12, 6, tzinfo=UTC))
    rules = CaseRules.of(firm.governance)
    acts.waive(firm.lake, rules, {case["case_id"]: case["last_event_id"]}, person, "old", date(2027, 1, 15))
    after = said(tell(firm, outbox, OVERDUE + timedelta(days=1), [*rows[9:]]), OVERDUE_CASE)
    assert Counter(after["governance_office", "governance_office"]) == {
        (OVERDUE_CASE, "resolved"): 2,
        (OVERDUE_CASE, "firing"): 1,
    }


def test_an_old_night_that_is_run_again_says_nothing_of_what_is_overdue_now(firm: NightLake, outbox: Outbox) -> None:
    rows = wrong(9, "a", "G-1")
    tell(firm, outbox, DAY, rows)
    tell(firm, outbox, OVERDUE, rows)
    assert overdue_cases(firm.lake, DAY, firm.governance.wording, 9) == ([], [])
    assert tell(firm, outbox, DAY, rows) == []
    assert tell(firm, outbox, OVERDUE, rows) == []


def test_a_group_that_there_is_no_room_for_is_told_of_to_the_office_and_the_oldest_come_first(
    firm: NightLake, outbox: Outbox
) -> None:
    tell(firm, outbox, DAY - timedelta(days=1), wrong(3, "b", "G-2"))
    tell(firm, outbox, DAY, [*wrong(3, "b", "G-2"), *wrong(9, "a", "G-1")])
    tell(firm, outbox, OVERDUE, [*wrong(3, "b", "G-2"), *wrong(9, "a", "G-1")])
    office = "governance_office"
    for most, told in ((2, ["G-1", "G-2"]), (1, ["G-2", office]), (0, [office]), (-5, [office])):
        alerts, _ = overdue_cases(firm.lake, OVERDUE, firm.governance.wording, most)
        assert sorted({each.labels["recipient"] for each in alerts}) == told


def test_an_overdue_message_says_what_is_wrong_since_when_and_what_to_do(firm: NightLake, outbox: Outbox) -> None:
    tell(firm, outbox, DAY, wrong(9, "a", "G-1"))
    tell(firm, outbox, OVERDUE, wrong(9, "a", "G-1"))
    ((alert,), _) = overdue_cases(firm.lake, OVERDUE, firm.governance.wording, 9)
    case = firm.cases(OVERDUE)["a"]["case_id"]
    assert (
        alert.text("summary", "en") == f"Case {case} is overdue since 2026-12-04: a, in trading without a common cause"
    )
    assert alert.text("description", "en").startswith(
        "9 anomalies are open, the first since 2026-11-20. Once the source"
    )
    assert "始于 2026-11-20" in alert.text("description", "zh")
    assert alert.annotations["command"] == f"omgov cases show {case}"


def two_receivers(rooms: NightLake, share: float) -> AlertRoutes:
    """Owners and groups are told by two receivers each, one of which has two sinks."""
    shipped = rooms.governance.alerts
    digest = {"matchers": ['alertname="digest"', 'recipient!="governance_office"'], "group_by": ["recipient", "day"]}
    return AlertRoutes.model_validate(
        {
            "route": {
                "receiver": "office", "group_by": ["alertname", "day"], "group_wait": "0s",
                "routes": [
                    digest | {"receiver": "people", "continue": True},
                    digest | {"receiver": "archive"},
                    {"matchers": ['alertname=~"overdue_case|escalated_case"'], "receiver": "people",
                     "group_by": ["recipient"]},
                ],
            },
            "receivers": [
                {"name": "office", "apprise_url_env": ["A"]},
                {"name": "people", "apprise_url_env": ["A", "B"], "send_resolved": False},
                {"name": "archive", "apprise_url_env": ["C"]},
            ],
            "inhibit_rules": shipped.inhibit_rules,
            "digests": {"most_messages_share": share},
        }
    )  # fmt: skip


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_a_nights_messages_are_within_the_share_whatever_it_has_to_say_at_once(
    rooms: NightLake, outbox: Outbox, share: float
) -> None:
    groups = [{"support_group_id": f"G-{n:02}"} for n in range(30)]
    firm = rooms.with_routes(two_receivers(rooms, share))
    rows = [row for n in range(30) for row in wrong(5, f"t{n}", f"G-{n:02}")]

    def people(day: date) -> None:
        rooms.write("cmdb/owners", [{"owner_id": "O-1"}], day)
        rooms.write("cmdb/support_groups", [*GROUPS, *groups], day)

    for day in (DAY, OVERDUE, OVERDUE + timedelta(days=1), ESCALATED):
        people(day)
        rooms.write_anomalies(rows, day)
        refused: Any = [
            {"system": "cmdb", "dataset": f"d{n}", "decision": "refused", "reason_code": "x"} for n in range(3)
        ]
        rooms.write("admission/ledger", refused, day)
        unjudged = [
            {"system": "cmdb", "dataset": f"d{n}", "policy_id": "p", "verdict": "not_evaluated"} for n in range(3)
        ]
        rooms.write("quality/check_results", unjudged, day)
        rooms.update_cases(day)
        tell_of_night(firm.lake, firm.governance, firm.report, outbox, day, datetime.combine(day, time(20), UTC))
        # Distinct notifications: a receiver with two sinks is told once.
        ((notifications, messages),) = outbox.con.execute(
            "SELECT count(DISTINCT notification), count(*) FROM messages WHERE state = 'pending'"
        ).fetchall()
        outbox.con.execute("UPDATE messages SET state = 'sent', attempts = 1")
        assert 3 <= notifications <= share * len(rows)
        assert messages >= notifications


def test_what_a_message_costs_follows_from_the_routes(rooms: NightLake) -> None:
    routes = two_receivers(rooms, 1)
    assert cost_of(routes, {"alertname": "digest", "recipient_kind": "owner", "recipient": "O-1"}) == 2
    assert cost_of(routes, {"alertname": "heartbeat"}) == 1
    assert messages_of(routes, []) == 0
    assert [most_messages(anomalies, 0.01) for anomalies in (0, 99, 100, 150_000)] == [0, 0, 1, 1_500]
