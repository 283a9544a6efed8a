"""Mask functions: what is shown in place of a value that is graded too high for where it would be shown."""

from __future__ import annotations

import re

# Violations, reports and check metadata show values up to this classification level as they are.
OPEN_GRADE = 2


def partial_mask(value_sql: str) -> str:
    """SQL that keeps the first character of a text and hides the rest, however long it is."""
    return f"(CASE WHEN {value_sql} IS NOT NULL THEN left({value_sql}::VARCHAR, 1) || '***' END)"


def masked_text(text: str) -> str:
    """A text as ``partial_mask`` shows it."""
    return f"{text[:1]}***"


def masked_quotes(sentence: str) -> str:
    """An error message without the values that it quotes."""
    return re.sub(r"'[^']*'", "'***'", sentence)
