"""For random policies, principals, rows and questions: what omgov gives is what filtering, then masking, gives."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from guarded_lake import (
    DATASET,
    DAY,
    KEY,
    NOW,
    askers,
    cis,
    decision_point,
    drawn_rules,
    fill,
    governed_rows,
    groups_by_day,
    guarded_lake,
    principal,
    questions,
    rows,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle.access import Asker, Row, Rules, answered, may_read, seen, shown_columns

from omgov_assets.access_control.governed_query import (
    AccessDeniedError,
    Condition,
    Query,
    QueryError,
)
from omgov_assets.access_control.mask_key import MaskKey
from omgov_assets.access_control.snapshot import planned_snapshot


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(drawn_rules(), askers, st.sampled_from([KEY, KEY, None]))
def test_a_decision_shows_the_columns_that_the_naive_reference_shows(
    rules: Rules, asker: Asker, key: MaskKey | None
) -> None:
    decision = decision_point(rules, key).decide(principal(asker), DATASET, NOW)
    secret = key.secret if key else None
    assert decision.allowed == may_read(rules, asker, DATASET, secret)
    assert bool(decision.reason) == (not decision.allowed)
    if decision.allowed:
        assert {column.name: column.mask for column in decision.shown} == shown_columns(rules, asker, DATASET, secret)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(drawn_rules(), st.lists(askers, min_size=1, max_size=6), rows, cis, st.data())
def test_an_answer_is_that_of_the_naive_reference(
    rules: Rules, some: list[Asker], series: list[Row], group_of_ci: dict[str, str], data: st.DataObject
) -> None:
    groups = groups_by_day(group_of_ci)
    point = decision_point(rules)
    with tempfile.TemporaryDirectory() as folder:
        lake = guarded_lake(Path(folder))
        fill(lake, series, group_of_ci)
        for asker in some:
            decision = point.decide(principal(asker), DATASET, NOW)
            if not may_read(rules, asker, DATASET, KEY.secret):
                with pytest.raises(AccessDeniedError):
                    governed_rows(lake, decision, DAY, Query(), KEY)
                continue
            expected = seen(rules, asker, DATASET, series, groups, KEY.secret)
            shown = list(shown_columns(rules, asker, DATASET, KEY.secret))
            columns, conditions, limit = data.draw(questions(shown))
            query = Query(tuple(columns), tuple(Condition(*one) for one in conditions), limit)
            assert governed_rows(lake, decision, DAY, query, KEY) == answered(expected, columns, conditions, limit)
            snapshot = planned_snapshot(lake, decision, DAY, Path(folder) / "governed", KEY).made(lake)
            with lake.connect() as con:
                stored = snapshot.relation(con).to_arrow_table().to_pylist()
            assert stored == answered(expected, shown, [], None)
            for hidden in [column for column in rules.grades if column not in shown] + ["never_was"]:
                with pytest.raises(QueryError, match=f"^{DATASET} has no column '{hidden}'$"):
                    governed_rows(lake, decision, DAY, Query((hidden,)), KEY)
