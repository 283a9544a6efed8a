"""What a principal may not see makes no difference to it: not to a byte of a snapshot, a count or an error."""

from __future__ import annotations

import random
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from guarded_lake import (
    DATASET,
    DAY,
    FILTERED_BY,
    KEY,
    NOW,
    VALUES,
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
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st
from oracle.access import Asker, Row, Rules, hides_cell, is_visible, masked, may_read, shown_columns

from omgov_assets.access_control.governed_changes import governed_changes
from omgov_assets.access_control.governed_query import Condition, Query, QueryError
from omgov_assets.access_control.snapshot import planned_snapshot
from omgov_assets.data_lake.lake import Lake


def changed_out_of_sight(
    data: st.DataObject, rules: Rules, asker: Asker, series: list[Row], groups: dict[tuple[date, str], str]
) -> list[Row]:
    """The rows with everything changed that the asker may not see, in another order."""
    shown = shown_columns(rules, asker, DATASET, KEY.secret)
    changed = []
    for row in series:
        if not is_visible(rules, asker, DATASET, row, groups):
            continue
        other = dict(row)
        for column in row:
            if column in FILTERED_BY:
                continue
            hidden = column not in shown or hides_cell(rules, asker, row, column)
            mask = shown.get(column)
            if hidden or mask is not None:
                drawn = data.draw(VALUES[column])
                if hidden or masked(column, mask, drawn, KEY.secret) == masked(column, mask, row[column], KEY.secret):
                    other[column] = drawn
        changed.append(other)
    more = data.draw(rows)
    changed += [row for row in more if not is_visible(rules, asker, DATASET, row, groups)]
    random.Random(data.draw(st.integers(0, 9))).shuffle(changed)  # noqa: S311
    return changed


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(drawn_rules(), askers, rows, cis, st.data())
def test_two_lakes_that_differ_out_of_sight_give_the_same_bytes(
    rules: Rules, asker: Asker, series: list[Row], group_of_ci: dict[str, str], data: st.DataObject
) -> None:
    assume(may_read(rules, asker, DATASET, KEY.secret))
    groups = groups_by_day(group_of_ci)
    other = changed_out_of_sight(data, rules, asker, series, groups)
    event("differs" if sorted(map(repr, other)) != sorted(map(repr, series)) else "the same")
    decision = decision_point(rules).decide(principal(asker), DATASET, NOW)
    shown = [column.name for column in decision.shown]
    columns, conditions, limit = data.draw(questions(shown))
    asked = [
        Query(tuple(columns), tuple(Condition(*one) for one in conditions), limit),
        Query(("gone",)),
        Query(None, (Condition(columns[0], "=", None),)),
    ]
    with tempfile.TemporaryDirectory() as folder:
        given = []
        for number, content in enumerate((series, other)):
            lake = guarded_lake(Path(folder) / str(number))
            # Which CIs other groups have is nobody else's business, either.
            own = {ci for (_, ci), group in groups.items() if group in asker.groups}
            known = {ci: group for ci, group in group_of_ci.items() if not number or ci in own}
            fill(lake, content, known, parts=1 + 2 * number)
            snapshot = planned_snapshot(lake, decision, DAY, Path(folder) / str(number) / "governed", KEY).made(lake)
            answers = [_answer(lake, decision, query) for query in asked]
            given.append((snapshot.path.read_bytes(), snapshot.rows, answers))
    assert given[0] == given[1]


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(drawn_rules(), askers, rows, rows, cis, st.data())
def test_changes_out_of_sight_are_none(
    rules: Rules, asker: Asker, before: list[Row], after: list[Row], group_of_ci: dict[str, str], data: st.DataObject
) -> None:
    assume(may_read(rules, asker, DATASET, KEY.secret))
    groups = groups_by_day(group_of_ci)
    decision = decision_point(rules).decide(principal(asker), DATASET, NOW)
    others = [changed_out_of_sight(data, rules, asker, series, groups) for series in (before, after)]
    given = []
    with tempfile.TemporaryDirectory() as folder:
        for number, (first, second) in enumerate([(before, after), others, (before, others[0])]):
            lake = guarded_lake(Path(folder) / str(number))
            fill(lake, first, group_of_ci)
            version = lake.version(DATASET) or 0
            fill(lake, second, group_of_ci)
            given.append(governed_changes(lake, decision, version + 1, version + 1, KEY).to_pylist())
    assert given[0] == given[1]
    assert given[2] == [], "what changed out of sight is no change"


def _answer(lake: Lake, decision: Any, query: Query) -> Any:
    try:
        return governed_rows(lake, decision, DAY, query, KEY)
    except QueryError as error:
        return str(error)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(drawn_rules(), askers, rows, cis)
def test_only_columns_that_are_shown_as_they_are_have_statistics(
    rules: Rules, asker: Asker, series: list[Row], group_of_ci: dict[str, str]
) -> None:
    assume(may_read(rules, asker, DATASET, KEY.secret))
    decision = decision_point(rules).decide(principal(asker), DATASET, NOW)
    with tempfile.TemporaryDirectory() as folder:
        lake = guarded_lake(Path(folder))
        fill(lake, series, group_of_ci)
        path = planned_snapshot(lake, decision, DAY, Path(folder) / "governed", KEY).made(lake).path
        metadata = pq.read_metadata(path)
    for group in range(metadata.num_row_groups):
        for column, decided in enumerate(decision.shown):
            statistics = metadata.row_group(group).column(column).statistics
            assert (statistics is not None) == (decided.shown == "visible")
