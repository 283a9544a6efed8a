"""``omgov alerts``: what would be told, trying the receivers, silences, and what became of the messages."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from omgov_assets.cli.options import Day, Home, HomeToRead, Output, Project, day_or_last, lake_of, parsed_day
from omgov_assets.cli.output import PLATFORM_FAILURE, SOMETHING_REFUSED, Format, emit, fail, notice
from omgov_assets.data_lake.settings import Settings

alerts_app = typer.Typer(help="Who is told of what, and what became of it.", no_args_is_help=True)
silence_app = typer.Typer(help="What somebody does not want to be told of for a while.", no_args_is_help=True)
alerts_app.add_typer(silence_app, name="silence")


@alerts_app.command("preview")
def preview(
    day: Day = None,
    text: Annotated[bool, typer.Option("--text", help="Show what the messages say.")] = False,
    receiver: Annotated[str | None, typer.Option("--receiver", help="Only messages to this receiver.")] = None,
    output: Output = Format.TABLE,
    home: HomeToRead = None,
    project: Project = None,
) -> None:
    """The messages that a day's alerts make, and where they would go. Nothing is sent or written."""
    from omgov_assets.anomaly_alert.digests import NoCasesError
    from omgov_assets.anomaly_alert.night import alerts_of_night
    from omgov_assets.anomaly_alert.outbox import Outbox
    from omgov_assets.anomaly_alert.rendering import text_of, title_of
    from omgov_assets.anomaly_alert.routing import group_alerts, inhibited
    from omgov_assets.anomaly_alert.silences import silenced
    from omgov_assets.model_management.governance import load_governance

    settings = Settings.from_environment(home, project)
    lake, governance = lake_of(home, project), load_governance(settings.project)
    routes = governance.alerts
    if receiver is not None and receiver not in routes.receiver_of:
        fail(f"--receiver {receiver}: no such receiver; there are {', '.join(sorted(routes.receiver_of))}")
    chosen = day_or_last(lake, "quality/anomaly_statistics", day)
    try:
        alerts = alerts_of_night(lake, governance, settings.report, chosen).alerts
    except NoCasesError as error:
        fail(str(error))
    entries = []
    if settings.outbox.is_file():
        with Outbox(settings.outbox) as outbox:
            entries = outbox.silences()
    quiet = silenced(alerts, entries, datetime.now(UTC)) | inhibited(alerts, alerts, routes.inhibit_rules)
    rows: list[dict[str, Any]] = []
    for group in group_alerts(routes.route, (alert for alert in alerts if alert.fingerprint not in quiet)):
        if receiver not in (None, group.destination.receiver):
            continue
        sinks = routes.receiver_of[group.destination.receiver].sinks
        row = {
            "receiver": group.destination.receiver,
            "alerts": len(group.alerts),
            "title": title_of(group.alerts),
            "sinks": ", ".join(sinks) or "none",
            "group": ", ".join(f"{name}={value}" for name, value in group.labels.items()),
        }
        rows.append(row | ({"text": text_of(group.alerts, "preview")} if text else {}))
    if text and output is Format.TABLE:
        for row in rows:
            typer.echo(f"→ {row['receiver']} ({row['sinks']})\n{row['title']}\n\n{row['text']}")
    else:
        emit(rows, output, f"Messages of {chosen}", "nothing would be told")
    notice(f"{len(rows)} messages of {len(alerts)} alerts; {len(quiet)} alerts are silenced or inhibited")


@alerts_app.command("test")
def try_receivers(
    receiver: Annotated[str | None, typer.Option("--receiver", help="Only this receiver.")] = None,
    recipient: Annotated[
        str | None,
        typer.Option("--recipient", help="Who stands in {recipient} and {email}: owner:KEY or support_group:KEY."),
    ] = None,
    output: Output = Format.TABLE,
    home: Home = None,
    project: Project = None,
) -> None:
    """Send a test message to every sink of the receivers, now and past the outbox. Exit code 2 where one fails."""
    from omgov_assets.anomaly_alert.addresses import addresses_in_cmdb
    from omgov_assets.anomaly_alert.delivery import DeliveryError
    from omgov_assets.anomaly_alert.immediate import trial
    from omgov_assets.anomaly_alert.outbox import Message
    from omgov_assets.anomaly_alert.transports import Transports
    from omgov_assets.model_management.alert_routes import load_alert_routes

    settings = Settings.from_environment(home, project)
    routes, now = load_alert_routes(settings.project), datetime.now(UTC)
    if receiver is not None and receiver not in routes.receiver_of:
        fail(f"--receiver {receiver}: no such receiver; there are {', '.join(sorted(routes.receiver_of))}")
    kind, _, name = (recipient or "").partition(":")
    if recipient is not None and (kind not in {"owner", "support_group"} or not name):
        fail(f"--recipient {recipient}: write owner:KEY or support_group:KEY")
    alert = trial(now.date(), kind, name)
    transports = Transports(os.environ, addresses_in_cmdb(lake_of(home, project)))
    rows = []
    for tried in routes.receivers:
        if receiver not in (None, tried.name):
            continue
        for sink in tried.sinks:
            message = Message("test", tried.name, sink, (alert,), 1, now, "pending", None, now, None)
            try:
                transports.send(message)
            except DeliveryError as error:
                rows.append({"receiver": tried.name, "sink": sink, "result": "failed", "reason": str(error)})
            else:
                rows.append({"receiver": tried.name, "sink": sink, "result": "sent", "reason": ""})
    emit(rows, output, "Test messages", "no receiver has a sink: governance/alert_routes.yaml names them")
    raise typer.Exit(SOMETHING_REFUSED if any(row["result"] == "failed" for row in rows) else 0)


@alerts_app.command("outbox")
def show_outbox(
    state: Annotated[str | None, typer.Option("--state", help="Only messages that are pending, sent or dead.")] = None,
    send: Annotated[bool, typer.Option("--send", help="Send what is due first.")] = False,
    revive: Annotated[bool, typer.Option("--revive", help="Let dead letters be tried again first.")] = False,
    key: Annotated[list[str] | None, typer.Option("--key", help="Only these dead letters are revived.")] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete first what was sent or is over for longer than `delivery.keep`.")
    ] = False,
    dead: Annotated[bool, typer.Option("--dead", help="With --prune: dead letters of that age, too.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Messages at most.")] = 50,
    output: Output = Format.TABLE,
    home: Home = None,
    project: Project = None,
) -> None:
    """What became of the messages. Exit code 2 while there are dead letters."""
    from omgov_assets.anomaly_alert.addresses import addresses_in_cmdb
    from omgov_assets.anomaly_alert.delivery import deliver_due
    from omgov_assets.anomaly_alert.outbox import STATES, Outbox, OutboxError
    from omgov_assets.anomaly_alert.raising import raise_alerts
    from omgov_assets.anomaly_alert.rendering import title_of
    from omgov_assets.anomaly_alert.transports import Transports
    from omgov_assets.model_management.alert_routes import load_alert_routes

    if state is not None and state not in STATES:
        fail(f"--state {state}: no such state; choose one of {', '.join(STATES)}")
    if dead and not prune:
        fail("--dead goes with --prune; `--state dead` lists dead letters")
    settings = Settings.from_environment(home, project)
    if not settings.outbox.is_file():
        fail(f"{settings.outbox} is not there yet: the first night that is governed makes it")
    try:
        with Outbox(settings.outbox) as outbox:
            if prune:
                keep = load_alert_routes(settings.project).delivery.keep
                gone = outbox.prune(datetime.now(UTC) - keep, dead)
                notice(f"{gone.messages} messages and {gone.alerts} alerts older than {keep.days} days are deleted")
            if revive or key:
                notice(f"{outbox.revive(datetime.now(UTC), key or None)} dead letters are pending again")
            if send:
                routes = load_alert_routes(settings.project)
                transports = Transports(os.environ, addresses_in_cmdb(lake_of(home, project)))
                raise_alerts(outbox, [], routes, datetime.now(UTC))
                done = deliver_due(outbox, transports.send, routes.delivery, lambda: datetime.now(UTC))
                notice(f"{done.sent} sent, {done.failed} failed and wait, {done.dead} became dead letters")
            messages = outbox.messages(STATES if state is None else [state], limit)
            counts = outbox.counts()
    except OutboxError as error:
        fail(str(error))
    rows = [
        {
            "key": message.key,
            "state": message.state,
            "receiver": message.receiver,
            "title": title_of(message.alerts),
            "attempts": message.attempts,
            "created_at": message.created_at.isoformat(timespec="seconds"),
            "next_attempt": message.next_attempt.isoformat(timespec="seconds") if message.state == "pending" else None,
            "sent_at": message.sent_at.isoformat(timespec="seconds") if message.sent_at else None,
            "last_error": message.last_error,
            "sink": message.sink,
        }
        for message in messages
    ]
    emit(rows, output, "Outbox", "no such message")
    notice(", ".join(f"{number} {name}" for name, number in counts.items()))
    raise typer.Exit(SOMETHING_REFUSED if counts["dead"] else 0)


@silence_app.command("add")
def add_silence(
    matchers: Annotated[list[str], typer.Argument(help='Conditions that all must hold, such as system="cmdb".')],
    author: Annotated[str, typer.Option("--author", help="Who wants it.")],
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    lasts: Annotated[str | None, typer.Option("--for", help="How long from now, such as 4h or 7d.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Until the end of this day, YYYY-MM-DD.")] = None,
    home: Home = None,
    project: Project = None,
) -> None:
    """Silence alerts for a while; the record of who did so, and why, stays."""
    from pydantic import TypeAdapter, ValidationError

    from omgov_assets.anomaly_alert.outbox import Outbox
    from omgov_assets.anomaly_alert.silences import new_silence
    from omgov_assets.model_management.alert_routes import Duration
    from omgov_assets.model_management.governance import load_firm

    settings, now = Settings.from_environment(home, project), datetime.now(UTC).replace(microsecond=0)
    if (lasts is None) == (until is None):
        fail("a silence ends: give either --for or --until")
    try:
        if until is not None:
            end = datetime.combine(parsed_day(until), datetime.min.time(), load_firm(settings.project).zone)
            expires_at = (end + timedelta(days=1)).astimezone(UTC)
        else:
            expires_at = now + TypeAdapter[timedelta](Duration).validate_python(lasts)
        silence = new_silence(author, reason, matchers, now, expires_at)
    except ValidationError as error:
        fail("; ".join(str(fault["msg"]).removeprefix("Value error, ") for fault in error.errors()))
    with Outbox(settings.outbox) as outbox:
        outbox.record_silence(silence, now)
    notice(f"{silence.silence_id}: silent until {expires_at.isoformat()}; `omgov alerts silence end` ends it earlier")


@silence_app.command("list")
def list_silences(
    every: Annotated[
        bool, typer.Option("--all", help="Also those that are over, with each entry of the record.")
    ] = False,
    output: Output = Format.TABLE,
    home: HomeToRead = None,
    project: Project = None,
) -> None:
    """The silences that hold now, or the whole record of them."""
    from omgov_assets.anomaly_alert.outbox import Outbox
    from omgov_assets.anomaly_alert.silences import last_entries

    settings, now = Settings.from_environment(home, project), datetime.now(UTC)
    entries = []
    if settings.outbox.is_file():
        with Outbox(settings.outbox) as outbox:
            entries = outbox.silences()
    shown = entries if every else [entry for entry in last_entries(entries) if entry.is_active(now)]
    rows = [
        {
            "silence_id": entry.silence_id,
            "matchers": ", ".join(map(str, entry.matchers)),
            "author": entry.author,
            "reason": entry.reason,
            "starts_at": entry.starts_at.isoformat(),
            "expires_at": entry.expires_at.isoformat(),
        }
        for entry in shown
    ]
    emit(rows, output, "Silences", "nothing is silenced")


@silence_app.command("end")
def end_silence(
    silence_id: Annotated[str, typer.Argument(help="Which silence, as `list` shows it.")],
    author: Annotated[str, typer.Option("--author", help="Who ends it.")],
    reason: Annotated[str, typer.Option("--reason", help="Why.")] = "ended early",
    home: Home = None,
    project: Project = None,
) -> None:
    """End a silence now; its alerts are told if they still hold."""
    from omgov_assets.anomaly_alert.outbox import Outbox
    from omgov_assets.anomaly_alert.silences import last_entries

    settings, now = Settings.from_environment(home, project), datetime.now(UTC).replace(microsecond=0)
    if not settings.outbox.is_file():
        fail(f"{silence_id}: no such silence; nothing was ever silenced", PLATFORM_FAILURE)
    with Outbox(settings.outbox) as outbox:
        known = {entry.silence_id: entry for entry in last_entries(outbox.silences())}
        if silence_id not in known:
            fail(f"{silence_id}: no such silence; `omgov alerts silence list` shows those that hold")
        entry = known[silence_id]
        if not entry.is_active(now):
            fail(f"{silence_id}: it is over since {entry.expires_at.isoformat()}")
        ended = entry.model_copy(update={"expires_at": now, "author": author, "reason": reason})
        outbox.record_silence(ended, now)
    notice(f"{silence_id}: ended")
