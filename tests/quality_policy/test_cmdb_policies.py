"""What the firm's policies find in a CMDB that contradicts itself: which rows, of which CI, and what they pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_firm import DAY, SYSTEM, SmallFirm, build_small_firm, instance

from omgov_assets.quality_policy.evaluation import evaluate_dataset
from omgov_assets.quality_policy.policies import load_policy_set
from omgov_assets.quality_policy.violations import VIOLATIONS

# Nothing that the CMDB names may be read as SQL, as a pattern or as a page.
ODD = "H'2\"; <b>&amp;|%_"
SOUND = {"status": "in_use", "site_id": "S1", "support_group_id": "G1", "owner_id": "O1"}
RELATED = [{"source_ci_id": "A1", "relation": "runs_on", "target_ci_id": host} for host in ("H1", ODD)]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> SmallFirm:
    """A firm whose CMDB says of owners which group they belong to."""
    small = build_small_firm(tmp_path_factory.mktemp("firm"))
    folder = small.settings.project / "governance" / "systems" / "cmdb"
    contract, model = folder / "owners.odcs.yaml", folder / "owners.sql"
    column = "      - name: support_group_id\n        physicalType: VARCHAR\n        classification: '1'\n"
    contract.write_text(contract.read_text(encoding="utf-8") + column, encoding="utf-8")
    text = model.read_text(encoding="utf-8")
    model.write_text(text.replace("NULL::VARCHAR AS support_group_id", "support_group_id"), encoding="utf-8")
    return small


@pytest.fixture
def firm(project: SmallFirm, tmp_path: Path) -> SmallFirm:
    return project.at(tmp_path / "home")


def item(ci: str, ci_class: str = "host", **changes: object) -> dict[str, object]:
    return {"ci_id": ci, "ci_class": ci_class, "name": f"<i>{ci}</i>", **SOUND, **changes}


def edge(source: str, relation: str, target: str) -> dict[str, object]:
    return {"source_ci_id": source, "relation": relation, "target_ci_id": target}


ITEMS = [item("A1", "application"), item("H1"), item(ODD), item("D1", "database"), item("N1", "network_device")]
GROUPS: list[dict[str, object]] = [{"support_group_id": name, "name": name} for name in ("G1", "G2")]
OWNERS: list[dict[str, object]] = [
    {"owner_id": "O1", "name": "王芳", "active": "true", "support_group_id": "G1"},
    {"owner_id": "O2", "name": "<script>", "active": "true", "support_group_id": "G2"},
    {"owner_id": "O3", "name": "O'Neill", "active": "false", "support_group_id": "G1"},
    {"owner_id": "O4", "name": "李强", "active": "true", "support_group_id": None},
    {"owner_id": "O5", "name": "赵敏", "active": "true", "support_group_id": "G9"},
]


def deliver(firm: SmallFirm, *without: str, **datasets: list[dict[str, object]]) -> None:
    """Land and collect a day of the CMDB, ``without`` some of its datasets."""
    content = {
        "configuration_items": ITEMS,
        "ci_relations": RELATED,
        "support_groups": GROUPS,
        "owners": [
            {name: value for name, value in owner.items() if name != "support_group_id" or groups_of_owners(firm)}
            for owner in OWNERS
        ],
        **datasets,
    }
    for name, rows in content.items():
        if name not in without:
            firm.deliver("cmdb", name, rows)
    firm.collect("cmdb", DAY, *(content.keys() - set(without)))


def groups_of_owners(firm: SmallFirm) -> bool:
    contract = firm.settings.project / "governance" / "systems" / "cmdb" / "owners.odcs.yaml"
    return "support_group_id" in contract.read_text(encoding="utf-8")


def report(firm: SmallFirm, *instances: dict[str, object]) -> None:
    firm.deliver(SYSTEM, "metric_instances", list(instances))
    firm.collect(SYSTEM, DAY, "metric_instances")


def judge(firm: SmallFirm, dataset: str) -> dict[str, str]:
    """Verdicts by policy."""
    policy_set = load_policy_set(firm.settings.project, "cmdb", dataset)
    results = evaluate_dataset(firm.lake, firm.governance, policy_set, DAY)
    assert [(result.policy.policy_id, result.reason) for result in results if result.verdict == "error"] == []
    return {result.policy.policy_id.partition(".")[2]: result.verdict for result in results}


def found(firm: SmallFirm, *policies: str, columns: str = "anomaly_type, ci_id") -> list[tuple[Any, ...]]:
    """Violations of policies of the CMDB."""
    rows = firm.rows(VIOLATIONS, f"split_part(policy_id, '.', 2), {columns}")
    return [row for row in rows if row[0] in policies]


def test_relations_of_cis_that_the_cmdb_does_not_list_are_found_at_their_source(firm: SmallFirm) -> None:
    deliver(firm, ci_relations=[*RELATED, edge("A1", "runs_on", "H'404"), edge("A<404>", "runs_on", ODD)])
    verdicts = judge(firm, "ci_relations")
    columns = "anomaly_type, ci_id, subject_key, observed, severity"
    assert found(firm, *verdicts, columns=columns) == [
        ("source_known", "relation_ci_unknown", "A<404>", f"A<404>|runs_on|{ODD}", "A<404>", "critical"),
        ("target_known", "relation_ci_unknown", "A1", "A1|runs_on|H'404", "H'404", "critical"),
    ]
    # Of which class a CI is that is not listed nobody knows.
    assert verdicts["classes_fit"] == "passed"


def test_every_relation_of_a_cycle_is_found_and_what_leads_to_it_is_not(firm: SmallFirm) -> None:
    relations = [
        edge("A1", "depends_on", "A2"), edge("A2", "depends_on", "A3"), edge("A3", "depends_on", "A1"),
        edge("A4", "depends_on", "A1"), edge("A4", "depends_on", "A5"), edge("A5", "depends_on", "A1"),
        edge("A5", "depends_on", "A5"),
        # Whatever the relations are called, they lead back.
        edge("D1", "runs_on", ODD), edge(ODD, "connected_to", "D1"),
    ]  # fmt: skip
    deliver(firm, configuration_items=[*ITEMS, *(item(f"A{n}", "application") for n in (2, 3, 4, 5))])
    deliver(firm, ci_relations=[*RELATED, *relations])
    judge(firm, "ci_relations")
    assert found(firm, "acyclic", columns="subject_key, ci_id") == sorted(
        ("acyclic", f"{source}|{relation}|{target}", source)
        for source, relation, target in (
            ("A1", "depends_on", "A2"), ("A2", "depends_on", "A3"), ("A3", "depends_on", "A1"),
            ("A5", "depends_on", "A5"), ("D1", "runs_on", ODD), (ODD, "connected_to", "D1"),
        )
    )  # fmt: skip


def test_relations_between_classes_that_do_not_fit_are_found_with_the_classes(firm: SmallFirm) -> None:
    fitting = [
        edge("D1", "runs_on", "H1"), edge("A1", "depends_on", "D1"), edge("H1", "connected_to", "N1"),
    ]  # fmt: skip
    wrong = [edge("D1", "connected_to", "N1"), edge("A1", "runs_on", "N1"), edge("H1", "runs_on", "A1")]
    deliver(firm, ci_relations=[*fitting, *wrong])
    judge(firm, "ci_relations")
    assert found(firm, "classes_fit", columns="ci_id, observed") == [
        ("classes_fit", "A1", "relation=runs_on, source_class=application, target_class=network_device"),
        ("classes_fit", "D1", "relation=connected_to, source_class=database, target_class=network_device"),
        ("classes_fit", "H1", "relation=runs_on, source_class=host, target_class=application"),
    ]


def test_a_relation_listed_twice_is_found_and_a_second_uplink_is_not(firm: SmallFirm) -> None:
    uplinks = [edge("H1", "connected_to", name) for name in ("N1", "N2")]
    items = [*ITEMS, item("N2", "network_device")]
    deliver(firm, configuration_items=items, ci_relations=[*RELATED, RELATED[1], *uplinks])
    judge(firm, "ci_relations")
    assert found(firm, "unique", columns="subject_key") == [("unique", f"A1|runs_on|{ODD}")] * 2


def test_a_sound_cmdb_passes(firm: SmallFirm) -> None:
    deliver(firm)
    report(firm, instance(ci="H1"))
    for dataset in ("ci_relations", "configuration_items"):
        verdicts = judge(firm, dataset)
        assert {name for name, verdict in verdicts.items() if verdict != "passed"} == set()
    assert found(firm, "owner_known", "owner_active", "group_of_owner", "group_agreed", "owner_agreed") == []


def test_owners_who_left_or_whom_nobody_knows_are_found_where_the_ci_is_in_use(firm: SmallFirm) -> None:
    items = [
        item("H1", owner_id="O3"), item(ODD, owner_id="O'404"), item("H3", owner_id=None),
        item("H4", owner_id="O3", status="decommissioned"), item("H5", owner_id="O404", status="planned"),
    ]  # fmt: skip
    deliver(firm, configuration_items=items)
    judge(firm, "configuration_items")
    assert found(firm, "owner_known", "owner_active", columns="anomaly_type, ci_id, observed") == [
        ("owner_active", "ci_owner_inactive", "H1", "O3"),
        ("owner_known", "ci_owner_unknown", ODD, "O'404"),
    ]


def test_an_owner_of_another_group_is_found_where_both_groups_are_known(firm: SmallFirm) -> None:
    items = [
        item("H1", owner_id="O2"),
        item(ODD, owner_id="O4"),  # whose group nobody says
        item("H3", owner_id="O5"), item("H4", support_group_id="G9"),  # of groups that do not exist
        item("H5", support_group_id=None), item("H6", owner_id="O2", status="decommissioned"),
    ]  # fmt: skip
    deliver(firm, configuration_items=items)
    judge(firm, "configuration_items")
    assert found(firm, "group_of_owner", columns="anomaly_type, ci_id, observed, severity") == [
        ("group_of_owner", "ci_group_contradiction", "H1", "support_group_id=G1, owner_group_id=G2", "info")
    ]


def test_entries_of_a_ci_that_name_two_groups_or_owners_are_found(firm: SmallFirm) -> None:
    items = [
        item("H1"), item("H1", support_group_id="G2", owner_id="O2"),
        item(ODD), item(ODD, owner_id="O4"),
        item("H3"), item("H3", support_group_id=None, owner_id=None),  # an entry that is silent
        item("H4"), item("H4"),
    ]  # fmt: skip
    deliver(firm, configuration_items=items)
    judge(firm, "configuration_items")
    columns = "anomaly_type, ci_id, observed"
    assert found(firm, "group_agreed", "owner_agreed", columns=columns) == sorted([
        ("group_agreed", "ci_group_contradiction", "H1", "G1"),
        ("group_agreed", "ci_group_contradiction", "H1", "G2"),
        ("owner_agreed", "ci_owner_contradiction", "H1", "O1"),
        ("owner_agreed", "ci_owner_contradiction", "H1", "O2"),
        ("owner_agreed", "ci_owner_contradiction", ODD, "O1"),
        ("owner_agreed", "ci_owner_contradiction", ODD, "O4"),
    ])  # fmt: skip
    assert {ci for _, ci in found(firm, "unique", columns="ci_id")} == {"H1", ODD, "H3", "H4"}


def test_what_reports_though_it_is_decommissioned_is_found(firm: SmallFirm) -> None:
    items = [
        item("H1"), item(ODD, status="decommissioned"), item("H3", status="decommissioned"),
        item("H4", status="planned"),
    ]  # fmt: skip
    deliver(firm, configuration_items=items)
    report(firm, instance(ci="H1"), instance(ci=ODD), instance(ci="H4"), instance(ci="H404"))
    judge(firm, "configuration_items")
    assert found(firm, "silent_when_decommissioned") == [
        ("silent_when_decommissioned", "ci_decommissioned_reporting", ODD)
    ]


@pytest.mark.parametrize(
    ("dataset", "without", "waiting"),
    [
        ("ci_relations", "configuration_items", {"source_known", "target_known", "classes_fit"}),
        ("configuration_items", "owners", {"owner_known", "owner_active", "group_of_owner"}),
        ("configuration_items", "support_groups", {"group_known", "group_of_owner"}),
    ],
)
def test_what_was_not_delivered_contradicts_nothing(
    firm: SmallFirm, dataset: str, without: str, waiting: set[str]
) -> None:
    deliver(firm, without)
    report(firm, instance(ci="H1"))
    verdicts = judge(firm, dataset)
    assert {name for name, verdict in verdicts.items() if verdict == "not_evaluated"} == waiting
    assert found(firm, *waiting) == []


def test_while_an_inventory_is_missing_nobody_says_what_reports(firm: SmallFirm) -> None:
    deliver(firm, configuration_items=[item("H1", status="decommissioned")])
    assert judge(firm, "configuration_items")["silent_when_decommissioned"] == "not_evaluated"


def test_a_cmdb_that_does_not_say_whose_group_an_owner_is_of_contradicts_none(tmp_path: Path) -> None:
    firm = build_small_firm(tmp_path)
    deliver(firm, configuration_items=[item("H1", owner_id="O2"), item(ODD, owner_id="O3")])
    verdicts = judge(firm, "configuration_items")
    assert verdicts["group_of_owner"] == "passed"
    assert found(firm, "owner_active") == [("owner_active", "ci_owner_inactive", ODD)]
