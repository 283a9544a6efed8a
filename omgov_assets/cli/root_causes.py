"""``omgov root-cause``: what explains the anomalies of a day, or the anomalous counts of any table."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from omgov_assets.cli.options import Day, HomeToRead, Output, Project, day_or_last, lake_of
from omgov_assets.cli.output import Format, emit, fail

_SHOWN = ("rank", "cause", "anomalies", "share", "lift", "since", "new_anomalies", "cis", "cause_id")
_SHARES = ("share", "rate", "support", "coverage", "past_rate")
_SHOWN_OF_TABLE = ("rank", "cause", "anomalous", "total", "rate", "lift", "support", "coverage", "past_rate")


def root_cause(
    table: Annotated[
        str | None,
        typer.Argument(
            metavar="[TABLE]",
            help="Any table of counts: folder of a Delta table; file, folder or glob of Parquet; CSV. "
            "Default: the anomalies of a day.",
        ),
    ] = None,
    anomalous: Annotated[str | None, typer.Option("--anomalous", metavar="COL", help="How many are bad.")] = None,
    total: Annotated[str | None, typer.Option("--total", metavar="COL", help="Of how many.")] = None,
    history: Annotated[
        str | None, typer.Option("--history", metavar="TABLE", help="The same counts of the past, to compare with.")
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, help="How many causes.")] = 5,
    encoding: Annotated[str, typer.Option("--encoding", help="Encoding of CSV, such as gb18030.")] = "utf-8",
    day: Day = None,
    output: Output = Format.TABLE,
    home: HomeToRead = None,
    project: Project = None,
) -> None:
    """The few combinations of attributes that explain most anomalies.

    Without a table: those of a governed day. With one: all columns but the two counts are attributes; a cause is a
    combination of at most three of their values with more bad ones than the rest, and than in its history.
    """
    if table is None:
        if anomalous or total or history:
            fail("--anomalous, --total and --history describe a TABLE: name it")
        rows, title = _of_day(day, top, home, project)
    else:
        if not anomalous or not total:
            fail("a TABLE needs --anomalous COL and --total COL: which column counts what is bad, and which counts all")
        rows, title = _of_table(table, anomalous, total, history, top, encoding, home, project)
    if output is Format.TABLE:
        shown = _SHOWN if table is None else _SHOWN_OF_TABLE
        rows = [{name: _shown(name, row[name]) for name in shown} for row in rows]
    emit(rows, output, title, "no combination of attributes explains them: they are spread as they always are")


def _shown(name: str, value: Any) -> Any:
    return f"{value:.2%}" if name in _SHARES and value is not None else value


def _of_day(day: str | None, top: int, home: Any, project: Any) -> tuple[list[dict[str, Any]], str]:
    from omgov_assets.quality_analysis.root_causes.night import ROOT_CAUSES
    from omgov_assets.quality_analysis.root_causes.reading import read_root_causes

    lake = lake_of(home, project)
    chosen = day_or_last(lake, "quality/anomaly_statistics", day)
    if lake.open(ROOT_CAUSES) is None:
        fail(f"{lake.root} holds no {ROOT_CAUSES} yet: govern {chosen} with `omgov run --day {chosen}` first")
    rows = [
        {
            "rank": row["rank"],
            "cause": row["place"],
            "conditions": json.dumps(row["conditions"], ensure_ascii=False),
            "anomaly_types": ", ".join(row["anomaly_types"]),
            "anomalies": row["anomalies"],
            "share": row["coverage"],
            "subjects": row["subjects"],
            "support": row["support"],
            "rate": row["rate"],
            "expected_anomalies": row["expected_anomalies"],
            "lift": row["lift"],
            "since": row["since"],
            "new_anomalies": row["new_anomalies"],
            "previous_anomalies": row["previous_anomalies"],
            "first_found_day": row["first_found_day"],
            "severity": row["severity"],
            "cis": row["cis"],
            "applications": row["applications"],
            "support_groups": ", ".join(row["support_group_ids"]),
            "owners": ", ".join(row["owner_ids"]),
            "cause_id": row["cause_id"],
        }
        for row in read_root_causes(lake, chosen, top)
    ]
    return rows, f"Root causes, {chosen}"


def _of_table(
    table: str,
    anomalous: str,
    total: str,
    history: str | None,
    top: int,
    encoding: str,
    home: Any,
    project: Any,
) -> tuple[list[dict[str, Any]], str]:
    from contextlib import ExitStack

    from omgov_assets.data_lake.external import UnreadableDataError, external_data
    from omgov_assets.data_lake.settings import Settings
    from omgov_assets.model_management.errors import GovernanceError
    from omgov_assets.model_management.root_cause_rules import load_root_cause_rules
    from omgov_assets.quality_analysis.root_causes.count_table import CountTable, CountTableError, localise_table

    try:
        evidence = load_root_cause_rules(Settings.from_environment(home, project).project).evidence
        with lake_of(home, project).connect() as con, ExitStack() as opened:
            given = opened.enter_context(external_data(con, table, "counts", encoding))
            counts = CountTable(given.view, table, given.columns, anomalous, total)
            past = None
            if history is not None:
                before = opened.enter_context(external_data(con, history, "history", encoding))
                past = CountTable(before.view, history, before.columns, anomalous, total)
            return localise_table(con, counts, past, evidence, top), f"What explains {anomalous} of {table}"
    except (UnreadableDataError, CountTableError, GovernanceError) as error:
        fail(str(error))
