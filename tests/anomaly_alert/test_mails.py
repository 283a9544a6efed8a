"""What people find in their mailboxes in the morning, from anomalies to a real mail server."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from email.message import EmailMessage

from alert_cases import DAY
from night_lake import PERSONAL, NightLake, Row
from test_transports import free_port, mail_server, text_in

from omgov_assets.anomaly_alert.addresses import addresses_in_cmdb
from omgov_assets.anomaly_alert.delivery import deliver_due
from omgov_assets.anomaly_alert.night import tell_of_night
from omgov_assets.anomaly_alert.outbox import Outbox
from omgov_assets.anomaly_alert.transports import Transports
from omgov_assets.exception_management import acts
from omgov_assets.exception_management.rules import CaseRules
from omgov_assets.model_management.alert_routes import Digests

# Warnings of DAY are due on 4 December; the critical one is overdue and escalated by then.
CLAIMED, LATE = date(2026, 12, 3), date(2026, 12, 5)


def wrong(number: int, anomaly_type: str, **fields: str) -> list[Row]:
    found: list[Row] = []
    for n in range(number):
        found.append({"anomaly_id": f"{anomaly_type}-{n}", "anomaly_type": anomaly_type, "subject_kind": "dataset"})
        found[-1] |= {"first_seen_day": DAY} | fields
    return found


ROWS = [
    *wrong(40, "flat_line", owner_id="O-1", cause_id="c1"),
    *wrong(9, "stale_instance", owner_id="O-1", cause_id="c1"),
    *wrong(3, "ci_owner_missing", owner_id="O-1", severity="critical"),
    *wrong(12, "missing_unit", owner_id="O-1"),
    *wrong(5, "unit_unknown"),
]


def mails_of_nights(rooms: NightLake, outbox: Outbox) -> dict[tuple[str, str], EmailMessage]:
    """Three nights, and between them what people do; the mails of the last one by addressee and kind of subject."""
    address = f"127.0.0.1:{free_port()}"
    to_recipient = f"mailto://{address}?from=omgov@example.com&to={{email}}&mode=insecure"
    urls = {
        "OMGOV_ALERT_OWNERS": to_recipient,
        "OMGOV_ALERT_SUPPORT_GROUPS": to_recipient,
        "OMGOV_ALERT_GOVERNANCE_OFFICE": to_recipient.replace("{email}", "office@example.com"),
    }
    rules = CaseRules.of(rooms.governance)
    with mail_server(int(address.rpartition(":")[2])) as mailbox:
        for day in (DAY, CLAIMED, LATE):
            rooms.write_cmdb(day)
            cause = {"cause_id": "c1", "conditions": json.dumps({"site": "S-7", "collector": "K-1"})}
            rooms.write("quality/root_causes", [cause | {"anomaly_types": ["flat_line"]}], day)
            rooms.write_anomalies(ROWS, day)
            rooms.update_cases(day)
            if day == CLAIMED:
                person = acts.Person("王伟", datetime(2026, 12, 4, tzinfo=UTC))
                seen = {kind: {case["case_id"]: case["last_event_id"]} for kind, case in rooms.cases(day).items()}
                acts.claim_fix(rooms.lake, rules, seen["ci_owner_missing"], person, "王伟 did it")
                acts.waive(rooms.lake, rules, seen["missing_unit"], person, "王伟 knows", date(2026, 12, 9))
            now = datetime.combine(day, time(20), UTC)
            mailbox.mails.clear()
            tell_of_night(rooms.lake, rooms.governance, rooms.report, outbox, day, now)
            transports = Transports(urls, addresses_in_cmdb(rooms.lake))
            later = now + timedelta(minutes=5)
            deliver_due(outbox, transports.send, rooms.governance.alerts.delivery, lambda: later)  # noqa: B023 - called at once
        return {
            (mail["X-RcptTo"], kind): mail
            for mail in mailbox.mails
            for kind in ("Governance of", "overdue", "open case")
            if kind in mail["Subject"].partition("/")[0] and (kind != "overdue" or " – " not in mail["Subject"])
        }


def test_the_mails_of_an_owner_and_of_the_office_say_what_to_do_by_when(rooms: NightLake, outbox: Outbox) -> None:
    routes = rooms.governance.alerts.model_copy(update={"digests": Digests(most_messages_share=1)})
    mails = mails_of_nights(rooms.with_routes(routes), outbox)
    assert sorted(mails) == [
        ("office@example.com", "Governance of"),
        ("office@example.com", "open case"),
        ("office@example.com", "overdue"),
        ("wang@example.com", "open case"),
    ]
    ids = {kind: case["case_id"] for kind, case in rooms.cases(LATE).items()}
    owner = mails["wang@example.com", "open case"]
    assert owner["Subject"] == (
        "[omgov] 4 open cases, 3 overdue, 1 waived; 64 anomalies – Owner O-1, 2026-12-05 / "
        "4 个未关闭工单，3 个逾期，1 个已豁免；64 条异常——责任人 O-1，2026-12-05"
    )
    first, *others = sorted(("flat_line", "stale_instance"), key=lambda kind: kind != "flat_line")
    english, _, chinese = text_in(owner).replace("\r\n", "\n").partition("\n4 个未关闭工单")
    assert english.splitlines()[1:] == [
        "1. CRITICAL: CI without owner, in trading without a common cause",
        "   3 anomalies of yours, since 2026-11-20",
        "   OVERDUE since 2026-11-25; escalated to the governance office; claimed as fixed, but found again tonight; "
        f"omgov cases show {ids['ci_owner_missing']}",
        "2. WARNING: value does not vary, fell silent, at site S-7, collector K-1",
        "   49 anomalies of yours, since 2026-11-20",
        f"   OVERDUE since 2026-12-04; omgov cases show {ids[first]} (and 1 more case of this cause: {ids[others[0]]})",
        "3. WARNING: missing unit, in trading without a common cause",
        "   12 anomalies of yours, since 2026-11-20",
        f"   waived until 2026-12-09: nothing to do before; omgov cases show {ids['missing_unit']}",
        "",
        "What to do:",
        "- see what is wrong: omgov cases show CASE",
        "- list the records with their place in the source: "
        "omgov cases export CASE --owner O-1 --as YOU --out FILE.xlsx",
        "- once the source is fixed: omgov cases claim-fix CASE --as YOU; a night verifies it and closes the case",
        "- not yours: omgov cases assign CASE --to-group GROUP --as YOU",
    ]
    assert f"已逾期，到期日 2026-12-04；omgov cases show {ids[first]}（同一根因另有 1 个工单：" in chinese
    assert "Report / 报告: report/2026-12-05/index.html" in chinese
    office = text_in(mails["office@example.com", "open case"]).replace("\r\n", "\n").splitlines()
    assert office[:6] == [
        "5 open cases, 4 overdue, 1 waived; 69 anomalies – Governance office, 2026-12-05",
        "Whole firm: 5 open cases, 4 overdue, 1 waived, 1 escalated, 69 anomalies.",
        "",
        "1 waiver ends soon:",
        f"- 2026-12-09: missing unit, in trading without a common cause; omgov cases show {ids['missing_unit']}",
        "",
    ]
    told = "".join(text_in(mail) + mail["Subject"] for mail in mails.values())
    assert not [text for text in PERSONAL if text in told]
