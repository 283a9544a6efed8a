"""Control information as tables of the day."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from small_firm import DAY, SYSTEM, SmallFirm, build_small_firm

from omgov_assets.model_management.control import (
    BASELINE_METRICS,
    DELETED,
    DOCUMENTS,
    METRIC_MAPPINGS,
    NOTHING_KNOWN,
    PROCESSING_MODELS,
    STANDARD_METRICS,
    deleted_metrics,
    document_kind,
    publish_baseline_metrics,
    publish_documents,
    publish_metric_mappings,
    publish_processing_models,
    publish_standard_metrics,
    published_rows,
)
from omgov_assets.model_management.documents import content_hash
from omgov_assets.model_management.provenance import Provenance
from omgov_assets.quality_policy.policies import load_policy_set
from omgov_assets.quality_policy.publication import QUALITY_POLICIES, publish_quality_policies

NEXT_DAY = DAY + timedelta(days=1)
HOST = "governance/standard/metric_definitions/host.yaml"
MAPPINGS = f"governance/systems/{SYSTEM}/metric_mappings.yaml"
WANG = Provenance("王芳 <wang@example.com>", "abc1234", datetime(2026, 11, 1, 8, tzinfo=UTC))


@pytest.fixture
def firm(tmp_path: Path) -> SmallFirm:
    return build_small_firm(tmp_path)


def rows(firm: SmallFirm, table: str, day: date = DAY) -> list[dict[str, Any]]:
    return published_rows(firm.lake, table, day)


def edit(firm: SmallFirm, path: str, before: str, after: str) -> None:
    file = firm.settings.project / path
    text = file.read_text(encoding="utf-8")
    assert text.count(before) == 1
    file.write_text(text.replace(before, after), encoding="utf-8")


def delete_metric(firm: SmallFirm, metric: str) -> None:
    """Take a definition out of the file that holds it."""
    for file in (firm.settings.governance / "standard" / "metric_definitions").glob("*.yaml"):
        head, *items = file.read_text(encoding="utf-8").split("  - metric: ")
        kept = [item for item in items if item.split("\n", 1)[0] != metric]
        if len(kept) < len(items):
            file.write_text("  - metric: ".join([head, *kept]), encoding="utf-8")
            return
    raise AssertionError(metric)


def test_every_file_of_the_project_is_a_document_of_the_day(firm: SmallFirm) -> None:
    count = publish_documents(firm.lake, firm.governance, DAY, {HOST: WANG})
    found = {row["path"]: row for row in rows(firm, DOCUMENTS)}
    project = firm.settings.project
    files = [path for folder in ("governance", "expectations") for path in (project / folder).rglob("*")]
    assert set(found) == {path.relative_to(project).as_posix() for path in files if path.is_file()}
    assert count == len(found)
    host = found[HOST]
    text = (project / HOST).read_text(encoding="utf-8")
    assert (host["kind"], host["version"], host["content_hash"], host["size"]) == (
        "metric_definitions", None, content_hash(text), len(text.encode()),
    )  # fmt: skip
    assert (host["author"], host["commit"], host["committed_at"]) == (WANG.author, WANG.commit, WANG.committed_at)
    contract = found[f"governance/systems/{SYSTEM}/metric_instances.odcs.yaml"]
    model = found[f"governance/systems/{SYSTEM}/metric_instances.sql"]
    assert [(row["kind"], row["version"], row["author"]) for row in (contract, model)] == [
        ("data_contract", "1.0.0", None), ("processing_model", "1.0.0", None),
    ]  # fmt: skip
    assert not [row for row in found.values() if row["kind"] == "other"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("governance/firm.yaml", "firm"),
        ("governance/systems/a/defs.yaml", "business_system"),
        ("governance/systems/a/owners.odcs.yaml", "data_contract"),
        ("governance/systems/a/policy_views/owners.sql", "policy_view"),
        ("governance/standard/policy_views/shared/baseline.sql", "policy_view"),
        ("governance/standard/baseline_metrics.yaml", "baseline_metrics"),
        ("governance/standard/glossary.yaml", "glossary"),
        ("expectations/a/owners.json", "quality_policies"),
        ("governance/notes.txt", "other"),
    ],
)
def test_a_file_is_of_the_kind_that_its_place_says(path: str, kind: str) -> None:
    assert document_kind(path) == kind


def test_a_file_that_is_no_text_is_a_document_too(firm: SmallFirm) -> None:
    (firm.settings.governance / "picture.png").write_bytes(b"\x89PNG\xff\x00")
    publish_documents(firm.lake, firm.governance, DAY)
    (row,) = (row for row in rows(firm, DOCUMENTS) if row["path"] == "governance/picture.png")
    assert (row["kind"], row["size"]) == ("other", 6)


def test_a_metric_names_its_file_its_author_and_its_owner(firm: SmallFirm) -> None:
    publish_standard_metrics(firm.lake, firm.governance, DAY, {HOST: WANG})
    found = {row["metric"]: row for row in rows(firm, STANDARD_METRICS)}
    assert set(found) == {metric.metric for metric in firm.governance.metrics}
    metric = found["system.cpu.utilization"]
    assert (metric["document"], metric["author"], metric["stability"]) == (HOST, WANG.author, "stable")
    assert metric["content_hash"] == firm.governance.metrics_hash
    retired = next(row for row in found.values() if row["stability"] == "deprecated" and row["renamed_to"])
    assert isinstance(retired["since"], date)
    assert retired["renamed_to"] in found


def test_a_deleted_metric_is_published_as_withdrawn_since_it_was_missed_and_stays_so(firm: SmallFirm) -> None:
    publish_standard_metrics(firm.lake, firm.governance, DAY)
    delete_metric(firm, "system.uptime")
    for day in (NEXT_DAY, NEXT_DAY, NEXT_DAY + timedelta(days=1)):
        publish_standard_metrics(firm.lake, firm.governance, day)
        (row,) = (row for row in rows(firm, STANDARD_METRICS, day) if row["metric"] == "system.uptime")
        assert (row["day"], row["stability"], row["since"], row["reason"]) == (day, "withdrawn", NEXT_DAY, DELETED)
        assert [gone["metric"] for gone in deleted_metrics(firm.lake, firm.governance, day)] == ["system.uptime"]
    # The day before is as it was, also where it is published again without the metric having been there before it.
    (row,) = (row for row in rows(firm, STANDARD_METRICS) if row["metric"] == "system.uptime")
    assert row["stability"] == "stable"


def test_a_withdrawn_metric_that_is_deleted_keeps_its_day_and_its_reason(firm: SmallFirm) -> None:
    publish_standard_metrics(firm.lake, firm.governance, DAY)
    before = next(row for row in rows(firm, STANDARD_METRICS) if row["stability"] == "withdrawn")
    delete_metric(firm, before["metric"])
    publish_standard_metrics(firm.lake, firm.governance, NEXT_DAY)
    (after,) = (row for row in rows(firm, STANDARD_METRICS, NEXT_DAY) if row["metric"] == before["metric"])
    assert {name: after[name] for name in ("since", "reason", "stability")} == {
        name: before[name] for name in ("since", "reason", "stability")
    }


def test_a_metric_that_comes_back_is_what_the_standard_says(firm: SmallFirm) -> None:
    publish_standard_metrics(firm.lake, firm.governance, DAY)
    kept = (firm.settings.project / HOST).read_text(encoding="utf-8")
    delete_metric(firm, "system.uptime")
    publish_standard_metrics(firm.lake, firm.governance, NEXT_DAY)
    (firm.settings.project / HOST).write_text(kept, encoding="utf-8")
    last = NEXT_DAY + timedelta(days=1)
    publish_standard_metrics(firm.lake, firm.governance, last)
    (row,) = (row for row in rows(firm, STANDARD_METRICS, last) if row["metric"] == "system.uptime")
    assert (row["stability"], row["since"], row["reason"]) == ("stable", None, None)


def test_mappings_are_published_in_order_with_all_that_a_rule_says(firm: SmallFirm) -> None:
    (firm.settings.project / MAPPINGS).write_text(
        "mappings:\n"
        "  - {match: cpu, metric: system.cpu.utilization, unit: '%'}\n"
        "  - regex: if_(?P<iface>[a-z0-9]+)_in\n"
        "    metric: network.interface.io\n"
        "    attributes: {network.interface: '{iface}', direction: receive}\n"
        "    overrides: true\n"
    )
    publish_metric_mappings(firm.lake, firm.governance, DAY, {MAPPINGS: WANG})
    first, second = rows(firm, METRIC_MAPPINGS)
    assert (first["position"], first["match"], first["regex"], first["unit"], first["attributes"]) == (
        1, "cpu", None, "%", None,
    )  # fmt: skip
    assert (second["position"], second["match"], second["regex"], second["overrides"]) == (
        2, None, "if_(?P<iface>[a-z0-9]+)_in", True,
    )  # fmt: skip
    assert second["attributes"] == '{"direction": "receive", "network.interface": "{iface}"}'
    assert {(row["document"], row["author"]) for row in (first, second)} == {(MAPPINGS, WANG.author)}


def test_models_are_published_with_version_owner_and_a_hash_of_the_sql_alone(firm: SmallFirm) -> None:
    publish_processing_models(firm.lake, firm.governance, DAY)
    before = {(row["system"], row["dataset"]): row for row in rows(firm, PROCESSING_MODELS)}
    assert set(before) == {(s.name, d) for s in firm.governance.systems.values() for d in s.datasets}
    edit(firm, f"governance/systems/{SYSTEM}/metric_definitions.sql", "version: 1.0.0", "version: 1.1.0")
    publish_processing_models(firm.lake, firm.governance, NEXT_DAY)
    after = {(row["system"], row["dataset"]): row for row in rows(firm, PROCESSING_MODELS, NEXT_DAY)}
    key = (SYSTEM, "metric_definitions")
    assert (after[key]["version"], after[key]["kind"], after[key]["owner"]) == ("1.1.0", "conform", "data@example.com")
    assert after[key]["sql_hash"] == before[key]["sql_hash"]
    assert after[key]["content_hash"] != before[key]["content_hash"]


def test_a_derive_model_is_published_with_its_metric_and_sql(firm: SmallFirm) -> None:
    folder = firm.settings.governance / "derived_metrics"
    folder.mkdir()
    header = "kind: derive\ndataset: metric_samples\nversion: 2.0.0\nowner: data@example.com\ndescription: Most.\n"
    window = "metric: system.cpu.peak\ninterval_s: 300\nwindow_s: 600\n"
    document = "governance/derived_metrics/system.cpu.peak.sql"
    (folder / "system.cpu.peak.sql").write_text(f"/* ---\n{header}{window}--- */\nSELECT 1 AS 值\n", encoding="utf-8")
    publish_processing_models(firm.lake, firm.governance, DAY, {document: WANG})
    (row,) = (row for row in rows(firm, PROCESSING_MODELS) if row["kind"] == "derive")
    assert (row["system"], row["dataset"], row["metric"]) == ("derived", "metric_samples", "system.cpu.peak")
    assert (row["version"], row["sql"], row["author"]) == ("2.0.0", "SELECT 1 AS 值", WANG.author)
    assert all(
        row["metric"] is None and row["sql"] for row in rows(firm, PROCESSING_MODELS) if row["kind"] == "conform"
    )
    publish_documents(firm.lake, firm.governance, DAY)
    (published,) = (row for row in rows(firm, DOCUMENTS) if row["path"] == document)
    assert (published["kind"], published["version"]) == ("processing_model", "2.0.0")


def test_baselines_are_one_row_per_class_tier_and_metric(firm: SmallFirm) -> None:
    (firm.settings.governance / "standard" / "baseline_metrics.yaml").write_text(
        "baselines:\n"
        "  - {ci_class: host, metrics: [system.cpu.utilization, system.uptime]}\n"
        "  - {ci_class: application, tiers: [1, 2], metrics: [app.availability]}\n"
    )
    assert publish_baseline_metrics(firm.lake, firm.governance, DAY) == 4
    assert [(row["ci_class"], row["tier"], row["metric"]) for row in rows(firm, BASELINE_METRICS)] == [
        ("host", None, "system.cpu.utilization"),
        ("host", None, "system.uptime"),
        ("application", 1, "app.availability"),
        ("application", 2, "app.availability"),
    ]


def test_a_policy_names_the_suite_that_holds_it(firm: SmallFirm) -> None:
    project = firm.settings.project
    own = project / "expectations" / SYSTEM / "metric_instances.json"
    own.parent.mkdir()
    suite = json.loads((project / "expectations" / "metric_instances.json").read_text(encoding="utf-8"))
    policy = suite["expectations"][0]
    policy["meta"]["policy_id"] = "metric_instances.of_this_system"
    own.write_text(json.dumps({"name": "own", "expectations": [policy]}), encoding="utf-8")
    policy_set = load_policy_set(project, SYSTEM, "metric_instances")
    known = {f"expectations/{SYSTEM}/metric_instances.json": WANG}
    assert publish_quality_policies(firm.lake, [policy_set], DAY, project, known) == len(policy_set.policies)
    found = {row["policy_id"]: row for row in rows(firm, QUALITY_POLICIES)}
    added = found.pop("metric_instances.of_this_system")
    assert (added["document"], added["author"]) == (f"expectations/{SYSTEM}/metric_instances.json", WANG.author)
    assert {(row["document"], row["author"]) for row in found.values()} == {
        ("expectations/metric_instances.json", None)
    }


def test_a_day_published_again_is_written_only_where_it_changed(firm: SmallFirm) -> None:
    publishers = {
        DOCUMENTS: publish_documents,
        STANDARD_METRICS: publish_standard_metrics,
        METRIC_MAPPINGS: publish_metric_mappings,
        PROCESSING_MODELS: publish_processing_models,
    }

    def publish(day: date) -> dict[str, int | None]:
        for function in publishers.values():
            function(firm.lake, firm.governance, day, NOTHING_KNOWN)
        return {table: firm.lake.version(table) for table in publishers}

    first = publish(DAY)
    assert publish(DAY) == first
    edit(firm, MAPPINGS, "cpu,", "cpu_load,")
    second = publish(DAY)
    assert {table for table in publishers if second[table] != first[table]} == {METRIC_MAPPINGS, DOCUMENTS}
    # Nothing changed since, yet each day has its rows.
    publish(NEXT_DAY)
    assert all(firm.lake.has_day(table, NEXT_DAY) for table in publishers)


def test_a_baseline_that_was_removed_is_no_longer_published(firm: SmallFirm) -> None:
    path = firm.settings.governance / "standard" / "baseline_metrics.yaml"
    path.write_text("baselines:\n  - {ci_class: host, metrics: [system.uptime]}\n")
    publish_baseline_metrics(firm.lake, firm.governance, DAY)
    path.unlink()
    assert publish_baseline_metrics(firm.lake, firm.governance, DAY) == 0
    assert rows(firm, BASELINE_METRICS) == []
