"""Verdict, counts and failing rows of each kind of expectation, against rows written out by hand."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import duckdb
import pytest
from policy_cases import all_of, any_of, compare, is_null, policy

from omgov_assets.quality_policy.great_expectations_run import Verdict, evaluate_policies
from omgov_assets.quality_policy.policies import Policy

# id, n, m, unit, ok, seen_at
ROWS = [
    (1, 5.0, 5.0, "%", True, datetime(2026, 11, 20, 1, tzinfo=UTC)),
    (2, 50.0, 5.0, "ms", False, datetime(2026, 11, 20, 2, tzinfo=UTC)),
    (3, None, 5.0, "%", None, None),
    (4, 5.0, None, None, True, datetime(2026, 11, 20, 4, tzinfo=UTC)),
    (5, None, None, "it's", False, datetime(2026, 11, 20, 5, tzinfo=UTC)),
    (6, -1.0, 7.0, "%", True, datetime(2026, 11, 20, 6, tzinfo=UTC)),
]


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("SET TimeZone = 'UTC'")
        opened.execute(
            "CREATE TABLE checked (id BIGINT, n DOUBLE, m DOUBLE, unit VARCHAR, ok BOOLEAN, seen_at TIMESTAMPTZ)"
        )
        opened.executemany("INSERT INTO checked VALUES (?, ?, ?, ?, ?, ?)", ROWS)
        yield opened


def failing(con: duckdb.DuckDBPyConnection, verdict: Verdict) -> list[int]:
    """Ids of the failing rows; as many as GX counted."""
    if verdict.row_query is None:
        return []
    found = [row[0] for row in con.execute(f"SELECT id FROM ({verdict.row_query}) ORDER BY ALL").fetchall()]
    assert len(found) == verdict.failed
    return found


EQUAL = {"expectation": "expect_column_pair_values_to_be_equal", "column_A": "n", "column_B": "m"}
GREATER = {
    "expectation": "expect_column_pair_values_a_to_be_greater_than_b",
    "column_A": "n",
    "column_B": "m",
}
BETWEEN = {"expectation": "expect_column_values_to_be_between", "column": "n"}
NOT_NULL = {"expectation": "expect_column_values_to_not_be_null"}
IN_SET = {"expectation": "expect_column_values_to_be_in_set"}
NOT_IN_SET = {"expectation": "expect_column_values_to_not_be_in_set"}
EITHER = {"ignore_row_if": "either_value_is_missing"}
BOTH = {"ignore_row_if": "both_values_are_missing"}


@pytest.mark.parametrize(
    ("kwargs", "evaluated", "expected"),
    [
        (BETWEEN | {"min_value": 0}, 4, [6]),
        (BETWEEN | {"max_value": 5}, 4, [2]),
        (BETWEEN | {"max_value": 5, "strict_max": True}, 4, [1, 2, 4]),
        (BETWEEN | {"min_value": 0, "max_value": 5}, 4, [2, 6]),
        (BETWEEN | {"min_value": 0, "row_condition": compare("unit", "==", "%")}, 2, [6]),
        (BETWEEN | {"min_value": 0, "row_condition": compare("unit", "==", "it's")}, 0, []),
        (BETWEEN | {"min_value": 0, "row_condition": compare("ok", "==", True)}, 3, [6]),
        (
            BETWEEN | {"min_value": 9, "row_condition": all_of(compare("ok", "==", True), compare("m", ">=", 5))},
            2,
            [1, 6],
        ),
        (
            BETWEEN | {"min_value": 9, "row_condition": any_of(is_null("m"), compare("unit", "!=", "%"))},
            2,
            [4],
        ),
        (NOT_NULL | {"column": "n"}, 6, [3, 5]),
        (NOT_NULL | {"column": "n", "row_condition": is_null("m", null=False)}, 4, [3]),
        (NOT_NULL | {"column": "n", "row_condition": is_null("m")}, 2, [5]),
        (NOT_NULL | {"column": "id"}, 6, []),
        ({"expectation": "expect_column_values_to_be_null", "column": "m"}, 6, [1, 2, 3, 6]),
        (IN_SET | {"column": "unit", "value_set": ["%", "it's"]}, 5, [2]),
        (IN_SET | {"column": "ok", "value_set": [True]}, 5, [2, 5]),
        (NOT_IN_SET | {"column": "unit", "value_set": ["it's", "ms"]}, 5, [2, 5]),
        (EQUAL | EITHER, 3, [2, 6]),
        (EQUAL | BOTH, 5, [2, 3, 4, 6]),
        (EQUAL | EITHER | {"row_condition": compare("unit", "==", "%")}, 2, [6]),
        (GREATER | EITHER, 3, [1, 6]),
        (GREATER | EITHER | {"or_equal": True}, 3, [6]),
        ({"expectation": "expect_column_values_to_be_unique", "column": "unit"}, 5, [1, 3, 6]),
        ({"expectation": "expect_column_values_to_be_unique", "column": "id"}, 6, []),
        (
            {
                "expectation": "expect_column_values_to_be_unique",
                "column": "unit",
                "row_condition": compare("n", "<", 50),
            },
            2,
            [1, 6],
        ),
        (
            {"expectation": "expect_column_value_lengths_to_be_between", "column": "unit", "max_value": 2},
            5,
            [5],
        ),
        (
            {"expectation": "expect_column_values_to_match_regex", "column": "unit", "regex": "^[a-z]"},
            5,
            [1, 3, 6],
        ),
        ({"expectation": "expect_column_values_to_not_match_regex", "column": "unit", "regex": "'"}, 5, [5]),
        (
            {
                "expectation": "expect_column_values_to_match_regex_list",
                "column": "unit",
                "regex_list": ["^%$", "m"],
            },
            5,
            [5],
        ),
        (
            {
                "expectation": "expect_column_values_to_not_match_regex_list",
                "column": "unit",
                "regex_list": ["^%$", "m"],
            },
            5,
            [1, 2, 3, 6],
        ),
    ],
)
def test_an_expectation_fails_exactly_these_rows(
    con: duckdb.DuckDBPyConnection, kwargs: dict[str, Any], evaluated: int, expected: list[int]
) -> None:
    arguments = dict(kwargs)
    [verdict] = evaluate_policies(con, [policy("p", arguments.pop("expectation"), **arguments)])
    assert verdict.error is None
    assert failing(con, verdict) == expected
    assert (verdict.evaluated, verdict.failed, verdict.success) == (evaluated, len(expected), not expected)


def test_compound_keys_are_unique_where_they_are_given(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("INSERT INTO checked VALUES (7, 5, NULL, NULL, NULL, NULL), (8, 5, 5, '%', NULL, NULL)")
    case = policy("p", "expect_compound_columns_to_be_unique", column_list=["n", "m"])
    [verdict] = evaluate_policies(con, [case])
    assert failing(con, verdict) == [1, 8]


def test_mostly_decides_the_verdict_and_not_the_failing_rows(con: duckdb.DuckDBPyConnection) -> None:
    cases = [
        policy(f"p{share * 100:.0f}", **(BETWEEN | {"max_value": 5, "mostly": share}))
        for share in (0.75, 0.76)  # 3 of the 4 values are in range
    ]
    enough, too_few = evaluate_policies(con, cases)
    assert (enough.success, too_few.success) == (True, False)
    assert failing(con, enough) == failing(con, too_few) == [2]


def test_free_sql_fails_the_rows_that_it_selects(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("CREATE TABLE known AS SELECT '%' AS unit")
    query = "SELECT c.* FROM {batch} AS c ANTI JOIN known USING (unit) WHERE c.unit IS NOT NULL"
    [verdict] = evaluate_policies(con, [policy("p", "unexpected_rows_expectation", unexpected_rows_query=query)])
    assert (verdict.success, verdict.failed) == (False, 2)
    assert failing(con, verdict) == [2, 5]


@pytest.mark.parametrize(
    ("kwargs", "success", "observed"),
    [
        ({"expectation": "expect_table_row_count_to_be_between", "min_value": 7}, False, "6"),
        ({"expectation": "expect_table_row_count_to_be_between", "min_value": 6}, True, "6"),
        ({"expectation": "expect_column_max_to_be_between", "column": "n", "max_value": 10}, False, "50.0"),
        (
            {
                "expectation": "expect_column_distinct_values_to_be_in_set",
                "column": "ok",
                "value_set": [True],
            },
            False,
            None,
        ),
    ],
)
def test_an_expectation_on_the_dataset_fails_once(
    con: duckdb.DuckDBPyConnection, kwargs: dict[str, Any], success: bool, observed: str
) -> None:
    arguments = dict(kwargs)
    [verdict] = evaluate_policies(con, [policy("p", arguments.pop("expectation"), **arguments)])
    assert (verdict.success, verdict.failed, verdict.row_query) == (success, int(not success), None)
    assert verdict.observed == observed


SOUND = [
    policy("between", **(BETWEEN | {"max_value": 5})),
    policy("not_null", **(NOT_NULL | {"column": "unit"})),
    policy("in_set", **(IN_SET | {"column": "ok", "value_set": [True]})),
    policy("unique", "expect_column_values_to_be_unique", column="id"),
    policy("equal", **(EQUAL | EITHER)),
    policy("rows", "unexpected_rows_expectation", unexpected_rows_query="SELECT * FROM {batch} WHERE id = 3"),
    policy("count", "expect_table_row_count_to_be_between", min_value=7),
]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (policy("b", **(NOT_NULL | {"column": "absent"})), 'The column "absent" in BatchData does not exist'),
        (policy("b", "expect_column_values_to_match_regex", column="unit", regex="["), "missing ]: ["),
        (policy("b", **(IN_SET | {"column": "n", "value_set": ["a"]})), "Could not convert string 'a'"),
        (policy("b", "expect_nonsense", column="n"), "not a valid expectation: expect_nonsense not found"),
        (policy("b", **BETWEEN), "not a valid expectation: min_value and max_value cannot both be None"),
        (
            policy("b", **(BETWEEN | {"max_value": "much"})),
            "not a valid expectation: max_value: value is not a valid float",
        ),
        (
            policy("b", **(BETWEEN | {"max_valeu": 1})),
            "not a valid expectation: max_valeu: extra fields not permitted",
        ),
        (
            policy("b", **(BETWEEN | {"max_value": 1, "row_condition": compare("absent", "==", 1)})),
            '"absent" not found',
        ),
        (
            policy("b", "unexpected_rows_expectation", unexpected_rows_query="SELECT * FRM {batch}"),
            "syntax error",
        ),
        (
            policy("b", "unexpected_rows_expectation", unexpected_rows_query="SELECT * FROM absent"),
            "absent does not exist",
        ),
        (policy("b", "expect_column_sum_to_be_between", column="unit", max_value=1), "sum(VARCHAR)"),
        (
            policy("b", "expect_column_kl_divergence_to_be_less_than", column="n", threshold=1, partition_object={}),
            "Invalid partition_object",
        ),
    ],
)
@pytest.mark.parametrize("position", [0, 3, 7])
def test_a_policy_that_breaks_disturbs_no_other(
    con: duckdb.DuckDBPyConnection, broken: Policy, reason: str, position: int
) -> None:
    verdicts = evaluate_policies(con, [*SOUND[:position], broken, *SOUND[position:]])
    assert [verdict.policy for verdict in verdicts] == [*SOUND[:position], broken, *SOUND[position:]]
    broken_verdict = verdicts.pop(position)
    assert broken_verdict.success is None
    assert reason in (broken_verdict.error or "")
    assert "\n" not in (broken_verdict.error or "")
    assert [(v.policy.policy_id, v.success, v.failed) for v in verdicts] == [
        ("between", False, 1), ("not_null", False, 1), ("in_set", False, 2), ("unique", True, 0),
        ("equal", False, 2), ("rows", False, 1), ("count", False, 1),
    ]  # fmt: skip
    assert [failing(con, verdict) for verdict in verdicts] == [[2], [4], [2, 5], [], [2, 6], [3], []]


def test_a_row_condition_that_is_a_text_is_an_error(con: duckdb.DuckDBPyConnection) -> None:
    text = policy("text", **(BETWEEN | {"max_value": 1, "row_condition": "m > 1"}))
    broken, sound = evaluate_policies(con, [text, SOUND[0]])
    assert "row_condition" in (broken.error or "")
    assert failing(con, sound) == [2]


def test_a_row_condition_that_no_row_meets_is_passed(con: duckdb.DuckDBPyConnection) -> None:
    nobody = {"row_condition": compare("unit", "==", "furlong")}
    cases = [policy(f"p{n}", **(kwargs | nobody)) for n, kwargs in enumerate(
        (BETWEEN | {"max_value": 5}, NOT_NULL | {"column": "n"}, IN_SET | {"column": "n", "value_set": [1]}, EQUAL)
    )]  # fmt: skip
    assert [(v.success, v.evaluated, v.failed) for v in evaluate_policies(con, cases)] == [(True, 0, 0)] * 4


def test_policies_that_are_all_invalid_are_all_errors(con: duckdb.DuckDBPyConnection) -> None:
    verdicts = evaluate_policies(con, [policy("a", "expect_nonsense"), policy("b", "expect_more_of_it")])
    assert [(verdict.success, bool(verdict.error)) for verdict in verdicts] == [(None, True), (None, True)]


def test_an_empty_table_passes_what_is_asked_of_rows(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("DELETE FROM checked")
    verdicts = {verdict.policy.policy_id: verdict.success for verdict in evaluate_policies(con, SOUND)}
    assert verdicts == {case.policy_id: case.policy_id != "count" for case in SOUND}


def test_gx_is_the_authority_so_that_a_changed_metric_changes_verdict_and_rows(
    con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlalchemy
    from great_expectations.expectations import registry

    case = policy("p", **(BETWEEN | {"max_value": 5}))
    [before] = evaluate_policies(con, [case])
    assert (before.success, before.failed, failing(con, before)) == (False, 1, [2])

    providers = registry._registered_metrics["column_values.between.condition"]["providers"]
    metric_class, condition = providers["SqlAlchemyExecutionEngine"]

    @functools.wraps(condition)
    def inverted(*args: Any, **kwargs: Any) -> Any:
        expression, *domain = condition(*args, **kwargs)
        given = sqlalchemy.column("n").is_not(None)
        return (sqlalchemy.and_(given, sqlalchemy.not_(expression)), *domain)

    monkeypatch.setitem(providers, "DuckDBExecutionEngine", (metric_class, inverted))
    [after] = evaluate_policies(con, [case])
    assert after.error is None
    assert (after.success, after.failed, failing(con, after)) == (False, 3, [1, 4, 6])
    monkeypatch.undo()
    assert evaluate_policies(con, [case])[0].failed == 1


def test_gx_on_pandas_is_the_authority_for_what_sql_cannot_say(
    con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    from great_expectations.expectations import registry

    case = policy("p", "expect_column_values_to_be_increasing", column="n")
    [before] = evaluate_policies(con, [case])
    assert (before.engine, before.success, before.evaluated, failing(con, before)) == ("pandas", False, 4, [4, 6])

    providers = registry._registered_metrics["column_values.increasing.condition"]["providers"]
    metric_class, condition = providers["PandasExecutionEngine"]

    @functools.wraps(condition)
    def inverted(*args: Any, **kwargs: Any) -> Any:
        unexpected, *domain = condition(*args, **kwargs)
        return (~unexpected, *domain)

    monkeypatch.setitem(providers, "PandasExecutionEngine", (metric_class, inverted))
    [after] = evaluate_policies(con, [case])
    assert (after.success, failing(con, after)) == (False, [1, 2])


def test_what_sql_cannot_say_reads_only_the_rows_and_columns_that_it_judges(
    con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    from omgov_assets.quality_policy import pandas_fallback

    original = pandas_fallback.pandas_validator
    frames = []
    monkeypatch.setattr(pandas_fallback, "pandas_validator", lambda rows: frames.append(rows) or original(rows))
    kwargs = {"column": "n", "row_condition": all_of(compare("ok", "==", True), is_null("m", null=False))}
    [verdict] = evaluate_policies(con, [policy("p", "expect_column_values_to_be_increasing", **kwargs)])
    assert (verdict.engine, verdict.evaluated, failing(con, verdict)) == ("pandas", 2, [6])
    [rows] = frames
    assert (list(rows.columns), list(rows.index)) == (["n"], [0, 5])
