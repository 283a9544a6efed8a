"""The form of a model: what DuckDB parses, one SELECT, nothing outside, nothing by chance; hostile text stays calm."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from model_desk import CONFORM, DERIVED, Desk

Samples = Callable[..., str]


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELEC 1", "not_parsable"),
        ("SELECT a FROM source WHERE", "not_parsable"),
        ("", "not_parsable"),
        ("-- only a comment", "not_parsable"),
        ("SELECT 1; DROP TABLE source", "not_one_select"),
        ("DELETE FROM source", "not_one_select"),
        ("COPY source TO 'out.csv'", "not_one_select"),
        ("PRAGMA version", "not_one_select"),
        ("SET threads = 1", "not_one_select"),
        ("ATTACH 'x.db'", "not_one_select"),
        ("CALL pragma_version()", "not_one_select"),
        ("SHOW TABLES", "not_one_select"),
        ("DESCRIBE source", "not_one_select"),
        ("CREATE TABLE t AS SELECT 1", "not_one_select"),
        ("WITH a AS (INSERT INTO source (reading) VALUES (1) RETURNING *) SELECT * FROM a", "not_one_select"),
        ("PIVOT source ON tags USING sum(reading)", "not_one_select"),
        ("SELECT 1\n; -- done", "not_one_select"),
        ("SELECT * FROM read_csv('/etc/passwd')", "outside_access"),
        ("SELECT * FROM read_text('/etc/passwd')", "outside_access"),
        ("SELECT * FROM 'x.parquet'", "outside_access"),
        ('SELECT * FROM "https://example.com/x.csv"', "outside_access"),
        ("SELECT * FROM glob('*')", "outside_access"),
        ("SELECT * FROM sqlite_scan('a.db', 't')", "outside_access"),
        ("SELECT * FROM postgres_scan('a', 'b', 'c')", "outside_access"),
        ("SELECT * FROM other.main.orders", "outside_access"),
        ("SELECT * FROM information_schema.tables", "outside_access"),
        ("SELECT * FROM duckdb_settings()", "outside_access"),
        ("SELECT * FROM query('SELECT 1')", "outside_access"),
        ("SELECT getenv('HOME') FROM source", "outside_access"),
        ("SELECT current_setting('threads') FROM source", "outside_access"),
        ("SELECT random() FROM source", "not_deterministic"),
        ("SELECT uuid() FROM source", "not_deterministic"),
        ("SELECT now() FROM source", "not_deterministic"),
        ("SELECT current_date FROM source", "not_deterministic"),
        ("SELECT current_timestamp FROM source", "not_deterministic"),
        ("SELECT today() FROM source", "not_deterministic"),
        ("SELECT age(collected_at) FROM source", "not_deterministic"),
        ("SELECT * FROM source TABLESAMPLE 10%", "not_deterministic"),
        ("SELECT * FROM source USING SAMPLE 10", "not_deterministic"),
        ("SELECT * FROM configuration_items", "unknown_table"),
        ("SELECT * FROM main.source", "unknown_table"),
        ("SELECT s.reading FROM source", "unknown_table"),
        ("SELECT nothing FROM source", "unknown_column"),
        ("SELECT s.nothing FROM source AS s", "unknown_column"),
        ("SELECT (SELECT t.nothing FROM source AS t LIMIT 0) FROM source", "unknown_column"),
        ("SELECT reading FROM source AS a JOIN source AS b ON a._record_no = b._record_no", "ambiguous_column"),
        ("SELECT frobnicate(reading) FROM source", "unknown_function"),
        ("SELECT reading + tags FROM source", "type_mismatch"),
        ("SELECT lower(reading, 1) FROM source", "type_mismatch"),
        ("SELECT collected_at > 5 FROM source", "type_mismatch"),
        ("SELECT metric_code, sum(reading) FROM source", "type_mismatch"),
        ("SELECT reading::NOTHING FROM source", "type_mismatch"),
        ("SELECT ? FROM source", "type_mismatch"),
    ],
)
def test_a_model_of_the_wrong_form_has_that_one_finding(desk: Desk, sql: str, code: str) -> None:
    assert desk.of_conform(sql) == [code]


def test_a_finding_points_at_line_and_column_also_behind_chinese(desk: Desk, samples: Samples) -> None:
    desk.conform(samples(value="/* 读数，以百分比计 */ reading * 名称"))
    (finding,) = desk.report(CONFORM).findings
    line = (desk.project / finding.path).read_text("utf-8").split("\n")[finding.line - 1]
    assert (finding.code, line[finding.column - 1 :][:2]) == ("unknown_column", "名称")


def test_a_finding_in_the_line_of_the_header_end_counts_from_the_line_begin(desk: Desk) -> None:
    desk.conform("SELECT nothing FROM source")
    path = desk.project / "governance/systems/securities_trading/metric_samples.sql"
    path.write_text(path.read_text("utf-8").replace("--- */\n", "--- */ "), "utf-8")
    (finding,) = desk.report(CONFORM).findings
    assert (finding.line, finding.column) == (8, len("--- */ SELECT ") + 1)


def test_words_in_comments_and_texts_are_neither_statements_nor_functions(desk: Desk, samples: Samples) -> None:
    harmless = "coalesce(object_no, 'now() ; DROP TABLE source -- ')"
    sql = "-- random(); 'unfinished\n/* read_csv('x') \" */\n" + samples(ci_id=harmless)
    assert desk.of_conform(sql) == []


def test_a_second_header_in_the_sql_is_a_comment(desk: Desk, samples: Samples) -> None:
    assert desk.of_conform("/* ---\nkind: derive\n--- */\n" + samples()) == []


def test_columns_named_like_functions_are_columns(desk: Desk, samples: Samples) -> None:
    sql = samples(source='(SELECT *, 1.0 AS "now", 2.0 AS "random" FROM source)', value='("now" + "random")::DOUBLE')
    assert desk.of_conform(sql) == []


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT " + "(" * 10_000 + "1" + ")" * 10_000,
        "SELECT " + "[" * 10_000,
        "SELECT * FROM " + "(SELECT * FROM " * 3_000 + "source" + ")" * 3_000,
        "SELECT '" + "x" * 5_000_000 + "'",
        "SELECT " + "1 + " * 40_000 + "1",
        "SELECT " + "NOT " * 900 + "true",
        "SELECT " + "- " * 20_000 + "1",
        "SELECT " + "CASE WHEN true THEN " * 400 + "1" + " END" * 400,
        "SELECT 1 /* unfinished",
        "SELECT 'unfinished",
        "SELECT \x00 1",
        "SELECT \u202e1, \ufeff2",
        "SELECT * FROM range(length(repeat('a', 1000000000)))",
        "SELECT sleep_ms(60000)",
        "SELECT * FROM range(sleep_ms(60000)::BIGINT)",
    ],
    ids=range(15),
)
def test_hostile_sql_is_a_calm_finding_within_seconds(desk: Desk, sql: str) -> None:
    desk.conform(sql)
    begin = time.monotonic()
    findings = desk.report(CONFORM).findings
    assert time.monotonic() - begin < 8
    assert any(finding.severity == "critical" for finding in findings)
    assert all(len(finding.problem) < 1_000 for finding in findings)


def test_a_chain_of_hundreds_of_terms_says_that_it_was_not_followed(desk: Desk, samples: Samples) -> None:
    assert desk.of_conform(samples(value=" + ".join(["reading"] * 900))) == ["not_analysed"]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("kind: conform", "kind: derive", 2),
        ("dataset: metric_samples", "dataset: metric_instances", 3),
        ("version: 1.0.0", "versoin: 1.0.0", 1),
        ("/* ---", "/*", 1),
        ("# nothing more", "description: twice", 7),
        ("# nothing more", "a: [", 8),
    ],
)
def test_a_header_that_cannot_be_used_is_a_finding_and_other_models_are_checked(
    desk: Desk, samples: Samples, old: str, new: str, line: int
) -> None:
    desk.conform(samples())
    desk.edit("governance/systems/securities_trading/metric_samples.sql", old, new)
    report = desk.report(CONFORM, "wealth_management/metric_samples")
    invalid = [finding for finding in report.findings if finding.model == CONFORM]
    assert [finding.code for finding in invalid] == ["header_invalid"]
    assert abs(invalid[0].line - line) <= 1
    assert [summary.name for summary in report.models] == ["wealth_management/metric_samples"]


def test_a_derive_model_of_another_dataset_has_an_invalid_header(desk: Desk, samples: Samples, points: Samples) -> None:
    desk.derive(points())
    desk.edit(f"governance/derived_metrics/{DERIVED}.sql", "dataset: metric_samples", "dataset: owners")
    assert desk.found(DERIVED) == [("header_invalid", 3)]
