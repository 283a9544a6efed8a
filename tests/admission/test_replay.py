"""What was refused comes in once the contract, the model or a policy is mended: under its own day, batch and number."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_firm import DAY, SYSTEM, FirmOf, SmallFirm, build_small_firm, instance

from omgov_assets.admission.ledger import LEDGER
from omgov_assets.admission.replay import ReplayedBatch, Selection, replay
from omgov_assets.data_lake.lake import Lake
from omgov_assets.quality_policy.violations import VIOLATIONS

DATASET = "metric_instances"
TABLE = f"{SYSTEM}/{DATASET}"
TABLES = (TABLE, f"{TABLE}_quarantine", LEDGER, VIOLATIONS)


@pytest.fixture
def firm_of_any(tmp_path: Path) -> Callable[[str], SmallFirm]:
    """A firm of the test's own, whose files may be changed."""
    return lambda delivers: build_small_firm(tmp_path, delivers)


def collect(firm: SmallFirm) -> list[dict[str, Any]]:
    return firm.collect(SYSTEM, DAY, DATASET)[DATASET]


def replayed(firm: SmallFirm, **selection: Any) -> list[ReplayedBatch]:
    governance = firm.governance
    system = governance.systems[SYSTEM]
    return replay(
        firm.lake, governance, system, system.datasets[DATASET], firm.settings.landing, Selection(**selection)
    )


def admitted(firm: SmallFirm) -> dict[int, str]:
    return dict(firm.rows(TABLE, "_record_no, ci_id"))


def quarantined(firm: SmallFirm) -> dict[int, list[str]]:
    return dict(firm.rows(f"{TABLE}_quarantine", "_record_no, reasons"))


def content(firm: SmallFirm) -> dict[str, list[tuple[Any, ...]]]:
    return {table: firm.rows(table, day=None) for table in TABLES}


def versions(firm: SmallFirm) -> dict[str, int | None]:
    return {table: firm.lake.version(table) for table in TABLES[:3]}


def edit(firm: SmallFirm, name: str, old: str, new: str) -> None:
    path = firm.system_folder / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def require_collector(firm: SmallFirm, required: bool) -> None:
    names = "- name: collector\n", "- name: collector\n        required: true\n"
    edit(firm, f"{DATASET}.odcs.yaml", *(names if required else reversed(names)))


RECORDS = [
    instance(ci="H1"),
    instance(ci="H2", collector=None, device="sda"),
    instance(ci=None, collector=None),
    instance(ci="H4", sample_max=0.1 + 0.2),
    instance(ci="H5", collector=None, sample_mean=1e-300, sample_count=2**53 + 1),
]


@pytest.mark.parametrize("landed", [True, False], ids=["file still there", "file gone"])
@pytest.mark.parametrize("delivers", ["csv", "csv-gbk", "ndjson", "json", "parquet", "sqlite"])
def test_records_come_in_as_if_the_contract_had_been_right_from_the_first(
    firm_of_any: Callable[[str], SmallFirm], delivers: str, landed: bool
) -> None:
    firm = firm_of_any(delivers)
    require_collector(firm, True)
    path = firm.deliver(SYSTEM, DATASET, RECORDS)
    collect(firm)
    assert (sorted(admitted(firm)), sorted(quarantined(firm))) == ([1, 4], [2, 3, 5])
    require_collector(firm, False)
    right = firm.at(firm.settings.home.parent / "right")
    right.deliver(SYSTEM, DATASET, path.read_bytes())
    collect(right)
    if not landed:
        path.unlink()
    [batch] = replayed(firm)
    assert (batch.replayed, batch.admitted, batch.refused) == (3, 2, 1)
    assert batch.reasons == {"required_missing:ci": 1}
    assert firm.rows(TABLE) == right.rows(TABLE)
    assert firm.rows(VIOLATIONS, "subject_key, observed") == right.rows(VIOLATIONS, "subject_key, observed")
    assert quarantined(firm) == {3: ["required_missing:ci"]}
    told = "decision, rows_in, rows_admitted, rows_quarantined, quarantine_reasons"
    assert firm.rows(LEDGER, told) == right.rows(LEDGER, told)
    assert firm.rows(LEDGER, "rows_replayed") == [(2,)]


def test_replaying_twice_changes_nothing(firm: SmallFirm) -> None:
    require_collector(firm, True)
    firm.deliver(SYSTEM, DATASET, RECORDS)
    collect(firm)
    require_collector(firm, False)
    replayed(firm)
    before, version = content(firm), versions(firm)
    [batch] = replayed(firm)
    assert (batch.replayed, batch.admitted, batch.refused) == (1, 0, 1)
    assert (content(firm), versions(firm)) == (before, version)


def test_a_day_that_is_run_again_after_a_replay_ends_where_the_replay_did(firm: SmallFirm) -> None:
    require_collector(firm, True)
    firm.deliver(SYSTEM, DATASET, RECORDS)
    collect(firm)
    require_collector(firm, False)
    replayed(firm)
    rows, held = firm.rows(TABLE), quarantined(firm)
    collect(firm)
    assert (firm.rows(TABLE), quarantined(firm)) == (rows, held)


def test_only_records_of_the_chosen_reason_are_replayed(firm: SmallFirm) -> None:
    require_collector(firm, True)
    firm.deliver(SYSTEM, DATASET, [*RECORDS, instance(ci="H6", interval_s="soon")])
    collect(firm)
    require_collector(firm, False)
    assert replayed(firm, reason="dropped_by_model") == []
    [batch] = replayed(firm, reason="not_convertible")
    assert (batch.replayed, batch.admitted, batch.reasons) == (1, 0, {"not_convertible:interval_s": 1})
    [batch] = replayed(firm, reason="required_missing:collector")
    assert (batch.replayed, batch.admitted) == (3, 2)
    assert sorted(quarantined(firm)) == [3, 6]


def test_only_the_chosen_batch_is_replayed(firm: SmallFirm) -> None:
    require_collector(firm, True)
    firm.deliver(SYSTEM, DATASET, RECORDS[:2], name="a.csv")
    firm.deliver(SYSTEM, DATASET, [RECORDS[3], instance(ci="H9", collector=None)], name="b.csv")
    first, second = collect(firm)
    require_collector(firm, False)
    [batch] = replayed(firm, batch_id=second["batch_id"])
    assert (batch.batch_id, batch.admitted) == (second["batch_id"], 1)
    assert firm.rows(f"{TABLE}_quarantine", "_batch_id") == [(first["batch_id"],)]


def test_a_record_that_stays_refused_has_the_reason_of_today(firm: SmallFirm) -> None:
    firm.deliver(SYSTEM, DATASET, [instance(ci="H1"), instance(ci=None), instance(ci=None, collector=None)])
    collect(firm)
    require_collector(firm, True)
    replayed(firm)
    assert quarantined(firm) == {
        2: ["required_missing:ci"],
        3: ["required_missing:ci", "required_missing:collector"],
    }


def test_a_mended_model_takes_in_what_it_had_dropped(firm: SmallFirm) -> None:
    edit(firm, f"{DATASET}.sql", "FROM source", "FROM source WHERE ci <> 'H2'")
    firm.deliver(SYSTEM, DATASET, [instance(ci="H1"), instance(ci="H2")])
    collect(firm)
    assert quarantined(firm) == {2: ["dropped_by_model"]}
    edit(firm, f"{DATASET}.sql", "FROM source WHERE ci <> 'H2'", "FROM source")
    assert replayed(firm)[0].admitted == 1
    assert admitted(firm) == {1: "H1", 2: "H2"}
    assert (quarantined(firm), firm.rows(VIOLATIONS)) == ({}, [])


def test_a_key_that_the_contract_has_learnt_comes_in(firm_of_any: Callable[[str], SmallFirm]) -> None:
    firm = firm_of_any("ndjson")
    records = [json.dumps(instance(ci=f"H{n}"), ensure_ascii=False) for n in (1, 2, 3)]
    records[1] = records[1][:-1] + ', "机房": "A座"}'
    records[2] = records[2][:-1] + ', "ci": "H9"}'
    firm.deliver(SYSTEM, DATASET, "\n".join([*records, "{"]) + "\n")
    collect(firm)
    assert quarantined(firm) == {2: ["unexpected_key"], 3: ["duplicate_key"], 4: ["broken_json"]}
    contract = firm.system_folder / f"{DATASET}.odcs.yaml"
    contract.write_text(
        contract.read_text() + '      - name: 机房\n        physicalType: VARCHAR\n        classification: "1"\n'
    )
    [batch] = replayed(firm)
    assert (batch.replayed, batch.admitted) == (3, 1)
    assert batch.reasons == {"broken_json": 1, "duplicate_key": 1}
    assert admitted(firm) == {1: "H1", 2: "H2"}


def test_a_ragged_record_stays_as_it_was(firm_of: FirmOf) -> None:
    firm = firm_of("csv")
    path = firm.deliver(SYSTEM, DATASET, [instance(ci="H1")])
    path.write_text(path.read_text() + "cpu,H2\n")
    collect(firm)
    before, version = content(firm), versions(firm)
    [batch] = replayed(firm)
    assert (batch.admitted, batch.reasons) == (0, {"ragged_record": 1})
    assert (content(firm), versions(firm)) == (before, version)


def test_a_row_that_another_batch_brought_is_not_replayed_into_the_lake(firm_of: FirmOf) -> None:
    firm = firm_of("csv")
    firm.deliver(SYSTEM, DATASET, [instance(ci="H1")], name="a.csv")
    firm.deliver(SYSTEM, DATASET, [instance(ci="H1", sample_max=91.0), instance(ci="H2")], name="b.csv")
    collect(firm)
    [batch] = replayed(firm)
    assert (batch.admitted, batch.reasons) == (0, {"contradicts_earlier_batch": 1})
    assert len(firm.rows(TABLE)) == 2


def test_a_batch_that_was_refused_as_a_whole_is_read_again(firm: SmallFirm) -> None:
    column = '      - name: collector\n        physicalType: VARCHAR\n        classification: "1"\n'
    edit(firm, f"{DATASET}.odcs.yaml", column, "")
    edit(firm, f"{DATASET}.sql", "interval_s, collector", "interval_s, NULL::VARCHAR AS collector")
    firm.deliver(SYSTEM, DATASET, RECORDS)
    [entry] = collect(firm)
    assert (entry["decision"], entry["reason_code"]) == ("refused", "extra_column")
    [batch] = replayed(firm)
    assert (batch.admitted, batch.remark) == (0, entry["reason"])
    edit(firm, f"{DATASET}.odcs.yaml", "      - name: first_seen\n", f"{column}      - name: first_seen\n")
    assert replayed(firm, reason="missing_column") == []
    [batch] = replayed(firm, reason="extra_column")
    assert (batch.replayed, batch.admitted, batch.reasons) == (5, 4, {"required_missing:ci": 1})
    assert sorted(admitted(firm)) == [1, 2, 4, 5]
    assert firm.rows(VIOLATIONS, "anomaly_type") == [("refused_record",)]


def test_a_refused_batch_whose_file_is_gone_says_so(firm_of: FirmOf) -> None:
    firm = firm_of("csv")
    path = firm.deliver(SYSTEM, DATASET, "metric,ci\ncpu,H1\n")
    collect(firm)
    path.unlink()
    [batch] = replayed(firm)
    assert "is no longer in the landing folder; ask the business system" in (batch.remark or "")


def test_a_model_that_does_not_run_leaves_everything_as_it_is(firm: SmallFirm) -> None:
    firm.deliver(SYSTEM, DATASET, RECORDS)
    collect(firm)
    before, version = content(firm), versions(firm)
    edit(firm, f"{DATASET}.sql", "interval_s, collector", "interval_s, no_such_column AS collector")
    [batch] = replayed(firm)
    assert batch.admitted == 0
    assert "no_such_column" in (batch.remark or "")
    assert (content(firm), versions(firm)) == (before, version)


class Crash(BaseException):
    """Stands for the end of the process: nothing may catch it."""


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_crash_within_a_replay_and_a_replay_again_give_the_undisturbed_lake(
    firm: SmallFirm, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, table: str, moment: str
) -> None:
    require_collector(firm, True)
    undisturbed = firm.at(tmp_path / "undisturbed")
    for one in (firm, undisturbed):
        one.deliver(SYSTEM, DATASET, RECORDS)
        collect(one)
    require_collector(firm, False)
    replayed(undisturbed)
    write = Lake.replace

    def write_and_crash(lake: Lake, name: str, *args: Any, **kwargs: Any) -> int:
        if name == table and moment == "before":
            raise Crash
        version = write(lake, name, *args, **kwargs)
        if name == table:
            raise Crash
        return version

    monkeypatch.setattr(Lake, "replace", write_and_crash)
    with pytest.raises(Crash):
        replayed(firm)
    monkeypatch.undo()
    replayed(firm)
    kept = "* EXCLUDE (received_at, data_version, quarantine_version, rows_replayed)"
    for name in (TABLE, f"{TABLE}_quarantine"):
        assert firm.rows(name) == undisturbed.rows(name)
    assert firm.rows(LEDGER, kept) == undisturbed.rows(LEDGER, kept)
