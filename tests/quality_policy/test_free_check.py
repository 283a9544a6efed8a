"""Any Great Expectations suite judges any data: verdicts, failing rows with their key, and nothing else touched."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from omgov_assets.data_lake.external import UnreadableDataError, external_data
from omgov_assets.data_lake.lake import Lake
from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.quality_policy import free_check
from omgov_assets.quality_policy.free_check import FreeResult, UnknownKeyError, check_data, read_suite
from omgov_assets.quality_policy.great_expectations_run import Verdict

CONTRACTS = Path(__file__).parents[2] / "governance" / "standard" / "data_contracts"
ROWS = """(VALUES
    (1, 'a', 5.0, 'h1'), (2, 'b', 50.0, 'h2'), (3, NULL, NULL, 'h3'), (4, 'd', -1.0, 'h3'), (5, 'e', 7.0, NULL)
    ) AS t (id, "type", n, host)"""


def expectation(kind: str, *, severity: str | None = "warning", meta: Any = None, **kwargs: Any) -> dict[str, Any]:
    entry = {"type": kind, "kwargs": kwargs, "severity": severity, "meta": meta}
    return {key: value for key, value in entry.items() if value is not None}


NOT_NULL = expectation("expect_column_values_to_not_be_null", column="type")
BETWEEN = expectation("expect_column_values_to_be_between", column="n", min_value=0, max_value=10)
UNIQUE = expectation("expect_column_values_to_be_unique", column="host", severity="info")


def query(text: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as con:
        return con.execute(text).fetchall()


class Place:
    """A folder with data and suites, and checking the one by the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data.parquet"
        self.violations = folder / "violations.parquet"
        self.write(ROWS)

    def write(self, source: str) -> None:
        query(f"COPY (FROM {source}) TO '{self.data}' (FORMAT parquet)")

    def suite(self, *expectations: dict[str, Any], **more: Any) -> Path:
        path = self.folder / "suite.json"
        path.write_text(json.dumps({"name": "any", "expectations": list(expectations), **more}), "utf-8")
        return path

    def check(
        self, *expectations: dict[str, Any], key: Sequence[str] = (), path: Path | None = None, **more: Any
    ) -> dict[str, FreeResult]:
        policies = read_suite(self.suite(*expectations))
        with (
            Lake(self.folder / "home" / "lake", CONTRACTS).connect() as con,
            external_data(con, str(path or self.data), "data") as data,
        ):
            results = check_data(con, data, policies, key, self.violations, **more)
        return {result.policy.policy_id: result for result in results}

    def failing(self) -> list[tuple[Any, ...]]:
        return query(f"SELECT * FROM '{self.violations}'")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def verdicts(results: dict[str, FreeResult]) -> dict[str, tuple[str, int | None, int | None]]:
    return {policy_id: (result.verdict, result.evaluated, result.failed) for policy_id, result in results.items()}


def test_a_suite_without_meta_is_judged_and_its_failing_rows_are_written_by_key(place: Place) -> None:
    results = place.check(NOT_NULL, BETWEEN, UNIQUE, key=["id", "type"])
    assert verdicts(results) == {
        "column_values_to_not_be_null.type": ("failed", 5, 1),
        "column_values_to_be_between.n": ("failed", 4, 2),
        "column_values_to_be_unique.host": ("failed", 4, 2),
    }
    written = pq.read_schema(place.violations)
    assert written.names == ["policy_id", "type", "severity", "id", "type_key", "column", "observed", "expected"]
    assert [(row[0], *row[2:7]) for row in place.failing()] == [
        ("column_values_to_not_be_null.type", "warning", 3, None, "type", None),
        ("column_values_to_be_between.n", "warning", 2, "b", "n", "50.0"),
        ("column_values_to_be_between.n", "warning", 4, "d", "n", "-1.0"),
        ("column_values_to_be_unique.host", "info", 3, None, "host", "h3"),
        ("column_values_to_be_unique.host", "info", 4, "d", "host", "h3"),
    ]
    assert {row[1] for row in place.failing()} == {
        "expect_column_values_to_not_be_null",
        "expect_column_values_to_be_between",
        "expect_column_values_to_be_unique",
    }


def test_rows_are_numbered_where_no_key_is_named(place: Place) -> None:
    place.write(f"(SELECT *, 7 AS row_no FROM {ROWS})")
    place.check(BETWEEN)
    assert pq.read_schema(place.violations).names == [
        "policy_id", "type", "severity", "row_no", "column", "observed", "expected",
    ]  # fmt: skip
    assert [row[3] for row in place.failing()] == [2, 4]


def test_the_row_number_is_no_column_of_the_data(place: Place) -> None:
    count = expectation("expect_table_column_count_to_equal", value=4)
    names = expectation("expect_table_columns_to_match_ordered_list", column_list=["id", "type", "n", "host"])
    absent = expectation("expect_column_to_exist", column="row_no")
    results = place.check(count, names, absent, BETWEEN)
    assert [result.verdict for result in results.values()] == ["passed", "passed", "failed", "failed"]
    assert [row[0] for row in place.failing()] == [
        "column_to_exist.row_no", "column_values_to_be_between.n", "column_values_to_be_between.n",
    ]  # fmt: skip


def test_an_expectation_on_the_data_as_a_whole_fails_once_and_says_what_was_observed(place: Place) -> None:
    place.check(expectation("expect_table_row_count_to_equal", value=4, severity="critical"), key=["id"])
    assert place.failing() == [
        ("table_row_count_to_equal", "expect_table_row_count_to_equal", "critical", None, None, "5",
         "table row count to equal value 4"),
    ]  # fmt: skip


def test_free_sql_fails_the_rows_that_it_selects(place: Place) -> None:
    query = expectation("unexpected_rows_expectation", unexpected_rows_query="SELECT * FROM {batch} WHERE id > n")
    results = place.check(query)
    assert verdicts(results) == {"unexpected_rows": ("failed", 5, 1)}
    assert [row[3] for row in place.failing()] == [4]


def test_a_policy_that_breaks_disturbs_no_other(place: Place) -> None:
    broken = expectation("expect_column_values_to_not_be_null", column="absent")
    results = place.check(broken, expectation("expect_nonsense", column="n"), BETWEEN)
    assert [result.verdict for result in results.values()] == ["error", "error", "failed"]
    assert "absent" in (results["column_values_to_not_be_null.absent"].reason or "")
    assert len(place.failing()) == 2


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "COPY (FROM {batch}) TO '%s/stolen.csv'",
        "SELECT 1; COPY (FROM {batch}) TO '%s/stolen.csv'",
        "ATTACH '%s/stolen.db' AS stolen",
        "SET enable_external_access = true",
    ],
)
def test_the_sql_of_a_suite_reaches_nothing_outside_the_data(place: Place, query: str) -> None:
    text = query.replace("%s", str(place.folder))
    results = place.check(expectation("unexpected_rows_expectation", unexpected_rows_query=text), BETWEEN)
    assert [result.verdict for result in results.values()] == ["error", "failed"]
    assert not list(place.folder.glob("stolen*"))


def test_counts_that_do_not_agree_are_an_error_of_that_policy(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def miscounting(con: duckdb.DuckDBPyConnection, policies: Sequence[Any]) -> list[Verdict]:
        return [Verdict(policy, False, 5, 3, "SELECT * FROM checked WHERE id < 3") for policy in policies]

    monkeypatch.setattr(free_check, "evaluate_policies", miscounting)
    [result] = place.check(BETWEEN, key=["id"]).values()
    assert result.verdict == "error"
    assert result.reason == "2 failing rows were found where Great Expectations counted 3"
    assert place.failing() == []


def test_nothing_that_fails_leaves_a_file_without_rows_and_with_its_columns(place: Place) -> None:
    place.check(expectation("expect_column_values_to_not_be_null", column="id"), key=["id"])
    assert place.failing() == []
    assert pq.read_schema(place.violations).field("id").type == "int32"


def test_odd_names_and_keys_that_parquet_would_round_are_kept(place: Place) -> None:
    path = place.folder / "data.csv"
    path.write_text('内存,"select"""\n' + "".join(f"{10**30 + n},{n}\n" for n in range(3)), "utf-8")
    quoted = expectation("expect_column_values_to_be_between", column='select"', max_value=1)
    chinese = expectation("expect_column_values_to_be_null", column="内存")
    results = place.check(quoted, chinese, key=["内存"], path=path)
    by_type = {result.policy.type: result for result in results.values()}
    assert by_type["expect_column_values_to_be_null"].verdict == "failed"
    keys = [row[3] for row in place.failing() if row[1] == "expect_column_values_to_be_null"]
    assert keys == [str(10**30 + n) for n in range(3)]
    assert len({result.policy.policy_id for result in results.values()}) == 2


def test_a_column_of_a_high_grade_is_shown_masked(place: Place) -> None:
    place.check(BETWEEN, key=["id"], grades={"n": 3, "host": 1})
    assert [row[5] for row in place.failing()] == ["5***", "-***"]


def test_what_only_pandas_can_judge_is_judged_and_says_so(place: Place) -> None:
    parseable = expectation("expect_column_values_to_be_dateutil_parseable", column="type")
    results = place.check(parseable, BETWEEN, key=["id"])
    assert {(result.engine, result.verdict) for result in results.values()} == {
        ("pandas", "failed"),
        ("duckdb", "failed"),
    }
    assert {row[0] for row in place.failing()} == set(results)


def test_a_delta_table_and_a_csv_are_judged_like_parquet(place: Place) -> None:
    write_deltalake(place.folder / "delta", pq.read_table(place.data))
    query(f"COPY (FROM {ROWS}) TO '{place.folder}/data.csv'")
    expected = verdicts(place.check(NOT_NULL, BETWEEN, UNIQUE))
    for path in (place.folder / "delta", place.folder / "data.csv"):
        assert verdicts(place.check(NOT_NULL, BETWEEN, UNIQUE, path=path)) == expected


def test_a_key_that_is_no_column_is_refused(place: Place) -> None:
    with pytest.raises(UnknownKeyError, match=r"has no column ident; it has id, type, n, host"):
        place.check(BETWEEN, key=["ident"])


def test_a_row_that_cannot_be_read_is_told_before_anything_is_judged(place: Place) -> None:
    path = place.folder / "data.csv"
    path.write_text("n\n" + "1\n" * 50_000 + '2,3,"\n', "utf-8")
    with pytest.raises(UnreadableDataError):
        place.check(BETWEEN, path=path)


def test_what_meta_gives_is_kept_and_only_the_rest_is_derived(place: Place) -> None:
    given = {"policy_id": "own", "quality_dimension": "timeliness", "notes": "the steward's own"}
    entry = expectation("expect_column_max_to_be_between", meta=given, column="n", max_value=1, severity=None)
    [policy] = read_suite(place.suite(entry))
    assert (policy.policy_id, policy.meta.quality_dimension, policy.severity) == ("own", "timeliness", "critical")
    assert policy.meta.anomaly_type == "column_max_to_be_between"
    assert policy.meta.expected == "column max to be between max_value 1"


def test_derived_ids_are_told_apart(place: Place) -> None:
    unnamed = [
        expectation("expect_column_values_to_not_be_null", column=name) for name in ("a", "a", "a b", "a/b", "内存")
    ]
    ids = [policy.policy_id for policy in read_suite(place.suite(*unnamed))]
    assert len(set(ids)) == 5
    assert ids[:2] == ["column_values_to_not_be_null.a", "column_values_to_not_be_null.a-2"]


def test_a_suite_as_great_expectations_writes_it_is_read(place: Place) -> None:
    import great_expectations.expectations as gxe
    from great_expectations.core import ExpectationSuite

    suite = ExpectationSuite(name="written", expectations=[
        gxe.ExpectColumnValuesToBeBetween(column="n", max_value={"$PARAMETER": "most"}, mostly=0.5),
        gxe.ExpectColumnPairValuesToBeEqual(column_A="id", column_B="n", severity="info", notes=["why"]),
        gxe.ExpectColumnValuesToBeInSet(column="type", value_set=["a"], description="as *told*"),
    ], notes="note")  # fmt: skip
    path = place.suite(suite_parameters={"most": 10})
    path.write_text(json.dumps(suite.to_json_dict() | {"suite_parameters": {"most": 10}}), "utf-8")
    policies = read_suite(path)
    assert [policy.severity for policy in policies] == ["critical", "info", "critical"]
    assert policies[0].kwargs["max_value"] == 10


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[]", "expectations: is no list"),
        ("{", "not valid JSON"),
        ('{"expectations": [1]}', "is no object"),
        ('{"expectations": [{"kwargs": {}}]}', r"expectations\[0\].type: the key is required"),
        ('{"expectations": [{"type": "expect_x", "kwargs": []}]}', "kwargs or meta is no object"),
        ('{"expectations": [{"type": "expect_x", "severity": "fatal"}]}', r"expectations\[0\].severity"),
        ('{"expectations": [{"type": "expect_x", "meta": {"policy_id": "a"}}, {"type": "expect_y", "meta": '
         '{"policy_id": "a"}}]}', "'a' stands twice"),
    ],
)  # fmt: skip
def test_what_is_no_suite_is_refused_with_its_place(place: Place, text: str, reason: str) -> None:
    path = place.folder / "suite.json"
    path.write_text(text, "utf-8")
    with pytest.raises(GovernanceError, match=reason):
        read_suite(path)
