"""A received delivery is whole, durable and named by its content, or nothing of it is there."""

from __future__ import annotations

import hashlib
import os
from datetime import date
from pathlib import Path

import pytest
from killed import killed_at
from small_firm import DAY, SYSTEM, FirmOf, file_bytes, instance

from omgov_assets.admission.reception import Reception, received_format, received_name, remove_abandoned
from omgov_assets.admission.refusal import RefusedBatchError
from omgov_assets.data_management.collection import delivered_files
from omgov_assets.model_management.business_systems import DeliveryFormat, Limits

DATASET = "metric_instances"
CONTENT = b"metric,unit\ncpu,%\n"
NAME = f"received-{hashlib.sha256(CONTENT).hexdigest()}.csv"


def begin(landing: Path, limits: Limits | None = None, delivery_format: DeliveryFormat = "csv") -> Reception:
    return Reception(landing, SYSTEM, DATASET, DAY, delivery_format, limits or Limits())


def receive(landing: Path, content: bytes = CONTENT, delivery_format: DeliveryFormat = "csv") -> str:
    with begin(landing, delivery_format=delivery_format) as reception:
        for start in range(0, len(content), 7):
            reception.write(content[start : start + 7], len(content))
        received = reception.finish()
        reception.land(received)
    return received.file_name


def files(landing: Path) -> list[str]:
    return sorted(path.name for path in landing.rglob("*") if path.is_file())


def test_what_was_received_lands_under_the_name_of_its_content(tmp_path: Path) -> None:
    assert receive(tmp_path) == f"{SYSTEM}/{DATASET}/{DAY}/{NAME}"
    assert files(tmp_path) == [NAME]
    [path] = delivered_files(tmp_path / SYSTEM / DATASET / DAY.isoformat())
    assert path.read_bytes() == CONTENT


def test_until_it_lands_nobody_takes_it_for_a_delivery(tmp_path: Path) -> None:
    with begin(tmp_path) as reception:
        reception.write(CONTENT, len(CONTENT))
        reception.finish()
        assert len(files(tmp_path)) == 1
        assert delivered_files(tmp_path / SYSTEM / DATASET / DAY.isoformat()) == []
    assert files(tmp_path) == []


def test_the_same_bytes_again_are_the_same_file_and_keep_its_time(tmp_path: Path) -> None:
    path = tmp_path / receive(tmp_path)
    os.utime(path, (1_795_000_000, 1_795_000_000))
    assert receive(tmp_path) == path.relative_to(tmp_path).as_posix()
    assert files(tmp_path) == [NAME]
    assert path.stat().st_mtime == 1_795_000_000


def test_a_file_that_somebody_spoilt_is_made_good_by_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / receive(tmp_path)
    path.write_bytes(b"other")
    receive(tmp_path)
    assert path.read_bytes() == CONTENT


def test_more_bytes_than_a_file_may_have_are_not_written(tmp_path: Path) -> None:
    with begin(tmp_path, Limits(max_file_bytes=20)) as reception:
        reception.write(CONTENT, len(CONTENT))
        with pytest.raises(RefusedBatchError) as refused:
            reception.write(CONTENT, 2 * len(CONTENT))
    assert refused.value.code == "too_large"
    assert files(tmp_path) == []


def test_far_more_bytes_than_were_sent_are_a_bomb(tmp_path: Path) -> None:
    block = bytes(64 << 20)
    with begin(tmp_path, Limits(max_expansion=10)) as reception:
        for _ in range(4):
            reception.write(block, 1_000)
        with pytest.raises(RefusedBatchError) as refused:
            reception.write(b"x", 1_000)
    assert refused.value.code == "expands_too_much"
    assert files(tmp_path) == []


def test_what_a_killed_reception_left_is_removed_and_what_is_being_received_is_not(tmp_path: Path) -> None:
    def received_in_part(step: object) -> None:
        reception = begin(tmp_path)
        reception.write(CONTENT, len(CONTENT))
        assert callable(step)
        step()

    assert killed_at(1, received_in_part)
    [abandoned] = files(tmp_path)
    for path in tmp_path.rglob(abandoned):
        os.utime(path, (1, 1))
    with begin(tmp_path) as reception:
        for path in tmp_path.rglob(".receiving-*"):
            os.utime(path, (1, 1))
        assert remove_abandoned(tmp_path) == 1
        reception.land(reception.finish())
    assert abandoned not in files(tmp_path)
    assert len(files(tmp_path)) == 1


def test_only_what_a_reception_named_has_a_format_by_its_name() -> None:
    digest = "0" * 64
    assert received_format(received_name(digest, "ndjson")) == "ndjson"
    for name in ("people.json", f"received-{digest}.csv.json", "received-1.json", f"Received-{digest}.json"):
        assert received_format(name) is None


@pytest.mark.parametrize("declared", ["ndjson", "json"])
@pytest.mark.parametrize("sent_as", ["ndjson", "json"])
def test_a_dataset_of_json_takes_lines_and_arrays(firm_of: FirmOf, declared: str, sent_as: DeliveryFormat) -> None:
    firm = firm_of(declared)
    records = [instance(ci="H1"), instance(ci="H2")]
    content = file_bytes({"format": sent_as}, list(records[0]), records)
    # Said to be what it is, and said to be the other: the same bytes are the same file.
    names = {receive(firm.settings.landing, content, said) for said in ("ndjson", "json")}
    assert [Path(name).suffix for name in names] == [f".{sent_as}"]
    [entry] = firm.collect(SYSTEM, DAY, DATASET)[DATASET]
    assert (entry["decision"], entry["rows_admitted"]) == ("admitted", 2)


def test_a_file_that_merely_ends_so_is_read_as_the_transport_says(firm_of: FirmOf) -> None:
    firm = firm_of("ndjson")
    firm.deliver(SYSTEM, DATASET, [instance()], date(2026, 11, 20), name="export.json")
    [entry] = firm.collect(SYSTEM, DAY, DATASET)[DATASET]
    assert entry["decision"] == "admitted"
