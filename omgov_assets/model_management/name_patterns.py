"""Patterns of names, exact, glob and regex, matched all at once and in time linear in the length of a name.

Belongs here: how a pattern is written, which of many patterns take a name, and whether one glob is a special case of
another. Does not belong here: what a match means (`metric_mappings.py`).

Patterns run on RE2, which has no backtracking, hence no look-around and no back-references: no pattern can hang the
night. RE2's sets try all patterns in one pass over a name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

import re2  # type: ignore[import-untyped]

WILDCARDS = re.compile(r"[*?]")

# As RE2 cuts it out of a regex; in a class of characters it names nothing, and no one writes it there.
_GROUP = re.compile(r"\(\?P?<([A-Za-z_]\w*)>")

# Bounds what one regex may cost per character of a name, as `((a{1,100}){1,100}b)` would.
MAX_PROGRAM_SIZE = 5_000
# The automaton of a set is built as names are met, and begun anew where it outgrows this.
_SET_BYTES = 64 << 20
_SET_PATTERNS = 500
# Pairs of states looked at before two globs count as unrelated; names of metrics need a few hundred.
_INCLUSION_STATES = 20_000


class PatternError(ValueError):
    """A regex that RE2 does not take; the message says why."""


def compiled(regex: str) -> re2._Regexp:
    """The regex ready to match. Raises ``PatternError``."""
    try:
        pattern = _compiled(regex)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise PatternError(text) from error
    groups = _GROUP.findall(regex)
    if len(set(groups)) < len(groups):
        raise PatternError("two of its groups have the same name")
    if pattern.programsize > MAX_PROGRAM_SIZE:
        raise PatternError(f"its program has {pattern.programsize} steps, {MAX_PROGRAM_SIZE} are allowed")
    return pattern


def escaped(name: str) -> str:
    """A regex that matches exactly this name."""
    return str(re2.escape(name))


def glob_regex(glob: str) -> str:
    """The glob as an RE2 regex: `*` is any text, dots and line ends too, `?` one character."""
    parts = (
        re2.escape(part) if part[0] not in "*?" else "." * part.count("?") + (".*" if "*" in part else "")
        for part in re.findall(r"[*?]+|[^*?]+", glob)
    )
    return f"(?s:{''.join(parts)})"


def matcher(regexes: Sequence[str]) -> Callable[[str], list[int]]:
    """A function that tells which of the regexes match the whole of a name, by their positions in ascending order.

    Args:
        regexes: RE2 syntax; each has gone through ``compiled`` before or comes of ``glob_regex``.
    """
    sets = [(start, regexes[start : start + _SET_PATTERNS]) for start in range(0, len(regexes), _SET_PATTERNS)]
    ready = [(start, part, _set_of(part)) for start, part in sets]

    def matching(name: str) -> list[int]:
        found: list[int] = []
        for start, part, patterns in ready:
            hits = patterns.Match(name) if patterns is not None else None
            if hits:
                # The last pattern of a set matches every name: it says that the set has been able to tell.
                hits.sort()
                hits.pop()
                found.extend([start + hit for hit in hits] if start else hits)
            else:
                found.extend(start + at for at, regex in enumerate(part) if _compiled(regex).fullmatch(name))
        return found

    return matching


@lru_cache(maxsize=65_536)
def glob_includes(general: str, special: str) -> bool:
    """Whether every name that the special glob matches is matched by the general one, too.

    Exact: searches all names for a counterexample, by the states that the two globs can be in at once. Says False
    where that takes too many states, so True is always true.
    """
    letters = sorted(set(WILDCARDS.sub("", general + special)))
    # All characters that stand in neither glob are alike; one stands for them.
    alphabet = [*letters, None]
    start = (0, _closure(general, 1))
    pending, seen = [start], {start}
    while pending:
        position, states = pending.pop()
        if _only_stars(special, position) and not states >> len(general) & 1:
            return False
        for letter in alphabet:
            reached = _closure(general, _step(general, states, letter))
            for successor in _positions(special, position, letter):
                pair = (successor, reached)
                if pair not in seen:
                    if len(seen) >= _INCLUSION_STATES:
                        return False
                    seen.add(pair)
                    pending.append(pair)
    return True


@lru_cache(maxsize=4096)
def _compiled(regex: str) -> re2._Regexp:
    return re2._Regexp(regex, _options())


def _options() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    return options


def _set_of(regexes: Sequence[str]) -> re2.Set | None:
    """The regexes as one automaton; None where they are too large together."""
    options = _options()
    options.max_mem = _SET_BYTES
    patterns = re2.Set.FullMatchSet(options)
    for regex in regexes:
        patterns.Add(regex)
    patterns.Add("(?s:.*)")
    try:
        patterns.Compile()
    except re2.error:
        return None
    return patterns


def _only_stars(glob: str, position: int) -> bool:
    return not glob[position:].strip("*")


def _positions(glob: str, position: int, letter: str | None) -> set[int]:
    """Positions that one glob can be in behind a letter."""
    found = set()
    while position < len(glob):
        char = glob[position]
        if char == "*":
            found.add(position)
            position += 1
            continue
        if char in ("?", letter):
            found.add(position + 1)
        break
    return found


def _closure(glob: str, states: int) -> int:
    """The states, a bit each, and those behind the stars that they stand before."""
    for position, char in enumerate(glob):
        if char == "*" and states >> position & 1:
            states |= 1 << (position + 1)
    return states


def _step(glob: str, states: int, letter: str | None) -> int:
    reached = 0
    for position, char in enumerate(glob):
        if states >> position & 1:
            if char == "*":
                reached |= 1 << position
            elif char in ("?", letter):
                reached |= 1 << (position + 1)
    return reached
