"""The gate: judges one delivered file and, unless it is a trial, writes what was decided.

A judgement is made in memory first and is the same for `omgov try` and for the night. Writing is exactly once: the
rows of a batch, its quarantine and its ledger entry are each committed with the batch's fingerprint, so that a crash
between them and a second run converge to the same lake.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal

import duckdb
import pyarrow as pa

from omgov_assets.admission import conform, contract_check
from omgov_assets.admission.deliveries import Delivery, payload_text, read_delivery
from omgov_assets.admission.ledger import LEDGER, find_batch, ledger_entries, other_day_of_batch
from omgov_assets.admission.refusal import ASK_AGAIN, RefusedBatchError
from omgov_assets.data_lake.lake import Lake, one_row
from omgov_assets.data_lake.sql import OneOf, identifier, read_sql
from omgov_assets.model_management.business_systems import BusinessSystem, SourceDataset
from omgov_assets.model_management.documents import content_hash
from omgov_assets.model_management.governance import Governance

Decision = Literal["admitted", "partial", "refused"]

# The dataset's contract broke with the one published before it, under the same major version.
CONTRACT_NOT_PUBLISHED = "contract_not_published"

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class RefusedRecord:
    """One quarantined record: its number, reason codes, the reasons in a sentence, the record as delivered."""

    record_no: int
    reasons: tuple[str, ...]
    reason: str
    payload: str


@dataclass(frozen=True)
class Judgement:
    """What the gate decided of one batch, and why.

    ``rows_in == rows_admitted + rows_quarantined`` unless the batch is refused as a whole.
    """

    system: str
    dataset: str
    day: date
    batch_id: str
    file_name: str
    content_hash: str
    size_bytes: int
    received_at: datetime
    decision: Decision
    rows_in: int
    rows_admitted: int
    refused: tuple[RefusedRecord, ...]
    reason_code: str | None = None
    reason: str | None = None

    @property
    def rows_quarantined(self) -> int:
        """Records refused one by one."""
        return len(self.refused)

    @property
    def quarantine_reasons(self) -> dict[str, int]:
        """Reason code to number of records."""
        counts: dict[str, int] = {}
        for record in self.refused:
            for code in record.reasons:
                counts[code] = counts.get(code, 0) + 1
        return dict(sorted(counts.items()))


def judge_batch(
    con: duckdb.DuckDBPyConnection,
    governance: Governance,
    system: BusinessSystem,
    dataset: SourceDataset,
    day: date,
    path: Path,
    landing: Path,
    digest: str,
    fault: RefusedBatchError | None = None,
) -> Judgement:
    """Judge one file; leaves the rows to admit in the view ``standard_rows`` of the connection.

    Args:
        con: connection of its own; temporary tables of the last batch are replaced.
        governance: control information of the firm.
        system: business system that delivered.
        dataset: dataset of the delivery.
        day: business day of the delivery.
        path: the file.
        landing: folder that the file is named relative to in the ledger.
        digest: ``content_digest`` of the file.
        fault: why the file is refused unread, where that is known already.
    """
    status = path.stat()
    facts: dict[str, Any] = {
        "system": system.name,
        "dataset": dataset.name,
        "day": day,
        "batch_id": digest[:16],
        "file_name": path.relative_to(landing).as_posix() if path.is_relative_to(landing) else path.name,
        "content_hash": digest,
        "size_bytes": status.st_size,
        "received_at": datetime.fromtimestamp(status.st_mtime_ns // 1000 / 1e6, tz=UTC),
    }
    try:
        if fault is not None:
            raise fault
        delivery = read_delivery(con, path, dataset)
        contract_check.create_source_view(con, delivery, dataset, digest[:16], path.name)
        conform.run_model(con, dataset, digest[:16], delivery.rows_in)
        refused = _refused_records(con, delivery, dataset)
        admitted = _count(con, "conformed")
        if admitted + len(refused) != delivery.rows_in:
            raise AssertionError(
                f"{path}: {delivery.rows_in} records in, {admitted} admitted, {len(refused)} quarantined"
            )
        if admitted == 0:
            raise RefusedBatchError(
                "no_sound_record",
                f"{path.name}: none of {delivery.rows_in} records could be admitted; record {refused[0].record_no}: "
                f"{refused[0].reason}; {ASK_AGAIN}, or correct the contract or the model",
                delivery.rows_in,
            )
        conform.standardise(con, governance, system, dataset, day)
        standard = _count(con, "standard_rows")
        if standard != admitted:
            raise AssertionError(f"{path}: {admitted} rows conformed, {standard} rows after standardisation")
    except RefusedBatchError as refusal:
        return Judgement(
            **facts,
            decision="refused",
            rows_in=refusal.rows_in,
            rows_admitted=0,
            refused=(),
            reason_code=refusal.code,
            reason=refusal.sentence,
        )
    return Judgement(
        **facts,
        decision="partial" if refused else "admitted",
        rows_in=delivery.rows_in,
        rows_admitted=admitted,
        refused=refused,
    )


def admit_batch(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    governance: Governance,
    system: BusinessSystem,
    dataset: SourceDataset,
    day: date,
    path: Path,
    landing: Path,
    fault: RefusedBatchError | None = None,
) -> dict[str, Any]:
    """Judge one file and write the decision: rows, quarantine, ledger. Returns its ledger entry.

    A batch that the ledger already holds under the same contracts, model and control information is not read again,
    unless the lake lost rows of it.
    """
    model_hash = content_hash(
        dataset.model.content_hash, system.mappings_hash, governance.metrics_hash, governance.units_hash
    )
    digest = content_digest(path)
    batch_id = digest[:16]
    history = ledger_entries(con, lake, None, system.name, dataset.name)
    known = find_batch(history, day, batch_id)
    # What the published contract admitted stays, until a contract is published that says otherwise.
    if known and known["decision"] != "refused" and fault is not None and fault.code == CONTRACT_NOT_PUBLISHED:
        return known
    lost = False
    if known and (known["contract_hash"], known["model_hash"]) == (dataset.contract_hash, model_hash):
        lost = not _is_held(con, lake, known)
        if not lost:
            return known
    earlier = other_day_of_batch(history, day, batch_id)
    judgement = judge_batch(con, governance, system, dataset, day, path, landing, digest, fault)
    if earlier is not None and dataset.transport.source is None:
        judgement = _as_repeated(judgement, earlier)
    superseded: list[dict[str, Any]] = []
    if judgement.decision != "refused":
        superseded = superseded_entries(history, judgement)
    replaced = OneOf((judgement.batch_id, *(entry["batch_id"] for entry in superseded)))
    fingerprint = 0
    if judgement.decision != "refused":
        fingerprint = _fingerprint(judgement, dataset.contract_hash, model_hash)
    version = _write_rows(con, lake, judgement, fingerprint, replaced, again=lost)
    _write_quarantine(lake, judgement, fingerprint, replaced, again=lost)
    entry = _ledger_entry(judgement, dataset, model_hash, version)
    lake.replace(
        LEDGER,
        day,
        pa.Table.from_pylist([entry, *superseded], schema=lake.schema(LEDGER).arrow),
        where={"system": system.name, "dataset": dataset.name, "batch_id": replaced},
    )
    return entry


def _is_held(con: duckdb.DuckDBPyConnection, lake: Lake, entry: dict[str, Any]) -> bool:
    """Whether the lake still holds as many rows of a batch as its ledger entry says."""
    table = f"{entry['system']}/{entry['dataset']}"
    for name, expected in ((table, "rows_admitted"), (f"{table}_quarantine", "rows_quarantined")):
        lake.register(con, "held", name, entry["day"])
        query = "SELECT count(*) FROM held WHERE _batch_id = ?"
        if one_row(con, query, [entry["batch_id"]])[0] != entry[expected]:
            return False
    return True


def _write_rows(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    judgement: Judgement,
    fingerprint: int,
    replaced: OneOf,
    *,
    again: bool,
) -> int | None:
    """Commit the admitted rows; a refused batch, fingerprint 0, takes those away that were admitted of it before."""
    table = f"{judgement.system}/{judgement.dataset}"
    written = lake.transaction(table, _key(judgement)) or 0
    if written == fingerprint and not (again and fingerprint):
        return lake.version(table)
    rows = con.sql("FROM standard_rows") if fingerprint else lake.schema(table).arrow.empty_table()
    return lake.replace(
        table,
        judgement.day,
        rows,
        where={"_batch_id": replaced},
        transactions=_transactions(judgement, replaced, fingerprint),
    )


def _write_quarantine(lake: Lake, judgement: Judgement, fingerprint: int, replaced: OneOf, *, again: bool) -> None:
    table = f"{judgement.system}/{judgement.dataset}_quarantine"
    fingerprint = fingerprint if judgement.refused else 0
    written = [lake.transaction(table, _key(judgement, batch_id)) or 0 for batch_id in replaced.values]
    if written[0] == fingerprint and not (again and fingerprint) and not any(written[1:]):
        return
    rows = [
        {
            "day": judgement.day,
            "system": judgement.system,
            "_batch_id": judgement.batch_id,
            "_record_no": record.record_no,
            "reasons": list(record.reasons),
            "reason": record.reason,
            "payload": record.payload,
        }
        for record in judgement.refused
    ]
    lake.replace(
        table,
        judgement.day,
        pa.Table.from_pylist(rows, schema=lake.schema(table).arrow),
        where={"_batch_id": replaced},
        transactions=_transactions(judgement, replaced, fingerprint),
    )


def _ledger_entry(judgement: Judgement, dataset: SourceDataset, model_hash: str, version: int | None) -> dict[str, Any]:
    return {
        "day": judgement.day,
        "system": judgement.system,
        "dataset": judgement.dataset,
        "batch_id": judgement.batch_id,
        "file_name": judgement.file_name,
        "size_bytes": judgement.size_bytes,
        "content_hash": judgement.content_hash,
        "received_at": judgement.received_at,
        "decision": judgement.decision,
        "reason_code": judgement.reason_code,
        "reason": judgement.reason,
        "rows_in": judgement.rows_in,
        "rows_admitted": judgement.rows_admitted,
        "rows_quarantined": judgement.rows_quarantined,
        "quarantine_reasons": json.dumps(judgement.quarantine_reasons),
        "contract_hash": dataset.contract_hash,
        "model_version": dataset.model.header.version,
        "model_hash": model_hash,
        "data_version": version,
    }


def superseded_entries(history: list[dict[str, Any]], judgement: Judgement) -> list[dict[str, Any]]:
    """Ledger entries of the batches that the same file name brought before: a corrected delivery replaces them."""
    return [
        {
            **entry,
            "decision": "superseded",
            "reason_code": "superseded",
            "reason": f"replaced by batch {judgement.batch_id}",
        }
        for entry in history
        if entry["day"] == judgement.day
        and entry["file_name"] == judgement.file_name
        and entry["batch_id"] != judgement.batch_id
    ]


def _as_repeated(judgement: Judgement, earlier: date) -> Judgement:
    sentence = (
        f"{judgement.file_name} is byte for byte the delivery of {earlier}: data of {judgement.day} was expected; "
        "ask the business system for the day's own file"
    )
    return replace(
        judgement, decision="refused", rows_admitted=0, refused=(), reason_code="repeated_delivery", reason=sentence
    )


def _refused_records(
    con: duckdb.DuckDBPyConnection, delivery: Delivery, dataset: SourceDataset
) -> tuple[RefusedRecord, ...]:
    """Reasons for every record without a row: malformed, against the source contract, or lost in the model."""
    records = [RefusedRecord(n, (code,), sentence, text) for n, code, sentence, text in delivery.malformed]
    con.execute(f"CREATE OR REPLACE TEMP TABLE refused AS {read_sql(_HERE / 'refused_records.sql')}")
    if _count(con, "refused"):
        faults = contract_check.faults(dataset.source_contract.columns, delivery.kind)
        flags = ", ".join(f"({fault.condition}) IS TRUE" for fault in faults)
        names = {column.name: column.delivered_as for column in dataset.source_contract.columns}
        fields = ", ".join(f"{identifier(name)}::VARCHAR" for name in names)
        rows = con.execute(
            f"SELECT _record_no, [{flags}]::BOOLEAN[], [{fields}] "  # noqa: S608 - identifiers are quoted
            "FROM delivery SEMI JOIN refused USING (_record_no) ORDER BY _record_no"
        ).fetchall()
        sound = any(not any(failed) for _, failed, _ in rows)
        empty_after_model = _empty_after_model(con, dataset) if sound else {}
        for number, failed, values in rows:
            hits = [fault for fault, hit in zip(faults, failed, strict=True) if hit]
            if delivery.kind == "json":
                values = [None if value is None else json.loads(value) for value in values]
            payload = payload_text(dict(zip(names.values(), values, strict=True)))
            if hits:
                codes, sentence = tuple(sorted({h.code for h in hits})), "; ".join(h.sentence for h in hits)
            else:
                codes, sentence = _lost_in_model(dataset, empty_after_model.get(number))
            records.append(RefusedRecord(number, codes, sentence, payload))
    return tuple(sorted(records, key=lambda record: record.record_no))


def _empty_after_model(con: duckdb.DuckDBPyConnection, dataset: SourceDataset) -> dict[int, list[str]]:
    """Required columns that the model left empty, by number of the refused record; without those it gave no row for."""
    required = [column.name for column in conform.output_faults(dataset)]
    flags = ", ".join(f"{identifier(name)} IS NULL" for name in required)
    rows = con.execute(
        f"SELECT _record_no, [{flags}]::BOOLEAN[] FROM ({dataset.model.sql}\n) "  # noqa: S608 - the firm's own SQL
        "SEMI JOIN refused USING (_record_no)"
    ).fetchall()
    return {number: [name for name, empty in zip(required, flags, strict=True) if empty] for number, flags in rows}


def _lost_in_model(dataset: SourceDataset, empty: list[str] | None) -> tuple[tuple[str, ...], str]:
    model = f"processing model {dataset.model.path.name}"
    if not empty:
        return ("dropped_by_model",), f"{model} gives no row for this record"
    codes = tuple(f"required_missing_after_conform:{name}" for name in sorted(empty))
    return codes, f"{model} gives no {', '.join(empty)} for this record"


def _key(judgement: Judgement, batch_id: str | None = None) -> str:
    return f"{judgement.day}:{batch_id or judgement.batch_id}"


def _transactions(judgement: Judgement, replaced: OneOf, fingerprint: int) -> dict[str, int]:
    """The batch's fingerprint, and none for the batches it replaces: they can be delivered and admitted again."""
    gone = {_key(judgement, batch_id): 0 for batch_id in replaced.values}
    return {**gone, _key(judgement): fingerprint}


def _fingerprint(judgement: Judgement, *parts: str) -> int:
    """A positive 60-bit number that stands for the batch's content and everything that decided about it."""
    return int(content_hash(judgement.content_hash, judgement.decision, *parts)[:15], 16)


def content_digest(path: Path) -> str:
    """SHA-256 of a file's bytes in hex; its first 16 digits are the batch id."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _count(con: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(one_row(con, f"SELECT count(*) FROM {identifier(table)}")[0])  # noqa: S608
