"""Rows of a model: one for each record, joins that multiply, order that is not said."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from model_desk import CONFORM, DERIVED, Desk

Samples = Callable[..., str]

PINNED = "metric = 'http.server.error.utilization'"
PAIR = "a.metric = 'http.server.error.utilization' AND b.metric = 'http.server.request.rate'"


@pytest.mark.parametrize(
    ("exchanged", "code"),
    [
        ({"_record_no": "row_number() OVER ()"}, "record_not_handed_on"),
        ({"_record_no": "_record_no + 1"}, "record_not_handed_on"),
        ({"_batch_id": "upper(_batch_id)"}, "record_not_handed_on"),
        ({"_batch_id": "'batch'"}, "record_not_handed_on"),
        ({"_record_no": ""}, "missing_output_column"),
        ({"rest": "GROUP BY ALL", "value": "max(reading)"}, "not_record_wise"),
        ({"source_metric": "DISTINCT metric_code"}, "not_record_wise"),
        ({"ci_id": "unnest(string_split(object_no, ','))"}, "not_record_wise"),
        ({"source": "source, unnest(string_split(tags, ';')) AS u(tag)"}, "not_record_wise"),
        ({"source": "source CROSS JOIN range(3)"}, "not_record_wise"),
        ({"source": "source CROSS JOIN (VALUES (1), (2)) AS v(n)"}, "not_record_wise"),
        ({"source": "(SELECT * FROM source UNION ALL SELECT * FROM source)"}, "not_record_wise"),
        ({"value": "reading / (SELECT max(reading) FROM source)"}, "not_record_wise"),
    ],
)
def test_a_conform_model_that_does_not_keep_to_its_records_is_found(
    desk: Desk, samples: Samples, exchanged: dict[str, str], code: str
) -> None:
    assert desk.of_conform(samples(**exchanged)) == [code]


def _joined(samples: Samples, join: str, **exchanged: str) -> str:
    own = {"source_metric": "s.metric_code", "ci_id": "s.object_no", "value": "s.reading"}
    own |= {"observed_at": "s.collected_at AT TIME ZONE 'Asia/Shanghai'"}
    own |= {"_batch_id": "s._batch_id", "_record_no": "s._record_no"}
    return samples(source=f"source AS s\n{join}", **(own | exchanged))


def test_a_join_of_source_with_itself_on_no_key_is_not_record_wise(desk: Desk, samples: Samples) -> None:
    desk.conform(_joined(samples, "JOIN source AS o ON o.metric_code = s.metric_code"))
    assert desk.found(CONFORM) == [("not_record_wise", 18)]


def test_the_record_of_the_side_that_is_looked_up_is_not_the_records_own(desk: Desk, samples: Samples) -> None:
    join = "LEFT JOIN source AS o ON o._record_no = s._record_no + 1"
    assert desk.of_conform(_joined(samples, join, _record_no="o._record_no")) == ["record_not_handed_on"]


@pytest.mark.parametrize(
    "join",
    [
        "JOIN source AS o ON o._record_no = s._record_no",
        "LEFT JOIN source AS o ON o._record_no = s._record_no - 1",
        "LEFT JOIN (VALUES ('a', 'b'), ('c', 'd')) AS v(k, label) ON v.k = s.tags",
        "LEFT JOIN (VALUES (0, 10, 'low'), (10, 20, 'high')) AS v(f, t, label) ON s.reading >= v.f AND s.reading < v.t",
        "CROSS JOIN (SELECT 1 AS one)",
        "CROSS JOIN LATERAL (SELECT s.reading * 2 AS twice)",
        "CROSS JOIN LATERAL (SELECT count(*) AS n FROM unnest(string_split(s.tags, ';')) AS u(tag))",
        "SEMI JOIN source AS o ON o.metric_code = s.metric_code",
    ],
)
def test_a_lookup_with_one_row_for_each_record_stays_record_wise(desk: Desk, samples: Samples, join: str) -> None:
    assert desk.of_conform(_joined(samples, join)) == []


def test_subqueries_over_a_records_own_values_and_windows_stay_record_wise(desk: Desk, samples: Samples) -> None:
    tags = "(SELECT string_agg(t, ';' ORDER BY t) FROM unnest(string_split(tags, ';')) AS u(t))"
    first = "QUALIFY row_number() OVER (PARTITION BY metric_code, object_no ORDER BY collected_at, _record_no) = 1"
    assert desk.of_conform(samples(rest=first, ci_id=f"coalesce({tags}, object_no)")) == []


def test_records_are_handed_on_through_expressions_that_rename_them(desk: Desk, samples: Samples) -> None:
    named = "WITH renamed AS (SELECT *, _record_no AS n, _batch_id AS b FROM source)\n"
    assert desk.of_conform(named + samples(source="renamed", _record_no="n::BIGINT", _batch_id="(b)")) == []


@pytest.mark.parametrize(
    "source",
    [
        f"metric_samples AS s JOIN metric_samples AS b ON s.ci_id = b.ci_id AND b.{PINNED}",
        "metric_samples AS s JOIN metric_samples AS b ON s.ci_id = b.ci_id AND s.observed_at >= b.observed_at "
        f"AND b.{PINNED}",
        "metric_samples AS s JOIN ci_relations AS r ON r.source_ci_id = s.ci_id",
        "metric_samples AS s CROSS JOIN configuration_items",
        "metric_samples AS s, configuration_items",
        "metric_samples AS s JOIN (SELECT ci_id FROM metric_samples) AS b USING (ci_id)",
    ],
)
def test_a_join_on_the_key_of_neither_side_can_fan_out(desk: Desk, points: Samples, source: str) -> None:
    assert desk.of_derive(points(f"WHERE s.{PINNED}", source)) == ["fan_out"]


@pytest.mark.parametrize(
    "source",
    [
        "metric_samples AS s JOIN configuration_items AS c ON c.ci_id = s.ci_id",
        "metric_samples AS s, (SELECT max(tier) AS tier FROM configuration_items)",
        "metric_samples AS s JOIN metric_instances AS i USING (instance_id)",
        "metric_samples AS s JOIN (SELECT ci_id, max(value) FROM metric_samples GROUP BY ci_id) AS b USING (ci_id)",
        "metric_samples AS s JOIN (SELECT ci_id FROM metric_samples QUALIFY row_number() OVER (PARTITION BY ci_id "
        "ORDER BY observed_at, instance_id) = 1) AS b USING (ci_id)",
        "metric_samples AS s JOIN (SELECT * FROM (SELECT ci_id, row_number() OVER (PARTITION BY ci_id "
        "ORDER BY observed_at, instance_id) AS n FROM metric_samples) WHERE n = 1) AS b USING (ci_id)",
        "metric_samples AS s JOIN (SELECT DISTINCT source_ci_id AS ci_id FROM ci_relations) AS r ON r.ci_id = s.ci_id",
        "metric_samples AS s SEMI JOIN ci_relations AS r ON r.source_ci_id = s.ci_id",
        "metric_samples AS s ASOF JOIN metric_instances AS b ON s.ci_id = b.ci_id AND s.value >= b.value_min",
        "metric_samples AS s JOIN metric_samples AS b ON s.ci_id = b.ci_id AND s.attributes = b.attributes "
        f"AND s.observed_at = b.observed_at AND b.{PINNED}",
        "metric_samples AS s CROSS JOIN (VALUES ('a'), ('b')) AS v(k)",
        "metric_samples AS s, configuration_items AS c",
    ],
)
def test_a_join_that_is_unique_on_one_side_does_not_fan_out(desk: Desk, points: Samples, source: str) -> None:
    rest = f"WHERE s.{PINNED}" + (" AND c.ci_id = s.ci_id" if source.endswith("AS c") else "")
    assert desk.of_derive(points(rest, source)) == []


@pytest.mark.parametrize(
    ("value", "rest"),
    [
        ("s.value", f"WHERE {PINNED} LIMIT 5"),
        ("s.value + 0 * row_number() OVER (PARTITION BY s.ci_id)", f"WHERE {PINNED}"),
        ("first_value(s.value) OVER (PARTITION BY s.ci_id)", f"WHERE {PINNED}"),
        ("s.value - lag(s.value) OVER w", f"WHERE {PINNED} WINDOW w AS (PARTITION BY s.ci_id)"),
        ("any_value(s.value)", f"WHERE {PINNED} GROUP BY s.ci_id, s.observed_at"),
        ("last(s.value)", f"WHERE {PINNED} GROUP BY s.ci_id, s.observed_at"),
        ("list(s.value)[1]", f"WHERE {PINNED} GROUP BY s.ci_id, s.observed_at"),
        ("len(string_agg(s.instance_id, ','))::DOUBLE * 0 + list(s.value)[1]",
         f"WHERE {PINNED} GROUP BY s.ci_id, s.observed_at"),
    ],
)  # fmt: skip
def test_a_result_that_depends_on_an_order_nobody_said_is_found(
    desk: Desk, points: Samples, value: str, rest: str
) -> None:
    sql = points(rest, value=value, attributes="MAP {}::MAP(VARCHAR, VARCHAR)")
    assert set(desk.of_derive(sql)) == {"order_not_determined"}


@pytest.mark.parametrize(
    ("value", "rest"),
    [
        ("s.value", f"WHERE {PINNED} ORDER BY s.instance_id, s.observed_at LIMIT 5"),
        (
            "s.value - lag(s.value) OVER w",
            f"WHERE {PINNED} WINDOW w AS (PARTITION BY s.instance_id ORDER BY s.observed_at)",
        ),
        ("first(s.value ORDER BY s.instance_id)", f"WHERE {PINNED} GROUP BY s.ci_id, s.attributes, s.observed_at"),
        ("arg_max(s.value, s.instance_id)", f"WHERE {PINNED} GROUP BY s.ci_id, s.attributes, s.observed_at"),
        ("list_sort(list(s.value))[1]", f"WHERE {PINNED} GROUP BY s.ci_id, s.attributes, s.observed_at"),
        ("list_sum(list(s.value))", f"WHERE {PINNED} GROUP BY s.ci_id, s.attributes, s.observed_at"),
        ("sum(s.value) OVER (PARTITION BY s.ci_id)", f"WHERE {PINNED}"),
        ("rank() OVER (ORDER BY s.value) * 0 + s.value", f"WHERE {PINNED}"),
    ],
)
def test_an_order_that_is_said_or_does_not_matter_is_no_finding(
    desk: Desk, points: Samples, value: str, rest: str
) -> None:
    assert desk.of_derive(points(rest, value=value)) == []


def test_any_value_of_what_the_group_determines_needs_no_order(desk: Desk, points: Samples) -> None:
    source = "metric_samples AS s JOIN configuration_items AS c ON c.ci_id = s.ci_id"
    rest = f"WHERE s.{PINNED} GROUP BY s.ci_id, s.observed_at"
    attributes = "MAP {'name': any_value(c.name)}"
    assert desk.of_derive(points(rest, source, attributes=attributes, value="max(s.value)")) == []


def test_a_finding_on_a_join_stands_at_the_join(desk: Desk, points: Samples) -> None:
    desk.derive(points(f"WHERE s.{PINNED}", "metric_samples AS s\nCROSS JOIN configuration_items"))
    assert desk.found(DERIVED) == [("fan_out", 18)]
