"""``omgov`` commands on what analysis has found: rankings, scorecards, anomalies, impact, report, views."""

from __future__ import annotations

import csv
import json
import sys
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from omgov_assets.cli.options import Day, Home, HomeToRead, Output, Project, day_or_last, lake_of, parsed_day
from omgov_assets.cli.output import Format, emit, fail, notice
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings
from omgov_assets.interface_service.formats.cells import defused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from omgov_assets.quality_analysis.drill_down import Choice

analysis_app = typer.Typer()

RANKED = {
    "anomaly_type": "anomaly_type",
    "metric": "metric",
    "application": "application",
    "host": "host",
    "support_group": "support_group",
    "owner": "owner",
    "business_system": "system",
    "system": "system",
    "network_device": "network_device",
    "site": "site",
    "collector": "collector",
    "severity": "severity",
}
SCORED = ("system", "site", "support_group", "owner", "application", "firm")
SHOWN_ON_A_TERMINAL = 50

# Holds a row for every day that was analysed, also for one on which nothing was wrong.
ANALYSED = "quality/anomaly_statistics"

Keys = Annotated[list[str] | None, typer.Option(help="Key or name; again for more; none: what has none.")]
Words = Annotated[list[str] | None, typer.Option(help="Again for more.")]


@analysis_app.command()
def rankings(
    by: Annotated[str, typer.Option(help=f"Dimension: {', '.join(RANKED)}.")] = "anomaly_type",
    top: Annotated[int, typer.Option(min=1, help="How many.")] = 10,
    order: Annotated[str, typer.Option(help="count, rate, score, impact or change.")] = "count",
    day: Day = None,
    output: Output = Format.TABLE,
    home: HomeToRead = None,
    project: Project = None,
) -> None:
    """Who or what has most anomalies, with the change to the day before.

    By rate, keys are ordered by the lower bound of its 95 % interval, so that small ones do not win by chance.
    """
    from omgov_assets.quality_analysis.rankings import RANK_COLUMNS, read_rankings

    if by not in RANKED:
        fail(f"--by {by}: no such dimension; choose one of {', '.join(RANKED)}")
    if order not in RANK_COLUMNS:
        fail(f"--order {order}: no such order; choose one of {', '.join(RANK_COLUMNS)}")
    lake = lake_of(home, project)
    chosen = day_or_last(lake, ANALYSED, day)
    rows = read_rankings(lake, RANKED[by], top, chosen, order, owner_names=by == "owner")
    if output is Format.TABLE:
        rows = [_ranking_row(row, RANK_COLUMNS[order]) for row in rows]
    emit(
        rows, output, f"Anomalies by {by}, {chosen}", "no anomalies" if order != "change" else "no day to compare with"
    )


@analysis_app.command()
def scorecards(
    by: Annotated[str, typer.Option(help=f"Subject: {', '.join(SCORED)}.")] = "system",
    quality_dimension: Annotated[
        str, typer.Option("--quality-dimension", help="overall, or one quality dimension.")
    ] = "overall",
    top: Annotated[int, typer.Option(min=1, help="How many.")] = 20,
    key: Annotated[str | None, typer.Option(help="One subject alone: its key or name.")] = None,
    best: Annotated[bool, typer.Option("--best", help="The highest scores first, not the lowest.")] = False,
    day: Day = None,
    output: Output = Format.TABLE,
    home: HomeToRead = None,
    project: Project = None,
) -> None:
    """How good data is: scores, backlog, new defects, time to repair, coverage of the baseline; the lowest first."""
    from omgov_assets.quality_analysis.scorecards import OVERALL, NotScoredError, read_scorecards

    kinds: dict[str, Any] = {kind: kind for kind in SCORED}
    if by not in kinds:
        fail(f"--by {by}: no such subject; choose one of {', '.join(SCORED)}")
    lake = lake_of(home, project)
    chosen = day_or_last(lake, "quality/scorecards", day)
    try:
        rows = read_scorecards(
            lake,
            kinds[by],
            chosen,
            quality_dimension=quality_dimension,
            top=top,
            best_first=best,
            key=key,
            owner_names=by == "owner",
        )
    except NotScoredError as error:
        fail(str(error))
    if not rows and key:
        fail(f"--key {key}: {chosen} has no scorecard of that {by.replace('_', ' ')}")
    if not rows and quality_dimension != OVERALL:
        fail(f"--quality-dimension {quality_dimension}: nothing is scored by it; try overall, accuracy, coverage, …")
    if output is Format.TABLE:
        rows = [_score_row(row) for row in rows]
    emit(rows, output, f"Scores ({quality_dimension}) by {by}, {chosen}", "no scorecards")


@analysis_app.command()
def anomalies(
    type_: Annotated[list[str] | None, typer.Option("--type", help="Anomaly type; again for more.")] = None,
    system: Words = None,
    dataset: Words = None,
    severity: Words = None,
    quality_dimension: Annotated[list[str] | None, typer.Option("--quality-dimension", help="Again for more.")] = None,
    metric: Keys = None,
    application: Keys = None,
    host: Keys = None,
    network_device: Annotated[list[str] | None, typer.Option("--network-device", help="Key or name.")] = None,
    site: Keys = None,
    group: Annotated[list[str] | None, typer.Option("--group", help="Support group: key or name; or none.")] = None,
    owner: Keys = None,
    collector: Keys = None,
    ci: Annotated[list[str] | None, typer.Option("--ci", help="The CI itself.")] = None,
    policy: Words = None,
    cause: Annotated[list[str] | None, typer.Option("--cause", help="Root cause: its cause_id; or none.")] = None,
    subject_kind: Annotated[list[str] | None, typer.Option("--subject-kind", help="Again for more.")] = None,
    new: Annotated[bool, typer.Option("--new", help="Only what was not there the day before.")] = False,
    since: Annotated[str | None, typer.Option(help="Only what has been there since that day or longer.")] = None,
    in_trading_session: Annotated[
        bool, typer.Option("--trading-session", help="Only what touches a trading session.")
    ] = False,
    order: Annotated[str, typer.Option(help="severity (then age) or age (then severity).")] = "severity",
    limit: Annotated[
        int | None, typer.Option(min=1, help=f"How many. Default {SHOWN_ON_A_TERMINAL} in a table, else all.")
    ] = None,
    count: Annotated[bool, typer.Option("--count", help="Only how many there are.")] = False,
    day: Day = None,
    output: Output = Format.TABLE,
    home: HomeToRead = None,
    project: Project = None,
) -> None:
    """The anomalies themselves, of any cell of the rankings or the cube, down to the source record.

    Several values of one option mean any of them; different options must all hold.
    """
    from omgov_assets.quality_analysis.drill_down import ORDERS, Choice, UnknownKeyError, count_anomalies

    if order not in ORDERS:
        fail(f"--order {order}: no such order; choose one of {', '.join(ORDERS)}")
    given = {
        "type": type_,
        "system": system,
        "dataset": dataset,
        "severity": severity,
        "quality-dimension": quality_dimension,
        "metric": metric,
        "application": application,
        "host": host,
        "network-device": network_device,
        "site": site,
        "group": group,
        "owner": owner,
        "collector": collector,
        "ci": ci,
        "policy": policy,
        "cause": cause,
        "subject-kind": subject_kind,
    }
    choice = Choice(
        {option: tuple(values) for option, values in given.items() if values},
        new=new,
        seen_since=parsed_day(since) if since else None,
        in_trading_session=in_trading_session,
    )
    lake = lake_of(home, project)
    chosen = _analysed_day(lake, day)
    try:
        if count:
            typer.echo(count_anomalies(lake, chosen, choice))
        elif output is Format.TABLE:
            _show_anomalies(lake, chosen, choice, order, limit or SHOWN_ON_A_TERMINAL)
        else:
            _stream_anomalies(lake, chosen, choice, order, limit, output)
    except UnknownKeyError as error:
        fail(str(error))


@analysis_app.command()
def impact(
    ci: Annotated[str, typer.Argument(help="Identifier of a CI, or its name.")],
    direction: Annotated[
        str, typer.Option(help="dependents (what hangs on it), dependencies (what it hangs on), or both.")
    ] = "both",
    max_distance: Annotated[int | None, typer.Option("--max-distance", min=1, help="Relations to follow.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Rows of a table.")] = SHOWN_ON_A_TERMINAL,
    day: Day = None,
    output: Output = Format.TABLE,
    home: HomeToRead = None,
    project: Project = None,
) -> None:
    """What hangs on a CI and what it hangs on, with the open anomalies of each."""
    from omgov_assets.quality_analysis.impact import UnknownCiError, impact_of

    directions: dict[str, Literal["both", "dependents", "dependencies"]] = {
        "both": "both",
        "dependents": "dependents",
        "dependencies": "dependencies",
    }
    if direction not in directions:
        fail(f"--direction {direction}: choose one of {', '.join(directions)}")
    lake = lake_of(home, project)
    chosen = _analysed_day(lake, day)
    try:
        rows = impact_of(lake, chosen, ci, directions[direction], max_distance)
    except UnknownCiError as error:
        fail(str(error))
    if output is not Format.TABLE:
        emit(rows, output)
        return
    emit(_by_class(rows), output, f"Impact of {ci}, {chosen}", f"nothing hangs on {ci}, and it hangs on nothing")
    shown = [row | {"ci_class": row["ci_class"] or "not in the CMDB"} for row in rows[:top]]
    emit(shown, output)
    if len(rows) > top:
        typer.echo(f"and {len(rows) - top:,} more: --top {len(rows)}, or --format csv")


@analysis_app.command()
def explain(
    subject: Annotated[str, typer.Argument(help="Subject key or anomaly id, as rankings, reports and checks show it.")],
    day: Day = None,
    output: Output = Format.TABLE,
    home: HomeToRead = None,
    project: Project = None,
) -> None:
    """Why is this flagged: policy, observed, expected, and the source file and record it came from."""
    from omgov_assets.quality_analysis.explain import explain_subject

    lake = lake_of(home, project)
    chosen = day_or_last(lake, ANALYSED, day)
    rows = explain_subject(lake, chosen, subject)
    if not rows:
        fail(f"{subject}: no violation of that subject on {chosen}; try another --day")
    if output is not Format.TABLE:
        emit(rows, output)
        return
    for row in rows:
        emit([{"field": name, "value": value} for name, value in row.items() if value is not None], output)


@analysis_app.command()
def report(day: Day = None, home: Home = None, project: Project = None) -> None:
    """Write the morning report of a day again and print where it is."""
    from omgov_assets.model_management.governance import load_governance
    from omgov_assets.quality_analysis.rankings import NotRankedError
    from omgov_assets.quality_analysis.report import Edition, write_report

    settings = Settings.from_environment(home, project)
    lake = Lake(settings.lake, settings.dataset_contracts)
    chosen = day_or_last(lake, ANALYSED, day)
    try:
        written = write_report(lake, chosen, settings.report, Edition.of(load_governance(settings.project)))
    except NotRankedError as error:
        fail(str(error))
    notice(f"{written.pages:,} pages, {written.bytes / 1e6:.1f} MB")
    typer.echo(written.path)


@analysis_app.command()
def views(home: Home = None, project: Project = None) -> None:
    """Write the DuckDB file of views on the lake, for BI tools, and print where it is."""
    from omgov_assets.quality_analysis.views import write_views

    settings = Settings.from_environment(home, project)
    if not write_views(Lake(settings.lake, settings.dataset_contracts), settings.views):
        fail(f"{settings.lake} holds no table yet; run `omgov run --day YYYY-MM-DD` first")
    typer.echo(settings.views)


def _analysed_day(lake: Lake, text: str | None) -> date:
    """The day that was asked for, or the last; ends the command where nothing is known of its anomalies."""
    chosen = day_or_last(lake, ANALYSED, text)
    if chosen not in lake.days(ANALYSED):
        fail(f"{chosen} is not analysed: govern it first with `omgov run --day {chosen}`")
    return chosen


def _ranking_row(row: dict[str, Any], rank: str) -> dict[str, Any]:
    """What of a ranking fits a terminal; JSON and CSV carry everything."""
    return {
        "rank": row[rank],
        "key": row["key"],
        "label": row["label"] if row["label"] != row["key"] else "",
        "anomalies": row["anomalies"],
        "instances": row["instances"],
        "anomalous": row["anomalous_instances"],
        "rate": _percent(row["rate"]),
        "score": row["severity_score"],
        "impact": row["business_impact"],
        "change": "" if row["change"] is None else f"{row['change']:+,}",
        "not evaluated": _percent(row["not_evaluated_share"] or None),
    }


def _score_row(row: dict[str, Any]) -> dict[str, Any]:
    """What of a scorecard fits a terminal."""
    return {
        "key": row["subject_key"],
        "label": row["label"] if row["label"] != row["subject_key"] else "",
        "score": row["status"].replace("_", " ") if row["score"] is None else f"{row['score']:.2f}",
        "change": "" if row["change"] is None else f"{row['change']:+.2f}",
        "subjects": row["subjects"],
        "anomalies": row["anomalies"],
        "backlog": row["backlog"],
        "new": row["new_anomalies"],
        "resolved": row["resolved_anomalies"],
        "days to repair": "" if row["mean_days_to_repair"] is None else f"{row['mean_days_to_repair']:.1f}",
        "baseline": _percent(row["baseline_covered_share"]),
        "not evaluated": _percent(row["not_evaluated_share"] or None),
    }


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def _by_class(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of how many CIs of each class something hangs, and how many anomalies they have."""
    counted: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows[1:]:
        ci_class = row["ci_class"] or "not in the CMDB"
        nothing = {"direction": row["direction"], "ci_class": ci_class, "CIs": 0, "with anomalies": 0, "anomalies": 0}
        total = counted.setdefault((row["direction"], ci_class), nothing)
        total["CIs"] += 1
        total["with anomalies"] += row["anomalies"] > 0
        total["anomalies"] += row["anomalies"]
    return list(counted.values())


def _show_anomalies(lake: Lake, day: date, choice: Choice, order: str, limit: int) -> None:
    from omgov_assets.quality_analysis.drill_down import chosen_anomalies, count_anomalies

    with chosen_anomalies(lake, day, choice, order, limit) as found:
        rows = found.to_arrow_table().to_pylist()
    names = ("severity", "anomaly_type", "system", "subject_key", "metric", "ci_id", "support_group_id", "owner_id")
    shown = [
        {name: row[name] for name in names} | {"since": row["first_seen_day"], "observed": row["observed"]}
        for row in rows
    ]
    emit(shown, Format.TABLE, f"Anomalies, {day}", "no such anomaly")
    total = count_anomalies(lake, day, choice) if len(rows) == limit else len(rows)
    if total > len(rows):
        typer.echo(f"{len(rows):,} of {total:,}: --limit {total}, or --format csv")


def _stream_anomalies(lake: Lake, day: date, choice: Choice, order: str, limit: int | None, output: Format) -> None:
    """Rows as they come from DuckDB, batch by batch: there may be hundreds of thousands."""
    from omgov_assets.quality_analysis.drill_down import chosen_anomalies

    with chosen_anomalies(lake, day, choice, order, limit) as found:
        names = found.columns
        batches: Iterable[list[dict[str, Any]]] = (batch.to_pylist() for batch in found.to_arrow_reader(10_000))
        if output is Format.CSV:
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(names)
            for rows in batches:
                writer.writerows([defused(value) for value in row.values()] for row in rows)
            return
        separator = "["
        for rows in batches:
            for row in rows:
                sys.stdout.write(f"{separator}\n{json.dumps(row, ensure_ascii=False, default=str)}")
                separator = ","
        sys.stdout.write("[]\n" if separator == "[" else "\n]\n")
