"""Metric mappings: which standard metric a metric of a business system is.

Belongs here: `governance/systems/<system>/metric_mappings.yaml` and the rule by which it is applied. Does not belong
here: how patterns match (`name_patterns.py`), what is wrong with the rules as a whole (`mapping_examination.py`),
proposing rules (`mapping_suggestions.py`) and converting values (`units.py`).

The first rule that matches a name wins. Nothing is decided by accident, though: where two *patterns* take a name to
different results, the name is ambiguous and left out, unless the first is a special case of the second or says
`overrides: true`. A rule without wildcards names exactly one metric and is never in doubt.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from omgov_assets.model_management.documents import parse, read_yaml
from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.name_patterns import (
    WILDCARDS,
    PatternError,
    compiled,
    glob_includes,
    glob_regex,
    matcher,
)
from omgov_assets.model_management.units import UnitTable

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_ATTRIBUTE = r"^[a-z][a-z0-9]*([._][a-z0-9]+)*$"


class MetricMapping(BaseModel):
    """One line of a system's mappings: `match` or `regex`, and what the metrics are that it takes.

    Attributes:
        match: name of the source metric; a glob where it holds `*` (any text, dots too) or `?` (one
            character). Case counts, and nothing else is special.
        regex: RE2 regular expression that the whole name must match; its named groups are placeholders.
        metric: the standard metric; `{group}` stands for what a named group of the regex matched.
        unit: overrides the unit that the system gives, where the system is known to be wrong or silent.
        attributes: attributes that the name of the source metric implies; values may hold placeholders.
        overrides: the rule is meant to win over later patterns that take the same names elsewhere.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    match: str | None = Field(default=None, min_length=1)
    regex: str | None = Field(default=None, min_length=1)
    metric: str
    unit: str | None = Field(default=None, min_length=1)
    attributes: dict[Annotated[str, Field(pattern=_ATTRIBUTE)], Annotated[str, Field(min_length=1)]] = {}
    overrides: bool = False

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Self:
        if (self.match is None) == (self.regex is None):
            raise ValueError("a rule has either `match` (a name or glob) or `regex`, and not both")
        groups: Collection[str] = ()
        if self.regex is not None:
            try:
                groups = compiled(self.regex).groupindex
            except PatternError as error:
                raise ValueError(f"regex {self.regex!r} is not RE2: {error}") from error
        for text in (self.metric, *self.attributes.values()):
            for name in _PLACEHOLDER.findall(text):
                if name not in groups:
                    raise ValueError(f"{{{name}}} is not a named group of the rule's regex: write (?P<{name}>...)")
        return self

    @property
    def pattern(self) -> str:
        """The name, glob or regex, as it is written."""
        return self.match or self.regex or ""

    @cached_property
    def is_exact(self) -> bool:
        """Whether the rule names one metric rather than a pattern of names."""
        return self.match is not None and WILDCARDS.search(self.match) is None

    @cached_property
    def has_placeholders(self) -> bool:
        """Whether metric or attributes depend on the name."""
        return any(_PLACEHOLDER.search(text) for text in (self.metric, *self.attributes.values()))


@dataclass(frozen=True)
class MappedMetric:
    """What a source metric is.

    Attributes:
        position: the rule's place in the file, from 1.
        mapping: the rule.
        metric: the standard metric, placeholders filled in.
        unit: the unit that the rule states, if it does.
        attributes: the attributes that the rule states, placeholders filled in.
    """

    position: int
    mapping: MetricMapping
    metric: str
    unit: str | None
    attributes: Mapping[str, str] = field(default_factory=dict)

    def agrees_with(self, other: MappedMetric) -> bool:
        """Whether both make the same of a source metric."""
        mine, others = (self.metric, self.unit, self.attributes), (other.metric, other.unit, other.attributes)
        return mine == others


@dataclass(frozen=True)
class RefusedMatch:
    """A rule that takes a source metric, but to nothing: `reason` says why."""

    position: int
    mapping: MetricMapping
    reason: str


Outcome = MappedMetric | RefusedMatch


@dataclass(frozen=True)
class Ambiguity:
    """Two rules that take a source metric to different results."""

    first: MappedMetric
    second: MappedMetric


@dataclass(frozen=True)
class Resolution:
    """What a system's rules make of its source metrics, by name; those in none of the three are unmapped.

    Attributes:
        mapped: what is mapped.
        ambiguous: left out because two rules contradict each other.
        refused: left out because the rule that takes the name leads to no standard metric.
    """

    mapped: Mapping[str, MappedMetric]
    ambiguous: Mapping[str, Ambiguity]
    refused: Mapping[str, RefusedMatch]

    def get(self, source_metric: str) -> MappedMetric | None:
        """What a source metric is, or None."""
        return self.mapped.get(source_metric)


class MappingRules:
    """A system's rules made ready to be asked about many names.

    Args:
        mappings: the rules in their order.
        standard: names of the standard metrics, for metrics with placeholders; without them such matches are refused.
    """

    def __init__(self, mappings: Iterable[MetricMapping], standard: Collection[str] = ()) -> None:
        self.mappings: Sequence[MetricMapping] = tuple(mappings)
        self._standard = frozenset(standard)
        self._exact: dict[str, list[int]] = {}
        self._patterns: list[int] = []
        regexes: list[str] = []
        for at, mapping in enumerate(self.mappings):
            if mapping.is_exact:
                self._exact.setdefault(mapping.pattern, []).append(at)
            else:
                self._patterns.append(at)
                regexes.append(glob_regex(mapping.match) if mapping.match else mapping.pattern)
        # Without exact rules, a pattern's number is its rule's.
        self._matching: Callable[[str], list[int]] = matcher(regexes)
        self._fixed = [
            None
            if mapping.has_placeholders
            else MappedMetric(at + 1, mapping, mapping.metric, mapping.unit, mapping.attributes)
            for at, mapping in enumerate(self.mappings)
        ]

    def taking(self, name: str) -> list[int]:
        """Indexes of the rules that match a name, in their order."""
        found = self._matching(name)
        if self._exact:
            found = [self._patterns[hit] for hit in found]
        exact = self._exact.get(name)
        return sorted([*found, *exact]) if exact else found

    def outcome(self, index: int, name: str) -> Outcome:
        """What one rule makes of a name that it matches."""
        return self._fixed[index] or self._filled_in(index, name)

    def ambiguity(self, name: str, taking: Sequence[int]) -> Ambiguity | None:
        """The rules that contradict each other about a name, the winner first; None where nothing is in doubt."""
        winner = self.mappings[taking[0]]
        if len(taking) == 1 or winner.is_exact or winner.overrides:
            return None
        first = self.outcome(taking[0], name)
        if isinstance(first, RefusedMatch):
            return None
        for index in taking[1:]:
            other = self.mappings[index]
            if other.is_exact:  # a dead rule, but no pattern that claims the name by accident
                continue
            second = self.outcome(index, name)
            if isinstance(second, RefusedMatch) or first.agrees_with(second) or is_special_case(winner, other):
                continue
            return Ambiguity(first, second)
        return None

    def _filled_in(self, index: int, name: str) -> Outcome:
        mapping = self.mappings[index]
        found = compiled(mapping.pattern).fullmatch(name)
        groups: dict[str, str | None] = found.groupdict() if found else {}
        empty = sorted(
            {
                group
                for text in (mapping.metric, *mapping.attributes.values())
                for group in _PLACEHOLDER.findall(text)
                if not groups.get(group)
            }
        )
        if empty:
            return RefusedMatch(index + 1, mapping, f"{{{empty[0]}}} is empty for this name")

        def filled(text: str) -> str:
            return _PLACEHOLDER.sub(lambda placeholder: str(groups[placeholder[1]]), text)

        metric = filled(mapping.metric)
        if metric != mapping.metric and metric not in self._standard:
            return RefusedMatch(index + 1, mapping, f"{mapping.metric} gives {metric}, which is not a standard metric")
        attributes = {key: filled(value) for key, value in mapping.attributes.items()}
        return MappedMetric(index + 1, mapping, metric, mapping.unit, attributes)


def resolve(
    mappings: Iterable[MetricMapping], source_metrics: Iterable[str], standard: Collection[str] = ()
) -> Resolution:
    """What each source metric is by the first rule that matches it.

    Args:
        mappings: the rules in their order.
        source_metrics: names as the system spells them.
        standard: names of the standard metrics; a metric with placeholders must give one of them.
    """
    rules = MappingRules(mappings, standard)
    mapped: dict[str, MappedMetric] = {}
    ambiguous: dict[str, Ambiguity] = {}
    refused: dict[str, RefusedMatch] = {}
    for name in dict.fromkeys(source_metrics):
        taking = rules.taking(name)
        if not taking:
            continue
        doubt = rules.ambiguity(name, taking)
        if doubt is not None:
            ambiguous[name] = doubt
            continue
        outcome = rules.outcome(taking[0], name)
        if isinstance(outcome, RefusedMatch):
            refused[name] = outcome
        else:
            mapped[name] = outcome
    return Resolution(mapped, ambiguous, refused)


def is_special_case(special: MetricMapping, general: MetricMapping) -> bool:
    """Whether every name that the first rule matches is matched by the second: True is always true.

    Decided between names and globs; of a regex it is known only where the other is the same one or takes any name.
    """
    if special.is_exact:
        return general.pattern == special.pattern if general.is_exact else _matches(general, special.pattern)
    if general.match is not None and not general.match.strip("*"):
        return True
    if special.match is not None and general.match is not None:
        return not general.is_exact and glob_includes(general.match, special.match)
    return special.regex is not None and special.regex == general.regex


def load_metric_mappings(
    path: Path, metric_names: Collection[str], units: UnitTable | None = None
) -> tuple[MetricMapping, ...]:
    """Read the mappings of a business system, in their order.

    Args:
        path: YAML file with one list `mappings`.
        metric_names: the standard metrics.
        units: if given, an overriding unit that it does not know is an error.

    Raises:
        GovernanceError: the first mistake, among them a metric that is not in the standard and a `match` that
            stands there twice.
    """
    document = read_yaml(path)
    if not isinstance(document, dict) or not isinstance(document.get("mappings"), list):
        raise GovernanceError(path, "mappings", "is not a list", "write `mappings:` and one item per line, or []")
    for key in document:
        if key != "mappings":
            raise GovernanceError(path, str(key), "the key is not known", "remove it; the file holds `mappings` only")
    mappings: list[MetricMapping] = []
    lines: dict[tuple[bool, str], int] = {}
    known = frozenset(metric_names)
    for number, item in enumerate(document["mappings"]):
        key = f"mappings[{number}]"
        mapping = parse(MetricMapping, item, path, key)
        _check(path, key, mapping, known, units)
        identity = (mapping.regex is not None, mapping.pattern)
        if identity in lines:
            raise GovernanceError(
                path,
                f"{key}.{'match' if mapping.regex is None else 'regex'}",
                f"{mapping.pattern!r} stands in mappings[{lines[identity]}] already and wins",
                "remove one of the two",
            )
        lines[identity] = number
        mappings.append(mapping)
    return tuple(mappings)


def _check(path: Path, key: str, mapping: MetricMapping, known: Collection[str], units: UnitTable | None) -> None:
    """What the rule alone cannot tell."""
    if not _PLACEHOLDER.search(mapping.metric) and mapping.metric not in known:
        raise GovernanceError(
            path,
            f"{key}.metric",
            f"{mapping.metric!r} is not a standard metric",
            "name one of governance/standard/metric_definitions or define it there",
        )
    if mapping.unit is not None and units is not None and units.ucum(mapping.unit) is None:
        raise GovernanceError(
            path,
            f"{key}.unit",
            f"{mapping.unit!r} is not a known unit",
            "write a UCUM code, such as By or {order}",
        )


def _matches(mapping: MetricMapping, name: str) -> bool:
    regex = glob_regex(mapping.match) if mapping.match else mapping.pattern
    return compiled(regex).fullmatch(name) is not None
