"""Two files of a day may bring the same row: the one that came first keeps it, whatever the order of the runs."""

from __future__ import annotations

import json
import os
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from small_firm import DAY, SYSTEM, FirmOf, SmallFirm, instance

from omgov_assets.admission.ledger import LEDGER
from omgov_assets.quality_policy.violations import VIOLATIONS

DATASET = "metric_instances"
TABLE = f"{SYSTEM}/{DATASET}"

# Three files in the order in which they come: the second overlaps the first, the third overlaps both.
FILES = {
    "a.csv": [instance(ci="H1"), instance(ci="H2")],
    "b.csv": [instance(ci="H2"), instance(ci="H3"), instance(ci=None)],
    "c.csv": [instance(ci="H3", sample_max=95.0), instance(ci="H4")],
}


def deliver(firm: SmallFirm, name: str, records: list[dict[str, object]] | None = None, at: int | None = None) -> Path:
    path = firm.deliver(SYSTEM, DATASET, FILES[name] if records is None else records, name=name)
    moment = 1_790_000_000 + (list(FILES).index(name) if at is None else at)
    os.utime(path, (moment, moment))
    return path


def collect(firm: SmallFirm) -> dict[str, dict[str, Any]]:
    return {e["file_name"].rpartition("/")[2]: e for e in firm.collect(SYSTEM, DAY, DATASET)[DATASET]}


def hosts(firm: SmallFirm) -> list[tuple[str, str]]:
    """Hosts in the lake with the file that brought them."""
    told = firm.rows(LEDGER, "batch_id, file_name, decision")
    files = {batch: name.rpartition("/")[2] for batch, name, decision in told if decision in {"admitted", "partial"}}
    return sorted((ci, files[batch]) for ci, batch in firm.rows(TABLE, "ci_id, _batch_id"))


def content(firm: SmallFirm) -> dict[str, list[tuple[Any, ...]]]:
    versions = "* EXCLUDE (data_version, quarantine_version)"
    return {
        TABLE: firm.rows(TABLE),
        "quarantine": firm.rows(f"{TABLE}_quarantine"),
        LEDGER: firm.rows(LEDGER, versions),
        VIOLATIONS: firm.rows(VIOLATIONS, "* EXCLUDE (data_version)"),
    }


def test_a_row_that_came_before_is_quarantined_with_the_batch_that_brought_it(firm_of: FirmOf) -> None:
    firm = firm_of("csv")
    for name in FILES:
        deliver(firm, name)
    entries = collect(firm)
    assert hosts(firm) == [("H1", "a.csv"), ("H2", "a.csv"), ("H3", "b.csv"), ("H4", "c.csv")]
    assert [(e["rows_in"], e["rows_admitted"], e["rows_quarantined"]) for e in entries.values()] == [
        (2, 2, 0), (3, 1, 2), (2, 1, 1),
    ]  # fmt: skip
    a, b, c = (entries[name]["batch_id"] for name in FILES)
    told = {(batch, n): (codes, reason) for batch, n, codes, reason in
            firm.rows(f"{TABLE}_quarantine", "_batch_id, _record_no, reasons, reason")}  # fmt: skip
    assert told[b, 1] == (["delivered_before"], f"the row is held already: batch {a}, record 2")
    assert told[c, 1] == (
        ["contradicts_earlier_batch"],
        f"a row of the same key but other content is held already: batch {b}, record 2",
    )


@pytest.mark.parametrize("order", list(permutations(FILES)), ids=lambda order: "".join(name[0] for name in order))
def test_it_does_not_matter_in_which_runs_files_are_taken(
    firm_of: FirmOf, tmp_path: Path, order: tuple[str, ...]
) -> None:
    together = firm_of("csv")
    for name in FILES:
        deliver(together, name)
    collect(together)
    apart = together.at(tmp_path / "apart")
    for name in order:
        deliver(apart, name)
        collect(apart)
    assert content(apart) == content(together)
    settled = content(apart)
    collect(apart)
    assert content(apart) == settled


def test_a_correction_of_the_first_file_frees_the_rows_of_the_second(firm_of: FirmOf) -> None:
    firm = firm_of("csv")
    deliver(firm, "a.csv")
    deliver(firm, "b.csv")
    collect(firm)
    deliver(firm, "a.csv", [instance(ci="H1")])
    entries = collect(firm)
    assert hosts(firm) == [("H1", "a.csv"), ("H2", "b.csv"), ("H3", "b.csv")]
    assert json.loads(entries["b.csv"]["quarantine_reasons"]) == {"required_missing:ci": 1}


def test_a_corrected_file_leaves_the_rows_of_the_same_bytes_under_another_name(firm_of: FirmOf) -> None:
    firm = firm_of("csv")
    deliver(firm, "a.csv")
    deliver(firm, "b.csv", FILES["a.csv"])
    assert collect(firm)["b.csv"]["decision"] == "repeated"
    deliver(firm, "b.csv", [instance(ci="H5")])
    collect(firm)
    assert hosts(firm) == [("H1", "a.csv"), ("H2", "a.csv"), ("H5", "b.csv")]
    # Of the other file's rows it must not bring any again.
    deliver(firm, "b.csv", [instance(ci="H6"), instance(ci="H1")])
    collect(firm)
    assert hosts(firm) == [("H1", "a.csv"), ("H2", "a.csv"), ("H6", "b.csv")]


def test_the_other_file_of_the_same_bytes_stands_in_once_the_first_is_corrected(firm_of: FirmOf) -> None:
    firm = firm_of("csv")
    deliver(firm, "a.csv")
    deliver(firm, "b.csv", FILES["a.csv"])
    collect(firm)
    deliver(firm, "a.csv", [instance(ci="H1", sample_max=91.0)])
    entries = collect(firm)
    assert entries["b.csv"]["decision"] == "partial"
    assert hosts(firm) == [("H1", "a.csv"), ("H2", "b.csv")]


def test_a_renamed_file_is_the_same_batch(firm_of: FirmOf) -> None:
    firm = firm_of("csv")
    path = deliver(firm, "a.csv")
    first = collect(firm)["a.csv"]
    version = firm.lake.version(TABLE)
    path.rename(path.with_name("renamed.csv"))
    assert collect(firm) == {"renamed.csv": {**first, "file_name": first["file_name"].replace("a.csv", "renamed.csv")}}
    assert firm.lake.version(TABLE) == version


def test_a_file_that_brings_nothing_new_is_refused_as_a_whole(firm_of: FirmOf) -> None:
    firm = firm_of("csv")
    deliver(firm, "a.csv")
    deliver(firm, "b.csv", list(reversed(FILES["a.csv"])))
    entry = collect(firm)["b.csv"]
    assert (entry["decision"], entry["reason_code"], entry["rows_in"]) == ("refused", "no_sound_record", 2)
    assert "the row is held already: batch" in entry["reason"]
    assert entry["reason"].endswith("; nothing is lost and nothing is to be done")
    assert hosts(firm) == [("H1", "a.csv"), ("H2", "a.csv")]


def test_a_file_that_contradicts_another_is_to_come_under_its_name(firm_of: FirmOf) -> None:
    firm = firm_of("csv")
    deliver(firm, "a.csv")
    deliver(firm, "b.csv", [row | {"sample_max": 95.0} for row in FILES["a.csv"]])
    entry = collect(firm)["b.csv"]
    assert (entry["decision"], entry["reason_code"]) == ("refused", "no_sound_record")
    assert entry["reason"].endswith("; where it is a correction, deliver it under the name of the file that came first")


def test_a_repeated_file_is_a_violation_of_its_dataset(firm_of: FirmOf) -> None:
    firm = firm_of("csv")
    deliver(firm, "a.csv")
    deliver(firm, "b.csv", FILES["a.csv"])
    collect(firm)
    assert firm.rows(VIOLATIONS, "policy_id, anomaly_type, subject_kind, subject_key, observed") == [
        (
            "admission.repeated_delivery",
            "repeated_delivery",
            "dataset",
            DATASET,
            "b.csv is byte for byte a.csv of the same day; it counts once",
        )
    ]
