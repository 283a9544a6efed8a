"""Answering a question about rows: through the door, page by page or all at once, in the format that was asked for.

Does not belong here: reading the question (``asked``), addresses (``routes``, ``resources``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import date
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pyarrow as pa
from fastapi import Request, Response

from omgov_assets.access_control.governed_pages import CursorExpiredError, Order, Page, PageQuestion
from omgov_assets.access_control.governed_query import Condition, QueryError
from omgov_assets.data_lake.schemas import UnknownTableError
from omgov_assets.interface_service.asking import Asking
from omgov_assets.interface_service.formats.formats import JSON
from omgov_assets.interface_service.formats.texts import objects
from omgov_assets.interface_service.problems import Problem, not_there
from omgov_assets.interface_service.rest.answers import PRIVATE, answered
from omgov_assets.interface_service.rest.asked import Asked
from omgov_assets.interface_service.rest.filters import NotOfTypeError, conditions_of
from omgov_assets.interface_service.whole_answers import BATCH_ROWS, HeldAnswer, disposition, pieces_of

_DATASET = re.compile(r"[A-Za-z0-9_]{1,100}/[A-Za-z0-9_]{1,100}", re.ASCII)


def rows_answer(
    asking: Asking, request: Request, dataset: str, asked: Asked, more: tuple[Condition, ...] = ()
) -> Response:
    """The answer to a question about rows of a dataset.

    Args:
        asking: who asks.
        request: the request, whose address the next page has, too.
        dataset: the dataset.
        asked: the question.
        more: conditions beside those asked for, which the address says.

    Raises:
        Problem, QueryError, AccessDeniedError, UnknownVersionError, AuditUnavailableError: there is none.
    """
    conditions = (*more, *typed_conditions(asking, dataset, asked.where))
    day = asked_day(asking, dataset, asked)
    question = PageQuestion(
        columns=asked.columns,
        conditions=conditions,
        order=tuple(Order(column, descending) for column, descending in asked.order),
        size=asked.limit or 1,
        cursor=asked.cursor,
    )
    if asked.limit is None:
        return _all_rows(asking, request, dataset, asked, question, day)
    try:
        page = asking.door.page(asking.principal, dataset, question, day, asked.version)
    except CursorExpiredError:
        raise Problem(
            410, "cursor_expired", "What the cursor goes on in has changed; begin with the first page."
        ) from None
    return page_answer(request, dataset, asked, page, day)


def page_answer(request: Request, dataset: str, asked: Asked, page: Page, day: date | None) -> Response:
    """A page in the format asked for, with the address of the next one."""
    headers = _said(asked, dataset, day, page.version)
    following = None
    if page.next is not None:
        following = f"{address(request)}?{asked.next_query(page.next, day)}"
        headers["Link"] = f'<{following}>; rel="next"'
    if asked.form is JSON:
        body = orjson.dumps({**_head(dataset, day, page.version), "rows": objects(page.rows), "next": following})
    else:
        reader = page.rows.combine_chunks().to_reader(BATCH_ROWS)
        body = b"".join(_pieces(asked, reader, request))
    return answered(body, asked.form.media_type, request.headers.get("if-none-match"), headers)


def one_row_answer(asking: Asking, request: Request, dataset: str, asked: Asked, which: Condition) -> Response:
    """The one row that a condition names, as a JSON object.

    Raises:
        Problem: 404; there is none for the principal.
    """
    row = one_row(asking, dataset, asked_day(asking, dataset, asked), which)
    body = orjson.dumps(row)
    return answered(body, JSON.media_type, request.headers.get("if-none-match"))


def one_row(asking: Asking, dataset: str, day: date | None, which: Condition) -> dict[str, Any]:
    """The one row that a condition names, as JSON says it; raises as ``one_row_answer``."""
    page = asking.door.page(asking.principal, dataset, PageQuestion(None, (which,), (), 1, None), day)
    for row in objects(page.rows):
        return row
    raise not_there()


def typed_conditions(asking: Asking, dataset: str, where: list[str]) -> tuple[Condition, ...]:
    """Conditions with values of their columns' types, whether the principal sees those columns or not.

    Raises:
        Problem: 400; one cannot be understood.
        QueryError: a value is not of the type of a column that there is not for the principal.
        AccessDeniedError: likewise, of a dataset.
    """
    if not where:
        return ()
    types: dict[str, str] = {}
    if _DATASET.fullmatch(dataset):
        with suppress(UnknownTableError):
            types = {column.name: column.sql_type for column in asking.lake.schema(dataset).columns}
    try:
        return conditions_of(where, types)
    except NotOfTypeError as error:
        # What type a column has is told to those alone for whom there is one.
        if error.column not in asking.door.column_types(asking.principal, dataset):
            raise QueryError(f"{dataset} has no column {error.column!r}") from None
        raise Problem(400, "bad_filter", str(error)) from None


def asked_day(asking: Asking, dataset: str, asked: Asked) -> date | None:
    """The day that is meant; None for all. Raises as ``EnforcementPoint.describe``."""
    if asked.day == "last":
        days = asking.door.describe(asking.principal, dataset).days
        return max(days, default=None)
    return asked.day if isinstance(asked.day, date) else None


def address(request: Request) -> str:
    """The path of a request as its client says it."""
    root: str = request.scope.get("root_path", "")
    path: str = request.scope["path"]
    return quote(path if path.startswith(f"{root}/") else root + path)


def _all_rows(
    asking: Asking, request: Request, dataset: str, asked: Asked, question: PageQuestion, day: date | None
) -> Response:
    """All rows as they are read: no more of them is in memory than a piece."""
    with ExitStack() as opened:
        opened.enter_context(asking.service.whole_answers.taken(asking.principal.name))
        whole = opened.enter_context(asking.door.whole(asking.principal, dataset, question, day, asked.version))
        pieces = _pieces(asked, whole.rows.to_arrow_reader(BATCH_ROWS), request)
        if asked.form is JSON:
            head = orjson.dumps(_head(dataset, day, whole.version))[:-1]
            pieces = chain([head + b',"rows":'], pieces, [b',"next":null}\n'])
        # What cannot be written is told before an answer has begun.
        first = next(pieces, b"")
        held = opened.pop_all()
    headers = {**PRIVATE, **_said(asked, dataset, day, whole.version), "Content-Type": asked.form.media_type}
    return HeldAnswer(held, chain([first], pieces), headers)


def _said(asked: Asked, dataset: str, day: date | None, version: int | None) -> dict[str, str]:
    said = disposition(asked.form, dataset, day.isoformat() if day else None)
    return said | ({"Omgov-Version": str(version)} if version is not None else {})


def _pieces(asked: Asked, reader: pa.RecordBatchReader, request: Request) -> Iterator[bytes]:
    tmp: Path = request.app.state.service.settings.tmp
    return pieces_of(asked.form, reader, tmp)


def _head(dataset: str, day: date | None, version: int | None) -> dict[str, Any]:
    return {"dataset": dataset, "day": day, "version": version}
