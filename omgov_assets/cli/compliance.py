"""``omgov compliance``: what a night found of the clauses of the compliance rules."""

from __future__ import annotations

import typer

from omgov_assets.cli.options import Day, HomeToRead, Output, Project, lake_of, published_day
from omgov_assets.cli.output import SOMETHING_REFUSED, Format, emit, notice

# What a list on a terminal has room for; JSON and CSV carry everything.
_LISTED = ("clause_id", "subject", "verdict", "observed", "explanation")


def compliance(
    day: Day = None, output: Output = Format.TABLE, home: HomeToRead = None, project: Project = None
) -> None:
    """Verdicts on the clauses of governance/compliance/, one per clause and subject. Exit code 2 where one failed.

    On a terminal, what passed is counted only; JSON and CSV list everything.
    """
    from omgov_assets.quality_analysis.compliance import COMPLIANCE, clauses_of, read_compliance

    lake = lake_of(home, project)
    chosen = published_day(lake, day, COMPLIANCE)
    rows = read_compliance(lake, chosen)
    failed = sum(row["verdict"] == "failed" for row in rows)
    if output is Format.TABLE:
        clauses = clauses_of(rows)
        emit(
            [
                {
                    "clause": clause["clause_id"],
                    "verdict": clause["verdict"],
                    "passed": clause["passed"],
                    "failed": clause["failed"],
                    "not_evaluated": clause["not_evaluated"],
                    "verified": "yes" if clause["verified"] else "not verified by a person",
                    "source": clause["source"],
                }
                for clause in clauses
            ],
            output,
            f"Compliance, {chosen}",
        )
        at_fault = [{name: row[name] for name in _LISTED} for clause in clauses for row in clause["rows"]]
        emit(at_fault, output, "What did not pass", "everything passed")
        unverified = sum(not clause["verified"] for clause in clauses)
        if unverified:
            notice(f"{unverified} of {len(clauses)} clauses were never compared with their source by a person")
    else:
        emit(rows, output)
    raise typer.Exit(SOMETHING_REFUSED if failed else 0)
