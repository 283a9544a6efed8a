"""A model among others: metrics, derivations, owners, cost; what a report says; the repository's own models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from model_desk import CONFORM, DERIVED, Desk

from omgov_assets.model_management.governance import load_governance
from omgov_assets.model_management.model_check import (
    CODES,
    check_models,
    derive_order,
    input_tables,
    model_names,
    severity_of,
)

Samples = Callable[..., str]
OTHER = "app.request.slow.utilization"


def _of(metric: str) -> str:
    return f"WHERE metric = '{metric}'"


def test_a_metric_outside_the_standard_is_found_where_it_is_named(desk: Desk, points: Samples) -> None:
    desk.derive(points(_of("http.server.eror.utilization")))
    (finding,) = desk.report(DERIVED).findings
    assert (finding.code, finding.line) == ("unknown_metric", 18)
    assert "http.server.error.utilization" in finding.remedy


@pytest.mark.parametrize(
    "condition",
    [
        "metric IN ('http.server.error.utilization', 'no.such.metric')",
        "metric = 'http.server.error.utilization' AND 'no.such.metric' <> metric",
        "CASE metric WHEN 'no.such.metric' THEN true ELSE false END",
        "metric = 'http.server.error.utilization' OR (s.metric = 'no.such.metric')",
    ],
)
def test_metrics_are_found_in_every_kind_of_comparison(desk: Desk, points: Samples, condition: str) -> None:
    assert desk.of_derive(points(f"WHERE {condition}")) == ["unknown_metric"]


def test_literals_compared_with_other_columns_are_no_metrics(desk: Desk, points: Samples) -> None:
    rest = _of("http.server.error.utilization") + " AND s.system = 'no.such.metric' AND s.ci_id IN ('no.such.metric')"
    assert desk.of_derive(points(rest)) == []


def test_source_names_in_a_conform_model_are_no_standard_metrics(desk: Desk) -> None:
    name = "institutional_trading/metric_samples"
    sql = (desk.project / "governance/systems" / f"{name}.sql").read_text("utf-8").partition("--- */")[2]
    desk.conform(sql + "\nWHERE metric <> 'no.such.metric'", name=name)
    assert desk.found(name) == []


def test_a_derived_metric_that_is_not_in_the_standard_is_found_in_the_header(desk: Desk, points: Samples) -> None:
    desk.derive(points(), metric="no.such.metric")
    assert desk.found("no.such.metric") == [("unknown_metric", 7)]


def test_a_retired_metric_is_a_warning_where_it_is_read(desk: Desk, points: Samples) -> None:
    retired = next(metric for metric in load_governance(desk.project).metrics if metric.retired)
    desk.standard_metric(unit=retired.unit)
    desk.derive(points(_of(retired.metric)), window_s=86_400 * 2)
    (finding,) = desk.report(DERIVED).findings
    assert (finding.code, finding.severity, finding.line) == ("retired_metric", "warning", 18)
    desk.derive(points(f"WHERE metric <> '{retired.metric}'"), window_s=86_400 * 2)
    assert desk.found(DERIVED) == []


@pytest.mark.parametrize(("window_s", "found"), [(119, [("window_too_short", 9)]), (120, [])])
def test_a_window_holds_two_intervals_of_what_is_read(
    desk: Desk, points: Samples, window_s: int, found: list[tuple[str, int]]
) -> None:
    desk.derive(points(), window_s=window_s)
    assert desk.found(DERIVED) == found


def test_a_circle_of_derived_metrics_is_found_in_each_and_order_leaves_it_alone(desk: Desk, points: Samples) -> None:
    desk.derive(points(_of(OTHER)))
    desk.derive(points(_of(DERIVED)), metric=OTHER)
    text = (desk.project / "governance/standard/metric_definitions/made.yaml").read_text("utf-8")
    entry = text.partition("metrics:\n")[2].replace(DERIVED, OTHER)
    desk.write("governance/standard/metric_definitions/made.yaml", text + entry.lstrip("\n"))
    assert [code for code, _ in desk.found(DERIVED, OTHER)] == ["derivation_cycle", "derivation_cycle"]
    governance = load_governance(desk.project)
    assert len(derive_order(governance)) == 2


def test_derive_models_come_after_those_they_read(desk: Desk, points: Samples) -> None:
    desk.derive(points(_of(OTHER)))
    desk.derive(points(), metric=OTHER)
    text = (desk.project / "governance/standard/metric_definitions/made.yaml").read_text("utf-8")
    entry = text.partition("metrics:\n")[2].replace(DERIVED, OTHER)
    desk.write("governance/standard/metric_definitions/made.yaml", text + entry.lstrip("\n"))
    assert [model.header.metric for model in derive_order(load_governance(desk.project))] == [OTHER, DERIVED]
    assert desk.found(DERIVED, OTHER) == []


def test_a_metric_that_reads_itself_is_a_circle(desk: Desk, points: Samples) -> None:
    assert desk.of_derive(points(_of(DERIVED))) == ["derivation_cycle"]


def test_a_metric_that_a_system_delivers_is_not_to_be_derived(desk: Desk, points: Samples) -> None:
    delivered = "http.server.error.utilization"
    desk.derive(points(_of("db.connection.utilization")), metric=delivered)
    assert desk.found(delivered) == [("duplicate_output", 7)]


@pytest.mark.parametrize(
    ("owners", "codes"),
    [
        (None, []),
        ({"a@example.com": True}, []),
        ({"A@Example.com": True}, []),
        ({"a@example.com": False}, ["owner_inactive"]),
        ({"b@example.com": True}, ["owner_unknown"]),
        ({}, ["owner_unknown"]),
    ],
)
def test_owners_are_judged_where_they_are_given(
    desk: Desk, samples: Samples, owners: dict[str, bool] | None, codes: list[str]
) -> None:
    desk.conform(samples())
    found = desk.found(CONFORM, owners=owners)
    assert found == [(code, 5) for code in codes]


def test_cost_is_information_by_the_rows_of_each_mention(desk: Desk, points: Samples, samples: Samples) -> None:
    rest = "WHERE metric = 'http.server.error.utilization' AND s.ci_id IN (SELECT ci_id FROM metric_samples)"
    desk.derive(points(rest))
    rows = {"metric_samples": 600}
    assert desk.found(DERIVED, rows=rows, rows_limit=1_200) == []
    (finding,) = desk.report(DERIVED, rows=rows, rows_limit=1_199).findings
    assert (finding.code, finding.severity) == ("costly", "info")
    assert desk.report(DERIVED, rows=rows).models[0].rows_scanned == 1_200
    assert desk.report(DERIVED, rows={"owners": 5}).models[0].rows_scanned is None
    desk.conform(samples())
    assert desk.report(CONFORM, rows={CONFORM: 7, "metric_samples": 600}).models[0].rows_scanned == 7


def test_pairs_that_no_equality_ties_are_counted(desk: Desk, points: Samples) -> None:
    tied = "WHERE metric = 'http.server.error.utilization' AND EXISTS (SELECT 1 FROM owners AS o WHERE {})"
    rows = {"metric_samples": 600, "owners": 600}
    desk.derive(points(tied.format("o.owner_id < s.ci_id")))
    assert [code for code, _ in desk.found(DERIVED, rows=rows, rows_limit=10_000)] == ["costly"]
    desk.derive(points(tied.format("o.owner_id = s.ci_id")))
    assert desk.found(DERIVED, rows=rows, rows_limit=10_000) == []


def test_a_summary_says_what_a_model_reads_and_gives(desk: Desk, points: Samples) -> None:
    source = "metric_samples AS s JOIN configuration_items AS c ON c.ci_id = s.ci_id"
    desk.derive(points("WHERE s.metric = 'http.server.error.utilization'", source))
    (summary,) = desk.report(DERIVED).models
    assert summary.inputs == ("configuration_items", "metric_samples")
    assert summary.metrics == ("http.server.error.utilization",)
    assert dict(summary.columns)["value"] == "DOUBLE"
    assert (summary.name, summary.kind, summary.owner) == (DERIVED, "derive", "a@example.com")


def test_what_a_derive_model_sees_has_the_columns_of_the_standard(desk: Desk, points: Samples) -> None:
    desk.derive(points())
    governance = load_governance(desk.project)
    tables = {table.name: table for table in input_tables(governance, governance.derived[0])}
    assert [column.name for column in tables["metric_samples"].columns] == [
        "system", "instance_id", "metric", "ci_id", "attributes", "observed_at", "value",
    ]  # fmt: skip
    names = [column.name for column in tables["configuration_items"].columns]
    assert {"day", "system", "ci_id"} <= set(names)
    assert not {"_batch_id", "_record_no"} & set(names)
    assert tables["configuration_items"].keys == (frozenset({"ci_id"}),)


def test_every_code_has_a_severity_and_a_meaning() -> None:
    assert len(CODES) == 32
    assert {severity_of(code) for code in CODES} == {"critical", "warning", "info"}


@pytest.mark.parametrize("project", [".", "examples/wikimedia"])
def test_the_repositorys_own_models_are_sound(project_root: Path, project: str) -> None:
    governance = load_governance(project_root / project)
    report = check_models(governance)
    assert {summary.name for summary in report.models} == set(model_names(governance))
    assert report.findings == ()
