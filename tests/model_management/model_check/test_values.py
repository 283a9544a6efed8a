"""Values of a model's output: names and types, nulls, grades, units."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from model_desk import CONFORM, DERIVED, Desk

Samples = Callable[..., str]

SOURCE = "governance/systems/securities_trading/metric_samples.odcs.yaml"
STANDARD = "governance/standard/data_contracts/metric_samples.odcs.yaml"
READING = "        description: Value.\n"


@pytest.mark.parametrize(
    ("exchanged", "code"),
    [
        ({"value": ""}, "missing_output_column"),
        ({"surplus": "tags"}, "unexpected_output_column"),
        ({"ci_id": "object_no AS ci_id, object_no"}, "duplicate_output_column"),
        ({"value": "reading::FLOAT"}, "output_type_differs"),
        ({"observed_at": "collected_at"}, "output_type_differs"),
    ],
)
def test_an_output_other_than_the_contracts_is_found(
    desk: Desk, samples: Samples, exchanged: dict[str, str], code: str
) -> None:
    assert desk.of_conform(samples(**exchanged)) == [code]


def test_a_missing_column_stands_at_the_outermost_select(desk: Desk, samples: Samples) -> None:
    desk.conform("WITH s AS (\n    SELECT * FROM source\n)\n" + samples(source="s", value=""))
    assert desk.found(CONFORM) == [("missing_output_column", 12)]


def test_order_and_star_of_the_output_do_not_count(desk: Desk, samples: Samples) -> None:
    assert desk.of_conform(f"SELECT value, * EXCLUDE (value) FROM ({samples()})") == []


@pytest.mark.parametrize(
    "ci_id",
    [
        "tags",
        "lower(tags)",
        "nullif(object_no, '')",
        "TRY_CAST(object_no AS BIGINT)::VARCHAR",
        "CASE WHEN reading > 0 THEN object_no END",
        "CASE metric_code WHEN 'a' THEN 'b' END",
        "if(reading > 0, object_no, NULL)",
        "coalesce(tags, nullif(object_no, ''))",
        "NULL::VARCHAR",
        "try_strptime(object_no, '%Y')::VARCHAR",
    ],
)
def test_a_required_column_that_can_visibly_be_null_is_found(desk: Desk, samples: Samples, ci_id: str) -> None:
    assert desk.of_conform(samples(ci_id=ci_id)) == ["nullable_output"]


def test_a_column_without_which_records_are_quarantined_may_be_null(desk: Desk, samples: Samples) -> None:
    sql = samples(ci_id="nullif(object_no, '')")
    assert desk.of_conform(sql) == ["nullable_output"]
    assert desk.of_conform(sql, header="quarantine_without: [ci_id]") == []
    assert desk.of_conform(sql, header="quarantine_without: [value]") == ["header_invalid"]


@pytest.mark.parametrize(
    ("ci_id", "rest"),
    [
        ("coalesce(tags, object_no)", ""),
        ("coalesce(nullif(object_no, ''), 'none')", ""),
        ("CASE WHEN tags IS NULL THEN 'none' ELSE tags END", ""),
        ("CASE WHEN tags IS NOT NULL THEN tags ELSE 'none' END", ""),
        ("if(tags IS NULL OR tags = '', 'none', tags)", ""),
        ("tags", "WHERE tags IS NOT NULL"),
        ("tags", "WHERE tags <> '' AND reading > 0"),
        ("lower(tags)", "WHERE length(trim(tags)) > 3"),
        ("tags", "WHERE tags LIKE 'a%' OR tags LIKE 'b%'"),
        ("nullif(object_no, '')", "WHERE nullif(object_no, '') IS NOT NULL"),
        ("(SELECT max(x) FROM unnest(string_split(tags, ';')) AS u(x))", ""),
        ("regexp_extract(object_no, 'a')", ""),
    ],
)
def test_a_null_that_is_ruled_out_or_not_visible_is_no_finding(
    desk: Desk, samples: Samples, ci_id: str, rest: str
) -> None:
    assert desk.of_conform(samples(rest, ci_id=ci_id)) == []


def test_an_optional_column_of_the_output_may_be_null(desk: Desk, samples: Samples) -> None:
    assert desk.of_conform(samples(value="nullif(reading, -1)")) == []


def test_the_side_of_an_outer_join_that_can_be_missing_is_null(desk: Desk, points: Samples) -> None:
    source = "metric_samples AS s LEFT JOIN configuration_items AS c ON c.ci_id = s.ci_id"
    rest = "WHERE s.metric = 'http.server.error.utilization'"
    assert desk.of_derive(points(rest, source, ci_id="c.name")) == ["nullable_output"]
    assert desk.of_derive(points(rest, source, ci_id="coalesce(c.name, s.ci_id)")) == []
    assert desk.of_derive(points(f"{rest} AND c.status = 'in_use'", source, ci_id="c.name")) == []


@pytest.mark.parametrize(
    "ci_id", ["object_no", "lower(object_no)", "max(object_no) OVER ()", "coalesce(object_no, '')"]
)
def test_a_column_made_of_one_of_a_higher_grade_is_found(desk: Desk, samples: Samples, ci_id: str) -> None:
    desk.edit(
        SOURCE,
        '        classification: "1"\n        description: CI.',
        '        classification: "3"\n        description: CI.',
    )
    assert desk.of_conform(samples(ci_id=ci_id)) == ["grade_lowered"]


@pytest.mark.parametrize(
    ("value", "rest"),
    [
        ("reading", "WHERE object_no <> 'x'"),
        ("reading", "QUALIFY row_number() OVER (PARTITION BY object_no ORDER BY _record_no) = 1"),
        ("CASE WHEN object_no IS NULL THEN 0 ELSE reading END", ""),
        ("(count(object_no) OVER ())::DOUBLE", ""),
    ],
)
def test_what_only_filters_or_is_counted_carries_no_grade(desk: Desk, samples: Samples, value: str, rest: str) -> None:
    desk.edit(
        SOURCE,
        '        classification: "1"\n        description: CI.',
        '        classification: "3"\n        description: CI.',
    )
    assert desk.of_conform(samples(rest, ci_id="metric_code", value=value)) == []


def test_a_column_without_a_grade_is_of_the_highest(desk: Desk, samples: Samples) -> None:
    desk.edit(SOURCE, '        classification: "1"\n        description: CI.', "        description: CI.")
    assert desk.of_conform(samples()) == ["grade_lowered"]


def test_grades_of_metrics_bind_a_derived_metric(desk: Desk, points: Samples) -> None:
    made = "governance/standard/metric_definitions/application.yaml"
    text = (desk.project / made).read_text("utf-8")
    head, _, tail = text.partition("- metric: http.server.error.utilization")
    desk.write(made, head + "- metric: http.server.error.utilization" + tail.replace("grade: 1", "grade: 3", 1))
    assert desk.of_derive(points()) == ["grade_lowered"]
    assert desk.of_derive(points(value="count(s.value)::DOUBLE * 100 / 7 * 7", rest="WHERE metric = "
                                 "'http.server.error.utilization' GROUP BY ALL")) == []  # fmt: skip
    desk.standard_metric(grade=3)
    assert desk.of_derive(points()) == []


def _with_units(desk: Desk, source: str | None, standard: str | None = None) -> None:
    for path, unit, anchor in (
        (SOURCE, source, READING),
        (STANDARD, standard, "        description: Value in the source unit.\n"),
    ):
        if unit:
            desk.edit(
                path, anchor, f'{anchor}        customProperties:\n          - {{property: unit, value: "{unit}"}}\n'
            )


@pytest.mark.parametrize(
    ("source", "value", "declared", "sound"),
    [
        ("ms", "reading", "ms", True),
        ("ms", "reading", "s", False),
        ("ms", "reading / 1000", "s", True),
        ("ms", "reading / 1000.0", "s", True),
        ("ms", "reading * 1e-3", "s", True),
        ("ms", "reading / 100", "s", False),
        ("ms", "reading / 1000 / 60", "min", True),
        ("ms", "reading / 1000 / 60", "s", False),
        ("s", "reading * 1000 * 1000", "ms", False),
        ("ms", "(reading + reading) / 2 / 1000", "s", True),
        ("By", "reading / 1024 / 1024", "MiBy", True),
        ("By", "reading / 1024 / 1024", "MBy", False),
        ("bit", "reading / 8", "By", True),
        ("1", "reading * 100", "%", True),
        ("1", "reading", "%", False),
        ("By", "round(coalesce(reading, 0), 2)", "By", True),
        ("By", "reading", "{request}", False),
        ("By", "ln(reading)", "ms", True),
        ("Cel", "reading", "Cel", True),
        ("Cel", "reading", "K", False),
        ("By", "reading / epoch(collected_at - TIMESTAMP '2026-01-01')", "By/s", True),
        ("By", "reading / epoch_ms(collected_at - TIMESTAMP '2026-01-01')", "By/s", False),
        ("By", "reading / date_diff('millisecond', collected_at, collected_at)", "By/ms", True),
        ("By", "reading * reading", "By", False),
    ],
)
def test_units_are_followed_through_arithmetic(
    desk: Desk, samples: Samples, source: str, value: str, declared: str, *, sound: bool
) -> None:
    _with_units(desk, source)
    assert desk.of_conform(samples(value=value), header=f'units: {{value: "{declared}"}}') == (
        [] if sound else ["unit_differs"]
    )


@pytest.mark.parametrize(
    "value",
    [
        "reading + epoch(collected_at - TIMESTAMP '2026-01-01')",
        "coalesce(reading, date_diff('second', collected_at, collected_at))",
        "CASE WHEN reading > 1 THEN reading ELSE epoch(collected_at - TIMESTAMP '2026-01-01') END",
        "greatest(reading, epoch(collected_at - TIMESTAMP '2026-01-01'))",
        "CASE WHEN reading > epoch(collected_at - TIMESTAMP '2026-01-01') THEN 1.0 ELSE 0.0 END",
    ],
)
def test_values_of_different_units_do_not_mix(desk: Desk, samples: Samples, value: str) -> None:
    _with_units(desk, "ms")
    assert desk.of_conform(samples(value=f"({value})::DOUBLE")) == ["unit_mixed"]
    assert desk.of_conform(samples(value=f"({value.replace('reading', 'reading / 1000')})::DOUBLE")) == []


def test_header_and_standard_contract_must_agree(desk: Desk, samples: Samples) -> None:
    _with_units(desk, None, "ms")
    desk.conform(samples(), header="units:\n  value: s")
    assert desk.found(CONFORM) == [("unit_differs", 8)]


def test_the_standard_contracts_unit_holds_without_a_header(desk: Desk, samples: Samples) -> None:
    _with_units(desk, "ms", "s")
    assert desk.of_conform(samples()) == ["unit_differs"]
    assert desk.of_conform(samples(value="reading / 1000")) == []


def test_a_unit_that_is_no_ucum_is_found_in_header_and_contract(desk: Desk, samples: Samples) -> None:
    desk.conform(samples(), header="units:\n  value: bytes")
    assert desk.found(CONFORM) == [("unknown_unit", 8)]
    _with_units(desk, "bytes")
    desk.conform(samples())
    assert desk.found(CONFORM) == [("unknown_unit", 1)]


RATE, DURATION, ERRORS = "http.server.request.rate", "http.server.request.duration", "http.server.error.count"


@pytest.mark.parametrize(
    ("value", "codes"),
    [
        (f"avg(s.value) FILTER (WHERE metric = '{DURATION}')", ["unit_differs"]),
        (f"max(CASE WHEN metric = '{DURATION}' THEN s.value END) / 1000", []),
        (f"max(CASE metric WHEN '{DURATION}' THEN s.value END)", ["unit_differs"]),
        (
            f"sum(s.value) FILTER (WHERE metric = '{DURATION}') + sum(s.value) FILTER (WHERE metric = '{RATE}')",
            ["unit_mixed"],
        ),
        ("sum(s.value)", ["unit_mixed"]),
        ("count(*)::DOUBLE", ["unit_differs"]),
    ],
)
def test_values_are_in_the_unit_of_the_metric_that_a_row_is_restricted_to(
    desk: Desk, points: Samples, value: str, codes: list[str]
) -> None:
    desk.standard_metric(unit="s")
    rest = f"WHERE metric IN ('{DURATION}', '{RATE}') GROUP BY s.ci_id, s.attributes, s.observed_at"
    assert desk.of_derive(points(rest, value=value)) == codes


def test_units_of_metrics_pass_through_common_table_expressions(desk: Desk) -> None:
    desk.standard_metric(unit="%")
    sql = f"""
        WITH hourly AS (
            SELECT metric, ci_id, observed_at, sum(value) AS v
            FROM metric_samples WHERE metric IN ('{ERRORS}', 'http.server.active_requests')
            GROUP BY metric, ci_id, observed_at
        ),
        e AS (SELECT ci_id, observed_at, v AS errors FROM hourly WHERE metric = '{ERRORS}'),
        r AS (SELECT ci_id, observed_at, v AS requests FROM hourly WHERE metric = 'http.server.active_requests')
        SELECT e.ci_id, MAP {{}}::MAP(VARCHAR, VARCHAR) AS attributes, e.observed_at, %s AS value
        FROM e JOIN r ON e.ci_id = r.ci_id AND e.observed_at = r.observed_at
    """
    assert desk.of_derive(sql % "100 * errors / requests") == []
    assert desk.of_derive(sql % "errors / requests") == ["unit_differs"]
    assert desk.of_derive(sql % "errors") == ["unit_differs"]


def test_a_rate_over_the_models_own_window_is_one_in_seconds(desk: Desk, points: Samples) -> None:
    desk.standard_metric(unit="{request}/s")
    rest = "WHERE metric = 'http.server.active_requests' GROUP BY s.ci_id, s.attributes, s.observed_at"
    assert desk.of_derive(points(rest, value="sum(s.value) / 600")) == []
    assert desk.of_derive(points(rest, value="sum(s.value) / 60")) == []
    assert desk.of_derive(points(rest, value="sum(s.value) / 17")) == ["unit_differs"]


def test_a_value_that_cannot_be_followed_claims_nothing(desk: Desk, points: Samples) -> None:
    assert desk.of_derive(points("", value="s.value")) == []
    assert DERIVED in desk.report(DERIVED).models[0].name
