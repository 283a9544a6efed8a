"""Addresses of the pages: made here, so that a link is quoted, stays within the service, and knows its day.

Does not belong here: which links a page shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TypeAlias
from urllib.parse import quote, urlencode

Value: TypeAlias = str | int | date | Sequence[str] | None


def address(root: str, path: str, values: Mapping[str, Value]) -> str:
    """A page's address below the service's root; what is None or empty is left out of the query.

    ``path`` is one of the pages' own, with its parts quoted by ``part``.
    """
    pairs = [
        (name.replace("_", "-"), str(one))
        for name, value in values.items()
        for one in ([value] if isinstance(value, str | int | date) else value or ())
        if one != ""
    ]
    return f"{root}{path}" + (f"?{urlencode(pairs)}" if pairs else "")


def part(text: str) -> str:
    """A name as one part of a path. A part of dots alone would be walked."""
    return quote(text, safe="").replace(".", "%2E")


def within(given: str | None) -> str:
    r"""An address that a request names, where it is one of this service; else the first page.

    A browser takes ``//host`` and ``/\host`` for another host, and drops control characters before it looks.
    """
    if given is None or not given.startswith("/") or not given.isascii() or not given.isprintable():
        return "/"
    if given[1:2] in ("/", "\\"):
        return "/"
    return given
