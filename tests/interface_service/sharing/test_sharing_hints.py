"""Hints leave out days that certainly hold nothing a reader wants: never one that it may want."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omgov_assets.interface_service.sharing.hints import wanted_days

DAYS = [date(2026, 11, 16) + timedelta(days=number) for number in range(5)]
_SIGNS = {"equal": "=", "lessThan": "<", "lessThanOrEqual": "<=", "greaterThan": ">", "greaterThanOrEqual": ">="}

day = {"op": "column", "name": "day", "valueType": "date"}
other = {"op": "column", "name": "tier", "valueType": "long"}


def literal(value: str, value_type: str = "date") -> dict[str, Any]:
    return {"op": "literal", "value": value, "valueType": value_type}


days = st.sampled_from(DAYS).map(lambda one: literal(one.isoformat()))
comparisons = st.builds(
    lambda op, children: {"op": op, "children": list(children)},
    st.sampled_from(sorted(_SIGNS)),
    st.tuples(st.just(day), days)
    | st.tuples(days, st.just(day))
    | st.tuples(st.just(other), st.just(literal("2", "long"))),
)
null_tests = st.sampled_from([day, other]).map(lambda column: {"op": "isNull", "children": [column]})
trees = st.recursive(
    comparisons | null_tests,
    lambda inner: (
        st.builds(lambda child: {"op": "not", "children": [child]}, inner)
        | st.builds(
            lambda op, children: {"op": op, "children": children},
            st.sampled_from(["and", "or"]),
            st.lists(inner, min_size=2, max_size=3),
        )
    ),
    max_leaves=8,
)


def in_sql(tree: dict[str, Any]) -> str:
    children = [in_sql(child) for child in tree.get("children", ())]
    match tree["op"]:
        case "column":
            return str(tree["name"])
        case "literal":
            return f"DATE '{tree['value']}'" if tree["valueType"] == "date" else str(tree["value"])
        case "isNull":
            return f"({children[0]} IS NULL)"
        case "not":
            return f"(NOT {children[0]})"
        case "and" | "or" as op:
            return "(" + f" {op} ".join(children) + ")"
        case op:
            return f"({children[0]} {_SIGNS[op]} {children[1]})"


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        yield con


@settings(deadline=None)
@given(tree=trees)
def test_no_day_is_left_out_that_has_a_row_of_interest(con: duckdb.DuckDBPyConnection, tree: dict[str, Any]) -> None:
    kept = wanted_days(DAYS, json.dumps(tree))
    rows = con.execute(
        f"SELECT DISTINCT day FROM (SELECT unnest($days) AS day), (VALUES (1), (2), (3), (NULL)) AS t(tier) "
        f"WHERE {in_sql(tree)}",
        {"days": DAYS},
    ).fetchall()
    assert {one for (one,) in rows} <= set(kept)
    if '"tier"' not in json.dumps(tree):
        assert sorted(one for (one,) in rows) == kept


@pytest.mark.parametrize(
    "hint",
    [
        None,
        7,
        "",
        "{",
        "[]",
        "null",
        json.dumps({"op": "equal"}),
        json.dumps({"op": "equal", "children": [day]}),
        json.dumps({"op": "equal", "children": [day, {"op": "literal", "valueType": "date"}]}),
        json.dumps({"op": "equal", "children": [day, literal("2026-11-31")]}),
        json.dumps({"op": "equal", "children": [day, literal("1", "int")]}),
        json.dumps({"op": "equal", "children": [day, "2026-11-17"]}),
        json.dumps({"op": "and", "children": [{"op": "equal", "children": [day, literal("2026-11-17")]}]}),
        json.dumps(
            {
                "op": "and",
                "children": [{"op": "equal", "children": [day, literal("2026-11-17")]}, {"op": "like", "children": []}],
            }
        ),
        "[" * 100_000,
        '{"op":"not","children":[' * 200 + "1" + "]}" * 200,
    ],
)
def test_a_malformed_tree_is_as_good_as_none(hint: object) -> None:
    assert wanted_days(DAYS, hint) == DAYS


@pytest.mark.parametrize(
    ("hints", "kept"),
    [
        (["day = '2026-11-17'"], DAYS[1:2]),
        (["day >= DATE '2026-11-17'", "'2026-11-18' >= day"], DAYS[1:3]),
        (["`DAY` <> '2026-11-16'"], DAYS[1:]),
        (["day IS NULL"], []),
        (["day is not null", "day = '2026-13-01'", "day = 'x' or 1=1", "daytime = '2026-11-17'", None, 3], DAYS),
        ("day = '2026-11-17'", DAYS),
        ({"day": 1}, DAYS),
        (["day < '2026-11-16'"] * 2000, DAYS),
    ],
)
def test_comparisons_in_sql_must_all_hold(hints: object, kept: list[date]) -> None:
    assert wanted_days(DAYS, None, hints) == kept
