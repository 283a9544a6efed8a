"""What the gate says of deliveries that hold graded columns: column, rule and place, never a value."""

from __future__ import annotations

import json

import pytest

from omgov_assets.admission.delivered_table import shown_names
from omgov_assets.admission.refused_records import shown_payload
from omgov_assets.model_management.contracts import ContractColumn


def column(name: str, grade: str | None) -> ContractColumn:
    return ContractColumn.model_validate({"name": name, "physicalType": "VARCHAR", "classification": grade})


OPEN = (column("owner_id", "1"), column("name", "2"))
GRADED = (*OPEN, column("phone", "3"))


def test_names_of_columns_are_shown_where_no_value_can_be_among_them() -> None:
    assert shown_names(["owner_id", "surprise"], OPEN) == ["owner_id", "surprise"]
    assert shown_names(["owner_id", "13812345678"], GRADED) == ["owner_id", "1***"]


def test_a_column_that_nobody_graded_is_as_confidential_as_can_be() -> None:
    assert shown_names(["surprise"], (*OPEN, column("note", None))) == ["s***"]


@pytest.mark.parametrize(
    ("record", "reasons", "shown"),
    [
        ({"owner_id": "O1", "phone": "138"}, ["required_missing:name"], {"owner_id": "O1", "phone": "1***"}),
        # Fields that are shifted: what is at fault is no value of its column.
        ({"owner_id": "x@y", "name": "zq"}, ["not_convertible:name"], {"owner_id": "x***", "name": "z***"}),
        ({"owner_id": "O1", "z@q": 5}, ["unexpected_key"], {"owner_id": "O1", "z***": "5***"}),
        ({"owner_id": "O1", "phone": None}, [], {"owner_id": "O1", "phone": None}),
    ],
)
def test_a_refused_record_is_shown_without_graded_values(
    record: dict[str, object], reasons: list[str], shown: dict[str, object]
) -> None:
    assert json.loads(shown_payload(json.dumps(record), reasons, GRADED)) == shown


@pytest.mark.parametrize("text", ["O1,13812345678", '{"phone": "138', '["138"]', "13812345678"])
def test_a_refused_record_without_columns_is_not_shown(text: str) -> None:
    shown = shown_payload(text, ["ragged_record"], GRADED)
    assert shown.startswith(f"*** ({len(text)} characters")
    assert "138" not in shown


def test_a_refused_record_of_a_dataset_that_is_not_known_any_more_is_not_shown() -> None:
    assert "138" not in shown_payload('{"phone": "13812345678"}', [], ())


def test_a_refused_record_of_open_columns_is_shown_as_it_came() -> None:
    assert shown_payload("O1,  x", ["ragged_record"], OPEN) == "O1,  x"
