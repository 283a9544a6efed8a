"""One pass over the rows for many policies: each row for each policy it fails, whatever the columns are called."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest
from policy_cases import policy

from omgov_assets.data_lake.sql import literal
from omgov_assets.quality_policy.failing_rows import FailedPolicy, failing_rows
from omgov_assets.quality_policy.great_expectations_run import RowCondition, evaluate_policies

BELOW = [FailedPolicy(RowCondition(f"n < {bound}", ()), {"policy": literal(f"p{bound}")}, "n") for bound in range(150)]


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("CREATE TABLE checked AS SELECT i AS id, i AS n FROM range(200) AS t (i)")
        yield opened


@pytest.mark.parametrize("policies", [1, 61, 62, 63, 124, 150])
def test_a_row_is_listed_once_for_every_policy_that_it_fails(con: duckdb.DuckDBPyConnection, policies: int) -> None:
    found = con.execute(f"SELECT * FROM ({failing_rows(BELOW[:policies], {'row_id': 'id'}, ['id', 'n'])})").fetchall()
    assert sorted(found) == sorted((f"p{bound}", row, row) for bound in range(policies) for row in range(bound))


def test_an_unknown_condition_is_not_a_failing_row(con: duckdb.DuckDBPyConnection) -> None:
    unknown = FailedPolicy(RowCondition("n > NULL", ()), {"policy": "'p'"}, "n")
    assert con.execute(f"SELECT * FROM ({failing_rows([unknown], {}, ['n'])})").fetchall() == []


def test_columns_of_the_data_may_be_called_as_what_is_said(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        """CREATE OR REPLACE TABLE checked AS SELECT 1 AS policy, 2 AS facts, 3 AS bit, 4 AS observed, 5 AS "a""b" """
    )
    failed = FailedPolicy(RowCondition("policy = 1", ()), {"policy": "'p'"}, 'observed + "a""b"')
    rows = failing_rows([failed], {"facts": "facts", "bit": "bit"}, ["policy", "facts", "bit", "observed", 'a"b'])
    assert con.execute(rows).fetchall() == [("p", 2, 3, 9)]


def test_not_a_number_fails_as_missing_and_is_shown_as_delivered(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        "CREATE OR REPLACE TABLE checked AS SELECT * FROM (VALUES (1, 'NaN'::DOUBLE), (2, 5), (3, NULL)) t(id, n)"
    )
    given = policy("given", "expect_column_values_to_not_be_null", column="n")
    small = policy("small", "expect_column_values_to_be_between", column="n", max_value=1)
    verdicts = evaluate_policies(con, [given, small])
    failed = [
        FailedPolicy(verdict.row_condition, {"policy": literal(verdict.policy.policy_id)}, "n::VARCHAR")
        for verdict in verdicts
        if verdict.row_condition
    ]
    found = con.execute(failing_rows(failed, {"row_id": "id"}, ["id", "n"])).fetchall()
    assert sorted(found, key=repr) == [("given", 1, "nan"), ("given", 3, None), ("small", 2, "5.0")]


def test_what_looks_at_other_rows_has_no_condition(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("INSERT INTO checked VALUES (200, 7)")
    rising = policy("rising", "expect_column_values_to_be_increasing", column="n")
    unique = policy("unique", "expect_column_values_to_be_unique", column="n")
    [verdict, other] = evaluate_policies(con, [rising, unique])
    assert (verdict.failed, verdict.row_condition) == (1, None)
    assert (other.failed, other.row_condition is None) == (2, False)
