"""A file over HTTP: whole or a range of it, for readers of Parquet, which begin at the end of a file.

RFC 9110 with one range; of several, or of one that is malformed, nothing is made and the whole file is sent, as the RFC
allows. The ETag is of the content. Does not belong here: who may have the file (``files``).
"""

from __future__ import annotations

import os
import re
from io import FileIO
from pathlib import Path

from anyio import CapacityLimiter
from anyio.lowlevel import RunVar
from anyio.to_thread import run_sync
from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

from omgov_assets.interface_service.entity_tags import is_known
from omgov_assets.interface_service.problems import Problem

MEDIA_TYPE = "application/vnd.apache.parquet"
# Large enough that waiting for a thread costs little, small enough for hundreds of slow readers.
CHUNK_BYTES = 512 * 1024

# Reading files does not wait for the threads that questions are worked on in.
_THREADS = 16
_limiter: RunVar[CapacityLimiter] = RunVar("threads for files")

_RANGE = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.ASCII | re.IGNORECASE)


def file_threads() -> CapacityLimiter:
    """What bounds the threads that files are read in, by event loop."""
    limiter = _limiter.get(None)
    if limiter is None:
        limiter = CapacityLimiter(_THREADS)
        _limiter.set(limiter)
    return limiter


class UnsatisfiableError(ValueError):
    """A range that begins behind the end of the file."""


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Begin and end (excluded) of the range that a header asks for; None for the whole file.

    Raises:
        UnsatisfiableError: there is nothing in the range.
    """
    matched = _RANGE.fullmatch(header.strip()) if header is not None else None
    if matched is None or matched.groups() == ("", ""):
        return None
    first, last = matched.groups()
    if not first:
        begin, end = max(0, size - int(last)), size
    else:
        begin, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < begin:
            return None
    if begin >= end:
        raise UnsatisfiableError
    return begin, end


def file_answer(request: Request, path: Path, etag: str) -> Response:
    """A file, or what of it a request asks for: 200, 206, or 304 where the client has it already.

    Args:
        request: GET or HEAD.
        path: the file.
        etag: name of the content, without quotes.

    Raises:
        Problem: 416, there is nothing in the range.
        FileNotFoundError: the file is gone.
    """
    size = path.stat().st_size
    tag = f'"{etag}"'
    headers = {"ETag": tag, "Accept-Ranges": "bytes", "Cache-Control": "private, no-cache"}
    if is_known(request.headers.get("If-None-Match"), tag):
        return Response(status_code=304, headers=headers)
    begin, end, status = 0, size, 200
    condition = request.headers.get("If-Range")
    # Of a HEAD a range says nothing, and a range of another content is worth nothing.
    if request.method == "GET" and (condition is None or condition.strip() == tag):
        try:
            asked = byte_range(request.headers.get("Range"), size)
        except UnsatisfiableError as error:
            nothing = {"Content-Range": f"bytes */{size}", "Accept-Ranges": "bytes"}
            raise Problem(416, "range_not_satisfiable", f"The file has {size} bytes.", nothing) from error
        if asked is not None:
            (begin, end), status = asked, 206
            headers["Content-Range"] = f"bytes {begin}-{end - 1}/{size}"
    headers["Content-Length"] = str(end - begin)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=MEDIA_TYPE)
    file = FileIO(path)
    if end - begin > CHUNK_BYTES:
        return _Streamed(file, begin, end, status, headers)
    with file:
        return Response(os.pread(file.fileno(), end - begin, begin), status, headers, MEDIA_TYPE)


class _Streamed(Response):
    """A part of an opened file, read as the client takes it."""

    def __init__(self, file: FileIO, begin: int, end: int, status: int, headers: dict[str, str]) -> None:
        super().__init__(None, status, headers, MEDIA_TYPE)
        self._file, self._begin, self._end = file, begin, end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        with self._file:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            at = self._begin
            while at < self._end:
                wanted = min(CHUNK_BYTES, self._end - at)
                chunk = await run_sync(os.pread, self._file.fileno(), wanted, at, limiter=file_threads())
                if not chunk:
                    raise OSError("a shared file became shorter while it was sent")
                at += len(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": at < self._end})
