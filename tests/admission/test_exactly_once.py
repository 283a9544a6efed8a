"""Whatever is delivered again, corrected, or interrupted: the lake ends up with each record once."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from small_firm import DAY, SYSTEM, FirmOf, SmallFirm, instance

from omgov_assets.admission.ledger import LEDGER
from omgov_assets.data_lake.lake import Lake
from omgov_assets.quality_policy.violations import VIOLATIONS

DATASET = "metric_instances"
TABLE = f"{SYSTEM}/{DATASET}"
TABLES = (TABLE, f"{TABLE}_quarantine", LEDGER, VIOLATIONS)

# Each with a record for the quarantine: what replaces one must replace the other.
FIRST = [instance(ci="H1"), instance(ci=None), instance(ci="H3")]
SECOND = [instance(ci="H1", sample_max=91.0), instance(ci="H2"), instance(ci="H3"), instance(metric=None)]


def collect(firm: SmallFirm) -> list[dict[str, Any]]:
    return firm.collect(SYSTEM, DAY, DATASET)[DATASET]


def decisions(firm: SmallFirm) -> dict[str, str]:
    """Decision by batch, as the ledger has it."""
    return dict(firm.rows(LEDGER, "batch_id, decision"))


def held(firm: SmallFirm) -> dict[str, set[tuple[str, int]]]:
    """Records of the dataset and of its quarantine."""
    return {
        "admitted": set(firm.rows(TABLE, "_batch_id, _record_no")),
        "quarantined": set(firm.rows(f"{TABLE}_quarantine", "_batch_id, _record_no")),
    }


def content(firm: SmallFirm) -> dict[str, list[tuple[Any, ...]]]:
    return {table: firm.rows(table, day=None) for table in TABLES}


def versions(firm: SmallFirm) -> dict[str, int | None]:
    return {table: firm.lake.version(table) for table in TABLES[:2]}


def test_a_batch_delivered_twice_is_admitted_once(firm_of: FirmOf) -> None:
    firm = firm_of("csv")
    firm.deliver(SYSTEM, DATASET, FIRST)
    entries = collect(firm)
    before, version = content(firm), versions(firm)
    firm.deliver(SYSTEM, DATASET, FIRST)
    assert collect(firm) == entries
    assert (content(firm), versions(firm)) == (before, version)


def test_the_same_bytes_under_two_names_are_admitted_once(firm_of: FirmOf) -> None:
    firm = firm_of("csv")
    firm.deliver(SYSTEM, DATASET, FIRST, name="a.csv")
    firm.deliver(SYSTEM, DATASET, FIRST, name="b.csv")
    entry, repetition = collect(firm)
    assert held(firm)["admitted"] == {(entry["batch_id"], 1), (entry["batch_id"], 3)}
    assert (repetition["decision"], repetition["rows_admitted"]) == ("repeated", 0)
    assert repetition["reason"] == "b.csv is byte for byte a.csv of the same day; it counts once"
    before = content(firm)
    assert collect(firm) == [entry, repetition]
    assert content(firm) == before


def test_two_files_of_a_day_are_two_batches(firm_of: FirmOf) -> None:
    firm = firm_of("csv")
    firm.deliver(SYSTEM, DATASET, FIRST, name="a.csv")
    firm.deliver(SYSTEM, DATASET, [instance(ci="H4"), instance(ci=None), instance(ci="H5")], name="b.csv")
    first, second = collect(firm)
    assert held(firm) == {
        "admitted": {(batch["batch_id"], n) for batch in (first, second) for n in (1, 3)},
        "quarantined": {(batch["batch_id"], 2) for batch in (first, second)},
    }


def test_a_corrected_file_replaces_the_earlier_one(firm_of: FirmOf) -> None:
    firm = firm_of("csv")
    firm.deliver(SYSTEM, DATASET, FIRST)
    [first] = collect(firm)
    firm.deliver(SYSTEM, DATASET, SECOND)
    entries = {entry["batch_id"]: entry for entry in collect(firm)}
    replaced = entries.pop(first["batch_id"])
    [(second, entry)] = entries.items()
    assert (replaced["decision"], replaced["reason"]) == ("superseded", f"replaced by batch {second}")
    assert entry["decision"] == "partial"
    assert held(firm) == {"admitted": {(second, n) for n in (1, 2, 3)}, "quarantined": {(second, 4)}}
    assert firm.rows(VIOLATIONS, "anomaly_type, batch_id") == [("refused_record", second)]


def test_a_file_corrected_back_to_what_it_was_is_admitted_again(firm_of: FirmOf) -> None:
    firm = firm_of("csv")
    firm.deliver(SYSTEM, DATASET, FIRST)
    [first] = collect(firm)
    before = held(firm)
    firm.deliver(SYSTEM, DATASET, SECOND)
    collect(firm)
    firm.deliver(SYSTEM, DATASET, FIRST)
    collect(firm)
    assert held(firm) == before
    assert decisions(firm).pop(first["batch_id"]) == "partial"
    assert sorted(decisions(firm).values()) == ["partial", "superseded"]


def test_a_correction_without_refused_records_empties_the_quarantine(firm_of: FirmOf) -> None:
    firm = firm_of("csv")
    firm.deliver(SYSTEM, DATASET, FIRST)
    collect(firm)
    firm.deliver(SYSTEM, DATASET, [instance(ci="H1")])
    collect(firm)
    assert held(firm)["quarantined"] == set()
    assert firm.rows(VIOLATIONS) == []


def test_a_correction_that_is_refused_leaves_the_earlier_file_in_force(firm_of: FirmOf) -> None:
    firm = firm_of("csv")
    firm.deliver(SYSTEM, DATASET, FIRST)
    [first] = collect(firm)
    before, version = held(firm), versions(firm)
    firm.deliver(SYSTEM, DATASET, "metric,ci\ncpu,H1\n")
    collect(firm)
    assert (held(firm), versions(firm)) == (before, version)
    assert sorted(decisions(firm).values()) == ["partial", "refused"]
    firm.deliver(SYSTEM, DATASET, SECOND)
    collect(firm)
    assert decisions(firm)[first["batch_id"]] == "superseded"
    assert sorted(decisions(firm).values()) == ["partial", "superseded", "superseded"]


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def change_model(firm: SmallFirm) -> None:
    edit(
        firm.system_folder / f"{DATASET}.sql",
        "interval_s, collector",
        "interval_s * 2 AS interval_s, collector",
    )


def change_mapping(firm: SmallFirm) -> None:
    edit(firm.system_folder / "metric_mappings.yaml", "system.cpu.utilization", "system.memory.utilization")


def change_units(firm: SmallFirm) -> None:
    path = firm.settings.project / "governance" / "standard" / "unit_spellings.yaml"
    edit(path, "spellings:\n", 'spellings:\n  "Hundertstel": "%"\n')


def change_contract(firm: SmallFirm) -> None:
    edit(
        firm.system_folder / f"{DATASET}.odcs.yaml",
        "- name: collector\n",
        "- name: collector\n        required: true\n",
    )


@pytest.mark.parametrize(
    ("change", "column", "before", "after"),
    [
        (change_model, "interval_s", 60, 120),
        (change_mapping, "metric", "system.cpu.utilization", "system.memory.utilization"),
        (change_units, "unit_status", "unknown", "ok"),
    ],
)
def test_what_the_firm_decides_anew_holds_for_a_batch_that_is_in_the_lake(
    firm: SmallFirm, change: Callable[[SmallFirm], None], column: str, before: Any, after: Any
) -> None:
    firm.deliver(SYSTEM, DATASET, [instance(ci="H1", unit="Hundertstel"), instance(ci=None)])
    collect(firm)
    assert firm.rows(TABLE, column) == [(before,)]
    change(firm)
    [entry] = collect(firm)
    assert entry["decision"] == "partial"
    assert firm.rows(TABLE, column) == [(after,)]
    assert len(held(firm)["quarantined"]) == 1


def test_a_changed_contract_moves_records_between_lake_and_quarantine(firm: SmallFirm) -> None:
    firm.deliver(SYSTEM, DATASET, [instance(ci="H1"), instance(ci="H2", collector=None), instance(ci=None)])
    [entry] = collect(firm)
    batch_id = entry["batch_id"]
    assert held(firm) == {"admitted": {(batch_id, 1), (batch_id, 2)}, "quarantined": {(batch_id, 3)}}
    change_contract(firm)
    [entry] = collect(firm)
    assert entry["decision"] == "partial"
    assert held(firm) == {"admitted": {(batch_id, 1)}, "quarantined": {(batch_id, 2), (batch_id, 3)}}
    assert json.loads(entry["quarantine_reasons"]) == {
        "required_missing:ci": 1,
        "required_missing:collector": 1,
    }


def test_a_batch_that_a_new_model_refuses_leaves_the_lake_until_the_model_is_corrected(
    firm: SmallFirm,
) -> None:
    firm.deliver(SYSTEM, DATASET, FIRST)
    collect(firm)
    before = content(firm)
    model = firm.system_folder / f"{DATASET}.sql"
    sound = model.read_text()
    edit(model, "metric AS source_metric", "no_such_column AS source_metric")
    for _ in range(2):
        [entry] = collect(firm)
        assert (entry["decision"], entry["reason_code"]) == ("refused", "model_unsound")
        assert held(firm) == {"admitted": set(), "quarantined": set()}
        version = versions(firm)
    assert versions(firm) == version
    assert firm.rows(VIOLATIONS, "anomaly_type") == [("refused_batch",)]
    model.write_text(sound)
    collect(firm)
    after = content(firm)
    for table in (TABLE, f"{TABLE}_quarantine"):
        assert after[table] == before[table]


class Crash(BaseException):
    """Stands for the end of the process: nothing may catch it."""


@pytest.fixture
def crash_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Makes the next write to a table end the process before or after its commit."""
    replace = Lake.replace

    def arm(table: str, moment: str) -> None:
        def replace_and_crash(lake: Lake, name: str, *args: Any, **kwargs: Any) -> int:
            if name == table and moment == "before":
                raise Crash
            version = replace(lake, name, *args, **kwargs)
            if name == table:
                raise Crash
            return version

        monkeypatch.setattr(Lake, "replace", replace_and_crash)

    return arm


@dataclass(frozen=True)
class History:
    """What a file name brought one after the other: the firm before and after the last was taken in."""

    before: SmallFirm
    after: SmallFirm


@pytest.fixture(scope="module")
def history_of(projects: FirmOf, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], History]:
    @cache
    def history(files: str) -> History:
        folder = tmp_path_factory.mktemp(files)
        firm, before = projects("csv").at(folder / "after"), projects("csv").at(folder / "before")
        for number, file in enumerate(files):
            path = firm.deliver(SYSTEM, DATASET, {"A": FIRST, "B": SECOND}[file])
            os.utime(path, (1_790_000_000 + number,) * 2)
            if number == len(files) - 1:
                shutil.copytree(firm.settings.home, before.settings.home)
            collect(firm)
        return History(before, firm)

    return history


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(("files", "moment"), [("A", "before"), ("AB", "before"), ("AB", "after"), ("ABA", "after")])
def test_a_crash_at_any_write_and_a_run_again_give_the_undisturbed_lake(
    history_of: Callable[[str], History],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    crash_at: Callable[[str, str], None],
    files: str,
    table: str,
    moment: str,
) -> None:
    history = history_of(files)
    firm = history.before.at(tmp_path / "home")
    shutil.copytree(history.before.settings.home, firm.settings.home)
    crash_at(table, moment)
    with pytest.raises(Crash):
        collect(firm)
    monkeypatch.undo()
    collect(firm)
    assert content(firm) == content(history.after)
    assert versions(firm) == versions(history.after)
