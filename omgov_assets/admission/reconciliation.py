"""Proving that the lake holds what the ledger says: torn commits, missing files, rows that do not add up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from omgov_assets.admission.ledger import LEDGER, read_ledger
from omgov_assets.data_lake.lake import Lake
from omgov_assets.model_management.processing_models import DERIVED_SYSTEM


def examine_lake(lake: Lake) -> list[dict[str, Any]]:
    """Look at every table of the lake.

    Returns:
        One finding per fault: table, fault, detail, remedy; empty where the lake is sound.
    """
    findings: list[dict[str, Any]] = []
    for log in sorted(lake.root.glob("*/*/_delta_log")):
        table = log.parent.relative_to(lake.root).as_posix()
        for commit in sorted(log.glob("*.json")):
            problem = _torn(commit.read_text(encoding="utf-8"))
            if problem:
                remedy = f"delete {commit.name} if it is the last commit, then run the day again"
                findings.append(_finding(table, "torn commit", f"{commit.name}: {problem}", remedy))
        findings += _missing_commits(table, log)
        if not any(finding["table"] == table for finding in findings):
            findings += _missing_files(lake, table)
    if not findings:
        findings += _row_differences(lake)
    return findings


def _torn(text: str) -> str | None:
    if not text.strip():
        return "empty"
    # Statistics hold values of columns, and among those are other characters that end a line of text.
    for number, line in enumerate(text.rstrip("\n").split("\n"), start=1):
        try:
            json.loads(line)
        except json.JSONDecodeError:
            return f"line {number} is cut off"
    return None


def _missing_commits(table: str, log: Path) -> list[dict[str, Any]]:
    """Gaps in the log; its oldest commits may be gone, where a checkpoint stands for them."""
    versions = {int(commit.stem) for commit in log.glob("*.json")}
    gaps = sorted(set(range(min(versions), max(versions))) - versions) if versions else []
    return [_finding(table, "missing commit", f"{version:020d}.json", "restore it from a backup") for version in gaps]


def _missing_files(lake: Lake, table: str) -> list[dict[str, Any]]:
    missing = [path.relative_to(lake.root / table).as_posix() for path in lake.files(table) if not path.is_file()]
    return [_finding(table, "missing file", name, "restore it from a backup") for name in missing]


def _row_differences(lake: Lake) -> list[dict[str, Any]]:
    """Rows of each admitted batch against the ledger; rows that no ledger entry accounts for."""
    promised: dict[str, dict[str, int]] = {}
    for entry in read_ledger(lake, None):
        if entry["decision"] in {"admitted", "partial"}:
            table, batch = f"{entry['system']}/{entry['dataset']}", f"{entry['day']} {entry['batch_id']}"
            promised.setdefault(table, {})[batch] = entry["rows_admitted"]
            promised.setdefault(f"{table}_quarantine", {})[batch] = entry["rows_quarantined"]
    written = {log.parent.relative_to(lake.root).as_posix() for log in lake.root.glob("*/*/_delta_log")}
    findings = []
    with lake.connect() as con:
        for table in sorted(written | promised.keys()):
            # What is derived was never delivered: it has no entry.
            if "_batch_id" not in lake.schema(table).names or table.startswith(f"{DERIVED_SYSTEM}/"):
                continue
            lake.register(con, "held", table, None)
            query = "SELECT day || ' ' || _batch_id, count(*) FROM held GROUP BY 1"
            held = dict(con.execute(query).fetchall())
            expected = promised.get(table, {})
            for batch in sorted(held.keys() | expected.keys()):
                found, wanted = held.get(batch, 0), expected.get(batch, 0)
                if found != wanted:
                    detail = f"batch {batch}: {found} rows, {wanted} in {LEDGER}"
                    findings.append(_finding(table, "rows differ", detail, "run the day again"))
    return findings


def _finding(table: str, fault: str, detail: str, remedy: str) -> dict[str, Any]:
    return {"table": table, "fault": fault, "detail": detail, "remedy": remedy}
