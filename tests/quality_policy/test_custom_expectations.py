"""The expectations of the house: verdict and failing rows, written out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import numpy as np
import pytest
from policy_cases import compare, policy

from omgov_assets.quality_policy.great_expectations_run import Verdict, evaluate_policies

LAST_SEEN = "expect_column_last_seen_within_intervals"
CMDB = "expect_column_ci_consistent_with_cmdb"
UNIT = "expect_column_unit_to_equal_standard"
VARY = "expect_column_values_to_vary"
ACYCLIC = "expect_column_relations_to_be_acyclic"
BASELINE = "expect_baseline_metrics_to_be_reported"


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("SET TimeZone = 'UTC'")
        opened.execute("""
            CREATE TABLE checked AS SELECT * FROM (VALUES
                (1, TIMESTAMPTZ '2026-11-20 23:58:00+00', 60, '%', '%', 'H1', 'host', 5.0, 's1'),
                (2, '2026-11-20 23:57:59+00', 60, 'ms', 's', 'H2', 'host', 5.0, 's1'),
                (3, NULL, 60, NULL, 's', 'H9', NULL, 5.0, 's2'),
                (4, '2026-11-01 00:00:00+00', NULL, 'ms', NULL, 'H3', 'db', 6.0, 's2'),
                (5, '2026-11-21 07:59:00+08', 300, 'ms', 'ms', 'H1', 'db', 5.0, NULL),
                (6, '2026-11-22 00:00:00+00', 0, 'ms', 'ms', NULL, 'db', NULL, 's1')
            ) AS t (id, seen_at, interval_s, unit, standard_unit, ci_id, ci_class, n, series)
        """)
        opened.execute("CREATE SCHEMA cmdb")
        opened.execute("""
            CREATE TABLE cmdb.configuration_items AS SELECT * FROM (VALUES
                ('H1', 'host'), ('H2', NULL), ('H3', 'host'), ('H3', 'db')) AS t (ci_id, ci_class)
        """)
        opened.execute("CREATE SCHEMA shared")
        opened.execute("""
            CREATE TABLE shared.expected_instances AS SELECT * FROM (VALUES
                ('H1', 'up', true), ('H2', 'up', false), ('H3', 'up', NULL), ('H8', 'up', false)
            ) AS t (ci_id, metric, is_reported)
        """)
        yield opened


def judged(con: duckdb.DuckDBPyConnection, kind: str, **kwargs: Any) -> Verdict:
    [verdict] = evaluate_policies(con, [policy("p", kind, **kwargs)])
    return verdict


def failing(con: duckdb.DuckDBPyConnection, verdict: Verdict) -> list[Any]:
    assert verdict.error is None
    assert verdict.engine == "duckdb"
    found = con.execute(f"SELECT * FROM ({verdict.row_query}) ORDER BY ALL").fetchall() if verdict.row_query else []
    assert len(found) == verdict.failed
    return [row[0] for row in found]


@pytest.mark.parametrize(
    ("kind", "kwargs", "evaluated", "expected"),
    [
        (LAST_SEEN, {"interval_column": "interval_s"}, 5, [2]),
        (LAST_SEEN, {"interval_column": "interval_s", "intervals": 3}, 5, []),
        (LAST_SEEN, {"interval_column": "interval_s", "day_end": "2026-11-21T08:00:00+08:00"}, 5, [2]),
        (LAST_SEEN, {"interval_column": "interval_s", "day_end": "2026-11-22"}, 5, [1, 2, 5]),
        (LAST_SEEN, {"interval_column": "interval_s", "row_condition": compare("id", "==", 1)}, 1, []),
        (CMDB, {"cmdb": "cmdb.configuration_items"}, 5, [3]),
        (CMDB, {"cmdb": "cmdb.configuration_items", "consistent_columns": {"ci_class": "ci_class"}}, 5, [3, 5]),
        (UNIT, {"standard_column": "standard_unit"}, 5, [2]),
        (VARY, {"group_columns": ["series"], "min_values": 2}, 5, [1, 2]),
        (VARY, {"group_columns": ["series", "unit"], "min_values": 2}, 5, []),
        (VARY, {"min_values": 2}, 5, []),
        (VARY, {"min_values": 2, "tolerance": 1.0}, 5, [1, 2, 3, 4, 5]),
        (VARY, {"min_values": 6, "tolerance": 1.0}, 5, []),
        (VARY, {"min_values": 2, "row_condition": compare("ci_class", "==", "host")}, 2, [1, 2]),
    ],
)
def test_an_expectation_of_the_house_fails_exactly_these_rows(
    con: duckdb.DuckDBPyConnection, kind: str, kwargs: dict[str, Any], evaluated: int, expected: list[int]
) -> None:
    con.execute("SET VARIABLE day_end = TIMESTAMPTZ '2026-11-21 00:00:00+00'")
    column = {LAST_SEEN: "seen_at", CMDB: "ci_id", UNIT: "unit", VARY: "n"}[kind]
    verdict = judged(con, kind, column=column, **kwargs)
    assert failing(con, verdict) == expected
    assert (verdict.evaluated, verdict.success) == (evaluated, not expected)


def test_mostly_holds_for_them_as_well(con: duckdb.DuckDBPyConnection) -> None:
    verdict = judged(con, UNIT, column="unit", standard_column="standard_unit", mostly=0.8)
    assert (verdict.success, failing(con, verdict)) == (True, [2])


def test_a_baseline_fails_with_what_is_not_reported_of_the_cis_of_the_dataset(con: duckdb.DuckDBPyConnection) -> None:
    verdict = judged(con, BASELINE, column="ci_id", expected_instances="shared.expected_instances")
    assert (verdict.success, failing(con, verdict)) == (False, ["H2"])


def relations(con: duckdb.DuckDBPyConnection, edges: list[tuple[str | None, str | None]]) -> None:
    con.execute("CREATE OR REPLACE TABLE checked (id BIGINT, source VARCHAR, target VARCHAR)")
    for number, (source, target) in enumerate(edges, 1):
        con.execute("INSERT INTO checked VALUES ($1, $2, $3)", [number, source, target])


def test_the_relations_of_every_cycle_fail_and_no_others(con: duckdb.DuckDBPyConnection) -> None:
    named = {
        1: ("a", "b"), 2: ("b", "c"), 3: ("c", "a"),  # a cycle
        4: ("c", "d"), 5: ("x", "a"),  # out of it, and into it
        6: ("d", "e"), 7: ("d", "f"), 8: ("e", "g"), 9: ("f", "g"),  # a diamond is none
        10: ("s", "s"),  # to itself
        11: ("g", "h"), 12: ("h", "g"), 13: ("g", "h"),  # another one, a relation of it twice
        14: (None, "a"), 15: ("a", None),
        16: ("it's", '<"b">'), 17: ('<"b">', "it's"),
    }  # fmt: skip
    relations(con, list(named.values()))
    verdict = judged(con, ACYCLIC, column="source", target_column="target")
    assert failing(con, verdict) == [1, 2, 3, 10, 11, 12, 13, 16, 17]
    assert verdict.evaluated == 16
    verdict = judged(con, ACYCLIC, column="source", target_column="target", row_condition=compare("id", "<", 3))
    assert failing(con, verdict) == []


@pytest.mark.parametrize("seed", range(8))
def test_random_relations_fail_where_their_end_leads_back(con: duckdb.DuckDBPyConnection, seed: int) -> None:
    rng = np.random.default_rng(seed)
    edges = [(f"n{rng.integers(12)}", f"n{rng.integers(12)}") for _ in range(rng.integers(4, 22))]
    leads_to = {(a, b) for a, b in edges}
    for middle in {node for edge in edges for node in edge}:
        leads_to |= {(a, d) for a, b in leads_to if b == middle for c, d in leads_to if c == middle}
    relations(con, list(edges))
    expected = [number for number, (a, b) in enumerate(edges, 1) if a == b or (b, a) in leads_to]
    assert failing(con, judged(con, ACYCLIC, column="source", target_column="target")) == expected


@pytest.mark.parametrize(("closed", "failed"), [(True, 100_000), (False, 0)])
def test_a_hundred_thousand_relations_in_a_row_disturb_nobody(
    con: duckdb.DuckDBPyConnection, closed: bool, failed: int
) -> None:
    con.execute(
        "CREATE OR REPLACE TABLE checked AS "
        "SELECT 'n' || i AS source, 'n' || (i + 1) % $1 AS target FROM range(100000) t(i)",
        [100_000 if closed else 200_000],
    )
    assert judged(con, ACYCLIC, column="source", target_column="target").failed == failed


def test_a_relation_listed_often_counts_as_often_and_lies_on_the_same_cycle(con: duckdb.DuckDBPyConnection) -> None:
    # 256 is nothing in a byte: edges are counted once before they become a matrix.
    relations(con, [("a", "b")] * 256 + [("b", "a"), ("b", "c")])
    assert failing(con, judged(con, ACYCLIC, column="source", target_column="target")) == list(range(1, 258))


def test_without_relations_there_is_no_cycle(con: duckdb.DuckDBPyConnection) -> None:
    relations(con, [])
    verdict = judged(con, ACYCLIC, column="source", target_column="target")
    assert (verdict.error, verdict.failed or 0) == (None, 0)
    relations(con, [(None, None)])
    assert failing(con, judged(con, ACYCLIC, column="source", target_column="target")) == []


def test_the_end_of_the_day_has_to_be_known(con: duckdb.DuckDBPyConnection) -> None:
    verdict = judged(con, LAST_SEEN, column="seen_at", interval_column="interval_s")
    assert verdict.error == "the end of the day is not known here: say day_end"


def test_free_sql_sees_the_variables_of_the_day(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("SET VARIABLE day_end = TIMESTAMPTZ '2026-11-21 00:00:00+00'")
    query = "SELECT id FROM {batch} WHERE seen_at > getvariable('day_end')"
    assert failing(con, judged(con, "unexpected_rows_expectation", unexpected_rows_query=query)) == [6]


@pytest.mark.parametrize(
    ("kind", "kwargs", "reason"),
    [
        (LAST_SEEN, {"column": "seen_at"}, "interval_column: field required"),
        (LAST_SEEN, {"column": "seen_at", "interval_column": "absent"}, 'The column "absent" does not exist'),
        (LAST_SEEN, {"column": "seen_at", "interval_column": "interval_s", "day_end": "soon"}, "Invalid isoformat"),
        (LAST_SEEN, {"column": "seen_at", "interval_column": "interval_s", "intervals": 0}, "greater than 0"),
        (CMDB, {"column": "ci_id", "cmdb": "cmdb.configuration_items; DROP TABLE checked"}, "is no table"),
        (CMDB, {"column": "ci_id", "cmdb": "cmdb.absent"}, "absent does not exist"),
        (UNIT, {"column": "unit", "standard_column": 'x" OR 1=1 --'}, "does not exist"),
        (VARY, {"column": "n", "min_values": 1}, "greater than or equal to 2"),
        (VARY, {"column": "n", "group_columns": ["absent"]}, 'The column "absent" does not exist'),
        (BASELINE, {"column": "ci_id"}, "'' is no table"),
        (BASELINE, {"column": "ci_id", "expected_instances": "a.b", "unexpected_rows_query": "SELECT 1"}, "is written"),
    ],
)
def test_arguments_that_make_no_sense_are_an_error(
    con: duckdb.DuckDBPyConnection, kind: str, kwargs: dict[str, Any], reason: str
) -> None:
    con.execute("SET VARIABLE day_end = TIMESTAMPTZ '2026-11-21 00:00:00+00'")
    assert reason in (judged(con, kind, **kwargs).error or "")
