"""What the commands have in common: their options, and reading a day and a lake from them."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from omgov_assets.cli.homes import require_own_home
from omgov_assets.cli.output import Format, fail
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings

if TYPE_CHECKING:
    from omgov_assets.model_management.business_systems import BusinessSystem, SourceDataset
    from omgov_assets.model_management.governance import Governance

_HOME = "OMGOV_HOME: landing, lake, report. Default .omgov."
# Of a command that makes or changes anything in the home: refused to whoever would make files there that its owner
# could not use.
Home = Annotated[Path | None, typer.Option("--home", help=_HOME, callback=require_own_home)]
# Of a command that only looks: for whoever may read the home.
HomeToRead = Annotated[Path | None, typer.Option("--home", help=_HOME)]
Project = Annotated[
    Path | None,
    typer.Option(
        "--project",
        help="OMGOV_PROJECT: folder with governance/ and expectations/. Default the working directory where it holds "
        "governance/, else the checkout.",
    ),
]
Day = Annotated[str | None, typer.Option("--day", help="Business day, YYYY-MM-DD. Default the last one in the lake.")]
Output = Annotated[Format, typer.Option("--format", help="How to print.")]


def lake_of(home: Path | None, project: Path | None) -> Lake:
    """The lake that the options or the environment name."""
    settings = Settings.from_environment(home, project)
    return Lake(settings.lake, settings.dataset_contracts)


def parsed_day(text: str) -> date:
    """A business day as it is written on the command line; ends the command where it is none."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        fail(f"{text!r} is not a day; write it as YYYY-MM-DD")


def day_or_last(lake: Lake, table: str, text: str | None) -> date:
    """The day that was asked for, or the last one that a table holds."""
    if text is not None:
        return parsed_day(text)
    days = lake.days(table)
    if not days:
        fail(f"{lake.root} holds no {table} yet; run `omgov run --day YYYY-MM-DD` first, or give --day")
    return days[-1]


def published_day(lake: Lake, text: str | None, table: str) -> date:
    """As ``day_or_last``, where a day that the table does not hold has nothing to show."""
    day = day_or_last(lake, table, text)
    days = lake.days(table)
    if day not in days:
        held = (
            f"it was from {days[0]} to {days[-1]}" if days else "it never was: run `omgov run --day YYYY-MM-DD` first"
        )
        fail(f"{table} was not published for {day}; {held}")
    return day


def dataset_of(governance: Governance, system: str, dataset: str) -> tuple[BusinessSystem, SourceDataset]:
    """A dataset as it is named on the command line; ends the command, naming those there are, where it is none."""
    if system not in governance.systems:
        fail(f"{system}: no such business system; there are {', '.join(sorted(governance.systems))}")
    business = governance.systems[system]
    if dataset not in business.datasets:
        fail(f"{system}/{dataset}: not delivered by this system; it delivers {', '.join(sorted(business.datasets))}")
    return business, business.datasets[dataset]
