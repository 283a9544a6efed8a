"""Collection takes what is finished, leaves what is not, and fetches standing sources byte for byte."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import tarfile
from datetime import date, timedelta
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError
from small_firm import COLUMNS, DAY, SYSTEM, SmallFirm, csv_text, instance

from omgov_assets.data_management.collection import delivered_files
from omgov_assets.model_management.business_systems import DeliverySource
from omgov_assets.model_management.contract_publication import publish_data_contracts
from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.quality_policy.violations import VIOLATIONS

DATASET = "metric_definitions"
TABLE = f"{SYSTEM}/{DATASET}"
CONTENT = csv_text(COLUMNS[SYSTEM, DATASET], [{"metric": "cpu", "unit": "%", "interval_s": 60}]).encode()


def test_files_that_are_not_finished_are_left_alone(firm: SmallFirm) -> None:
    for name in (".hidden", "a.csv.part", "a.csv.tmp", "a.csv.partial", "a.csv.filepart"):
        firm.deliver(SYSTEM, DATASET, CONTENT, name=name)
    (firm.folder(SYSTEM, DATASET) / "folder").mkdir()
    assert firm.collect(SYSTEM, DAY, DATASET) == {DATASET: []}
    (firm.folder(SYSTEM, DATASET) / "a.csv.part").rename(firm.folder(SYSTEM, DATASET) / "a.csv")
    [entry] = firm.collect(SYSTEM, DAY, DATASET)[DATASET]
    assert (entry["decision"], entry["file_name"]) == ("admitted", f"{SYSTEM}/{DATASET}/{DAY}/a.csv")


def test_a_link_out_of_the_landing_folder_is_not_followed(firm: SmallFirm, tmp_path: Path) -> None:
    outside = tmp_path / "outside.csv"
    outside.write_bytes(CONTENT)
    folder = firm.folder(SYSTEM, DATASET)
    folder.mkdir(parents=True)
    (folder / "a.csv").symlink_to(outside)
    assert delivered_files(folder) == []


def test_files_are_taken_by_name(firm: SmallFirm) -> None:
    for name in ("b.csv", "a.csv", "10.csv"):
        firm.deliver(SYSTEM, DATASET, CONTENT, name=name)
    assert [path.name for path in delivered_files(firm.folder(SYSTEM, DATASET))] == [
        "10.csv",
        "a.csv",
        "b.csv",
    ]


def test_only_the_datasets_that_are_asked_for_are_collected(firm: SmallFirm) -> None:
    firm.deliver(SYSTEM, DATASET, CONTENT)
    firm.deliver(SYSTEM, "metric_instances", [instance()])
    assert set(firm.collect(SYSTEM, DAY, DATASET)) == {DATASET}
    assert firm.rows(f"{SYSTEM}/metric_instances") == []
    assert set(firm.collect(SYSTEM, DAY)) == {DATASET, "metric_instances"}
    assert len(firm.rows(f"{SYSTEM}/metric_instances")) == 1


def test_the_ledger_knows_size_time_and_content_of_a_file(firm: SmallFirm) -> None:
    path = firm.deliver(SYSTEM, DATASET, CONTENT)
    os.utime(path, (1_795_000_000, 1_795_000_000))
    [entry] = firm.collect(SYSTEM, DAY, DATASET)[DATASET]
    assert entry["size_bytes"] == len(CONTENT)
    assert entry["received_at"].timestamp() == 1_795_000_000
    assert entry["content_hash"].startswith(entry["batch_id"])
    assert (entry["model_version"], entry["data_version"]) == ("1.0.0", firm.lake.version(TABLE))


def declare_source(firm: SmallFirm, **source: str) -> None:
    path = firm.system_folder / "defs.yaml"
    document = yaml.safe_load(path.read_text())
    document["attributes"]["datasets"][DATASET]["source"] = {
        "root_env": "STANDING_SOURCES",
        "root": "sources",
        **source,
    }
    path.write_text(yaml.safe_dump(document))


def tar_of(name: str, content: bytes) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return target.getvalue()


@pytest.mark.parametrize(
    ("file", "packed", "member"),
    [
        ("a.csv", CONTENT, None),
        ("a.csv.gz", gzip.compress(CONTENT, mtime=0), None),
        ("a.csv.xz", lzma.compress(CONTENT), None),
        ("all.tar.gz", tar_of("export/a.csv", CONTENT), "export/a.csv"),
    ],
)
def test_a_standing_source_is_the_delivery_of_every_day(
    firm: SmallFirm, file: str, packed: bytes, member: str | None
) -> None:
    sources = firm.settings.project / "sources"
    sources.mkdir()
    (sources / file).write_bytes(packed)
    os.utime(sources / file, (1_795_000_000, 1_795_000_000))
    declare_source(firm, file=file, **({"member": member} if member else {}))
    # The same bytes on two days are no repeated delivery: that is what a standing source is.
    for day in (DAY, DAY + timedelta(days=1)):
        [entry] = firm.collect(SYSTEM, day, DATASET)[DATASET]
        assert (entry["decision"], entry["file_name"]) == ("admitted", f"{SYSTEM}/{DATASET}/{day}/a.csv")
        assert entry["received_at"].timestamp() == 1_795_000_000
        assert (firm.folder(SYSTEM, DATASET, day) / "a.csv").read_bytes() == CONTENT
        assert len(firm.rows(TABLE, day=day)) == 1


def test_what_was_delivered_goes_before_a_standing_source(firm: SmallFirm) -> None:
    sources = firm.settings.project / "sources"
    sources.mkdir()
    (sources / "a.csv").write_bytes(CONTENT)
    declare_source(firm, file="a.csv")
    firm.deliver(SYSTEM, DATASET, CONTENT.replace(b"cpu", b"mem"), name="delivered.csv")
    firm.collect(SYSTEM, DAY, DATASET)
    assert firm.rows(TABLE, "source_metric") == [("mem",)]


def test_the_environment_says_where_standing_sources_are(
    firm: SmallFirm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_bytes(CONTENT)
    monkeypatch.setenv("STANDING_SOURCES", str(tmp_path))
    declare_source(firm, file="a.csv")
    assert len(firm.collect(SYSTEM, DAY, DATASET)[DATASET]) == 1


def test_a_standing_source_that_is_absent_is_nothing_delivered(firm: SmallFirm) -> None:
    declare_source(firm, file="absent.csv")
    assert firm.collect(SYSTEM, DAY, DATASET) == {DATASET: []}
    assert firm.rows(VIOLATIONS, "anomaly_type") == [("not_delivered",)]


@pytest.mark.parametrize(
    ("file", "packed", "member", "words"),
    [
        ("a.csv.gz", gzip.compress(CONTENT * 10_000, mtime=0)[:-100], None, "ended before"),
        ("a.csv.gz", b"not packed at all", None, "Not a gzipped file"),
        ("a.csv.xz", lzma.compress(CONTENT * 10_000)[:-100], None, "ended before"),
        ("all.tar.gz", tar_of("b.csv", CONTENT), "a.csv", "filename 'a.csv' not found"),
        ("all.tar.gz", b"not packed at all", "a.csv", "could not be opened"),
    ],
)
def test_a_standing_source_that_cannot_be_unpacked_is_refused_and_leaves_no_half_file(
    firm: SmallFirm, file: str, packed: bytes, member: str | None, words: str
) -> None:
    sources = firm.settings.project / "sources"
    sources.mkdir()
    (sources / file).write_bytes(packed)
    declare_source(firm, file=file, **({"member": member} if member else {}))
    [entry] = firm.collect(SYSTEM, DAY, DATASET)[DATASET]
    assert (entry["decision"], entry["reason_code"]) == ("refused", "unreadable_source")
    assert entry["reason"].startswith(f"{file} cannot be unpacked: ")
    assert words in entry["reason"]
    assert list(firm.folder(SYSTEM, DATASET).iterdir()) == []
    assert firm.rows(VIOLATIONS, "anomaly_type, observed") == [("refused_batch", entry["reason"])]


@pytest.mark.parametrize("file", ["/etc/passwd", "../secret.csv", "a/../../b.csv"])
def test_a_standing_source_stays_below_its_root(firm: SmallFirm, file: str) -> None:
    with pytest.raises(ValidationError, match="relative path"):
        DeliverySource(root_env="X", root="sources", file=file)
    declare_source(firm, file=file)
    with pytest.raises(GovernanceError, match=r"defs\.yaml: attributes\.datasets\.metric_definitions\.source\.file: "):
        _ = firm.governance


def test_deliveries_under_a_contract_that_was_not_published_are_refused_until_its_version_says_so(
    firm: SmallFirm,
) -> None:
    def publish(day: date) -> None:
        publish_data_contracts(firm.lake, firm.governance, day, {})

    publish(DAY)
    firm.deliver(SYSTEM, DATASET, CONTENT)
    [before] = firm.collect(SYSTEM, DAY, DATASET)[DATASET]
    contract = firm.system_folder / f"{DATASET}.odcs.yaml"
    broken = contract.read_text().replace("      - name: unit\n", "      - name: unit\n        required: true\n")
    assert broken != contract.read_text()
    contract.write_text(broken)
    publish(DAY)
    assert firm.collect(SYSTEM, DAY, DATASET)[DATASET] == [before], "what was admitted under the published one stays"
    tomorrow = DAY + timedelta(days=1)
    publish(tomorrow)
    firm.deliver(SYSTEM, DATASET, CONTENT + b"mem,%,60\n", tomorrow)
    [refused] = firm.collect(SYSTEM, tomorrow, DATASET)[DATASET]
    assert (refused["decision"], refused["reason_code"]) == ("refused", "contract_not_published")
    assert contract.name in refused["reason"]
    contract.write_text(broken.replace("version: 1.0.0", "version: 2.0.0"))
    publish(tomorrow)
    [admitted] = firm.collect(SYSTEM, tomorrow, DATASET)[DATASET]
    assert (admitted["decision"], admitted["rows_admitted"]) == ("admitted", 2)
