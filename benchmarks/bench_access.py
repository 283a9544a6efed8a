"""Access control: a decision about a table of 100 columns, and a governed snapshot of 2,000,000 rows.

`make bench` runs it. ROWS in the environment changes the size. One JSON object for each thing measured:

- ``decision``: milliseconds for a principal that is asked about for the first time, with clearance 2 and 100 columns of
  which half are above it: median and 99th percentile by the clock, mean of the processor; and for one that was asked
  about before. Beside it asking Cedar about the same columns one by one with policies and schema as text, which is what
  the plainest use of the library would cost, and the ratio of the two.
- ``snapshot``: from the decision to the file, all rows, with a keyed mask: seconds by the clock and of the processors,
  peak memory. Beside it copying the table to Parquet by DuckDB as it is, unfiltered, unmasked and unsorted, and the
  ratio of the two.
- ``page``: pages of 100 rows of that snapshot through the door, each decided, put on record durably and cut where the
  one before ended: milliseconds a page, median, in the order of the snapshot, by a condition, and ordered by a measure.
  Beside it what a bare route would do on a connection that it keeps: the same rows of the same file by DuckDB, without
  decision and record, and the ratio of the two.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import tempfile
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import cedarpy
from drawn_inventory import INVENTORY, write_inventory

from omgov_assets.access_control.audit_log import AuditLog
from omgov_assets.access_control.decision import DecisionPoint
from omgov_assets.access_control.enforcement import EnforcementPoint
from omgov_assets.access_control.governed_pages import Order, PageQuestion
from omgov_assets.access_control.governed_query import Condition
from omgov_assets.access_control.mask_key import MaskKey
from omgov_assets.access_control.principals import Principal
from omgov_assets.access_control.snapshot import Snapshot, planned_snapshot
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.schemas import Column, TableSchema
from omgov_assets.data_lake.sql import literal
from omgov_assets.model_management.access_policies import SEE, dataset_entities, principal_entity, request
from omgov_assets.model_management.governance import Governance, load_governance

ROWS = int(os.environ.get("ROWS", "2000000"))
PROJECT = Path(__file__).resolve().parents[1]
DAY = date(2026, 11, 20)
NOW = datetime(2026, 11, 21, tzinfo=UTC)
KEY = MaskKey(b"k" * 32, NOW + timedelta(days=1))
STEWARD = Principal("steward", frozenset({"data_steward"}), 2, "quality")
WIDE = "quality/wide"
ASKED = 200
PAGES = 30


def main() -> None:
    """Measure both."""
    governance = load_governance(PROJECT)
    measure_decisions(governance)
    with tempfile.TemporaryDirectory() as folder:
        measure_snapshot(governance, Path(folder))


def measure_decisions(governance: Governance) -> None:
    """Decide about 100 columns, again and again."""
    columns = tuple(Column(f"c{n}", "VARCHAR", False, False, False, 1 + n % 4, "", "hmac") for n in range(100))
    point = DecisionPoint(governance.access, {WIDE: TableSchema(WIDE, columns)}, {}, KEY)
    assert point.decide(STEWARD, WIDE, NOW).allowed  # noqa: S101
    milliseconds = []
    processor = time.process_time()
    for number in range(ASKED):
        somebody = replace(STEWARD, name=f"steward-{number}")
        started = time.perf_counter()
        point.decide(somebody, WIDE, NOW)
        milliseconds.append((time.perf_counter() - started) * 1000)
    processor = (time.process_time() - processor) * 1000 / ASKED
    started = time.perf_counter()
    for _ in range(ASKED):
        point.decide(STEWARD, WIDE, NOW)
    again = (time.perf_counter() - started) * 1000 / ASKED
    policies = governance.access.policies
    entities = [
        principal_entity(STEWARD.name, STEWARD.roles, STEWARD.clearance, (), ()),
        *dataset_entities(WIDE, {column.name: column.grade for column in columns}),
    ]
    started = time.perf_counter()
    for column in columns:
        asked = request(STEWARD.name, SEE, "Column", f"{WIDE}.{column.name}", STEWARD.purpose)
        cedarpy.is_authorized(asked, policies.text, entities, policies.schema)
    plain = (time.perf_counter() - started) * 1000
    median = statistics.median(milliseconds)
    report(
        "decision",
        columns=len(columns),
        median_ms=round(median, 2),
        processor_ms=round(processor, 2),
        p99_ms=round(statistics.quantiles(milliseconds, n=100)[98], 2),
        again_ms=round(again, 3),
        one_by_one_ms=round(plain, 1),
        ratio=round(plain / median, 1),
    )


def measure_snapshot(governance: Governance, folder: Path) -> None:
    """Make a snapshot of an inventory in which CIs are masked by the key."""
    table = INVENTORY
    lake = Lake(folder / "lake", PROJECT / "governance" / "standard" / "data_contracts")
    schema = lake.schema(table)
    write_inventory(lake, DAY, ROWS)
    graded = tuple(replace(one, grade=3, mask="hmac") if one.name == "ci_id" else one for one in schema.columns)
    grades = {metric.metric: metric.grade for metric in governance.metrics}
    point = DecisionPoint(governance.access, {table: TableSchema(table, graded)}, grades, KEY)
    started = time.monotonic()
    with lake.connect() as con:
        con.execute(f"COPY ({lake.query(table, DAY)}) TO {literal(str(folder / 'copy.parquet'))} (FORMAT parquet)")
    copied = time.monotonic() - started
    started, processor = time.monotonic(), time.process_time()
    snapshot = planned_snapshot(lake, point.decide(STEWARD, table, NOW), DAY, folder / "governed", KEY).made(lake)
    seconds, processor = time.monotonic() - started, time.process_time() - processor
    started = time.monotonic()
    planned_snapshot(lake, point.decide(STEWARD, table, NOW), DAY, folder / "governed", KEY).made(lake)
    report(
        "snapshot",
        rows=snapshot.rows,
        columns=len(graded),
        seconds=round(seconds, 2),
        processor_seconds=round(processor, 2),
        again_ms=round((time.monotonic() - started) * 1000, 1),
        plain_copy_seconds=round(copied, 2),
        ratio=round(seconds / copied, 1),
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        memory_limit=lake.memory_limit,
    )
    measure_pages(lake, point, folder, table, snapshot)


def measure_pages(lake: Lake, point: DecisionPoint, folder: Path, table: str, snapshot: Snapshot) -> None:
    """Go on from page to page through the door, and by a bare route."""
    source = f"read_parquet({literal(str(snapshot.path))}, file_row_number = true)"
    half = (Condition("_record_no", ">=", ROWS // 2),)
    by_number = (Order("_record_no", True),)
    with AuditLog(folder / "audit") as log, lake.connect() as con:
        con.execute("SET parquet_metadata_cache = true")
        door = EnforcementPoint(lake, point, log, folder / "governed", clock=lambda: NOW)
        for name, conditions, order in (("plain", (), ()), ("filtered", half, ()), ("ordered", (), by_number)):
            cursor, through_the_door = None, []
            for _ in range(PAGES):
                asked = PageQuestion(None, conditions, order, 100, cursor)
                started = time.perf_counter()
                page = door.page(STEWARD, table, asked, DAY)
                through_the_door.append(time.perf_counter() - started)
                cursor = page.next
            row, number, bare = -1, ROWS, []
            for _ in range(PAGES):
                behind = "file_row_number > $row"
                if order:
                    behind = f"(_record_no < $number OR (_record_no = $number AND {behind}))"
                if conditions:
                    behind += f" AND _record_no >= {ROWS // 2}"
                by = "_record_no DESC, file_row_number" if order else "file_row_number"
                values = {"row": row} | ({"number": number} if order else {})
                started = time.perf_counter()
                rows = con.sql(
                    f"SELECT * FROM {source} WHERE {behind} ORDER BY {by} LIMIT 100",
                    params=values,
                ).to_arrow_table()
                bare.append(time.perf_counter() - started)
                row, number = rows["file_row_number"][-1].as_py(), rows["_record_no"][-1].as_py()
            report(
                "page",
                order=name,
                milliseconds=round(statistics.median(through_the_door) * 1000, 1),
                bare_milliseconds=round(statistics.median(bare) * 1000, 1),
                ratio=round(statistics.median(through_the_door) / statistics.median(bare), 2),
            )


def report(stage: str, **measured: object) -> None:
    """Print one measurement."""
    print(json.dumps({"stage": stage, **measured}), flush=True)


if __name__ == "__main__":
    main()
