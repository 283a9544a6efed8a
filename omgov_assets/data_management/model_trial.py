"""A dry run of conform models: what a model makes of the last batch it got, before it makes anything of the next one.

The batch is read from the landing folder and judged in memory; the lake is read alone. Does not belong here: what can
be said without data (``model_management.model_check``), and how versions differ (``model_comparison``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from omgov_assets.admission.gate import judge_of
from omgov_assets.admission.judgement import Judge, Judgement, describe_file, judge_file
from omgov_assets.admission.ledger import in_force, ledger_entries
from omgov_assets.admission.model_output import Output, examine_output
from omgov_assets.data_lake.lake import Lake
from omgov_assets.model_management.governance import Governance
from omgov_assets.model_management.model_findings import ModelFinding

# What a model does to a batch that no static check can know, by the reason for which the gate refuses the batch.
_CODES = {
    "model_multiplies_rows": (
        "row_multiplication",
        "give at most one row for a record; what unnests is a derive model",
    ),
    "model_invents_records": ("record_not_handed_on", "hand on _batch_id and _record_no of source"),
    "model_output_differs": ("output_type_differs", "give the columns and types of the standard contract"),
    "no_sound_record": ("rows_lost", "look at the reason of the first record"),
}
_OVERFLOW = ("Conversion Error", "Out of Range", "overflow")


@dataclass(frozen=True)
class ModelTrial:
    """What a model made of a batch.

    Attributes:
        model: ``<system>/<dataset>``.
        day: business day of the batch; None where there is none to try it on.
        file_name: the batch's file, below the landing folder.
        rows_in: records of it.
        rows: rows that were made of them.
        quarantined: records refused.
        findings: what is odd about it.
        remark: why nothing was tried, in a sentence.
    """

    model: str
    day: date | None
    file_name: str | None
    rows_in: int
    rows: int
    quarantined: int
    findings: tuple[ModelFinding, ...]
    remark: str | None = None


def try_models(
    lake: Lake, governance: Governance, landing: Path, names: Collection[str] | None = None
) -> list[ModelTrial]:
    """Try conform models on the last batch that was admitted of their dataset.

    Args:
        lake: the lake.
        governance: control information with the models as they are now.
        landing: landing folder.
        names: models to try; default all.

    Returns:
        One trial per model, by name.
    """
    trials = []
    for system in governance.systems.values():
        for name, dataset in system.datasets.items():
            if names is None or f"{system.name}/{name}" in names:
                trials.append(_try(lake, judge_of(governance, system, dataset), landing))
    return sorted(trials, key=lambda trial: trial.model)


@contextmanager
def last_batch(
    lake: Lake, judge: Judge, landing: Path
) -> Iterator[tuple[duckdb.DuckDBPyConnection, dict[str, Any] | None]]:
    """A connection, and the ledger entry of the last batch whose file is still in the landing folder, if any is."""
    with lake.connect() as con:
        entries = [e for e in ledger_entries(con, lake, None, judge.system.name, judge.dataset.name) if in_force(e)]
        there = [entry for entry in entries if (landing / entry["file_name"]).is_file()]
        yield con, max(there, key=lambda e: (e["day"], e["received_at"], e["file_name"]), default=None)


def _try(lake: Lake, judge: Judge, landing: Path) -> ModelTrial:
    nothing = ModelTrial(judge.table, None, None, 0, 0, 0, ())
    if judge.model_fault is not None:
        return replace(nothing, remark="it is unsound, and was not run")
    with last_batch(lake, judge, landing) as (con, entry):
        if entry is None:
            return replace(nothing, remark="no batch of it is in the landing folder")
        path = landing / entry["file_name"]
        judgement = judge_file(con, lake, judge, entry["day"], path, describe_file(path, landing))
        trial = ModelTrial(
            judge.table,
            entry["day"],
            entry["file_name"],
            judgement.rows_in,
            judgement.rows_admitted,
            judgement.rows_quarantined,
            (),
        )
        if judgement.decision == "refused":
            return replace(trial, findings=_refusal(judge, judgement))
        lake.register(con, "made_before", judge.table, entry["day"])
        con.execute(
            "CREATE OR REPLACE TEMP VIEW made_before_of_batch AS FROM made_before WHERE _batch_id = "
            f"'{entry['batch_id']}'"
        )
        findings = examine_output(
            con,
            judge.dataset.model,
            judge.table,
            _path_of(judge),
            judge.dataset.standard_contract,
            Output("standard_rows", judgement.rows_in),
            Output("made_before_of_batch", entry["rows_in"]),
        )
        return replace(trial, findings=findings)


def _refusal(judge: Judge, judgement: Judgement) -> tuple[ModelFinding, ...]:
    """The finding that a refused batch is, where it was the model that made it so."""
    reason = judgement.reason or ""
    code, remedy = _CODES.get(judgement.reason_code or "", (None, ""))
    if judgement.reason_code == "model_failed":
        overflow = any(word in reason for word in _OVERFLOW)
        code = "type_overflow" if overflow else "model_fails"
        remedy = "guard the conversion with try_cast or a CASE" if overflow else "correct the SQL"
    if code is None:
        return ()
    model = judge.dataset.model
    return (
        ModelFinding(
            _path_of(judge), model.first_line, 1, code, "critical", reason, remedy, judge.table, model.header.owner
        ),
    )


def _path_of(judge: Judge) -> str:
    return judge.dataset.model.path.relative_to(judge.governance.project).as_posix()
