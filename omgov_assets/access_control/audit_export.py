"""Reading the audit by who, what and when, for those who have to prove it.

Does not belong here: file formats (the command line), and whether the chain is whole (``audit_verify``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa

from omgov_assets.access_control.audit_lake import AUDIT, storing, table_of
from omgov_assets.access_control.audit_log import AuditLog
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.sql import read_sql

_EXPORT_SQL = read_sql(Path(__file__).with_name("audit_export.sql"))


@dataclass(frozen=True)
class Wanted:
    """Which entries; None leaves a condition out. Days are UTC, both included."""

    first_day: date | None = None
    last_day: date | None = None
    principal: str | None = None
    dataset: str | None = None
    decision: str | None = None


@contextmanager
def exported(lake: Lake, log: AuditLog, wanted: Wanted, batch_rows: int = 10_000) -> Iterator[pa.RecordBatchReader]:
    """The entries that are wanted, by number, as a stream (columns of ``audit/access`` without its day).

    Raises:
        AuditUnavailableError: the log does not hold together; see ``audit_verify``.
    """
    with lake.connect() as con:
        with storing(lake):
            lake.register(con, "stored", AUDIT, None)
            waiting = table_of(lake, log.stored(), log.entries())
        con.register("waiting", waiting)
        yield con.sql(_EXPORT_SQL, params=asdict(wanted)).to_arrow_reader(batch_rows)
