"""A model that was changed is held against what it made the day before; one that was not is left to the policies."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest
from small_firm import DAY, SYSTEM, SmallFirm, instance

from omgov_assets.quality_policy.violations import VIOLATIONS

DATASET = "metric_instances"
NEXT = DAY + timedelta(days=1)
MODEL = f"{SYSTEM}/{DATASET}"


def deliver(firm: SmallFirm, day: date, rows: int = 30, **changes: object) -> None:
    records = [instance(ci=f"H{n}", sample_mean=30.0 + day.day % 7 / 100 + n % 5, **changes) for n in range(rows)]
    firm.deliver(SYSTEM, DATASET, records, day)
    firm.collect(SYSTEM, day, DATASET)


def found(firm: SmallFirm, day: date = NEXT) -> list[tuple[str, str, str, str]]:
    columns = "anomaly_type, subject_key, quality_dimension, observed"
    kept = [row for row in firm.rows(VIOLATIONS, f"subject_kind, {columns}", day) if row[0] == "processing_model"]
    return [row[1:] for row in kept]


def edit(name: str, old: str, new: str) -> Callable[[SmallFirm], None]:
    def change(firm: SmallFirm) -> None:
        path = firm.system_folder / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    return change


@pytest.mark.parametrize(
    ("change", "anomaly_type", "dimension", "words"),
    [
        (
            edit(f"{DATASET}.sql", "interval_s, collector", "interval_s, nullif(collector, 'K1') AS collector"),
            "model_null_explosion",
            "completeness",
            "collector is null in 100% of the rows, in 0% before",
        ),
        (
            edit("metric_mappings.yaml", "match: cpu,", "match: cpu_x,"),
            "model_unmapped_share",
            "coverage",
            "100% of the rows have no standard metric, 0% had none before",
        ),
        (
            edit(f"{DATASET}.sql", "sample_mean,", "sample_mean * 100 AS sample_mean,"),
            "model_output_shift",
            "accuracy",
            "the median of value_mean of system.cpu.utilization is",
        ),
        (
            edit(f"{DATASET}.sql", "FROM source", "FROM source WHERE ci < 'H2'"),
            "model_rows_lost",
            "completeness",
            "40% of the records become rows, 100% did before",
        ),
    ],
    ids=["nulls", "unmapped", "shift", "lost"],
)
def test_what_a_change_does_to_the_output_is_a_violation_of_the_model(
    firm: SmallFirm, change: Callable[[SmallFirm], None], anomaly_type: str, dimension: str, words: str
) -> None:
    deliver(firm, DAY)
    change(firm)
    deliver(firm, NEXT)
    told = [row for row in found(firm) if row[0] == anomaly_type]
    assert [row[:3] for row in told] == [(anomaly_type, MODEL, dimension)]
    assert f"governance/systems/{SYSTEM}/{DATASET}.sql:" in told[0][3]
    assert words in told[0][3]
    # The day before was judged by the model of its own.
    assert found(firm, DAY) == []


def test_a_difference_that_no_change_of_the_model_made_is_the_datas(firm: SmallFirm) -> None:
    deliver(firm, DAY)
    deliver(firm, NEXT, collector=None)
    assert found(firm) == []


def test_a_change_that_changes_nothing_much_is_left_alone(firm: SmallFirm) -> None:
    deliver(firm, DAY)
    edit(f"{DATASET}.sql", "interval_s, collector", "interval_s, upper(collector) AS collector")(firm)
    deliver(firm, NEXT)
    assert found(firm) == []


def test_few_rows_say_nothing(firm: SmallFirm) -> None:
    deliver(firm, DAY, rows=5)
    edit(f"{DATASET}.sql", "interval_s, collector", "interval_s, nullif(collector, 'K1') AS collector")(firm)
    deliver(firm, NEXT, rows=5)
    assert found(firm) == []


def test_the_finding_goes_with_the_next_day(firm: SmallFirm) -> None:
    deliver(firm, DAY)
    edit(f"{DATASET}.sql", "interval_s, collector", "interval_s, nullif(collector, 'K1') AS collector")(firm)
    deliver(firm, NEXT)
    deliver(firm, NEXT + timedelta(days=1))
    assert found(firm) != []
    assert found(firm, NEXT + timedelta(days=1)) == []
