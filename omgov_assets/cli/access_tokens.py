"""``omgov access token`` and ``link-key``: proofs of who asks. What is done to them is on record before it is done."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from omgov_assets.access_control.link_keys import LinkKeyError, LinkKeys
from omgov_assets.access_control.token_rates import Rate
from omgov_assets.access_control.tokens import Token, TokenError, TokenStore
from omgov_assets.cli.audit import User, recorded
from omgov_assets.cli.options import Home, HomeToRead, Output, Project
from omgov_assets.cli.output import Format, emit, fail, notice
from omgov_assets.cli.principal_names import require_named
from omgov_assets.data_lake.settings import Settings

token_app = typer.Typer(help="Tokens of those who ask for data.", no_args_is_help=True)

link_key_app = typer.Typer(help="The key that signs links to governed snapshots.", no_args_is_help=True)

TokenId = Annotated[str, typer.Argument(help="Which token, as `list` shows it.")]
Life = Annotated[str, typer.Option("--expires-in", help="How long it is worth something, such as 90d; 366d at most.")]


@token_app.command("create")
def create(
    principal: Annotated[
        str, typer.Option("--principal", help="Who will ask with it, as governance/access/access.yaml names it.")
    ],
    scope: Annotated[
        list[str],
        typer.Option(
            "--scope", help="read, share, export, act or write; with :DATASET where not for all: read:quality/*"
        ),
    ],
    user: User,
    expires_in: Life = "90d",
    per_minute: Annotated[int, typer.Option("--per-minute", min=1, help="Uses a minute in the long run.")] = 600,
    burst: Annotated[int, typer.Option("--burst", min=1, help="Uses at once.")] = 100,
    output: Output = Format.TABLE,
    home: Home = None,
    project: Project = None,
) -> None:
    """Make a token and print it: it is stored nowhere, and nobody can print it again."""
    life = _duration(expires_in)
    require_named(home, project, principal)
    with _desk(home, project, user, f"token made for {principal}: {', '.join(scope)}") as (store, now):
        text, token = store.create(principal, scope, now, life, Rate(per_minute, burst))
    _print_secret(text, token, now, output)


@token_app.command("list")
def list_tokens(
    principal: Annotated[str | None, typer.Option("--principal", help="Only tokens of this principal.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Also those that have ended.")] = False,
    output: Output = Format.TABLE,
    home: HomeToRead = None,
    project: Project = None,
) -> None:
    """The tokens there are, without what proves them."""
    path, now = Settings.from_environment(home, project).tokens, datetime.now(UTC)
    try:
        known = []
        if path.is_file():
            with TokenStore(path) as store:
                known = store.tokens()
    except TokenError as error:
        fail(str(error))
    rows = [_row(token, now) for token in known if principal in (None, token.principal)]
    emit([row for row in rows if every or row["state"] in {"active", "rotated"}], output, "Tokens", "no such token")


@token_app.command("rotate")
def rotate(
    token_id: TokenId,
    user: User,
    overlap: Annotated[str, typer.Option("--overlap", help="How long the old one stays worth something.")] = "1d",
    expires_in: Life = "90d",
    output: Output = Format.TABLE,
    home: Home = None,
    project: Project = None,
) -> None:
    """Make a token that takes another's place, and print it."""
    life, both = _duration(expires_in), _duration(overlap)
    with _desk(home, project, user, f"token {token_id} rotated, overlap {overlap}") as (store, now):
        text, token = store.rotate(token_id, now, both, life)
    _print_secret(text, token, now, output)


@token_app.command("revoke")
def revoke(
    token_id: TokenId,
    user: User,
    reason: Annotated[str, typer.Option("--reason", help="Why; gets on record.")],
    home: Home = None,
    project: Project = None,
) -> None:
    """End a token at once."""
    with _desk(home, project, user, f"token {token_id} revoked: {reason}") as (store, now):
        token = store.revoke(token_id, now)
    notice(f"{token_id} of {token.principal}: {token.ended_by} since {token.ended_at}")


@token_app.command("accept-clock")
def accept_clock(
    user: User,
    reason: Annotated[str, typer.Option("--reason", help="Why the clock is right; gets on record.")],
    home: Home = None,
    project: Project = None,
) -> None:
    """Let the clock's time count again although tokens were used later."""
    with _desk(home, project, user, f"clock accepted for tokens: {reason}") as (store, now):
        store.accept_clock(now)
    notice(f"tokens are worth something again from {now.isoformat(timespec='seconds')} on")


@link_key_app.command("rotate")
def rotate_link_key(
    user: User,
    compromised: Annotated[
        bool, typer.Option("--compromised", help="Others may know it: no link that was ever signed is good any more.")
    ] = False,
    home: Home = None,
    project: Project = None,
) -> None:
    """Sign links with another key. Links that are out stay good until they expire, within a day at most."""
    settings = Settings.from_environment(home, project)
    said = "link key replaced; links of the former one are void" if compromised else "link key replaced"
    try:
        with recorded(home, project, user, "audit", said) as now:
            LinkKeys(settings.link_keys, os.environ).rotate(now, compromised)
    except LinkKeyError as error:
        fail(str(error))
    notice(f"{settings.link_keys}: {said}")


@contextmanager
def _desk(home: Path | None, project: Path | None, user: str, act: str) -> Iterator[tuple[TokenStore, datetime]]:
    """The store for an act that is on record; ends the command where either cannot be used."""
    try:
        with (
            TokenStore(Settings.from_environment(home, project).tokens) as store,
            recorded(home, project, user, "access/tokens", act) as now,
        ):
            yield store, now
    except TokenError as error:
        fail(str(error))


def _print_secret(text: str, token: Token, now: datetime, output: Format) -> None:
    if output is Format.TABLE:
        typer.echo(text)
    else:
        emit([{"token": text} | _row(token, now)], output)
    notice(f"{token.token_id} of {token.principal} until {token.expires_at.isoformat(timespec='seconds')}; "
           "keep it: it cannot be printed again")  # fmt: skip


def _row(token: Token, now: datetime) -> dict[str, Any]:
    return {
        "token_id": token.token_id,
        "principal": token.principal,
        "state": token.state(now),
        "scope": ", ".join(token.scope),
        "created_at": token.created_at.isoformat(timespec="seconds"),
        "expires_at": token.expires_at.isoformat(timespec="seconds"),
        "last_used_day": token.last_used_day,
        "rotated_to": token.rotated_to,
        "per_minute": token.rate.per_minute,
        "burst": token.rate.burst,
    }


def _duration(text: str) -> timedelta:
    from pydantic import TypeAdapter, ValidationError

    from omgov_assets.model_management.alert_routes import Duration

    try:
        return TypeAdapter[timedelta](Duration).validate_python(text)
    except ValidationError as error:
        fail("; ".join(str(fault["msg"]).removeprefix("Value error, ") for fault in error.errors()))
