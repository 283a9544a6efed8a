"""What a change of a contract means depends on the side from which the contract is relied on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from omgov_assets.model_management.contract_changes import (
    ContractChange,
    ContractDefinition,
    Side,
    VersionVerdict,
    classify_change,
    definition_of,
    parse_version,
    require_version,
)
from omgov_assets.model_management.contracts import load_contract

SIDES: tuple[Side, Side] = ("delivered", "governed")
Document = dict[str, Any]


def document() -> Document:
    """A contract of two columns."""
    return {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": "readings",
        "version": "1.0.0",
        "status": "active",
        "schema": [
            {
                "name": "readings",
                "properties": [
                    {"name": "meter", "physicalType": "VARCHAR", "required": True, "classification": "2"},
                    {"name": "value", "physicalType": "DOUBLE", "classification": "2"},
                ],
            }
        ],
    }


def columns(contract: Document) -> list[Document]:
    return contract["schema"][0]["properties"]


@pytest.fixture
def change_of(tmp_path: Path) -> Callable[..., ContractChange]:
    def definition(contract: Document) -> ContractDefinition:
        path = tmp_path / "readings.odcs.yaml"
        path.write_text(yaml.safe_dump(contract))
        return definition_of(load_contract(path))

    def change(edit: Callable[[Document], object], side: Side, before: Callable[[Document], object] = bool) -> Any:
        published, current = document(), document()
        before(published)
        edit(current)
        return classify_change(definition(published), definition(current), side)

    return change


def setting(column: int, **keys: Any) -> Callable[[Document], object]:
    return lambda contract: columns(contract)[column].update(keys)


def custom(name: str, value: str) -> Callable[[Document], object]:
    return setting(1, customProperties=[{"property": name, "value": value}])


@pytest.mark.parametrize(
    ("edit", "delivered", "governed", "sentence"),
    [
        (lambda c: None, "unchanged", "unchanged", None),
        (lambda c: c.update(version="1.2.3"), "unchanged", "unchanged", None),
        (lambda c: columns(c).pop(), "breaking", "breaking", "column value was removed"),
        (
            lambda c: columns(c).append({"name": "unit", "physicalType": "VARCHAR", "required": True}),
            "breaking",
            "breaking",
            "column unit was added and is required",
        ),
        (
            lambda c: columns(c).append({"name": "unit", "physicalType": "VARCHAR"}),
            "compatible",
            "compatible",
            "column unit was added and is optional",
        ),
        (setting(1, physicalType="BIGINT"), "breaking", "breaking", "column value: type DOUBLE became BIGINT"),
        (setting(1, required=True), "breaking", "breaking", "column value became required"),
        (setting(0, required=False), "compatible", "breaking", "column meter became optional"),
        (setting(0, primaryKey=True), "breaking", "breaking", "column meter joined the key"),
        (setting(0, unique=True), "breaking", "breaking", "column meter became unique"),
        (
            setting(0, physicalName="表号"),
            "breaking",
            "editorial",
            "column meter: physicalName meter became 表号",
        ),
        (
            custom("timestampFormat", "%d.%m."),
            "breaking",
            "editorial",
            "column value: timestampFormat none became %d.%m.",
        ),
        (setting(0, partitioned=True), "editorial", "breaking", "column meter joined the partitions"),
        (custom("origin", "platform"), "editorial", "breaking", "column value is now filled by the platform"),
        (setting(0, classification="3"), "compatible", "breaking", "column meter: grade 2 was raised to 3"),
        (setting(0, classification="1"), "breaking", "breaking", "column meter: grade 2 was lowered to 1"),
        (
            lambda c: columns(c)[0].pop("classification"),
            "compatible",
            "breaking",
            "column meter: grade 2 was raised to 4",
        ),
        (
            lambda c: columns(c).reverse(),
            "compatible",
            "compatible",
            "the columns stand in another order",
        ),
        (setting(0, description="Meter."), "editorial", "editorial", "column meter: the description changed"),
        (
            setting(0, businessName="Meter"),
            "editorial",
            "editorial",
            "column meter: something changed that omgov does not act on",
        ),
        (
            lambda c: c.update(description={"purpose": "Readings."}),
            "editorial",
            "editorial",
            "something changed beside the columns, which omgov does not act on",
        ),
    ],
)
def test_a_change_is_classified_by_side_and_said_in_words(
    change_of: Callable[..., ContractChange], edit: Any, delivered: str, governed: str, sentence: str | None
) -> None:
    found = [change_of(edit, side) for side in SIDES]
    assert [change.kind for change in found] == [delivered, governed]
    for change in found:
        assert change.sentences == ((sentence,) if sentence else ())


def test_a_change_taken_back_is_classified_from_the_other_end(change_of: Callable[..., ContractChange]) -> None:
    for edit, sentence in (
        (setting(0, primaryKey=True), "column meter left the key"),
        (setting(0, unique=True), "column meter is no longer unique"),
        (custom("origin", "platform"), "column value is now filled by conform models"),
        (custom("timestampFormat", "%d.%m."), "column value: timestampFormat %d.%m. became none"),
        (setting(0, partitioned=True), "column meter left the partitions"),
    ):
        assert change_of(bool, "governed", before=edit).sentences == (sentence,)


def test_the_gravest_of_several_changes_counts(change_of: Callable[..., ContractChange]) -> None:
    def edit(contract: Document) -> None:
        columns(contract)[0]["description"] = "Meter."
        columns(contract)[1]["name"] = "reading"

    change = change_of(edit, "delivered")
    assert change.kind == "breaking"
    assert change.sentences_of("breaking") == ("column value was removed",)
    assert change.sentences_of("compatible") == ("column reading was added and is optional",)
    assert change.sentences_of("editorial") == ("column meter: the description changed",)


def test_a_definition_survives_as_json(tmp_path: Path) -> None:
    path = tmp_path / "readings.odcs.yaml"
    path.write_text(yaml.safe_dump(document()))
    definition = definition_of(load_contract(path))
    assert ContractDefinition.model_validate_json(definition.model_dump_json()) == definition


@pytest.mark.parametrize(
    ("published", "current", "kind", "accepted", "problem", "remedy"),
    [
        ("1.0.0", "1.0.0", "unchanged", True, None, None),
        ("1.0.0", "1.0.1", "unchanged", True, None, None),
        ("1.0.0", "1.0.0", "editorial", True, None, None),
        ("1.0.0", "1.1.0", "compatible", True, None, None),
        ("1.0.0", "2.0.0", "compatible", True, None, None),
        ("1.0.0", "1.0.1", "compatible", True, "without a new minor version", "give it version 1.1.0"),
        ("1.4.2", "2.0.0", "breaking", True, None, None),
        ("1.4.2", "3.1.0", "breaking", True, None, None),
        ("1.4.2", "1.5.0", "breaking", False, "1.5.0 breaks version 1.4.2", "give it version 2.0.0, or take the"),
        ("1.4.2", "1.4.2", "breaking", False, "1.4.2 breaks version 1.4.2", "give it version 2.0.0, or take the"),
        ("1.10.0", "1.9.0", "unchanged", False, "1.9.0 is lower than version 1.10.0", "give it version 1.10.1"),
        ("1.10.0", "1.9.0", "compatible", False, "lower", "give it version 1.11.0"),
        ("2.0.0", "1.9.0", "breaking", False, "lower", "give it version 3.0.0"),
    ],
)
def test_a_change_needs_a_version_of_its_kind(
    published: str, current: str, kind: Any, accepted: bool, problem: str | None, remedy: str | None
) -> None:
    verdict = require_version(published, current, kind)
    assert verdict.accepted == accepted
    assert (verdict.problem is None, verdict.remedy is None) == (problem is None, remedy is None)
    assert (problem or "") in (verdict.problem or "")
    assert (remedy or "") in (verdict.remedy or "")


versions = st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(0, 12)).map(
    lambda parts: ".".join(map(str, parts))
)


@given(versions, versions, st.sampled_from(["unchanged", "editorial", "compatible", "breaking"]))
def test_the_version_of_a_remedy_is_accepted_without_a_remark(published: str, current: str, kind: Any) -> None:
    verdict = require_version(published, current, kind)
    if verdict.remedy:
        proposed = verdict.remedy.removeprefix("give it version ").removesuffix(", or take the change back")
        assert parse_version(proposed) > parse_version(published)
        assert require_version(published, proposed, kind) == VersionVerdict(True)


@pytest.mark.parametrize("text", ["", "1", "1.0", "1.0.0.0", "1.0.x", "v1.0.0"])
def test_a_version_that_is_not_semantic_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a semantic version such as 1\.0\.0"):
        require_version("1.0.0", text, "unchanged")
