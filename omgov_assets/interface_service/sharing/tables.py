"""Routes of a shared table: its version, what it looks like, its files and its changes.

Owns two rules: a file is what the decision leaves of a day, and hints leave out files by what the reader sees of the
table. Does not belong here: making files and deciding (``access_control``), how answers are written (``lines``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Body, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from omgov_assets.access_control.descriptions import Description
from omgov_assets.access_control.governed_changes import ChangeFile
from omgov_assets.access_control.snapshot import Snapshot
from omgov_assets.interface_service.asking import Asking
from omgov_assets.interface_service.problems import Problem
from omgov_assets.interface_service.sharing.contents import by_content
from omgov_assets.interface_service.sharing.errors import SharingRoute
from omgov_assets.interface_service.sharing.files import Addresses
from omgov_assets.interface_service.sharing.hints import DAY, wanted_days
from omgov_assets.interface_service.sharing.lines import (
    CAPABILITIES,
    MEDIA_TYPE,
    TABLE_VERSION,
    Act,
    FileLine,
    TableLine,
    answer_lines,
    response_format,
)
from omgov_assets.interface_service.sharing.offers import OffersHere
from omgov_assets.interface_service.sharing.shares import SharedTable
from omgov_assets.interface_service.sharing.versions import (
    LARGEST_VERSION,
    WRITTEN,
    first_version_from,
    last_version_until,
    moment,
)

router = APIRouter(route_class=SharingRoute)

_TABLE = "/sharing/shares/{share}/schemas/{schema}/tables/{table}"

Capabilities = Annotated[
    str | None, Header(alias=CAPABILITIES, description="Formats that the client takes: `responseformat=parquet,delta`.")
]
Version = Annotated[int | None, Query(ge=0, le=LARGEST_VERSION)]
_Number = Annotated[int, Field(ge=0, le=LARGEST_VERSION, strict=True)]


class TableQuestion(BaseModel):
    """Which files of a table are wanted. Hints are of any form: one that is malformed is as good as none."""

    model_config = ConfigDict(extra="ignore")

    predicate_hints: Any = Field(None, alias="predicateHints", description="Comparisons in SQL.")
    json_predicate_hints: Any = Field(
        None, alias="jsonPredicateHints", description="A JSON text: a tree of operations."
    )
    limit_hint: Any = Field(None, alias="limitHint", description="How many rows are going to be read.")
    version: _Number | None = Field(None, description="The table as of a version.")
    timestamp: str | None = Field(None, description=f"The table as of a time. {WRITTEN}")
    starting_version: _Number | None = Field(None, alias="startingVersion", description="Changes from a version on.")
    ending_version: _Number | None = Field(None, alias="endingVersion", description="The last version of changes.")

    @property
    def limit(self) -> int | None:
        """``limitHint``, where it is one."""
        hint = self.limit_hint
        return hint if isinstance(hint, int) and not isinstance(hint, bool) and hint >= 0 else None


@dataclass(frozen=True)
class _Opened:
    """A shared table that whoever asks may read."""

    asking: Asking
    table: SharedTable
    described: Description

    @property
    def version(self) -> int:
        """Its last version; 0 of a table that nothing was written to yet."""
        return self.described.version or 0

    @property
    def zone(self) -> ZoneInfo:
        """The firm's zone."""
        governance = self.asking.rules.governance
        return governance.firm.zone if governance is not None else ZoneInfo("UTC")

    @property
    def shows_days(self) -> bool:
        """Whether the reader sees the day of a row as it is, so that files may be told apart by it."""
        return any(column.name == DAY and not column.masked for column in self.described.columns)

    @property
    def partitioned_by(self) -> tuple[str, ...]:
        return (DAY,) if self.shows_days else ()

    @cached_property
    def times(self) -> dict[int, datetime]:
        """When its versions were committed."""
        return self.asking.lake.commit_times(self.table.dataset)

    def line(self, version: int | None = None) -> TableLine:
        columns = tuple((column.name, column.sql_type) for column in self.described.columns)
        return TableLine(self.table.id, self.table.name, columns, self.partitioned_by, version)


@router.get(
    f"{_TABLE}/version", operation_id="get_table_version", summary="Version of a table", response_class=Response
)
def get_table_version(
    offers: OffersHere,
    share: str,
    schema: str,
    table: str,
    starting_timestamp: Annotated[str | None, Query(alias="startingTimestamp", description=WRITTEN)] = None,
) -> Response:
    """In the header ``Delta-Table-Version``: the last one, or the first one from a time on."""
    opened = _opened(offers, share, schema, table)
    version = opened.version
    if starting_timestamp is not None:
        at = moment(starting_timestamp, opened.zone, "startingTimestamp")
        version = first_version_from(opened.times, at)
    return Response(headers={TABLE_VERSION: str(version)})


@router.head(
    _TABLE, operation_id="look_at_table", summary="Version of a table, the former way", response_class=Response
)
def look_at_table(offers: OffersHere, share: str, schema: str, table: str) -> Response:
    """As ``/version``."""
    return Response(headers={TABLE_VERSION: str(_opened(offers, share, schema, table).version)})


@router.get(
    f"{_TABLE}/metadata", operation_id="get_table_metadata", summary="What a table looks like", response_class=Response
)
def get_table_metadata(
    offers: OffersHere, share: str, schema: str, table: str, capabilities: Capabilities = None
) -> Response:
    """Two lines: protocol and table."""
    opened = _opened(offers, share, schema, table)
    return _answer(capabilities, opened.version, opened.line())


@router.post(f"{_TABLE}/query", operation_id="query_table", summary="Files of a table", response_class=Response)
def query_table(
    request: Request,
    offers: OffersHere,
    share: str,
    schema: str,
    table: str,
    question: Annotated[TableQuestion | None, Body()] = None,
    capabilities: Capabilities = None,
) -> Response:
    """Protocol, table, and a line for each file; of changes where ``startingVersion`` is given."""
    opened, question = _opened(offers, share, schema, table), question or TableQuestion()
    if question.starting_version is not None:
        if question.version is not None or question.timestamp is not None:
            raise Problem(400, "bad_request", "Ask for a version, or for changes.")
        return _changes(request, opened, question.starting_version, question.ending_version, capabilities)
    version = question.version
    if question.timestamp is not None:
        if version is not None:
            raise Problem(400, "bad_request", "Ask for a version or for a timestamp.")
        version = last_version_until(opened.times, moment(question.timestamp, opened.zone, "timestamp"))
    committed_at = opened.times.get(version) if version is not None else None
    addresses = Addresses(opened.asking, opened.table, _base(request, opened.asking))
    files = []
    for snapshot in _limited(_snapshots(opened, question, version), question.limit):
        of_day = {DAY: str(snapshot.day)} if opened.shows_days else {}
        files.append(_file("file", addresses, snapshot, of_day, version, committed_at))
    return _answer(capabilities, opened.version if version is None else version, opened.line(version), files)


@router.get(
    f"{_TABLE}/changes", operation_id="get_table_changes", summary="Changes of a table", response_class=Response
)
def get_table_changes(
    request: Request,
    offers: OffersHere,
    share: str,
    schema: str,
    table: str,
    starting_version: Annotated[Version, Query(alias="startingVersion")] = None,
    starting_timestamp: Annotated[str | None, Query(alias="startingTimestamp", description=WRITTEN)] = None,
    ending_version: Annotated[Version, Query(alias="endingVersion")] = None,
    ending_timestamp: Annotated[str | None, Query(alias="endingTimestamp", description=WRITTEN)] = None,
    capabilities: Capabilities = None,
) -> Response:
    """Protocol, table, and a line for the changes of each version: rows that came into sight, and that left it."""
    opened = _opened(offers, share, schema, table)
    if (starting_version is None) == (starting_timestamp is None):
        raise Problem(400, "bad_request", "Give startingVersion or startingTimestamp.")
    if ending_version is not None and ending_timestamp is not None:
        raise Problem(400, "bad_request", "Give endingVersion or endingTimestamp.")
    first, last = starting_version, ending_version
    if starting_timestamp is not None:
        first = first_version_from(opened.times, moment(starting_timestamp, opened.zone, "startingTimestamp"))
    if ending_timestamp is not None:
        last = last_version_until(opened.times, moment(ending_timestamp, opened.zone, "endingTimestamp"))
    return _changes(request, opened, first or 0, last, capabilities)


def _changes(request: Request, opened: _Opened, first: int, last: int | None, capabilities: str | None) -> Response:
    last = opened.version if last is None else min(last, opened.version)
    if first > last:
        raise Problem(400, "bad_request", f"Changes begin after they end: the last version is {last}.")
    asking = opened.asking
    addresses = Addresses(asking, opened.table, _base(request, asking))
    files = [
        _file("cdf", addresses, change, {}, change.version, change.committed_at)
        for change in asking.door.shared_changes(asking.principal, opened.table.dataset, first, last)
    ]
    return _answer(capabilities, first, opened.line(first), files)


def _file(
    act: Act,
    addresses: Addresses,
    file: Snapshot | ChangeFile,
    partition_values: dict[str, str],
    version: int | None,
    committed_at: datetime | None,
) -> FileLine:
    """The line of a governed file, under an address and a name that its content has."""
    content = by_content(file.path)
    return FileLine(
        act,
        addresses.of(content.snapshot_id),
        content.name,
        partition_values,
        content.bytes,
        file.rows,
        addresses.expires_at,
        version,
        committed_at,
    )


def _opened(offers: OffersHere, share: str, schema: str, name: str) -> _Opened:
    table, asking = offers.table(share, schema, name), offers.asking
    return _Opened(asking, table, asking.door.describe(asking.principal, table.dataset, "share"))


def _snapshots(opened: _Opened, question: TableQuestion, version: int | None) -> Iterator[Snapshot]:
    """The files that the reader may want, oldest day first; each is made when it is come to."""
    asking, dataset = opened.asking, opened.table.dataset
    if not opened.shows_days:
        # One file: hints about a day that the reader does not see would say what it is not to know.
        yield from asking.door.shared_files(asking.principal, dataset, None, version)
        return
    json_hint, sql_hints = question.json_predicate_hints, question.predicate_hints
    if version is not None:
        there = asking.door.shared_files(asking.principal, dataset, None, version)
        by_day = {one.day: one for one in there if one.day is not None}
        yield from (by_day[day] for day in wanted_days(sorted(by_day), json_hint, sql_hints))
        return
    # Of one version, whatever is committed meanwhile.
    pinned, wanted = opened.described.version, wanted_days(opened.described.days, json_hint, sql_hints)
    if question.limit is None:
        yield from asking.door.shared_files(asking.principal, dataset, wanted, pinned)
        return
    for day in wanted:
        yield from asking.door.shared_files(asking.principal, dataset, [day], pinned)


def _limited(snapshots: Iterable[Snapshot], limit: int | None) -> Iterator[Snapshot]:
    """As many as hold so many rows."""
    rows = 0
    if limit == 0:
        return
    for snapshot in snapshots:
        yield snapshot
        rows += snapshot.rows
        if limit is not None and rows >= limit:
            return


def _answer(capabilities: str | None, version: int, table: TableLine, files: list[FileLine] | None = None) -> Response:
    answer_format = response_format(capabilities)
    headers = {
        TABLE_VERSION: str(version),
        CAPABILITIES: f"responseformat={answer_format}",
        "Cache-Control": "no-store",
    }
    return Response(answer_lines(answer_format, table, files or ()), 200, headers, MEDIA_TYPE)


def _base(request: Request, asking: Asking) -> str:
    """What addresses of this service begin with."""
    return asking.service.public_url or str(request.base_url).rstrip("/")
