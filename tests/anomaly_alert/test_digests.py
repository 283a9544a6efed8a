"""Digests: one message for each recipient and night, few in all, everything in them, nobody's data."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from alert_cases import DAY, NIGHT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from night_lake import GROUPS, OWNERS, PERSONAL, NightLake, Row

from omgov_assets.anomaly_alert.addresses import addresses_in_cmdb
from omgov_assets.anomaly_alert.alerts import Alert
from omgov_assets.anomaly_alert.digests import DIGESTS, OTHER_MESSAGES, most_digests, read_digests, write_digests
from omgov_assets.anomaly_alert.night import tell_of_night
from omgov_assets.anomaly_alert.outbox import Outbox
from omgov_assets.model_management.alert_routes import AlertRoutes, Digests

EVERYONE = Digests(most_messages_share=1)


def routed(rooms: NightLake, **changes: Any) -> AlertRoutes:
    return rooms.governance.alerts.model_copy(update={"digests": EVERYONE} | changes)


def digests_of(rooms: NightLake, routes: AlertRoutes | None = None) -> dict[tuple[str, str], Row]:
    routes = routes or routed(rooms)
    found = read_digests(rooms.lake, DAY, routes, rooms.governance.wording, rooms.report)
    return {(row["recipient_kind"], row["recipient"]): row for row in found.rows}


def many(number: int, **fields: Any) -> list[Row]:
    return [dict(fields) for _ in range(number)]


def test_an_owner_and_a_group_are_told_of_their_anomalies_in_one_digest_each(rooms: NightLake) -> None:
    rooms.write_cmdb()
    rooms.write_anomalies(many(9, owner_id="O-1", support_group_id="G-1") + many(3, support_group_id="G-1"))
    found = digests_of(rooms)
    assert {key: row["anomalies"] for key, row in found.items()} == {("owner", "O-1"): 9, ("support_group", "G-1"): 12}
    assert found["support_group", "G-1"]["summary_en"].startswith(
        "Support group 主机组 (G-1): 12 anomalies on 2026-11-20"
    )
    assert found["owner", "O-1"]["summary_zh"].startswith("责任人 O-1：2026-11-20 共 9 条异常")
    assert found["owner", "O-1"]["command"] == "omgov anomalies --owner O-1 --day 2026-11-20"


def test_who_has_left_or_is_not_known_is_stood_in_for_by_the_group_or_the_office(rooms: NightLake) -> None:
    rooms.write_cmdb()
    rooms.write_anomalies(
        many(8, owner_id="O-3", support_group_id="G-1")
        + many(4, owner_id="O-3")
        + many(2, owner_id="O-404", support_group_id="G-404")
        + many(1)
    )
    found = {key: row["anomalies"] for key, row in digests_of(rooms).items()}
    assert found == {("support_group", "G-1"): 8, ("governance_office", "governance_office"): 7}


def test_a_cause_stands_for_its_symptoms(rooms: NightLake) -> None:
    rooms.write_cmdb()
    conditions = json.dumps({"site": "S-7", "collector": "K-1", "anomaly_type": "flat_line"})
    rooms.write("quality/root_causes", [{"cause_id": "c1", "conditions": conditions, "anomaly_types": ["flat_line"]}])
    explained = many(20, owner_id="O-1", anomaly_type="flat_line", cause_id="c1")
    rooms.write_anomalies(explained + many(2, owner_id="O-1", anomaly_type="ci_owner_missing", severity="critical"))
    row = digests_of(rooms)["owner", "O-1"]
    assert (row["explained"], row["causes"], row["critical"]) == (20, 1, 2)
    assert row["description_en"].splitlines() == [
        "By severity: 2 critical, 20 warning, 0 info.",
        "20 come from root causes (1):",
        "- 20 (20 new): site S-7, collector K-1: value does not vary [c1]",
        "2 without a common cause:",
        "- 2 (2 new): CI without owner",
    ]
    assert "- 20 条（新增 20）：所在地 S-7, 采集器 K-1: 数值恒定不变 [c1]" in row["description_zh"]


def test_what_a_digest_does_not_name_it_counts(rooms: NightLake) -> None:
    rooms.write_cmdb()
    kinds = [many(number, owner_id="O-1", anomaly_type=f"type_{number}") for number in range(1, 9)]
    rooms.write_anomalies([row for kind in kinds for row in kind])
    row = digests_of(rooms, routed(rooms, digests=Digests(most_messages_share=1, causes=3)))["owner", "O-1"]
    assert row["description_en"].splitlines()[1:] == [
        "36 without a common cause:",
        "- 8 (8 new): type 8",
        "- 7 (7 new): type 7",
        "- 6 (6 new): type 6",
        "- 15 more",
    ]


@pytest.mark.parametrize(("anomalies", "most"), [(0, 0), (699, 0), (700, 1), (2_450, 18), (150_000, 1_494)])
def test_all_messages_together_are_one_in_a_hundred_anomalies_at_most(anomalies: int, most: int) -> None:
    assert most_digests(anomalies, 0.01) == most
    assert most == 0 or most + OTHER_MESSAGES <= anomalies / 100


def test_who_has_few_anomalies_is_told_of_in_a_wider_digest(rooms: NightLake) -> None:
    rooms.write_cmdb()
    rooms.write_anomalies(
        many(30, owner_id="O-1", support_group_id="G-1")
        + many(5, owner_id="O-2", support_group_id="G-1")
        + many(3, owner_id="O-2", support_group_id="G-2")
    )
    two = routed(rooms, digests=Digests(most_messages_share=8 / 38))
    found = digests_of(rooms, two)
    assert {key for key, row in found.items() if row["told"]} == {
        ("owner", "O-1"),
        ("support_group", "G-1"),
        ("governance_office", "governance_office"),
    }
    assert found["governance_office", "governance_office"]["anomalies"] == 3
    assert (found["owner", "O-2"]["anomalies"], found["owner", "O-2"]["summary_en"]) == (8, None)


def test_a_link_leads_to_the_recipients_page_where_there_is_one(rooms: NightLake) -> None:
    rooms.write_cmdb()
    rooms.write_anomalies(many(2, owner_id="O-1") + many(2, owner_id="O-2"))
    pages = rooms.report / "2026-11-20" / "owner"
    pages.mkdir(parents=True)
    (pages / "O-1.html").write_text("")
    found = digests_of(rooms, routed(rooms, digests=Digests(most_messages_share=1)))
    assert found["governance_office", "governance_office"]["report"] == "report/2026-11-20/index.html"
    rooms.write_anomalies(many(20, owner_id="O-1") + many(20, owner_id="O-2"))
    served = routed(rooms, report_url="https://omgov.example.com/report")
    found = digests_of(rooms, served)
    assert found["owner", "O-1"]["report"] == "https://omgov.example.com/report/2026-11-20/owner/O-1.html"
    assert found["owner", "O-2"]["report"] == "https://omgov.example.com/report/2026-11-20/index.html"


def test_no_person_and_no_value_is_in_any_alert_or_in_the_table(rooms: NightLake) -> None:
    rooms.write_cmdb()
    secret = {
        "observed": "observed-4711",
        "expected": "expected-4711",
        "subject_key": "subject-4711",
        "ci_id": "ci-4711",
    }
    rooms.write_anomalies([row | secret for row in many(40, owner_id="O-1", support_group_id="G-1")])
    rooms.write(
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
    night = rooms.with_routes(routed(rooms)).night()
    write_digests(rooms.lake, night.digests, rooms.governance.alerts)
    said = "".join(each.model_dump_json() for each in night.alerts) + str(rooms.rows(DIGESTS))
    assert len(night.alerts) == 4, "an owner's and a group's digest, the refused batch, the heartbeat"
    assert not [text for text in (*PERSONAL, "4711") if text in said]


def test_a_night_run_again_tells_nothing_twice_even_where_it_finds_more(rooms: NightLake, outbox: Outbox) -> None:
    rooms = rooms.with_routes(routed(rooms))
    rooms.write_cmdb()
    rooms.write_anomalies(many(9, owner_id="O-1"))
    _, first = tell_of_night(rooms.lake, rooms.governance, rooms.report, outbox, DAY, NIGHT)
    assert first.messages == 2, "the digest and the heartbeat"
    rooms.write_anomalies(many(19, owner_id="O-1", severity="critical"))
    for hours in (1, 30):
        _, again = tell_of_night(
            rooms.lake, rooms.governance, rooms.report, outbox, DAY, NIGHT + timedelta(hours=hours)
        )
        assert (again.alerts, again.messages) == (0, 0)
    (row,) = rooms.rows(DIGESTS)
    assert row["anomalies"] == 19, "the table says what is right now"


def test_the_same_lake_gives_the_same_table(rooms: NightLake) -> None:
    rooms.write_cmdb()
    rooms.write_anomalies(
        many(9, owner_id="O-1", support_group_id="G-1") + many(9, owner_id="O-2", support_group_id="G-2")
    )
    written = []
    for _ in range(2):
        write_digests(rooms.lake, rooms.with_routes(routed(rooms)).night().digests, routed(rooms))
        written.append(rooms.rows(DIGESTS))
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
        {"owner_id": owner, "support_group_id": group, "severity": st.sampled_from(["critical", "warning", "info"])}
    )
    return st.lists(one, max_size=25)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(anomalies(), st.sampled_from([0.01, 0.3, 0.5, 1.0]))
def test_every_anomaly_is_in_a_digest_that_is_told_and_counts_agree_with_a_recount(
    rooms: NightLake, drawn: list[Row], share: float
) -> None:
    rooms.write_cmdb()
    rooms.write_anomalies(drawn)
    found = digests_of(rooms, routed(rooms, digests=Digests(most_messages_share=share)))
    told = {key for key, row in found.items() if row["told"]}
    office = ("governance_office", "governance_office")
    assert len(told - {office}) <= most_digests(len(drawn), share)
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
            recount[office] = recount.get(office, 0) + 1
    assert {key: row["anomalies"] for key, row in found.items()} == recount
    for row in found.values():
        assert row["critical"] + row["warning"] + row["info"] == row["anomalies"]
    # Nobody with more anomalies is left out for somebody with fewer.
    kept = [found[key]["anomalies"] for key in told - {office}]
    left = [row["anomalies"] for key, row in found.items() if key not in told]
    assert not kept or not left or min(kept) >= max(left)


def test_addresses_are_those_of_people_who_are_there(rooms: NightLake) -> None:
    assert addresses_in_cmdb(rooms.lake)("owner", "O-1") is None
    rooms.write_cmdb()
    address_of = addresses_in_cmdb(rooms.lake)
    asked = [("owner", "O-1"), ("owner", "O-3"), ("owner", "O-404"), ("support_group", "G-1"), ("support_group", "G-2")]
    assert [address_of(*each) for each in asked] == ["wang@example.com", None, None, "hosts@example.com", None]


def test_alerts_of_a_night_all_go_somewhere(rooms: NightLake) -> None:
    from omgov_assets.anomaly_alert.routing import destinations

    rooms.write_cmdb()
    rooms.write_anomalies(many(9, owner_id="O-1", support_group_id="G-1") + many(3))
    night = rooms.with_routes(routed(rooms)).night()

    def receivers(each: Alert) -> list[str]:
        return [found.receiver for found in destinations(rooms.governance.alerts.route, each.labels)]

    assert sorted((each.labels.get("recipient", ""), *receivers(each)) for each in night.alerts) == [
        ("", "governance_office"),
        ("G-1", "support_groups"),
        ("O-1", "owners"),
        ("governance_office", "governance_office"),
    ]
