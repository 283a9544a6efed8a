"""The sample firm: its truth against an independent recount, and what makes it fit to measure with."""

from __future__ import annotations

import hashlib
import random
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from recount import recount

from omgov_assets.sample_firm.catalogue import BASELINE, CI_CLASSES, current_slots, load_catalogue, slots_of_class
from omgov_assets.sample_firm.dialects import DIALECTS
from omgov_assets.sample_firm.generate import FirmSummary, generate_firm

DAY = date(2026, 11, 20)
NEXT_DAY = date(2026, 11, 21)
FRESH_SEED = random.SystemRandom().randrange(1_000_000)

OF_INSTANCES = {
    "value_out_of_range", "flat_line", "profile_inconsistent", "unit_missing", "owner_missing",
    "low_sample_count", "attribute_missing", "unit_unknown", "unit_incompatible",
    "interval_mismatch", "unit_mismatch", "undefined_metric", "unknown_ci", "decommissioned_ci",
    "ci_class_mismatch", "owner_inactive", "unit_conflict", "interval_conflict",
    "attribute_conflict", "stale_instance", "future_timestamp", "never_reported",
    "duplicate_instance", "refused_record", "deprecated_metric_in_use", "withdrawn_metric_in_use",
}  # fmt: skip
OF_OTHERS = {
    "ci_decommissioned_reporting", "ci_group_contradiction", "ci_owner_contradiction", "ci_owner_inactive",
    "ci_owner_unknown", "relation_ci_unknown", "relation_class_mismatch", "relation_cycle", "relation_duplicate",
    "definition_unit_missing", "definition_interval_missing", "definition_unit_unknown",
    "definition_unit_incompatible", "unmapped_metric", "definition_duplicate",
    "sample_value_missing", "sample_duplicate", "sample_outside_day", "ci_owner_missing",
    "ci_site_missing", "ci_group_unknown", "ci_duplicate", "ci_unrelated", "definition_type_conflict",
    "missing_baseline_metric", "sample_flat_line", "sample_gap", "sample_clock_step", "sample_counter_reset",
}  # fmt: skip


def firm(out: Path, *, seed: int = 7, days: int = 1, instances: int = 20_000, first_day: date = DAY) -> FirmSummary:
    return generate_firm(out, definitions=2_000, instances=instances, days=days, first_day=first_day, seed=seed)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days of a firm."""
    out = tmp_path_factory.mktemp("firm")
    firm(out, days=2)
    return out


def query(sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as con:
        return con.execute(sql).fetchall()


def truth_of(home: Path, day: date) -> list[tuple[str, str, str, str]]:
    path = home / "truth" / f"{day}.parquet"
    return query(f"SELECT system, dataset, anomaly_type, subject_key FROM '{path}'")


def digests(home: Path, pattern: str = "**/*") -> dict[str, str]:
    return {
        path.relative_to(home).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(home.glob(pattern))
        if path.is_file()
    }


@pytest.mark.parametrize("seed", [pytest.param(7, id="known"), pytest.param(FRESH_SEED, id="fresh")])
def test_the_truth_is_what_a_recount_of_the_deliveries_finds(tmp_path: Path, project_root: Path, seed: int) -> None:
    firm(tmp_path, seed=seed, days=2, instances=30_000)
    for day in (DAY, NEXT_DAY):
        truth = truth_of(tmp_path, day)
        found = recount(tmp_path, project_root, day)
        assert len(truth) == len(set(truth))
        assert sorted(set(truth) - found) == []
        assert sorted(found - set(truth)) == []


def test_every_anomaly_type_occurs(home: Path) -> None:
    found = {anomaly_type for _, _, anomaly_type, _ in truth_of(home, DAY)}
    assert found == OF_INSTANCES | OF_OTHERS


def test_there_are_at_least_fifteen_defects_and_ten_look_alikes(home: Path) -> None:
    ((defects,),) = query(f"SELECT count(DISTINCT defect) FROM '{home}/truth/{DAY}.parquet'")
    ((kinds,),) = query(f"SELECT count(DISTINCT kind) FROM '{home}/truth/look_alikes/{DAY}.parquet'")
    assert defects >= 15
    assert kinds >= 10


def test_no_look_alike_is_what_it_looks_like(home: Path) -> None:
    both = query(
        f"""SELECT * FROM '{home}/truth/look_alikes/{DAY}.parquet' AS l
        JOIN '{home}/truth/{DAY}.parquet' AS t
        ON l.system = t.system AND l.dataset = t.dataset
            AND l.subject_key = t.subject_key AND l.resembles = t.anomaly_type"""
    )
    assert both == []


def test_what_only_seems_to_violate_the_standard_or_the_baseline_is_there(home: Path) -> None:
    kinds = {kind for (kind,) in query(f"SELECT DISTINCT kind FROM '{home}/truth/look_alikes/{DAY}.parquet'")}
    assert kinds >= {
        "deprecated_within_grace", "baseline_reported_elsewhere", "application_of_a_lower_tier",
        "planned_without_baseline", "decommissioned_without_baseline",
    }  # fmt: skip


def test_the_smallest_firm_has_each_contradiction_of_the_cmdb(tmp_path: Path) -> None:
    generate_firm(tmp_path, definitions=1, instances=10_000, days=1, first_day=DAY, seed=FRESH_SEED)
    rows = query(f"SELECT DISTINCT anomaly_type FROM '{tmp_path}/truth/{DAY}.parquet' WHERE system = 'cmdb'")
    assert {name for (name,) in rows} == {name for name in OF_OTHERS if name.startswith(("ci_", "relation_"))} | {
        "missing_baseline_metric"
    }
    kinds = {kind for (kind,) in query(f"SELECT DISTINCT kind FROM '{tmp_path}/truth/look_alikes/{DAY}.parquet'")}
    assert kinds >= {
        "owner_left_of_a_ci_not_in_use", "decommissioned_and_not_reporting", "owner_of_a_dissolved_group",
        "diamond", "leads_into_a_circle", "second_uplink",
    }  # fmt: skip


def test_about_an_eighth_of_the_hosts_is_connected_to_two_devices(home: Path) -> None:
    ((twice, hosts),) = query(
        f"""SELECT count(*) FILTER (devices = 2), count(*) FROM (
            SELECT source_ci_id, count(DISTINCT target_ci_id) AS devices
            FROM '{home}/landing/cmdb/ci_relations/{DAY}/*.csv'
            WHERE relation = 'connected_to' AND source_ci_id LIKE 'HOST-%' GROUP BY ALL)"""
    )
    assert 0.08 < twice / hosts < 0.17


def test_only_expected_instances_are_not_rows(home: Path) -> None:
    for folder, column in (("truth", "anomaly_type"), ("truth/look_alikes", "resembles")):
        rows = query(f"SELECT DISTINCT subject_kind, {column} FROM '{home}/{folder}/{DAY}.parquet'")
        assert {name for kind, name in rows if kind == "expected_instance"} == {"missing_baseline_metric"}
        assert "missing_baseline_metric" not in {name for kind, name in rows if kind == "row"}
        assert {kind for kind, _ in rows} == {"row", "expected_instance"}


def test_the_smallest_firm_has_each_defect_of_standard_and_baseline(tmp_path: Path) -> None:
    generate_firm(tmp_path, definitions=1, instances=10_000, days=1, first_day=DAY, seed=FRESH_SEED)
    rows = query(f"SELECT system, anomaly_type, defect FROM '{tmp_path}/truth/{DAY}.parquet'")
    of_the_largest = {name for system, name, _ in rows if system == DIALECTS[0].system}
    assert of_the_largest >= {
        "deprecated_metric_in_use", "withdrawn_metric_in_use", "definition_type_conflict"
    }  # fmt: skip
    missing = {(system == "cmdb", defect) for system, name, defect in rows if name == "missing_baseline_metric"}
    assert missing - {(False, "unusable_record")} == {
        (True, "ci_never_onboarded"), (False, "agent_without_baseline"), (False, "agent_reports_host_as_database"),
    }  # fmt: skip


def test_what_two_systems_lack_of_a_shared_host_is_missing_in_both(home: Path) -> None:
    rows = query(
        f"""SELECT subject_key, count(DISTINCT system) FROM '{home}/truth/{DAY}.parquet'
        WHERE anomaly_type = 'missing_baseline_metric' GROUP BY ALL"""
    )
    assert {systems for _, systems in rows} == {1, 2}
    assert all(key.startswith("HOST-") for key, systems in rows if systems == 2)


def test_nearly_every_ci_reports_its_baseline(tmp_path: Path) -> None:
    firm(tmp_path, instances=100_000)
    ((missing,),) = query(
        f"""SELECT count(DISTINCT subject_key) FROM '{tmp_path}/truth/{DAY}.parquet'
        WHERE anomaly_type = 'missing_baseline_metric'"""
    )
    ((items,),) = query(
        f"""SELECT count(DISTINCT ci_id) FROM '{tmp_path}/landing/cmdb/configuration_items/{DAY}/*.csv'
        WHERE status = 'in_use' AND ci_class <> 'site'"""
    )
    assert 0.005 < missing / items < 0.03


# 90 days after db.connection.wait.count was deprecated, 30 after network.device.fan.status was withdrawn.
@pytest.mark.parametrize(
    ("last_day", "anomaly_type", "name"),
    [
        (date(2026, 8, 2), "deprecated_metric_in_use", "db.connection.wait.count"),
        (date(2026, 1, 31), "withdrawn_metric_in_use", "network.device.fan.status"),
    ],
)
def test_a_retired_metric_is_an_anomaly_from_the_day_after_its_grace(
    tmp_path: Path, project_root: Path, last_day: date, anomaly_type: str, name: str
) -> None:
    (metric,) = (metric for metric in load_catalogue() if metric.name == name)
    next_day = last_day + timedelta(days=1)
    assert not metric.is_over(last_day)
    assert metric.is_over(next_day)
    firm(tmp_path, first_day=last_day, instances=10_000, days=2)
    before, after = ({row for row in truth_of(tmp_path, day) if row[2] == anomaly_type} for day in (last_day, next_day))
    assert before < after
    for day in (last_day, next_day):
        assert set(truth_of(tmp_path, day)) == recount(tmp_path, project_root, day)


@pytest.mark.parametrize("ci_class", CI_CLASSES)
def test_slots_begin_with_the_baseline_and_end_with_retired_metrics(ci_class: str) -> None:
    metrics = [load_catalogue()[slot.metric] for slot in slots_of_class(ci_class)]
    assert tuple(metric.name for metric in metrics[: len(BASELINE[ci_class])]) == BASELINE[ci_class]
    current = current_slots(ci_class)
    assert [bool(metric.retired) for metric in metrics] == [False] * current + [True] * (len(metrics) - current)
    assert len(metrics) > current


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_firm(tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        firm(tmp_path / name, seed=seed)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    other = digests(tmp_path / "c")
    assert all(
        other[name] != digest for name, digest in digests(tmp_path / "a").items() if "support_groups" not in name
    )


def test_a_day_is_the_same_whichever_day_comes_first(home: Path, tmp_path: Path) -> None:
    firm(tmp_path, first_day=NEXT_DAY)
    assert digests(tmp_path) == digests(home, f"**/*{NEXT_DAY}*") | digests(home, f"landing/*/*/{NEXT_DAY}/*")


def test_no_delivery_is_a_copy_of_the_day_before(home: Path) -> None:
    first = set(digests(home, f"landing/*/*/{DAY}/*").values())
    second = set(digests(home, f"landing/*/*/{NEXT_DAY}/*").values())
    assert len(first) == len(second) == 5 * 3 + 4
    assert first & second == set()


def test_most_anomalies_last_and_some_come_and_go(home: Path) -> None:
    before, after = ({row for row in truth_of(home, day) if "sample" not in row[1]} for day in (DAY, NEXT_DAY))
    assert len(before & after) > 0.85 * len(before)
    assert before - after
    assert after - before


def test_sizes_are_as_asked_for(tmp_path: Path) -> None:
    summary = firm(tmp_path, instances=60_000)
    assert summary.instances == 60_000
    assert summary.definitions == pytest.approx(2_000, rel=0.02)
    assert 0.05 < summary.anomalous_instances / summary.instances < 0.11
    files = f"{tmp_path}/landing/investment_banking/metric_instances/*/*.parquet"
    ((delivered,),) = query(f"SELECT count(*) FROM '{files}'")
    assert delivered == pytest.approx(12_000, rel=0.25)


@pytest.mark.parametrize(
    ("instances", "days", "first_day"), [(9_999, 1, DAY), (20_000, 0, DAY), (20_000, 1, date(2024, 12, 31))]
)
def test_what_no_firm_can_be_made_of_is_refused(tmp_path: Path, instances: int, days: int, first_day: date) -> None:
    with pytest.raises(ValueError, match="is "):
        firm(tmp_path, instances=instances, days=days, first_day=first_day)
    assert list(tmp_path.iterdir()) == []


def test_nothing_half_written_stays_behind(home: Path) -> None:
    assert [path for path in home.rglob("*") if path.name.startswith(".") or path.suffix in {".part", ".utf8"}] == []


def test_people_are_reachable_nowhere(home: Path) -> None:
    rows = query(f"SELECT email, phone FROM '{home}/landing/cmdb/owners/{DAY}/*.csv'")
    assert len(rows) == 900
    assert all(email.endswith("@example.com") and str(phone).startswith("+86 100 0000") for email, phone in rows)


def test_the_catalogue_agrees_with_the_metric_standard(project_root: Path) -> None:
    standard = {
        metric["metric"]: metric
        for path in (project_root / "governance/standard/metric_definitions").glob("*.yaml")
        for metric in yaml.safe_load(path.read_text(encoding="utf-8"))["metrics"]
    }
    known = {metric.name: metric for metric in load_catalogue() if metric.standard}
    # Derived metrics are computed from what the firm delivers.
    derived = {path.stem for path in (project_root / "governance/derived_metrics").glob("*.sql")}
    assert known.keys() == standard.keys() - derived
    for name, metric in known.items():
        told = standard[name]
        assert (metric.unit, metric.instrument, metric.value_type, metric.interval_s) == (
            told["unit"], told["instrument"], told["value_type"], told["interval_s"],
        )  # fmt: skip
        assert (metric.valid_min, metric.valid_max) == (told.get("valid_min"), told.get("valid_max"))
        assert list(metric.ci_classes) == told["ci_classes"]
        assert list(metric.required_attributes) == told.get("required_attributes", [])
        assert metric.varies == told.get("varies", True)
        stability = told.get("stability", "stable")
        assert metric.retired == (stability if stability in {"deprecated", "withdrawn"} else "")
        if metric.retired:
            assert (metric.since, metric.grace_days) == (told["since"], told.get("grace_days", 90))


def test_the_baseline_agrees_with_that_of_the_firm(project_root: Path) -> None:
    text = (project_root / "governance/standard/baseline_metrics.yaml").read_text(encoding="utf-8")
    decided = {
        (rule["ci_class"], metric, tuple(rule.get("tiers", ())))
        for rule in yaml.safe_load(text)["baselines"]
        for metric in rule["metrics"]
    }
    of_tier_1 = "http.server.request.rate"
    known = {
        (ci_class, metric, (1,) if metric == of_tier_1 else ())
        for ci_class, metrics in BASELINE.items()
        for metric in metrics
    }
    assert known == decided


def test_usual_values_lie_within_the_limits() -> None:
    for metric in load_catalogue():
        assert metric.typical_min <= metric.typical_max
        assert metric.valid_min is None or metric.valid_min <= metric.typical_min
        assert metric.valid_max is None or metric.typical_max <= metric.valid_max


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.system)
def test_every_usual_spelling_means_the_unit_of_the_metric(project_root: Path, dialect: object) -> None:
    text = (project_root / "governance/standard/unit_spellings.yaml").read_text(encoding="utf-8")
    spellings = yaml.safe_load(text)["spellings"]
    assert dialect in DIALECTS
    for ucum, pair in dialect.units.items():  # type: ignore[attr-defined]
        assert {spellings.get(spelling, spelling) for spelling in pair} == {ucum}
    for other in dialect.others.values():  # type: ignore[attr-defined]
        assert spellings.get(other.spelling, other.spelling) == other.ucum
