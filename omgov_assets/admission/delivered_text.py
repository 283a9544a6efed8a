"""Text files as bytes: whether they are whole, in the declared encoding, and as many records as lines.

Does not belong here: splitting records into columns (``deliveries``).
"""

from __future__ import annotations

import codecs
import io
from pathlib import Path

from omgov_assets.admission.refusal import ASK_AGAIN, RefusedBatchError

BLOCK_BYTES = 8 << 20


def require_whole_text(path: Path, encoding: str, *, final_newline: bool) -> None:
    """Refuse a text file that is cut off or, as far as can be told before it is read, of another encoding.

    Raises:
        RefusedBatchError: code ``wrong_encoding`` or ``truncated``.
    """
    with path.open("rb") as file:
        mark = file.read(2)
    if encoding == "utf-16" and mark not in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
        raise _wrong_encoding(path, encoding, "it does not begin with a byte order mark")
    if encoding != "utf-16" and mark in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
        raise _wrong_encoding(path, encoding, "it begins with the byte order mark of UTF-16")
    if encoding in {"gbk", "gb18030"} and _is_disguised_utf8(path):
        raise _wrong_encoding(path, encoding, "its characters are UTF-8")
    if final_newline and not _ends_with_newline(path, encoding):
        raise RefusedBatchError(
            "truncated", f"{path.name} does not end with a line end: its last record is cut off; {ASK_AGAIN}"
        )


def find_wrong_encoding(path: Path, encoding: str) -> RefusedBatchError | None:
    """The refusal that names the first line that is not in the encoding; None if all are."""
    if encoding == "utf-16":
        try:
            path.read_bytes().decode(encoding)
        except UnicodeDecodeError as error:
            line = path.read_bytes()[: error.start].decode(encoding, errors="ignore").count("\n") + 1
            return _wrong_bytes(path, encoding, line, error)
        return None
    with path.open("rb") as file:
        for number, line_bytes in enumerate(file, start=1):
            try:
                line_bytes.decode(encoding)
            except UnicodeDecodeError as error:
                return _wrong_bytes(path, encoding, number, error)
    return None


def text_stream(path: Path, encoding: str) -> Path | io.BytesIO:
    """The file, or its text in UTF-8 where Arrow cannot split it into lines by itself."""
    if encoding != "utf-16":
        return path
    return io.BytesIO(path.read_bytes().decode("utf-16").encode("utf-8"))


def stream_encoding(encoding: str) -> str:
    """Encoding of ``text_stream``."""
    return "utf-8" if encoding == "utf-16" else encoding


def prove_line_count(path: Path, encoding: str, rows: int) -> None:
    """Records must be lines: a quoted value that runs over a line end would swallow records unseen.

    Raises:
        RefusedBatchError: code ``line_count_mismatch``.
    """
    if encoding == "utf-16":
        text = path.read_bytes().decode("utf-16")
        lines, unended = text.count("\n"), not text.endswith("\n")
    else:
        lines, last = 0, b"\n"
        with path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                lines += block.count(b"\n")
                last = block[-1:]
        unended = last != b"\n"
    expected = lines + unended - 1
    if rows != expected:
        raise RefusedBatchError(
            "line_count_mismatch",
            f"{path.name} has {expected} lines below its header but {rows} records: a quoted value runs over "
            "a line end; deliver values without line ends, and close every quote",
            rows,
        )


def prove_record_count(path: Path, encoding: str, rows: int) -> None:
    """Where values may run over line ends, a record ends with the line that closes its last quote.

    Counted by the parity of quotes alone, so that a quote that is never closed cannot swallow records unseen.

    Raises:
        RefusedBatchError: code ``record_count_mismatch``.
    """
    text = path.read_bytes().decode(encoding)
    records, is_open = 0, False
    for line in text.split("\n")[: None if text and not text.endswith("\n") else -1]:
        is_open ^= line.count('"') % 2 == 1
        records += not is_open
    if is_open or rows != records - 1:
        raise RefusedBatchError(
            "record_count_mismatch",
            f"{path.name} has {records - 1} records by its quotes but {rows} were read"
            + (", and its last quote is never closed" if is_open else "")
            + "; close every quote, and double quotes inside values",
            rows,
        )


def _ends_with_newline(path: Path, encoding: str) -> bool:
    ending = "\n".encode("utf-16-le") if encoding == "utf-16" else b"\n"
    with path.open("rb") as file:
        file.seek(-min(len(ending), path.stat().st_size), io.SEEK_END)
        return file.read() in {ending, ending[::-1]}


def _is_disguised_utf8(path: Path) -> bool:
    """Whether a file that is declared GBK is UTF-8, most of which decodes as GBK, but into other characters.

    Chinese in GBK is practically never valid UTF-8, least of all with characters of three bytes, as here.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    has_chinese = False
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
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
