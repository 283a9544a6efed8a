"""``omgov access``: who may see what of which dataset, and which policies say so."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from omgov_assets.cli.options import HomeToRead, Output, Project
from omgov_assets.cli.output import SOMETHING_REFUSED, Format, emit, fail
from omgov_assets.data_lake.settings import Settings

if TYPE_CHECKING:
    from omgov_assets.access_control.decision import Decision

access_app = typer.Typer(help="Who may see what, and why.", no_args_is_help=True)


@access_app.callback()
def access() -> None:
    """Who may see what, and why."""


@access_app.command("explain")
def explain(
    principal: Annotated[str, typer.Argument(help="Principal of governance/access/access.yaml.")],
    dataset: Annotated[str, typer.Argument(help="Dataset, such as cmdb/owners.")],
    purpose: Annotated[
        str | None, typer.Option("--purpose", help="What it is asked for. Default the principal's first purpose.")
    ] = None,
    output: Output = Format.TABLE,
    home: HomeToRead = None,
    project: Project = None,
) -> None:
    """Which rows and columns a principal sees of a dataset, how masked, what it may do to it, and by which policies.

    No data is read, and nothing is put on record. Exit code 2 where the principal sees nothing.
    """
    from omgov_assets.access_control.decision import DEEDS, DecisionPoint
    from omgov_assets.access_control.mask_key import mask_key
    from omgov_assets.access_control.principals import UnknownPrincipalError, known_principal
    from omgov_assets.model_management.governance import load_governance

    governance = load_governance(Settings.from_environment(home, project).project)
    rules, zone = governance.access, governance.firm.zone
    try:
        who = known_principal(rules, principal, zone, purpose)
    except UnknownPrincipalError as error:
        fail(str(error))
    point = DecisionPoint.of(governance, mask_key(rules, os.environ, zone))
    now = datetime.now(UTC)
    decision = point.decide(who, dataset, now)
    rows = _rows(decision)
    for deed in DEEDS:
        rows.append(_deed(deed, point.decide_action(who, dataset, deed, now)))
    if output is Format.TABLE:
        rows = [{name: value for name, value in row.items() if name != "policy_hash"} for row in rows]
    title = f"{dataset} for {principal}, purpose {decision.purpose}; rules {decision.policy_hash}"
    emit(rows, output, title)
    raise typer.Exit(0 if decision.allowed else SOMETHING_REFUSED)


def _rows(decision: Decision) -> list[dict[str, Any]]:
    """The dataset, its rows and its columns, each with what becomes of it."""
    rows: list[dict[str, Any]] = [
        _row("dataset", decision.dataset, "allowed" if decision.allowed else "denied", decision, decision.reason)
    ]
    if decision.allowed:
        rows.append(_row("rows", decision.rows_in_words, "all" if decision.rows is None else "filtered", decision, ""))
    for column in decision.columns:
        rows.append(
            {
                "part": "column",
                "name": column.name,
                "shown": column.shown,
                "mask": column.mask or ("by metric" if column.by_metric else None),
                "grade": column.grade,
                "policies": ", ".join(column.policies),
                "reason": column.reason,
                "policy_hash": decision.policy_hash,
            }
        )
    return rows


def _deed(deed: str, decision: Decision) -> dict[str, Any]:
    """Whether the principal may act on the dataset, or write it."""
    shown = "allowed" if decision.allowed else "denied"
    return _row(deed, decision.dataset, shown, decision, decision.reason)


def _row(part: str, name: str, shown: str, decision: Decision, reason: str) -> dict[str, Any]:
    return {
        "part": part,
        "name": name,
        "shown": shown,
        "mask": None,
        "grade": None,
        "policies": ", ".join(decision.policies),
        "reason": reason,
        "policy_hash": decision.policy_hash,
    }
