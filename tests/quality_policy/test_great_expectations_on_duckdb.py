"""What the room leans on in Great Expectations over DuckDB: an upgrade that changes it fails here by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
from policy_cases import all_of, compare, is_null, policy

from omgov_assets.quality_policy import great_expectations_run as run
from omgov_assets.quality_policy.expectation_configurations import _GX_CONDITION, gx_configurations
from omgov_assets.quality_policy.policies import Policy


@pytest.fixture(scope="module")
def validator() -> Iterator[Any]:
    with duckdb.connect() as con:
        con.execute(
            "CREATE TABLE checked AS SELECT * "
            "FROM (VALUES (1, 5, 'a', 5), (2, 50, 'b', NULL), (3, NULL, 'b', 3)) AS t (id, n, s, m)"
        )
        with run._validator(con) as opened:
            yield opened


def configuration(case: Policy) -> Any:
    configurations, broken = gx_configurations([case])
    assert broken == {}
    return configurations[case.policy_id]


def validated(validator: Any, *cases: Policy) -> list[Any]:
    return list(
        validator.graph_validate(
            configurations=[configuration(case) for case in cases],
            runtime_configuration={"result_format": {"result_format": "SUMMARY"}},
        )
    )


BETWEEN = policy("between", "expect_column_values_to_be_between", column="n", max_value=10)
NOT_NULL = policy("not_null", "expect_column_values_to_not_be_null", column="n")
OWN_METRICS = {
    "column_values.last_seen_within_intervals",
    "column_values.ci_consistent_with_cmdb",
    "column_values.unit_equals_standard",
    "column_values.vary",
    "column_values.relations_acyclic",
    "column_values.follow_dynamic_baseline",
}
UNKNOWN_COLUMN = policy("unknown_column", "expect_column_values_to_not_be_null", column="absent")


def test_results_come_in_the_order_asked_as_long_as_none_breaks(validator: Any) -> None:
    results = validated(validator, BETWEEN, NOT_NULL)
    assert [result.expectation_config.meta["policy_id"] for result in results] == ["between", "not_null"]


def test_a_result_that_broke_comes_first(validator: Any) -> None:
    results = validated(validator, BETWEEN, UNKNOWN_COLUMN, NOT_NULL)
    assert [r.expectation_config.meta["policy_id"] for r in results] == [
        "unknown_column",
        "between",
        "not_null",
    ]


def test_a_broken_result_has_no_counts_and_nests_its_error_by_metric(validator: Any) -> None:
    [result] = validated(validator, UNKNOWN_COLUMN)
    assert result.success is False
    assert result.result == {}
    [info] = result.exception_info.values()
    assert info["raised_exception"] is True
    assert info["exception_message"] == 'Error: The column "absent" in BatchData does not exist.'


def test_a_summary_counts_elements_missing_and_unexpected(validator: Any) -> None:
    [result] = validated(validator, BETWEEN)
    counts = {name: result.result[name] for name in ("element_count", "missing_count", "unexpected_count")}
    assert counts == {"element_count": 3, "missing_count": 1, "unexpected_count": 1}


def test_elements_are_the_rows_of_the_row_condition(validator: Any) -> None:
    conditioned = policy("p", "expect_column_values_to_not_be_null", column="n", row_condition=compare("s", "==", "b"))
    [result] = validated(validator, conditioned)
    assert (result.result["element_count"], result.result["unexpected_count"]) == (2, 1)


def test_an_expectation_on_the_dataset_counts_no_elements(validator: Any) -> None:
    cases = (
        policy("a", "expect_table_row_count_to_be_between", min_value=5),
        policy("b", "expect_column_max_to_be_between", column="n", max_value=10),
        policy("c", "expect_column_distinct_values_to_be_in_set", column="s", value_set=["a"]),
    )
    for result in validated(validator, *cases):
        assert result.success is False
        assert "element_count" not in result.result
        assert "observed_value" in result.result


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (BETWEEN, "n IS NOT NULL AND n > 10.0e0"),
        (NOT_NULL, "n IS NULL"),
        (policy("p", "expect_column_values_to_be_null", column="n"), "n IS NOT NULL"),
        (
            policy("p", "expect_column_values_to_be_in_set", column="s", value_set=["a"]),
            "s IS NOT NULL AND (s NOT IN ('a'))",
        ),
        (
            policy("p", "expect_column_values_to_not_be_in_set", column="s", value_set=["a"]),
            "s IS NOT NULL AND s IN ('a')",
        ),
        (
            policy("p", "expect_column_values_to_match_regex", column="s", regex="^a"),
            "s IS NOT NULL AND NOT regexp_matches(s, '^a')",
        ),
        (
            policy("p", "expect_column_pair_values_to_be_equal", column_A="n", column_B="m"),
            "NOT (n = m AND NOT (n IS NULL OR m IS NULL))",
        ),
        (
            policy("p", "expect_column_pair_values_a_to_be_greater_than_b", column_A="n", column_B="m"),
            "n <= m",
        ),
    ],
)
def test_the_condition_of_a_metric_holds_for_the_failing_rows(validator: Any, case: Policy, expected: str) -> None:
    [condition] = run._conditions(validator, validated(validator, case)).values()
    compiled = validator.execution_engine.sql_of(condition.expression)
    assert " ".join(compiled.split()) == expected


def test_the_domain_of_a_condition_holds_row_condition_and_ignored_rows(validator: Any) -> None:
    engine = validator.execution_engine

    def domain(**kwargs: Any) -> str:
        records = engine.get_domain_records(domain_kwargs=kwargs)
        return " ".join(engine.sql_of(records).split())

    condition = configuration(
        policy("p", "expect_column_values_to_not_be_null", column="n",
               row_condition=all_of(compare("s", "==", "b"), is_null("m", null=False)))
    ).to_domain_obj().row_condition  # fmt: skip
    assert str(engine.get_domain_records(domain_kwargs={})) == "checked"
    assert domain(row_condition=condition) == "SELECT * FROM checked WHERE s = 'b' AND m IS NOT NULL"
    pair = {"column_A": "n", "column_B": "m"}
    assert domain(**pair, ignore_row_if="either_value_is_missing").endswith("WHERE NOT (n IS NULL OR m IS NULL)")
    assert domain(**pair, ignore_row_if="both_values_are_missing").endswith("WHERE NOT (n IS NULL AND m IS NULL)")


def test_gx_takes_the_quantiles_of_one_expectation_for_those_of_another(validator: Any) -> None:
    cases = [
        policy(f"p{n}", "expect_column_quantile_values_to_be_between", column="n",
               quantile_ranges={"quantiles": [quantile], "value_ranges": [[None, None]]})
        for n, quantile in enumerate((0.0, 1.0))
    ]  # fmt: skip
    together = [result.result["observed_value"]["values"] for result in validated(validator, *cases)]
    apart = [result.result["observed_value"]["values"] for case in cases for result in validated(validator, case)]
    assert (together, apart) == ([[5], [5]], [[5], [50]])
    parts = run._told_apart([configuration(case) for case in [*cases, NOT_NULL]])
    assert [[item.meta["policy_id"] for item in part] for part in parts] == [["p0", "not_null"], ["p1"]]


def test_gx_breaks_off_where_an_expectation_does_not_say_what_it_needs(validator: Any) -> None:
    broken = policy(
        "p", "expect_column_kl_divergence_to_be_less_than", column="n", threshold=1, partition_object={"bins": [1]}
    )
    with pytest.raises(ValueError, match="Invalid partition_object"):
        validated(validator, NOT_NULL, broken)
    results = run._validated(validator, [configuration(NOT_NULL), configuration(broken)])
    assert [run._error_of(result) for result in results] == [None, "Invalid partition_object provided"]


def test_gx_drops_what_its_grammar_of_row_conditions_cannot_read(validator: Any) -> None:
    from great_expectations.expectations.expectation import _convert_string_to_condition

    condition = _convert_string_to_condition('col("n") > 5 and col("n") < 9')
    assert condition == _convert_string_to_condition('col("n") > 5')
    assert _GX_CONDITION.fullmatch('col("n") > 5')
    assert not _GX_CONDITION.fullmatch('col("n") > 5 and col("n") < 9')


def test_every_condition_of_gx_core_asks_for_no_sample_values(validator: Any) -> None:
    from great_expectations.expectations.registry import _registered_metrics, get_metric_provider

    for name in [name for name in _registered_metrics if name.endswith(".unexpected_values")]:
        if name.removesuffix(".unexpected_values") not in OWN_METRICS:
            assert get_metric_provider(name, validator.execution_engine)[0].__name__ == "UnexpectedRows"


@pytest.mark.parametrize(
    ("value", "literal"),
    [(0.1, "0.1e0"), (1e300, "1e+300"), (float("inf"), "'inf'::DOUBLE"), ("it's a \\d %", "'it''s a \\d %'"), (7, "7")],
)
def test_a_literal_is_the_value_that_was_counted_with(validator: Any, value: Any, literal: str) -> None:
    import sqlalchemy

    assert validator.execution_engine.sql_of(sqlalchemy.literal(value)) == literal
    with duckdb.connect() as con:
        assert con.execute(f"SELECT {literal} = ?", [value]).fetchall() == [(True,)]


def test_gx_itself_knows_no_regular_expression_on_duckdb() -> None:
    import sqlalchemy
    from great_expectations.expectations.metrics.util import get_dialect_regex_expression

    engine = sqlalchemy.create_engine("duckdb:///:memory:")
    assert get_dialect_regex_expression(sqlalchemy.column("s"), "^a", engine.dialect) is None
    engine.dispose()


def test_a_metric_is_found_by_the_name_of_the_engines_class_or_a_base_of_it(validator: Any) -> None:
    from great_expectations.expectations.registry import get_metric_provider

    _, own = get_metric_provider("column_values.match_regex.condition", validator.execution_engine)
    assert own.__name__ == "_duckdb"
    _, inherited = get_metric_provider("column_values.between.condition", validator.execution_engine)
    assert inherited.__name__ == "_sqlalchemy"
