"""The admission ledger: every batch ever delivered and what became of it; and the violations that follow from it.

Does not belong here: deciding (``gate``).
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.sql import OneOf, read_sql
from omgov_assets.quality_policy.violations import (
    GATE_POLICIES,
    NOT_DELIVERED,
    REFUSED_BATCH,
    REFUSED_RECORD,
    replace_violations,
)

LEDGER = "admission/ledger"


def read_ledger(
    lake: Lake, day: date | None, system: str | None = None, dataset: str | None = None
) -> list[dict[str, Any]]:
    """Ledger entries, oldest day first, as dictionaries with the columns of ``admission/ledger``."""
    with lake.connect() as con:
        return ledger_entries(con, lake, day, system, dataset)


def ledger_entries(
    con: duckdb.DuckDBPyConnection, lake: Lake, day: date | None, system: str | None = None, dataset: str | None = None
) -> list[dict[str, Any]]:
    """``read_ledger`` over a connection of the lake; leaves the ledger in the view ``ledger``."""
    lake.register(con, "ledger", LEDGER, day)
    entries = con.sql(
        "SELECT * FROM ledger WHERE ($system IS NULL OR system = $system) "
        "AND ($dataset IS NULL OR dataset = $dataset) ORDER BY day, system, dataset, file_name, batch_id",
        params={"system": system, "dataset": dataset},
    )
    return list(entries.to_arrow_table().to_pylist())


def find_batch(history: list[dict[str, Any]], day: date, batch_id: str) -> dict[str, Any] | None:
    """The ledger entry of a batch that stands on a day, out of the entries of its dataset."""
    return next(
        (e for e in history if (e["day"], e["batch_id"]) == (day, batch_id) and e["decision"] != "superseded"), None
    )


def other_day_of_batch(history: list[dict[str, Any]], day: date, batch_id: str) -> date | None:
    """The day on which the same bytes were admitted before, if they were, out of the entries of their dataset."""
    days = [e["day"] for e in history if e["batch_id"] == batch_id and e["day"] != day and e["decision"] != "refused"]
    return min(days, default=None)


def close_admission(
    con: duckdb.DuckDBPyConnection, lake: Lake, system: str, dataset: str, day: date
) -> list[dict[str, Any]]:
    """Write what the gate refused, and what never came, into the one stream of violations; a second call replaces the
    first.

    Returns:
        Ledger entries of the dataset's day.
    """
    entries = ledger_entries(con, lake, day, system, dataset)
    lake.register(con, "quarantine", f"{system}/{dataset}_quarantine", day)
    rows = con.sql(
        read_sql(Path(__file__).with_name("admission_violations.sql")),
        params={
            "day": day,
            "system": system,
            "dataset": dataset,
            "refused_record": REFUSED_RECORD,
            "refused_batch": REFUSED_BATCH,
            "not_delivered": NOT_DELIVERED,
        },
    ).to_arrow_table()
    replace_violations(con, lake, day, system, dataset, OneOf(GATE_POLICIES), rows)
    return entries
