"""Evaluating policies on the lake: what is stored, replaced, left alone and masked."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from policy_cases import compare, policy
from small_firm import DAY, SYSTEM, SmallFirm, build_small_firm, instance

from omgov_assets.quality_policy.evaluation import PolicyResult, evaluate_dataset
from omgov_assets.quality_policy.great_expectations_run import RowCondition
from omgov_assets.quality_policy.policies import Policy, PolicySet, load_policy_set
from omgov_assets.quality_policy.violations import CHECK_RESULTS, VIOLATIONS

DATASET = "metric_instances"
INSTANCES = [
    instance(ci="H1", sample_max=101.0),
    instance(ci="H2", unit=None),
    instance(ci="H3", sample_mean=0.5, sample_max=120.0),
    instance(ci="H4", interval_s=None),
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> SmallFirm:
    return build_small_firm(tmp_path_factory.mktemp("firm"))


@pytest.fixture
def firm(project: SmallFirm, tmp_path: Path) -> SmallFirm:
    """A firm with a day of instances in the lake; of its CMDB there is nothing."""
    firm = project.at(tmp_path / "home")
    firm.deliver(SYSTEM, DATASET, INSTANCES)
    firm.collect(SYSTEM, DAY, DATASET)
    return firm


RANGE = policy("range", "expect_column_values_to_be_between", column="sample_max", max_value=100)
UNIT = policy("unit", "expect_column_values_to_not_be_null", dimension="completeness", column="source_unit")
INTERVAL = policy("interval", "expect_column_values_to_not_be_null", dimension="completeness", column="interval_s")
SOUND = policy("sound", "expect_column_values_to_be_unique", dimension="uniqueness", column="instance_id")
BROKEN = policy("broken", "expect_column_values_to_not_be_null", dimension="consistency", column="absent")
WAITING = policy("waiting", "expect_column_values_to_not_be_null", column="ci_id", meta={"requires": ["cmdb/owners"]})


def evaluate(firm: SmallFirm, *policies: Policy, dimensions: list[str] | None = None, **of: Any) -> list[PolicyResult]:
    policy_set = PolicySet(SYSTEM, of.get("dataset", DATASET), policies, of.get("view_sql"), of.get("hash", "hash"))
    return evaluate_dataset(firm.lake, firm.governance, policy_set, DAY, dimensions)


def verdicts(results: list[PolicyResult]) -> dict[str, tuple[str, int | None, int | None]]:
    return {result.policy.policy_id: (result.verdict, result.evaluated, result.failed) for result in results}


def violated(firm: SmallFirm) -> set[tuple[str, str]]:
    """Policy and CI of the stored violations."""
    return set(firm.rows(VIOLATIONS, "policy_id, ci_id"))


def stored(firm: SmallFirm) -> dict[str, str]:
    return dict(firm.rows(CHECK_RESULTS, "policy_id, verdict"))


def test_results_and_violations_say_what_where_and_of_which_record(firm: SmallFirm) -> None:
    results = evaluate(firm, RANGE, UNIT, SOUND)
    assert verdicts(results) == {
        "range": ("failed", 4, 2),
        "unit": ("failed", 4, 1),
        "sound": ("passed", 4, 0),
    }
    columns = "policy_id, verdict, evaluated, failed, column_name, expected, severity, policy_hash, reason"
    assert firm.rows(CHECK_RESULTS, columns) == [
        ("range", "failed", 4, 2, "sample_max", "what range expects", "warning", "hash", None),
        ("sound", "passed", 4, 0, "instance_id", "what sound expects", "warning", "hash", None),
        ("unit", "failed", 4, 1, "source_unit", "what unit expects", "warning", "hash", None),
    ]
    cpu = "system.cpu.utilization"
    instances = {
        ci: (key, batch) for ci, key, batch in firm.rows(f"{SYSTEM}/{DATASET}", "ci_id, instance_id, _batch_id")
    }
    columns = "policy_id, quality_dimension, subject_kind, subject_key, observed, source_metric, metric, ci_id"
    assert firm.rows(VIOLATIONS, f"{columns}, collector, batch_id, record_no") == sorted(
        (name, dimension, "row", instances[ci][0], observed, "cpu", cpu, ci, "K1", instances[ci][1], n)
        for name, dimension, ci, observed, n in (
            ("range", "accuracy", "H1", "101.0", 1),
            ("range", "accuracy", "H3", "120.0", 3),
            ("unit", "completeness", "H2", None, 2),
        )
    )  # fmt: skip
    version = firm.lake.version(f"{SYSTEM}/{DATASET}")
    assert {result.data_version for result in results} == {version}
    assert firm.rows(VIOLATIONS, "data_version, policy_hash")[0] == (
        version,
        "hash",
    )


def test_a_broken_policy_is_an_error_and_the_others_report(firm: SmallFirm) -> None:
    results = evaluate(firm, RANGE, BROKEN, UNIT)
    assert verdicts(results) == {
        "range": ("failed", 4, 2),
        "broken": ("error", None, None),
        "unit": ("failed", 4, 1),
    }
    assert dict(firm.rows(CHECK_RESULTS, "policy_id, reason"))["broken"] == (
        'Error: The column "absent" in BatchData does not exist.'
    )
    assert violated(firm) == {("range", "H1"), ("range", "H3"), ("unit", "H2")}


def test_a_policy_whose_data_is_missing_is_not_evaluated_and_the_others_are(firm: SmallFirm) -> None:
    results = evaluate(firm, WAITING, RANGE)
    assert verdicts(results) == {"waiting": ("not_evaluated", None, None), "range": ("failed", 4, 2)}
    assert results[0].reason == f"cmdb/owners holds nothing for {DAY}"
    firm.deliver("cmdb", "owners", [{"owner_id": "O1", "name": "王芳", "active": "true"}])
    firm.collect("cmdb", DAY, "owners")
    assert verdicts(evaluate(firm, WAITING, RANGE))["waiting"] == ("passed", 4, 0)


def test_a_dataset_that_was_not_delivered_is_not_evaluated(firm: SmallFirm) -> None:
    [result] = evaluate(firm, RANGE, dataset="metric_definitions")
    assert (result.verdict, result.evaluated, result.failed) == ("not_evaluated", None, None)
    assert result.reason == (
        f"{SYSTEM}/metric_definitions holds nothing for {DAY}: nothing was delivered, or the batch was refused"
    )
    assert firm.rows(VIOLATIONS) == []


def test_evaluating_again_changes_nothing(firm: SmallFirm) -> None:
    evaluate(firm, RANGE, UNIT, BROKEN)
    before = [firm.rows(table) for table in (VIOLATIONS, CHECK_RESULTS)]
    evaluate(firm, RANGE, UNIT, BROKEN)
    assert [firm.rows(table) for table in (VIOLATIONS, CHECK_RESULTS)] == before


def test_evaluating_corrected_data_replaces_what_was_found(firm: SmallFirm) -> None:
    evaluate(firm, RANGE, UNIT)
    firm.deliver(SYSTEM, DATASET, [*INSTANCES[1:], instance(ci="H5", sample_max=200.0)])
    firm.collect(SYSTEM, DAY, DATASET)
    evaluate(firm, RANGE, UNIT)
    assert violated(firm) == {("range", "H3"), ("range", "H5"), ("unit", "H2")}
    assert len(firm.rows(CHECK_RESULTS)) == 2


def test_a_policy_taken_out_of_the_suite_leaves_nothing_behind(firm: SmallFirm) -> None:
    evaluate(firm, RANGE, UNIT)
    evaluate(firm, UNIT)
    assert violated(firm) == {("unit", "H2")}
    assert stored(firm) == {"unit": "failed"}
    evaluate(firm)
    assert violated(firm) == set()
    assert stored(firm) == {}


def test_a_policy_taken_out_leaves_nothing_behind_though_the_rest_cannot_be_evaluated(
    firm: SmallFirm,
) -> None:
    evaluate(firm, RANGE, WAITING)
    evaluate(firm, WAITING)
    assert violated(firm) == set()


@pytest.mark.parametrize("then", [BROKEN, WAITING], ids=["broken", "waiting"])
def test_what_a_policy_found_stays_while_it_cannot_be_evaluated(firm: SmallFirm, then: Policy) -> None:
    evaluate(firm, RANGE, UNIT)
    cannot = then.model_copy(update={"meta": then.meta.model_copy(update={"policy_id": "range"})})
    evaluate(firm, cannot, UNIT)
    assert violated(firm) == {("range", "H1"), ("range", "H3"), ("unit", "H2")}
    assert stored(firm)["range"] in {"error", "not_evaluated"}
    evaluate(firm, RANGE, UNIT)
    assert violated(firm) == {("range", "H1"), ("range", "H3"), ("unit", "H2")}


def test_a_refused_batch_leaves_the_days_earlier_findings_untouched(firm: SmallFirm) -> None:
    evaluate(firm, RANGE, UNIT)
    before = violated(firm)
    firm.lake.replace(f"{SYSTEM}/{DATASET}", DAY, firm.lake.schema(f"{SYSTEM}/{DATASET}").arrow.empty_table())
    assert {result.verdict for result in evaluate(firm, RANGE, UNIT)} == {"not_evaluated"}
    assert violated(firm) == before


def test_a_partial_run_touches_its_own_policies_alone(firm: SmallFirm) -> None:
    evaluate(firm, RANGE, UNIT, INTERVAL, SOUND)
    firm.deliver(SYSTEM, DATASET, [instance(ci="H7", unit=None, sample_max=130.0)])
    firm.collect(SYSTEM, DAY, DATASET)
    results = evaluate(firm, RANGE, UNIT, INTERVAL, SOUND, dimensions=["completeness"])
    assert set(verdicts(results)) == {"unit", "interval"}
    assert violated(firm) == {("range", "H1"), ("range", "H3"), ("unit", "H7")}
    assert dict(firm.rows(CHECK_RESULTS, "policy_id, evaluated")) == {
        "range": 4,
        "unit": 1,
        "interval": 1,
        "sound": 4,
    }


def test_a_partial_run_of_no_policy_changes_nothing(firm: SmallFirm) -> None:
    evaluate(firm, RANGE, UNIT)
    before = [firm.rows(table) for table in (VIOLATIONS, CHECK_RESULTS)]
    assert evaluate(firm, RANGE, UNIT, dimensions=["timeliness"]) == []
    assert [firm.rows(table) for table in (VIOLATIONS, CHECK_RESULTS)] == before


def test_what_the_gate_found_is_not_the_policies_to_replace(firm: SmallFirm) -> None:
    firm.deliver(SYSTEM, DATASET, "broken", name="b.csv")
    firm.collect(SYSTEM, DAY, DATASET)
    evaluate(firm, RANGE)
    evaluate(firm)
    assert firm.rows(VIOLATIONS, "policy_id") == [("admission.refused_batch",)]


def test_an_expectation_on_the_dataset_has_the_dataset_for_a_subject(firm: SmallFirm) -> None:
    evaluate(firm, policy("count", "expect_table_row_count_to_be_between", min_value=10))
    assert firm.rows(VIOLATIONS, "subject_kind, subject_key, observed, batch_id, ci_id") == [
        ("dataset", DATASET, "4", None, None)
    ]


def test_free_sql_may_read_other_datasets_of_the_day(firm: SmallFirm) -> None:
    firm.deliver(SYSTEM, "metric_definitions", [{"metric": "mem", "unit": "%", "interval_s": 60}])
    firm.collect(SYSTEM, DAY, "metric_definitions")
    query = "SELECT c.* FROM {batch} AS c ANTI JOIN own.metric_definitions USING (source_metric)"
    [result] = evaluate(firm, policy("defined", "unexpected_rows_expectation", unexpected_rows_query=query))
    assert (result.verdict, result.failed) == ("failed", 4)
    assert {ci for _, ci in violated(firm)} == {"H1", "H2", "H3", "H4"}


def test_free_sql_that_does_not_give_the_subject_is_an_error(firm: SmallFirm) -> None:
    query = "SELECT ci_id FROM {batch} WHERE sample_max > 100"
    [result] = evaluate(firm, policy("range", "unexpected_rows_expectation", unexpected_rows_query=query))
    assert (result.verdict, result.failed) == ("error", 2)
    assert "the failing rows cannot be read" in (result.reason or "")
    assert firm.rows(VIOLATIONS) == []


@pytest.mark.parametrize(
    ("view", "reason"),
    [
        ("SELECT * FROM nowhere", "does not run"),
        (
            "SELECT d.* FROM dataset AS d, range(2)",
            "gives 8 rows for 4 rows of the dataset: it must give each row once",
        ),
        ("SELECT * FROM dataset WHERE ci_id <> 'H1'", "gives 3 rows for 4 rows"),
    ],
)
def test_a_policy_view_that_is_wrong_is_an_error_of_all_its_policies(firm: SmallFirm, view: str, reason: str) -> None:
    results = evaluate(firm, RANGE, UNIT, view_sql=view)
    assert {result.verdict for result in results} == {"error"}
    assert all(reason in (result.reason or "") for result in results)
    assert firm.rows(VIOLATIONS) == []


def test_a_policy_view_may_end_in_a_comment(firm: SmallFirm) -> None:
    assert evaluate(firm, RANGE, view_sql="SELECT * FROM dataset -- all of it")[0].verdict == "failed"


def test_a_count_that_the_rows_do_not_bear_out_is_an_error(firm: SmallFirm, monkeypatch: pytest.MonkeyPatch) -> None:
    from omgov_assets.quality_policy import great_expectations_run

    honest: Callable[..., tuple[str, RowCondition]] = great_expectations_run._row_query

    def fewer(*args: Any) -> tuple[str, RowCondition]:
        query, holds = honest(*args)
        return query, replace(holds, sql=f"{holds.sql} AND ci_id <> 'H1'")

    monkeypatch.setattr(great_expectations_run, "_row_query", fewer)
    [result] = evaluate(firm, RANGE)
    assert (result.verdict, result.failed) == ("error", 2)
    assert result.reason == "1 failing rows were found where Great Expectations counted 2"
    assert firm.rows(VIOLATIONS) == []


@pytest.fixture
def owners(project: SmallFirm, tmp_path: Path) -> SmallFirm:
    """A firm with two owners in the lake, whose phone and e-mail are graded 3."""
    firm = project.at(tmp_path / "home")
    schema = firm.lake.schema("cmdb/owners").arrow
    sound = {"day": DAY, "system": "cmdb", "active": True, "_batch_id": "b"}
    rows = [
        {
            **sound,
            "owner_id": "O1",
            "name": "王芳",
            "phone": "139 0000 1111",
            "email": "wf@example.com",
            "_record_no": 1,
        },
        {
            **sound,
            "owner_id": "O2",
            "name": "李雷",
            "phone": "13800001111",
            "email": "ll@example.com",
            "_record_no": 2,
        },
    ]
    firm.lake.replace("cmdb/owners", DAY, pa.Table.from_pylist(rows, schema=schema))
    return firm


@pytest.mark.parametrize(
    ("case", "observed"),
    [
        (policy("p", "expect_column_values_to_match_regex", column="phone", regex="^[0-9]+$"), "1***"),
        (
            policy("p", "expect_column_values_to_not_be_in_set", column="owner_id", value_set=["O1"],
                   meta={"observed": ["owner_id", "phone"]}),
            "owner_id=O1, phone=1***",
        ),
        (
            policy("p", "expect_column_most_common_value_to_be_in_set", column="phone", value_set=["x"]),
            "[***",
        ),
        (policy("p", "expect_column_values_to_not_be_in_set", column="owner_id", value_set=["O1"]), "O1"),
    ],
)  # fmt: skip
def test_an_observed_value_of_a_graded_column_is_masked(owners: SmallFirm, case: Policy, observed: str) -> None:
    policy_set = PolicySet("cmdb", "owners", (case,), None, "hash")
    [result] = evaluate_dataset(owners.lake, owners.governance, policy_set, DAY)
    assert (result.verdict, result.failed) == ("failed", 1), result.reason
    assert owners.rows(VIOLATIONS, "observed") == [(observed,)]


def test_a_row_whose_key_must_not_be_shown_is_named_by_its_record(
    owners: SmallFirm, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = owners.lake
    schema, known = lake.schema("cmdb/owners"), lake.schema
    graded = tuple(replace(column, grade=3) if column.name == "owner_id" else column for column in schema.columns)
    with_graded_key = replace(schema, columns=graded)
    monkeypatch.setattr(lake, "schema", lambda table: with_graded_key if table == "cmdb/owners" else known(table))
    case = policy("p", "expect_column_values_to_not_be_in_set", column="owner_id", value_set=["O1"])
    [result] = evaluate_dataset(lake, owners.governance, PolicySet("cmdb", "owners", (case,), None, "h"), DAY)
    assert [sample.subject_key for sample in result.samples] == ["b:1"]
    assert owners.rows(VIOLATIONS, "subject_key, observed") == [("b:1", "O***")]


def test_an_error_quotes_no_value_of_a_graded_column(owners: SmallFirm) -> None:
    case = policy("p", "expect_column_values_to_be_in_set", column="phone", value_set=[1, 2])
    policy_set = PolicySet("cmdb", "owners", (case,), None, "hash")
    [result] = evaluate_dataset(owners.lake, owners.governance, policy_set, DAY)
    assert result.verdict == "error"
    assert "Could not convert string *** to INT32 when casting from source column phone" in (result.reason or "")
    assert "0000" not in json.dumps(owners.rows(CHECK_RESULTS), default=str)


@pytest.mark.parametrize(
    "condition",
    [
        "CAST(phone AS DATE) IS NULL",
        "strptime(phone, '%Y') IS NULL",
        "CAST(CAST(replace(phone, ' ', '') AS BIGINT) AS INTEGER) > 0",
        "error(phone) IS NULL",
        "regexp_matches('x', '(' || phone)",
        "CAST(email || chr(10) || phone AS INTEGER) > 0",
    ],
)
def test_whatever_a_query_breaks_on_its_error_says_no_value(owners: SmallFirm, condition: str) -> None:
    query = "SELECT * FROM {batch} WHERE " + condition
    case = policy("p", "unexpected_rows_expectation", unexpected_rows_query=query)
    [result] = evaluate_dataset(owners.lake, owners.governance, PolicySet("cmdb", "owners", (case,), None, "h"), DAY)
    assert result.verdict == "error"
    assert "Error: " in (result.reason or "")
    for secret in ("139", "138", "0000", "1111", "wf", "ll@"):
        assert secret not in (result.reason or "")


@pytest.mark.parametrize(
    ("added", "shown"),
    [
        ("o.phone AS contact", "1***"),
        ("o.phone || '!' AS contact", "1***"),
        ("o.owner_id AS contact", "O1"),
    ],
)
def test_what_a_view_adds_has_the_grade_of_what_it_reads(owners: SmallFirm, added: str, shown: str) -> None:
    owners.deliver("cmdb", "support_groups", [{"support_group_id": "G1", "name": "Hosts"}])
    owners.collect("cmdb", DAY, "support_groups")
    view = f"SELECT g.*, {added} FROM dataset AS g JOIN own.owners AS o ON o.owner_id = 'O1'"
    case = policy("p", "expect_column_values_to_be_null", column="contact")
    broken = policy("q", "unexpected_rows_expectation",
                    unexpected_rows_query="SELECT * FROM {batch} WHERE CAST(contact AS DATE) IS NULL")  # fmt: skip
    policy_set = PolicySet("cmdb", "support_groups", (case, broken), view, "h")
    failed, error = evaluate_dataset(owners.lake, owners.governance, policy_set, DAY)
    assert (failed.verdict, error.verdict) == ("failed", "error")
    assert owners.rows(VIOLATIONS, "observed") == [(shown,)]
    assert "139" not in (error.reason or "")


def test_a_view_that_breaks_on_a_value_does_not_say_it(owners: SmallFirm) -> None:
    owners.deliver("cmdb", "support_groups", [{"support_group_id": "G1", "name": "Hosts"}])
    owners.collect("cmdb", DAY, "support_groups")
    view = "SELECT g.*, (SELECT max(CAST(phone AS DATE)) FROM own.owners) AS d FROM dataset AS g"
    case = policy("p", "expect_column_values_to_be_null", column="d")
    [result] = evaluate_dataset(
        owners.lake, owners.governance, PolicySet("cmdb", "support_groups", (case,), view, "h"), DAY
    )
    assert result.reason == (
        "the policy view of cmdb/support_groups does not run: Conversion Error: invalid date field format: *** "
        "expected format is (YYYY-MM-DD) when casting from source column phone"
    )


def test_the_shipped_suite_judges_a_sound_day_as_sound(project: SmallFirm, tmp_path: Path) -> None:
    firm = project.at(tmp_path / "home")
    firm.deliver_all()
    firm.collect("cmdb")
    firm.collect(SYSTEM)
    for system, dataset in (
        (SYSTEM, DATASET),
        (SYSTEM, "metric_definitions"),
        ("cmdb", "configuration_items"),
    ):
        policy_set = load_policy_set(firm.settings.project, system, dataset)
        results = evaluate_dataset(firm.lake, firm.governance, policy_set, DAY)
        waiting = {r.policy.policy_id for r in results if "control/standard_metrics" in r.policy.meta.requires}
        unsound = {r.policy.policy_id: r.reason for r in results if r.verdict != "passed"}
        assert set(unsound) == waiting, unsound
    assert firm.rows(VIOLATIONS) == []


def test_a_row_condition_looks_at_the_rows_it_names_alone(firm: SmallFirm) -> None:
    named = policy("range", "expect_column_values_to_be_between", column="sample_max", max_value=100,
                   row_condition=compare("ci_id", "!=", "H1"))  # fmt: skip
    assert verdicts(evaluate(firm, named)) == {"range": ("failed", 3, 1)}
    assert violated(firm) == {("range", "H3")}
