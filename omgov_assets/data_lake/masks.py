"""Mask functions: what is shown in place of a value that is graded too high for where it would be shown."""

from __future__ import annotations

# Violations, reports and check metadata show values up to this classification level as they are.
OPEN_GRADE = 2


def partial_mask(value_sql: str) -> str:
    """SQL that keeps the first character of a text and hides the rest, however long it is."""
    return f"(CASE WHEN {value_sql} IS NOT NULL THEN left({value_sql}::VARCHAR, 1) || '***' END)"
