"""The firm's metric standard loads, and a mistake in it is found where it stands."""

from __future__ import annotations

from collections import Counter
from datetime import date
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
    "owner": "observability@example.com",
}
RETIRED = {"stability": "deprecated", "since": date(2026, 3, 1), "reason": "nobody reads it"}


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
    delivered = [metric for metric in metrics if metric.document != "derived.yaml"]
    assert {metric.interval_s for metric in delivered} == {15, 60, 300, 3600, 86400}


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
        ({"grade": 5}, "metrics[1].grade", "less than or equal to 4"),
        ({"owner": None}, "metrics[1].owner", "string"),
        ({"document": "x.yaml"}, "metrics[1].document", "not permitted"),
        ({**RETIRED, "reason": None}, "metrics[1].stability", "without a successor or a reason"),
        ({**RETIRED, "since": None}, "metrics[1].since", "since no day"),
        ({**RETIRED, "since": "yesterday"}, "metrics[1].since", "date"),
        ({**RETIRED, "grace_days": -1}, "metrics[1].grace_days", "greater than or equal to 0"),
        ({**RETIRED, "renamed_to": "system.cpu.gone"}, "metrics[1].renamed_to", "not a standard metric"),
        ({**RETIRED, "renamed_to": "system.cpu.other"}, "metrics[1].renamed_to", "in a circle"),
        ({"renamed_to": VALID["metric"]}, "metrics[1].renamed_to", "is stable"),
        ({"reason": "old"}, "metrics[1].reason", "is stable"),
        ({"since": date(2026, 3, 1)}, "metrics[1].since", "is stable"),
        (
            {**RETIRED, "unit": "By", "renamed_to": VALID["metric"]},
            "metrics[1].renamed_to",
            "does not convert to",
        ),
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


def test_renames_that_go_in_a_circle_over_several_metrics_are_refused(tmp_path: Path, units: UnitTable) -> None:
    names = ["system.a.load", "system.b.load", "system.c.load"]
    items = [
        {**VALID, **RETIRED, "metric": name, "renamed_to": names[(number + 1) % 3]} for number, name in enumerate(names)
    ]
    (tmp_path / "host.yaml").write_text(yaml.safe_dump({"metrics": items}), encoding="utf-8")
    with pytest.raises(
        GovernanceError, match=r"circle: system\.a\.load -> system\.b\.load -> system\.c\.load -> system"
    ):
        load_standard_metrics(tmp_path, units)


def test_a_rename_must_end_at_a_metric_that_may_be_used(tmp_path: Path, units: UnitTable) -> None:
    gone = {**VALID, **RETIRED, "metric": "system.b.load", "stability": "withdrawn"}
    old = {**VALID, **RETIRED, "metric": "system.a.load", "renamed_to": "system.b.load"}
    (tmp_path / "host.yaml").write_text(yaml.safe_dump({"metrics": [old, gone]}), encoding="utf-8")
    with pytest.raises(GovernanceError, match=r"metrics\[0\]\.renamed_to: ends at system\.b\.load, which is withdrawn"):
        load_standard_metrics(tmp_path, units)


def test_a_metric_has_the_owner_of_its_file_unless_it_names_one(tmp_path: Path, units: UnitTable) -> None:
    unowned = {key: value for key, value in VALID.items() if key != "owner"}
    own = {**VALID, "metric": "system.cpu.other", "owner": "cpu@example.com"}
    document = {"owner": "hosts@example.com", "metrics": [unowned, own]}
    (tmp_path / "host.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    other, cpu = load_standard_metrics(tmp_path, units)
    assert (other.owner, cpu.owner, cpu.document) == ("cpu@example.com", "hosts@example.com", "host.yaml")


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
