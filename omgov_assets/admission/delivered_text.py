"""Text files as bytes: whether they are whole and in the declared encoding, and where their records begin and end.

A file is read once, in blocks of whole records, as UTF-8. A record is a line; where values may run over line ends, it
is a line and those that follow until every quote is closed. Does not belong here: splitting records into columns
(``csv_reader``, ``json_reader``).
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from omgov_assets.admission.delivery_limits import require_row_bytes, require_rows
from omgov_assets.admission.refusal import ASK_AGAIN, RefusedBatchError
from omgov_assets.model_management.business_systems import Transport

BLOCK_BYTES = 8 << 20

_BYTE_ORDER_MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_LINE_END, _QUOTE = ord("\n"), ord('"')


@dataclass(frozen=True)
class TextBlock:
    """Some whole records of a text file.

    Attributes:
        first: number of its first record in the file, from 1; a header counts.
        text: the records in UTF-8, each with its line end; the last one of a file may have none.
        ends: where each record ends.
    """

    first: int
    text: bytes
    ends: npt.NDArray[np.int64]

    @property
    def records(self) -> pa.StringArray:
        """The records as texts, line ends included; nothing is copied."""
        offsets = np.zeros(len(self.ends) + 1, np.int32)
        offsets[1:] = self.ends
        return pa.StringArray.from_buffers(len(self.ends), pa.py_buffer(offsets), pa.py_buffer(self.text))

    def without_first(self) -> TextBlock:
        """The block without its first record."""
        end = int(self.ends[0])
        return TextBlock(self.first + 1, self.text[end:], self.ends[1:] - end)


def require_whole_text(path: Path, transport: Transport) -> None:
    """Refuse a text file that is cut off or, as far as can be told before it is read, of another encoding.

    Raises:
        RefusedBatchError: code ``wrong_encoding`` or ``truncated``.
    """
    encoding = transport.encoding
    with path.open("rb") as file:
        mark = file.read(2)
    if encoding == "utf-16" and mark not in _BYTE_ORDER_MARKS:
        raise _wrong_encoding(path, encoding, "it does not begin with a byte order mark")
    if encoding != "utf-16" and mark in _BYTE_ORDER_MARKS:
        raise _wrong_encoding(path, encoding, "it begins with the byte order mark of UTF-16")
    if encoding in {"gbk", "gb18030"} and _is_disguised_utf8(path):
        raise _wrong_encoding(path, encoding, "its characters are UTF-8")
    line_end = "\n".encode(_BYTE_ORDER_MARKS[mark] if encoding == "utf-16" else "ascii")
    if transport.final_newline == "required" and not _ends_with(path, line_end):
        raise RefusedBatchError(
            "truncated", f"{path.name} does not end with a line end: its last record is cut off; {ASK_AGAIN}"
        )


def text_blocks(path: Path, transport: Transport, *, header: bool) -> Iterator[TextBlock]:
    """All records of a text file, block by block; where its last quote is never closed, the rest is one record.

    Raises:
        RefusedBatchError: code ``wrong_encoding``, ``too_many_rows`` or ``record_too_large``.
    """
    limits = transport.limits
    quotes_join_lines = transport.line_ends_in_values == "allowed"
    first, rest = 1, b""
    with path.open("rb") as file:
        for decoded, is_last in _decoded(path, file, transport.encoding):
            text = rest + decoded if rest else decoded
            ends = _record_ends(text, quotes_join_lines=quotes_join_lines)
            whole = int(ends[-1]) if len(ends) else 0
            if is_last and whole < len(text):
                ends, whole = np.append(ends, len(text)), len(text)
            rest = text[whole:]
            longest = max(len(rest), int(np.diff(ends, prepend=0).max(initial=0)))
            require_row_bytes(path, longest, limits, f"a record at or below line {first}")
            if len(ends):
                yield TextBlock(first, text[:whole] if rest else text, ends)
                first += len(ends)
            require_rows(path, first - 1 - header, limits)


def find_wrong_encoding(path: Path, transport: Transport) -> RefusedBatchError | None:
    """The refusal that names the first line that is not in the encoding; None if all are."""
    try:
        with path.open("rb") as file:
            for _ in _decoded(path, file, transport.encoding):
                pass
    except RefusedBatchError as refusal:
        return refusal
    return None


def _record_ends(text: bytes, *, quotes_join_lines: bool) -> npt.NDArray[np.int64]:
    """Where the records of a text end that are whole; its last line counts only if it has a line end."""
    characters = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(characters == _LINE_END) + 1
    if quotes_join_lines and b'"' in text:
        # By the parity of quotes alone, so that a quote that is never closed cannot swallow records unseen.
        quotes = np.searchsorted(np.flatnonzero(characters == _QUOTE), ends)
        ends = ends[quotes % 2 == 0]
    return ends


def _decoded(path: Path, file: BinaryIO, encoding: str) -> Iterator[tuple[bytes, bool]]:
    """The text in UTF-8, in blocks of about ``BLOCK_BYTES``, each with whether it is the last one; none is empty but
    perhaps the last.

    Raises:
        RefusedBatchError: code ``wrong_encoding``.
    """
    codec = encoding
    if encoding == "utf-16":
        codec = _BYTE_ORDER_MARKS[file.read(2)]
    decoder = None if encoding == "utf-8" else codecs.getincrementaldecoder(codec)()
    lines, cut = 0, b""
    block = file.read(BLOCK_BYTES)
    while True:
        following = file.read(BLOCK_BYTES) if block else b""
        try:
            if decoder is not None:
                decoded = decoder.decode(block, final=not following).encode("utf-8")
            else:
                decoded, cut = _whole_characters(cut + block, final=not following)
        except UnicodeDecodeError as error:
            before = error.object[: error.start].decode(codec, errors="ignore")
            raise _wrong_bytes(path, encoding, lines + before.count("\n") + 1, error) from error
        yield decoded, not following
        if not following:
            return
        lines += decoded.count(b"\n")
        block = following


def _whole_characters(block: bytes, *, final: bool) -> tuple[bytes, bytes]:
    """A block of UTF-8 up to its last whole character, and what is left of it."""
    end = len(block)
    if not final:
        # A character has at most three bytes behind its first one.
        for back in range(1, min(4, end) + 1):
            byte = block[-back]
            if byte & 0xC0 != 0x80:
                length = 1 if byte < 0xC0 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
                end -= back if length > back else 0
                break
    whole = block[:end] if end < len(block) else block
    offsets = np.array([0, len(whole)], np.int64)
    text = pa.LargeStringArray.from_buffers(1, pa.py_buffer(offsets), pa.py_buffer(whole))
    try:
        text.validate(full=True)
    except pa.ArrowInvalid:
        whole.decode("utf-8")  # says where
        raise
    return whole, block[end:]


def _ends_with(path: Path, ending: bytes) -> bool:
    with path.open("rb") as file:
        file.seek(-min(len(ending), path.stat().st_size), io.SEEK_END)
        return file.read() == ending


def _is_disguised_utf8(path: Path) -> bool:
    """Whether a file that is declared GBK is UTF-8, most of which decodes as GBK, but into other characters.

    Chinese in GBK is practically never valid UTF-8, least of all with characters of three bytes, as here.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    has_chinese = False
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            if block.isascii() and not decoder.getstate()[0]:
                continue
            try:
                text = decoder.decode(block)
            except UnicodeDecodeError:
                return False
            has_chinese = has_chinese or (not text.isascii() and max(text) >= "\u0800")
    return has_chinese


def _wrong_bytes(path: Path, encoding: str, line: int, error: UnicodeDecodeError) -> RefusedBatchError:
    found = error.object[error.start : error.end].hex(" ")
    return _wrong_encoding(path, encoding, f"line {line} holds the bytes {found} ({error.reason})")


def _wrong_encoding(path: Path, encoding: str, problem: str) -> RefusedBatchError:
    name = encoding.upper()
    remedy = f"deliver it in {name}, or declare its encoding in defs.yaml"
    return RefusedBatchError("wrong_encoding", f"{path.name} is not {name}: {problem}; {remedy}")
