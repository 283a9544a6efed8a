"""A changed model is tried on the last batch before it makes anything of the next; the lake is left as it is."""

from __future__ import annotations

from typing import Any

import pytest
from small_firm import DAY, SYSTEM, SmallFirm, instance

from omgov_assets.data_management.model_comparison import ModelComparison, compare_models
from omgov_assets.data_management.model_trial import ModelTrial, try_models
from omgov_assets.model_management.control import publish_processing_models

DATASET = "metric_instances"
MODEL = f"{SYSTEM}/{DATASET}"


@pytest.fixture
def governed(firm: SmallFirm) -> SmallFirm:
    """A firm with a published model and a day of 30 instances."""
    publish_processing_models(firm.lake, firm.governance, DAY)
    firm.deliver(SYSTEM, DATASET, [instance(ci=f"H{n}", sample_mean=30.0 + n % 5) for n in range(30)])
    firm.collect(SYSTEM, DAY, DATASET)
    return firm


def edit(firm: SmallFirm, old: str, new: str) -> None:
    path = firm.system_folder / f"{DATASET}.sql"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new).replace("version: 1.0.0", "version: 1.1.0"), encoding="utf-8")


def tried(firm: SmallFirm) -> ModelTrial:
    [trial] = try_models(firm.lake, firm.governance, firm.settings.landing, [MODEL])
    return trial


def compared(firm: SmallFirm) -> ModelComparison:
    [comparison] = compare_models(firm.lake, firm.governance, firm.settings.landing, [MODEL])
    return comparison


def lake_content(firm: SmallFirm) -> dict[str, Any]:
    return {log.as_posix(): log.stat().st_mtime_ns for log in sorted(firm.settings.lake.rglob("*.json"))}


def test_a_model_that_has_not_changed_makes_what_it_made(governed: SmallFirm) -> None:
    before = lake_content(governed)
    trial = tried(governed)
    assert (trial.day, trial.rows_in, trial.rows, trial.quarantined) == (DAY, 30, 30, 0)
    assert (trial.findings, trial.remark) == ((), None)
    assert lake_content(governed) == before


@pytest.mark.parametrize(
    ("old", "new", "code", "words"),
    [
        ("interval_s, collector", "interval_s, nullif(collector, 'K1') AS collector", "null_explosion", "collector"),
        ("sample_mean,", "sample_mean * 100 AS sample_mean,", "output_shift", "value_mean"),
        ("metric AS source_metric", "'x' || metric AS source_metric", "unmapped_share", "100% of the rows"),
        ("FROM source", "FROM source WHERE ci < 'H2'", "rows_lost", "40% of the records become rows"),
        ("sample_count,", "sample_count * 9000000000000000000 AS sample_count,", "type_overflow", "verflow"),
        ("interval_s, c", "if(ci = 'H3', error('no')::BIGINT, interval_s) AS interval_s, c", "model_fails", "no"),
    ],
)
def test_what_a_changed_model_would_do_is_told_before_it_does_it(
    governed: SmallFirm, old: str, new: str, code: str, words: str
) -> None:
    edit(governed, old, new)
    before = lake_content(governed)
    findings = tried(governed).findings
    assert [finding.code for finding in findings] == [code]
    assert words in findings[0].problem
    assert findings[0].path == f"governance/systems/{SYSTEM}/{DATASET}.sql"
    assert lake_content(governed) == before


def test_an_unsound_model_is_not_run(governed: SmallFirm) -> None:
    edit(governed, "FROM source", "FROM read_csv('/etc/passwd')")
    assert tried(governed).remark == "it is unsound, and was not run"


def test_without_a_batch_there_is_nothing_to_try(governed: SmallFirm) -> None:
    for path in governed.folder(SYSTEM, DATASET).iterdir():
        path.unlink()
    assert tried(governed).remark == "no batch of it is in the landing folder"


def test_a_model_that_was_never_another_is_not_compared(governed: SmallFirm) -> None:
    assert compare_models(governed.lake, governed.governance, governed.settings.landing) == []


def test_versions_are_compared_by_column_and_by_record(governed: SmallFirm) -> None:
    edit(governed, "interval_s, collector", "interval_s, if(ci = 'H7', 'K2', collector) AS collector")
    edit(governed, "FROM source", "FROM source WHERE ci <> 'H3'")
    found = compared(governed)
    assert (found.before, found.after) == (f"1.0.0 of {DAY}", "1.1.0")
    assert (found.sampled, found.same, found.only_before, found.only_after) == (30, 28, 1, 0)
    [change] = found.columns
    assert (change.column, change.change, change.records, change.examples) == ("collector", "values", 1, (8,))
    assert found.assets == (MODEL, "quality/violations", "quality/anomalies")
    assert found.remark is None


@pytest.mark.parametrize(
    ("column", "changed", "named", "not_named"),
    [
        (
            "sample_max,",
            "sample_max * 2 AS sample_max,",
            "metric_instances.mean_not_above_max",
            "metric_instances.unit_known",
        ),
        # Judged through a column that the policy view makes of it.
        ("interval_s, c", "interval_s * 2 AS interval_s, c", "metric_instances.samples_complete", None),
    ],
)
def test_policies_that_judge_a_changed_column_are_named(
    governed: SmallFirm, column: str, changed: str, named: str, not_named: str | None
) -> None:
    edit(governed, column, changed)
    policies = compared(governed).policies
    assert named in policies
    assert not_named not in policies


def test_added_removed_and_retyped_columns_are_told_apart(governed: SmallFirm) -> None:
    edit(governed, "interval_s, collector", "interval_s::VARCHAR AS interval_s, 1 AS rack")
    changes = {change.column: (change.change, change.before, change.after) for change in compared(governed).columns}
    assert changes == {
        "collector": ("removed", "VARCHAR", None),
        "rack": ("added", None, "INTEGER"),
        "interval_s": ("retyped", "BIGINT", "VARCHAR"),
    }


def test_a_version_that_does_not_run_is_compared_no_further(governed: SmallFirm) -> None:
    edit(governed, "metric AS source_metric", "metrik AS source_metric")
    assert "one of the versions does not run: Binder Error" in (compared(governed).remark or "")
