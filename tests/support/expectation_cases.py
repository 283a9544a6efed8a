"""The expectations that GX and the house know, each with cases, and GX on pandas as their oracle.

``docs/expectation_types.md`` is written from this. A case is judged against GX on pandas, unless it names what is
expected (where GX has no pandas side), or why the two differ by GX's own design.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import duckdb
import pandas as pd
from policy_cases import all_of, compare, is_null, policy

from omgov_assets.data_lake.sql import identifier
from omgov_assets.quality_policy import great_expectations_run as run
from omgov_assets.quality_policy.expectation_configurations import gx_configurations
from omgov_assets.quality_policy.failing_rows import FailedPolicy, failing_rows
from omgov_assets.quality_policy.policies import Policy

QUOTED = 'select"'
CHINESE = "数值"

TABLE = f"""
    CREATE OR REPLACE TABLE checked AS SELECT * FROM (VALUES
        (1, 1.5::DOUBLE, 5::BIGINT, 'a', TIMESTAMPTZ '2026-01-01 00:00:00+00', DATE '2026-01-01', true,
            1.5::DECIMAL(9, 2), '{{"a": 1}}', 1.5::DOUBLE, 10, 'x', 1, '2026-01-31 10:00', 1),
        (2, 'NaN', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 2.0, 9, NULL, NULL, NULL, 1),
        (3, NULL, 9007199254740993, '中文%', '2026-01-02 08:00:00.000001+08', '2026-01-02', false,
            2.5, '[]', NULL, 8, 'y', 3, '2026-02-30 10:00', 1),
        (4, 'inf', 7, 'a', '2026-01-02 00:00:00.000001+00', '2026-01-02', false,
            2.5, '{{"a": "x"}}', 'inf', 7, 'x', 1, '２０２６-02-28 9:5', 2),
        (5, -1.5, 7, 'A_b''', '2026-01-03 00:00:00.000001+00', '2026-01-03', true,
            4.5, '{{}}', -1.5, 6, '中', 2, 'yesterday', 3),
        (6, 2.0, 100, '  ', '2026-01-03 00:00:00.000001+00', '2026-01-03', true,
            4.5, '"s"', 7.0, 5, 'x', 8, '', 4)
    ) AS t (id, n, i, s, ts, d, b, dec, js, m, k, {identifier(QUOTED)}, {CHINESE}, text_time, g)
"""


@dataclass(frozen=True)
class Case:
    """Arguments of an expectation.

    Attributes:
        differs: why GX's SQL says otherwise than GX on pandas, by GX's design.
        expected: success, evaluated rows, ids of the failing rows; where GX has no pandas side.
        error: what the reason of a broken policy holds.
    """

    type: str
    kwargs: dict[str, Any]
    differs: str | None = None
    expected: tuple[bool, int | None, list[int]] | None = None
    error: str | None = None

    def policy(self, policy_id: str) -> Policy:
        """The case as a policy."""
        return policy(policy_id, self.type, meta={"anomaly_type": "case"}, **self.kwargs)


class Outcome(NamedTuple):
    """What an engine said: None for success where the policy broke."""

    success: bool | None
    elements: int | None
    missing: int | None
    unexpected: int | None
    failing: frozenset[int]

    @property
    def broke(self) -> bool:
        """Whether there is no verdict."""
        return self.success is None


@dataclass(frozen=True)
class Judged:
    """A case as the room judges it."""

    outcome: Outcome
    engine: Literal["duckdb", "pandas"]
    has_rows: bool
    error: str | None


def judge(con: duckdb.DuckDBPyConnection, cases: Sequence[Case]) -> list[Judged]:
    """The cases on table ``checked`` of the connection, all in one evaluation."""
    judged = []
    for verdict in run.evaluate_policies(con, [case.policy(f"case{n}") for n, case in enumerate(cases)]):
        found: Iterable[tuple[int]] = []
        if verdict.row_query is not None and "id" in con.sql(verdict.row_query).columns:
            found = con.execute(f"SELECT id FROM ({verdict.row_query})").fetchall()
        failing = [row[0] for row in found]
        assert len(failing) == len(set(failing)), "a row was harvested twice"
        if verdict.row_condition is not None:
            one_pass = failing_rows([FailedPolicy(verdict.row_condition, {"of": "1"}, "id")], {"id": "id"}, ["id"])
            again = con.execute(f"SELECT id FROM ({one_pass})").fetchall()
            assert sorted(failing) == sorted(row[0] for row in again), "one pass finds other rows"
        elements = None if verdict.evaluated is None else verdict.evaluated + (verdict.missing or 0)
        failed = None if verdict.evaluated is None else verdict.failed
        outcome = Outcome(verdict.success, elements, verdict.missing, failed, frozenset(failing))
        judged.append(Judged(outcome, verdict.engine, verdict.row_query is not None, verdict.error))
    return judged


def judge_on_pandas(con: duckdb.DuckDBPyConnection, cases: Sequence[Case]) -> list[Outcome]:
    """The cases by GX on pandas, over the frame that DuckDB itself makes of table ``checked``."""
    from great_expectations.core.batch import Batch
    from great_expectations.execution_engine import PandasExecutionEngine
    from great_expectations.execution_engine.pandas_batch_data import PandasBatchData
    from great_expectations.validator.validator import Validator

    configurations, _ = gx_configurations([case.policy(f"case{n}") for n, case in enumerate(cases)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy says that infinite minus infinite is no number
        frame: pd.DataFrame = con.execute("SELECT * FROM checked").df()
        engine = PandasExecutionEngine()
        validator = Validator(execution_engine=engine, batches=[Batch(data=PandasBatchData(engine, frame))])
        validator.metrics_calculator.show_progress_bars = False
        # One by one: GX takes the quantiles of one expectation for those of another.
        results = [
            result
            for configuration in configurations.values()
            for result in validator.graph_validate(
                configurations=[configuration],
                runtime_configuration={
                    "result_format": {"result_format": "COMPLETE", "unexpected_index_column_names": ["id"]}
                },
            )
        ]
    outcomes = {result.expectation_config.meta["policy_id"]: _pandas_outcome(result) for result in results}
    broken = Outcome(None, None, None, None, frozenset())
    return [outcomes.get(f"case{n}", broken) for n in range(len(cases))]


def _pandas_outcome(result: Any) -> Outcome:
    if run._error_of(result) is not None:
        return Outcome(None, None, None, None, frozenset())
    outcome = result.result
    if not run._counts_rows(outcome):
        return Outcome(bool(result.success), None, None, None, frozenset())
    failing = frozenset(int(row["id"]) for row in outcome["unexpected_index_list"] or [])
    missing = int(outcome.get("missing_count") or 0)
    return Outcome(bool(result.success), int(outcome["element_count"]), missing, outcome["unexpected_count"], failing)


# --- Where GX differs between pandas and SQL by its own design -------------------------------------------------------

NULL_PAIRS = "a comparison with NULL is unknown in SQL and passes; on pandas it is false and fails"
NULL_KEYS = "a key that is null in part equals no other in SQL; on pandas nulls are equal"
TEXT_OF_TIMES = "SQL reads a text as the column's type; on pandas it never equals a time or a number"
PANDAS_REFUSES_TIMES = "GX on pandas refuses to compare times with texts"
BOOLEAN_BOUNDS = "GX's SQL refuses bounds for truth values; on pandas they are 0 and 1"
TYPE_NAMES = "type names are DuckDB's in SQL, and numpy's on pandas"
NEAREST = "quantiles are the discrete ones in SQL, the nearest value on pandas"
EMPTY_SUM = "the sum of no values is NULL in SQL and fails every bound; on pandas it is 0"
NULL_CONDITIONS = (
    "a row condition that compares with NULL is unknown in SQL and leaves the row out; != is true on pandas"
)


def _c(kind: str, differs: str | None = None, expected: Any = None, error: str | None = None, **kwargs: Any) -> Case:
    return Case(kind if kind.startswith("unexpected") else f"expect_{kind}", kwargs, differs, expected, error)


def _map_cases() -> list[Case]:
    """Expectations that judge row by row."""
    cases = []
    for column, low, high in (("n", 0, 5), ("i", 6, 50), ("dec", 2, 3), (QUOTED, 0, 1), (CHINESE, 1, 2)):
        if column != QUOTED:
            cases.append(_c("column_values_to_be_between", column=column, min_value=low, max_value=high))
            cases.append(_c("column_values_to_be_between", column=column, min_value=low, strict_min=True, mostly=0.5))
    cases += [
        _c("column_values_to_be_between", column="ts", min_value="2026-01-02T00:00:00+00:00"),
        _c("column_values_to_be_between", column="ts", max_value="2026-01-02T08:00:00.000001+08:00"),
        _c("column_values_to_be_between", column="d", min_value="2026-01-02", differs=PANDAS_REFUSES_TIMES),
        _c("column_values_to_be_between", column="b", min_value=1, differs=BOOLEAN_BOUNDS),
        _c("column_values_to_be_between", column="n", max_value=1, row_condition=compare("s", "==", "a")),
        _c("column_values_to_be_null", NULL_CONDITIONS, column="n", row_condition=compare("s", "!=", "a")),
        _c("column_values_to_be_between", column="n", max_value=1, row_condition=compare(QUOTED, "==", "中")),
        _c("column_values_to_be_between", column="n", max_value=1, row_condition=all_of(is_null("i"), is_null("s"))),
    ]
    for column, values in (
        ("s", ["a", "中文%"]),
        ("s", ["A_b'", None]),
        ("s", []),
        ("i", [5, 9007199254740993]),
        ("i", [5.0]),
        ("n", [1.5, float("inf")]),
        ("n", [float("-inf"), 2]),
        ("b", [True]),
        (QUOTED, ["x"]),
        (CHINESE, [1, 2]),
    ):
        cases.append(_c("column_values_to_be_in_set", column=column, value_set=values))
        cases.append(_c("column_values_to_not_be_in_set", column=column, value_set=values, mostly=0.7))
    cases += [
        _c("column_values_to_be_in_set", column="d", value_set=["2026-01-02"], differs=TEXT_OF_TIMES),
        _c("column_values_to_be_in_set", column="i", value_set=["5"], differs=TEXT_OF_TIMES),
        _c("column_values_to_not_be_in_set", column="i", value_set=["5"], differs=TEXT_OF_TIMES),
        _c("column_values_to_be_in_set", column="s", value_set=["a", *(f"v{n}" for n in range(2000))]),
        _c("column_values_to_not_be_in_set", column="i", value_set=[7, *range(1000, 3000)]),
    ]
    for column in ("n", "i", "s", "ts", "b", QUOTED, CHINESE):
        for kind in ("column_values_to_be_null", "column_values_to_not_be_null", "column_values_to_be_unique"):
            cases.append(_c(kind, column=column, mostly=0.8))
    for column in ("s", "i", "k", "n", "b", "ts", "d", QUOTED):
        cases.append(_c("column_value_lengths_to_be_between", column=column, max_value=2))
        cases.append(_c("column_value_lengths_to_equal", column=column, value=1))
        cases.append(_c("column_values_to_match_regex", column=column, regex="^[a1]"))
        cases.append(_c("column_values_to_not_match_regex", column=column, regex=r"\d$"))
    cases += [
        _c("column_values_to_match_regex", column="s", regex=r"^[\p{Han}%]+$"),
        _c("column_values_to_match_regex", column="s", regex=r"'|\s", mostly=0.3),
        _c("column_values_to_match_regex_list", column="s", regex_list=["a", "中"]),
        _c("column_values_to_match_regex_list", column="s", regex_list=["^A", "b"], match_on="all"),
        _c("column_values_to_not_match_regex_list", column="s", regex_list=["a", "中"]),
        _c("column_values_to_not_match_regex_list", column="k", regex_list=["^1", "5"]),
        _c("column_values_to_match_strftime_format", column="text_time", strftime_format="%Y-%m-%d %H:%M"),
        _c("column_values_to_match_strftime_format", column="text_time", strftime_format="%Y-%b-%d"),
        _c("column_values_to_be_dateutil_parseable", column="text_time"),
        _c("column_values_to_be_json_parseable", column="js"),
        _c("column_values_to_be_json_parseable", column="s", mostly=0.1),
        _c("column_values_to_match_json_schema", column="js", json_schema={"type": "object"}),
        _c("column_values_to_match_json_schema", column="s", json_schema={"type": "object"}),
    ]
    for column in ("n", "k", "i", "d", "ts", "s"):
        cases.append(_c("column_values_to_be_increasing", column=column, strictly=True))
        cases.append(_c("column_values_to_be_decreasing", column=column))
    cases.append(_c("column_values_to_be_increasing", column="k", row_condition=compare("id", ">", 3)))
    for column in ("m", "i", "k", CHINESE):
        cases += [
            _c("column_value_z_scores_to_be_less_than", column=column, threshold=1, double_sided=True),
            _c("column_value_z_scores_to_be_less_than", column=column, threshold=0.5, double_sided=False),
            _c("column_values_to_not_be_outliers", column=column, method="iqr", multiplier=1),
            _c("column_values_to_not_be_outliers", column=column, method="std", multiplier=1),
        ]
    return cases


def _multiple_column_cases() -> list[Case]:
    """Expectations that judge several columns of a row."""
    cases = []
    for ignored in ("neither", "both_values_are_missing", "either_value_is_missing"):
        differs = None if ignored == "either_value_is_missing" else NULL_PAIRS
        pair = {"column_A": "n", "column_B": "m", "ignore_row_if": ignored}
        cases += [
            _c("column_pair_values_to_be_equal", **pair),
            _c("column_pair_values_a_to_be_greater_than_b", differs, **pair),
            _c("column_pair_values_a_to_be_greater_than_b", differs, or_equal=True, **pair),
            _c(
                "column_pair_values_to_be_in_set",
                column_A="k",
                column_B="s",
                value_pairs_set=[[10, "a"], [9, None], [6, "A_b'"]],
                ignore_row_if=ignored,
            ),
        ]
    for ignored in ("never", "all_values_are_missing", "any_value_is_missing"):
        summed = None if ignored == "any_value_is_missing" else NULL_PAIRS
        cases += [
            _c("compound_columns_to_be_unique", column_list=["s", "i"], ignore_row_if=ignored),
            _c("compound_columns_to_be_unique", column_list=["d", "ts"], ignore_row_if=ignored),
            _c("compound_columns_to_be_unique", column_list=[QUOTED, CHINESE], ignore_row_if=ignored, mostly=0.6),
            _c("multicolumn_sum_to_equal", summed, column_list=["n", "m"], sum_total=3, ignore_row_if=ignored),
            _c("multicolumn_values_to_be_equal", column_list=["n", "m"], ignore_row_if=ignored),
            _c("select_column_values_to_be_unique_within_record", column_list=["n", "m"], ignore_row_if=ignored),
        ]
    conditioned = compare("k", "<", 9)
    cases += [
        _c("compound_columns_to_be_unique", NULL_KEYS, column_list=["n", "g"]),
        _c("compound_columns_to_be_unique", column_list=["d", "ts"], row_condition=conditioned),
        _c("column_values_to_be_unique", column="s", row_condition=conditioned),
        _c("column_pair_values_to_be_equal", column_A=QUOTED, column_B="s"),
    ]
    return cases


def _dataset_cases() -> list[Case]:
    """Expectations on a column or the table as a whole."""
    cases = []
    for column in ("m", "i", "k", CHINESE):
        for kind in ("max", "min", "mean", "median", "stdev", "sum"):
            cases.append(_c(f"column_{kind}_to_be_between", column=column, min_value=1, max_value=50))
    for column in ("s", "n", "i", QUOTED):
        for kind in ("proportion_of_non_null_values", "proportion_of_unique_values", "unique_value_count"):
            cases.append(_c(f"column_{kind}_to_be_between", column=column, min_value=0.7, max_value=3))
    by_value = {"values": ["a", "中文%", "A_b'", "  "], "weights": [0.25, 0.25, 0.25, 0.25]}
    ranges = {"quantiles": [0.1, 0.5, 0.75], "value_ranges": [[5, 6], [7, 8], [8, 9]]}
    cases += [
        _c("column_max_to_be_between", column="ts", max_value="2026-01-05", differs=PANDAS_REFUSES_TIMES),
        _c("column_distinct_values_to_be_in_set", column="s", value_set=["a", "b"]),
        _c("column_distinct_values_to_contain_set", column="s", value_set=["a"]),
        _c("column_distinct_values_to_equal_set", column="i", value_set=[5, 7, 100, 9007199254740993]),
        _c("column_distinct_values_to_equal_set", column="b", value_set=[True, False]),
        _c("column_most_common_value_to_be_in_set", column="s", value_set=["a"]),
        _c("column_most_common_value_to_be_in_set", column="d", value_set=["2026-01-03"], ties_okay=True),
        _c("column_kl_divergence_to_be_less_than", column="s", threshold=0.5, partition_object=by_value),
        _c(
            "column_kl_divergence_to_be_less_than",
            column="k",
            threshold=0.5,
            partition_object={"bins": [0, 5, 10], "weights": [0.5, 0.5]},
        ),
        _c("column_quantile_values_to_be_between", column="k", quantile_ranges=ranges),
        _c(
            "column_quantile_values_to_be_between",
            NEAREST,
            column="k",
            quantile_ranges={"quantiles": [0.32], "value_ranges": [[6, 6]]},
        ),
        _c("column_sum_to_be_between", EMPTY_SUM, column="k", max_value=4, row_condition=compare("id", ">", 9)),
        _c("column_to_exist", column="s"),
        _c("column_to_exist", column="absent"),
        _c("table_column_count_to_be_between", min_value=3),
        _c("table_column_count_to_equal", value=3),
        _c("table_columns_to_match_ordered_list", column_list=["id", "n"]),
        _c("table_columns_to_match_set", column_set=["id", QUOTED, CHINESE], exact_match=False),
        _c("table_row_count_to_be_between", min_value=7),
        _c("table_row_count_to_equal", value=6),
    ]
    for column, name in (("s", "VARCHAR"), ("dec", "DECIMAL(9,2)"), ("ts", "TIMESTAMPTZ"), ("i", "BIGINT")):
        cases.append(_c("column_type_to_be", TYPE_NAMES, column=column, type_=name))
        cases.append(_c("column_values_to_be_of_type", TYPE_NAMES, column=column, type_=name))
        cases.append(_c("column_values_to_be_in_type_list", TYPE_NAMES, column=column, type_list=["DATE", name]))
    cases.append(_c("column_values_to_be_of_type", column="s", type_="BIGINT"))
    return cases


def _cases_without_pandas() -> list[Case]:
    """Expectations that GX has for SQL alone; what is expected is written out."""
    like = {"column": "s"}
    return [
        _c("column_values_to_match_like_pattern", like_pattern="a%", expected=(False, 5, [3, 5, 6]), **like),
        _c(
            "column_values_to_match_like_pattern",
            like_pattern="%!%",
            escape="!",
            expected=(False, 5, [1, 4, 5, 6]),
            **like,
        ),
        _c("column_values_to_not_match_like_pattern", like_pattern="_", expected=(False, 5, [1, 4]), **like),
        _c(
            "column_values_to_match_like_pattern_list",
            like_pattern_list=["a%", "%中%"],
            match_on="any",
            expected=(False, 5, [5, 6]),
            **like,
        ),
        _c(
            "column_values_to_match_like_pattern_list",
            like_pattern_list=["A%", "%'"],
            match_on="all",
            expected=(False, 5, [1, 3, 4, 6]),
            **like,
        ),
        _c(
            "column_values_to_not_match_like_pattern_list",
            like_pattern_list=["a%", "%中%"],
            expected=(False, 5, [1, 3, 4]),
            **like,
        ),
        _c("table_row_count_to_equal_other_table", other_table_name="checked", expected=(True, None, [])),
        _c(
            "unexpected_rows_expectation",
            unexpected_rows_query="SELECT * FROM {batch} WHERE s = 'a' AND n IS NOT NULL",
            expected=(False, None, [1, 4]),
        ),
        _c(
            "query_results_to_match_comparison",
            base_query="SELECT count(*) FROM {batch}",
            comparison_data_source_name="other",
            comparison_query="SELECT 6",
            error="requires an active data context",
        ),
    ]


def _own_cases() -> list[Case]:
    """Expectations of the house."""
    return [
        _c(
            "column_last_seen_within_intervals",
            column="ts",
            interval_column="i",
            intervals=20_000,
            day_end="2026-01-03",
            expected=(False, 5, [1]),
        ),
        _c(
            "column_ci_consistent_with_cmdb",
            column="s",
            cmdb="cmdb.configuration_items",
            consistent_columns={QUOTED: "ci_class"},
            expected=(False, 5, [3, 5]),
        ),
        _c("column_unit_to_equal_standard", column="s", standard_column=QUOTED, expected=(False, 5, [1, 3, 4, 5, 6])),
        _c(
            "column_values_to_vary",
            column="dec",
            group_columns=["d"],
            min_values=2,
            expected=(False, 5, [3, 4, 5, 6]),
        ),
        # 5 leads to 6 and 6 to 5; their rows are the only ones whose ends are numbers of both columns.
        _c("column_relations_to_be_acyclic", column="id", target_column="k", expected=(False, 6, [5, 6])),
        _c("column_relations_to_be_acyclic", column="s", target_column=QUOTED, expected=(True, 5, [])),
        _c(
            "column_values_to_follow_dynamic_baseline",
            column="i",
            fault="out_of_band",
            value_column="i",
            time_column="ts",
            group_columns=["b"],
            batch_column="b",
            order_column="id",
            # Row 6 is out of its band; row 5 is of the same time.
            expected=(False, 5, [5, 6]),
        ),
        _c(
            "column_values_to_follow_dynamic_baseline",
            column="ts",
            fault="duplicate_timestamp",
            value_column="i",
            time_column="ts",
            group_columns=["b"],
            batch_column="b",
            order_column="id",
            expected=(False, 5, [3, 4, 5, 6]),
        ),
        _c(
            "baseline_metrics_to_be_reported",
            column="s",
            expected_instances="shared.expected",
            expected=(False, None, []),
        ),
    ]


CASES = [*_map_cases(), *_multiple_column_cases(), *_dataset_cases(), *_cases_without_pandas(), *_own_cases()]

OTHER_TABLES = """
    CREATE SCHEMA IF NOT EXISTS cmdb;
    CREATE OR REPLACE TABLE cmdb.configuration_items AS SELECT * FROM (VALUES
        ('a', 'x'), ('中文%', 'z'), ('  ', NULL)) AS t (ci_id, ci_class);
    CREATE SCHEMA IF NOT EXISTS shared;
    CREATE OR REPLACE TABLE shared.expected AS SELECT * FROM (VALUES
        ('a', 'up', true), ('中文%', 'up', false), ('absent', 'up', false)) AS t (s, metric, is_reported);
    CREATE SCHEMA IF NOT EXISTS dynamic_baselines;
    CREATE OR REPLACE TABLE dynamic_baselines.slots AS
        SELECT epoch(TIMESTAMPTZ '2026-01-01 00:00:00+00')::BIGINT // 60 + n AS minute, '00:00' AS slot
        FROM range(4320) AS t (n);
    CREATE OR REPLACE TABLE dynamic_baselines.bands AS SELECT
        'true' AS instance_id, '00:00' AS slot, 'flat' AS learned_from, 6.0::DOUBLE AS center, 0.0::DOUBLE AS band_low,
        20.0::DOUBLE AS band_high, 60.0::DOUBLE AS usual_step_s, 60.0::DOUBLE AS usual_longest_step_s,
        1.0::DOUBLE AS usual_flat_points, false AS usual_counter;
    CREATE OR REPLACE TABLE dynamic_baselines.rules AS SELECT
        12 AS minimum_points, 4 AS sustained_points, 60.0::DOUBLE AS sustained_minutes, 12 AS flat_points,
        4.0::DOUBLE AS gap_steps, [8.0::DOUBLE] AS unit_factors, 0.2::DOUBLE AS unit_tolerance;
"""
