"""``omgov mappings``: proposing, accepting and checking the metric mappings of a business system."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import typer

from omgov_assets.cli.options import HomeToRead, Output, Project
from omgov_assets.cli.output import SOMETHING_REFUSED, Format, emit, fail, notice
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings
from omgov_assets.model_management.business_systems import BusinessSystem
from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.governance import Governance, load_governance
from omgov_assets.model_management.mapping_editing import DeadRuleError, append_rules
from omgov_assets.model_management.mapping_examination import MappingExamination, examine
from omgov_assets.model_management.mapping_suggestions import (
    SourceMetric,
    Suggestion,
    known_metrics,
    practically_equal,
    suggest,
)
from omgov_assets.model_management.metric_mappings import MappingRules
from omgov_assets.model_management.name_words import load_glossary
from omgov_assets.model_management.standard_metrics import StandardMetric

mappings_app = typer.Typer(help="Which standard metric the metrics of a business system are.", no_args_is_help=True)

System = Annotated[str, typer.Argument(help="Business system.")]

# From here on a suggestion may be accepted without a look at each, and from here on one that was looked at.
ALL_SCORE = 0.9
ONE_SCORE = 0.5


@mappings_app.command("suggest")
def suggest_mappings(
    system: System,
    top: Annotated[int, typer.Option(min=1, help="How many for each metric.")] = 5,
    metric: Annotated[str | None, typer.Option("--metric", help="Only this source metric, mapped or not.")] = None,
    min_score: Annotated[float, typer.Option(min=0, max=1, help="Leave out what scores less.")] = 0.0,
    output: Output = Format.TABLE,
    home: HomeToRead = None,
    project: Project = None,
) -> None:
    """Propose standard metrics for what is not mapped yet, best first, each with the reason."""
    bench = _Bench.of(system, home, project)
    wanted = [bench.source(metric)] if metric is not None else bench.unmapped
    rows = [
        {
            "source_metric": suggestion.source_metric,
            "source_unit": source.unit,
            "rank": suggestion.rank,
            "metric": suggestion.metric,
            "unit": bench.standard[suggestion.metric].unit,
            "score": suggestion.score,
            "reason": suggestion.reason,
        }
        for source, found in zip(wanted, bench.suggestions(wanted, top), strict=True)
        for suggestion in found
        if suggestion.score >= min_score
    ]
    if output is Format.TABLE:
        notice(f"{system}: {len(bench.known):,} metrics known, {len(bench.unmapped):,} not mapped")
    emit(rows, output, f"Suggestions for {system}", "nothing to suggest")


@mappings_app.command("accept")
def accept(
    system: System,
    source_metric: Annotated[str | None, typer.Argument(help="Source metric to map.")] = None,
    standard_metric: Annotated[
        str | None, typer.Argument(help="Standard metric that it is. Default the best suggestion.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All unmapped metrics whose best suggestion is good.")] = False,
    min_score: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help=f"Least score of a suggestion. Default {ALL_SCORE} with --all, else {ONE_SCORE}."
        ),
    ] = None,
    output: Output = Format.TABLE,
    home: HomeToRead = None,
    project: Project = None,
) -> None:
    """Write rules into the system's metric_mappings.yaml. Two suggestions of equal score are for a person to decide."""
    if every == (source_metric is not None):
        fail("name one SOURCE_METRIC, or say --all")
    bench = _Bench.of(system, home, project)
    if source_metric is None:
        least = ALL_SCORE if min_score is None else min_score
        chosen, doubtful = _good_ones(bench, least)
    else:
        least = ONE_SCORE if min_score is None else min_score
        chosen, doubtful = {source_metric: _chosen(bench, source_metric, standard_metric, least)}, []
    try:
        append_rules(bench.system.folder / "metric_mappings.yaml", chosen, bench.standard, bench.governance.units)
    except DeadRuleError as error:
        fail(str(error), SOMETHING_REFUSED)
    except GovernanceError as error:
        fail(str(error))
    rows = [{"source_metric": name, "metric": metric} for name, metric in chosen.items()]
    emit(rows, output, f"Written to {bench.system.folder / 'metric_mappings.yaml'}", f"no suggestion scores {least}")
    for best, second in doubtful:
        notice(
            f"not accepted: {best.source_metric} may be {best.metric} ({best.score}) or {second.metric} "
            f"({second.score}); say which: omgov mappings accept {system} {best.source_metric!r} {best.metric}"
        )
    raise typer.Exit(SOMETHING_REFUSED if doubtful else 0)


@mappings_app.command("check")
def check(
    system: Annotated[str | None, typer.Argument(help="Business system. Default all.")] = None,
    output: Output = Format.TABLE,
    home: HomeToRead = None,
    project: Project = None,
) -> None:
    """Ambiguous and unmapped metrics, overlapping and dead rules, over the metrics of the last day in the lake.

    Exits with 2 where a metric is ambiguous or refused, or where a rule can take nothing because of earlier ones. A
    rule that merely matches nothing so far is reported.
    """
    settings = Settings.from_environment(home, project)
    governance = _governance(settings)
    lake = Lake(settings.lake, settings.dataset_contracts)
    if system is not None and system not in governance.systems:
        fail(f"{system}: no such business system; there are {', '.join(governance.systems)}")
    names = [system] if system is not None else list(governance.systems)
    standard = {metric.metric for metric in governance.metrics}
    rows: list[dict[str, Any]] = []
    broken = False
    for name in names:
        known = [source.name for source in known_metrics(lake, name)]
        found = examine(governance.systems[name].mappings, known, standard)
        rows += [{"system": name, **row} for row in _findings(found, governance.systems[name])]
        broken = broken or bool(found.ambiguous or found.refused or found.shadowed)
    emit(rows, output, "Findings", "nothing to report")
    raise typer.Exit(SOMETHING_REFUSED if broken else 0)


@dataclass(frozen=True)
class _Bench:
    """A system with its known metrics, and the standard to choose from."""

    governance: Governance
    system: BusinessSystem
    known: Sequence[SourceMetric]

    @classmethod
    def of(cls, system: str, home: Any, project: Any) -> _Bench:
        settings = Settings.from_environment(home, project)
        governance = _governance(settings)
        if system not in governance.systems:
            fail(f"{system}: no such business system; there are {', '.join(governance.systems)}")
        known = known_metrics(Lake(settings.lake, settings.dataset_contracts), system)
        if not known:
            fail(
                f"{settings.lake}: no metric definitions of {system} yet; run `omgov run --day YYYY-MM-DD` or "
                "`omgov import-catalogue` first"
            )
        return cls(governance, governance.systems[system], known)

    @cached_property
    def standard(self) -> dict[str, StandardMetric]:
        """All standard metrics by name."""
        return {metric.metric: metric for metric in self.governance.metrics}

    @cached_property
    def rules(self) -> MappingRules:
        """The system's rules as they are."""
        return MappingRules(self.system.mappings, self.standard)

    @cached_property
    def unmapped(self) -> list[SourceMetric]:
        """Known metrics that no rule takes."""
        return [source for source in self.known if not self.rules.taking(source.name)]

    def source(self, name: str) -> SourceMetric:
        """A known metric by its name; ends the command where there is none."""
        for source in self.known:
            if source.name == name:
                return source
        fail(
            f"{name!r} is not among the {len(self.known):,} metrics that {self.system.name} last defined",
            SOMETHING_REFUSED,
        )

    def suggestions(self, wanted: Sequence[SourceMetric], limit: int) -> list[list[Suggestion]]:
        """Suggestions for each, of the metrics that are not retired."""
        in_force = [metric for metric in self.governance.metrics if not metric.retired]
        found = suggest(wanted, in_force, self.governance.units, load_glossary(self.governance.project), limit)
        return [found[source.name] for source in wanted]


def _governance(settings: Settings) -> Governance:
    try:
        return load_governance(settings.project)
    except GovernanceError as error:
        fail(str(error))


def _good_ones(bench: _Bench, least: float) -> tuple[dict[str, str], list[tuple[Suggestion, Suggestion]]]:
    """Best suggestions that are good and in no doubt, and the pairs that are in doubt."""
    chosen: dict[str, str] = {}
    doubtful: list[tuple[Suggestion, Suggestion]] = []
    for found in bench.suggestions(bench.unmapped, 2):
        if not found or found[0].score < least:
            continue
        if practically_equal(found):
            doubtful.append((found[0], found[1]))
        else:
            chosen[found[0].source_metric] = found[0].metric
    return chosen, doubtful


def _chosen(bench: _Bench, source_metric: str, standard_metric: str | None, least: float) -> str:
    """The standard metric of one source metric; ends the command where none can be chosen."""
    source = bench.source(source_metric)
    if standard_metric is not None:
        _require_in_force(bench, standard_metric)
        return standard_metric
    found = bench.suggestions([source], 2)[0]
    if not found or found[0].score < least:
        best = f"the best suggestion is {found[0].metric} with {found[0].score}" if found else "there is no suggestion"
        fail(f"{source_metric}: {best}, less than {least}; name the STANDARD_METRIC", SOMETHING_REFUSED)
    if practically_equal(found):
        fail(
            f"{source_metric}: {found[0].metric} ({found[0].score}) and {found[1].metric} ({found[1].score}) fit "
            "equally well; name the STANDARD_METRIC",
            SOMETHING_REFUSED,
        )
    return found[0].metric


def _require_in_force(bench: _Bench, standard_metric: str) -> None:
    metric = bench.standard.get(standard_metric)
    if metric is None:
        fail(f"{standard_metric}: not a standard metric; `omgov standard list` prints all", SOMETHING_REFUSED)
    if metric.retired:
        instead = f"use {metric.renamed_to}" if metric.renamed_to else metric.reason
        fail(f"{standard_metric}: is {metric.stability}; {instead}", SOMETHING_REFUSED)


def _findings(found: MappingExamination, system: BusinessSystem) -> list[dict[str, Any]]:
    """Findings as flat rows, worst first: kind, rule, other_rule, metrics, example, detail."""
    rules = system.mappings

    def row(kind: str, rule: int | None, other: int | None, metrics: int, example: str, detail: str) -> dict[str, Any]:
        return {
            "kind": kind,
            "rule": rule,
            "pattern": rules[rule - 1].pattern if rule else None,
            "other_rule": other,
            "metrics": metrics,
            "example": example,
            "detail": detail,
        }

    doubts = Counter((doubt.first.position, doubt.second.position) for doubt in found.ambiguous.values())
    examples = {(doubt.first.position, doubt.second.position): name for name, doubt in found.ambiguous.items()}
    rows = [
        row(
            "ambiguous", one, two, number, examples[one, two], _doubt(found.ambiguous[examples[one, two]].second.metric)
        )
        for (one, two), number in sorted(doubts.items())
    ]
    rows += [row("refused", one.position, None, 1, name, one.reason) for name, one in found.refused.items()]
    rows += [
        row(dead.kind, dead.position, dead.by[0] if dead.by else None, 0, "", dead.detail)
        for dead in sorted(found.dead, key=lambda dead: (dead.kind, dead.position))
    ]
    rows += [
        row(
            "overlap", one.first, one.second, one.names, one.example, f"the first wins: {one.verdict.replace('_', ' ')}"
        )
        for one in found.overlaps
        if one.verdict != "ambiguous"
    ]
    rows += _unmapped(found.unmapped, row)
    return rows


def _unmapped(names: Collection[str], row: Any) -> list[dict[str, Any]]:
    if not names:
        return []
    return [row("unmapped", None, None, len(names), next(iter(names)), "`omgov mappings suggest` proposes rules")]


def _doubt(metric: str) -> str:
    return f"the other takes it to {metric}; make the first narrower, or say `overrides: true` on it"
