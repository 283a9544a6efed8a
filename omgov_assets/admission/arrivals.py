"""Which deliveries of a day the gate has not seen yet, so that a day with many files is not gone through for each.

Owns one rule: leaving out what is known must lead to the same lake as going through all. Does not belong here: deciding
(``gate``).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

import duckdb

from omgov_assets.admission.delivery_limits import landed_at, recorded_name
from omgov_assets.admission.judgement import Judge
from omgov_assets.admission.ledger import ledger_entries
from omgov_assets.data_lake.lake import Lake


def unseen_deliveries(
    con: duckdb.DuckDBPyConnection, lake: Lake, judge: Judge, day: date, paths: Sequence[Path], landing: Path
) -> list[Path]:
    """Files that the ledger does not know by name, size and time; all, where those that it knows would be judged anew.

    They would be by another contract, model or policy, and where a file has come that comes before one of them: it has
    the rows that both bring then.
    """
    entries = ledger_entries(con, lake, day, judge.system.name, judge.dataset.name)
    known = {(entry["file_name"], entry["size_bytes"], entry["received_at"]) for entry in entries}
    found = {path: _facts(path, landing) for path in paths}
    unseen = [path for path in paths if found[path] not in known]
    standing = [entry for entry in entries if entry["decision"] in {"admitted", "partial", "refused"}]
    decided_by = (judge.dataset.contract_hash, judge.model_hash, judge.policy_hash)
    if any((one["contract_hash"], one["model_hash"], one["policy_hash"]) != decided_by for one in standing):
        return list(paths)
    last = max(((time, name) for name, _, time in known), default=None)
    names = {name for name, *_ in known}
    for path in unseen:
        name, _, time = found[path]
        if name in names or (last is not None and (time, name) < last):
            return list(paths)
    return unseen


def _facts(path: Path, landing: Path) -> tuple[str, int, datetime]:
    """Name, size and time of a file, as the ledger has them."""
    status = path.stat()
    return recorded_name(path, landing), status.st_size, landed_at(status)
