"""The gate: has batches judged and writes what was decided, exactly once.

The rows of a batch, its quarantine and its ledger entry are each committed with the batch's fingerprint, so that a
crash between them and a second run converge to the same lake. Does not belong here: deciding (``judgement``).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from omgov_assets.admission.batch_policies import batch_policies_of
from omgov_assets.admission.delivered_before import REASONS, HeldRows
from omgov_assets.admission.delivery_limits import require_own_file
from omgov_assets.admission.judgement import Batch, Judge, Judgement, describe_file, judge_file
from omgov_assets.admission.ledger import LEDGER, find_batch, in_force, ledger_entries, other_day_of_batch
from omgov_assets.admission.model_fitness import model_fault_of
from omgov_assets.admission.refusal import RefusedBatchError
from omgov_assets.admission.refused_records import REFUSED
from omgov_assets.data_lake.lake import Lake, one_row
from omgov_assets.data_lake.locks import sole_holder
from omgov_assets.data_lake.sql import OneOf, literal
from omgov_assets.model_management.business_systems import BusinessSystem, SourceDataset
from omgov_assets.model_management.contract_publication import refusal_of, refused_contracts
from omgov_assets.model_management.documents import content_hash
from omgov_assets.model_management.governance import Governance

# The dataset's contract broke with the one published before it, under the same major version.
CONTRACT_NOT_PUBLISHED = "contract_not_published"
REPEATED_DELIVERY = "repeated_delivery"
REPEATED = "repeated"


def judge_of(governance: Governance, system: BusinessSystem, dataset: SourceDataset) -> Judge:
    """What decides about the deliveries of a dataset. Raises ``GovernanceError`` where a suite is malformed."""
    return Judge(
        governance,
        system,
        dataset,
        batch_policies_of(governance.project, system.name, dataset.name),
        model_fault_of(governance, f"{system.name}/{dataset.name}"),
    )


@contextmanager
def sole_admission(lake: Lake, system: str, dataset: str) -> Iterator[None]:
    """Let nobody else decide about deliveries of a dataset meanwhile, in any process; who comes second waits.

    What is decided of a batch depends on which others are in force: two that decide at a time would each admit the same
    row of another batch.
    """
    with sole_holder(lake.root.parent, f"admission.{system}.{dataset}"):
        yield


def unpublished_contract(
    con: duckdb.DuckDBPyConnection, lake: Lake, judge: Judge, day: date
) -> RefusedBatchError | None:
    """Why deliveries of a day are refused for the contract's sake; None where it was published, or nothing was yet."""
    reason = refusal_of(refused_contracts(con, lake, day), judge.system.name, judge.dataset.name)
    return RefusedBatchError(CONTRACT_NOT_PUBLISHED, reason) if reason else None


def admit_deliveries(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    judge: Judge,
    day: date,
    paths: Collection[Path],
    landing: Path,
    fault: RefusedBatchError | None = None,
    *,
    again: bool = False,
) -> list[dict[str, Any]]:
    """Take all files of a dataset's day through the gate, in the order in which they came; returns ledger entries.

    A batch that the ledger already holds under the same contracts, model, policies and control information is not read
    ``again``, unless the lake lost rows of it. The batch that came first keeps a row that several bring. Where an
    earlier batch changes, the later ones are judged again: it does not matter in which runs files were taken.
    """
    batches = {path: describe_file(path, landing) for path in paths}
    ordered = sorted(batches, key=lambda path: (batches[path].received_at, batches[path].file_name))
    entries = []
    changed = again
    for number, path in enumerate(ordered):
        later = frozenset(batches[other].batch_id for other in ordered[number + 1 :])
        entry, written = _admit(con, lake, judge, day, path, landing, batches[path], later, fault, again=changed)
        changed = changed or (written and len(ordered) > 1)
        entries.append(entry)
    return entries


def held_rows(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    judge: Judge,
    day: date,
    history: Sequence[dict[str, Any]],
    besides: Collection[str],
    file_name: str,
) -> HeldRows | None:
    """Rows of the day that other batches than ``besides``, of other files, brought; None where there are none."""
    others = tuple(
        entry["batch_id"]
        for entry in history
        if entry["day"] == day
        and in_force(entry)
        and entry["rows_admitted"]
        and entry["batch_id"] not in besides
        # What the same file brought before is replaced, not held beside it.
        and entry["file_name"] != file_name
    )
    if not others:
        return None
    lake.register(con, "held_rows", judge.table, day)
    return HeldRows("held_rows", tuple(dict.fromkeys(others)), lake.schema(judge.table))


def write_decision(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    judge: Judge,
    judgement: Judgement,
    history: Sequence[dict[str, Any]],
    *,
    again: bool = False,
) -> tuple[dict[str, Any], bool]:
    """Write rows, quarantine and ledger entry of a judgement.

    Args:
        con: connection of the judgement.
        lake: the lake.
        judge: what decided.
        judgement: what was decided.
        history: ledger entries of the dataset; what the same file name brought before is superseded.
        again: write also what was committed under the same fingerprint: the lake lost rows of it.

    Returns:
        The ledger entry, and whether anything was written.
    """
    batch, refused = judgement.batch, judgement.decision == "refused"
    superseded = [] if refused else superseded_entries(history, judgement)
    elsewhere = {
        entry["batch_id"]
        for entry in history
        if entry["day"] == judgement.day and in_force(entry) and entry["file_name"] != batch.file_name
    }
    gone = [entry["batch_id"] for entry in superseded if entry["batch_id"] not in elsewhere]
    replaced = OneOf((batch.batch_id, *gone))
    fingerprint = 0
    if not refused:
        fingerprint = _fingerprint(judgement, judge.dataset.contract_hash, judge.model_hash, judgement.set_apart)
    known = next((e for e in history if e["day"] == judgement.day and _is_of(e, batch)), None)
    # What was there already keeps the versions that it came with.
    held = known if known and in_force(known) else None
    entry = _ledger_entry(
        judge,
        judgement,
        _write_rows(con, lake, judgement, fingerprint, replaced, held, again=again),
        _write_quarantine(con, lake, judgement, fingerprint, replaced, held, again=again),
    )
    if entry == known and not superseded:
        return known, False
    replace_entries(lake, judge, judgement.day, batch.file_name, [entry, *superseded])
    return entry, True


def superseded_entries(history: Sequence[dict[str, Any]], judgement: Judgement) -> list[dict[str, Any]]:
    """Ledger entries of the batches that the same file name brought before: a corrected delivery replaces them."""
    return [
        {
            **entry,
            "decision": "superseded",
            "reason_code": "superseded",
            "reason": f"replaced by batch {judgement.batch.batch_id}",
        }
        for entry in history
        if entry["day"] == judgement.day
        and entry["file_name"] == judgement.batch.file_name
        and entry["batch_id"] != judgement.batch.batch_id
    ]


def replace_entries(
    lake: Lake, judge: Judge, day: date, file_name: str, entries: Sequence[dict[str, Any]], *batch_ids: str
) -> None:
    """Write the ledger entries of a file; those of ``batch_ids`` that are not among them are taken away."""
    lake.replace(
        LEDGER,
        day,
        pa.Table.from_pylist(list(entries), schema=lake.schema(LEDGER).arrow),
        where={
            "system": judge.system.name,
            "dataset": judge.dataset.name,
            "file_name": file_name,
            "batch_id": OneOf((*(entry["batch_id"] for entry in entries), *batch_ids)),
        },
    )


def _admit(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    judge: Judge,
    day: date,
    path: Path,
    landing: Path,
    batch: Batch,
    later: Collection[str],
    fault: RefusedBatchError | None,
    *,
    again: bool,
) -> tuple[dict[str, Any], bool]:
    """The ledger entry of a file, and whether anything had to be written for it."""
    dataset = judge.dataset
    if dataset.transport.source is not None:
        batch = replace(batch, source=dataset.transport.source.file)
    fault = fault or _foreign_file(path, landing)
    history = ledger_entries(con, lake, None, judge.system.name, dataset.name)
    known = find_batch(history, day, batch.batch_id)
    # What the published contract admitted stays, until a contract is published that says otherwise.
    if known and known["decision"] != "refused" and fault is not None and fault.code == CONTRACT_NOT_PUBLISHED:
        return known, False
    if known and known["file_name"] != batch.file_name:
        if (path.parent / known["file_name"].rpartition("/")[2]).is_file():
            return _note_repetition(lake, judge, day, batch, known, history)
        # The file was renamed: it stands for its batch from now on.
        replace_entries(lake, judge, day, batch.file_name, [{**known, "file_name": batch.file_name}])
        replace_entries(lake, judge, day, known["file_name"], [], known["batch_id"])
        known = {**known, "file_name": batch.file_name}
        history = ledger_entries(con, lake, None, judge.system.name, dataset.name)
    lost = False
    if known and _decided_by(known) == (dataset.contract_hash, judge.model_hash, judge.policy_hash):
        lost = not _is_held(con, lake, known)
        depends_on_others = bool(REASONS & json.loads(known["quarantine_reasons"] or "{}").keys())
        if not (lost or again or depends_on_others):
            return known, False
    earlier = other_day_of_batch(history, day, batch.batch_id)
    held = held_rows(con, lake, judge, day, history, {batch.batch_id, *later}, batch.file_name)
    if earlier is not None and dataset.transport.source is None:
        fault = _repeated(batch.file_name, day, earlier)
    judgement = judge_file(con, lake, judge, day, path, batch, held, fault)
    return write_decision(con, lake, judge, judgement, history, again=lost)


def _note_repetition(
    lake: Lake, judge: Judge, day: date, batch: Batch, known: dict[str, Any], history: Sequence[dict[str, Any]]
) -> tuple[dict[str, Any], bool]:
    """The same bytes under another name count once; that they came is noted."""
    told = next((e for e in history if e["day"] == day and _is_of(e, batch)), None)
    if told is not None and told["decision"] == REPEATED:
        return told, False
    other = known["file_name"].rpartition("/")[2]
    judgement = Judgement(
        system=judge.system.name,
        dataset=judge.dataset.name,
        day=day,
        batch=batch,
        decision="refused",
        rows_in=known["rows_in"],
        reason_code=REPEATED_DELIVERY,
        reason=f"{batch.file_name.rpartition('/')[2]} is byte for byte {other} of the same day; it counts once",
    )
    entry = {**_ledger_entry(judge, judgement, None, None), "decision": REPEATED}
    replace_entries(lake, judge, day, batch.file_name, [entry])
    return entry, True


def _is_of(entry: dict[str, Any], batch: Batch) -> bool:
    return (entry["file_name"], entry["batch_id"]) == (batch.file_name, batch.batch_id)


def _decided_by(entry: dict[str, Any]) -> tuple[str, str, str]:
    return entry["contract_hash"], entry["model_hash"], entry["policy_hash"]


def _foreign_file(path: Path, landing: Path) -> RefusedBatchError | None:
    """Why a file is not taken for where it lies or for its name; None where it may be read."""
    try:
        require_own_file(path, landing)
    except RefusedBatchError as fault:
        return fault
    return None


def _repeated(file_name: str, day: date, earlier: date) -> RefusedBatchError:
    return RefusedBatchError(
        REPEATED_DELIVERY,
        f"{file_name} is byte for byte the delivery of {earlier}: data of {day} was expected; "
        "ask the business system for the day's own file",
    )


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
    held: dict[str, Any] | None,
    *,
    again: bool,
) -> int | None:
    """Commit the admitted rows; a refused batch, fingerprint 0, takes those away that were admitted of it before."""
    table = f"{judgement.system}/{judgement.dataset}"
    written = lake.transaction(table, _key(judgement)) or 0
    if written == fingerprint and not (again and fingerprint):
        return lake.version(table) if held is None else held["data_version"]
    rows = con.sql("FROM standard_rows") if fingerprint else lake.schema(table).arrow.empty_table()
    return lake.replace(
        table,
        judgement.day,
        rows,
        where={"_batch_id": replaced},
        transactions=_transactions(judgement, replaced, fingerprint),
        expected_rows=judgement.rows_admitted,
    )


def _write_quarantine(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    judgement: Judgement,
    fingerprint: int,
    replaced: OneOf,
    held: dict[str, Any] | None,
    *,
    again: bool,
) -> int | None:
    table = f"{judgement.system}/{judgement.dataset}_quarantine"
    fingerprint = fingerprint if judgement.rows_quarantined else 0
    written = [lake.transaction(table, _key(judgement, batch_id)) or 0 for batch_id in replaced.values]
    if written[0] == fingerprint and not (again and fingerprint) and not any(written[1:]):
        return lake.version(table) if held is None else held["quarantine_version"]
    rows: Any = lake.schema(table).arrow.empty_table()
    if fingerprint:
        rows = con.sql(
            f"SELECT {literal(judgement.day)}::DATE AS day, {literal(judgement.system)} AS system, "  # noqa: S608 - quoted
            f"{literal(judgement.batch.batch_id)} AS _batch_id, * FROM {REFUSED}"
        )
    return lake.replace(
        table,
        judgement.day,
        rows,
        where={"_batch_id": replaced},
        transactions=_transactions(judgement, replaced, fingerprint),
        expected_rows=judgement.rows_quarantined,
    )


def _ledger_entry(
    judge: Judge, judgement: Judgement, version: int | None, quarantine_version: int | None
) -> dict[str, Any]:
    batch, dataset = judgement.batch, judge.dataset
    return {
        "day": judgement.day,
        "system": judgement.system,
        "dataset": judgement.dataset,
        "batch_id": batch.batch_id,
        "file_name": batch.file_name,
        "source": batch.source,
        "size_bytes": batch.size_bytes,
        "content_hash": batch.content_hash,
        "received_at": batch.received_at,
        "decision": judgement.decision,
        "reason_code": judgement.reason_code,
        "reason": judgement.reason,
        "rows_in": judgement.rows_in,
        "rows_admitted": judgement.rows_admitted,
        "rows_quarantined": judgement.rows_quarantined,
        "quarantine_reasons": json.dumps(judgement.quarantine_reasons),
        "rows_warned": judgement.rows_warned,
        "warnings": json.dumps(judgement.warnings),
        "rows_replayed": 0,
        "contract_version": dataset.source_contract.version,
        "contract_hash": dataset.contract_hash,
        "model_version": dataset.model.header.version,
        "model_hash": judge.model_hash,
        "policy_hash": judge.policy_hash,
        "data_version": version,
        "quarantine_version": quarantine_version,
    }


def _key(judgement: Judgement, batch_id: str | None = None) -> str:
    return f"{judgement.day}:{batch_id or judgement.batch.batch_id}"


def _transactions(judgement: Judgement, replaced: OneOf, fingerprint: int) -> dict[str, int]:
    """The batch's fingerprint, and none for the batches it replaces: they can be delivered and admitted again."""
    gone = {_key(judgement, batch_id): 0 for batch_id in replaced.values}
    return {**gone, _key(judgement): fingerprint}


def _fingerprint(judgement: Judgement, *parts: str) -> int:
    """A positive 60-bit number that stands for the batch's content and everything that decided about it."""
    return int(content_hash(judgement.batch.content_hash, judgement.decision, *parts)[:15], 16)
