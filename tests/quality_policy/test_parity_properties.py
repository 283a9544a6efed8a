"""GX on DuckDB says what GX on pandas says, whatever the rows: nulls, NaN, infinities, unicode, zones, none at all."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from expectation_cases import Case, judge, judge_on_pandas
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from policy_cases import all_of, any_of, compare, is_null

from omgov_assets.data_lake.sql import identifier

QUOTED = 'select"'
SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("n", pa.float64()),
        ("m", pa.float64()),
        ("i", pa.int64()),
        ("s", pa.string()),
        ("ts", pa.timestamp("us", tz="UTC")),
        ("b", pa.bool_()),
        (QUOTED, pa.string()),
        ("数值", pa.int64()),
    ]
)
NUMBERS = st.none() | st.sampled_from([float("nan"), float("inf"), float("-inf"), 0.0, -0.0, 0.1, 1.0, 2.5, -3.0, 1e16])
WHOLE = st.none() | st.sampled_from([0, 1, 2, -1, 2**53 + 1, -(2**63), 2**63 - 1])
TEXTS = st.none() | st.sampled_from(["", "a", "ab", "中文", "é", "😀", "it's", 'say "x"', "a%", "50_", "\\d", " ", "1"])
TIMES = st.none() | st.builds(
    lambda hours, offset: (datetime(2026, 1, 2, tzinfo=UTC) + timedelta(hours=hours)).astimezone(
        timezone(timedelta(hours=offset))
    ),
    st.integers(-30, 30),
    st.sampled_from([0, 8, -5]),
)
ROWS = st.lists(
    st.tuples(NUMBERS, NUMBERS, WHOLE, TEXTS, TIMES, st.none() | st.booleans(), TEXTS, st.none() | st.integers(0, 3)),
    max_size=9,
)
CONDITIONS = st.sampled_from(
    [
        None,
        compare("n", ">", 0),
        compare("s", "==", "a"),
        compare(QUOTED, "==", "中文"),
        is_null("i"),
        any_of(is_null("ts"), compare("b", "==", True)),
        all_of(is_null("s", null=False), compare("数值", "<=", 2)),
    ]
)
MOSTLY = st.sampled_from([0.0, 0.34, 0.5, 0.9, 1.0])
EITHER = {"ignore_row_if": "either_value_is_missing"}
ANY = {"ignore_row_if": "any_value_is_missing"}
# Arguments without `mostly` and row condition, which are drawn.
BY_ROW: list[tuple[str, dict[str, Any]]] = [
    ("column_values_to_be_between", {"column": "n", "min_value": 0, "max_value": 2.5, "strict_max": True}),
    ("column_values_to_be_between", {"column": "i", "max_value": 1}),
    ("column_values_to_be_between", {"column": "ts", "min_value": "2026-01-02T08:00:00+08:00"}),
    ("column_values_to_be_in_set", {"column": "n", "value_set": [0.1, 2.5, float("inf")]}),
    ("column_values_to_be_in_set", {"column": "s", "value_set": ["", "中文", "it's", "😀"]}),
    ("column_values_to_not_be_in_set", {"column": "i", "value_set": [2**53 + 1, 1]}),
    ("column_values_to_not_be_in_set", {"column": QUOTED, "value_set": ['say "x"', "50_"]}),
    ("column_values_to_be_null", {"column": "n"}),
    ("column_values_to_not_be_null", {"column": "n"}),
    ("column_values_to_not_be_null", {"column": QUOTED}),
    ("column_values_to_be_unique", {"column": "n"}),
    ("column_values_to_be_unique", {"column": "s"}),
    ("column_values_to_be_unique", {"column": "ts"}),
    ("column_values_to_be_unique", {"column": "数值"}),
    ("column_value_lengths_to_be_between", {"column": "s", "min_value": 1, "max_value": 2}),
    ("column_value_lengths_to_equal", {"column": "i", "value": 1}),
    ("column_value_lengths_to_equal", {"column": QUOTED, "value": 2}),
    ("column_values_to_match_regex", {"column": "s", "regex": r"^[a-z\p{Han}]|'"}),
    ("column_values_to_not_match_regex", {"column": "s", "regex": r"\\|%$|^\s*$"}),
    ("column_values_to_match_regex_list", {"column": QUOTED, "regex_list": ["a", "b$", "."], "match_on": "all"}),
    ("column_values_to_not_match_regex_list", {"column": "i", "regex_list": ["^-", "^1$"]}),
    ("column_values_to_not_be_outliers", {"column": "n", "method": "iqr", "multiplier": 0.5}),
    ("column_values_to_not_be_outliers", {"column": "n", "method": "std", "multiplier": 0.8}),
    ("column_value_z_scores_to_be_less_than", {"column": "n", "threshold": 0.7, "double_sided": True}),
    ("column_values_to_be_increasing", {"column": "ts"}),
    ("column_values_to_be_decreasing", {"column": "数值", "strictly": True}),
    ("column_values_to_be_json_parseable", {"column": "s"}),
    ("column_values_to_be_dateutil_parseable", {"column": QUOTED}),
    ("column_pair_values_to_be_equal", {"column_A": "n", "column_B": "m"}),
    ("column_pair_values_to_be_equal", {"column_A": "s", "column_B": QUOTED, **EITHER}),
    ("column_pair_values_a_to_be_greater_than_b", {"column_A": "n", "column_B": "m", **EITHER}),
    ("column_pair_values_a_to_be_greater_than_b", {"column_A": "m", "column_B": "n", "or_equal": True, **EITHER}),
    ("compound_columns_to_be_unique", {"column_list": ["s", "b"], **ANY}),
    ("compound_columns_to_be_unique", {"column_list": ["n", "数值"], **ANY}),
    ("multicolumn_sum_to_equal", {"column_list": ["n", "m"], "sum_total": 3.5, **ANY}),
    ("multicolumn_values_to_be_equal", {"column_list": ["n", "m"]}),
    ("select_column_values_to_be_unique_within_record", {"column_list": ["n", "m"]}),
]
BY_COLUMN: list[tuple[str, dict[str, Any]]] = [
    ("column_max_to_be_between", {"column": "i", "max_value": 2}),
    ("column_min_to_be_between", {"column": "数值", "min_value": 1}),
    ("column_mean_to_be_between", {"column": "数值", "min_value": 1, "max_value": 2}),
    ("column_median_to_be_between", {"column": "数值", "max_value": 1}),
    ("column_unique_value_count_to_be_between", {"column": "s", "max_value": 2}),
    ("column_proportion_of_unique_values_to_be_between", {"column": QUOTED, "min_value": 0.6}),
    ("column_proportion_of_non_null_values_to_be_between", {"column": "n", "min_value": 0.6}),
    ("column_distinct_values_to_be_in_set", {"column": "s", "value_set": ["a", "中文", ""]}),
    ("column_distinct_values_to_contain_set", {"column": "数值", "value_set": [1, 2]}),
    ("table_row_count_to_be_between", {"min_value": 2, "max_value": 5}),
]


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("SET TimeZone = 'UTC'")
        yield opened


@st.composite
def cases(draw: st.DrawFn) -> list[Case]:
    drawn = []
    for kind, kwargs in draw(st.lists(st.sampled_from(BY_ROW), min_size=8, max_size=8, unique_by=str)):
        condition = draw(CONDITIONS)
        conditioned = kwargs if condition is None else kwargs | {"row_condition": condition}
        drawn.append(Case(f"expect_{kind}", conditioned | {"mostly": draw(MOSTLY)}))
    drawn += [Case(f"expect_{kind}", kwargs) for kind, kwargs in draw(st.lists(st.sampled_from(BY_COLUMN), max_size=3))]
    return drawn


@given(rows=ROWS, drawn=cases())
@settings(
    max_examples=40,
    deadline=None,
    database=None,
    # What is drawn is small: a smaller failure is not worth minutes.
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_rows_are_judged_as_on_pandas(
    con: duckdb.DuckDBPyConnection, rows: list[tuple[Any, ...]], drawn: list[Case]
) -> None:
    numbered = [(number, *row) for number, row in enumerate(rows, start=1)]
    columns = zip(*numbered, strict=True) if numbered else [()] * len(SCHEMA)
    arrays = [pa.array(values, field.type, from_pandas=False) for values, field in zip(columns, SCHEMA, strict=True)]
    con.register("given_rows", pa.table(arrays, schema=SCHEMA))
    con.execute(f"CREATE OR REPLACE TABLE checked AS SELECT * FROM {identifier('given_rows')}")
    judged, expected = judge(con, drawn), judge_on_pandas(con, drawn)
    for case, found, wanted in zip(drawn, judged, expected, strict=True):
        assert found.outcome == wanted, (case, found.engine, found.error)
