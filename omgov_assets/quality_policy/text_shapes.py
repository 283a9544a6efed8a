"""Regular expressions for the shape of texts: what a column of codes, names or addresses looks like, from a sample.

Both RE2 and Python read the patterns alike. Does not belong here: how many texts match them (``profiling``).
"""

from __future__ import annotations

import itertools
import re
import string
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

MAX_SHAPES = 4
# Characters beside letters and digits that a pattern may list.
MAX_OTHERS = 8
# A text of more parts than this is prose.
MAX_PARTS = 24
MIN_TEXTS = 3
# Of fewer texts an equal length is chance.
MIN_TEXTS_OF_A_LENGTH = 5

_HAN = "一-鿿"
_RUNS = re.compile(rf"[0-9]+|[a-z]+|[A-Z]+|[{_HAN}]+|.", re.DOTALL)
_WORDS = re.compile(rf"[0-9A-Za-z]+|[{_HAN}]+|.", re.DOTALL)
_CLASSES = (("A-Z", re.compile("[A-Z]")), ("a-z", re.compile("[a-z]")), ("0-9", re.compile("[0-9]")))
_HEX = re.compile(r"[0-9a-f]+")
_PUNCTUATION = frozenset(string.punctuation)


@dataclass(frozen=True)
class _Part:
    """A run of one class of characters, or one character that stands for itself."""

    kind: Literal["digits", "lower", "upper", "han", "word", "literal"]
    literal: str = ""


def propose_patterns(texts: Sequence[str]) -> list[str]:
    """Patterns that every one of the texts matches from end to end, the most telling first; none for free text."""
    if len(texts) < MIN_TEXTS or any(_is_odd(text) for text in texts):
        return []
    told = _by_shape(texts, _RUNS, _run) or _by_shape(texts, _WORDS, _word)
    loose = _by_characters(texts)
    return [pattern for pattern in (told, loose) if pattern]


def _is_odd(text: str) -> bool:
    """Whether a text holds what no pattern should spell out: controls, or characters unlike those expected."""
    return any(not (" " <= character <= "~" or "一" <= character <= "鿿") for character in text)


def _by_shape(texts: Sequence[str], parts: re.Pattern[str], part_of: Callable[[str], _Part]) -> str | None:
    """Alternatives of runs and separators, where there are only a few."""
    shapes: dict[tuple[_Part, ...], list[list[str]]] = {}
    for text in texts:
        runs = parts.findall(text)
        if len(runs) > MAX_PARTS:
            return None
        shape = tuple(map(part_of, runs))
        shapes.setdefault(shape, []).append(runs)
        if len(shapes) > MAX_SHAPES:
            return None
    # A shape for every other text tells nothing of the next one.
    if len(shapes) > 1 and len(texts) < 3 * len(shapes):
        return None
    alternatives = [
        "".join(_pattern(part, column) for part, column in zip(shape, zip(*rows, strict=True), strict=True))
        for shape, rows in sorted(shapes.items(), key=lambda item: (-len(item[1]), str(item[0])))
    ]
    return f"^{alternatives[0]}$" if len(alternatives) == 1 else f"^(?:{'|'.join(alternatives)})$"


def _run(text: str) -> _Part:
    first = text[0]
    if first.isascii():
        if not first.isalnum():
            return _Part("literal", text)
        return _Part("digits" if first.isdigit() else "lower" if first.islower() else "upper")
    return _Part("han")


def _word(text: str) -> _Part:
    if text[0].isascii():
        return _Part("word") if text[0].isalnum() else _Part("literal", text)
    return _Part("han")


def _pattern(part: _Part, runs: Collection[str]) -> str:
    if part.kind == "literal":
        return _escaped(part.literal)
    lengths = {len(run) for run in runs}
    count = (
        "+"
        if len(lengths) > 1 or len(runs) < MIN_TEXTS_OF_A_LENGTH
        else ""
        if lengths == {1}
        else f"{{{lengths.pop()}}}"
    )
    return f"[{_HAN if part.kind == 'han' else _class_of(runs)}]{count}"


def _class_of(runs: Collection[str]) -> str:
    joined = "".join(runs)
    if len(runs) >= MIN_TEXTS and len(joined) >= 64 and _HEX.fullmatch(joined) and re.search("[a-f]", joined):
        return "0-9a-f"
    return "".join(name for name, pattern in _CLASSES if pattern.search(joined))


def _by_characters(texts: Sequence[str]) -> str | None:
    """Which characters there are, where beside letters and digits they are few."""
    found = set(itertools.chain.from_iterable(texts))
    classes = [name for name, pattern in _CLASSES if any(map(pattern.match, found))]
    han = any("一" <= character <= "鿿" for character in found)
    others = sorted(found & (_PUNCTUATION | {" "}))
    if len(others) > MAX_OTHERS or (" " in others and len(others) > MAX_OTHERS // 2):
        return None
    listed = "".join([*classes, *([_HAN] if han else []), *map(_escaped, others)])
    return f"^[{listed}]{'*' if '' in texts else '+'}$" if listed else None


def _escaped(character: str) -> str:
    return f"\\{character}" if character in _PUNCTUATION and character != "_" else character
