"""The baseline names metrics that may be used, on classes that carry them, once each."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from omgov_assets.model_management.baseline_metrics import load_baseline_metrics
from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.standard_metrics import StandardMetric, load_standard_metrics
from omgov_assets.model_management.units import UnitTable

STANDARD = Path(__file__).parents[2] / "governance" / "standard"
CPU = "system.cpu.utilization"


@pytest.fixture(scope="module")
def metrics() -> tuple[StandardMetric, ...]:
    return load_standard_metrics(STANDARD / "metric_definitions", UnitTable.load(STANDARD / "unit_spellings.yaml"))


def test_the_firms_baseline_covers_every_class_that_carries_metrics(metrics: tuple[StandardMetric, ...]) -> None:
    rules = load_baseline_metrics(STANDARD / "baseline_metrics.yaml", metrics)
    assert {rule.ci_class for rule in rules} == {"application", "host", "database", "network_device"}


def test_a_firm_without_a_baseline_expects_nothing(tmp_path: Path, metrics: tuple[StandardMetric, ...]) -> None:
    assert load_baseline_metrics(tmp_path / "baseline_metrics.yaml", metrics) == ()


@pytest.mark.parametrize(
    ("rules", "key", "problem"),
    [
        ([{"ci_class": "host", "metrics": ["system.cpu.gone"]}], "baselines[0].metrics[0]", "not a standard metric"),
        ([{"ci_class": "host", "metrics": ["system.cpu.idle.utilization"]}], "baselines[0].metrics[0]", "deprecated"),
        ([{"ci_class": "database", "metrics": [CPU]}], "baselines[0].metrics[0]", "is for host, not for database"),
        ([{"ci_class": "host", "metrics": [CPU, CPU]}], "baselines[0].metrics[1]", "asked for in baselines[0]"),
        ([{"ci_class": "host", "metrics": []}], "baselines[0].metrics", "at least 1"),
        ([{"ci_class": "printer", "metrics": [CPU]}], "baselines[0].ci_class", "application"),
        ([{"ci_class": "host", "tiers": ["gold"], "metrics": [CPU]}], "baselines[0].tiers[0]", "integer"),
        ([{"ci_class": "host", "metric": CPU, "metrics": [CPU]}], "baselines[0].metric", "not permitted"),
        ({}, "baselines", "tuple"),
    ],
)
def test_a_mistake_names_file_key_and_remedy(
    tmp_path: Path, metrics: tuple[StandardMetric, ...], rules: object, key: str, problem: str
) -> None:
    path = tmp_path / "baseline_metrics.yaml"
    path.write_text(yaml.safe_dump({"baselines": rules}), encoding="utf-8")
    with pytest.raises(GovernanceError) as caught:
        load_baseline_metrics(path, metrics)
    assert (caught.value.path, caught.value.key) == (path, key)
    assert problem in caught.value.problem
    assert caught.value.remedy


def test_a_metric_may_be_asked_for_tier_by_tier(tmp_path: Path, metrics: tuple[StandardMetric, ...]) -> None:
    path = tmp_path / "baseline_metrics.yaml"
    rules = [{"ci_class": "application", "tiers": [tier], "metrics": ["app.availability"]} for tier in (1, 2)]
    path.write_text(yaml.safe_dump({"baselines": rules}), encoding="utf-8")
    assert [rule.tiers for rule in load_baseline_metrics(path, metrics)] == [(1,), (2,)]
