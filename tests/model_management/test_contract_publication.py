"""Contracts are published day by day; a change that breaks its promise is refused and what was published stays."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from small_firm import SYSTEM, SmallFirm, build_small_firm

from omgov_assets.data_lake.lake import Lake
from omgov_assets.model_management.contract_changes import definition_of
from omgov_assets.model_management.contract_publication import (
    DATA_CONTRACTS,
    STANDARD,
    ContractPublication,
    publish_data_contracts,
    refusal_of,
    refused_contracts,
)
from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.provenance import Provenance

DATASET = "metric_instances"
DOCUMENT = f"governance/systems/{SYSTEM}/{DATASET}.odcs.yaml"
STANDARD_DOCUMENT = f"governance/standard/data_contracts/{DATASET}.odcs.yaml"
DAYS = [date(2026, 11, 20) + timedelta(days=n) for n in range(5)]
PROVENANCE = {DOCUMENT: Provenance("Li Wei <li.wei@example.com>", "abc1234", datetime(2026, 11, 1, tzinfo=UTC))}


class Firm:
    """The small firm, whose contract is edited and published again."""

    def __init__(self, small: SmallFirm) -> None:
        self.small = small
        self.lake: Lake = small.lake
        self.text = self.path().read_text(encoding="utf-8")

    def path(self, document: str = DOCUMENT) -> Path:
        return self.small.settings.project / document

    def edit(self, version: str, old: str = "", new: str = "") -> None:
        """Write the contract as it was at first, with one change and a version."""
        assert old in self.text
        text = self.text.replace("version: 1.0.0", f"version: {version}").replace(old, new, 1)
        self.path().write_text(text, encoding="utf-8")

    def publish(self, day: date, system: str = SYSTEM) -> ContractPublication:
        """Publish all contracts of a day; the one that is edited here, or the one of the standard."""
        found = publish_data_contracts(self.lake, self.small.governance, day, PROVENANCE)
        [publication] = [one for one in found if (one.system, one.dataset) == (system, DATASET)]
        return publication

    def rows(self, day: date | None = None) -> list[dict[str, Any]]:
        with self.lake.connect() as con:
            self.lake.register(con, "contracts", DATA_CONTRACTS, day)
            return con.sql("FROM contracts ORDER BY day, system, dataset").to_arrow_table().to_pylist()

    def refused(self, day: date) -> dict[tuple[str, str], str]:
        with self.lake.connect() as con:
            return refused_contracts(con, self.lake, day)


@pytest.fixture
def firm(tmp_path: Path) -> Firm:
    return Firm(build_small_firm(tmp_path))


REMOVED = ("physicalType: BIGINT", "physicalType: DOUBLE")
OPTIONAL = ("required: true", "required: false")


def test_the_first_publication_holds_every_contract_of_the_standard_and_of_the_systems(firm: Firm) -> None:
    found = publish_data_contracts(firm.lake, firm.small.governance, DAYS[0], PROVENANCE)
    governance = firm.small.governance
    expected = {(STANDARD, dataset) for dataset in governance.contracts}
    expected |= {(system.name, dataset) for system in governance.systems.values() for dataset in system.datasets}
    assert [(one.system, one.dataset) for one in found] == sorted(expected)
    assert {(one.decision, one.change, one.changes, one.reason) for one in found} == {("published", "new", (), None)}
    rows = firm.rows(DAYS[0])
    assert [(row["system"], row["dataset"]) for row in rows] == sorted(expected)
    [row] = [row for row in rows if row["document"] == DOCUMENT]
    contract = governance.systems[SYSTEM].datasets[DATASET].source_contract
    assert (row["version"], row["content_hash"]) == ("1.0.0", contract.content_hash)
    assert row["author"] == "Li Wei <li.wei@example.com>"
    assert json.loads(row["definition"]) == json.loads(definition_of(contract).model_dump_json())
    assert {row["author"] for row in rows if row["document"] != DOCUMENT} == {None}
    assert all((firm.small.settings.project / row["document"]).is_file() for row in rows)


def test_an_unchanged_day_is_published_again_on_the_next_and_not_written_twice(firm: Firm) -> None:
    firm.publish(DAYS[0])
    version = firm.lake.version(DATA_CONTRACTS)
    assert firm.publish(DAYS[0]).change == "new"
    assert firm.lake.version(DATA_CONTRACTS) == version
    assert firm.publish(DAYS[1]).change == "unchanged"
    assert firm.lake.days(DATA_CONTRACTS) == DAYS[:2]
    assert firm.refused(DAYS[1]) == {}


def test_a_breaking_change_without_a_new_major_version_is_refused_and_says_all(firm: Firm) -> None:
    before = firm.publish(DAYS[0])
    firm.edit("1.1.0", *REMOVED)
    found = firm.publish(DAYS[1])
    assert (found.decision, found.change, found.version) == ("refused", "breaking", "1.0.0")
    assert (found.definition, found.content_hash) == (before.definition, before.content_hash)
    assert found.reason == (
        f"{DOCUMENT}: version 1.1.0 breaks version 1.0.0, which is published "
        f"({'; '.join(found.changes)}); give it version 2.0.0, or take the change back"
    )
    assert found.changes == ("column interval_s: type BIGINT became DOUBLE",)
    assert firm.refused(DAYS[1]) == {(SYSTEM, DATASET): found.reason}
    assert firm.refused(DAYS[0]) == {}


def test_what_is_compared_is_the_last_published_state_and_not_the_refused_one(firm: Firm) -> None:
    firm.publish(DAYS[0])
    firm.edit("1.1.0", *REMOVED)
    assert firm.publish(DAYS[1]).decision == "refused"
    assert firm.publish(DAYS[2]).decision == "refused"
    firm.edit("1.1.0", *OPTIONAL)
    found = firm.publish(DAYS[3])
    assert (found.decision, found.change, found.changes) == (
        "published",
        "compatible",
        ("column metric became optional",),
    )
    firm.edit("2.0.0", *REMOVED)
    found = firm.publish(DAYS[4])
    assert (found.decision, found.change, found.version) == ("published", "breaking", "2.0.0")


def test_a_change_taken_back_is_as_if_it_had_never_been(firm: Firm) -> None:
    firm.publish(DAYS[0])
    firm.edit("1.1.0", *REMOVED)
    assert firm.publish(DAYS[1]).decision == "refused"
    firm.edit("1.0.0")
    found = firm.publish(DAYS[1])
    assert (found.decision, found.change, found.reason) == ("published", "unchanged", None)
    assert firm.refused(DAYS[1]) == {}


def test_going_back_to_a_lower_version_is_refused(firm: Firm) -> None:
    firm.edit("2.0.0")
    firm.publish(DAYS[0])
    firm.edit("1.0.0")
    found = firm.publish(DAYS[0])
    assert (found.decision, found.version) == ("refused", "2.0.0")
    assert found.reason == (
        f"{DOCUMENT}: version 1.0.0 is lower than version 2.0.0, which is published; give it version 2.0.1"
    )


def test_a_compatible_change_without_a_new_minor_version_is_published_and_reported(firm: Firm) -> None:
    firm.publish(DAYS[0])
    firm.edit("1.0.0", *OPTIONAL)
    found = firm.publish(DAYS[1])
    assert (found.decision, found.change) == ("published", "compatible")
    assert found.reason is not None
    assert "without a new minor version (column metric became optional); give it version 1.1.0" in found.reason
    assert firm.refused(DAYS[1]) == {}


@pytest.mark.parametrize("version", ["1.1.0", "2.0.0"])
def test_a_day_published_again_says_what_it_said(firm: Firm, version: str) -> None:
    firm.publish(DAYS[0])
    firm.edit(version, *REMOVED)
    firm.publish(DAYS[1])
    once = firm.rows()
    firm.publish(DAYS[1])
    assert firm.rows() == once


def test_an_earlier_day_is_compared_with_what_was_published_up_to_it(firm: Firm) -> None:
    firm.publish(DAYS[1])
    firm.edit("2.0.0", *REMOVED)
    firm.publish(DAYS[3])
    assert firm.publish(DAYS[0]).change == "new"
    assert firm.publish(DAYS[2]).change == "breaking"
    assert firm.publish(DAYS[4]).change == "unchanged"


def test_a_contract_that_was_gone_for_a_time_is_compared_with_its_own_last_publication(firm: Firm) -> None:
    firm.publish(DAYS[0])
    defs = firm.path(f"governance/systems/{SYSTEM}/defs.yaml")
    text = defs.read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    start = next(number for number, line in enumerate(lines) if line.strip() == f"{DATASET}:")
    defs.write_text("".join(lines[:start] + lines[start + 2 :]), encoding="utf-8")
    publish_data_contracts(firm.lake, firm.small.governance, DAYS[1], PROVENANCE)
    assert (SYSTEM, DATASET) not in {(row["system"], row["dataset"]) for row in firm.rows(DAYS[1])}
    defs.write_text(text, encoding="utf-8")
    firm.edit("1.0.1", *REMOVED)
    assert firm.publish(DAYS[2]).decision == "refused"


def test_a_refused_contract_of_the_standard_concerns_the_dataset_of_every_system(firm: Firm) -> None:
    firm.publish(DAYS[0])
    path = firm.path(STANDARD_DOCUMENT)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("required: true", "required: false", 3), encoding="utf-8")
    assert firm.publish(DAYS[1], STANDARD).decision == "refused"
    refused = firm.refused(DAYS[1])
    assert set(refused) == {(STANDARD, DATASET)}
    assert refusal_of(refused, SYSTEM, DATASET) == refused[STANDARD, DATASET]
    assert refusal_of(refused, SYSTEM, "metric_definitions") is None
    both = {**refused, (SYSTEM, DATASET): "own reason"}
    assert refusal_of(both, SYSTEM, DATASET) == f"{refused[STANDARD, DATASET]}; own reason"


def test_nothing_is_refused_on_a_day_without_publication(firm: Firm) -> None:
    assert firm.refused(DAYS[0]) == {}


def test_the_name_of_the_standard_is_no_systems_name(firm: Firm) -> None:
    folder = firm.path(f"governance/systems/{SYSTEM}")
    folder.rename(folder.with_name(STANDARD))
    defs = folder.with_name(STANDARD) / "defs.yaml"
    defs.write_text(defs.read_text().replace(f"system: {SYSTEM}", f"system: {STANDARD}"))
    with pytest.raises(GovernanceError, match="the name 'standard' is kept"):
        publish_data_contracts(firm.lake, firm.small.governance, DAYS[0], PROVENANCE)
