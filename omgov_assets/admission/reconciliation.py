"""Proving that the lake holds what the ledger says: torn commits, missing files, rows that do not add up."""

from __future__ import annotations

import json
from typing import Any

from omgov_assets.admission.ledger import LEDGER, read_ledger
from omgov_assets.data_lake.lake import Lake


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
        if not any(finding["table"] == table for finding in findings):
            findings += _missing_files(lake, table)
    if not findings:
        findings += _row_differences(lake)
    return findings


def _torn(text: str) -> str | None:
    if not text.strip():
        return "empty"
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            json.loads(line)
        except json.JSONDecodeError:
            return f"line {number} is cut off"
    return None


def _missing_files(lake: Lake, table: str) -> list[dict[str, Any]]:
    missing = [path.relative_to(lake.root / table).as_posix() for path in lake.files(table) if not path.is_file()]
    return [_finding(table, "missing file", name, "restore the file, or run its day again") for name in missing]


def _row_differences(lake: Lake) -> list[dict[str, Any]]:
    """Rows of each admitted batch against the ledger; rows that no ledger entry accounts for."""
    ledger = [entry for entry in read_ledger(lake, None) if entry["decision"] in {"admitted", "partial"}]
    findings = []
    with lake.connect() as con:
        for table in sorted({f"{entry['system']}/{entry['dataset']}" for entry in ledger}):
            for suffix, counted in (("", "rows_admitted"), ("_quarantine", "rows_quarantined")):
                lake.register(con, "held", f"{table}{suffix}", None)
                held = dict(con.execute("SELECT day || ' ' || _batch_id, count(*) FROM held GROUP BY 1").fetchall())
                promised = {
                    f"{entry['day']} {entry['batch_id']}": entry[counted]
                    for entry in ledger
                    if f"{entry['system']}/{entry['dataset']}" == table and entry[counted]
                }
                for key in sorted(held.keys() | promised.keys()):
                    if held.get(key, 0) != promised.get(key, 0):
                        detail = f"batch {key}: {held.get(key, 0)} rows, {promised.get(key, 0)} in {LEDGER}"
                        findings.append(
                            _finding(f"{table}{suffix}", "rows differ", detail, "run the day again")
                        )
    return findings


def _finding(table: str, fault: str, detail: str, remedy: str) -> dict[str, Any]:
    return {"table": table, "fault": fault, "detail": detail, "remedy": remedy}
