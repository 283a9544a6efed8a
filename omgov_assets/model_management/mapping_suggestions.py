"""Proposing metric mappings: which standard metrics an unmapped metric of a business system could be.

Belongs here: ranking standard metrics for a source metric, with a score and the reason. Does not belong here: what
words mean (`name_words.py`) and writing the rule (`mapping_editing.py`).

A score is made of three kinds of evidence. The words of the names count most: how much of the standard name the source
name says, and how much of the source name the standard name accounts for, rare words weighing more than common ones.
The description adds what the name leaves out. The unit decides whether both can be the same quantity at all.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.sql import read_sql
from omgov_assets.model_management.name_words import Glossary, Words, implied_unit, likeness, relatedness
from omgov_assets.model_management.ucum import UnitMeaning, meaning
from omgov_assets.model_management.units import UnitTable

Floats = npt.NDArray[np.float32]

# Two candidates whose scores differ by less are equally good: a person decides.
PRACTICALLY_EQUAL = 0.02


@dataclass(frozen=True)
class SourceMetric:
    """A metric of a business system, as far as it is known."""

    name: str
    unit: str | None = None
    display_name: str | None = None
    description: str | None = None
    instrument: str | None = None


class Candidate(Protocol):
    """What is asked of a standard metric."""

    @property
    def metric(self) -> str:
        """Name."""

    @property
    def brief(self) -> str:
        """One sentence."""

    @property
    def unit(self) -> str:
        """UCUM code."""

    @property
    def instrument(self) -> str:
        """Such as gauge or counter."""


@dataclass(frozen=True)
class Suggestion:
    """A standard metric that a source metric could be.

    Attributes:
        source_metric: name of the source metric.
        rank: from 1, the best.
        metric: the standard metric.
        score: from 0 to 1.
        reason: what speaks for it and against it, in words.
    """

    source_metric: str
    rank: int
    metric: str
    score: float
    reason: str


def suggest(
    wanted: Iterable[SourceMetric],
    standard: Sequence[Candidate],
    units: UnitTable,
    glossary: Glossary | None = None,
    limit: int = 5,
) -> dict[str, list[Suggestion]]:
    """The standard metrics that fit each source metric best, best first.

    Args:
        wanted: source metrics.
        standard: the metrics to choose from.
        units: spellings of units.
        glossary: the firm's words, among them the Chinese ones.
        limit: how many to return of each; those without any evidence are left out.

    Returns:
        Suggestions by name of the source metric, in the order of ``wanted``.
    """
    if not standard:
        return {source.name: [] for source in wanted}
    scorer = _Scorer(standard, units, Words(glossary))
    return {source.name: scorer.best(source, limit) for source in wanted}


def known_metrics(lake: Lake, system: str) -> list[SourceMetric]:
    """The metrics that a system defined on the last day in the lake, by name; none where it never did."""
    table = f"{system}/metric_definitions"
    days = lake.days(table)
    if not days:
        return []
    with lake.connect() as con:
        lake.register(con, "definitions", table, days[-1])
        rows = con.execute(read_sql(Path(__file__).with_name("known_metrics.sql"))).fetchall()
    return [SourceMetric(*row) for row in rows]


def practically_equal(suggestions: Sequence[Suggestion]) -> bool:
    """Whether the two best suggestions are too near to each other to choose without a person."""
    return len(suggestions) > 1 and suggestions[0].score - suggestions[1].score < PRACTICALLY_EQUAL


class _Scorer:
    """All candidates at once: a row per candidate, a column per word of their names."""

    def __init__(self, standard: Sequence[Candidate], units: UnitTable, words: Words) -> None:
        self._standard = standard
        self._units = units
        self._words = words
        cut = [words.of(candidate.metric) for candidate in standard]
        self._vocabulary = _Vocabulary(cut)
        slots = max(map(len, cut))
        self._slots = np.full((len(cut), slots), len(self._vocabulary.words), dtype=np.intp)
        for row, name in enumerate(cut):
            self._slots[row, : len(name)] = [self._vocabulary.index[word] for word in name]
        # One more column: the slots that a name leaves empty weigh nothing.
        self._weights = np.append(self._vocabulary.weights, np.float32(0))[self._slots]
        self._total = self._weights.sum(axis=1)
        self._briefs = _Sentences(
            [(*words.of(candidate.brief), *name) for candidate, name in zip(standard, cut, strict=True)]
        )
        self._fits: dict[tuple[str | None, str | None], tuple[Floats, list[str]]] = {}

    def best(self, source: SourceMetric, limit: int) -> list[Suggestion]:
        name = self._words.of(source.name)
        shown = self._words.of(source.display_name) if source.display_name else ()
        score = self._name_score(name)
        if shown:
            # A code such as ST0001 says nothing, its title does; but what a name does say counts beside its title.
            score = np.maximum.reduce([score, 0.9 * self._name_score(shown), self._name_score((*name, *shown))])
        if source.description:
            told = self._briefs.likeness((*self._words.of(source.description), *shown))
            score = score + (1 - score) * 0.4 * told
        fit, remarks = self._unit_fit(source.unit, implied_unit((*name, *shown)))
        score = score * fit
        if source.instrument:
            same = np.array([candidate.instrument == source.instrument for candidate in self._standard])
            score = score * np.where(same, 1.0, 0.98)
        order = np.argsort(-score, kind="stable")[:limit]
        return [
            Suggestion(
                source.name,
                rank,
                self._standard[row].metric,
                round(float(score[row]), 3),
                self._reason((*name, *shown), int(row), remarks[row]),
            )
            for rank, row in enumerate(order, start=1)
            if score[row] > 0.05
        ]

    def _name_score(self, name: Sequence[str]) -> Floats:
        """Share of the words in common, by weight; near words count in part."""
        vocabulary = self._vocabulary
        name = vocabulary.fitted(name)
        if not name:
            return np.zeros(len(self._standard), dtype=np.float32)
        near = np.stack([vocabulary.nearness(word) for word in name])
        # A word of the standard name that the source says twice is not said better.
        by_slot = near[:, self._slots]
        told = (by_slot.max(axis=0) * self._weights).sum(axis=1) / self._total
        accounted = by_slot.max(axis=2)
        weights = np.array([vocabulary.weight(word) for word in name], dtype=np.float32)
        explained = (accounted * weights[:, None]).sum(axis=0) / max(weights.sum(), 1e-6)
        both = 0.6 * explained + 0.4 * told
        return np.where(both > 0, told * explained / np.maximum(both, 1e-6), 0).astype(np.float32)

    def _unit_fit(self, unit: str | None, implied: str | None) -> tuple[Floats, list[str]]:
        key = (unit, implied)
        if key not in self._fits:
            found = [self._fit_of_one(unit, implied, candidate) for candidate in self._standard]
            self._fits[key] = np.array([fit for fit, _ in found], dtype=np.float32), [remark for _, remark in found]
        return self._fits[key]

    def _fit_of_one(self, spelling: str | None, implied: str | None, candidate: Candidate) -> tuple[float, str]:
        status = self._units.status(spelling, None)
        code = self._units.ucum(spelling) if status == "ok" else implied
        if code is None:
            return 0.93, f"unit {spelling!r} is not known" if status == "unknown" else "no unit is given"
        named = f"unit {code}" if status == "ok" else f"unit {code} by its name"
        target = candidate.unit
        if code == target:
            return 1.0, f"{named} is the same"
        if self._units.conversion(code, target) is not None:
            bare = "1" in (code, target)
            return 0.95 if bare else 0.99, f"{named} converts to {target}"
        one, other = meaning(code), meaning(target)
        if one is not None and other is not None:
            if one.dimension == other.dimension:
                return 0.85, f"{named} counts something other than {target}"
            if _is_rate_of(one, other) or _is_rate_of(other, one):
                return 0.8, f"{named} is a total where {target} is a rate, or the other way round"
        return 0.5, f"{named} does not convert to {target}"

    def _reason(self, words: Sequence[str], row: int, remark: str) -> str:
        shown = self._words.shown
        said: list[str] = []
        near: list[str] = []
        missing: list[str] = []
        fitted = self._vocabulary.fitted(words)
        for word in dict.fromkeys(self._words.of(self._standard[row].metric)):
            at = self._vocabulary.index[word]
            degree, best = max(((float(self._vocabulary.nearness(own)[at]), own) for own in fitted), default=(0.0, ""))
            if best == word:
                said.append(shown(word))
            elif degree > 0:
                near.append(f"{shown(best)}≈{shown(word)}")
            else:
                missing.append(shown(word))
        parts = [
            f"says {', '.join(said)}" if said else "",
            f"near {', '.join(near)}" if near else "",
            f"does not say {', '.join(missing)}" if missing else "",
            remark,
        ]
        return "; ".join(part for part in parts if part)


class _Vocabulary:
    """The words of the standard names, how much each weighs, and how near any other word is to them."""

    def __init__(self, names: Sequence[Sequence[str]]) -> None:
        counted = Counter(word for name in names for word in set(name))
        self.words = sorted(counted)
        self.index = {word: at for at, word in enumerate(self.words)}
        self.weights: Floats = np.array(
            [1 + 0.5 * math.log(len(names) / counted[word]) for word in self.words], dtype=np.float32
        )
        # A word that no standard name knows: it may be the tool's own prefix, or what makes the metric another one.
        self._strange = 0.5 * float(self.weights.mean())
        self._related = relatedness()
        # Forms of a word begin alike.
        self._alike: dict[str, list[int]] = {}
        for at, word in enumerate(self.words):
            self._alike.setdefault(word[:3], []).append(at)
        self._nearness: dict[str, Floats] = {}

    def weight(self, word: str) -> float:
        """How much a word of a source name weighs."""
        near = self.nearness(word)
        if not near.any():
            return self._strange
        at = int(near.argmax())
        return self._strange + float(near[at]) * (float(self.weights[at]) - self._strange)

    def nearness(self, word: str) -> Floats:
        """How near a word is to each word of the vocabulary, and 0 for the empty slot behind them."""
        known = self._nearness.get(word)
        if known is None:
            known = np.zeros(len(self.words) + 1, dtype=np.float32)
            for at in self._alike.get(word[:3], ()):
                known[at] = likeness(word, self.words[at])
            for other, degree in self._related.get(word, {}).items():
                if other in self.index:
                    known[self.index[other]] = max(known[self.index[other]], degree)
            if word in self.index:
                known[self.index[word]] = 1
            self._nearness[word] = known
        return known

    def fitted(self, name: Sequence[str]) -> list[str]:
        """The words cut as the standard cuts them: `file`, `system` is `filesystem` where that is a word, and back."""
        found: list[str] = []
        for word in name:
            if found and found[-1] + word in self.index and not {found[-1], word} <= self.index.keys():
                found[-1] += word
            else:
                found.extend(self._parts(word))
        return list(dict.fromkeys(found))

    def _parts(self, word: str) -> Iterator[str]:
        if word not in self.index and word not in self._related:
            for at in range(3, len(word) - 2):
                if word[:at] in self.index and word[at:] in self.index:
                    yield word[:at]
                    yield word[at:]
                    return
        yield word


class _Sentences:
    """Descriptions as weighted sets of words; likeness is the cosine."""

    def __init__(self, sentences: Sequence[Sequence[str]]) -> None:
        counted = Counter(word for sentence in sentences for word in set(sentence))
        self._index: Mapping[str, int] = {word: at for at, word in enumerate(sorted(counted))}
        self._weights = {word: math.log(1 + len(sentences) / number) for word, number in counted.items()}
        self._unknown = math.log(1 + len(sentences))
        self._rows = np.zeros((len(sentences), len(self._index)), dtype=np.float32)
        for row, sentence in enumerate(sentences):
            for word in set(sentence):
                self._rows[row, self._index[word]] = self._weights[word]
        self._rows /= np.maximum(np.linalg.norm(self._rows, axis=1, keepdims=True), 1e-6)

    def likeness(self, sentence: Sequence[str]) -> Floats:
        """Cosine of the sentence with each description."""
        words = set(sentence)
        found = sorted(word for word in words if word in self._index)
        weights = np.array([self._weights[word] for word in found], dtype=np.float32)
        unknown = 0.3 * self._unknown**2 * (len(words) - len(found))
        norm = math.sqrt(float((weights**2).sum()) + unknown)
        if norm == 0:
            return np.zeros(len(self._rows), dtype=np.float32)
        columns = self._rows[:, [self._index[word] for word in found]]
        return np.asarray(columns @ weights / norm, dtype=np.float32)


def _is_rate_of(rate: UnitMeaning, total: UnitMeaning) -> bool:
    """Whether the one is the other per time."""
    per_time, plain = dict(rate.dimension), dict(total.dimension)
    return per_time.pop("s", 0) == -1 and plain.pop("s", 0) == 0 and per_time == plain
