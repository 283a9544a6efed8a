"""Replay: what was refused once goes through today's contract, model and policies again.

Quarantined records are judged from what the quarantine kept of them, so that the file need not be there any more; those
that pass are admitted under their original day, batch and number, the rest stay with today's reason. A batch that was
refused as a whole is read again from the landing folder. Replaying twice changes nothing. Does not belong here: the
judgement itself (``judgement``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from omgov_assets.admission.delivered_table import holds_graded
from omgov_assets.admission.deliveries import Delivery, ValueKind
from omgov_assets.admission.gate import (
    admit_deliveries,
    held_rows,
    judge_of,
    replace_entries,
    sole_admission,
    unpublished_contract,
)
from omgov_assets.admission.json_reader import json_path
from omgov_assets.admission.judgement import Batch, Judge, judge_records
from omgov_assets.admission.ledger import close_admission, in_force, ledger_entries
from omgov_assets.admission.refused_records import REFUSED
from omgov_assets.data_lake.lake import Lake, one_row
from omgov_assets.data_lake.sql import OneOf, identifier, literal, read_sql
from omgov_assets.model_management.business_systems import BusinessSystem, SourceDataset
from omgov_assets.model_management.documents import content_hash
from omgov_assets.model_management.governance import Governance

# Records that are text without columns: no contract and no model can make a row of them.
NEVER_COLUMNS = ("ragged_record", "broken_json")

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Selection:
    """Which refused records and batches are replayed; None is any.

    Attributes:
        day: business day.
        batch_id: batch.
        reason: reason code, whole (``not_convertible:interval_s``) or its first part (``not_convertible``).
    """

    day: date | None = None
    batch_id: str | None = None
    reason: str | None = None

    def takes(self, entry: dict[str, Any]) -> bool:
        """Whether a ledger entry is of the chosen day and batch."""
        return self.day in (None, entry["day"]) and self.batch_id in (None, entry["batch_id"])

    def gives_reason(self, code: str | None) -> bool:
        """Whether a reason code is the chosen one."""
        return self.reason is None or (code is not None and (code == self.reason or code.startswith(f"{self.reason}:")))


@dataclass(frozen=True)
class ReplayedBatch:
    """What a replay made of a batch.

    Attributes:
        replayed: records judged again.
        admitted: of these, records that are in the lake now.
        refused: of these, records that stay refused.
        reasons: reason code to number of records that stay refused.
        remark: why a batch could not be judged at all, in a sentence; None where it was.
    """

    day: date
    system: str
    dataset: str
    batch_id: str
    file_name: str
    replayed: int
    admitted: int
    refused: int
    reasons: dict[str, int] = field(default_factory=dict)
    remark: str | None = None


def replay(
    lake: Lake,
    governance: Governance,
    system: BusinessSystem,
    dataset: SourceDataset,
    landing: Path,
    selection: Selection,
) -> list[ReplayedBatch]:
    """Judge refused records and batches of a dataset again and write what comes of it.

    Args:
        lake: the lake.
        governance: today's control information.
        system: business system.
        dataset: dataset.
        landing: landing folder, where batches that were refused as a whole still lie.
        selection: which of them.

    Returns:
        One entry per batch that was chosen, oldest day first.
    """
    judge = judge_of(governance, system, dataset)
    found: list[ReplayedBatch] = []
    with sole_admission(lake, system.name, dataset.name), lake.connect() as con:
        history = ledger_entries(con, lake, None, system.name, dataset.name)
        chosen = [entry for entry in history if selection.takes(entry)]
        for entry in chosen:
            if entry["decision"] == "refused" and selection.gives_reason(entry["reason_code"]):
                found.append(_replay_batch(con, lake, judge, landing, entry, history))
            elif in_force(entry) and entry["rows_quarantined"]:
                replayed = _replay_records(con, lake, judge, entry, selection)
                found += [replayed] if replayed else []
        for day in sorted({batch.day for batch in found}):
            close_admission(con, lake, judge, day)
    return found


def _replay_batch(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    judge: Judge,
    landing: Path,
    entry: dict[str, Any],
    history: Sequence[dict[str, Any]],
) -> ReplayedBatch:
    """Read a batch that was refused as a whole again, beside the other files of its day."""
    day, path = entry["day"], landing / entry["file_name"]
    untouched = _of(entry, entry["rows_in"], 0, entry["rows_in"], {entry["reason_code"]: entry["rows_in"]})
    if not path.is_file():
        remark = f"{entry['file_name']} is no longer in the landing folder; ask the business system to deliver it again"
        return replace(untouched, remark=remark)
    fault = unpublished_contract(con, lake, judge, day)
    names = {other["file_name"] for other in history if other["day"] == day}
    paths = [landing / name for name in names if (landing / name).is_file()]
    entries = admit_deliveries(con, lake, judge, day, paths, landing, fault, again=True)
    now = next((e for e in entries if e["file_name"] == entry["file_name"]), entry)
    if not in_force(now):
        return replace(untouched, reasons={now["reason_code"]: now["rows_in"]}, remark=now["reason"])
    reasons = json.loads(now["quarantine_reasons"] or "{}")
    return _of(entry, now["rows_in"], now["rows_admitted"], now["rows_quarantined"], reasons)


def _replay_records(
    con: duckdb.DuckDBPyConnection, lake: Lake, judge: Judge, entry: dict[str, Any], selection: Selection
) -> ReplayedBatch | None:
    """Judge the quarantined records of a batch again; None where none was refused for the chosen reason."""
    day, batch_id = entry["day"], entry["batch_id"]
    lake.register(con, "quarantine", f"{judge.table}_quarantine", day)
    con.execute(
        read_sql(_HERE / "replayed_records.sql"),
        {"batch_id": batch_id, "reason": selection.reason, "never_columns": list(NEVER_COLUMNS)},
    )
    chosen = int(one_row(con, "SELECT count(*) FROM replayed")[0])
    if not chosen:
        return None
    batch = Batch(
        batch_id, entry["file_name"], entry["content_hash"], entry["size_bytes"], entry["received_at"], entry["source"]
    )
    history = ledger_entries(con, lake, None, judge.system.name, judge.dataset.name)
    held = held_rows(con, lake, judge, day, history, {batch_id}, entry["file_name"])
    judgement = judge_records(
        con, lake, judge, day, batch, lambda: _read_replayed(con, judge.dataset, chosen), held, whole=False
    )
    if judgement.decision == "refused":
        # The judgement itself could not be made: everything stays as it is.
        return replace(_of(entry, chosen, 0, chosen, {}), remark=judgement.reason)
    _write_replayed(con, lake, judge, entry, judgement.rows_admitted)
    return _of(
        entry,
        chosen,
        judgement.rows_admitted,
        judgement.rows_quarantined,
        dict(judgement.quarantine_reasons),
    )


def _read_replayed(con: duckdb.DuckDBPyConnection, dataset: SourceDataset, records: int) -> Delivery:
    """Fill table ``delivery`` from what the quarantine kept of the records in ``replayed``."""
    columns = dataset.source_contract.columns
    kind: ValueKind = "json" if dataset.transport.format in {"ndjson", "json"} else "text"
    keys = ", ".join(literal(column.delivered_as) for column in columns)
    # As text a value loses the quotes of JSON; as JSON a null is none.
    value = "nullif(json_extract(object, {path})::JSON, 'null')" if kind == "json" else "object ->> {path}"
    values = ", ".join(
        f"{value.format(path=literal(json_path(column.delivered_as)))} AS {identifier(column.name)}"
        for column in columns
    )
    con.execute(
        "CREATE OR REPLACE TEMP TABLE judged_keys AS "  # noqa: S608 - quoted
        "SELECT *, list_filter(keys, lambda key: NOT list_contains([" + keys + "]::VARCHAR[], key)) AS unexpected, "
        "len(keys) > len(list_distinct(keys)) AS is_twice FROM replayed"
    )
    malformed = con.execute(read_sql(_HERE / "replayed_malformed.sql"), {"guarded": holds_graded(columns)}).fetchall()
    con.execute("DROP TABLE IF EXISTS delivery")
    con.execute(
        f"CREATE TEMP TABLE delivery AS SELECT _record_no, {values} FROM judged_keys "  # noqa: S608 - quoted
        "WHERE object IS NOT NULL AND len(unexpected) = 0 AND NOT is_twice ORDER BY _record_no"
    )
    return Delivery(records, kind, tuple((n, code, sentence, text) for n, code, sentence, text in malformed))


def _write_replayed(
    con: duckdb.DuckDBPyConnection, lake: Lake, judge: Judge, entry: dict[str, Any], admitted: int
) -> None:
    """Add the admitted rows to those of the batch, then leave in its quarantine what stays refused."""
    day, batch_id = entry["day"], entry["batch_id"]
    of_batch = {"_batch_id": OneOf((batch_id,))}
    quarantine = f"{judge.table}_quarantine"
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE still_refused AS SELECT day, system, _batch_id, _record_no, reasons, reason, "  # noqa: S608 - quoted
        f"payload FROM quarantine WHERE _batch_id = {literal(batch_id)} "
        "AND _record_no NOT IN (SELECT _record_no FROM replayed) UNION ALL BY NAME "
        f"SELECT {literal(day)}::DATE AS day, {literal(judge.system.name)} AS system, "
        f"{literal(batch_id)} AS _batch_id, * FROM {REFUSED}"
    )
    key = f"{day}:{batch_id}"
    fingerprint = int(content_hash(entry["content_hash"], "replayed", judge.model_hash, judge.policy_hash)[:15], 16)
    data_version, quarantine_version = entry["data_version"], entry["quarantine_version"]
    if admitted:
        lake.register(con, "held_of_batch", judge.table, day)
        names = ", ".join(identifier(name) for name in lake.schema(judge.table).names)
        rows = con.sql(
            f"SELECT {names} FROM held_of_batch WHERE _batch_id = {literal(batch_id)} "  # noqa: S608 - quoted
            f"AND _record_no NOT IN (SELECT _record_no FROM replayed) UNION ALL SELECT {names} FROM standard_rows"
        )
        data_version = lake.replace(judge.table, day, rows, where=of_batch, transactions={key: fingerprint})
    if _differs_from_quarantine(con, batch_id):
        rows = con.sql("FROM still_refused")
        quarantine_version = lake.replace(quarantine, day, rows, where=of_batch, transactions={key: fingerprint})
    reasons = dict(
        con.execute(
            "SELECT code, count(*) FROM (SELECT unnest(reasons) AS code FROM still_refused) GROUP BY 1 ORDER BY 1"
        ).fetchall()
    )
    left = int(one_row(con, "SELECT count(*) FROM still_refused")[0])
    # Contract and model stay those of the batch: by others its day is judged anew when it is run again.
    updated = {
        **entry,
        "decision": "partial" if left else "admitted",
        "rows_admitted": entry["rows_in"] - left,
        "rows_quarantined": left,
        "quarantine_reasons": json.dumps(reasons),
        "rows_replayed": (entry["rows_replayed"] or 0) + entry["rows_quarantined"] - left,
        "data_version": data_version,
        "quarantine_version": quarantine_version,
    }
    if updated != entry:
        replace_entries(lake, judge, day, entry["file_name"], [updated])


def _differs_from_quarantine(con: duckdb.DuckDBPyConnection, batch_id: str) -> bool:
    held = f"(SELECT _record_no, reasons, reason FROM quarantine WHERE _batch_id = {literal(batch_id)})"  # noqa: S608
    still = "(SELECT _record_no, reasons, reason FROM still_refused)"
    return one_row(con, f"SELECT count(*) FROM (({held} EXCEPT {still}) UNION ALL ({still} EXCEPT {held}))") != (0,)  # noqa: S608


def _of(entry: dict[str, Any], replayed: int, admitted: int, refused: int, reasons: dict[str, int]) -> ReplayedBatch:
    return ReplayedBatch(
        entry["day"],
        entry["system"],
        entry["dataset"],
        entry["batch_id"],
        entry["file_name"],
        replayed,
        admitted,
        refused,
        reasons,
    )
