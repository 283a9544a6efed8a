"""``omgov cases``: looking at cases, and what people do with them.

Acts name cases, or filters; what filters name is shown first, and done only with ``--yes``. Who acts on a state that
has changed meanwhile is told, and nothing is done. Does not belong here: what is legal (``exception_management``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Any

import typer

from omgov_assets.cli.case_filter import filtered
from omgov_assets.cli.options import Day, Home, HomeToRead, Output, Project, lake_of, parsed_day
from omgov_assets.cli.output import SOMETHING_REFUSED, Format, emit, fail, notice
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings
from omgov_assets.exception_management import acts, reading, waivers
from omgov_assets.exception_management.lifecycle import IllegalActError
from omgov_assets.exception_management.reading import CaseFilter
from omgov_assets.exception_management.rules import CaseRules
from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.governance import load_governance

cases_app = typer.Typer(
    help="Anomalies of one root cause and type as cases, from found to verified. Acts name CASES, or filters; what "
    "filters name is done with --yes.",
    no_args_is_help=True,
)

_SHOWN = (
    "case_id", "status", "severity", "anomaly_type", "place", "responsible", "assigned_to", "open_members",
    "new_members", "opened_day", "due_day", "is_overdue", "waived_until",
)  # fmt: skip
_MEMBERS_SHOWN = 20
_GROUPS_SHOWN = 10
_FOR_MACHINES = ("last_seq", "scope", "cause")
_PREVIEWED = ("case_id", "status", "severity", "anomaly_type", "place", "responsible", "open_members", "due_day")
_LISTED = 30

Who = Annotated[str, typer.Option("--as", metavar="USER", help="Who acts.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it to all that the filters name, not only show them.")]
IfLast = Annotated[
    str | None,
    typer.Option(
        "--if-last", metavar="EVENT", help="Only where this is still the case's last event (`last_event_id`)."
    ),
]
Reason = Annotated[str, typer.Option("--reason", help="Why, for whoever reads the case.")]


@cases_app.command("list")
@filtered
def list_cases(
    wanted: CaseFilter,
    top: Annotated[int, typer.Option(help="So many at most in a table; 0 for all. Files have all.")] = _LISTED,
    day: Day = None,
    output: Output = Format.TABLE,
    home: HomeToRead = None,
    project: Project = None,
) -> None:
    """Cases of a day: the overdue first, then the worst, then the largest."""
    lake = lake_of(home, project)
    try:
        chosen = parsed_day(day) if day else acts.last_day(lake)
        rows = reading.list_cases(lake, chosen, wanted)
    except acts.UnknownCaseError as error:
        fail(str(error))
    if output is not Format.TABLE:
        emit(rows, output)
        return
    shown = [{name: row[name] for name in _SHOWN} for row in rows[: top or None]]
    emit(shown, output, f"Cases, {chosen}", "no case meets the filters")
    if len(shown) < len(rows):
        notice(f"{len(rows):,} cases meet the filters, the first {len(shown)} are shown; --top 0 shows all")


@cases_app.command("show")
def show(
    case: Annotated[str, typer.Argument(help="Case, or the beginning of its name.")],
    output: Output = Format.TABLE,
    home: HomeToRead = None,
    project: Project = None,
) -> None:
    """One case: what it is, what happened to it, its members, and what may be done with it."""
    try:
        found = reading.show_case(lake_of(home, project), case)
    except acts.UnknownCaseError as error:
        fail(str(error))
    history = [
        {
            "day": event["day"].isoformat(),
            "at": event["happened_at"].isoformat(timespec="seconds"),
            "by": event["acted_by"],
            "event": event["kind"],
            "details": ", ".join(f"{name}: {value}" for name, value in event["payload"].items() if value is not None),
            "event_id": event["event_id"],
        }
        for event in found.pop("history")
    ]
    members, groups = found.pop("members_by"), found.pop("groups")
    if output is not Format.TABLE:
        emit([event | {"case_id": found["case_id"]} for event in history], output)
        return
    facts = [
        {"": name, "value": value}
        for name, value in found.items()
        if value not in (None, "", [], 0, False) and name not in _FOR_MACHINES
    ]
    emit(facts, output, f"Case {found['case_id']}, {found['day']}")
    if len(groups) > 1:
        emit(groups[:_GROUPS_SHOWN], output, f"Who answers for its open members: the first of {len(groups)}")
    emit(history, output, "History")
    emit(members[:_MEMBERS_SHOWN], output, "Members", "no members")
    if len(members) > _MEMBERS_SHOWN:
        notice(f"{len(members) - _MEMBERS_SHOWN:,} more; omgov cases export {found['case_id']} --out FILE.csv has all")


@cases_app.command("ack")
@filtered
def ack(
    who: Who,
    wanted: CaseFilter,
    yes: Yes = False,
    if_last: IfLast = None,
    home: Home = None,
    project: Project = None,
) -> None:
    """Say that you look at cases."""
    desk = _Desk(home, project, who)
    desk.act("acknowledge", wanted, yes, if_last, lambda seen: acts.acknowledge(desk.lake, desk.rules, seen, desk.who))


@cases_app.command("assign")
@filtered
def assign(
    who: Who,
    wanted: CaseFilter,
    to: Annotated[str | None, typer.Option("--to", help="Person who works on it.")] = None,
    to_group: Annotated[
        str | None, typer.Option(help="Support group that it goes to: this one is not responsible.")
    ] = None,
    reason: Reason = "",
    yes: Yes = False,
    if_last: IfLast = None,
    home: Home = None,
    project: Project = None,
) -> None:
    """Give cases to a person who works on them, or to the group that is responsible instead."""
    if (to is None) == (to_group is None):
        fail("say --to PERSON or --to-group GROUP")
    desk = _Desk(home, project, who)
    desk.act(
        f"assign to {to or to_group}",
        wanted,
        yes,
        if_last,
        lambda seen: acts.assign(desk.lake, desk.rules, seen, desk.who, to, to_group, reason),
    )


@cases_app.command("claim-fix")
@filtered
def claim_fix(
    who: Who,
    wanted: CaseFilter,
    text: Annotated[str, typer.Option("--text", help="What was fixed.")] = "",
    yes: Yes = False,
    if_last: IfLast = None,
    home: Home = None,
    project: Project = None,
) -> None:
    """Say that the source is fixed; the next nights verify it, and only they close a case."""
    desk = _Desk(home, project, who)
    desk.act(
        "claim a fix", wanted, yes, if_last, lambda seen: acts.claim_fix(desk.lake, desk.rules, seen, desk.who, text)
    )


@cases_app.command("waive")
@filtered
def waive(
    who: Who,
    wanted: CaseFilter,
    reason: Reason,
    until: Annotated[str, typer.Option("--until", help="Last day of the waiver, YYYY-MM-DD.")],
    standing: Annotated[
        bool,
        typer.Option(
            "--standing",
            help="Also what comes later, from the next night on: of a --ci, --application, --group, --policy.",
        ),
    ] = False,
    yes: Yes = False,
    if_last: IfLast = None,
    home: Home = None,
    project: Project = None,
) -> None:
    """Accept cases as they are until a day. They are marked; statistics and rankings count on."""
    last = parsed_day(until)
    desk = _Desk(home, project, who)
    if standing:
        desk.waive_standing(wanted, reason, last, yes)
        return
    desk.act(
        f"waive until {last}",
        wanted,
        yes,
        if_last,
        lambda seen: acts.waive(desk.lake, desk.rules, seen, desk.who, reason, last),
    )


@cases_app.command("waivers")
def list_waivers(
    every: Annotated[bool, typer.Option("--all", help="Those that are over as well.")] = False,
    output: Output = Format.TABLE,
    home: HomeToRead = None,
    project: Project = None,
) -> None:
    """Standing waivers and how many open members are under each, the first to end before the others."""
    lake = lake_of(home, project)
    try:
        rows = reading.list_waivers(lake, acts.last_day(lake), every)
    except acts.UnknownCaseError as error:
        fail(str(error))
    emit(rows, output, "Standing waivers", "nobody granted a waiver that stands")


@cases_app.command("end-waiver")
def end_waiver(
    who: Who,
    waiver: Annotated[str, typer.Argument(help="Standing waiver, or the beginning of its name.")],
    reason: Reason,
    home: Home = None,
    project: Project = None,
) -> None:
    """End a standing waiver before its time, from the next night on."""
    desk = _Desk(home, project, who)
    try:
        waivers.end_waiver(desk.lake, desk.who, waiver, reason)
    except (waivers.UnknownWaiverError, acts.UnknownCaseError, ValueError) as error:
        fail(str(error))
    notice(f"waiver {waiver} ends with the next night")


@cases_app.command("comment")
def comment(
    who: Who,
    case: Annotated[list[str], typer.Argument(metavar="CASE...", help="Cases, or beginnings of their names.")],
    text: Annotated[str | None, typer.Option("--text", help="What to say.")] = None,
    ticket: Annotated[str | None, typer.Option("--ticket", help="Reference of an external ticket.")] = None,
    if_last: IfLast = None,
    home: Home = None,
    project: Project = None,
) -> None:
    """Add a comment or the reference of an external ticket, in whatever status."""
    if not text and not ticket:
        fail("say --text or --ticket")
    desk = _Desk(home, project, who)
    desk.act(
        "comment",
        CaseFilter(case),
        True,
        if_last,
        lambda seen: acts.comment(desk.lake, desk.rules, seen, desk.who, text, ticket),
    )


@cases_app.command("split")
def split(
    who: Who,
    case: Annotated[str, typer.Argument(help="Case, or the beginning of its name.")],
    reason: Reason,
    member: Annotated[list[str] | None, typer.Option("--member", help="Anomaly, by anomaly_id.")] = None,
    system: Annotated[list[str] | None, typer.Option("--system", help="Business system of members.")] = None,
    ci: Annotated[list[str] | None, typer.Option("--ci", help="CI of members, by ci_id.")] = None,
    metric: Annotated[list[str] | None, typer.Option("--metric", help="Metric of members.")] = None,
    group: Annotated[list[str] | None, typer.Option("--group", help="Support group that answers for them.")] = None,
    owner: Annotated[list[str] | None, typer.Option("--owner", help="Owner of members, by owner_id.")] = None,
    if_last: IfLast = None,
    home: Home = None,
    project: Project = None,
) -> None:
    """Make the open members that meet all filters a case of their own."""
    given = {
        "anomaly_id": member,
        "system": system,
        "ci_id": ci,
        "metric": metric,
        "responsible": group,
        "owner_id": owner,
    }
    which = {name: values for name, values in given.items() if values}
    if not which:
        fail("name members by --member, --system, --ci, --metric, --group or --owner")
    desk = _Desk(home, project, who)

    def parted(seen: Mapping[str, str]) -> None:
        made = acts.split(desk.lake, desk.rules, seen, desk.who, which, reason)
        notice(f"the new case is {made}")

    desk.act("split", CaseFilter([case]), True, if_last, parted)


@cases_app.command("merge")
def merge(
    who: Who,
    case: Annotated[list[str], typer.Argument(metavar="CASE...", help="Cases whose members move.")],
    into: Annotated[str, typer.Option("--into", help="Case that takes them.")],
    reason: Reason,
    home: Home = None,
    project: Project = None,
) -> None:
    """Move all members of cases into another one."""
    desk = _Desk(home, project, who)
    (taker,) = desk.found(CaseFilter([into]))

    def merged(seen: Mapping[str, str]) -> None:
        acts.merge(desk.lake, desk.rules, seen, desk.who, taker["case_id"], reason)

    desk.act("merge", CaseFilter([*case, into]), True, None, merged)


class _Desk:
    """A person at the cases of a home."""

    def __init__(self, home: Any, project: Any, who: str) -> None:
        settings = Settings.from_environment(home, project)
        self.lake = Lake(settings.lake, settings.dataset_contracts)
        try:
            self.rules = CaseRules.of(load_governance(settings.project))
        except GovernanceError as error:
            fail(str(error))
        self.who = acts.Person(who, datetime.now(UTC))

    def found(self, wanted: CaseFilter) -> list[dict[str, Any]]:
        """Cases of the last day that are meant."""
        try:
            return reading.list_cases(self.lake, acts.last_day(self.lake), wanted)
        except acts.UnknownCaseError as error:
            fail(str(error))

    def waive_standing(self, wanted: CaseFilter, reason: str, until: date, yes: bool) -> None:
        """Grant a standing waiver; without ``yes`` only say how many open members it would be for now."""
        conditions = {
            name: value
            for name, value in (
                ("ci_id", wanted.ci_id),
                ("application_id", wanted.application_id),
                ("support_group_id", wanted.group),
                ("policy_id", wanted.policy_id),
            )
            if value is not None
        }
        if not conditions or wanted != CaseFilter(
            ci_id=wanted.ci_id,
            application_id=wanted.application_id,
            group=wanted.group,
            policy_id=wanted.policy_id,
        ):
            fail(
                "a standing waiver is for a --ci, --application, --group or --policy, or some of them, and nothing else"
            )
        try:
            members, cases = waivers.covered_members(self.lake, acts.last_day(self.lake), conditions)
            if not yes:
                notice(f"would waive {members:,} open members of {cases} cases, and what comes; --yes does it")
                return
            made = waivers.grant_waiver(self.lake, self.rules, self.who, conditions, reason, until)
        except (IllegalActError, acts.UnknownCaseError, ValueError) as error:
            fail(f"{error}; nothing was done", SOMETHING_REFUSED)
        notice(f"waiver {made}: {members:,} open members of {cases} cases from the next night on, until {until}")

    def act(
        self,
        what: str,
        wanted: CaseFilter,
        yes: bool,
        if_last: str | None,
        do: Callable[[Mapping[str, str]], object],
    ) -> None:
        """Do something to the cases that are meant; by filters alone, only show them unless ``yes``."""
        rows = self.found(wanted)
        if if_last is not None and len(rows) != 1:
            fail("--if-last goes with one case")
        if not rows:
            fail("no case meets the filters", SOMETHING_REFUSED)
        if not wanted.case_ids and not yes:
            shown = [{name: row[name] for name in _PREVIEWED} for row in rows[:_LISTED]]
            emit(shown, Format.TABLE, f"Would {what}: the first {len(shown)} of {len(rows)} cases")
            notice(f"{len(rows)} cases, {sum(row['open_members'] for row in rows):,} open members; --yes does it")
            return
        try:
            do({row["case_id"]: if_last or row["last_event_id"] for row in rows})
        except acts.FasterActError as error:
            fail(f"{error} (omgov cases show); nothing was done", SOMETHING_REFUSED)
        except (IllegalActError, acts.UnknownCaseError) as error:
            fail(f"{error}; nothing was done", SOMETHING_REFUSED)
        except ValueError as error:
            fail(str(error))
        notice(f"{what}: {', '.join(row['case_id'] for row in rows)}")
