"""What changed in the control information between two days."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_firm import DAY, SYSTEM, SmallFirm, build_small_firm
from typer.testing import CliRunner

from omgov_assets.cli.control import control_app
from omgov_assets.model_management.contract_publication import publish_data_contracts
from omgov_assets.model_management.control import (
    publish_baseline_metrics,
    publish_documents,
    publish_metric_mappings,
    publish_processing_models,
    publish_standard_metrics,
)
from omgov_assets.model_management.control_diff import CONTROL_TABLES, compare, control_diff, publication
from omgov_assets.model_management.provenance import Provenance
from omgov_assets.quality_policy.policies import load_policy_set
from omgov_assets.quality_policy.publication import publish_quality_policies

NEXT_DAY = DAY + timedelta(days=1)
STANDARD = "governance/standard/metric_definitions/host.yaml"
MAPPINGS = CONTROL_TABLES["metric_mappings"]


@pytest.fixture
def firm(tmp_path: Path) -> SmallFirm:
    return build_small_firm(tmp_path)


def publish(firm: SmallFirm, day: Any, provenance: dict[str, Provenance] | None = None) -> None:
    """Publish all control information of a firm."""
    known = provenance or {}
    for function in (
        publish_documents,
        publish_standard_metrics,
        publish_metric_mappings,
        publish_processing_models,
        publish_baseline_metrics,
        publish_data_contracts,
    ):
        function(firm.lake, firm.governance, day, known)
    project = firm.settings.project
    policy_sets = [
        load_policy_set(project, system.name, dataset)
        for system in firm.governance.systems.values()
        for dataset in system.datasets
    ]
    publish_quality_policies(firm.lake, policy_sets, day, project, known)


def rule(position: int, match: str, metric: str = "m", **fields: Any) -> dict[str, Any]:
    return {"day": DAY, "system": "s", "position": position, "match": match, "regex": None, "metric": metric, **fields}


def told(firm: SmallFirm, table: str) -> list[tuple[str, ...]]:
    return [tuple(row.values())[1:] for row in control_diff(firm.lake, DAY, NEXT_DAY, [table])]


def change(firm: SmallFirm, path: str, edit: Callable[[str], str]) -> None:
    file = firm.settings.project / path
    text = file.read_text(encoding="utf-8")
    changed = edit(text)
    assert changed != text
    file.write_text(changed, encoding="utf-8")


def test_two_days_of_the_same_control_information_differ_in_nothing(firm: SmallFirm) -> None:
    publish(firm, DAY)
    publish(firm, NEXT_DAY)
    assert control_diff(firm.lake, DAY, NEXT_DAY) == []


def test_a_new_author_of_a_file_shows_for_the_file_and_not_for_each_of_its_rows(firm: SmallFirm) -> None:
    publish(firm, DAY, {STANDARD: Provenance("a", "1", None)})
    publish(firm, NEXT_DAY, {STANDARD: Provenance("b", "2", None)})
    assert control_diff(firm.lake, DAY, NEXT_DAY) == [
        {
            "table": "documents", "key": STANDARD, "change": "changed", "field": "author", "before": "a", "after": "b",
        }
    ]  # fmt: skip


def test_each_kind_of_control_information_tells_what_changed_in_it(firm: SmallFirm) -> None:
    publish(firm, DAY)
    system = f"governance/systems/{SYSTEM}"
    change(firm, STANDARD, lambda text: text.replace("interval_s: 60", "interval_s: 30", 1))
    change(firm, f"{system}/metric_mappings.yaml", lambda text: f"{text}  - {{match: mem, metric: system.uptime}}\n")
    change(firm, f"{system}/metric_definitions.sql", lambda text: text.replace("1.0.0", "1.1.0"))
    change(
        firm,
        f"{system}/metric_instances.odcs.yaml",
        lambda text: text.replace("version: 1.0.0", "version: 2.0.0").replace(
            "physicalType: DOUBLE", "physicalType: VARCHAR", 1
        ),
    )
    change(
        firm,
        "expectations/metric_instances.json",
        lambda text: text.replace('"severity": "critical"', '"severity": "info"', 1),
    )
    (firm.settings.governance / "standard" / "baseline_metrics.yaml").write_text(
        "baselines:\n  - {ci_class: host, metrics: [system.uptime]}\n"
    )
    publish(firm, NEXT_DAY)
    ((metric, *what),) = told(firm, "standard_metrics")
    assert (metric.startswith("system."), what) == (True, ["changed", "interval_s", "60", "30"])
    assert told(firm, "metric_mappings") == [(f"{SYSTEM}|mem", "added", "metric", None, "system.uptime")]
    assert (f"{SYSTEM}|metric_definitions|conform", "changed", "version", "1.0.0", "1.1.0") in told(
        firm, "processing_models"
    )
    assert told(firm, "baseline_metrics") == [("host|system.uptime", "added", "metric", None, "system.uptime")]
    ((policy, *what),) = told(firm, "quality_policies")
    assert (policy.startswith(f"{SYSTEM}|metric_instances|"), what) == (
        True,
        ["changed", "severity", "critical", "info"],
    )
    contract = f"{SYSTEM}|metric_instances"
    assert (contract, "changed", "version", "1.0.0", "2.0.0") in told(firm, "data_contracts")
    assert [
        row
        for row in told(firm, "data_contracts")
        if row[:2] == (contract, "changed") and row[3:] == ("DOUBLE", "VARCHAR")
    ], told(firm, "data_contracts")
    assert {row[0] for row in told(firm, "documents")} == {
        STANDARD, f"{system}/metric_mappings.yaml", f"{system}/metric_definitions.sql",
        f"{system}/metric_instances.odcs.yaml", "expectations/metric_instances.json",
        "governance/standard/baseline_metrics.yaml",
    }  # fmt: skip


def test_a_refused_contract_shows_as_refused_and_its_published_definition_as_unchanged(firm: SmallFirm) -> None:
    publish(firm, DAY)
    path = f"governance/systems/{SYSTEM}/metric_instances.odcs.yaml"
    change(firm, path, lambda text: text.replace("physicalType: DOUBLE", "physicalType: VARCHAR", 1))
    publish(firm, NEXT_DAY)
    found = {row[2]: row[3:] for row in told(firm, "data_contracts")}
    assert found["decision"] == ("published", "refused")
    assert set(found) == {"decision", "reason"}


def test_the_other_way_round_what_was_added_was_removed(firm: SmallFirm) -> None:
    publish(firm, DAY)
    change(
        firm,
        f"governance/systems/{SYSTEM}/metric_mappings.yaml",
        lambda text: text.replace("match: cpu", "match: load"),
    )
    publish(firm, NEXT_DAY)
    there = told(firm, "metric_mappings")
    back = [tuple(row.values())[1:] for row in control_diff(firm.lake, NEXT_DAY, DAY, ["metric_mappings"])]
    assert [row[:2] for row in there] == [(f"{SYSTEM}|cpu", "removed"), (f"{SYSTEM}|load", "added")]
    assert [row[:2] for row in back] == [(f"{SYSTEM}|cpu", "added"), (f"{SYSTEM}|load", "removed")]


def test_a_rule_put_in_front_of_a_thousand_is_one_change() -> None:
    before = [rule(number, f"name{number}") for number in range(1, 1001)]
    after = [rule(1, "*new*"), *(rule(number + 1, f"name{number}") for number in range(1, 1001))]
    assert [(row.key, row.change) for row in compare(MAPPINGS, before, after)] == [("s|*new*", "added")]


def test_a_rule_that_moved_past_others_is_one_change_with_its_positions() -> None:
    before = [rule(number, match) for number, match in enumerate("abcde", start=1)]
    after = [rule(number, match) for number, match in enumerate("eabcd", start=1)]
    assert [(row.key, row.field, row.before, row.after) for row in compare(MAPPINGS, before, after)] == [
        ("s|e", "position", "5, behind s|d", "1, before all others")
    ]


@given(st.permutations(range(7)))
def test_as_few_rules_moved_as_explain_the_new_order(order: list[int]) -> None:
    before = [rule(number, str(number)) for number in range(7)]
    after = [rule(position, str(number)) for position, number in enumerate(order)]
    moved = {row.key.removeprefix("s|") for row in compare(MAPPINGS, before, after)}
    stayed = [number for number in order if str(number) not in moved]
    assert stayed == sorted(stayed)
    rising = [subset for size in range(8) for subset in combinations(order, size) if list(subset) == sorted(subset)]
    assert len(stayed) == max(map(len, rising))


def test_a_publication_counts_rows_and_names_authors_and_the_day_it_is_compared_with(firm: SmallFirm) -> None:
    publish(firm, DAY, {STANDARD: Provenance("王芳 <wang@example.com>", "1", None)})
    first = publication(firm.lake, "standard_metrics", DAY)
    assert (first.rows, first.compared_with, first.differences) == (len(firm.governance.metrics), None, ())
    assert first.authors == ("王芳 <wang@example.com>",)
    change(firm, STANDARD, lambda text: text.replace("interval_s: 60", "interval_s: 30", 2))
    later = DAY + timedelta(days=3)
    publish(firm, later)
    second = publication(firm.lake, "standard_metrics", later)
    assert second.compared_with == DAY
    assert [second.number_of(kind) for kind in ("added", "removed", "changed")] == [0, 0, 2]
    assert second.content_hash != first.content_hash
    publish(firm, later, {STANDARD: Provenance("another", "2", None)})
    assert publication(firm.lake, "standard_metrics", later).content_hash == second.content_hash


def command(firm: SmallFirm, *arguments: str) -> Any:
    folders = ["--home", str(firm.settings.home), "--project", str(firm.settings.project)]
    return CliRunner().invoke(control_app, [*arguments, *folders])


def test_the_command_prints_differences_for_people_and_machines(firm: SmallFirm) -> None:
    publish(firm, DAY)
    change(firm, STANDARD, lambda text: text.replace("interval_s: 60", "interval_s: 30", 1))
    publish(firm, NEXT_DAY)
    days = (DAY.isoformat(), NEXT_DAY.isoformat())
    done = command(firm, "diff", *days, "--table", "standard_metrics", "--format", "json")
    (row,) = json.loads(done.stdout)
    assert (done.exit_code, row["field"], row["before"], row["after"]) == (0, "interval_s", "60", "30")
    assert "interval_s" in command(firm, "diff", *days).stdout
    assert command(firm, "diff", days[0], days[0]).stdout == "nothing changed\n"
    assert "baseline_metrics holds nothing for 2026-11-20" in command(firm, "diff", days[0], days[0]).stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("diff", "2026-11-20", "2026-11-25"),
            "was not published for 2026-11-25; it was from 2026-11-20 to 2026-11-20",
        ),
        (("diff", "2026-11-20", "yesterday"), "'yesterday' is not a day"),
        (("diff", "2026-11-20", "2026-11-20", "--table", "owners"), "owners: no such table; choose one of documents"),
        (("show", "owners"), "owners: no such table"),
        (("show", "--day", "2026-11-19"), "control/documents was not published for 2026-11-19"),
    ],
)
def test_a_day_or_table_that_is_not_there_ends_the_command_with_a_sentence(
    firm: SmallFirm, arguments: tuple[str, ...], sentence: str
) -> None:
    publish(firm, DAY)
    done = command(firm, *arguments)
    assert done.exit_code == 1
    assert sentence in done.stderr
    assert not done.stdout


def test_an_empty_lake_says_what_to_run_first(firm: SmallFirm) -> None:
    done = command(firm, "show")
    assert (done.exit_code, "run `omgov run" in done.stderr) == (1, True)


def test_the_command_shows_the_files_with_version_hash_and_author(firm: SmallFirm) -> None:
    publish(firm, DAY, {STANDARD: Provenance("王芳 <wang@example.com>", "abc", None)})
    rows = json.loads(command(firm, "show", "--format", "json").stdout)
    (row,) = (row for row in rows if row["path"] == STANDARD)
    assert (row["author"], row["commit"], len(row["content_hash"])) == ("王芳 <wang@example.com>", "abc", 16)
    assert "王芳" in command(firm, "show").stdout
    assert "system.cpu.utilization" in command(firm, "show", "standard_metrics").stdout
