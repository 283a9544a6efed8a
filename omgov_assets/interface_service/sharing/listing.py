"""Lists of the protocol in pages: a page's token says behind which name the next one begins.

So a list that changes meanwhile repeats nothing and leaves out nothing that stays. Does not belong here: what is
listed.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import Query
from fastapi.responses import JSONResponse

from omgov_assets.interface_service.problems import Problem

T = TypeVar("T")

MOST_RESULTS = 500
_LONGEST_TOKEN = 1_024

MaxResults = Annotated[
    int | None,
    Query(alias="maxResults", ge=0, lt=2**31, description=f"Entries a page; {MOST_RESULTS} at most."),
]
PageToken = Annotated[
    str | None, Query(alias="pageToken", max_length=_LONGEST_TOKEN, description="`nextPageToken` of the page before.")
]


def listed(
    items: Sequence[T],
    key: Callable[[T], Sequence[str]],
    content: Callable[[T], dict[str, Any]],
    max_results: int | None,
    page_token: str | None,
) -> JSONResponse:
    """A page of a list as an answer.

    Args:
        items: all there are, in the order of their keys.
        key: what an item is ordered by.
        content: what is told of an item.
        max_results: entries of the page at most.
        page_token: where it begins; at the beginning where None or empty.

    Raises:
        Problem: 400, the token is none that was given out.
    """
    after = _place(page_token) if page_token else None
    rest = [item for item in items if after is None or list(key(item)) > after]
    shown = rest[: MOST_RESULTS if max_results is None else min(max_results, MOST_RESULTS)]
    answer: dict[str, Any] = {"items": [content(item) for item in shown]}
    if len(shown) < len(rest):
        last = list(key(shown[-1])) if shown else (after or [])
        answer["nextPageToken"] = urlsafe_b64encode(json.dumps(last).encode()).decode("ascii")
    return JSONResponse(answer, media_type="application/json; charset=utf-8")


def _place(token: str) -> list[str]:
    try:
        place = json.loads(urlsafe_b64decode(token.encode("ascii")))
    except (ValueError, RecursionError) as error:
        raise _no_token() from error
    if not isinstance(place, list) or not all(isinstance(part, str) for part in place):
        raise _no_token()
    return place


def _no_token() -> Problem:
    return Problem(400, "bad_request", "pageToken: none that was given out here.")
