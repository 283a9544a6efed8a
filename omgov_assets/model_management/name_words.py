"""The words in the names of metrics: how tools cut, shorten and choose them.

Belongs here: what everyone who names metrics does (`name_words.yaml`), and the firm's own additions and Chinese words
(`governance/standard/glossary.yaml`). Does not belong here: metrics, units and scores (`mapping_suggestions.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from omgov_assets.model_management.documents import parse, read_yaml

GLOSSARY = Path("governance") / "standard" / "glossary.yaml"

# Runs of letters, and of Chinese; then the words of CamelCase in a run.
_RUN = re.compile(r"[A-Za-z0-9]+|[\u3400-\u9fff]+")
_PIECE = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_CHINESE = re.compile(r"[\u3400-\u9fff]")
_LONGEST_TEXT = 2_000

# Roots that lose an e before -ed and -ing: creat-, receiv-, consum-.
_SILENT_E = (
    "at",
    "iz",
    "uc",
    "iv",
    "av",
    "um",
    "os",
    "us",
    "ag",
    "uir",
    "id",
    "ar",
    "ur",
    "let",
    "ut",
    "in",
    "eu",
    "ic",
)


class Glossary(BaseModel):
    """The firm's words, `governance/standard/glossary.yaml`.

    Attributes:
        chinese: Chinese words to English ones, several apart by spaces, or none where a word says nothing.
        abbreviations: the firm's own abbreviations to English words, beside the usual ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    chinese: dict[Annotated[str, Field(pattern=r"^[\u3400-\u9fff]+$")], str] = {}
    abbreviations: dict[Annotated[str, Field(pattern=r"^[a-z0-9]+$")], str] = {}

    @cached_property
    def longest(self) -> int:
        """Length of the longest Chinese word."""
        return max(map(len, self.chinese), default=0)

    def translated(self, text: str) -> list[str]:
        """English words of Chinese text, the longest known word first at each place; what is not known is left out."""
        words: list[str] = []
        at = 0
        while at < len(text):
            for length in range(min(self.longest, len(text) - at), 0, -1):
                found = self.chinese.get(text[at : at + length])
                if found is not None:
                    words.extend(found.split())
                    at += length
                    break
            else:
                at += 1
        return words


def load_glossary(project: Path) -> Glossary:
    """The firm's glossary; an empty one where the project has none. Raises ``GovernanceError``."""
    path = project / GLOSSARY
    return parse(Glossary, read_yaml(path), path) if path.is_file() else Glossary()


class Words:
    """Cuts names and sentences into words of one spelling.

    Args:
        glossary: the firm's words.
    """

    def __init__(self, glossary: Glossary | None = None) -> None:
        self._glossary = glossary or Glossary()
        abbreviations = _general()["abbreviations"] | self._glossary.abbreviations
        self._known = {key: tuple(value.split()) for key, value in abbreviations.items()}
        self._related = relatedness()
        self._spelled: dict[str, tuple[str, ...]] = {}
        self._shown: dict[str, str] = {}

    def of(self, text: str) -> tuple[str, ...]:
        """Words in their order: abbreviations written out, plurals and endings taken off, Chinese translated."""
        found: list[str] = []
        for run in _RUN.findall(text[:_LONGEST_TEXT]):
            known = self._spelled.get(run)
            if known is None:
                known = self._spelled[run] = tuple(self._words_of(run))
            found.extend(known)
        return tuple(found)

    def shown(self, word: str) -> str:
        """A word of ``of`` in the shortest form in which it was met."""
        return self._shown.get(word, word)

    def _words_of(self, run: str) -> Iterator[str]:
        whole = run.lower()
        if _CHINESE.match(run):
            for word in self._glossary.translated(run):
                yield from self._spelling(word)
        elif whole in self._known or stem(whole) in self._related:
            yield from self._spelling(whole)
        else:
            for piece in _PIECE.findall(run):
                yield from self._spelling(piece.lower())

    def _spelling(self, word: str) -> Iterator[str]:
        for part in self._known.get(word, (word,)):
            root = stem(part)
            self._shown[root] = min(part, self._shown.get(root, part), key=len)
            yield root


def stem(word: str) -> str:
    """The word without plural and endings of verbs: `dropped`, `waiting`, `queries` are drop, wait, query."""
    if len(word) > 3 and word.endswith("ies"):
        word = word[:-3] + "y"
    elif len(word) > 4 and word.endswith(("sses", "tches", "shes", "xes")):
        word = word[:-2]
    elif len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ing", "ed"):
        if len(word) > len(ending) + 3 and word.endswith(ending):
            root = word[: -len(ending)]
            if root[-1] == root[-2] and root[-1] not in "ls":
                return root[:-1]
            return root + "e" if root.endswith(_SILENT_E) else root
    return word


@cache
def relatedness() -> Mapping[str, Mapping[str, float]]:
    """How near in meaning words are that are not alike, from 0 to 1, both ways."""
    related: dict[str, dict[str, float]] = {}
    for one, others in _general()["related"].items():
        for other, degree in others.items():
            related.setdefault(stem(one), {})[stem(other)] = degree
            related.setdefault(stem(other), {})[stem(one)] = degree
    return related


def implied_unit(words: Iterable[str]) -> str | None:
    """UCUM code of the last word that names a unit; None where none does."""
    found = [_units()[word] for word in words if word in _units()]
    return found[-1] if found else None


def likeness(word: str, other: str) -> float:
    """How sure one word is a form or abbreviation of the other, from 0 to 1, by their letters alone."""
    short, long = sorted((word, other), key=len)
    if short == long:
        return 1.0
    common = next((at for at, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    if common == len(short) and common >= 3:
        return 0.8 if common >= 4 else 0.6
    return 0.7 if common >= 5 and common > 0.6 * len(long) else 0.0


@cache
def _units() -> Mapping[str, str]:
    return {stem(word): code for word, code in _general()["units"].items()}


@cache
def _general() -> dict[str, Any]:
    """What everyone does: `abbreviations`, `related` and `units`."""
    found: dict[str, Any] = read_yaml(Path(__file__).with_name("name_words.yaml"))
    return found
