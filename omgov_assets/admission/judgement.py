"""Judging one batch: what the gate decides of it, in memory; the same for `omgov try`, for a replay and for the night.

The order is: readable, source contract, processing model, conform, what was delivered before, batch policies,
thresholds. Leaves the rows to admit in view ``standard_rows`` and the refused records in table ``refused_records`` of
the connection. Does not belong here: writing any of it (``gate``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

import duckdb

from omgov_assets.admission import conform, contract_check
from omgov_assets.admission.batch_policies import BatchPolicies, judge_policies
from omgov_assets.admission.delivered_before import CONTRADICTS, DELIVERED_BEFORE, HeldRows, find_delivered_before
from omgov_assets.admission.deliveries import Delivery, read_delivery
from omgov_assets.admission.delivery_limits import landed_at, recorded_name
from omgov_assets.admission.refusal import ASK_AGAIN, RefusedBatchError
from omgov_assets.admission.refused_records import (
    collect_refused,
    count_reasons,
    digest_of_refused,
    first_reason,
    refuse_rows,
)
from omgov_assets.data_lake.lake import Lake, one_row
from omgov_assets.data_lake.sql import identifier
from omgov_assets.model_management.admission_rules import AdmissionRules
from omgov_assets.model_management.business_systems import BusinessSystem, SourceDataset
from omgov_assets.model_management.documents import content_hash
from omgov_assets.model_management.governance import Governance

Decision = Literal["admitted", "partial", "refused"]


@dataclass(frozen=True)
class Judge:
    """Everything that decides about the deliveries of one dataset of one system.

    Attributes:
        model_fault: why its processing model must not run, as the static check says; None where it may.
    """

    governance: Governance
    system: BusinessSystem
    dataset: SourceDataset
    policies: BatchPolicies
    model_fault: str | None = None

    @property
    def rules(self) -> AdmissionRules:
        """Thresholds, deadline and usual row counts."""
        return self.governance.admission.of(self.system.name, self.dataset.name)

    @property
    def table(self) -> str:
        """The dataset's table in the lake."""
        return f"{self.system.name}/{self.dataset.name}"

    @property
    def model_hash(self) -> str:
        """Hash of the processing model and of the control information that it uses."""
        governance = self.governance
        return content_hash(
            self.dataset.model.content_hash, self.system.mappings_hash, governance.metrics_hash, governance.units_hash
        )

    @property
    def policy_hash(self) -> str:
        """Hash of the batch policies and of the thresholds."""
        thresholds = self.rules.model_dump_json(include={"max_refused_rows", "max_refused_share"})
        return content_hash(thresholds, self.policies.policy_hash)


@dataclass(frozen=True)
class Batch:
    """What is known of a file before it is read."""

    batch_id: str
    file_name: str
    content_hash: str
    size_bytes: int
    received_at: datetime
    source: str = "landing"


@dataclass(frozen=True)
class Judgement:
    """What the gate decided of one batch, and why.

    ``rows_in == rows_admitted + rows_quarantined`` unless the batch is refused as a whole.

    Attributes:
        quarantine_reasons: reason code to number of records.
        rows_warned: rows admitted with a warning.
        warnings: warning to number of rows.
        set_apart: stands for the records that were refused for reasons beside contract and model: which these are
            depends on other batches and on policies.
    """

    system: str
    dataset: str
    day: date
    batch: Batch
    decision: Decision
    rows_in: int
    rows_admitted: int = 0
    rows_quarantined: int = 0
    quarantine_reasons: Mapping[str, int] = field(default_factory=dict)
    rows_warned: int = 0
    warnings: Mapping[str, int] = field(default_factory=dict)
    set_apart: str = ""
    reason_code: str | None = None
    reason: str | None = None


def describe_file(path: Path, landing: Path, digest: str | None = None) -> Batch:
    """Hash, size, time and name of a file; its name is relative to the landing folder where it lies there."""
    status = path.stat()
    digest = digest or content_digest(path)
    return Batch(
        batch_id=digest[:16],
        file_name=recorded_name(path, landing),
        content_hash=digest,
        size_bytes=status.st_size,
        received_at=landed_at(status),
    )


def content_digest(path: Path) -> str:
    """SHA-256 of a file's bytes in hex; its first 16 digits are the batch id."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def judge_file(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    judge: Judge,
    day: date,
    path: Path,
    batch: Batch,
    held: HeldRows | None = None,
    fault: RefusedBatchError | None = None,
) -> Judgement:
    """Judge one file.

    Args:
        con: connection of its own; temporary tables of the last batch are replaced.
        lake: the lake; it is read alone.
        judge: what decides.
        day: business day of the delivery.
        path: the file.
        batch: what is known of it.
        held: rows of other batches of the day, which are not to be admitted twice; None where there are none.
        fault: why the file is refused unread, where that is known already.
    """

    def read() -> Delivery:
        if fault is not None:
            raise fault
        return read_delivery(con, path, judge.dataset)

    return judge_records(con, lake, judge, day, batch, read, held)


def judge_records(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    judge: Judge,
    day: date,
    batch: Batch,
    read: Callable[[], Delivery],
    held: HeldRows | None = None,
    *,
    whole: bool = True,
) -> Judgement:
    """Judge the records that ``read`` puts into table ``delivery``; further arguments as those of ``judge_file``.

    Where these are not a ``whole`` batch but records of one, nothing is concluded from what they have in common, and
    no threshold holds: none of them may be sound.
    """
    facts: dict[str, Any] = {
        "system": judge.system.name,
        "dataset": judge.dataset.name,
        "day": day,
        "batch": batch,
    }
    name = batch.file_name.rpartition("/")[2]
    try:
        delivery = read()
        contract_check.create_source_view(con, delivery, judge.dataset, batch.batch_id, name, whole=whole)
        if judge.model_fault is not None:
            raise RefusedBatchError("model_unsound", judge.model_fault, delivery.rows_in)
        conform.run_model(con, judge.dataset, batch.batch_id, delivery.rows_in)
        collect_refused(con, delivery, judge.dataset)
        if whole:
            _require_sound_record(con, delivery, name)
        odd = conform.standardise(con, judge.governance, judge.system, judge.dataset, day)
        set_apart: list[str] = []
        warnings: dict[str, int] = {}
        if held is not None and (found := find_delivered_before(con, held)) is not None:
            refuse_rows(con, delivery.kind, judge.dataset, found)
            set_apart.append(digest_of_refused(con))
        if judge.policies:
            verdicts = judge_policies(con, lake, judge.governance, judge.policies, day, delivery.rows_in, name)
            warnings |= verdicts.warnings
            if verdicts.refused_rows is not None:
                refuse_rows(con, delivery.kind, judge.dataset, verdicts.refused_rows)
                set_apart.append(digest_of_refused(con))
        if whole and set_apart:
            _require_sound_record(con, delivery, name)
        if set_apart:
            # Some of what was counted is not admitted after all.
            odd = conform.standardise(con, judge.governance, judge.system, judge.dataset, day)
        quarantined, reasons = count_reasons(con)
        admitted = _count(con, "conformed")
        # Nothing is lost: each record is either a row or refused, and no row stands for none. That each of these rows
        # is written once is proved as it is written.
        if admitted + quarantined != delivery.rows_in:
            raise AssertionError(
                f"{batch.file_name}: {delivery.rows_in} records in, {admitted} admitted, {quarantined} quarantined"
            )
        if whole:
            _require_thresholds(judge.rules, delivery.rows_in, quarantined, reasons, name)
    except RefusedBatchError as refusal:
        return Judgement(
            **facts,
            decision="refused",
            rows_in=refusal.rows_in,
            reason_code=refusal.code,
            reason=refusal.sentence,
        )
    return Judgement(
        **facts,
        decision="partial" if quarantined else "admitted",
        rows_in=delivery.rows_in,
        rows_admitted=admitted,
        rows_quarantined=quarantined,
        quarantine_reasons=reasons,
        rows_warned=max(odd.rows, *warnings.values()) if warnings else odd.rows,
        warnings=dict(sorted((dict(odd.by_warning) | warnings).items())),
        set_apart=content_hash(*set_apart) if set_apart else "",
    )


def _require_sound_record(con: duckdb.DuckDBPyConnection, delivery: Delivery, name: str) -> None:
    """Refuse a batch none of whose records can be admitted: that is a bad file rather than so many bad records."""
    if _count(con, "conformed"):
        return
    number, reason = first_reason(con)
    _, reasons = count_reasons(con)
    raise RefusedBatchError(
        "no_sound_record",
        f"{name}: none of {delivery.rows_in} records could be admitted; record {number}: {reason}; {_advice(reasons)}",
        delivery.rows_in,
    )


def _advice(reasons: Iterable[str]) -> str:
    """What to do about a batch that was refused for these reasons."""
    if set(reasons) <= {DELIVERED_BEFORE}:
        return "nothing is lost and nothing is to be done"
    if set(reasons) <= {DELIVERED_BEFORE, CONTRADICTS}:
        return "where it is a correction, deliver it under the name of the file that came first"
    return f"{ASK_AGAIN}, or correct the contract or the model"


def _require_thresholds(
    rules: AdmissionRules, rows_in: int, refused: int, reasons: Mapping[str, int], name: str
) -> None:
    """Refuse a batch of which more records are refused than the firm admits a part of."""
    crossed = None
    if rules.max_refused_rows is not None and refused > rules.max_refused_rows:
        crossed = f"max_refused_rows: {rules.max_refused_rows}"
    elif rules.max_refused_share is not None and refused > rules.max_refused_share * rows_in:
        crossed = f"max_refused_share: {rules.max_refused_share:g}"
    if crossed is None:
        return
    code, count = max(reasons.items(), key=lambda item: (item[1], item[0]))
    raise RefusedBatchError(
        "too_many_refused",
        f"{name}: {refused} of {rows_in} records are refused, most often {code} ({count}); governance/admission.yaml "
        f"says {crossed}; {_advice(reasons)}",
        rows_in,
    )


def _count(con: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(one_row(con, f"SELECT count(*) FROM {identifier(table)}")[0])  # noqa: S608
