"""`omgov lake doctor` finds what a power cut, a deleted file or a hand in the lake has done."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from small_firm import DAY, SYSTEM, FirmOf, SmallFirm, instance

from omgov_assets.admission.reconciliation import examine_lake

DATASET = "metric_instances"
TABLE = f"{SYSTEM}/{DATASET}"


@pytest.fixture
def governed(firm_of: FirmOf) -> SmallFirm:
    """A firm with a day of instances in the lake, some of them in the quarantine."""
    firm = firm_of("csv")
    firm.deliver(SYSTEM, DATASET, [instance(ci="H1"), instance(ci=None), instance(ci="H3"), instance(metric=None)])
    firm.deliver(SYSTEM, "metric_definitions", [{"metric": "cpu", "unit": "%", "interval_s": 60}])
    firm.collect()
    assert examine_lake(firm.lake) == []
    return firm


def last_commit(firm: SmallFirm, table: str) -> Path:
    return max((firm.settings.lake / table / "_delta_log").glob("*.json"))


def only(findings: list[dict[str, Any]]) -> dict[str, Any]:
    [finding] = findings
    assert finding["remedy"]
    return finding


def test_a_lake_that_was_never_written_is_sound(firm_of: FirmOf) -> None:
    assert examine_lake(firm_of("csv").lake) == []


@pytest.mark.parametrize("table", [TABLE, f"{TABLE}_quarantine", "admission/ledger", "quality/violations"])
def test_a_torn_last_commit_is_found(governed: SmallFirm, table: str) -> None:
    commit = last_commit(governed, table)
    commit.write_bytes(b"")
    finding = only(examine_lake(governed.lake))
    assert (finding["table"], finding["fault"], finding["detail"]) == (
        table,
        "torn commit",
        f"{commit.name}: empty",
    )


def test_a_commit_that_is_cut_off_is_found(governed: SmallFirm) -> None:
    commit = last_commit(governed, TABLE)
    commit.write_bytes(commit.read_bytes()[:-20])
    finding = only(examine_lake(governed.lake))
    assert finding["table"] == TABLE
    assert "is cut off" in finding["detail"]


def test_a_commit_with_characters_that_end_lines_of_text_is_not_cut_off(governed: SmallFirm) -> None:
    event = {"day": DAY, "event_id": "a\u2028b", "seq": 1, "case_id": "c", "kind": "commented", "acted_by": "x"}
    schema = governed.lake.schema("exceptions/case_events").arrow
    rows = pa.Table.from_pylist([event | {"payload": "{}", "happened_at": datetime(2026, 11, 20, tzinfo=UTC)}], schema)
    governed.lake.append("exceptions/case_events", DAY, rows)
    assert "\u2028" in last_commit(governed, "exceptions/case_events").read_text(encoding="utf-8")
    assert examine_lake(governed.lake) == []


def test_the_remedy_of_a_torn_commit_heals_it(governed: SmallFirm) -> None:
    before = governed.rows(TABLE)
    commit = last_commit(governed, TABLE)
    commit.write_bytes(b"")
    assert only(examine_lake(governed.lake))["remedy"].startswith(f"delete {commit.name}")
    commit.unlink()
    # The ledger promises rows that are gone: admitting the batch again must not be skipped.
    assert examine_lake(governed.lake) != []
    governed.collect()
    assert governed.rows(TABLE) == before
    assert examine_lake(governed.lake) == []


@pytest.mark.parametrize("table", [TABLE, f"{TABLE}_quarantine", "quality/violations"])
def test_a_deleted_data_file_is_found(governed: SmallFirm, table: str) -> None:
    [file] = governed.lake.files(table)
    file.unlink()
    finding = only(examine_lake(governed.lake))
    assert (finding["table"], finding["fault"]) == (table, "missing file")
    assert finding["detail"] == file.relative_to(governed.settings.lake / table).as_posix()


@pytest.mark.parametrize(("table", "held", "promised"), [(TABLE, 1, 2), (f"{TABLE}_quarantine", 0, 2)])
def test_rows_deleted_behind_the_ledgers_back_are_found(
    governed: SmallFirm, table: str, held: int, promised: int
) -> None:
    predicate = "_record_no = 3" if table == TABLE else "true"
    governed.lake.open(table).delete(predicate)
    finding = only(examine_lake(governed.lake))
    assert (finding["table"], finding["fault"]) == (table, "rows differ")
    [(batch_id,)] = governed.rows("admission/ledger", ["DISTINCT batch_id", ""][0])[-1:] or [("",)]
    assert finding["detail"].endswith(f": {held} rows, {promised} in admission/ledger")
    assert batch_id


def test_rows_that_no_ledger_entry_accounts_for_are_found(governed: SmallFirm) -> None:
    lake = governed.lake
    with lake.connect() as con:
        lake.register(con, "rows", TABLE, DAY)
        stray = con.sql("SELECT * REPLACE ('stray' AS _batch_id) FROM rows").to_arrow_table()
    lake.replace(TABLE, DAY, stray, where={"_batch_id": "stray"})
    assert only(examine_lake(lake))["detail"] == f"batch {DAY} stray: 2 rows, 0 in admission/ledger"


def test_rows_of_a_dataset_that_the_ledger_does_not_know_at_all_are_found(governed: SmallFirm) -> None:
    lake = governed.lake
    schema = lake.schema("cmdb/support_groups").arrow
    row = {
        "day": DAY,
        "system": "cmdb",
        "support_group_id": "G1",
        "name": "x",
        "_batch_id": "stray",
        "_record_no": 1,
    }
    lake.replace("cmdb/support_groups", DAY, pa.Table.from_pylist([row], schema=schema))
    assert only(examine_lake(lake))["table"] == "cmdb/support_groups"


def test_a_ledger_that_lost_its_entries_is_found(governed: SmallFirm) -> None:
    governed.lake.open("admission/ledger").delete("dataset = 'metric_instances'")
    assert {finding["table"] for finding in examine_lake(governed.lake)} == {TABLE, f"{TABLE}_quarantine"}


def test_a_commit_missing_in_the_middle_is_found(governed: SmallFirm) -> None:
    log = governed.settings.lake / "admission" / "ledger" / "_delta_log"
    (log / f"{1:020d}.json").unlink()
    finding = only(examine_lake(governed.lake))
    assert (finding["table"], finding["fault"]) == ("admission/ledger", "missing commit")
