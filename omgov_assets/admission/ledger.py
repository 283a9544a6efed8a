"""The admission ledger: every batch ever delivered and what became of it; and the violations that follow from it.

Does not belong here: deciding (``gate``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from omgov_assets.admission.judgement import Judge
from omgov_assets.admission.model_output import Output, examine_output
from omgov_assets.admission.model_violations import finding_rows
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.sql import OneOf, read_sql
from omgov_assets.quality_policy.violations import (
    GATE_POLICIES,
    LATE_DELIVERY,
    NOT_DELIVERED,
    REFUSED_BATCH,
    REFUSED_RECORD,
    REPEATED_DELIVERY,
    UNUSUAL_ROW_COUNT,
    VIOLATIONS,
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
    lake.register(con, "ledger", LEDGER, day, {"system": system} if system else None)
    entries = con.sql(
        "SELECT * FROM ledger WHERE ($system IS NULL OR system = $system) "
        "AND ($dataset IS NULL OR dataset = $dataset) ORDER BY day, system, dataset, file_name, batch_id",
        params={"system": system, "dataset": dataset},
    )
    return list(entries.to_arrow_table().to_pylist())


def find_batch(history: list[dict[str, Any]], day: date, batch_id: str) -> dict[str, Any] | None:
    """The ledger entry of a batch that stands on a day, out of the entries of its dataset."""
    standing = {"admitted", "partial", "refused"}
    return next(
        (e for e in history if (e["day"], e["batch_id"]) == (day, batch_id) and e["decision"] in standing), None
    )


def in_force(entry: Mapping[str, Any]) -> bool:
    """Whether rows of the batch are in the lake by this entry."""
    return entry["decision"] in {"admitted", "partial"}


def other_day_of_batch(history: list[dict[str, Any]], day: date, batch_id: str) -> date | None:
    """The day on which the same bytes were admitted before, if they were, out of the entries of their dataset."""
    days = [
        e["day"]
        for e in history
        if e["batch_id"] == batch_id and e["day"] != day and e["decision"] not in {"refused", "repeated"}
    ]
    return min(days, default=None)


def close_admission(con: duckdb.DuckDBPyConnection, lake: Lake, judge: Judge, day: date) -> list[dict[str, Any]]:
    """Write what the gate refused, and how the deliveries came, into the one stream of violations.

    A second call replaces what the first one wrote.

    Returns:
        Ledger entries of the dataset's day.
    """
    system, dataset = judge.system.name, judge.dataset.name
    entries = ledger_entries(con, lake, day, system, dataset)
    lake.register(con, "quarantine", f"{judge.table}_quarantine", day)
    zone = judge.governance.firm.zone
    due_at = judge.rules.due_at(day, zone)
    usual = judge.rules.usual_rows
    lake.register(con, "ledger_history", LEDGER, None, {"system": system})
    rows = con.sql(
        read_sql(Path(__file__).with_name("admission_violations.sql")),
        params={
            "day": day,
            "system": system,
            "dataset": dataset,
            "refused_record": REFUSED_RECORD,
            "refused_batch": REFUSED_BATCH,
            "not_delivered": NOT_DELIVERED,
            "late_delivery": LATE_DELIVERY,
            "repeated_delivery": REPEATED_DELIVERY,
            "unusual_row_count": UNUSUAL_ROW_COUNT,
            "due_at": due_at,
            "due": f"{due_at:%Y-%m-%d %H:%M} {zone.key}" if due_at else None,
            # No earlier day is comparable where any number of rows is usual.
            "weeks": usual.weeks if usual else 0,
            "minimum_days": usual.minimum_days if usual else 1,
            "tolerance": usual.tolerance if usual else 0.0,
        },
    ).to_arrow_table()
    schema = lake.schema(VIOLATIONS).arrow
    changed = pa.Table.from_pylist(_changed_model(con, lake, judge, day, entries), schema=schema)
    rows = pa.concat_tables([rows.cast(schema), changed])
    replace_violations(con, lake, day, system, dataset, OneOf(GATE_POLICIES), rows)
    return entries


def _changed_model(
    con: duckdb.DuckDBPyConnection, lake: Lake, judge: Judge, day: date, entries: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Violations of the processing model, where it is another than that of the last day before and makes other rows."""
    before = lake.previous_day(judge.table, day)
    made = [entry for entry in entries if in_force(entry)]
    if before is None or not made:
        return []
    earlier = [e for e in ledger_entries(con, lake, before, judge.system.name, judge.dataset.name) if in_force(e)]
    if {entry["model_hash"] for entry in made} <= {entry["model_hash"] for entry in earlier}:
        return []
    model, project = judge.dataset.model, judge.governance.project
    lake.register(con, "made_now", judge.table, day)
    lake.register(con, "made_before", judge.table, before)
    findings = examine_output(
        con,
        model,
        judge.table,
        model.path.relative_to(project).as_posix(),
        judge.dataset.standard_contract,
        Output("made_now", sum(entry["rows_in"] for entry in made)),
        Output("made_before", sum(entry["rows_in"] for entry in earlier)),
    )
    hashes = {judge.table: model.content_hash}
    return finding_rows(findings, day, judge.system.name, judge.dataset.name, hashes)
