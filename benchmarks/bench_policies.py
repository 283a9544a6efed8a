"""The same 25 rules on the same rows, by omgov, by hand and by other libraries: wall time and peak memory.

`make bench` runs it. ROWS in the environment changes the size. Each contender reads the same Delta files, judges every
rule and says which rows fail, in a process of its own; imports are not counted. omgov and the SQL by hand also store
the failing rows as violations; the others hold them in memory. One JSON object per contender; `ratio` is its time over
that of the SQL.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from omgov_assets.data_lake.lake import Lake, one_row
from omgov_assets.data_lake.settings import Settings
from omgov_assets.data_lake.sql import identifier, literal

REPOSITORY = Path(__file__).resolve().parents[1]
DAY = date(2026, 11, 20)
SYSTEM = "securities_trading"
TABLE = f"{SYSTEM}/metric_instances"
COLLECTORS = [f"K{number}" for number in range(20)]
# About one row in 13 breaks a rule.
ROWS_SQL = """
SELECT
    $day::DATE AS day, $system AS system,
    if(i % 1000 = 1, lower(lpad(to_hex(i - 1), 16, '0')), lower(lpad(to_hex(i), 16, '0'))) AS instance_id,
    'metric.' || i % 4000 AS source_metric,
    if(i % 50 = 0, NULL, 'system.cpu.' || i % 160) AS metric,
    if(i % 400 = 3, 'unknown', 'HOST-' || i % 40000) AS ci_id,
    '{}' AS attributes,
    if(i % 101 = 0, NULL, '%') AS source_unit,
    if(i % 101 = 0, NULL, '%') AS unit,
    if(i % 101 = 0, 'missing', 'ok') AS unit_status,
    if(i % 211 = 0, NULL, if(i % 503 = 0, 0, 60)) AS interval_s,
    'K' || i % 21 % 20 || if(i % 997 = 0, 'x', '') AS collector,
    TIMESTAMPTZ '2026-01-01' AS first_seen_at,
    if(i % 307 = 0, TIMESTAMPTZ '2025-12-31', TIMESTAMPTZ '2026-11-20 15:59:00+00') AS last_seen_at,
    1440 AS sample_count, 1.0 AS sample_min,
    if(i % 401 = 0, 5.0, 90.0) AS sample_max,
    30.0 AS sample_mean, 500 AS sample_distinct,
    if(i % 601 = 0, -1.0, 1.0) AS value_min,
    if(i % 701 = 0, 101.0, 90.0) AS value_max,
    30.0 AS value_mean,
    'batch' AS _batch_id, i + 1 AS _record_no
FROM range($rows) AS t(i)
"""


@dataclass(frozen=True)
class Rule:
    """One rule in every language: GX, SQL that holds for failing rows, polars that holds for sound ones, pointblank."""

    name: str
    expectation: str
    kwargs: dict[str, Any]
    fails: str
    holds: Callable[[Any], Any]
    point: tuple[str, dict[str, Any]]


def rules() -> list[Rule]:
    """The 25 rules."""
    found = [
        Rule(
            f"{column}_given",
            "expect_column_values_to_not_be_null",
            {"column": column},
            f"{column} IS NULL",
            lambda pl, column=column: pl.col(column).is_not_null(),
            ("col_vals_not_null", {"columns": column}),
        )
        for column in (
            "source_metric", "metric", "ci_id", "source_unit", "unit", "interval_s", "collector", "first_seen_at",
            "last_seen_at",
        )
    ]  # fmt: skip
    for column, low, high in (
        ("interval_s", 1, 86400), ("sample_count", 0, 10**9), ("sample_distinct", 0, 10**9), ("value_min", 0, 10**9),
        ("value_max", -(10**9), 100),
    ):  # fmt: skip
        found.append(
            Rule(
                f"{column}_in_range",
                "expect_column_values_to_be_between",
                {"column": column, "min_value": low, "max_value": high},
                f"{column} NOT BETWEEN {low} AND {high}",
                lambda pl, column=column, low=low, high=high: pl.col(column).is_between(low, high),
                ("col_vals_between", {"columns": column, "left": low, "right": high, "na_pass": True}),
            )
        )
    for column, values in (("unit_status", ["ok"]), ("system", [SYSTEM]), ("collector", COLLECTORS)):
        found.append(
            Rule(
                f"{column}_known",
                "expect_column_values_to_be_in_set",
                {"column": column, "value_set": values},
                f"{column} NOT IN ({', '.join(map(literal, values))})",
                lambda pl, column=column, values=tuple(values): pl.col(column).is_in(values),
                ("col_vals_in_set", {"columns": column, "set": values}),
            )
        )
    for greater, less in (
        ("sample_max", "sample_mean"), ("sample_mean", "sample_min"), ("last_seen_at", "first_seen_at"),
        ("value_max", "value_min"),
    ):  # fmt: skip
        found.append(
            Rule(
                f"{greater}_not_below_{less}",
                "expect_column_pair_values_a_to_be_greater_than_b",
                {"column_A": greater, "column_B": less, "or_equal": True, "ignore_row_if": "either_value_is_missing"},
                f"{greater} < {less}",
                lambda pl, greater=greater, less=less: pl.col(greater) >= pl.col(less),
                ("col_vals_ge", {"columns": greater, "value": less}),
            )
        )
    for column, regex in (("instance_id", "^[0-9a-f]{16}$"), ("ci_id", "^(HOST|APP)-[0-9]+$")):
        found.append(
            Rule(
                f"{column}_well_formed",
                "expect_column_values_to_match_regex",
                {"column": column, "regex": regex},
                f"NOT regexp_matches({column}, {literal(regex)})",
                lambda pl, column=column, regex=regex: pl.col(column).str.contains(regex),
                ("col_vals_regex", {"columns": column, "pattern": regex}),
            )
        )
    found.append(
        Rule(
            "ci_id_of_usual_length",
            "expect_column_value_lengths_to_be_between",
            {"column": "ci_id", "min_value": 4, "max_value": 20},
            "length(ci_id) NOT BETWEEN 4 AND 20",
            lambda pl: pl.col("ci_id").str.len_chars().is_between(4, 20),
            ("col_vals_regex", {"columns": "ci_id", "pattern": "^.{4,20}$"}),
        )
    )
    found.append(
        Rule(
            "instance_id_unique",
            "expect_column_values_to_be_unique",
            {"column": "instance_id"},
            "count(*) OVER (PARTITION BY instance_id) > 1",
            lambda pl: pl.col("instance_id").is_unique(),
            ("rows_distinct", {"columns_subset": "instance_id"}),
        )
    )
    return found


def main() -> None:
    """Prepare the rows, run every contender in a process of its own, print what each took."""
    rows = int(os.environ.get("ROWS", "2000000"))
    chosen = os.environ.get("CONTENDERS", ",".join(CONTENDERS)).split(",")
    with tempfile.TemporaryDirectory(prefix="omgov-bench-") as home:
        _child("prepare", home, rows)
        baseline: float | None = None
        for name in chosen:
            result = _child(name, home, rows)
            if name == "sql_by_hand":
                baseline = result["seconds"]
            if baseline:
                result["ratio"] = round(result["seconds"] / baseline, 2)
            print(json.dumps({"contender": name, "rows": rows, **result}), flush=True)


def _child(name: str, home: str, rows: int) -> dict[str, Any]:
    command = [sys.executable, __file__, name, home, str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stdout}{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def prepare(lake: Lake, rows: int) -> Callable[[], int]:
    """Write the rows to the lake."""

    def run() -> int:
        with lake.connect() as con:
            values = {"day": DAY, "system": SYSTEM, "rows": rows}
            relation = con.sql(ROWS_SQL, params=values)
            typed = ", ".join(
                f"{identifier(column.name)}::{column.sql_type} AS {identifier(column.name)}"
                for column in lake.schema(TABLE).columns
            )
            lake.replace(TABLE, DAY, relation.query("bench_rows", f"SELECT {typed} FROM bench_rows"))
        return rows

    return run


def sql_by_hand(lake: Lake, rows: int) -> Callable[[], int]:
    """One pass that lists what each row breaks, unnested into violations and stored."""

    def run() -> int:
        flags = ", ".join(f"CASE WHEN {rule.fails} THEN {literal(rule.name)} END" for rule in rules())
        columns = {column.name: column.sql_type for column in lake.schema("quality/violations").columns}
        said = {
            "day": f"{literal(DAY)}::DATE", "system": literal(SYSTEM), "dataset": "'metric_instances'",
            "policy_id": "policy_id", "anomaly_type": "policy_id", "quality_dimension": "'accuracy'",
            "severity": "'warning'", "subject_kind": "'row'", "subject_key": "instance_id",
            "expected": "'by hand'", "source_metric": "source_metric", "metric": "metric", "ci_id": "ci_id",
            "collector": "collector", "batch_id": "_batch_id", "record_no": "_record_no",
            "policy_hash": "'hand'",
        }  # fmt: skip
        selected = ", ".join(f"{said.get(name, 'NULL')}::{kind} AS {name}" for name, kind in columns.items())
        with lake.connect() as con:
            lake.register(con, "dataset", TABLE, DAY)
            found = con.sql(
                f"SELECT {selected} FROM (SELECT *, unnest(list_filter([{flags}], lambda x: x IS NOT NULL)) "
                "AS policy_id FROM dataset)"
            )
            lake.replace("quality/violations", DAY, found, where={"system": SYSTEM, "dataset": "metric_instances"})
            lake.register(con, "stored", "quality/violations", DAY)
            return int(one_row(con, "SELECT count(*) FROM stored")[0])

    return run


def omgov(lake: Lake, rows: int) -> Callable[[], int]:
    """The night's way: GX counts on DuckDB, the failing rows are harvested and stored."""
    from omgov_assets.model_management.governance import load_governance
    from omgov_assets.quality_policy.evaluation import evaluate_dataset
    from omgov_assets.quality_policy.great_expectations_run import preload
    from omgov_assets.quality_policy.policies import Policy, PolicySet

    preload()
    governance = load_governance(REPOSITORY)
    policies = tuple(
        Policy.model_validate(
            {
                "type": rule.expectation,
                "kwargs": rule.kwargs,
                "severity": "warning",
                "meta": {
                    "policy_id": rule.name,
                    "anomaly_type": rule.name,
                    "quality_dimension": "accuracy",
                    "expected": rule.name,
                },
            }
        )
        for rule in rules()
    )
    policy_set = PolicySet(SYSTEM, "metric_instances", policies, None, "bench")

    def run() -> int:
        results = evaluate_dataset(lake, governance, policy_set, DAY)
        broken = [result for result in results if result.verdict == "error"]
        if broken:
            sys.exit(f"{broken[0].policy.policy_id} broke: {broken[0].reason}")
        return sum(result.failed or 0 for result in results)

    return run


def gx_on_pandas(lake: Lake, rows: int) -> Callable[[], int]:
    """Great Expectations on a data frame, all failing rows listed."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    import great_expectations.expectations.core
    import pandas as pd
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    batch_definition = (
        context.data_sources.add_pandas("frames")
        .add_dataframe_asset("rows")
        .add_batch_definition_whole_dataframe("all")
    )
    suite = gx.ExpectationSuite(name="bench")
    for rule in rules():
        suite.add_expectation_configuration(ExpectationConfiguration(type=rule.expectation, kwargs=rule.kwargs))

    def run() -> int:
        frame = pd.read_parquet(_files(lake))
        frame["system"] = SYSTEM
        batch = batch_definition.get_batch(batch_parameters={"dataframe": frame})
        result = batch.validate(suite, result_format={"result_format": "COMPLETE"})
        return sum(int(one.result.get("unexpected_count", 0)) for one in result.results)

    return run


def dataframely(lake: Lake, rows: int) -> Callable[[], int]:
    """A dataframely schema's `filter` on polars, with the failing rows of every rule."""
    import dataframely as dy
    import polars as pl

    types = {"BIGINT": dy.Int64, "DOUBLE": dy.Float64, "DATE": dy.Date}
    columns: dict[str, Any] = {}
    for column in lake.schema(TABLE).columns:
        if column.name == "day":
            continue
        kind = types.get(column.sql_type, dy.String)
        given = dy.Datetime(nullable=True, time_zone="UTC") if column.sql_type == "TIMESTAMPTZ" else kind(nullable=True)
        columns[column.name] = given
    checks = {
        rule.name: dy.rule()(lambda cls, rule=rule: rule.holds(pl).fill_null(value=not rule.fails.endswith("IS NULL")))
        for rule in rules()
    }
    schema = type("Bench", (dy.Schema,), {**columns, **checks})

    def run() -> int:
        frame = pl.read_parquet(_files(lake), hive_partitioning=False).with_columns(system=pl.lit(SYSTEM))
        _, failures = schema.filter(frame.select(list(columns)), cast=True)
        return int(sum(failures.counts().values()))

    return run


def pointblank(lake: Lake, rows: int) -> Callable[[], int]:
    """A pointblank validation on polars, with all failing rows of every step."""
    import pointblank as pb
    import polars as pl

    def run() -> int:
        frame = pl.read_parquet(_files(lake), hive_partitioning=False).with_columns(system=pl.lit(SYSTEM))
        validation = pb.Validate(frame)
        for rule in rules():
            method, arguments = rule.point
            if method == "col_vals_ge":
                arguments = {**arguments, "value": pb.col(arguments["value"]), "na_pass": True}
            validation = getattr(validation, method)(**arguments)
        validation = validation.interrogate(collect_extracts=True, extract_limit=frame.height)
        return sum(validation.n_failed().values())

    return run


CONTENDERS: dict[str, Callable[[Lake, int], Callable[[], int]]] = {
    "sql_by_hand": sql_by_hand,
    "omgov": omgov,
    "gx_on_pandas": gx_on_pandas,
    "dataframely": dataframely,
    "pointblank": pointblank,
}


def _files(lake: Lake) -> list[str]:
    return [str(path) for path in lake.files(TABLE)]


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        stage, folder, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
        settings = Settings(home=Path(folder), project=REPOSITORY)
        run = {"prepare": prepare, **CONTENDERS}[stage](Lake(settings.lake, settings.dataset_contracts), size)
        started = time.monotonic()
        found = run()
        seconds = time.monotonic() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps({"seconds": round(seconds, 2), "violations": found, "peak_rss_mb": round(peak / 1000)}))
