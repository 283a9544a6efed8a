r"""Whether Python's ``strptime`` would read a text, said in SQL for the formats where that is exactly possible.

Python reads by a regular expression that it makes of the format, and then by the calendar; so does this, in RE2, whose
first match is the one that Python's ``re`` finds. Python takes the digits of every script for ``\d``, and so does this.

Formats with names of months, days, zones or halves of the day, with weeks, with a directive twice, or with letters
whose other case is not plain are not said in SQL (``is_said_in_sql``).
"""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache
from typing import Any

import sqlalchemy
from sqlalchemy import ColumnElement

_DIGIT = r"\p{Nd}"
_TAIL = rf"(?:\.{_DIGIT}{{1,6}})?"
# As in Python's _strptime, in its order: the first alternative that matches is taken.
_DIRECTIVES = {
    "Y": _DIGIT * 4,
    "y": _DIGIT * 2,
    "m": "1[0-2]|0[1-9]|[1-9]",
    "d": rf"3[0-1]|[1-2]{_DIGIT}|0[1-9]|[1-9]| [1-9]",
    "H": rf"2[0-3]|[0-1]{_DIGIT}|{_DIGIT}",
    "M": rf"[0-5]{_DIGIT}|{_DIGIT}",
    "S": rf"6[0-1]|[0-5]{_DIGIT}|{_DIGIT}",
    "f": "[0-9]{1,6}",
    "z": (
        rf"[+-](?:[0-1]{_DIGIT}|2[0-3])"
        rf"(?::[0-5]{_DIGIT}(?::[0-5]{_DIGIT}{_TAIL})?|[0-5]{_DIGIT}(?:[0-5]{_DIGIT}{_TAIL})?)|(?-i:Z)"
    ),
}
_WHITESPACE = r"[\t-\r\x{1c}-\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]"
_SPECIAL = re.compile(r"([\\.^$*+?(){}\[\]|])")


def is_said_in_sql(strftime_format: object) -> bool:
    """Whether a format can be judged in SQL exactly as Python would."""
    if not isinstance(strftime_format, str):
        return False
    directives = re.findall(r"%(.?)", strftime_format, re.DOTALL)
    named = [directive for directive in directives if directive != "%"]
    literals = re.sub(r"%.?", "", strftime_format, flags=re.DOTALL)
    return (
        all(directive in _DIRECTIVES for directive in named)
        and len(named) == len(set(named))
        and not {"Y", "y"} <= set(named)
        and all(character in "TtZz" or character.lower() == character.upper() for character in literals)
    )


def matches_strftime_format(column: ColumnElement[Any], strftime_format: str) -> ColumnElement[bool]:
    """Condition: Python's ``strptime`` reads the column's text in a format; ``is_said_in_sql`` holds for it.

    Raises:
        ValueError: a format that is not said in SQL.
    """
    if not is_said_in_sql(strftime_format):
        raise ValueError(f"the format {strftime_format!r} is not said in SQL")
    pattern, groups = _pattern(strftime_format)

    def part(directive: str) -> ColumnElement[Any]:
        found = sqlalchemy.func.regexp_extract(column, pattern, groups[directive])
        # Digits of other scripts, among them the full-width ones of Chinese keyboards.
        ascii_digits = sqlalchemy.case(
            (sqlalchemy.func.regexp_matches(found, "[^ -~]"), sqlalchemy.func.translate(found, *_foreign_digits())),
            else_=found,
        )
        return sqlalchemy.try_cast(sqlalchemy.func.trim(ascii_digits), sqlalchemy.Integer)

    conditions = [
        sqlalchemy.func.regexp_matches(column, pattern),
        sqlalchemy.func.regexp_extract(column, pattern) == column,
    ]
    if "S" in groups:
        conditions.append(part("S") < 60)
    if "Y" in groups:
        conditions.append(part("Y") > 0)
    if "d" in groups and "m" in groups:
        conditions.append(part("d") <= _last_day(part, groups))
    # Where the text does not match, its parts are no numbers: only a CASE keeps them from being looked at.
    return sqlalchemy.case(
        (conditions[0], sqlalchemy.and_(*conditions[1:])),
        else_=sqlalchemy.false(),
    ).cast(sqlalchemy.Boolean)


def _last_day(part: Any, groups: dict[str, int]) -> ColumnElement[Any]:
    """Last day of the month; without a year Python counts in 1900, which was no leap year."""
    leap: ColumnElement[bool] = sqlalchemy.false()
    if "Y" in groups or "y" in groups:
        # 1969 to 2068: the years of two digits are leap years where the four digits are, 00 being 2000.
        year = part("Y" if "Y" in groups else "y")
        century = sqlalchemy.or_(year % 100 != 0, year % 400 == 0)
        leap = sqlalchemy.and_(year % 4 == 0, century) if "Y" in groups else year % 4 == 0
    return sqlalchemy.case(
        (part("m") == 2, sqlalchemy.case((leap, 29), else_=28)), (part("m").in_([4, 6, 9, 11]), 30), else_=31
    )


def _pattern(strftime_format: str) -> tuple[str, dict[str, int]]:
    """RE2 of a format, anchored at the start, and the number of each directive's group."""
    escaped = re.sub(r"\s+", lambda _: "\0", _SPECIAL.sub(r"\\\1", strftime_format))
    groups: dict[str, int] = {}

    def directive(found: re.Match[str]) -> str:
        name = found.group(1)
        if name == "%":
            return "%"
        groups[name] = len(groups) + 1
        return f"({_DIRECTIVES[name]})"

    pattern = re.sub(r"%(.)", directive, escaped).replace("\0", f"{_WHITESPACE}+")
    return rf"(?i)\A(?:{pattern})", groups


@cache
def _foreign_digits() -> tuple[str, str]:
    """Digits that are not ASCII, and the ASCII digits that they stand for."""
    digits = [chr(code) for code in range(128, sys.maxunicode + 1) if unicodedata.category(chr(code)) == "Nd"]
    return "".join(digits), "".join(str(unicodedata.decimal(digit)) for digit in digits)
