"""What is wrong with a system's mapping rules as a whole: overlaps, dead rules, ambiguous and unmapped metrics.

Does not belong here: the rule by which one metric is mapped (`metric_mappings.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from omgov_assets.model_management.metric_mappings import (
    Ambiguity,
    MappingRules,
    MetricMapping,
    RefusedMatch,
    is_special_case,
)

# Stands in no name and no pattern: Unicode sets it aside for whoever needs a character of his own.
_STRANGER = "\ue000"

Verdict = Literal["exact", "overrides", "special_case", "same_result", "refused", "shadowed", "ambiguous"]


@dataclass(frozen=True)
class Overlap:
    """Two rules that match the same metrics, of which the first takes them.

    Attributes:
        first: position of the rule that wins, from 1.
        second: position of the other rule.
        names: number of known metrics that the first takes and the second matches, too.
        example: one of them; an ambiguous one if there is one.
        verdict: why the first may win for the example, or `ambiguous` if it must not.
    """

    first: int
    second: int
    names: int
    example: str
    verdict: Verdict


@dataclass(frozen=True)
class DeadRule:
    """A rule that decides nothing.

    Attributes:
        position: the rule's place, from 1.
        mapping: the rule.
        kind: `shadowed` where earlier rules take all that it matches, `unused` where it matches no known metric.
        by: positions of the rules that shadow it.
        detail: the same in a sentence.
    """

    position: int
    mapping: MetricMapping
    kind: Literal["shadowed", "unused"]
    by: tuple[int, ...]
    detail: str


@dataclass(frozen=True)
class MappingExamination:
    """Findings on the rules of one system over the metrics known of it."""

    overlaps: tuple[Overlap, ...]
    dead: tuple[DeadRule, ...]
    ambiguous: Mapping[str, Ambiguity]
    refused: Mapping[str, RefusedMatch]
    unmapped: tuple[str, ...]

    @property
    def shadowed(self) -> tuple[DeadRule, ...]:
        """Rules that can take nothing because of the rules before them."""
        return tuple(rule for rule in self.dead if rule.kind == "shadowed")


def examine(
    mappings: Iterable[MetricMapping], names: Iterable[str], standard: Collection[str] = ()
) -> MappingExamination:
    """Examine rules over the metrics known of a system.

    Args:
        mappings: the rules in their order.
        names: known source metrics.
        standard: names of the standard metrics.
    """
    rules = MappingRules(mappings, standard)
    known = list(dict.fromkeys(names))
    overlaps: dict[tuple[int, int], tuple[int, str, Verdict]] = {}
    winners: list[set[int]] = [set() for _ in rules.mappings]
    ambiguous: dict[str, Ambiguity] = {}
    refused: dict[str, RefusedMatch] = {}
    unmapped: list[str] = []
    for name in known:
        taking = rules.taking(name)
        if not taking:
            unmapped.append(name)
            continue
        for index in taking:
            winners[index].add(taking[0])
        doubt = rules.ambiguity(name, taking)
        outcome = rules.outcome(taking[0], name)
        if doubt is not None:
            ambiguous[name] = doubt
        elif isinstance(outcome, RefusedMatch):
            refused[name] = outcome
        for index in taking[1:]:
            number, example, verdict = overlaps.get((taking[0], index), (0, name, None))
            contradicts = doubt is not None and doubt.second.position == index + 1
            if verdict is None or (contradicts and verdict != "ambiguous"):
                example, verdict = name, _verdict(rules, name, taking[0], index)
            overlaps[taking[0], index] = (number + 1, example, verdict)
    return MappingExamination(
        overlaps=tuple(
            Overlap(first + 1, second + 1, number, example, verdict)
            for (first, second), (number, example, verdict) in sorted(overlaps.items())
        ),
        dead=tuple(_dead_rules(rules, winners, bool(known))),
        ambiguous=ambiguous,
        refused=refused,
        unmapped=tuple(unmapped),
    )


def shadowing(mappings: Sequence[MetricMapping], at: int) -> int | None:
    """Index of an earlier rule that takes every name which the rule at an index could match, if there is one."""
    return _shadowing(MappingRules(mappings), at)


def _verdict(rules: MappingRules, name: str, first: int, second: int) -> Verdict:
    winner, other = rules.mappings[first], rules.mappings[second]
    if winner.is_exact:
        return "exact"
    if other.is_exact:
        return "shadowed"
    if rules.ambiguity(name, [first, second]) is not None:
        return "ambiguous"
    mine, others = rules.outcome(first, name), rules.outcome(second, name)
    if isinstance(mine, RefusedMatch) or isinstance(others, RefusedMatch):
        return "refused"
    if mine.agrees_with(others):
        return "same_result"
    return "overrides" if winner.overrides and not is_special_case(winner, other) else "special_case"


def _dead_rules(rules: MappingRules, winners: Sequence[set[int]], any_known: bool) -> Iterable[DeadRule]:
    for index, mapping in enumerate(rules.mappings):
        if index in winners[index]:
            continue
        position = index + 1
        always = _shadowing(rules, index)
        if always is not None:
            by: tuple[int, ...] = (always + 1,)
            detail = f"rule {by[0]}, {rules.mappings[always].pattern!r}, takes all that it can match; move it before"
            yield DeadRule(position, mapping, "shadowed", by, detail)
        elif winners[index]:
            by = tuple(sorted(winner + 1 for winner in winners[index]))
            listed = ", ".join(str(number) for number in by[:5]) + (", …" if len(by) > 5 else "")
            yield DeadRule(
                position, mapping, "shadowed", by, f"earlier rules ({listed}) take all known metrics that it matches"
            )
        elif any_known:
            yield DeadRule(position, mapping, "unused", (), "matches no metric known of the system")


def _shadowing(rules: MappingRules, index: int) -> int | None:
    mapping = rules.mappings[index]
    if mapping.match is None:
        probe = None
    elif mapping.is_exact:
        probe = mapping.match
    else:
        # The shortest name that the glob matches: whatever includes the glob matches it.
        probe = mapping.match.replace("*", "").replace("?", _STRANGER)
    earlier = range(index) if probe is None else (hit for hit in rules.taking(probe) if hit < index)
    return next((hit for hit in earlier if is_special_case(mapping, rules.mappings[hit])), None)
