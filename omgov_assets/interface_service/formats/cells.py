"""Values as cells of a spreadsheet; imports nothing, so that every command can print CSV."""

from __future__ import annotations

from typing import Any

BEGINS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def flat(value: Any) -> Any:
    """A list as its members joined by ``, ``; anything else as it is."""
    return ", ".join(str(part) for part in value) if isinstance(value, list | tuple) else value


def defused(value: Any) -> Any:
    """A value for a cell. A text that a spreadsheet would run as a formula gets an apostrophe in front."""
    one = flat(value)
    return f"'{one}" if isinstance(one, str) and one.startswith(BEGINS_A_FORMULA) else one
