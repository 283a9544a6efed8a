"""The document on expectation types says what the tests find, of every type that there is."""

from __future__ import annotations

from pathlib import Path

from expectation_cases import CASES
from expectation_table import expectation_types_markdown, registered_types

DOCUMENT = Path(__file__).parents[2] / "docs" / "expectation_types.md"


def test_every_type_has_a_case() -> None:
    assert set(registered_types()) == {case.type for case in CASES}


def test_the_document_is_up_to_date() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == expectation_types_markdown(), "run docs/make_expectation_types.py"
