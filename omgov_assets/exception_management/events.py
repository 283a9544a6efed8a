"""The log of cases, ``exceptions/case_events``: append-only, read in one order whenever it was written.

Owns the rule of re-runs: a night that is run again adds what it now finds and takes back what it no longer does; what
is there already is not written again. In a day, what the night said comes before what people did on its state. Does
not belong here: what an event means (``lifecycle``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from omgov_assets.data_lake.lake import Lake, create_view, one_row
from omgov_assets.data_lake.sql import read_sql
from omgov_assets.exception_management.lifecycle import NIGHT, Event
from omgov_assets.quality_analysis.case_tables import CASE_EVENTS

_NIGHT_SQL = read_sql(Path(__file__).with_name("night_events.sql"))
# What counts of a day's log, in the order in which it counts.
_EFFECTIVE_SQL = """
SELECT *
FROM logged
ANTI JOIN (SELECT retracts AS event_id FROM logged WHERE retracts IS NOT NULL) AS taken_back USING (event_id)
WHERE kind <> 'retracted'
"""
_ACTED_SQL = """
SELECT
    $day::DATE AS day,
    substr(
        md5(
            concat_ws(
                chr(31), $day::DATE, seq, case_id, coalesce(anomaly_id, ''), kind, $happened_at::TIMESTAMPTZ,
                $acted_by, payload
            )
        ),
        1,
        16
    ) AS event_id,
    $happened_at::TIMESTAMPTZ AS happened_at,
    $acted_by::VARCHAR AS acted_by,
    NULL::VARCHAR AS retracts,
    *
FROM acts
ORDER BY seq
"""


@dataclass(frozen=True)
class NightLog:
    """What a night added to the log: events, of these retractions, and the number of the day's last event."""

    added: int
    retracted: int
    last_seq: int


@dataclass(frozen=True)
class Act:
    """What a person does to one case, or to one member of it, before it is an event."""

    case_id: str
    kind: str
    payload: Mapping[str, Any]
    anomaly_id: str | None = None


def payload_text(payload: Mapping[str, Any]) -> str:
    """A payload as it is stored: canonical, so that equal payloads are equal texts."""
    return json.dumps(payload, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def create_expected_events(con: duckdb.DuckDBPyConnection) -> None:
    """Create the empty temporary table ``expected_events`` (case_id, anomaly_id, kind, payload)."""
    con.execute(
        "CREATE OR REPLACE TEMP TABLE expected_events "
        "(case_id VARCHAR, anomaly_id VARCHAR, kind VARCHAR, payload VARCHAR)"
    )


def log_night(lake: Lake, con: duckdb.DuckDBPyConnection, day: date, at: datetime) -> NightLog:
    """Make the day's log say of the night exactly what the table ``expected_events`` says.

    Creates the temporary table ``added_events``, the rows that were appended.

    Args:
        lake: the lake.
        con: a connection of it.
        day: business day of the night.
        at: end of that day.
    """
    lake.register(con, "logged", CASE_EVENTS, day)
    create_view(con, "effective", _EFFECTIVE_SQL)
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE added_events AS {_NIGHT_SQL}", {"day": day, "happened_at": at, "night": NIGHT}
    )
    added, retracted, last = one_row(
        con,
        "SELECT count(*), count(retracts), greatest(max(seq), (SELECT max(seq) FROM logged)) FROM added_events",
    )
    if added:
        lake.append(CASE_EVENTS, day, con.table("added_events"))
        lake.register(con, "logged", CASE_EVENTS, day)
        create_view(con, "effective", _EFFECTIVE_SQL)
    return NightLog(added, retracted, last or 0)


def log_acts(
    lake: Lake, con: duckdb.DuckDBPyConnection, day: date, acts: Iterable[Act], at: datetime, acted_by: str
) -> None:
    """Append what a person did, in order. The caller has seen that it is legal, and holds the log."""
    lake.register(con, "logged", CASE_EVENTS, day)
    (last,) = one_row(con, "SELECT coalesce(max(seq), 0) FROM logged")
    rows = [
        {
            "seq": number,
            "case_id": act.case_id,
            "anomaly_id": act.anomaly_id,
            "kind": act.kind,
            "payload": payload_text(act.payload),
        }
        for number, act in enumerate(acts, last + 1)
    ]
    con.register("acts", pa.Table.from_pylist(rows, _ACTS))
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE acted AS {_ACTED_SQL}", {"day": day, "happened_at": at, "acted_by": acted_by}
    )
    con.unregister("acts")
    lake.append(CASE_EVENTS, day, con.table("acted"))


def case_events_of(
    con: duckdb.DuckDBPyConnection, where: str = "true", values: Mapping[str, Any] | None = None
) -> list[Event]:
    """Events about whole cases in the view ``effective``, in the order in which they count."""
    rows = con.execute(
        "SELECT day, event_id, seq, case_id, kind, happened_at, acted_by, payload FROM effective "  # noqa: S608 - a condition of this room
        f"WHERE anomaly_id IS NULL AND ({where}) ORDER BY day, acted_by <> 'night', seq",
        values,
    ).fetchall()
    return [
        Event(day, event_id, seq, case_id, kind, at, acted_by, json.loads(payload))
        for day, event_id, seq, case_id, kind, at, acted_by, payload in rows
    ]


def register_log(lake: Lake, con: duckdb.DuckDBPyConnection, day: date | None = None) -> None:
    """Make what counts of the log readable as the view ``effective``: of a day, or of all."""
    lake.register(con, "logged", CASE_EVENTS, day)
    create_effective(con)


def create_effective(con: duckdb.DuckDBPyConnection) -> None:
    """Make what counts of the log in the table ``logged`` readable as the view ``effective``."""
    create_view(con, "effective", _EFFECTIVE_SQL)


_ACTS = pa.schema(
    [
        ("seq", pa.int64()),
        ("case_id", pa.string()),
        ("anomaly_id", pa.string()),
        ("kind", pa.string()),
        ("payload", pa.string()),
    ]
)
