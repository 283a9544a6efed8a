"""The options by which commands name cases, the same ones for all of them.

Does not belong here: what commands do with the cases that are meant (``cases``).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from omgov_assets.exception_management.reading import CaseFilter


def filtered(command: Callable[..., None]) -> Callable[..., None]:
    """A command with the options of a filter in place of its parameter ``wanted``, which is a ``CaseFilter``."""
    signature = inspect.signature(command, eval_str=True)
    own = [parameter for name, parameter in signature.parameters.items() if name != "wanted"]
    options = inspect.signature(_filter, eval_str=True).parameters

    def with_options(**given: Any) -> None:
        chosen = {name: given.pop(name) for name in options}
        command(wanted=_filter(**chosen), **given)

    with_options.__name__, with_options.__doc__ = command.__name__, command.__doc__
    keyword = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in [*own[:1], *options.values(), *own[1:]]
    ]
    with_options.__signature__ = inspect.Signature(keyword)  # type: ignore[attr-defined]
    with_options.__annotations__ = {}
    return with_options


def _filter(
    case: Annotated[
        list[str] | None, typer.Argument(metavar="[CASE]...", help="Cases, or beginnings of their names.")
    ] = None,
    status: Annotated[
        list[str] | None, typer.Option(help="A status of the case, once for each. Default all but closed and merged.")
    ] = None,
    severity: Annotated[list[str] | None, typer.Option(help="critical, warning or info, once for each.")] = None,
    responsible: Annotated[
        str | None, typer.Option(help="Support group or e-mail address that answers for the case.")
    ] = None,
    group: Annotated[str | None, typer.Option(help="Support group that answers for an open member.")] = None,
    owner: Annotated[str | None, typer.Option(help="Owner of an open member, or who it is assigned to.")] = None,
    anomaly_type: Annotated[str | None, typer.Option("--type", help="Anomaly type.")] = None,
    cause: Annotated[str | None, typer.Option(help="Root cause, by cause_id.")] = None,
    system: Annotated[str | None, typer.Option(help="Business system of a member.")] = None,
    application: Annotated[str | None, typer.Option(help="Application that hangs on the CI of an open member.")] = None,
    ci: Annotated[str | None, typer.Option(help="CI of an open member.")] = None,
    policy: Annotated[str | None, typer.Option(help="Policy that an open member fails.")] = None,
    overdue: Annotated[
        bool | None, typer.Option("--overdue/--not-overdue", help="Only cases past their due day, or only the others.")
    ] = None,
) -> CaseFilter:
    return CaseFilter(
        case_ids=case or (),
        statuses=status or (),
        severities=severity or (),
        responsible=responsible,
        group=group,
        owner_id=owner,
        anomaly_type=anomaly_type,
        cause_id=cause,
        system=system,
        application_id=application,
        ci_id=ci,
        policy_id=policy,
        is_overdue=overdue,
    )
