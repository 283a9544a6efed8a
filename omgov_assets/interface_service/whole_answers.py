"""Answers with all rows: each is written as its rows are read, and saved under a name of its own.

For every door that gives rows as files. Does not belong here: which rows (each door), forms of rows (``formats``), how
many such answers there may be at a time (``limits``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from omgov_assets.interface_service.formats.binaries import DoesNotFitError
from omgov_assets.interface_service.formats.formats import JSON, NDJSON, Format
from omgov_assets.interface_service.problems import Problem

BATCH_ROWS = 8192
_NOT_IN_A_FILE_NAME = re.compile(r"[^A-Za-z0-9._-]+")


def pieces_of(form: Format, reader: pa.RecordBatchReader, tmp: Path) -> Iterator[bytes]:
    """Rows in a format, piece by piece; what the format cannot hold is a ``Problem`` (400)."""
    try:
        yield from form.pieces(reader, tmp)
    except DoesNotFitError as error:
        raise Problem(400, "does_not_fit", str(error)) from None


def disposition(form: Format, *parts: str | None) -> dict[str, str]:
    """``Content-Disposition`` of what people save as a file; none of what programs read.

    Args:
        form: the format.
        parts: what the name of the file says; what is not plain becomes ``-``.
    """
    if form in (JSON, NDJSON):
        return {}
    name = "-".join(_NOT_IN_A_FILE_NAME.sub("-", part) for part in ("omgov", *parts) if part)
    return {"Content-Disposition": f'attachment; filename="{name[:120]}{form.ending}"'}


class HeldAnswer(StreamingResponse):
    """An answer in pieces; what they are read from is closed with it, whether its client took any or not.

    Args:
        held: what they are read from, and the place that the answer has.
        pieces: its bytes.
        headers: its headers.
    """

    def __init__(self, held: ExitStack, pieces: Iterator[bytes], headers: Mapping[str, str]) -> None:
        super().__init__(pieces, headers=headers)
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        with self._held:
            await super().__call__(scope, receive, send)
