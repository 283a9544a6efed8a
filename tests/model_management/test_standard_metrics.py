"""The firm's metric standard loads, and a mistake in it is found where it stands."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.standard_metrics import StandardMetric, load_standard_metrics
from omgov_assets.model_management.units import UnitTable

STANDARD = Path(__file__).parents[2] / "governance" / "standard"
VALID = {
    "metric": "system.cpu.utilization",
    "brief": "Share of time the CPU is busy.",
    "unit": "%",
    "instrument": "gauge",
    "value_type": "double",
    "interval_s": 60,
    "valid_min": 0,
    "valid_max": 100,
    "ci_classes": ["host"],
    "required_attributes": [],
    "varies": True,
    "grade": 1,
    "stability": "stable",
}


@pytest.fixture(scope="module")
def units() -> UnitTable:
    return UnitTable.load(STANDARD / "unit_spellings.yaml")


@pytest.fixture(scope="module")
def metrics(units: UnitTable) -> tuple[StandardMetric, ...]:
    return load_standard_metrics(STANDARD / "metric_definitions", units)


def test_the_standard_covers_every_class_of_ci(metrics: tuple[StandardMetric, ...]) -> None:
    per_class = Counter(ci_class for metric in metrics for ci_class in metric.ci_classes)
    assert len(metrics) >= 150
    assert per_class["host"] >= 35
    assert per_class["network_device"] >= 25
    assert per_class["database"] >= 30
    assert per_class["application"] >= 60


def test_the_standard_holds_the_look_alikes_of_defects(metrics: tuple[StandardMetric, ...]) -> None:
    assert any(metric.valid_min is None or metric.valid_min < 0 for metric in metrics)
    assert any(not metric.varies for metric in metrics)
    assert any(metric.unit == "1" for metric in metrics)
    assert {metric.interval_s for metric in metrics} == {15, 60, 300, 3600, 86400}


def test_metrics_come_sorted_and_cannot_be_changed(metrics: tuple[StandardMetric, ...]) -> None:
    assert [metric.metric for metric in metrics] == sorted(metric.metric for metric in metrics)
    with pytest.raises(ValidationError):
        metrics[0].unit = "By"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("change", "key", "problem"),
    [
        ({"metric": "CPU"}, "metrics[1].metric", "not a metric name"),
        ({"metric": "system.cpu..load"}, "metrics[1].metric", "not a metric name"),
        ({"metric": "system.memory.used_bytes"}, "metrics[1].metric", "'bytes' in its name"),
        ({"metric": "system.cpu.percent"}, "metrics[1].metric", "'percent' in its name"),
        ({"metric": "http.latency_ms"}, "metrics[1].metric", "'ms' in its name"),
        ({"metric": VALID["metric"]}, "metrics[1].metric", "is defined in"),
        ({"unit": "percent"}, "metrics[1].unit", "not a canonical UCUM code"),
        ({"unit": "bananas"}, "metrics[1].unit", "not a canonical UCUM code"),
        ({"unit": 1}, "metrics[1].unit", "string"),
        ({"valid_min": 101}, "metrics[1].valid_min", "greater than valid_max"),
        ({"valid_max": float("inf")}, "metrics[1].valid_max", "finite"),
        ({"valid_max": "100"}, "metrics[1].valid_max", "number"),
        ({"instrument": "meter"}, "metrics[1].instrument", "gauge"),
        ({"value_type": "float"}, "metrics[1].value_type", "double"),
        ({"stability": "shaky"}, "metrics[1].stability", "stable"),
        ({"interval_s": 0}, "metrics[1].interval_s", "greater than 0"),
        ({"interval_s": True}, "metrics[1].interval_s", "integer"),
        ({"varies": "yes"}, "metrics[1].varies", "boolean"),
        ({"grade": 9}, "metrics[1].grade", "less than or equal"),
        ({"ci_classes": []}, "metrics[1].ci_classes", "at least 1"),
        ({"ci_classes": ["server"]}, "metrics[1].ci_classes[0]", "host"),
        ({"ci_classes": ["host", "host"]}, "metrics[1].ci_classes", "twice"),
        (
            {"required_attributes": ["Mount Point"]},
            "metrics[1].required_attributes[0]",
            "not an attribute name",
        ),
        ({"unti": "%"}, "metrics[1].unti", "not permitted"),
    ],
)
def test_a_mistake_names_file_key_and_remedy(
    tmp_path: Path, units: UnitTable, change: dict[str, object], key: str, problem: str
) -> None:
    path = tmp_path / "host.yaml"
    document = {"metrics": [VALID, {**VALID, "metric": "system.cpu.other", **change}]}
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    with pytest.raises(GovernanceError) as caught:
        load_standard_metrics(tmp_path, units)
    assert (caught.value.path, caught.value.key) == (path, key)
    assert problem in caught.value.problem
    assert caught.value.remedy


def test_a_metric_defined_in_two_files_is_refused(tmp_path: Path, units: UnitTable) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(yaml.safe_dump({"metrics": [VALID]}), encoding="utf-8")
    with pytest.raises(GovernanceError, match=r"b\.yaml: metrics\[0\]\.metric: .* is defined in a\.yaml"):
        load_standard_metrics(tmp_path, units)


def test_a_folder_without_definitions_is_refused(tmp_path: Path, units: UnitTable) -> None:
    with pytest.raises(GovernanceError, match=r"no \*\.yaml file"):
        load_standard_metrics(tmp_path, units)


@pytest.mark.parametrize("document", [[], {"metrics": {}}, {"metrics": [], "notes": "x"}, {"metrics": ["x"]}])
def test_a_file_of_another_shape_is_refused(tmp_path: Path, units: UnitTable, document: object) -> None:
    (tmp_path / "host.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    with pytest.raises(GovernanceError):
        load_standard_metrics(tmp_path, units)
