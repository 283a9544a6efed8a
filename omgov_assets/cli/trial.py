"""``omgov try``: one file through contract, model and policies; the lake is read but never written."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from omgov_assets.admission.gate import held_rows, judge_of
from omgov_assets.admission.judgement import Judgement, describe_file, judge_file
from omgov_assets.admission.ledger import ledger_entries
from omgov_assets.admission.refused_records import REFUSED, shown_payload
from omgov_assets.cli.options import dataset_of
from omgov_assets.cli.output import SOMETHING_REFUSED, Format, emit, notice
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings
from omgov_assets.model_management.business_systems import SourceDataset
from omgov_assets.model_management.governance import load_governance
from omgov_assets.quality_policy.evaluation import PolicyResult, judge_rows
from omgov_assets.quality_policy.policies import load_policy_set

SHOWN_RECORDS = 20


def try_delivery(
    settings: Settings, lake: Lake, system: str, dataset: str, file: Path, day: date, output: Format, *, beside: bool
) -> int:
    """Judge a file as the night would; print decision, refused records and policy verdicts. Returns the exit code.

    Where it is tried ``beside`` what the day holds already, rows that other batches brought are refused; else it is
    judged as the day's only delivery.
    """
    governance = load_governance(settings.project)
    business, source = dataset_of(governance, system, dataset)
    policy_set = load_policy_set(settings.project, system, dataset)
    judge = judge_of(governance, business, source)
    path = file.absolute()
    with lake.connect() as con:
        batch = describe_file(path, settings.landing)
        history = ledger_entries(con, lake, None, system, dataset)
        # Put into the landing folder, it would replace what a file of its name brought.
        landed = f"{system}/{dataset}/{day}/{path.name}"
        held = held_rows(con, lake, judge, day, history, {batch.batch_id}, landed)
        if held is not None and not beside:
            notice(
                f"judged as the only delivery of {day}: what {len(held.batches)} other batches brought is left aside; "
                f"give --day {day} to judge it beside them"
            )
        judgement = judge_file(con, lake, judge, day, path, batch, held if beside else None)
        refused = _refused_records(con, source) if judgement.rows_quarantined else []
        results: list[PolicyResult] = []
        if judgement.decision != "refused":
            con.execute("CREATE OR REPLACE TABLE candidate AS SELECT * FROM standard_rows")
            results = judge_rows(
                con, lake, governance, policy_set, list(policy_set.policies), day, candidate="candidate"
            )
    if output is Format.TABLE:
        emit([_decision(judgement)], output, f"{file.name} as {system}/{dataset} of {day}; the lake is untouched")
        if refused:
            title = f"Quarantined records, {len(refused)} of {judgement.rows_quarantined}"
            emit(refused, output, title)
        if results:
            emit([_verdict(result) for result in results], output, "Policies")
    else:
        emit([{**_decision(judgement), **_verdict(result)} for result in results] or [_decision(judgement)], output)
    return SOMETHING_REFUSED if judgement.decision == "refused" or judgement.rows_quarantined else 0


def _refused_records(con: duckdb.DuckDBPyConnection, source: SourceDataset) -> list[dict[str, Any]]:
    rows = con.execute(
        f"SELECT _record_no, reason, reasons, payload FROM {REFUSED} ORDER BY 1 LIMIT ?",  # noqa: S608 - a fixed name
        [SHOWN_RECORDS],
    ).fetchall()
    columns = source.source_contract.columns
    return [
        {"record": number, "reason": reason, "payload": shown_payload(payload, reasons, columns)}
        for number, reason, reasons, payload in rows
    ]


def _decision(judgement: Judgement) -> dict[str, Any]:
    return {
        "decision": judgement.decision,
        "rows_in": judgement.rows_in,
        "rows_admitted": judgement.rows_admitted,
        "rows_quarantined": judgement.rows_quarantined,
        "rows_warned": judgement.rows_warned,
        "warnings": ", ".join(f"{name}: {count}" for name, count in judgement.warnings.items()),
        "reason": judgement.reason or "",
    }


def _verdict(result: PolicyResult) -> dict[str, Any]:
    return {
        "policy": result.policy.policy_id,
        "anomaly_type": result.policy.meta.anomaly_type,
        "verdict": result.verdict,
        "evaluated": result.evaluated,
        "failed": result.failed,
        "why": result.reason or "",
    }
