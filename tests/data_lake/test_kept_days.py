"""What the commits of a table prove of its days: nothing that once was there goes unseen."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from omgov_assets.data_lake.kept_days import kept_days
from omgov_assets.data_lake.lake import Lake

EVENTS, LEDGER, CAUSES = "exceptions/case_events", "admission/ledger", "quality/anomaly_causes"
FIRST, SECOND, THIRD = (date(2026, 11, day) for day in (18, 19, 20))


@pytest.fixture
def lake(tmp_path: Path, project_root: Path) -> Lake:
    return Lake(tmp_path / "lake", project_root / "governance" / "standard" / "data_contracts")


def write(lake: Lake, day: date, rows: int = 1) -> None:
    schema = lake.schema(CAUSES).arrow
    made = [{"day": day, "anomaly_id": f"a{number}", "cause_id": None} for number in range(rows)]
    lake.replace(CAUSES, day, pa.Table.from_pylist(made, schema))


def test_a_table_that_was_never_written_has_no_days(lake: Lake) -> None:
    assert kept_days(lake, CAUSES) is None


def test_days_that_are_replaced_are_kept(lake: Lake) -> None:
    for day in (FIRST, SECOND, FIRST):
        write(lake, day)
    kept = kept_days(lake, CAUSES)
    assert kept is not None
    assert (kept.days, dict(kept.gone), dict(kept.missing_files)) == ({FIRST, SECOND}, {}, {})
    assert kept.rewritten == (3,)
    assert (kept.known_since, kept.is_append_only, kept.version) == (None, False, 3)


def test_a_day_that_lost_its_rows_is_gone_whoever_took_them_out(lake: Lake) -> None:
    for day in (FIRST, SECOND, THIRD):
        write(lake, day)
    write(lake, FIRST, rows=0)
    DeltaTable(lake.root / CAUSES).delete("day = '2026-11-19'")
    kept = kept_days(lake, CAUSES)
    assert kept is not None
    assert kept.days == {THIRD}
    assert dict(kept.gone) == {FIRST: 4, SECOND: 5}


def test_files_that_are_not_on_disk_are_told_by_day(lake: Lake) -> None:
    for day in (FIRST, SECOND):
        write(lake, day)
    for file in (lake.root / CAUSES / "day=2026-11-18").glob("*.parquet"):
        file.unlink()
    kept = kept_days(lake, CAUSES)
    assert kept is not None
    assert dict(kept.missing_files) == {FIRST: 1}


def test_where_old_commits_were_cleaned_up_the_checkpoint_is_looked_at_and_it_is_said(lake: Lake) -> None:
    for day in (FIRST, SECOND):
        write(lake, day)
    delta = DeltaTable(lake.root / CAUSES)
    delta.create_checkpoint()
    for number in range(delta.version()):
        (lake.root / CAUSES / "_delta_log" / f"{number:020d}.json").unlink()
    delta.delete("day = '2026-11-18'")
    kept = kept_days(lake, CAUSES)
    assert kept is not None
    assert (kept.days, dict(kept.gone)) == ({SECOND}, {FIRST: 3})
    assert kept.known_since is not None


@pytest.mark.parametrize("table", [EVENTS, LEDGER, "audit/access"])
def test_tables_of_records_keep_their_commits_for_twenty_years(lake: Lake, table: str) -> None:
    schema = lake.schema(table)
    values = {
        "VARCHAR": "x",
        "BIGINT": 1,
        "BOOLEAN": True,
        "VARCHAR[]": [],
        "TIMESTAMPTZ": 0,
        "DATE": FIRST,
        "DOUBLE": 1.0,
    }
    row = {column.name: values[column.sql_type] if column.required else None for column in schema.columns}
    lake.append(table, FIRST, pa.Table.from_pylist([row | {"day": FIRST}], schema.arrow))
    properties = DeltaTable(lake.root / table).metadata().configuration
    assert properties["delta.logRetentionDuration"] == "interval 7300 days"
    kept = kept_days(lake, table)
    assert kept is not None
    assert kept.is_append_only is schema.append_only
