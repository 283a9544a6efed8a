"""A question about rows as a request asks it, the same for every dataset and for what analysis has found by name.

Belongs here: what the parameters are, and reading them. Does not belong here: answering (``rows``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal
from urllib.parse import urlencode

from fastapi import Request

from omgov_assets.interface_service.formats.formats import FORMATS, Format
from omgov_assets.interface_service.parameters import Parameter, read
from omgov_assets.interface_service.problems import Problem
from omgov_assets.interface_service.rest.filters import OPERATORS, NotOfTypeError, day_of
from omgov_assets.interface_service.rest.negotiation import chosen_format

DAY = Parameter(
    "day",
    "Business day, YYYY-MM-DD; `last` for the last one that has rows for you; `all`.",
    {"type": "string", "pattern": "^([0-9]{4}-[0-9]{2}-[0-9]{2}|last|all)$"},
    "2026-11-20",
)
VERSION = Parameter(
    "version",
    "The dataset as of this Delta version, seen by your rights of today. Default the last.",
    {"type": "integer", "minimum": 0, "maximum": 2**53},
)
COLUMN = Parameter("column", "Column wanted, once for each. Default all that there are for you.", repeats=True)
WHERE = Parameter(
    "where",
    "Condition `column:operator:value`, once for each; all must hold. Operators: eq, ne, lt, le, gt, ge, also written "
    "=, !=, <, <=, >, >=; in, with values as a line of CSV; null and not-null, without a value. Values are compared "
    "with what you are shown, by the type of the column.",
    {"type": "string", "pattern": f"^[^:]+:({'|'.join(re.escape(word) for word in OPERATORS)})(:|$)"},
    "severity:in:critical,warning",
    repeats=True,
)
SORT = Parameter(
    "sort", "Columns to sort by, joined by commas; `-` before one turns it round. Null comes last.", example="-day"
)
LIMIT = Parameter(
    "limit",
    "Rows of a page; `all` for all rows at once, not by pages.",
    {"type": "string", "pattern": "^([1-9][0-9]{0,4}|all)$", "default": "100"},
)
CURSOR = Parameter("cursor", "Where the next page begins; from `next` of the one before, with the same question.")
FORMAT = Parameter(
    "format",
    "Format of the answer, where header Accept cannot be set.",
    {"type": "string", "enum": [one.name for one in FORMATS]},
)
OF_ROWS = (DAY, VERSION, COLUMN, WHERE, SORT, LIMIT, CURSOR, FORMAT)

DEFAULT_LIMIT = 100
_LIMIT = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_VERSION = re.compile(r"[0-9]{1,15}", re.ASCII)

Day = date | Literal["last", "all"]


@dataclass(frozen=True)
class Asked:
    """A question as it was asked; whether the dataset has such columns is not known yet.

    Attributes:
        day: business day; ``last`` and ``all`` as the parameter says.
        version: Delta version; None for the last.
        columns: columns; None for all.
        where: conditions as they were written.
        order: columns to sort by, and whether each is descending.
        limit: rows of a page; None for all.
        cursor: where the page begins.
        form: format of the answer.
        said: name and value of all parameters, for the address of the next page.
    """

    day: Day
    version: int | None
    columns: tuple[str, ...] | None
    where: list[str]
    order: tuple[tuple[str, bool], ...]
    limit: int | None
    cursor: str | None
    form: Format
    said: dict[str, list[str]]

    def next_query(self, cursor: str, day: date | None) -> str:
        """The query string of the next page, of the very day that this one is of."""
        said = dict(self.said)
        if self.day == "last" and day is not None:
            said["day"] = [day.isoformat()]
        return urlencode(said | {"cursor": [cursor]}, doseq=True)


def asked_by(
    request: Request,
    most_rows: int,
    parameters: Sequence[Parameter] = OF_ROWS,
    default_day: Day = "all",
    offered: Sequence[Format] = FORMATS,
) -> Asked:
    """The question that a request asks.

    Args:
        request: the request.
        most_rows: rows that a page may have.
        parameters: those that there are.
        default_day: the day where none is asked for.
        offered: formats that there are.

    Raises:
        Problem: 400, it cannot be understood; 406, no format of ours is taken.
    """
    said = read(request.scope["query_string"], parameters)
    return Asked(
        day=_day(said, default_day),
        version=_version(said),
        columns=tuple(said["column"]) if "column" in said else None,
        where=said.get("where", []),
        order=tuple((name.removeprefix("-"), name.startswith("-")) for name in _split(said)),
        limit=_limit(said, most_rows),
        cursor=_only(said, "cursor"),
        form=chosen_format(",".join(request.headers.getlist("accept")), _only(said, "format"), offered),
        said=said,
    )


def version_number(name: str, text: str) -> int:
    """The Delta version that a parameter names. Raises ``Problem`` (400)."""
    if _VERSION.fullmatch(text) is None:
        raise Problem(400, "bad_version", f"{name}: write the number of a version, 0 or more.")
    return int(text)


def _only(said: dict[str, list[str]], name: str) -> str | None:
    return said[name][0] if name in said else None


def _day(said: dict[str, list[str]], default: Day) -> Day:
    text = _only(said, "day")
    if text is None:
        return default
    if text == "last" or text == "all":
        return "last" if text == "last" else "all"
    try:
        return day_of(text)
    except NotOfTypeError:
        raise Problem(400, "bad_day", "day: write a day as 2026-11-20, or last, or all.") from None


def _version(said: dict[str, list[str]]) -> int | None:
    text = _only(said, "version")
    return version_number("version", text) if text is not None else None


def _split(said: dict[str, list[str]]) -> list[str]:
    text = _only(said, "sort")
    if text is None:
        return []
    names = text.split(",")
    bare = [name.removeprefix("-") for name in names]
    if "" in bare or len(set(bare)) < len(bare):
        raise Problem(400, "bad_sort", "sort: write columns joined by commas, each once, such as -severity,day.")
    return names


def _limit(said: dict[str, list[str]], most: int) -> int | None:
    text = _only(said, "limit")
    if text is None:
        return min(DEFAULT_LIMIT, most)
    if text == "all":
        if "cursor" in said:
            raise Problem(400, "bad_limit", "limit: all rows have no pages; leave out cursor.")
        return None
    if _LIMIT.fullmatch(text) is None or int(text) > most:
        raise Problem(400, "bad_limit", f"limit: write a number from 1 to {most}, or all.")
    return int(text)
