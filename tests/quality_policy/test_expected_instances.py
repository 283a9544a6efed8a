"""Policies whose subjects are no rows of the dataset: what is expected and not there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from policy_cases import policy
from small_firm import DAY, SYSTEM, SmallFirm, build_small_firm, instance

from omgov_assets.quality_policy.evaluation import PolicyResult, evaluate_dataset
from omgov_assets.quality_policy.policies import Policy, PolicySet, load_policy_set
from omgov_assets.quality_policy.violations import VIOLATIONS

DATASET = "metric_instances"
# What is expected of H1 and H2; H9 is another system's.
EXPECTED = """
    SELECT ci_id, metric, ci_id IN (SELECT ci_id FROM own.metric_instances WHERE metric = e.metric) AS is_reported
    FROM (VALUES
        ('H1', 'system.cpu.utilization'), ('H1', 'system.uptime'), ('H2', 'system.uptime'), ('H9', 'system.uptime')
    ) AS e(ci_id, metric)
"""
META = {
    "subject": {"kind": "expected_instance", "key": ["ci_id", "metric"]},
    "population": "SELECT count(*) FROM shared.expected WHERE ci_id IN (SELECT ci_id FROM {batch})",
}
QUERY = "SELECT ci_id, metric FROM shared.expected WHERE NOT is_reported AND ci_id IN (SELECT ci_id FROM {batch})"


def missing(query: str = QUERY, **meta: object) -> Policy:
    return policy(
        "missing", "unexpected_rows_expectation", unexpected_rows_query=query, dimension="coverage", meta=META | meta
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> SmallFirm:
    return build_small_firm(tmp_path_factory.mktemp("firm"))


@pytest.fixture
def firm(project: SmallFirm, tmp_path: Path) -> SmallFirm:
    firm = project.at(tmp_path / "home")
    firm.deliver(SYSTEM, DATASET, [instance(ci="H1"), instance(ci="H2")])
    firm.collect(SYSTEM, DAY, DATASET)
    return firm


def evaluate(firm: SmallFirm, *policies: Policy, **views: str) -> list[PolicyResult]:
    policy_set = PolicySet(SYSTEM, DATASET, policies, None, "hash", {"expected": EXPECTED, **views})
    return evaluate_dataset(firm.lake, firm.governance, policy_set, DAY)


def test_a_missing_instance_is_a_violation_of_its_own_kind_with_its_ci(firm: SmallFirm) -> None:
    (result,) = evaluate(firm, missing())
    assert (result.verdict, result.evaluated, result.failed) == ("failed", 3, 2)
    columns = "subject_kind, subject_key, ci_id, metric, batch_id, record_no, quality_dimension"
    assert firm.rows(VIOLATIONS, columns) == [
        ("expected_instance", f"{ci}|system.uptime", ci, "system.uptime", None, None, "coverage") for ci in ("H1", "H2")
    ]


def test_nothing_missing_passes_with_all_expected_as_evaluated(firm: SmallFirm) -> None:
    (result,) = evaluate(firm, missing(f"{QUERY} AND metric = 'system.cpu.utilization'"))
    assert (result.verdict, result.evaluated, result.failed) == ("passed", 3, 0)
    assert firm.rows(VIOLATIONS) == []


def test_a_population_that_does_not_count_is_an_error_of_the_policy_alone(firm: SmallFirm) -> None:
    sound = policy("sound", "expect_column_values_to_be_unique", column="instance_id")
    broken, other = evaluate(firm, missing(population="SELECT 'many'"), sound)
    assert (broken.verdict, other.verdict) == ("error", "passed")
    assert "meta.population" in str(broken.reason)


def test_shared_views_may_refer_to_each_other(firm: SmallFirm) -> None:
    views = {"expected": "SELECT * FROM shared.all_expected WHERE ci_id <> 'H1'", "all_expected": EXPECTED}
    (result,) = evaluate(firm, missing(), **views)
    assert (result.evaluated, result.failed) == (1, 1)


def test_shared_views_in_a_circle_are_an_error(firm: SmallFirm) -> None:
    views = {"expected": "SELECT * FROM shared.again", "again": "SELECT * FROM shared.expected"}
    (result,) = evaluate(firm, missing(), **views)
    assert result.verdict == "error"
    assert "in a circle: again, expected" in str(result.reason)


def test_a_requirement_of_the_firm_is_one_of_every_system_that_delivers_the_dataset(firm: SmallFirm) -> None:
    datasets = {"a": ["metric_instances"], "b": ["metric_instances", "owners"], "c": ["owners"]}
    needing = missing(requires=["firm/metric_instances", "{system}/owners"])
    assert needing.required_tables("c", datasets) == ["a/metric_instances", "b/metric_instances", "c/owners"]


def test_the_hash_of_a_policy_set_covers_the_shared_views_it_refers_to(firm: SmallFirm, tmp_path: Path) -> None:
    changed = build_small_firm(tmp_path / "changed")
    before = load_policy_set(changed.settings.project, SYSTEM, DATASET)
    assert list(before.shared_views) == ["expected_instances"]
    path = changed.settings.governance / "standard" / "policy_views" / "shared" / "expected_instances.sql"
    path.write_text(path.read_text().replace("'in_use'", "'planned'"))
    after = load_policy_set(changed.settings.project, SYSTEM, DATASET)
    assert before.policy_hash != after.policy_hash
    assert replace(before, policy_hash="", shared_views={}) == replace(after, policy_hash="", shared_views={})
