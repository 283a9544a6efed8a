"""A contract meets the Open Data Contract Standard's own JSON schema, and what omgov asks beyond it."""

from __future__ import annotations

import copy
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from omgov_assets.model_management.contracts import load_contract
from omgov_assets.model_management.documents import read_yaml
from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.odcs import MAX_DEPTH, check_odcs

CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: readings
version: 1.0.0
status: active
description:
  purpose: Readings of meters.
schema:
  - name: readings
    logicalType: object
    physicalType: table
    properties:
      - name: meter
        physicalName: 表号
        logicalType: string
        physicalType: VARCHAR
        required: true
        primaryKey: true
        primaryKeyPosition: 1
        classification: "2"
        description: Meter.
      - name: read_at
        logicalType: timestamp
        physicalType: TIMESTAMP
        classification: "1"
        customProperties:
          - property: timestampFormat
            value: "%d.%m.%Y"
"""


def contract_file(folder: Path, text: str = CONTRACT) -> Path:
    path = folder / "readings.odcs.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def fault(folder: Path, text: str) -> GovernanceError:
    with pytest.raises(GovernanceError) as caught:
        load_contract(contract_file(folder, text))
    assert "\n" not in str(caught.value)
    assert caught.value.remedy
    return caught.value


def test_a_contract_is_read_with_all_that_omgov_acts_on(tmp_path: Path) -> None:
    contract = load_contract(contract_file(tmp_path))
    meter, read_at = contract.columns
    assert (contract.dataset, contract.version) == ("readings", "1.0.0")
    assert (meter.delivered_as, meter.sql_type, meter.required, meter.key) == ("表号", "VARCHAR", True, True)
    assert (meter.classification, meter.unique, meter.partition) == ("2", False, False)
    assert (read_at.delivered_as, read_at.timestamp_format, read_at.required) == ("read_at", "%d.%m.%Y", False)


def test_every_contract_that_ships_meets_the_standard(project_root: Path) -> None:
    folders = ["governance", "examples", "omgov_assets/data_lake/contracts"]
    paths = [path for folder in folders for path in sorted((project_root / folder).rglob("*.odcs.yaml"))]
    assert len(paths) > 60
    for path in paths:
        check_odcs(read_yaml(path), path)


@pytest.mark.parametrize(
    ("old", "new", "key", "problem"),
    [
        ("id: readings\n", "", "id", "the key is required in ODCS v3.1"),
        ("kind: DataContract\n", "", "kind", "the key is required in ODCS v3.1"),
        ("DataContract", "Contract", "kind", "must be one of DataContract (given: 'Contract')"),
        ("v3.1.0", "v3.2.0", "apiVersion", "must be one of v3.1.0"),
        ("v3.1.0", "v3.0.0", "apiVersion", "'v3.0.2' or 'v3.1.0' (given: 'v3.0.0')"),
        ("  purpose: Readings of meters.", "  - Readings", "description", "must be a mapping"),
        (" Readings of meters.", " [Readings]", "description.purpose", "must be a string"),
        ("status: active", "status: true", "status", "must be a string (given: True)"),
        ("schema:", "schema: {}\nservers:", "schema", "must be a list"),
        ("logicalType: string", "logicalType: text", "schema[0].properties[0].logicalType", "must be one of string"),
        ("required: true", "required: 1", "schema[0].properties[0].required", "must be a boolean (given: 1)"),
        ("primaryKeyPosition: 1", "primaryKeyPosition: first", "schema[0].properties[0].primaryKeyPosition", "integer"),
        ("- property:", "- properti:", "schema[0].properties[1].customProperties[0].property", "required in ODCS"),
        (
            "            value:",
            "            valid: 1\n            value:",
            "schema[0].properties[1].customProperties[0].valid",
            "not known in ODCS v3.1",
        ),
        (
            "status: active",
            "status: active\nslaProperties: [{property: latency, value: 4, unti: d}]",
            "slaProperties[0].unti",
            "not known in ODCS v3.1",
        ),
        (
            "status: active",
            "status: active\nservers: [{server: a, type: oracel}]",
            "servers[0].type",
            "must be one of",
        ),
        (
            "status: active",
            "status: active\nteam: {members: [{username: a, role: 5}]}",
            "team.members[0].role",
            "must be a string (given: 5)",
        ),
        (
            "status: active",
            "status: active\nprice: {priceAmount: 1, priceCurrency: 5}",
            "price.priceCurrency",
            "must be a string",
        ),
    ],
)
def test_what_the_standard_does_not_allow_is_named(tmp_path: Path, old: str, new: str, key: str, problem: str) -> None:
    assert old in CONTRACT
    found = fault(tmp_path, CONTRACT.replace(old, new, 1))
    assert (found.key, problem in found.problem) == (key, True), str(found)


@pytest.mark.parametrize(
    ("old", "new", "key", "problem"),
    [
        # What the standard allows and omgov does not.
        ("version: 1.0.0", "version: 1.0.0-draft", "version", "'1.0.0-draft'"),
        ("version: 1.0.0", "version: '1.0'", "version", "'1.0'"),
        ("version: 1.0.0", "version: 01.0.0", "version", "'01.0.0'"),
        ("version: 1.0.0", 'version: "1.0.0\\n"', "version", "'1.0.0\\n'"),
        ("version: 1.0.0", "version: 1", "version", "must be a string (given: 1)"),
        ('"2"', '"0"', "schema[0].properties[0].classification", "'0'"),
        ('"2"', '"5"', "schema[0].properties[0].classification", "'5'"),
        ('"2"', "confidential", "schema[0].properties[0].classification", "'confidential'"),
        ('"2"', "2", "schema[0].properties[0].classification", "must be a string (given: 2)"),
        ("physicalType: VARCHAR", "physicalType: TEXT", "schema[0].properties[0].physicalType", "'TEXT'"),
        ("physicalType: VARCHAR\n        ", "", "schema[0].properties[0].physicalType", "required"),
        ("primaryKey: true", "primarykey: true", "schema[0].properties[0].primarykey", "not known in ODCS v3.1"),
        # Known in v3.2 only.
        ("required: true", "deprecated: true", "schema[0].properties[0].deprecated", "not known in ODCS v3.1"),
    ],
)
def test_what_omgov_asks_beyond_the_standard_is_named(
    tmp_path: Path, old: str, new: str, key: str, problem: str
) -> None:
    assert old in CONTRACT
    found = fault(tmp_path, CONTRACT.replace(old, new, 1))
    assert (found.key, problem in found.problem) == (key, True), str(found)


@pytest.mark.parametrize("grade", ["1", "2", "3", "4"])
def test_the_four_grades_are_taken(tmp_path: Path, grade: str) -> None:
    contract = load_contract(contract_file(tmp_path, CONTRACT.replace('"2"', f'"{grade}"')))
    assert contract.columns[0].classification == grade


def test_dates_of_yaml_count_as_the_texts_that_json_would_hold(tmp_path: Path) -> None:
    dated = CONTRACT.replace("status: active", "status: active\ncontractCreatedTs: 2026-11-20T08:00:00Z")
    dated = dated.replace("required: true", "examples: [2026-11-20, 1.5, null]")
    assert load_contract(contract_file(tmp_path, dated)).version == "1.0.0"


@pytest.mark.parametrize(
    ("entry", "key", "problem"),
    [
        ("tags: [.nan]", "tags[0]", "not a value that JSON can hold (given: nan)"),
        ("tags: [!!binary YWJj]", "tags[0]", "not a value that JSON can hold (given: b'abc')"),
        ("tags: !!set {a, b}", "tags", "not a value that JSON can hold"),
        ("description: {1: a}", "description.1", "the key is not a text"),
        ("tags: &tags [*tags]", "document", f"nested more than {MAX_DEPTH} levels"),
        (f"tags: {'[' * 200}{']' * 200}", "document", f"nested more than {MAX_DEPTH} levels"),
        (
            "tags: [&a0 [x, x], " + ", ".join(f"&a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 50)) + "]",
            "document",
            "more than 100000 values",
        ),
        (
            "tags: [&a0 [x], " + ", ".join(f"&a{n} [*a{n - 1}]" for n in range(1, 400)) + "]",
            "document",
            f"nested more than {MAX_DEPTH} levels",
        ),
    ],
)
def test_what_yaml_can_say_and_json_cannot_is_refused_at_once(
    tmp_path: Path, entry: str, key: str, problem: str
) -> None:
    found = fault(tmp_path, CONTRACT.replace("description:\n  purpose: Readings of meters.", entry))
    assert (found.key, problem in found.problem) == (key, True), str(found)


@pytest.mark.parametrize(
    "text", ["", "[]", "just text", "5", "schema: 5", "schema: [5]", "schema: [{properties: [5]}]"]
)
def test_a_document_of_any_other_shape_is_refused(tmp_path: Path, text: str) -> None:
    assert fault(tmp_path, text).path.name == "readings.odcs.yaml"


def test_long_names_and_values_are_cut_in_messages(tmp_path: Path) -> None:
    for old, new in (("status: active", f"{'k' * 10_000}: 1"), ("status: active", f"servers: {'v' * 10_000}")):
        assert len(str(fault(tmp_path, CONTRACT.replace(old, new)))) < 10_500 + len(str(tmp_path))
    assert len(str(fault(tmp_path, CONTRACT.replace("status: active", f"servers: {'v' * 10_000}")))) < 500


def test_the_remainder_is_all_that_omgov_does_not_act_on(tmp_path: Path) -> None:
    def remainder(old: str, new: str) -> tuple[str, dict[str, str]]:
        assert old in CONTRACT
        contract = load_contract(contract_file(tmp_path, CONTRACT.replace(old, new, 1)))
        return contract.remainder_hash, contract.column_remainder_hashes

    same = remainder("", "")
    assert remainder("status: active", "# a comment\nstatus: active") == same
    assert remainder("version: 1.0.0", "version: 2.0.0") == same
    assert remainder("description: Meter.", "description: The meter.") == same
    assert remainder('"2"', '"3"') == same
    assert remainder("%d.%m.%Y", "%Y-%m-%d") == same
    assert remainder("status: active", "status: draft") != same
    assert remainder("required: true", "businessName: Meter") != same
    assert remainder("primaryKeyPosition: 1", "primaryKeyPosition: 2") != same
    assert remainder("property: timestampFormat", "property: other") != same
    assert remainder("Readings of meters.", "All readings of meters.") != same


VALUES: list[Any] = [None, True, 1, 1.5, "text", "", [], {}, ["a"], {"a": 1}, [{"a": 1}], [{"name": "x"}]]


def parts(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of all values of a document."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        found += parts(part, (*path, key))
    return found


SOUND = yaml.safe_load(CONTRACT)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(parts(SOUND)), st.sampled_from([*VALUES, "gone", "misspelt"]))
def test_the_verdict_is_that_of_another_validator(where: tuple[Any, ...], value: Any) -> None:
    document = copy.deepcopy(SOUND)
    holder = document
    for key in where[:-1]:
        holder = holder[key]
    if value == "gone":
        del holder[where[-1]]
    elif value == "misspelt" and isinstance(holder, dict):
        holder[f"{where[-1]}x"] = holder.pop(where[-1])
    else:
        holder[where[-1]] = value
    schema = json.loads((files("open_data_contract_standard") / "schema.json").read_text())
    expected = jsonschema.Draft201909Validator(schema).is_valid(document)
    path = Path("readings.odcs.yaml")
    if expected:
        check_odcs(document, path)
        return
    with pytest.raises(GovernanceError) as caught:
        check_odcs(document, path)
    # The fault that is named lies on the way to what was changed, or below it.
    key = caught.value.key
    named = [int(part) if part.isdigit() else part for part in re.findall(r"[^.\[\]]+", key)]
    assert key == "document" or all(a == b for a, b in zip(named, where[:-1], strict=False))
