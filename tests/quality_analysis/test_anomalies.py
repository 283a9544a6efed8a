"""Violations become anomalies: one per subject and type, with the dimensions of its CI and its first day."""

from __future__ import annotations

import hashlib
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from lower_rooms import CONFIGURATION_ITEMS, DAY, NEXT_DAY, RULES, THIRD_DAY, Rooms, instance, violation

from omgov_assets.data_lake.lake import Lake
from omgov_assets.quality_analysis.anomalies import ANOMALIES, identify_anomalies
from omgov_assets.quality_analysis.scorecards import compute_scorecards
from omgov_assets.quality_policy.violations import VIOLATIONS

DIMENSIONS = (
    "ci_class",
    "application_ids",
    "host_id",
    "network_device_ids",
    "site_id",
    "support_group_id",
    "owner_id",
    "tier",
)


def test_violations_of_one_subject_and_type_are_one_anomaly(rooms: Rooms) -> None:
    rooms.write(
        VIOLATIONS,
        DAY,
        [
            violation("i1", policy_id="p2", severity="critical", observed="2", expected="two", record_no=1),
            violation("i1", policy_id="p1", severity="info", observed="9", expected="one", record_no=9),
            violation("i1", policy_id="p1", severity="warning", observed="7", expected="one", record_no=7),
            violation("i1", anomaly_type="stale_instance", policy_id="p3"),
            violation("i1", system="asset_management", policy_id="p1"),
        ],
    )

    summary = identify_anomalies(rooms.lake, DAY, RULES)

    assert (summary.violations, summary.anomalies, summary.new_anomalies) == (5, 3, 3)
    found = rooms.rows(ANOMALIES, DAY, where="anomaly_type = 'flat_line' AND system = 'securities'")
    assert len(found) == 1
    assert found[0]["severity"] == "critical"
    assert found[0]["policy_ids"] == ["p1", "p2"]
    # The first policy by name speaks, and of its violations the first record.
    assert (found[0]["observed"], found[0]["expected"], found[0]["record_no"]) == ("7", "one", 7)


def test_the_anomaly_id_is_a_hash_of_what_makes_an_anomaly_one(rooms: Rooms) -> None:
    rooms.write(VIOLATIONS, DAY, [violation("i1")])
    identify_anomalies(rooms.lake, DAY, RULES)
    text = "\x1f".join(("securities", "metric_instances", "flat_line", "row", "i1"))
    expected = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:16]
    assert [row["anomaly_id"] for row in rooms.rows(ANOMALIES, DAY)] == [expected]


def test_an_anomaly_has_the_dimensions_of_its_ci(rooms: Rooms) -> None:
    expected: dict[str | None, tuple[Any, ...]] = {
        # Of two records of one CI the first counts; its uplinks count both, and so do its applications.
        "HOST-1": ("host", ["APP-1", "APP-2"], "HOST-1", ["NET-1", "NET-2"], "SITE-1", "SG-1", "OWN-1", 1),
        # An application that the CMDB does not know is none.
        "HOST-2": ("host", ["APP-2"], "HOST-2", [], "SITE-1", "SG-2", None, 3),
        "DB-1": ("database", ["APP-2"], "HOST-1", ["NET-1", "NET-2"], "SITE-1", "SG-1", None, 3),
        # What runs on two hosts stands on neither.
        "DB-2": ("database", [], None, [], "SITE-2", None, "OWN-2", None),
        "APP-1": ("application", ["APP-1"], "HOST-1", [], None, None, "OWN-1", 1),
        "APP-2": ("application", ["APP-2"], None, [], None, "SG-1", None, 3),
        "NET-2": ("network_device", [], None, ["NET-2"], "SITE-1", None, None, None),
        "SITE-2": ("site", [], None, [], "SITE-2", None, None, None),
        "HOST-GHOST": (None, [], None, [], None, None, None, None),
        None: (None, [], None, [], None, None, None, None),
    }
    rooms.write_cmdb(DAY)
    rooms.write(VIOLATIONS, DAY, [violation(f"on {ci_id}", ci_id=ci_id) for ci_id in expected])
    identify_anomalies(rooms.lake, DAY, RULES)
    found = {row["ci_id"]: tuple(row[name] for name in DIMENSIONS) for row in rooms.rows(ANOMALIES, DAY)}
    assert found == expected


def test_a_cmdb_may_keep_less_than_analysis_reads(tmp_path: Path, project_root: Path) -> None:
    """A firm whose contracts have neither tier, status nor addresses."""
    contracts = tmp_path / "contracts"
    shutil.copytree(project_root / "governance" / "standard" / "data_contracts", contracts)
    for path in contracts.glob("*.odcs.yaml"):
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        (table,) = document["schema"]
        table["properties"] = [p for p in table["properties"] if p["name"] not in ("tier", "status", "email")]
        path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    rooms = Rooms(Lake(tmp_path / "lake", dataset_contracts=contracts))
    without = {name: None for name in ("tier", "status")}
    items = [{k: v for k, v in row.items() if k not in without} for row in CONFIGURATION_ITEMS]
    rooms.write("cmdb/configuration_items", DAY, items)
    rooms.write("cmdb/owners", DAY, [{"owner_id": "OWN-1", "name": "王伟"}])
    rooms.write(VIOLATIONS, DAY, [violation("i1", ci_id="APP-1")])
    identify_anomalies(rooms.lake, DAY, RULES)
    compute_scorecards(rooms.lake, DAY, RULES)
    (row,) = rooms.rows(ANOMALIES, DAY)
    assert (row["application_ids"], row["owner_id"], row["tier"]) == (["APP-1"], "OWN-1", None)


def test_without_a_cmdb_of_the_day_dimensions_are_unknown(rooms: Rooms) -> None:
    rooms.write_cmdb(DAY)
    rooms.write(VIOLATIONS, NEXT_DAY, [violation("i1")])
    identify_anomalies(rooms.lake, NEXT_DAY, RULES)
    row = rooms.rows(ANOMALIES, NEXT_DAY)[0]
    assert row["ci_id"] == "HOST-1"
    assert [row[name] for name in DIMENSIONS] == [None] * len(DIMENSIONS)


def test_an_anomaly_touches_a_trading_session_unless_it_came_after_the_close(rooms: Rooms) -> None:
    # Sessions end at 15:00 in Shanghai, 07:00 UTC; the business day ends at 16:00 UTC.
    last_seen = {"in the session": 6, "after the close": 7, "late": 15, "in the future": 16, "never": None}
    for day in (DAY, NEXT_DAY):
        rooms.write(
            "securities/metric_instances",
            day,
            [
                instance(
                    key,
                    last_seen_at=None if hour is None else datetime(day.year, day.month, day.day, hour, tzinfo=UTC),
                )
                for key, hour in last_seen.items()
            ],
        )
        late = [violation(key, "stale_instance", quality_dimension="timeliness") for key in last_seen]
        rooms.write(VIOLATIONS, day, [*late, violation("late", "flat_line")])
        identify_anomalies(rooms.lake, day, RULES)

    found = {(r["anomaly_type"], r["subject_key"]): r["in_trading_session"] for r in rooms.rows(ANOMALIES, DAY)}
    assert found == {
        ("stale_instance", "in the session"): True,
        ("stale_instance", "after the close"): False,
        ("stale_instance", "late"): False,
        ("stale_instance", "in the future"): True,
        ("stale_instance", "never"): True,
        # What is wrong with its values all day is so in the session as well.
        ("flat_line", "late"): True,
    }
    # A Saturday has no session.
    assert {row["in_trading_session"] for row in rooms.rows(ANOMALIES, NEXT_DAY)} == {False}


def test_the_first_day_is_carried_through_an_unbroken_run_of_days(rooms: Rooms) -> None:
    rooms.write(VIOLATIONS, DAY, [violation("stays"), violation("pauses")])
    rooms.write(VIOLATIONS, NEXT_DAY, [violation("stays"), violation("comes")])
    rooms.write(VIOLATIONS, THIRD_DAY, [violation("stays"), violation("pauses"), violation("comes")])

    new = [identify_anomalies(rooms.lake, day, RULES).new_anomalies for day in (DAY, NEXT_DAY, THIRD_DAY)]

    assert new == [2, 1, 1]
    since = {row["subject_key"]: row["first_seen_day"] for row in rooms.rows(ANOMALIES, THIRD_DAY)}
    assert since == {"stays": DAY, "pauses": THIRD_DAY, "comes": NEXT_DAY}


def test_a_day_without_governance_ends_the_run(rooms: Rooms) -> None:
    rooms.write(VIOLATIONS, DAY, [violation("i1")])
    rooms.write(VIOLATIONS, THIRD_DAY, [violation("i1")])
    identify_anomalies(rooms.lake, DAY, RULES)
    identify_anomalies(rooms.lake, THIRD_DAY, RULES)
    assert [row["first_seen_day"] for row in rooms.rows(ANOMALIES, THIRD_DAY)] == [THIRD_DAY]


def test_a_second_run_changes_nothing_and_a_clean_day_leaves_no_anomaly(rooms: Rooms) -> None:
    rooms.write_cmdb(DAY)
    rooms.write(VIOLATIONS, DAY, [violation(f"i{n}", ci_id=f"HOST-{n % 3}") for n in range(20)])
    identify_anomalies(rooms.lake, DAY, RULES)
    first = rooms.rows(ANOMALIES)
    identify_anomalies(rooms.lake, DAY, RULES)
    assert rooms.rows(ANOMALIES) == first

    rooms.write(VIOLATIONS, DAY, [])
    assert identify_anomalies(rooms.lake, DAY, RULES).anomalies == 0
    assert rooms.rows(ANOMALIES) == []


def test_what_is_wrong_with_a_model_is_its_owners(rooms: Rooms) -> None:
    rooms.write_cmdb(DAY)
    rooms.write(
        "cmdb/support_groups", DAY, [{"support_group_id": "SG-9", "name": "数据组", "email": "Data@example.com"}]
    )
    rooms.write(
        "cmdb/owners",
        DAY,
        [
            {"owner_id": owner, "name": "-", "email": email, "support_group_id": group}
            for owner, email, group in (
                ("OWN-2", "li@example.com", "SG-2"),
                ("OWN-1", " Li@Example.com", "SG-1"),
                ("OWN-3", None, "SG-3"),
            )
        ],
    )
    models = [
        {"system": "securities", "dataset": "metric_samples", "kind": "conform", "owner": "li@example.com"},
        {
            "system": "derived",
            "dataset": "metric_samples",
            "kind": "derive",
            "metric": "a.b",
            "owner": "data@example.com",
        },
        {
            "system": "derived",
            "dataset": "metric_samples",
            "kind": "derive",
            "metric": "a.c",
            "owner": "no@example.com",
        },
    ]
    rooms.write("control/processing_models", DAY, models)
    keys = ("securities/metric_samples", "a.b", "a.c", "a.unpublished")
    rooms.write(
        VIOLATIONS,
        DAY,
        [
            *(violation(key, subject_kind="processing_model", ci_id=None) for key in keys),
            # The same key of another kind of subject is no model.
            violation("a.b", subject_kind="row", ci_id=None),
        ],
    )

    identify_anomalies(rooms.lake, DAY, RULES)

    found = rooms.rows(ANOMALIES, DAY, where="subject_kind = 'processing_model'")
    assert {row["subject_key"]: (row["owner_id"], row["support_group_id"]) for row in found} == {
        # Of two owners with one address the first counts, with the group that the owner is in.
        "securities/metric_samples": ("OWN-1", "SG-1"),
        "a.b": (None, "SG-9"),
        "a.c": (None, None),
        "a.unpublished": (None, None),
    }
    (row,) = rooms.rows(ANOMALIES, DAY, where="subject_kind = 'row'")
    assert (row["owner_id"], row["support_group_id"]) == (None, None)
