"""Faults of policies that are known before any row is judged."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from policy_cases import compare, policy
from small_firm import DAY, SYSTEM, SmallFirm, build_small_firm, instance

from omgov_assets.data_lake.settings import Settings
from omgov_assets.quality_policy.evaluation import evaluate_dataset
from omgov_assets.quality_policy.policies import Policy, PolicySet, load_policy_set
from omgov_assets.quality_policy.policy_validation import PolicyFinding, examine_policies

DATASET = "metric_instances"
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> SmallFirm:
    return build_small_firm(tmp_path_factory.mktemp("firm"))


def examine(firm: SmallFirm, *policies: Policy, view_sql: str | None = None) -> list[PolicyFinding]:
    policy_set = PolicySet(SYSTEM, DATASET, policies, view_sql, "hash")
    return examine_policies(firm.lake, firm.governance, [policy_set], DAY)


def between(name: str, column: str = "sample_max", **kwargs: Any) -> Policy:
    return policy(name, "expect_column_values_to_be_between", column=column, **kwargs)


def in_set(name: str, values: list[Any], **kwargs: Any) -> Policy:
    return policy(name, "expect_column_values_to_be_in_set", column="collector", value_set=values, **kwargs)


NULL = policy("null", "expect_column_values_to_be_null", column="collector")
NOT_NULL = policy("not_null", "expect_column_values_to_not_be_null", column="collector")
JULY = {"effective_from": "2026-07-01", "effective_until": "2026-07-31"}


@pytest.mark.parametrize(
    ("policies", "code", "words"),
    [
        ([between("p", column="sample_maxx", max_value=1)], "unknown_column", "did you mean sample_max"),
        ([between("p", max_value=1, meta={"observed": ["nothing"]})], "unknown_column", "meta.observed 'nothing'"),
        ([between("p", max_value=1, mostly=1.2)], "unreachable_mostly", "never be reached"),
        ([between("p", max_value=1, mostly=0)], "vacuous_mostly", "never fails"),
        ([between("p", min_value=2, max_value=1)], "empty_range", "greater than"),
        ([between("p", column="last_seen_at", min_value="a", max_value=1)], "bounds_unlike", "do not compare"),
        ([between("p", column="collector", max_value=1)], "bounds_of_other_type", "VARCHAR"),
        ([between("p", max_value="9")], "bounds_of_other_type", "DOUBLE"),
        ([in_set("p", [])], "empty_set", "no value passes"),
        (
            [policy("p", "expect_column_values_to_match_regex", column="collector", regex="(?=x)")],
            "regex_refused",
            "RE2",
        ),
        ([between("p", max_value=1, meta={"requires": ["cmdb/nothing"]})], "unknown_requirement", "nobody delivers"),
        ([between("p", max_value=1, meta={"requires": ["firm/nothing"]})], "unknown_requirement", "nobody delivers"),
        (
            [between("p", max_value=1, meta={"effective_from": "2026-12-01", "effective_until": "2026-11-01"})],
            "never_effective",
            "never in force",
        ),
        ([between("a", max_value=1), between("b", max_value=1)], "said_twice", "the same as a"),
        ([between("a", max_value=1), between("b", min_value=2)], "contradiction", "contradicts a: the two ranges"),
        ([NULL, NOT_NULL], "contradiction", "null and not null"),
        ([in_set("a", ["K1"]), in_set("b", ["K2"])], "contradiction", "no value in common"),
        (
            [
                in_set("a", ["K1"]),
                policy("b", "expect_column_values_to_not_be_in_set", column="collector", value_set=["K1", "K2"]),
            ],
            "contradiction",
            "every value of the set is excluded",
        ),
        (
            [
                policy("a", "expect_column_values_to_be_in_set", column="interval_s", value_set=[60, 300]),
                between("b", column="interval_s", max_value=30),
            ],
            "contradiction",
            "no value of the set lies between",
        ),
    ],
)
def test_a_fault_is_found_with_its_code_and_a_remedy(
    firm: SmallFirm, policies: list[Policy], code: str, words: str
) -> None:
    (finding,) = examine(firm, *policies)
    assert (finding.code, finding.policy_id) == (code, policies[-1].policy_id)
    assert words in f"{finding.problem}; {finding.remedy}"
    assert finding.remedy


@pytest.mark.parametrize(
    "policies",
    [
        [between("a", max_value=1, mostly=0.9), between("b", min_value=2, mostly=0.5)],
        [between("a", max_value=1, row_condition=compare("ci_id", "==", "H1")), between("b", min_value=2)],
        [between("a", max_value=1, meta=JULY), between("b", min_value=2, meta={"effective_from": "2026-08-01"})],
        [in_set("a", ["K1", "K2"]), in_set("b", ["K2", "K3"])],
        [between("a", min_value=1), between("b", max_value=1)],
        [policy("a", "expect_table_row_count_to_be_between", min_value=1)],
        [],
    ],
)
def test_what_rows_can_pass_is_no_fault(firm: SmallFirm, policies: list[Policy]) -> None:
    assert examine(firm, *policies) == []


def test_a_policy_view_that_does_not_bind_is_one_fault(firm: SmallFirm) -> None:
    (finding,) = examine(firm, NULL, NOT_NULL, view_sql="SELECT * FROM nowhere")
    assert finding.code == "view_broken"
    assert "nowhere" in finding.problem


def test_the_shipped_policies_have_no_fault(tmp_path: Path) -> None:
    firm = SmallFirm(Settings(home=tmp_path, project=REPOSITORY), {"format": "csv"})
    policy_sets = [
        load_policy_set(REPOSITORY, system.name, dataset)
        for system in firm.governance.systems.values()
        for dataset in system.datasets
    ]
    assert examine_policies(firm.lake, firm.governance, policy_sets, DAY) == []


def test_a_policy_is_evaluated_only_while_it_is_in_force(firm: SmallFirm, tmp_path: Path) -> None:
    firm = firm.at(tmp_path / "home")
    firm.deliver(SYSTEM, DATASET, [instance(ci="H1")])
    firm.collect(SYSTEM, DAY, DATASET)
    past = between("past", max_value=1, meta=JULY)
    today = between("today", max_value=1, meta={"effective_from": DAY.isoformat(), "effective_until": DAY.isoformat()})
    assert past.in_force(date(2026, 7, 31))
    results = evaluate_dataset(firm.lake, firm.governance, PolicySet(SYSTEM, DATASET, (past, today), None, "hash"), DAY)
    assert [(result.policy.policy_id, result.verdict) for result in results] == [("today", "failed")]
