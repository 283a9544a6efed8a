"""``omgov cases export``: the members of a case as a file for the source side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from omgov_assets.cli.export import AsPrincipal, Purpose, opened_door
from omgov_assets.cli.files import require_known_ending, write_file
from omgov_assets.cli.options import HomeToRead, Project
from omgov_assets.cli.output import fail, notice
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings
from omgov_assets.exception_management.acts import UnknownCaseError
from omgov_assets.exception_management.reading import show_case


def export(
    case: Annotated[str, typer.Argument(help="Case, or the beginning of its name.")],
    out: Annotated[
        Path, typer.Option("--out", help="File to write: .csv, .xlsx, .json, .ndjson, .parquet or .arrows.")
    ],
    principal: AsPrincipal,
    purpose: Purpose = None,
    group: Annotated[str | None, typer.Option(help="Only what a support group answers for.")] = None,
    owner: Annotated[str | None, typer.Option(help="Only what an owner owns.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Members that are resolved or withdrawn as well.")] = False,
    home: HomeToRead = None,
    project: Project = None,
) -> None:
    """Write a case's members with observed, expected, what to do, and the place in the source.

    They are written as the principal sees them; what leaves is on record. Exit code 2 where the principal may not read
    members of cases.
    """
    # What it needs takes seconds to import, and other commands do not need it.
    from omgov_assets.exception_management.export import export_members

    require_known_ending(out)
    settings = Settings.from_environment(home, project)
    lake = Lake(settings.lake, settings.dataset_contracts)
    try:
        found = show_case(lake, case)
    except UnknownCaseError as error:
        fail(str(error))
    with opened_door(settings) as door:
        rows = export_members(
            lake,
            door,
            door.principal(principal, purpose),
            settings.project,
            found["case_id"],
            found["day"],
            only_open=not every,
            group=group,
            owner_id=owner,
        )
    if not rows.num_rows:
        fail(
            f"case {found['case_id']} has no open members of that for {principal}; --all writes those that are not "
            "open any more"
        )
    write_file(out, rows.to_reader(), settings.tmp)
    notice(f"{out}: {rows.num_rows:,} members of case {found['case_id']} as of {found['day']}")
