"""Derived metrics of a day: what they are computed from, what blocks them, and that a run again changes nothing."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from deriving_firm import (
    LASTING,
    LOAD,
    PEAK,
    PEAK_SQL,
    SUBSIDIARY,
    build_deriving_firm,
    collect,
    deliver,
    firm_at,
    point,
    series,
    write_model,
)
from small_firm import DAY, SYSTEM, SmallFirm

from omgov_assets.data_management import derivation, derivation_run
from omgov_assets.data_management.derivation import DerivationResult, derive_metrics
from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.model_check import ModelReport
from omgov_assets.model_management.model_findings import ModelFinding
from omgov_assets.quality_policy.violations import DERIVATION_BLOCKED, DERIVED_OUT_OF_RANGE, VIOLATIONS

NEXT_DAY = DAY + timedelta(days=1)
TABLES = ("derived/metric_samples", "derived/metric_instances", VIOLATIONS)
LOAD_SQL = """
SELECT ci_id, MAP {}::MAP(VARCHAR, VARCHAR) AS attributes, count(*) AS sample_count,
    min(value_min) AS value_min, max(value_max) AS value_max, avg(value_mean) AS value_mean
FROM metric_instances
WHERE metric = 'system.cpu.utilization' AND value_mean IS NOT NULL
GROUP BY ci_id
"""
OWN_POINTS = [("10:00:00", 5.0), ("10:07:00", 9.0), ("10:15:00", 2.0), ("23:59:59", 7.5)]
# In seconds, where the standard says milliseconds.
THEIR_POINTS = [("10:00:00", 0.011), ("10:01:00", 0.025)]


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Project and home of a firm whose deliveries of the day are in its lake."""
    root = tmp_path_factory.mktemp("collected")
    built = build_deriving_firm(root)
    deliver(
        built,
        {
            SYSTEM: [series("latency", "A1", "ms", "r1"), series("cpu", "H1", "%")],
            SUBSIDIARY: [series("latency", "A2", "s"), series("cpu", "H2", "%")],
        },
        {
            SYSTEM: [point("latency", "A1", clock, value, "r1") for clock, value in OWN_POINTS],
            SUBSIDIARY: [point("latency", "A2", clock, value) for clock, value in THEIR_POINTS],
        },
    )
    collect(built)
    return root


@pytest.fixture
def firm(collected: Path, tmp_path: Path) -> SmallFirm:
    shutil.copytree(collected, tmp_path, dirs_exist_ok=True)
    return firm_at(tmp_path)


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """No model is checked before it runs: what the run itself makes sure of."""
    monkeypatch.setattr(derivation, "static_findings", lambda _governance: ())


def derive(firm: SmallFirm, metrics: Iterable[str] | None = None) -> dict[str, DerivationResult]:
    results = derive_metrics(firm.lake, firm.governance, DAY, None if metrics is None else list(metrics))
    return {result.metric: result for result in results}


def reason(firm: SmallFirm, metric: str = PEAK) -> str:
    result = derive(firm)[metric]
    assert result.decision == "blocked"
    assert (result.rows, result.instances) == (0, 0)
    return str(result.reason)


def versions(firm: SmallFirm) -> dict[str, int | None]:
    return {table: firm.lake.version(table) for table in TABLES}


def violations(firm: SmallFirm, policy_id: str = DERIVATION_BLOCKED) -> list[tuple[Any, ...]]:
    rows = firm.rows(VIOLATIONS, "policy_id, system, dataset, subject_kind, subject_key, observed")
    return [row[1:] for row in rows if row[0] == policy_id]


def at(clock: str) -> datetime:
    """An instant of the day by the clock of Shanghai."""
    return datetime.fromisoformat(f"{DAY}T{clock}+08:00").astimezone(UTC)


def test_values_are_what_the_points_of_all_systems_give_in_the_unit_of_the_standard(firm: SmallFirm) -> None:
    write_model(firm, PEAK, PEAK_SQL)
    result = derive(firm)[PEAK]
    expected: dict[tuple[str, str, datetime], float] = defaultdict(float)
    for ci, attributes, points, factor in (
        ("A1", '{"device":"r1"}', OWN_POINTS, 1),
        ("A2", "{}", THEIR_POINTS, 1000),
    ):
        for clock, value in points:
            moment = at(clock)
            bucket = moment.replace(minute=moment.minute // 15 * 15, second=0)
            expected[ci, attributes, bucket] = max(expected[ci, attributes, bucket], value * factor)
    found = firm.rows("derived/metric_samples", "ci_id, attributes, observed_at, value")
    assert {(ci, attributes, moment.astimezone(UTC)): value for ci, attributes, moment, value in found} == (
        pytest.approx(dict(expected))
    )
    assert (result.decision, result.rows, result.instances, result.points_left_out) == ("derived", 4, 2, {})


def test_rows_are_of_the_derived_system_and_bear_identity_batch_and_number(firm: SmallFirm) -> None:
    write_model(firm, PEAK, PEAK_SQL)
    derive(firm)
    identity = hashlib.md5(
        "\x1f".join(("derived", PEAK, "A1", '{"device":"r1"}')).encode(), usedforsecurity=False
    ).hexdigest()[:16]
    (batch,) = {row[0] for row in firm.rows("derived/metric_samples", "_batch_id")}
    assert len(batch) == 16
    columns = "_record_no, day, system, source_metric, metric, instance_id"
    rows = firm.rows("derived/metric_samples", columns)
    assert [row[0] for row in rows] == [1, 2, 3, 4]
    assert rows[0][1:] == (DAY, "derived", PEAK, PEAK, identity)


def test_a_derived_series_has_its_profile_in_the_inventory(firm: SmallFirm) -> None:
    write_model(firm, PEAK, PEAK_SQL, interval_s=900)
    derive(firm)
    columns = (
        "ci_id, source_unit, unit, unit_status, interval_s, collector, sample_count, sample_min, value_min, "
        "value_max, value_mean, sample_distinct, first_seen_at, last_seen_at, _record_no"
    )
    first, second = firm.rows("derived/metric_instances", columns)
    assert first == (
        "A1", "ms", "ms", "ok", 900, "omgov", 3, 2.0, 2.0, 9.0, pytest.approx((9 + 2 + 7.5) / 3), 3,
        at("10:00:00"), at("23:45:00"), 1,
    )  # fmt: skip
    assert (second[0], second[6], second[9]) == ("A2", 1, 25.0)


def test_a_derived_series_has_the_identity_that_the_gate_gives_a_delivered_one(firm: SmallFirm) -> None:
    write_model(firm, PEAK, PEAK_SQL)
    derive(firm)

    def identities(table: str) -> set[bool]:
        rows = firm.rows(table, "instance_id, system, source_metric, ci_id, attributes")
        return {
            hashlib.md5("\x1f".join(named).encode(), usedforsecurity=False).hexdigest()[:16] == instance_id
            for instance_id, *named in rows
        }

    assert identities(f"{SYSTEM}/metric_instances") == identities("derived/metric_instances") == {True}


def test_a_model_can_give_series_without_points(firm: SmallFirm) -> None:
    write_model(firm, LOAD, LOAD_SQL, dataset="metric_instances", interval_s=86400)
    result = derive(firm)[LOAD]
    assert (result.rows, result.instances) == (2, 2)
    assert firm.rows("derived/metric_samples") == []
    found = firm.rows("derived/metric_instances", "ci_id, sample_count, value_min, value_max, value_mean, unit")
    assert found == [("H1", 1, 1.0, 90.0, 30.0, "%"), ("H2", 1, 1.0, 90.0, 30.0, "%")]


def test_a_run_again_commits_nothing(firm: SmallFirm) -> None:
    write_model(firm, PEAK, PEAK_SQL.replace("max(value)", "max(value) * 1000"))
    write_model(firm, LOAD, LOAD_SQL, dataset="metric_instances")
    write_model(firm, LASTING, "SELECT 1")
    before = derive(firm)
    held = versions(firm)
    assert all(version is not None for version in held.values())
    after = derive(firm)
    assert versions(firm) == held
    assert [(r.metric, r.decision, r.rows, r.version) for r in after.values()] == [
        (r.metric, r.decision, r.rows, r.version) for r in before.values()
    ]


def test_a_changed_model_replaces_its_own_rows_alone(firm: SmallFirm) -> None:
    write_model(firm, PEAK, PEAK_SQL)
    write_model(firm, LOAD, LOAD_SQL, dataset="metric_instances")
    derive(firm)
    counted = firm.rows("derived/metric_instances", "*")
    write_model(firm, PEAK, PEAK_SQL.replace("max(value)", "min(value)"), version="1.1.0")
    result = derive(firm)[PEAK]
    assert result.model_version == "1.1.0"
    values = [value for (value,) in firm.rows("derived/metric_samples", "value")]
    assert sorted(values) == pytest.approx([2.0, 5.0, 7.5, 11.0])
    kept = [row for row in firm.rows("derived/metric_instances", "*") if row in counted]
    assert len(kept) == 2


def test_a_changed_delivery_derives_anew(firm: SmallFirm) -> None:
    write_model(firm, PEAK, PEAK_SQL)
    derive(firm)
    deliver(firm, {}, {SUBSIDIARY: [point("latency", "A2", "10:00:00", 0.5)]})
    collect(firm)
    derive(firm)
    assert firm.rows("derived/metric_samples", "value")[-1] == (500.0,)


def test_a_model_that_turns_to_series_leaves_no_points(firm: SmallFirm, unchecked: None) -> None:
    write_model(firm, PEAK, PEAK_SQL)
    derive(firm)
    write_model(firm, PEAK, LOAD_SQL, dataset="metric_instances")
    derive(firm)
    assert firm.rows("derived/metric_samples") == []
    assert [ci for (ci,) in firm.rows("derived/metric_instances", "ci_id")] == ["H1", "H2"]


def test_a_metric_whose_model_is_gone_leaves_no_row_and_no_violation(firm: SmallFirm) -> None:
    path = write_model(firm, PEAK, PEAK_SQL)
    broken = write_model(firm, LASTING, "SELECT nothing")
    write_model(firm, LOAD, LOAD_SQL, dataset="metric_instances")
    derive(firm)
    assert [row[3] for row in violations(firm)] == [LASTING]
    path.unlink()
    broken.unlink()
    assert list(derive(firm)) == [LOAD]
    assert {metric for (metric,) in firm.rows("derived/metric_instances", "metric")} == {LOAD}
    assert firm.rows("derived/metric_samples") == []
    assert violations(firm) == []


def test_another_day_is_left_alone(firm: SmallFirm) -> None:
    write_model(firm, PEAK, PEAK_SQL)
    derive(firm)
    (result,) = derive_metrics(firm.lake, firm.governance, NEXT_DAY)
    assert result.decision == "blocked"
    assert len(firm.rows("derived/metric_samples")) == 4


def test_points_that_cannot_be_taken_are_left_out_and_counted(firm: SmallFirm) -> None:
    deliver(
        firm,
        {
            SYSTEM: [
                series("latency", "A1", "ms"),
                series("latency", "A3", None),
                series("latency", "A4", "bogomips"),
                series("latency", "A5", "By"),
            ]
        },
        {
            SYSTEM: [
                point("latency", "A1", "10:00:00", 1.0),
                point("latency", "A1", "2026-11-21 00:00:00", 2.0),
                point("latency", "A1", "2026-11-19 23:59:59", 2.0),
                point("latency", "A3", "10:00:00", 3.0),
                point("latency", "A4", "10:00:00", 4.0),
                point("latency", "A4", "10:01:00", 4.0),
                point("latency", "A5", "10:00:00", 5.0),
                point("latency", "A404", "10:00:00", 6.0),
                point("cpu", "A404", "10:00:00", 6.0),
            ],
        },
    )
    collect(firm)
    write_model(firm, PEAK, PEAK_SQL)
    result = derive(firm)[PEAK]
    assert result.points_left_out == {
        "not_in_inventory": 1, "outside_day": 2, "unit_incompatible": 1, "unit_missing": 1, "unit_unknown": 2,
    }  # fmt: skip
    assert firm.rows("derived/metric_samples", "ci_id, value") == [("A1", 1.0), ("A2", 25.0)]


def test_of_a_point_sent_twice_the_first_record_counts(firm: SmallFirm) -> None:
    twice = [point("latency", "A1", "10:00:00", value, "r1") for value in (3.0, 8.0)]
    deliver(firm, {}, {SYSTEM: twice})
    collect(firm)
    write_model(firm, PEAK, PEAK_SQL.replace("max(value)", "sum(value)"))
    derive(firm)
    assert firm.rows("derived/metric_samples", "ci_id, value")[0] == ("A1", 3.0)


def test_names_in_chinese_are_names(firm: SmallFirm) -> None:
    deliver(
        firm,
        {SYSTEM: [series("交易延迟", "订单-甲", "毫秒", "上海"), series("latency", "A1", "ms", "r1")]},
        {SYSTEM: [point("交易延迟", "订单-甲", "10:00:00", 12.5, "上海")]},
    )
    collect(firm)
    write_model(firm, PEAK, PEAK_SQL.replace("http.server.request.duration", "trading.order.latency"))
    derive(firm)
    assert firm.rows("derived/metric_samples", "ci_id, attributes, value") == [("订单-甲", '{"device":"上海"}', 12.5)]


def test_other_datasets_come_with_the_first_record_of_each_key(firm: SmallFirm) -> None:
    firm.deliver_all(instances=[series("latency", "A1", "ms", "r1")])
    applications = [
        {"ci_id": "A1", "ci_class": "application", "name": name, "status": "in_use"} for name in ("first", "second")
    ]
    firm.deliver("cmdb", "configuration_items", applications)
    firm.collect("cmdb")
    sql = """
        SELECT ci_id, MAP {'name': ci.name} AS attributes, min(observed_at) AS observed_at, max(value) AS value
        FROM metric_samples JOIN configuration_items AS ci USING (ci_id)
        WHERE metric = 'http.server.request.duration' AND ci.day = DATE '2026-11-20' AND ci.system = 'cmdb'
        GROUP BY ci_id, ci.name
    """
    write_model(firm, PEAK, sql)
    derive(firm)
    assert firm.rows("derived/metric_samples", "ci_id, attributes") == [("A1", '{"name":"first"}')]


def test_a_model_may_read_all_metrics_there_are(firm: SmallFirm, unchecked: None) -> None:
    sql = """
        SELECT 'all' AS ci_id, MAP {}::MAP(VARCHAR, VARCHAR) AS attributes, min(observed_at) AS observed_at,
            count(*)::DOUBLE AS value
        FROM metric_samples HAVING count(*) > 0
    """
    write_model(firm, PEAK, sql)
    derive(firm)
    assert firm.rows("derived/metric_samples", "value") == [(float(len(OWN_POINTS) + len(THEIR_POINTS)),)]


def test_a_metric_that_is_not_reported_gives_no_row_and_is_no_fault(firm: SmallFirm) -> None:
    write_model(firm, PEAK, PEAK_SQL.replace("http.server.request.duration", "trading.order.latency"))
    result = derive(firm)[PEAK]
    assert (result.decision, result.rows) == ("derived", 0)
    held = versions(firm)
    derive(firm)
    assert versions(firm) == held


def test_a_firm_without_derive_models_derives_nothing(firm: SmallFirm) -> None:
    assert derive(firm) == {}
    assert firm.lake.version("derived/metric_samples") is None


def test_a_metric_that_no_model_derives_cannot_be_asked_for(firm: SmallFirm) -> None:
    with pytest.raises(ValueError, match=r"no model derives system\.uptime"):
        derive(firm, ["system.uptime"])


def test_no_business_system_may_bear_the_name_of_the_derived_metrics(firm: SmallFirm) -> None:
    other = firm.system_folder.parent / "derived"
    (firm.system_folder.parent / SUBSIDIARY).rename(other)
    definition = other / "defs.yaml"
    definition.write_text(definition.read_text().replace(f"system: {SUBSIDIARY}", "system: derived"))
    with pytest.raises(GovernanceError, match="rename it"):
        _ = firm.governance


# --- Metrics that derive from derived ones ---------------------------------------------------------------------------

LASTING_SQL = f"""
SELECT ci_id, attributes, observed_at, value / 1000 AS value
FROM metric_samples WHERE metric = '{PEAK}' AND system = 'derived'
"""


def test_a_metric_is_derived_after_those_that_it_reads(firm: SmallFirm) -> None:
    # By name it would come first.
    write_model(firm, LASTING, LASTING_SQL)
    write_model(firm, PEAK, PEAK_SQL)
    assert list(derive(firm)) == [PEAK, LASTING]
    rows = firm.rows("derived/metric_samples", "metric, value")
    peaks, lasting = ([value for metric, value in rows if metric == one] for one in (PEAK, LASTING))
    assert lasting == pytest.approx([value / 1000 for value in peaks])


def test_what_derives_from_a_blocked_metric_is_blocked(firm: SmallFirm) -> None:
    write_model(firm, LASTING, LASTING_SQL)
    write_model(firm, PEAK, PEAK_SQL)
    derive(firm)
    write_model(firm, PEAK, "SELECT nothing")
    results = derive(firm)
    assert str(results[LASTING].reason).startswith(f"it derives from {PEAK}, which is blocked itself")
    assert firm.rows("derived/metric_samples") == []
    assert [row[3] for row in violations(firm)] == [LASTING, PEAK]


def test_a_metric_can_be_derived_alone_from_what_was_derived_before(firm: SmallFirm) -> None:
    write_model(firm, LASTING, LASTING_SQL)
    write_model(firm, PEAK, PEAK_SQL)
    assert derive(firm, [LASTING])[LASTING].decision == "blocked"
    derive(firm, [PEAK])
    assert [row[3] for row in violations(firm)] == [LASTING], "what is not derived now keeps what was said of it"
    assert derive(firm, [LASTING])[LASTING].rows == 4
    assert violations(firm) == []


def test_metrics_that_derive_from_each_other_are_both_blocked(firm: SmallFirm) -> None:
    write_model(firm, PEAK, LASTING_SQL.replace(PEAK, LASTING).replace("/", "*"))
    write_model(firm, LASTING, LASTING_SQL)
    results = derive(firm)
    assert {metric: result.decision for metric, result in results.items()} == {PEAK: "blocked", LASTING: "blocked"}
    assert all("[derivation_cycle]" in str(result.reason) for result in results.values())


# --- What blocks -----------------------------------------------------------------------------------------------------


def test_a_critical_finding_blocks_and_says_where(firm: SmallFirm, monkeypatch: pytest.MonkeyPatch) -> None:
    write_model(firm, PEAK, PEAK_SQL)
    write_model(firm, LOAD, LOAD_SQL, dataset="metric_instances")
    where = f"governance/derived_metrics/{PEAK}.sql"
    findings = [
        ModelFinding(where, 12, 4, "unit_differs", "critical", "value is in s", "convert it", PEAK, "x@example.com"),
        ModelFinding(where, 9, 1, "fan_out", "warning", "keys repeat", "group first", LOAD, "x@example.com"),
    ]
    derive(firm)

    report = ModelReport((), tuple(findings))
    monkeypatch.setattr(derivation, "static_findings", lambda _governance: report.findings)
    assert reason(firm) == f"{where}:12:4: value is in s [unit_differs]; convert it"
    assert {metric for (metric,) in firm.rows("derived/metric_instances", "metric")} == {LOAD}
    assert firm.rows("derived/metric_samples") == []


def test_a_day_without_deliveries_blocks(firm: SmallFirm) -> None:
    write_model(firm, PEAK, PEAK_SQL)
    (result,) = derive_metrics(firm.lake, firm.governance, NEXT_DAY)
    assert result.reason is not None
    assert "no system delivered metric_instances" in result.reason
    assert f"{SUBSIDIARY}/metric_instances" in result.reason


def test_a_part_of_the_firm_is_not_the_firm(firm: SmallFirm) -> None:
    write_model(firm, PEAK, PEAK_SQL)
    deliver(
        firm,
        {SYSTEM: [series("latency", "A1", "ms")], SUBSIDIARY: [series("latency", "A2", "s")]},
        {SYSTEM: [point("latency", "A1", f"{NEXT_DAY} 10:00:00", 1.0)]},
        NEXT_DAY,
    )
    collect(firm, NEXT_DAY)
    (result,) = derive_metrics(firm.lake, firm.governance, NEXT_DAY)
    assert result.reason is not None
    assert result.reason.startswith(
        f"{SUBSIDIARY}/metric_samples holds nothing for {NEXT_DAY}: only 1 of 2 systems delivered metric_samples"
    )


def test_a_system_that_maps_nothing_that_is_read_need_not_deliver(firm: SmallFirm) -> None:
    mappings = firm.system_folder.parent / SUBSIDIARY / "metric_mappings.yaml"
    mappings.write_text("mappings:\n  - {match: cpu, metric: system.cpu.utilization}\n")
    write_model(firm, PEAK, PEAK_SQL)
    deliver(
        firm,
        {SYSTEM: [series("latency", "A1", "ms")]},
        {SYSTEM: [point("latency", "A1", f"{NEXT_DAY} 10:00:00", 1.0)]},
        NEXT_DAY,
    )
    collect(firm, NEXT_DAY)
    (result,) = derive_metrics(firm.lake, firm.governance, NEXT_DAY)
    assert (result.decision, result.rows) == ("derived", 1)


def test_a_rule_with_a_placeholder_may_lead_anywhere(firm: SmallFirm) -> None:
    mappings = firm.system_folder.parent / SUBSIDIARY / "metric_mappings.yaml"
    mappings.write_text("mappings:\n  - {regex: 'http_(?P<what>[a-z]+)', metric: 'http.server.request.{what}'}\n")
    write_model(firm, PEAK, PEAK_SQL)
    deliver(firm, {SYSTEM: [series("latency", "A1", "ms")]}, {SYSTEM: []}, NEXT_DAY)
    collect(firm, NEXT_DAY)
    (result,) = derive_metrics(firm.lake, firm.governance, NEXT_DAY)
    assert SUBSIDIARY in str(result.reason)


def test_a_refused_delivery_blocks_with_its_reason(firm: SmallFirm) -> None:
    write_model(firm, PEAK, PEAK_SQL)
    derive(firm)
    deliver(firm, {}, {SUBSIDIARY: []})
    (firm.folder(SUBSIDIARY, "metric_samples") / "metric_samples.csv").write_text("metric,ci\nlatency,A2")
    collect(firm)
    said = reason(firm)
    assert said.startswith(f"{SUBSIDIARY}/metric_samples of {DAY} was refused: ")
    assert f"run {DAY} again" in said
    assert firm.rows("derived/metric_samples") == []


def test_a_dataset_that_nobody_delivers_blocks(firm: SmallFirm) -> None:
    write_model(firm, PEAK, PEAK_SQL)
    for system in (SYSTEM, SUBSIDIARY):
        path = firm.system_folder.parent / system / "metric_mappings.yaml"
        path.write_text("mappings:\n  - {match: cpu, metric: system.cpu.utilization}\n")
    assert "reads http.server.request.duration from metric" in reason(firm)


BROKEN = {
    "does not run: Catalog Error": "SELECT * FROM nowhere",
    "does not run: Binder Error": "SELECT nothing FROM metric_samples",
    "cannot be run: syntax error": "SELECT FROM WHERE",
    "cannot be run: Only SELECT": f"{PEAK_SQL}; DROP TABLE metric_samples",
    "value is missing": "SELECT ci_id, attributes, observed_at FROM metric_samples",
    "value is BIGINT, not DOUBLE": PEAK_SQL.replace("max(value)", "count(*)"),
    "extra is not asked for": PEAK_SQL.replace("max(value) AS value", "max(value) AS value, 1 AS extra"),
    "4 rows, of which 4 have no value": PEAK_SQL.replace("max(value)", "NULL::DOUBLE"),
    "4 have a value that is no finite number": PEAK_SQL.replace("max(value)", "max(value) / 0"),
    "4 lie outside the business day": PEAK_SQL.replace("observed_at)", "observed_at + INTERVAL '1 day')"),
    "2 repeat a ci_id, attributes and observed_at": PEAK_SQL.replace("max(value)", "value").replace("GROUP BY ALL", ""),
    "4 have no ci_id": PEAK_SQL.replace("SELECT ci_id", "SELECT NULL::VARCHAR AS ci_id"),
}


@pytest.mark.parametrize("said", BROKEN)
def test_a_model_that_breaks_its_promise_blocks_its_metric_as_a_whole(
    firm: SmallFirm, unchecked: None, said: str
) -> None:
    write_model(firm, PEAK, PEAK_SQL)
    derive(firm)
    write_model(firm, PEAK, BROKEN[said])
    found = reason(firm)
    assert said in found
    assert "its owner data@example.com corrects it" in found
    assert firm.rows("derived/metric_samples") == []
    assert firm.rows("derived/metric_instances") == []


def test_series_that_break_the_promise_block_as_well(firm: SmallFirm, unchecked: None) -> None:
    sql = LOAD_SQL.replace("GROUP BY ci_id", "GROUP BY ci_id, instance_id").replace(
        "SELECT ci_id", "SELECT 'H' AS ci_id"
    )
    write_model(firm, LOAD, sql, dataset="metric_instances")
    assert "1 repeat a ci_id and attributes" in reason(firm, LOAD)


HOSTILE = (
    "read_text('{secret}')", "read_csv('{secret}')", "'{secret}'", "glob('{folder}/*')", "read_blob('{secret}')",
    "read_parquet('{lake}/**/*.parquet')", "staging.samples", "query('COPY (SELECT 1) TO ''{folder}/out.csv''')",
    "sensitive",
)  # fmt: skip


@pytest.mark.parametrize("source", HOSTILE)
def test_a_model_reaches_nothing_but_its_inputs(firm: SmallFirm, unchecked: None, tmp_path: Path, source: str) -> None:
    sensitive = firm.lake.root  # a variable of this frame is no table either
    secret = tmp_path / "secret.txt"
    secret.write_text("a,b\n1,2\n")
    text = source.format(secret=secret, folder=tmp_path, lake=sensitive)
    write_model(
        firm, PEAK, f"{PEAK_SQL.replace('GROUP BY ALL', f'AND (SELECT count(*) FROM {text}) > 0 GROUP BY ALL')}"
    )
    before = sorted(tmp_path.iterdir())
    assert "does not run: " in reason(firm)
    assert sorted(tmp_path.iterdir()) == before


def test_a_model_without_end_is_given_up(firm: SmallFirm, monkeypatch: pytest.MonkeyPatch) -> None:
    run = derivation_run.run_model
    monkeypatch.setattr(derivation, "run_model", lambda *arguments: run(*arguments, longest_s=0.2))
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i > 0)"
    write_model(firm, PEAK, f"{endless} {PEAK_SQL.replace('GROUP BY', 'AND (SELECT max(i % 7) FROM n) > 0 GROUP BY')}")
    assert "did not end within 0.2 s" in reason(firm)


def test_a_blocked_metric_is_a_violation_until_it_is_derived_again(firm: SmallFirm) -> None:
    write_model(firm, PEAK, "SELECT nothing")
    said = reason(firm)
    assert violations(firm) == [("derived", "metric_samples", "processing_model", PEAK, said)]
    row = firm.rows(VIOLATIONS, "anomaly_type, quality_dimension, severity, metric, source_metric, ci_id")
    assert row == [("derivation_blocked", "completeness", "critical", PEAK, PEAK, None)]
    held = versions(firm)
    derive(firm)
    assert versions(firm) == held
    write_model(firm, PEAK, PEAK_SQL)
    derive(firm)
    assert violations(firm) == []


def test_a_derived_value_outside_the_metrics_range_is_a_violation_of_its_series(firm: SmallFirm) -> None:
    write_model(firm, PEAK, PEAK_SQL.replace("max(value)", "max(value) * 100"))
    result = derive(firm)[PEAK]
    assert result.decision == "derived"
    # 25 ms times 100 is beyond 1000 ms; 9 ms times 100 is not.
    columns = "policy_id, dataset, subject_key, ci_id, metric, observed, expected, severity, batch_id, record_no"
    (found,) = firm.rows(VIOLATIONS, columns)
    ((instance_id, batch, record),) = [
        row[1:]
        for row in firm.rows("derived/metric_instances", "ci_id, instance_id, _batch_id, _record_no")
        if row[0] == "A2"
    ]
    assert found == (
        DERIVED_OUT_OF_RANGE, "metric_instances", instance_id, "A2", PEAK, "min 2500.0, max 2500.0, mean 2500.0",
        "from 0 to 1000 ms", "warning", batch, record,
    )  # fmt: skip
    write_model(firm, PEAK, PEAK_SQL)
    derive(firm)
    assert firm.rows(VIOLATIONS) == []


def test_values_of_a_confidential_metric_are_not_told(firm: SmallFirm) -> None:
    definitions = firm.settings.governance / "standard" / "metric_definitions" / "of_tests.yaml"
    definitions.write_text(definitions.read_text().replace("grade: 2", "grade: 3"))
    write_model(firm, PEAK, PEAK_SQL.replace("max(value)", "max(value) * 100"))
    derive(firm)
    assert firm.rows(VIOLATIONS, "observed") == [("***",)]


def test_the_batch_of_derived_rows_stands_for_model_and_inputs(firm: SmallFirm) -> None:
    write_model(firm, PEAK, PEAK_SQL)
    first = derive(firm)[PEAK]
    (batch,) = set(firm.rows("derived/metric_samples", "_batch_id"))
    write_model(firm, PEAK, PEAK_SQL, version="1.0.1")
    derive(firm)
    assert set(firm.rows("derived/metric_samples", "_batch_id")) != {batch}
    tables = {
        f"{system}/{dataset}" for system in (SYSTEM, SUBSIDIARY) for dataset in ("metric_instances", "metric_samples")
    }
    assert set(json.loads(json.dumps(dict(first.input_versions)))) == tables
