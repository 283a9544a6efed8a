"""Digests: one message for each recipient and night, few in all, everything in them, nobody's data."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from alert_cases import DAY, NIGHT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from night_lake import GROUPS, OWNERS, PERSONAL, NightLake, Row

from omgov_assets.anomaly_alert.addresses import addresses_in_cmdb
from omgov_assets.anomaly_alert.alerts import Alert
from omgov_assets.anomaly_alert.digests import DIGESTS, NoCasesError, read_digests, write_digests
from omgov_assets.anomaly_alert.night import tell_of_night
from omgov_assets.anomaly_alert.outbox import Outbox
from omgov_assets.exception_management import acts
from omgov_assets.exception_management.rules import CaseRules
from omgov_assets.exception_management.waivers import grant_waiver
from omgov_assets.model_management.alert_routes import AlertRoutes, Digests

OFFICE = ("governance_office", "governance_office")
NEXT = DAY + timedelta(days=1)
# DAY is a Friday; a warning without tier is due ten business days after it.
DUE, LATE = date(2026, 12, 4), date(2026, 12, 5)


@pytest.fixture
def told(rooms: NightLake) -> NightLake:
    """A lake with a CMDB, of a firm that tells everybody."""
    rooms.write_cmdb()
    return rooms.with_routes(routed(rooms))


def routed(rooms: NightLake, share: float = 1, **changes: Any) -> AlertRoutes:
    digests = Digests(most_messages_share=share, cases=changes.pop("cases", 5))
    return rooms.governance.alerts.model_copy(update={"digests": digests} | changes)


def digests_of(rooms: NightLake, day: date = DAY, others: int = 0) -> dict[tuple[str, str], Row]:
    rooms.update_cases(day)
    found = read_digests(rooms.lake, rooms.governance, rooms.report, day, others)
    return {(row["recipient_kind"], row["recipient"]): row for row in found.rows}


def many(number: int, **fields: Any) -> list[Row]:
    return [dict(fields) for _ in range(number)]


def person(day: date = DAY) -> acts.Person:
    return acts.Person("someone@example.com", datetime(day.year, day.month, day.day, 9, tzinfo=UTC))


def seen(rooms: NightLake, anomaly_type: str, day: date = DAY) -> dict[str, str]:
    case = rooms.cases(day)[anomaly_type]
    return {case["case_id"]: case["last_event_id"]}


def rules(rooms: NightLake) -> CaseRules:
    return CaseRules.of(rooms.governance)


def test_an_owner_and_a_group_are_told_of_their_cases_in_one_digest_each(told: NightLake) -> None:
    told.write_anomalies(many(9, owner_id="O-1", support_group_id="G-1") + many(3, support_group_id="G-1"))
    found = digests_of(told)
    counted = {key: (row["cases"], row["anomalies"]) for key, row in found.items()}
    assert counted == {("owner", "O-1"): (1, 9), ("support_group", "G-1"): (1, 12)}
    assert found["support_group", "G-1"]["summary_en"] == (
        "1 open case; 12 anomalies, all new; next due 2026-12-04 – Support group 主机组 (G-1), 2026-11-20"
    )
    assert found["owner", "O-1"]["summary_zh"] == (
        "1 个未关闭工单；9 条异常，均为新增；最近到期日 2026-12-04——责任人 O-1，2026-11-20"
    )
    assert found["owner", "O-1"]["command"] == "omgov anomalies --owner O-1 --day 2026-11-20"


def test_who_has_left_or_is_not_known_is_stood_in_for_by_the_group_or_the_office(told: NightLake) -> None:
    told.write_anomalies(
        many(8, owner_id="O-3", support_group_id="G-1")
        + many(4, owner_id="O-3", anomaly_type="a")
        + many(2, owner_id="O-404", support_group_id="G-404", anomaly_type="b")
        + many(1, anomaly_type="c")
    )
    found = {key: row["anomalies"] for key, row in digests_of(told).items()}
    assert found == {("support_group", "G-1"): 8, OFFICE: 7}


def test_a_cause_is_one_line_however_many_symptoms_it_has(told: NightLake) -> None:
    conditions = json.dumps({"site": "S-7", "collector": "K-1", "anomaly_type": "flat_line"})
    told.write("quality/root_causes", [{"cause_id": "c1", "conditions": conditions, "anomaly_types": ["flat_line"]}])
    told.write_anomalies(
        many(20, owner_id="O-1", anomaly_type="flat_line", cause_id="c1")
        + many(5, owner_id="O-1", anomaly_type="stale_instance", cause_id="c1")
        + many(2, owner_id="O-1", anomaly_type="ci_owner_missing", severity="critical")
        + many(3, owner_id="O-2", anomaly_type="flat_line", cause_id="c1")
    )
    row = digests_of(told)["owner", "O-1"]
    ids = {kind: case["case_id"] for kind, case in told.cases().items()}
    assert (row["cases"], row["critical"]) == (3, 2)
    lines = row["description_en"].splitlines()
    assert lines[:6] == [
        "1. CRITICAL: CI without owner, in trading without a common cause",
        "   2 anomalies of yours, all new, since 2026-11-20",
        f"   due 2026-11-25; omgov cases show {ids['ci_owner_missing']}",
        "2. WARNING: value does not vary, fell silent, at site S-7, collector K-1",
        "   25 anomalies of yours (of 28 in all), all new, since 2026-11-20",
        f"   due 2026-12-04; omgov cases show {ids['flat_line']} (and 1 more case of this cause: "
        f"{ids['stale_instance']})",
    ]
    assert lines[6:8] == ["", "What to do:"]
    assert "2. 警告：数值恒定不变，" in row["description_zh"]
    assert "位于所在地 S-7，采集器 K-1" in row["description_zh"]


def test_what_a_digest_does_not_name_it_counts(told: NightLake) -> None:
    kinds = [many(number, owner_id="O-1", anomaly_type=f"type_{number}") for number in range(1, 9)]
    told.write_anomalies([row for kind in kinds for row in kind])
    told = told.with_routes(routed(told, cases=3))
    lines = digests_of(told)["owner", "O-1"]["description_en"].splitlines()
    assert [line for line in lines if line[0:1].isdigit()] == [
        "1. WARNING: type 8, in trading without a common cause",
        "2. WARNING: type 7, in trading without a common cause",
        "3. WARNING: type 6, in trading without a common cause",
        "5 more cases with 15 anomalies",
    ]


def test_the_worst_come_first_then_the_overdue_then_the_largest_and_the_waived_last(told: NightLake) -> None:
    late = many(2, owner_id="O-1", anomaly_type="late")
    told.write_anomalies(late)
    told.update_cases()
    fresh = [
        *many(9, owner_id="O-1", anomaly_type="large"),
        *many(3, owner_id="O-1", anomaly_type="small"),
        *many(1, owner_id="O-1", anomaly_type="worst", severity="critical"),
        *many(30, owner_id="O-1", anomaly_type="waived", severity="critical"),
    ]
    told.write_cmdb(LATE)
    told.write_anomalies([*late, *fresh], LATE)
    told.update_cases(LATE)
    acts.waive(told.lake, rules(told), seen(told, "waived", LATE), person(LATE), "old", date(2027, 1, 15))
    row = digests_of(told, LATE)["owner", "O-1"]
    lines = row["description_en"].splitlines()
    assert [line.rpartition(": ")[2].partition(",")[0] for line in lines if line[0:1].isdigit()] == [
        "worst", "late", "large", "small", "waived",
    ]  # fmt: skip
    assert "   2 anomalies of yours, since 2026-11-20" in lines
    ids = {kind: case["case_id"] for kind, case in told.cases(LATE).items()}
    assert f"   OVERDUE since 2026-12-04; omgov cases show {ids['late']}" in lines
    assert f"   waived until 2027-01-15: nothing to do before; omgov cases show {ids['waived']}" in lines
    assert (row["cases"], row["overdue_cases"], row["waived_cases"]) == (5, 1, 1)
    assert row["summary_en"].startswith("5 open cases, 1 overdue, 1 waived; 45 anomalies, 43 new – Owner O-1")


def test_a_claim_that_tonight_refutes_is_said_and_one_that_waits_needs_nothing(told: NightLake) -> None:
    both = many(2, owner_id="O-1", anomaly_type="refuted") + many(3, owner_id="O-1", anomaly_type="waiting")
    told.write_anomalies(both)
    told.update_cases()
    acts.claim_fix(told.lake, rules(told), seen(told, "refuted"), person(), "")
    last = DAY + timedelta(days=2)
    told.write_cmdb(NEXT)
    told.write_anomalies(both, NEXT)
    told.update_cases(NEXT)
    acts.claim_fix(told.lake, rules(told), seen(told, "waiting", NEXT), person(NEXT), "")
    told.write_cmdb(last)
    told.write_anomalies(both, last)
    lines = digests_of(told, last)["owner", "O-1"]["description_en"]
    ids = {kind: case["case_id"] for kind, case in told.cases(last).items()}
    refuted = f"   due 2026-12-04; claimed as fixed, but found again tonight; omgov cases show {ids['refuted']}"
    waiting = "   due 2026-12-04; fix claimed: the next nights verify it, nothing to do; omgov cases show "
    assert refuted in lines.splitlines()
    assert waiting + ids["waiting"] in lines.splitlines()


def judged(rooms: NightLake, day: date, verdict: str, *anomaly_types: str) -> None:
    """Verdicts by which what is gone is resolved."""
    rooms.write(
        "quality/check_results",
        [{"system": "trading", "dataset": "-", "policy_id": "p", "anomaly_type": kind, "verdict": verdict}
         for kind in anomaly_types],
        day,
    )  # fmt: skip


def test_what_was_verified_and_closed_is_good_news_for_whom_it_concerns(told: NightLake) -> None:
    gone = many(4, owner_id="O-1", support_group_id="G-1", anomaly_type="gone", subject_kind="dataset")
    stays = many(2, owner_id="O-1", anomaly_type="stays", subject_kind="dataset")
    told.write_anomalies(stays + gone)
    judged(told, DAY, "passed", "gone", "stays")
    told.update_cases()
    told.write_cmdb(NEXT)
    told.write_anomalies(stays, NEXT)
    judged(told, NEXT, "passed", "gone", "stays")
    found = digests_of(told, NEXT)
    owner, group = found["owner", "O-1"], found["support_group", "G-1"]
    assert (owner["cases"], owner["closed_cases"], group["cases"], group["closed_cases"]) == (1, 1, 0, 1)
    assert owner["description_en"].startswith(
        "Good news: 1 case verified and closed since yesterday.\n\n1. WARNING: stays"
    )
    assert group["summary_en"] == "nothing open; 1 case verified and closed – Support group 主机组 (G-1), 2026-11-21"
    assert "好消息" in group["description_zh"]
    later = NEXT + timedelta(days=1)
    told.write_cmdb(later)
    told.write_anomalies(stays, later)
    judged(told, later, "passed", "gone", "stays")
    assert {key: row["closed_cases"] for key, row in digests_of(told, later).items()} == {("owner", "O-1"): 0}


def test_who_was_given_a_case_is_told_of_all_of_it_and_who_gave_it_away_no_more(told: NightLake) -> None:
    told.write_anomalies(many(4, owner_id="O-1", support_group_id="G-1", anomaly_type="moved"))
    told.update_cases()
    acts.assign(told.lake, rules(told), seen(told, "moved"), person(), None, "G-2", "not ours")
    found = digests_of(told)
    assert {key: row["anomalies"] for key, row in found.items()} == {("owner", "O-1"): 4, ("support_group", "G-2"): 4}
    acts.assign(told.lake, rules(told), seen(told, "moved"), person(), "O-2", None, "")
    found = digests_of(told)
    assert {key[1]: row["anomalies"] for key, row in found.items()} == {"O-1": 4, "O-2": 4, "G-2": 4}


def test_what_was_not_judged_tonight_stays_in_the_digest_and_says_so(told: NightLake) -> None:
    told.write("cmdb/configuration_items", [{"ci_id": "H-1", "support_group_id": "G-1"}])
    told.write_anomalies(many(3, owner_id="O-1", support_group_id="G-1", ci_id="H-1", anomaly_type="silent"))
    judged(told, DAY, "passed", "silent")
    told.update_cases()
    told.write_cmdb(NEXT)
    told.write("cmdb/configuration_items", [{"ci_id": "H-1", "support_group_id": "G-1"}], NEXT)
    judged(told, NEXT, "not_evaluated", "silent")
    told.write_anomalies([{"anomaly_id": f"b{n}", "owner_id": "O-2", "anomaly_type": "other"} for n in range(20)], NEXT)
    found = digests_of(told, NEXT)
    for key in (("owner", "O-1"), ("support_group", "G-1")):
        assert (found[key]["anomalies"], found[key]["unverified_anomalies"]) == (3, 3)
        assert "3 could not be judged tonight" in found[key]["description_en"]


def test_the_office_is_told_of_the_whole_firm_and_of_waivers_that_end(told: NightLake) -> None:
    told.write_anomalies(many(5, owner_id="O-1", anomaly_type="waived") + many(2, anomaly_type="nobodys"))
    told.update_cases()
    acts.waive(told.lake, rules(told), seen(told, "waived"), person(), "a reason of 王伟", DAY + timedelta(days=5))
    office = digests_of(told)[OFFICE]
    case = told.cases()["waived"]["case_id"]
    assert office["description_en"].splitlines()[:6] == [
        "Whole firm: 2 open cases, 1 waived, 7 anomalies.",
        "",
        "1 waiver ends soon:",
        f"- 2026-11-25: waived, in trading without a common cause; omgov cases show {case}",
        "",
        "In no digest of an owner or a support group: 1 case with 2 anomalies.",
    ]
    assert (
        office["summary_en"]
        == "2 open cases, 1 waived; 7 anomalies, all new; next due 2026-12-04 – Governance office, 2026-11-20"
    )
    assert "王伟" not in str(office)
    told.write_anomalies(many(5, owner_id="O-1", anomaly_type="waived"))
    alone = digests_of(told)[OFFICE]
    assert (alone["told"], alone["cases"]) == (True, 0), "a waiver that ends is told also where all else is told of"


def test_a_night_that_is_run_again_tells_the_same_and_such_as_had_nothing_before(told: NightLake) -> None:
    anomalies = many(6, owner_id="O-1", anomaly_type="first") + many(4, owner_id="O-2", anomaly_type="second")

    def run(room: int) -> set[str]:
        rows = digests_of(told, others=len(anomalies) - room)
        night = read_digests(told.lake, told.governance, told.report, DAY, len(anomalies) - room)
        write_digests(told.lake, night, told.governance.alerts)
        return {key[1] for key, row in rows.items() if row["told"] and key != OFFICE}

    told.write_anomalies(anomalies)
    assert run(room=1) == {"O-1"}
    # Nothing is left to do for the first; the second is told of in the office's digest.
    acts.waive(told.lake, rules(told), seen(told, "first"), person(), "old", date(2027, 1, 15))
    assert run(room=1) == {"O-1"}
    assert run(room=5) == {"O-1"}
    anomalies += many(1, support_group_id="G-2", anomaly_type="late")
    told.write_anomalies(anomalies)
    assert run(room=5) == {"O-1", "G-2"}


def test_the_office_is_told_of_standing_waivers_that_end(told: NightLake) -> None:
    night_before = DAY - timedelta(days=1)
    told.write_anomalies(many(1, owner_id="O-1"), day=night_before)
    told.update_cases(night_before)
    for until in (DAY + timedelta(days=2), DAY + timedelta(days=90)):
        conditions = {"support_group_id": "G-1", "policy_id": f"until {until}"}
        grant_waiver(told.lake, rules(told), person(), conditions, "a reason of 王伟", until)
    told.write_anomalies(many(1, owner_id="O-1"))
    told.update_cases()
    office = digests_of(told)[OFFICE]
    assert office["told"]
    assert office["description_en"].splitlines()[1:4] == [
        "", "1 waiver ends soon:", "- 2026-11-22: whatever comes of G-1, until 2026-11-22; omgov cases waivers",
    ]  # fmt: skip
    assert "王伟" not in str(office)


def test_a_night_whose_anomalies_are_in_no_case_is_not_told_of(told: NightLake) -> None:
    told.write_anomalies(many(9, owner_id="O-1"))
    with pytest.raises(NoCasesError, match="9 anomalies of 2026-11-20 are in no open case: materialise"):
        told.night()
    told.update_cases()
    assert [each.name for each in told.night().alerts] == ["digest", "heartbeat"]
    told.write_anomalies(many(12, owner_id="O-1"))
    with pytest.raises(NoCasesError, match="3 anomalies"):
        told.night()


def test_who_has_few_anomalies_is_told_of_in_a_wider_digest(told: NightLake) -> None:
    told.write_anomalies(
        many(30, owner_id="O-1", support_group_id="G-1")
        + many(5, owner_id="O-2", support_group_id="G-1")
        + many(3, owner_id="O-2", support_group_id="G-2")
    )
    found = digests_of(told.with_routes(routed(told, share=8.1 / 38)), others=6)
    assert {key for key, row in found.items() if row["told"]} == {("owner", "O-1"), ("support_group", "G-1"), OFFICE}
    assert found[OFFICE]["anomalies"] == 3
    assert (found["owner", "O-2"]["anomalies"], found["owner", "O-2"]["summary_en"]) == (8, None)


def test_a_link_leads_to_the_recipients_page_where_there_is_one(told: NightLake) -> None:
    told.write_anomalies(many(20, owner_id="O-1") + many(20, owner_id="O-2") + many(1))
    pages = told.report / "2026-11-20" / "owner"
    pages.mkdir(parents=True)
    (pages / "O-1.html").write_text("")
    assert digests_of(told)[OFFICE]["report"] == "report/2026-11-20/index.html"
    found = digests_of(told.with_routes(routed(told, report_url="https://omgov.example.com/report")))
    assert found["owner", "O-1"]["report"] == "https://omgov.example.com/report/2026-11-20/owner/O-1.html"
    assert found["owner", "O-2"]["report"] == "https://omgov.example.com/report/2026-11-20/index.html"


def test_no_person_and_no_value_is_in_any_alert_or_in_the_table(told: NightLake) -> None:
    secret = {
        "observed": "observed-4711",
        "expected": "expected-4711",
        "subject_key": "subject-4711",
        "ci_id": "ci-4711",
    }
    told.write_anomalies([row | secret for row in many(40, owner_id="O-1", support_group_id="G-1")])
    told.write(
        "admission/ledger",
        [
            {
                "system": "cmdb",
                "dataset": "owners",
                "decision": "refused",
                "reason_code": "bad_line",
                "reason": "line 3: 王伟 4711",
            }
        ],
    )
    told.update_cases()
    name = "王伟"
    acts.claim_fix(told.lake, rules(told), seen(told, "-"), person(), f"{name} has done it")
    night = told.night()
    write_digests(told.lake, night.digests, told.governance.alerts)
    said = "".join(each.model_dump_json() for each in night.alerts) + str(told.rows(DIGESTS))
    assert len(night.alerts) == 4, "an owner's and a group's digest, the refused batch, the heartbeat"
    assert not [text for text in (*PERSONAL, "4711", "someone@example.com") if text in said]


def test_a_night_run_again_tells_nothing_twice_even_where_it_finds_more(told: NightLake, outbox: Outbox) -> None:
    told.write_anomalies(many(15, owner_id="O-1"))
    told.update_cases()
    _, first = tell_of_night(told.lake, told.governance, told.report, outbox, DAY, NIGHT)
    assert first.messages == 2, "the digest and the heartbeat"
    told.write_anomalies(many(19, owner_id="O-1", severity="critical"))
    told.update_cases()
    for hours in (1, 30):
        _, again = tell_of_night(told.lake, told.governance, told.report, outbox, DAY, NIGHT + timedelta(hours=hours))
        assert (again.alerts, again.messages) == (0, 0)
    (row,) = told.rows(DIGESTS)
    assert row["anomalies"] == 19, "the table says what is right now"


def test_the_same_lake_gives_the_same_table(told: NightLake) -> None:
    told.write_anomalies(
        many(19, owner_id="O-1", support_group_id="G-1") + many(9, owner_id="O-2", support_group_id="G-2")
    )
    told.update_cases()
    written = []
    for _ in range(2):
        write_digests(told.lake, told.night().digests, told.governance.alerts)
        written.append(told.rows(DIGESTS))
    assert written[0] == written[1]
    assert len(written[0]) == 4


def test_a_night_without_anomalies_has_a_heartbeat_and_no_digest(rooms: NightLake) -> None:
    night = rooms.night()
    assert [each.name for each in night.alerts] == ["heartbeat"]
    assert write_digests(rooms.lake, night.digests, rooms.governance.alerts) is not None


def anomalies() -> st.SearchStrategy[list[Row]]:
    owner = st.sampled_from([*(row["owner_id"] for row in OWNERS), "O-404", None])
    group = st.sampled_from([*(row["support_group_id"] for row in GROUPS), "G-404", None])
    one = st.fixed_dictionaries(
        {
            "owner_id": owner,
            "support_group_id": group,
            "severity": st.sampled_from(["critical", "warning", "info"]),
            "anomaly_type": st.sampled_from(["a", "b"]),
        }
    )
    return st.lists(one, max_size=25)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(anomalies(), st.sampled_from([0.01, 0.3, 0.5, 1.0]), st.integers(0, 6))
def test_every_anomaly_is_in_a_digest_that_is_told_and_counts_agree_with_a_recount(
    rooms: NightLake, drawn: list[Row], share: float, others: int
) -> None:
    rooms.write_cmdb()
    rooms.write_anomalies(drawn)
    found = digests_of(rooms.with_routes(routed(rooms, share=share)), others=others)
    told = {key for key, row in found.items() if row["told"]}
    assert len(told - {OFFICE}) <= max(0, share * len(drawn) - others)
    recount: dict[tuple[str, str], int] = {}
    for row in drawn:
        mine = []
        if row["owner_id"] in {"O-1", "O-2"}:
            mine.append(("owner", row["owner_id"]))
        if row["support_group_id"] in {"G-1", "G-2"}:
            mine.append(("support_group", row["support_group_id"]))
        for key in mine:
            recount[key] = recount.get(key, 0) + 1
        if not told & set(mine):
            recount[OFFICE] = recount.get(OFFICE, 0) + 1
    # Whose a row is that no group owns is for the group that leads its case, where it is a known one.
    leading = {row["responsible"] for row in rooms.rows("exceptions/cases")} & {"G-1", "G-2"}
    counted = {key: row["anomalies"] for key, row in found.items()}
    differing = {key for key in {*counted, *recount} if counted.get(key, 0) != recount.get(key, 0)}
    assert differing <= {OFFICE, *(("support_group", group) for group in leading)}
    assert all(counted[key] >= recount.get(key, 0) for key in differing - {OFFICE})
    for row in found.values():
        assert row["critical"] + row["warning"] + row["info"] == row["anomalies"]
    # Nobody with more anomalies is left out for somebody with fewer.
    kept = [found[key]["anomalies"] for key in told - {OFFICE}]
    left = [row["anomalies"] for key, row in found.items() if key not in told]
    assert not kept or not left or min(kept) >= max(left)


def test_addresses_are_those_of_people_who_are_there(rooms: NightLake) -> None:
    assert addresses_in_cmdb(rooms.lake)("owner", "O-1") is None
    rooms.write_cmdb()
    address_of = addresses_in_cmdb(rooms.lake)
    asked = [("owner", "O-1"), ("owner", "O-3"), ("owner", "O-404"), ("support_group", "G-1"), ("support_group", "G-2")]
    assert [address_of(*each) for each in asked] == ["wang@example.com", None, None, "hosts@example.com", None]


def test_alerts_of_a_night_all_go_somewhere(told: NightLake) -> None:
    from omgov_assets.anomaly_alert.routing import destinations

    told.write_anomalies(many(19, owner_id="O-1", support_group_id="G-1") + many(3, anomaly_type="nobodys"))
    told.update_cases()

    def receivers(each: Alert) -> list[str]:
        return [found.receiver for found in destinations(told.governance.alerts.route, each.labels)]

    assert sorted((each.labels.get("recipient", ""), *receivers(each)) for each in told.night().alerts) == [
        ("", "governance_office"),
        ("G-1", "support_groups"),
        ("O-1", "owners"),
        ("governance_office", "governance_office"),
    ]
