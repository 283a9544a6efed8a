"""Cases as they stand on a day: reading them from the lake, going through events, and writing them.

Owns one decision: a day's partitions are what the log makes of those of the day before; whatever acts on cases goes
through here. Does not belong here: what the night finds (``night``), what people may do (``acts``).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.locks import sole_holder
from omgov_assets.data_lake.sql import read_sql
from omgov_assets.exception_management.deadlines import due_day
from omgov_assets.exception_management.events import case_events_of, register_log
from omgov_assets.exception_management.lifecycle import (
    BEGINNINGS,
    NIGHT,
    Case,
    Event,
    IllegalActError,
    after,
    begun_by,
)
from omgov_assets.exception_management.rules import CaseRules
from omgov_assets.quality_analysis.case_tables import CASE_EVENTS, CASE_MEMBERS, CASES

_CASE_COUNTS_SQL = read_sql(Path(__file__).with_name("case_counts.sql"))
_CASE_FIELDS = [field.name for field in dataclasses.fields(Case)]


@contextmanager
def cases_held(lake: Lake) -> Iterator[None]:
    """Hold the cases of a lake: the night and people act on them one after the other."""
    with sole_holder(lake.root.parent, "exceptions"):
        yield


def cases_of(lake: Lake, con: duckdb.DuckDBPyConnection, day: date | None) -> dict[str, Case]:
    """Cases of a day, and the temporary table ``members`` of ``exceptions/case_members``; none where ``day`` is None.

    What people did on the day that its partitions do not show yet is gone through: a process may have ended between
    the two.
    """
    none = date.max if day is None else day
    lake.register(con, "case_rows", CASES, none)
    lake.register(con, "member_rows", CASE_MEMBERS, none)
    con.execute("CREATE OR REPLACE TEMP TABLE members AS FROM member_rows")
    rows = con.sql("SELECT * FROM case_rows ORDER BY case_id").select(*_CASE_FIELDS).to_arrow_table().to_pylist()
    cases = {row["case_id"]: Case(**row) for row in rows}
    if day is not None and lake.open(CASE_EVENTS) is not None:
        seen = max((case.last_seq for case in cases.values()), default=0)
        register_log(lake, con, day)
        pending = case_events_of(con, "acted_by <> $night AND seq > $seen", {"night": NIGHT, "seen": seen})
        go_through(con, cases, pending)
    return cases


def go_through(con: duckdb.DuckDBPyConnection, cases: dict[str, Case], events: Iterable[Event]) -> list[Event]:
    """Let events happen to cases and to the table ``members``, in their order.

    Needs the view ``effective`` of the log for the members that were moved.

    Returns:
        Acts of people without effect: a night that was run again has left nothing that they could act on.

    Raises:
        IllegalActError: the night did what it must not.
    """
    without_effect = []
    for event in events:
        try:
            _happen(con, cases, event)
        except IllegalActError:
            if event.acted_by == NIGHT:
                raise
            without_effect.append(event)
    return without_effect


def _happen(con: duckdb.DuckDBPyConnection, cases: dict[str, Case], event: Event) -> None:
    if event.kind == "split_off":
        _require_worked_on(cases, event.payload["from"])
        _move(
            con,
            event.payload["from"],
            event.case_id,
            "SEMI JOIN (FROM effective WHERE kind = 'member_moved' AND case_id = $to) USING (anomaly_id)",
        )
    if event.kind in BEGINNINGS:
        cases[event.case_id] = begun_by(event)
        return
    if event.case_id not in cases:
        raise IllegalActError(f"there is no case {event.case_id}")
    if event.kind == "merged":
        _require_worked_on(cases, event.payload["into"])
    cases[event.case_id] = after(cases[event.case_id], event)
    if event.kind == "merged":
        _move(con, event.case_id, event.payload["into"], "")


def _require_worked_on(cases: Mapping[str, Case], case_id: str) -> None:
    if case_id not in cases or not cases[case_id].is_worked_on:
        raise IllegalActError(f"case {case_id} is not worked on")


def _move(con: duckdb.DuckDBPyConnection, source: str, target: str, which: str) -> None:
    """Move members of a case to another; an older membership there gives way."""
    named = {"source": source, "to": target}
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE moved AS SELECT members.anomaly_id, $to AS target FROM members {which} "  # noqa: S608 - fixed clauses
        "WHERE members.case_id = $source",
        named,
    )
    con.execute(
        "DELETE FROM members WHERE case_id = $to AND anomaly_id IN (SELECT anomaly_id FROM moved)", {"to": target}
    )
    con.execute(
        "UPDATE members SET case_id = $to WHERE case_id = $source AND anomaly_id IN (SELECT anomaly_id FROM moved)",
        named,
    )


def counts_by_case(con: duckdb.DuckDBPyConnection) -> dict[str, dict[str, Any]]:
    """What the members of each case come to, by case; see ``case_counts.sql``."""
    rows = con.sql(_CASE_COUNTS_SQL).to_arrow_table().to_pylist()
    return {row.pop("case_id"): row for row in rows}


def write_members(lake: Lake, con: duckdb.DuckDBPyConnection, day: date) -> int:
    """Write the table ``members`` as the day's partition of ``exceptions/case_members``; returns the Delta version."""
    return lake.replace(CASE_MEMBERS, day, con.sql("SELECT * FROM members ORDER BY case_id, anomaly_id"))


def write_cases(
    lake: Lake,
    con: duckdb.DuckDBPyConnection,
    day: date,
    cases: Mapping[str, Case],
    rules: CaseRules,
    data_versions: Mapping[str, int],
) -> int:
    """Write the day's partition of ``exceptions/cases``, counted from the table ``members``; returns its Delta version.

    Args:
        lake: the lake.
        con: a connection of it.
        day: business day.
        cases: cases by identifier.
        rules: by when they are due.
        data_versions: tables and versions that they come from.
    """
    counts = counts_by_case(con)
    rows = []
    for case_id, case in sorted(cases.items()):
        counted = counts.get(case_id) or NO_MEMBERS
        due = due_day(case.due_from_day, counted["severity"], counted["tier"], rules)
        rows.append(
            dataclasses.asdict(case)
            | counted
            | {
                "day": day,
                "due_day": due,
                "rules_hash": rules.content_hash,
                "data_versions": json.dumps(data_versions, sort_keys=True, separators=(",", ":")),
            }
        )
    schema = lake.schema(CASES)
    table = pa.Table.from_pylist(rows, schema=schema.arrow)
    return lake.replace(CASES, day, table)


# A case that was merged into another one keeps nothing of its own.
NO_MEMBERS: dict[str, Any] = {
    "severity": "info",
    "tier": None,
    "members": 0,
    "open_members": 0,
    "unverified_members": 0,
    "waived_members": 0,
    "resolved_members": 0,
    "withdrawn_members": 0,
    "new_members": 0,
    "owner_id": None,
}
