"""A profile measures a table exactly, and what is proposed from it holds on the same data."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omgov_assets.quality_policy.great_expectations_run import Verdict, evaluate_policies
from omgov_assets.quality_policy.policies import load_policy_set
from omgov_assets.quality_policy.profiling import TableProfile, profile_table
from omgov_assets.quality_policy.suite_proposal import propose_suite
from omgov_assets.quality_policy.text_shapes import propose_patterns


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("SET TimeZone = 'UTC'")
        yield opened


def profiled(con: duckdb.DuckDBPyConnection, source: str) -> TableProfile:
    con.execute(f"CREATE OR REPLACE TABLE checked AS FROM {source}")
    columns = {name: sql_type for name, sql_type, *_ in con.execute("DESCRIBE checked").fetchall()}
    return profile_table(con, "checked", columns)


def proposed(con: duckdb.DuckDBPyConnection, source: str, **options: Any) -> dict[str, dict[str, Any]]:
    """Proposed expectations by policy id, without the name of the dataset."""
    suite = propose_suite(profiled(con, source), "d", **options)
    return {entry["meta"]["policy_id"].removeprefix("d."): entry for entry in suite["expectations"]}


def judged(con: duckdb.DuckDBPyConnection, suite: dict[str, Any], folder: Path) -> list[Verdict]:
    """Verdicts of a proposal on table ``checked``, read as omgov reads the policies of a dataset."""
    (folder / "expectations").mkdir(parents=True, exist_ok=True)
    (folder / "expectations" / "d.json").write_text(json.dumps(suite, ensure_ascii=False), "utf-8")
    policies = load_policy_set(folder, "s", "d").policies
    assert len(policies) == len(suite["expectations"])
    return evaluate_policies(con, policies)


def unmet(verdicts: list[Verdict]) -> list[tuple[str, Any, Any]]:
    return [(v.policy.policy_id, v.policy.kwargs, v.error or v.failed) for v in verdicts if not v.success]


INSTANCES = """(
    SELECT 'host-' || (i // 4)::VARCHAR AS host, ['cpu', 'mem', 'disk', 'net'][i % 4 + 1] AS metric,
        i % 97 / 7.0 AS load, (i * 37) % 1000 AS free, CASE WHEN i % 10 > 0 THEN 'x' END AS sparse,
        TIMESTAMPTZ '2026-11-20 00:00:00+08' + to_minutes(i) AS seen_at, DATE '2026-11-20' AS day,
        md5(i::VARCHAR) AS digest, format('{:06d}', i * 7919 % 1000003) AS code, i AS n, NULL::VARCHAR AS empty,
        true AS always, i % 2 = 0 AS sometimes
    FROM range(1000) AS t (i))"""


def test_a_proposal_says_what_the_columns_hold(con: duckdb.DuckDBPyConnection) -> None:
    found = proposed(con, INSTANCES)
    kwargs = {policy_id: entry["kwargs"] for policy_id, entry in found.items()}
    assert kwargs["seen_at_typed"] == {"column": "seen_at", "type_": "TIMESTAMP WITH TIME ZONE"}
    assert kwargs["metric_known"] == {"column": "metric", "value_set": ["cpu", "disk", "mem", "net"]}
    assert kwargs["load_in_range"] == {"column": "load", "min_value": 0, "max_value": 15.1}
    assert kwargs["sparse_given"] == {"column": "sparse", "mostly": 0.85}
    assert kwargs["host_well_formed"]["regex"] == r"^[a-z]{4}\-[0-9]+$"
    assert kwargs["digest_well_formed"]["regex"] == "^[0-9a-f]{32}$"
    assert kwargs["code_well_formed"]["regex"] == "^[0-9]{6}$"
    assert kwargs["n_unique"] == {"column": "n"}
    assert kwargs["digest_unique"] == {"column": "digest"}
    assert kwargs["row_count_usual"] == {"min_value": 500, "max_value": 2000}
    assert kwargs["day_in_range"] == {"column": "day", "min_value": "2025-11-19", "max_value": "2027-11-22"}
    assert kwargs["seen_at_in_range"]["min_value"] == "2025-11-18T00:00:00+00:00"
    assert kwargs["empty_empty"] == {"column": "empty"}
    assert kwargs["always_known"] == {"column": "always", "value_set": [True]}
    assert "sometimes_known" not in kwargs
    assert "n_in_range" not in kwargs


def test_a_value_that_stands_twice_is_found_beside_nulls(con: duckdb.DuckDBPyConnection) -> None:
    rows = "(SELECT CASE WHEN i > 30 THEN greatest(i, 32) END AS n FROM range(60) AS t (i))"
    assert [column.unique for column in profiled(con, rows).columns] == [False]


def test_columns_that_together_are_a_key_are_found_where_none_is_alone(con: duckdb.DuckDBPyConnection) -> None:
    found = proposed(con, f"(SELECT load, host, metric, free % 10 AS free FROM {INSTANCES})")
    assert found["key_unique"]["kwargs"] == {"column_list": ["host", "metric"]}
    assert "key_unique" not in proposed(con, INSTANCES)
    twice = f"(SELECT host, metric FROM {INSTANCES} UNION ALL SELECT 'host-1', 'cpu')"
    assert profiled(con, twice).compound_key == ()


def test_three_columns_may_be_a_key(con: duckdb.DuckDBPyConnection) -> None:
    cube = "(SELECT i % 10 AS a, i // 10 % 10 AS b, i // 100 AS c, i % 3 AS d FROM range(1000) AS t (i))"
    assert profiled(con, cube).compound_key == ("a", "b", "c")


def test_a_key_that_repeats_only_far_down_is_no_key(con: duckdb.DuckDBPyConnection) -> None:
    late = "(SELECT least(i, 99998) AS n, i // 2 AS a, i % 2 AS b, 'x' AS c FROM range(100000) AS t (i))"
    profile = profiled(con, late)
    assert not any(column.unique for column in profile.columns)
    assert profile.compound_key == ("n", "b")


def test_every_proposed_policy_has_all_meta_and_an_id_of_its_own(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    odd = ", ".join(f'i AS "{name}"' for name in ("内存", "CPU", "a b", "a_b", "select", "9", "_", "长" * 60, "a''b"))
    suite = propose_suite(profiled(con, f"(SELECT {odd} FROM range(30) AS t (i))"), "指标 实例")
    assert unmet(judged(con, suite, tmp_path)) == []
    for entry in suite["expectations"]:
        assert set(entry["meta"]) == {"policy_id", "anomaly_type", "quality_dimension", "expected", "recovery"}
        assert entry["severity"] in {"critical", "warning", "info"}
        assert all(entry["meta"].values())


def test_a_proposal_is_a_suite_of_great_expectations(con: duckdb.DuckDBPyConnection) -> None:
    from great_expectations.core import ExpectationSuite

    suite = propose_suite(profiled(con, INSTANCES), "d")
    assert len(ExpectationSuite(**suite).expectations) == len(suite["expectations"])


def test_the_data_passes_what_is_proposed_from_it(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    suite = propose_suite(profiled(con, INSTANCES), "d")
    assert unmet(judged(con, suite, tmp_path)) == []


def test_a_proposal_finds_what_is_out_of_the_ordinary(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    suite = propose_suite(profiled(con, INSTANCES), "d")
    con.execute("INSERT INTO checked BY NAME SELECT * REPLACE ("
                "'GPU' AS metric, -1 AS load, TIMESTAMPTZ '1970-01-01' AS seen_at, 'HOST 1' AS host, '1' AS code) "
                "FROM checked LIMIT 1")  # fmt: skip
    failed = {policy_id.removeprefix("d.") for policy_id, *_ in unmet(judged(con, suite, tmp_path))}
    assert failed >= {"metric_known", "load_in_range", "seen_at_in_range", "host_well_formed", "code_well_formed",
                      "digest_unique", "n_unique"}  # fmt: skip


def test_no_value_of_a_column_of_a_high_grade_is_written(con: duckdb.DuckDBPyConnection) -> None:
    source = "(SELECT 'secret-' || i % 3 AS a, 100000 + i AS b, 'x' AS c FROM range(100) AS t (i))"
    suite = propose_suite(profiled(con, source), "d", {"a": 3, "b": 4, "c": 1})
    text = json.dumps(suite)
    assert "secret" not in text
    assert "1000" not in text
    assert {"d.a_given", "d.b_given", "d.b_unique", "d.c_known"} <= {
        e["meta"]["policy_id"] for e in suite["expectations"]
    }


def test_of_a_governed_table_the_columns_are_not_proposed(con: duckdb.DuckDBPyConnection) -> None:
    assert {"columns_there", "n_typed"} <= set(proposed(con, INSTANCES))
    assert not {"columns_there", "n_typed"} & set(proposed(con, INSTANCES, table_is_governed=True))


@pytest.mark.parametrize(
    "source",
    [
        "(SELECT 1 AS n, 'a' AS s WHERE false)",
        "(SELECT 1 AS n, 'a' AS s)",
        "(SELECT NULL::DOUBLE AS n, NULL::VARCHAR AS s, NULL::TIMESTAMP AS t FROM range(30))",
        "(SELECT if(i < 4, ['nan', 'inf', '-inf', NULL][i + 1]::DOUBLE, i) AS n FROM range(24) AS t (i))",
        "(SELECT 'nan'::DOUBLE AS n FROM range(30))",
        "(SELECT unnest([1.7976931348623157e308, -1.7976931348623157e308]) AS n)",
        "(SELECT unnest([5e-324, 1e-320]) AS n)",
        "(SELECT 9223372036854775800 + i % 7 AS n, i AS k FROM range(40) AS t (i))",
        "(SELECT (170141183460469231731687303715884105720 + i % 7)::HUGEINT AS n FROM range(40) AS t (i))",
        "(SELECT 0.1::FLOAT AS n, 0.1::DECIMAL(38, 18) AS m FROM range(40))",
        "(SELECT DATE '5874897-12-31' AS d, DATE 'infinity' AS e, TIMESTAMP '290000-01-01' AS t FROM range(12))",
        "(SELECT DATE '9999-12-31' AS d, TIMESTAMP '0001-01-01 00:00:00' AS t FROM range(12))",
        "(SELECT TIMESTAMP_NS '2026-11-20 10:00:00.123456789' AS t, TIMESTAMP_S '2026-11-20 10:00:00' AS u "
        "FROM range(12))",
        "(SELECT [i] AS l, {'a': i} AS s, MAP {'a': i} AS m, 'x'::BLOB AS b, uuid() AS u, TIME '10:00' AS t "
        "FROM range(12) AS r (i))",
        "(SELECT unnest(['it''s', '%', ':x', '\\', '\"', '', '{batch}', 'a\nb', '中文', '😀', chr(0)]) AS s)",
        "(SELECT ['it''s', '%', ':x', '\\d', '\"', ''][i % 6 + 1] AS s, ['a:b', 'c''d', 'e%f'][i % 3 + 1] || i AS u "
        "FROM range(60) AS t (i))",
    ],
)
def test_what_is_odd_is_profiled_and_passes_its_proposal(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, source: str
) -> None:
    suite = propose_suite(profiled(con, source), "d")
    assert unmet(judged(con, suite, tmp_path)) == []


TEXTS = st.one_of(
    st.text(max_size=12),
    st.from_regex(r"[a-z]{2,4}-[0-9]{1,3}", fullmatch=True),
    st.sampled_from(["a", "b", "内存", ""]),
    st.text(string.printable, max_size=6),
)
COLUMNS: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.string(): TEXTS.filter(lambda text: "\x00" not in text),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.int32(): st.integers(0, 9),
    pa.float64(): st.floats(),
    pa.float32(): st.floats(width=32),
    pa.bool_(): st.booleans(),
    pa.date32(): st.dates(),
    pa.timestamp("us"): st.datetimes(),
    pa.timestamp("us", "UTC"): st.datetimes(timezones=st.just(UTC)),
    pa.decimal128(30, 9): st.decimals(-(10**20), 10**20, places=9),
}


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    types = draw(st.lists(st.sampled_from(list(COLUMNS)), min_size=1, max_size=4))
    rows = draw(st.integers(0, 40))
    arrays = {}
    for number, kind in enumerate(types):
        few = draw(st.lists(st.none() | COLUMNS[kind], min_size=1, max_size=draw(st.sampled_from([2, 40]))))
        arrays[f"c{number}"] = pa.array([draw(st.sampled_from(few)) for _ in range(rows)], kind)
    return pa.table(arrays)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(table=tables())
def test_any_table_passes_its_own_proposal(con: duckdb.DuckDBPyConnection, tmp_path: Path, table: pa.Table) -> None:
    con.register("drawn", table)
    suite = propose_suite(profiled(con, "drawn"), "d")
    assert unmet(judged(con, suite, tmp_path)) == []


@settings(max_examples=300, deadline=None)
@given(texts=st.lists(TEXTS | st.text(string.ascii_letters + string.digits + "-_./: 中", max_size=10), min_size=3))
def test_a_pattern_is_matched_by_the_texts_it_comes_from_in_both_dialects(
    con: duckdb.DuckDBPyConnection, texts: list[str]
) -> None:
    for pattern in propose_patterns(texts):
        assert all(re.search(pattern, text) for text in texts)
        matching = "SELECT bool_and(regexp_matches(s, $pattern)) FROM (SELECT unnest($texts::VARCHAR[]) AS s)"
        assert con.execute(matching, {"pattern": pattern, "texts": texts}).fetchall() == [(True,)]


@pytest.mark.parametrize(
    ("texts", "pattern"),
    [
        (["10.0.0.1", "192.168.1.20", "8.8.8.8"], r"^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+$"),
        (["A-01", "B-02", "C-03", "D-04", "E-05"], r"^[A-Z]\-[0-9]{2}$"),
        (["A-01", "B-02", "C-03"], r"^[A-Z]+\-[0-9]+$"),
        (["内存使用率", "磁盘读速率", "丢包率"], "^[一-鿿]+$"),
        (["x@y.cn", "ab.c@y.cn", "d_e@z.com.cn", "f-g@h.i.j.k", "l+m@n.cn"], r"^[a-z\+\-\.\@_]+$"),
        (["a", "b"], None),
        (["a\tb", "c\td", "e\tf"], None),
    ],
)
def test_the_shape_of_texts(texts: list[str], pattern: str | None) -> None:
    assert next(iter(propose_patterns(texts)), None) == pattern


def test_bounds_hold_for_the_day_and_for_the_year_after(con: duckdb.DuckDBPyConnection) -> None:
    found = proposed(con, "(SELECT TIMESTAMP '2026-11-20 10:00:00' + to_hours(i) AS t FROM range(24) AS r (i))")
    least, most = (datetime.fromisoformat(found["t_in_range"]["kwargs"][key]) for key in ("min_value", "max_value"))
    assert least <= datetime(2025, 11, 20)
    assert most >= datetime(2027, 11, 20)
    assert most - least < timedelta(days=3 * 366)
