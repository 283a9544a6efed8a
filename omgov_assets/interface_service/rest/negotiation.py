"""Which format an answer has: by ``format`` in the query string, else by ``Accept`` as RFC 9110 reads it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from omgov_assets.interface_service.formats.formats import Format
from omgov_assets.interface_service.problems import Problem

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_RANGE = re.compile(rf"({_WORD})/({_WORD})")
_QUALITY = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?", re.ASCII)


def chosen_format(accept: str | None, named: str | None, offered: Sequence[Format]) -> Format:
    """The format that a client wants most; of several wanted alike the first one offered.

    Args:
        accept: header ``Accept``; None or empty takes any.
        named: ``format`` of the query string, which comes before the header: browsers cannot choose theirs.
        offered: what there is.

    Raises:
        Problem: 406; there is nothing that the client takes. 400; ``named`` is none of those offered.
    """
    if named is not None:
        for one in offered:
            if one.name == named:
                return one
        raise Problem(400, "unknown_format", f"format: there are {', '.join(one.name for one in offered)}.")
    if accept is None or not accept.strip():
        return offered[0]
    ranges = _ranges(accept)
    best = max(offered, key=lambda one: _quality(one, ranges))
    if _quality(best, ranges) <= 0:
        there = ", ".join(_media_type(one) for one in offered)
        raise Problem(406, "not_acceptable", f"Accept: there are {there}; or name one by format=.")
    return best


def _quality(offered: Format, ranges: Sequence[tuple[str, str, float]]) -> float:
    """How much a format is wanted: what the most specific range says that it is in."""
    kind, _, subtype = _media_type(offered).partition("/")
    found = 0.0
    specific = -1
    for wanted_kind, wanted_subtype, quality in ranges:
        if wanted_kind not in ("*", kind) or wanted_subtype not in ("*", subtype):
            continue
        how = (wanted_kind != "*") + (wanted_subtype != "*")
        if how > specific or (how == specific and quality > found):
            found, specific = quality, how
    return found


def _ranges(accept: str) -> list[tuple[str, str, float]]:
    """Kind, subtype and quality of each media range; what is none is passed over."""
    ranges = []
    for part in accept.split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        matched = _RANGE.fullmatch(name.lower())
        if matched is None or (matched[1] == "*" and matched[2] != "*"):
            continue
        quality = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip().lower() == "q":
                quality = float(value) if _QUALITY.fullmatch(value.strip()) else 0.0
        ranges.append((matched[1], matched[2], quality))
    return ranges


def _media_type(one: Format) -> str:
    return one.media_type.partition(";")[0]
