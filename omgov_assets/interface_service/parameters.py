"""The query string of a question: which parameters there are, what they say, and reading them strictly.

Owns one rule: what cannot be understood is an error. A parameter that is misspelt or said twice must not silently make
another question of it. The same table is read by and documented from. Does not belong here: values of filters
(``rest.filters``).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from omgov_assets.interface_service.problems import Problem

_MOST_PARAMETERS = 256


@dataclass(frozen=True)
class Parameter:
    """A parameter of the query string.

    Attributes:
        name: its name.
        brief: what it says, for people.
        schema: JSON schema of one value.
        example: a value.
        repeats: whether it may be there more than once.
        required: whether it must be there; who reads it sees to that.
    """

    name: str
    brief: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    example: Any = None
    repeats: bool = False
    required: bool = False

    @property
    def documented(self) -> dict[str, Any]:
        """The parameter as OpenAPI describes it."""
        schema = {"type": "array", "items": dict(self.schema)} if self.repeats else dict(self.schema)
        said: dict[str, Any] = {"name": self.name, "in": "query", "required": self.required}
        said |= {"description": self.brief, "schema": schema}
        if self.repeats:
            said |= {"style": "form", "explode": True}
        if self.example is not None:
            said["example"] = [self.example] if self.repeats else self.example
        return said


def read(query: bytes, parameters: Sequence[Parameter]) -> dict[str, list[str]]:
    """Values by parameter, of those that are there.

    Args:
        query: the query string as it came.
        parameters: those that there are.

    Raises:
        Problem: 400; it holds a parameter that there is not, one twice that may be there once, or bytes that are no
            text.
    """
    known = {one.name: one for one in parameters}
    values: dict[str, list[str]] = {}
    for name, value in _pairs(query):
        if name not in known:
            raise Problem(400, "unknown_parameter", _unknown(name, list(known)))
        if name in values and not known[name].repeats:
            raise Problem(400, "repeated_parameter", f"{name} is there more than once; say it once.")
        values.setdefault(name, []).append(value)
    return values


def _pairs(query: bytes) -> list[tuple[str, str]]:
    try:
        # Latin-1 keeps every byte as it is; what they say is read strictly, part by part.
        text = query.decode("latin-1")
        pairs = parse_qsl(text, keep_blank_values=True, encoding="latin-1", max_num_fields=_MOST_PARAMETERS)
        return [(_text(name), _text(value)) for name, value in pairs]
    except ValueError:
        raise Problem(
            400,
            "bad_query",
            "The query string cannot be read: write name=value, joined by &, in percent-encoded UTF-8.",
        ) from None


def _text(said: str) -> str:
    return said.encode("latin-1").decode("utf-8")


def _unknown(name: str, known: list[str]) -> str:
    shown = name[:40]
    close = difflib.get_close_matches(shown, known, 1)
    meant = f" Did you mean {close[0]}?" if close else ""
    if not meant and "where" in known:
        meant = " Rows are chosen by where=column:operator:value."
    there = f"there are {', '.join(known)}" if known else "there is none here"
    return f"There is no parameter {shown!r}; {there}.{meant}"
