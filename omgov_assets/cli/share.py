"""``omgov share``: what is offered to whom by Delta Sharing. What is done is on record before it is done.

A share gives no right: what is in a table for a principal, the access rules say.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from omgov_assets.cli.audit import User, recorded
from omgov_assets.cli.options import Home, HomeToRead, Output, Project, lake_of
from omgov_assets.cli.output import Format, emit, fail, notice
from omgov_assets.cli.principal_names import require_known, require_named
from omgov_assets.cli.public_urls import checked_url
from omgov_assets.data_lake.settings import Settings

if TYPE_CHECKING:
    from omgov_assets.interface_service.sharing.shares import ShareStore

share_app = typer.Typer(help="What is offered to whom by Delta Sharing.", no_args_is_help=True)

ShareName = Annotated[str, typer.Argument(metavar="NAME", help="Name of the share.")]
PrincipalName = Annotated[str, typer.Argument(metavar="PRINCIPAL", help="Who is to read it.")]


@share_app.command("create")
def create(name: ShareName, user: User, home: Home = None, project: Project = None) -> None:
    """Make a share that offers nothing to nobody yet."""
    with _desk(home, project, user, f"share {name} made") as (store, now):
        share = store.create(name, now)
    notice(f"share {share.name}; offer a dataset in it with `omgov share add {share.name} DATASET`")


@share_app.command("add")
def add(
    name: ShareName,
    dataset: Annotated[str, typer.Argument(help="Dataset, such as quality/anomalies.")],
    user: User,
    called: Annotated[
        str | None, typer.Option("--as-table", metavar="SCHEMA.TABLE", help="What it is called there.")
    ] = None,
    home: Home = None,
    project: Project = None,
) -> None:
    """Offer a dataset in a share."""
    from omgov_assets.data_lake.schemas import UnknownTableError

    try:
        lake_of(home, project).schema(dataset)
    except UnknownTableError as error:
        fail(str(error))
    schema, table = _called(called)
    with _desk(home, project, user, f"{dataset} added to share {name}") as (store, _):
        added = store.add(name, dataset, schema, table)
    notice(f"{added.share}.{added.schema}.{added.name} is {added.dataset}")


@share_app.command("remove")
def remove(
    name: ShareName,
    table: Annotated[str, typer.Argument(metavar="SCHEMA.TABLE", help="Table, as `list` shows it.")],
    user: User,
    home: Home = None,
    project: Project = None,
) -> None:
    """Offer a dataset in a share no longer, at once, links to its files included."""
    schema, called = _called(table)
    with _desk(home, project, user, f"{table} taken out of share {name}") as (store, _):
        removed = store.remove(name, schema or "", called or "")
    notice(f"{removed.dataset} is no longer in {removed.share}")


@share_app.command("grant")
def grant(name: ShareName, principal: PrincipalName, user: User, home: Home = None, project: Project = None) -> None:
    """Offer a share to a principal, who sees of it what the access rules permit."""
    require_known(home, project, principal)
    with _desk(home, project, user, f"share {name} offered to {principal}") as (store, _):
        store.grant(name, principal)
    notice(f"{principal} is offered {name}; `omgov share profile {principal}` writes what a client needs")


@share_app.command("revoke")
def revoke(name: ShareName, principal: PrincipalName, user: User, home: Home = None, project: Project = None) -> None:
    """Offer a share to a principal no longer, at once, links included. Its token stays: `omgov access token revoke`."""
    with _desk(home, project, user, f"share {name} no longer offered to {principal}") as (store, _):
        was_offered = store.revoke(name, principal)
    notice(f"{principal} is offered {name} no longer" if was_offered else f"{principal} was not offered {name}")


@share_app.command("list")
def list_shares(output: Output = Format.TABLE, home: HomeToRead = None, project: Project = None) -> None:
    """Shares, their tables, and who is offered them."""
    from omgov_assets.interface_service.sharing.shares import ShareError, ShareStore

    path = Settings.from_environment(home, project).shares
    rows: list[dict[str, Any]] = []
    try:
        if path.is_file():
            with ShareStore(path) as store:
                rows = _rows(store)
    except ShareError as error:
        fail(str(error))
    emit(rows, output, "Shares", "nothing is shared; begin with `omgov share create NAME`")


@share_app.command("profile")
def profile(
    principal: PrincipalName,
    out: Annotated[Path, typer.Option("--out", help="File that is written; nobody but its owner may read it.")],
    expires: Annotated[int, typer.Option("--expires", min=1, max=366, help="Days that it is worth something.")],
    user: User,
    url: Annotated[str, typer.Option("--url", help="What clients call the service by.")] = "http://127.0.0.1:8080",
    dataset: Annotated[
        list[str] | None, typer.Option("--dataset", help="Only these, such as quality/*. Default all that are shared.")
    ] = None,
    home: Home = None,
    project: Project = None,
) -> None:
    """Write the profile file that a client of Delta Sharing opens shares with. It holds a new token."""
    from omgov_assets.access_control.tokens import TokenError, TokenStore

    called_by = checked_url("--url", url)
    require_named(home, project, principal)
    scope = [f"share:{pattern}" for pattern in dataset or ()] or ["share"]
    said = f"token made for {principal}: {', '.join(scope)}, as a profile of Delta Sharing"
    settings, now = Settings.from_environment(home, project), datetime.now(UTC)
    try:
        # First the file: a token that nobody was told is of no use to anybody.
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        fail(f"{out} cannot be written ({error.strerror}); name a file that does not exist yet")
    try:
        with (
            os.fdopen(descriptor, "w", encoding="utf-8") as file,
            recorded(home, project, user, "access/tokens", said),
            TokenStore(settings.tokens) as tokens,
        ):
            text, token = tokens.create(principal, scope, now, timedelta(days=expires))
            json.dump(
                {
                    "shareCredentialsVersion": 1,
                    "endpoint": f"{called_by}/sharing",
                    "bearerToken": text,
                    "expirationTime": token.expires_at.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
                },
                file,
                indent=2,
            )
    except TokenError as error:
        out.unlink()
        fail(str(error))
    except BaseException:
        out.unlink()
        raise
    notice(f"{out}: token {token.token_id} of {principal} until {token.expires_at.isoformat(timespec='seconds')}")


def _called(text: str | None) -> tuple[str | None, str | None]:
    """Schema and table as they are written on the command line; ends the command where they are not."""
    if text is None:
        return None, None
    schema, point, table = text.partition(".")
    if not (schema and point and table):
        fail(f"{text!r}: write SCHEMA.TABLE")
    return schema, table


def _rows(store: ShareStore) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for share in store.shares():
        offered_to = ", ".join(store.recipients(share.name)) or None
        offered = {"share": share.name, "table": None, "dataset": None, "offered_to": offered_to}
        tables = store.tables(share.name)
        rows += [offered | {"table": f"{one.schema}.{one.name}", "dataset": one.dataset} for one in tables]
        rows += [] if tables else [offered]
    return rows


@contextmanager
def _desk(home: Path | None, project: Path | None, user: str, act: str) -> Iterator[tuple[ShareStore, datetime]]:
    """The shares for an act that is on record; ends the command where either cannot be used."""
    from omgov_assets.interface_service.sharing.shares import ShareError, ShareStore

    try:
        with (
            ShareStore(Settings.from_environment(home, project).shares) as store,
            recorded(home, project, user, "access/shares", act) as now,
        ):
            yield store, now
    except ShareError as error:
        fail(str(error))
