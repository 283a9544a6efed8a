"""Policies that make no sense, or mean harm: a clear error of that policy alone, and nothing is executed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from policy_cases import compare, policy
from small_firm import DAY, SYSTEM, build_small_firm, instance

from omgov_assets.quality_policy.evaluation import evaluate_dataset
from omgov_assets.quality_policy.great_expectations_run import Verdict, evaluate_policies
from omgov_assets.quality_policy.policies import Policy, PolicySet

QUOTED = 'select"'
SOUND = policy("sound", "expect_column_values_to_be_in_set", column="s", value_set=["v1", "v2"])
NOT_NULL = "expect_column_values_to_not_be_null"
IN_SET = "expect_column_values_to_be_in_set"
NOT_IN_SET = "expect_column_values_to_not_be_in_set"
MATCH = "expect_column_values_to_match_regex"
INCREASING = "expect_column_values_to_be_increasing"
QUERY = "unexpected_rows_expectation"


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("""
            CREATE TABLE checked AS SELECT i AS id, 'v' || i AS s, i * 1.0::DOUBLE AS n, NULL::VARCHAR AS nothing,
                CASE WHEN i % 2 = 0 THEN 'x' END AS "select""\", i AS "数 值", i AS "a.b", i AS "per%cent:x"
            FROM range(10) AS t (i)
        """)
        yield opened


def judged(con: duckdb.DuckDBPyConnection, *policies: Policy) -> list[Verdict]:
    """Verdicts beside a sound policy, which has to be judged all the same, over rows that have to stay as they are."""
    *verdicts, sound = evaluate_policies(con, [*policies, SOUND])
    assert (sound.error, sound.failed) == (None, 8)
    assert con.execute("SELECT count(*), sum(id) FROM checked").fetchone() == (10, 45)
    return verdicts


def failing(con: duckdb.DuckDBPyConnection, verdict: Verdict) -> list[int]:
    found = con.execute(f"SELECT id FROM ({verdict.row_query}) ORDER BY ALL").fetchall() if verdict.row_query else []
    assert len(found) == verdict.failed
    return [row[0] for row in found]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (policy("b", NOT_NULL, column="absent"), 'The column "absent" in BatchData does not exist'),
        (policy("b", INCREASING, column="absent"), 'The column "absent" in BatchData does not exist'),
        (policy("b", MATCH, column="s", regex="a(?=b)"), "RE2 refuses the regular expression 'a(?=b)'"),
        (policy("b", MATCH, column="s", regex=r"(a)\1"), "invalid escape sequence"),
        (policy("b", MATCH, column="s", regex="["), "missing ]"),
        (policy("b", MATCH, column="s", regex="a{1001}"), "invalid repetition size"),
        (policy("b", IN_SET, column="n", value_set=["a"]), "Could not convert string 'a'"),
        (policy("b", "expect_column_mean_to_be_between", column="s", max_value=1), "*(DOUBLE, VARCHAR)"),
        (policy("b", "expect_column_values_to_be_between", column="s", max_value=1), "column of type VARCHAR"),
        (policy("b", INCREASING, column="s"), "not supported for dtype 'str'"),
        (policy("b", "expect_column_values_to_match_json_schema", column="s", json_schema={}), "Expecting value"),
    ],
)
def test_a_policy_that_cannot_be_judged_is_an_error_of_its_own(
    con: duckdb.DuckDBPyConnection, broken: Policy, reason: str
) -> None:
    [verdict] = judged(con, broken)
    assert (verdict.success, verdict.row_query) == (None, None)
    assert reason in (verdict.error or "")
    assert "\n" not in (verdict.error or "")


@pytest.mark.parametrize("kind", [NOT_NULL, INCREASING])
@pytest.mark.parametrize(
    "condition",
    [
        "1=1; DROP TABLE checked",
        "n >",
        "@__import__('os').remove('checked')",
        'col("n") > 5 and col("n") < 7',
        'col("n") > 5; DROP TABLE checked',
        7,
        ["n", ">", 5],
        {"type": "sql", "text": "1=1; DROP TABLE checked"},
        compare("n", "; DROP TABLE checked", 1),
        compare('n" = 1; DROP TABLE checked; --', "==", 1),
        compare("n` > 0 or `n`.to_csv('stolen') or `n", "==", 1),
    ],
    ids=str,
)
@pytest.mark.parametrize("parser", [{}, {"condition_parser": "great_expectations"}, {"condition_parser": "pandas"}])
@pytest.mark.filterwarnings("ignore:The condition_parser parameter is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Passing a string to the row_condition:DeprecationWarning")
def test_a_row_condition_that_is_none_is_an_error(
    con: duckdb.DuckDBPyConnection, kind: str, condition: Any, parser: dict[str, str]
) -> None:
    [verdict] = judged(con, policy("b", kind, column="n", row_condition=condition, **parser))
    assert verdict.success is None
    assert "row_condition" in (verdict.error or "") or "not found" in (verdict.error or "")


def test_a_row_condition_compares_with_any_text(con: duckdb.DuckDBPyConnection) -> None:
    condition = compare("s", "==", "v1'; DROP TABLE checked; --")
    [verdict] = judged(con, policy("p", NOT_NULL, column="nothing", row_condition=condition))
    assert (verdict.success, verdict.evaluated, verdict.failed) == (True, 0, 0)


@pytest.mark.parametrize(
    "query",
    [
        "DROP TABLE checked",
        "SELECT * FROM {batch}; DROP TABLE checked",
        "SELECT 1) AS a; DROP TABLE checked; SELECT * FROM (SELECT 1",
        "INSERT INTO checked SELECT * FROM {batch} RETURNING id",
        "COPY (SELECT * FROM {batch}) TO 'stolen.csv'",
        "",
    ],
)
def test_a_query_that_does_not_only_select_is_an_error(con: duckdb.DuckDBPyConnection, query: str) -> None:
    [verdict] = judged(con, policy("b", QUERY, unexpected_rows_query=query))
    assert verdict.success is None
    assert "not a valid expectation" in (verdict.error or "")


@pytest.mark.parametrize("column", ["s", "id"])
def test_a_set_of_a_hundred_thousand_values_is_judged(con: duckdb.DuckDBPyConnection, column: str) -> None:
    values: list[Any] = [f"v{n}" if column == "s" else n for n in range(0, 200_000, 2)]
    inside, outside = judged(
        con,
        policy("p", IN_SET, column=column, value_set=values),
        policy("q", NOT_IN_SET, column=column, value_set=values, row_condition=compare("n", "<", 5)),
    )
    assert failing(con, inside) == [1, 3, 5, 7, 9]
    assert failing(con, outside) == [0, 2, 4]
    assert inside.policy.kwargs["value_set"] == values


def test_a_long_set_of_other_values_is_judged_as_a_short_one(con: duckdb.DuckDBPyConnection) -> None:
    values = [n + 0.5 for n in range(1001)]
    con.execute("UPDATE checked SET n = 3.5 WHERE id = 3")
    found, refused = judged(
        con, policy("p", IN_SET, column="n", value_set=values), policy("q", IN_SET, column="s", value_set=values)
    )
    assert failing(con, found) == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert refused.error is not None


NAMED = [
    (NOT_NULL, {}),
    (IN_SET, {"value_set": ["x"]}),
    (MATCH, {"regex": "^x$"}),
    ("expect_column_values_to_be_unique", {}),
    ("expect_column_value_lengths_to_equal", {"value": 1}),
    ("expect_column_values_to_match_like_pattern", {"like_pattern": "x%"}),
    ("expect_column_values_to_be_json_parseable", {}),
    ("expect_column_values_to_be_of_type", {"type_": "VARCHAR"}),
    ("expect_column_unique_value_count_to_be_between", {"max_value": 1}),
    ("expect_column_distinct_values_to_be_in_set", {"value_set": ["x"]}),
    ("expect_column_to_exist", {}),
]


def test_a_column_may_be_named_like_sql(con: duckdb.DuckDBPyConnection) -> None:
    verdicts = judged(con, *(policy(f"p{n}", kind, column=QUOTED, **kwargs) for n, (kind, kwargs) in enumerate(NAMED)))
    assert [verdict.error for verdict in verdicts] == [None] * len(NAMED)
    odd, even = [1, 3, 5, 7, 9], [0, 2, 4, 6, 8]
    assert [failing(con, verdict) for verdict in verdicts[:7]] == [odd, [], [], even, [], [], even]
    assert all(verdict.success for verdict in verdicts[7:])


@pytest.mark.parametrize("column", ["数 值", "a.b", "per%cent:x"])
def test_a_column_may_be_named_in_any_letters(con: duckdb.DuckDBPyConnection, column: str) -> None:
    cases = [
        policy("p0", "expect_column_values_to_be_between", column=column, max_value=7),
        policy("p1", "expect_column_value_z_scores_to_be_less_than", column=column, threshold=1.4, double_sided=True),
        policy("p2", "expect_column_values_to_not_be_outliers", column=column, method="iqr", multiplier=0.1),
        policy("p3", "expect_compound_columns_to_be_unique", column_list=[column, QUOTED]),
        policy("p4", INCREASING, column=column),
        policy("p5", "expect_column_mean_to_be_between", column=column, min_value=4, max_value=5),
    ]
    verdicts = judged(con, *cases)
    assert [verdict.error for verdict in verdicts] == [None] * len(cases)
    assert [failing(con, verdict) for verdict in verdicts[:5]] == [[8, 9], [0, 9], [0, 1, 8, 9], [], []]


@pytest.mark.parametrize("rows", [0, 10])
def test_no_rows_or_nothing_but_nulls_is_judged(con: duckdb.DuckDBPyConnection, rows: int) -> None:
    con.execute("DELETE FROM checked WHERE id >= ?", [rows])
    cases = [policy(f"p{n}", kind, column="nothing", **kwargs) for n, (kind, kwargs) in enumerate(NAMED[1:7])]
    verdicts = evaluate_policies(con, cases)
    assert [(v.error, v.success, v.evaluated, v.failed) for v in verdicts] == [(None, True, 0, 0)] * 6
    [missing] = evaluate_policies(con, [policy("p", NOT_NULL, column="nothing")])
    assert (missing.success, missing.evaluated, missing.failed) == (rows == 0, rows, rows)


def test_rows_that_cannot_be_harvested_are_an_error_of_that_policy_alone(tmp_path: Path) -> None:
    firm = build_small_firm(tmp_path / "project").at(tmp_path / "home")
    firm.deliver(SYSTEM, "metric_instances", [instance(ci="H1"), instance(ci="H2")])
    firm.collect(SYSTEM, DAY, "metric_instances")
    meta = {"subject": {"kind": "expected_instance", "key": ["absent"]}}
    policies = (
        policy("broken", QUERY, unexpected_rows_query="SELECT ci_id FROM {batch}", meta=meta),
        policy("sound", "expect_column_values_to_be_in_set", column="ci_id", value_set=["H1"]),
    )
    policy_set = PolicySet(SYSTEM, "metric_instances", policies, None, "hash")
    broken, sound = evaluate_dataset(firm.lake, firm.governance, policy_set, DAY)
    assert (broken.verdict, sound.verdict, sound.failed) == ("error", "failed", 1)
    assert "the failing rows cannot be read" in str(broken.reason)
    assert firm.rows("quality/violations", "policy_id, ci_id") == [("sound", "H2")]
