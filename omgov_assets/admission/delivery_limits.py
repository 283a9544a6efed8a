"""What a delivered file may be at most, and where it may lie: caps against bombs, names that lead nowhere else.

Each cap is looked at before what it guards against costs memory. Does not belong here: whether a file is well-formed
(the readers, one module per format).
"""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from omgov_assets.admission.refusal import ASK_AGAIN, RefusedBatchError
from omgov_assets.data_lake.masks import has_personal_data, without_personal_data
from omgov_assets.model_management.business_systems import Limits

# What takes no more than this in memory is no bomb, however small its file.
HARMLESS_BYTES = 256 << 20
_BLOCK_BYTES = 1 << 20
_RAISE = "or raise {limit} in defs.yaml if such a file is to be expected"


def require_file_size(path: Path, limits: Limits) -> None:
    """Refuse a file that is too large. Raises ``RefusedBatchError`` with code ``too_large``."""
    size = path.stat().st_size
    if size > limits.max_file_bytes:
        raise _refusal(
            "too_large", f"{path.name} has {size} bytes where {limits.max_file_bytes} are allowed", "max_file_bytes"
        )


def require_stream_size(name: str, size_bytes: int, limits: Limits) -> None:
    """Refuse a stream that is longer than a file may be. Raises ``RefusedBatchError`` with code ``too_large``."""
    if size_bytes > limits.max_file_bytes:
        raise _refusal(
            "too_large", f"{name} unpacks to more than the {limits.max_file_bytes} bytes allowed", "max_file_bytes"
        )


def require_rows(path: Path, rows: int, limits: Limits) -> None:
    """Refuse a file that holds, or says that it holds, too many records.

    Raises:
        RefusedBatchError: code ``too_many_rows``.
    """
    if rows > limits.max_rows:
        raise _refusal(
            "too_many_rows", f"{path.name} holds more than the {limits.max_rows} records that are allowed", "max_rows"
        )


def require_row_bytes(path: Path, row_bytes: int, limits: Limits, record: str = "a record") -> None:
    """Refuse a file of which a record is too large.

    Raises:
        RefusedBatchError: code ``record_too_large``.
    """
    if row_bytes > limits.max_row_bytes:
        raise _refusal(
            "record_too_large",
            f"{path.name}: {record} takes more than the {limits.max_row_bytes} bytes that are allowed",
            "max_row_bytes",
        )


def require_expansion(name: str, packed_bytes: int, memory_bytes: int, limits: Limits) -> None:
    """Refuse a file that takes far more memory than its own size.

    Raises:
        RefusedBatchError: code ``expands_too_much``.
    """
    if memory_bytes > max(HARMLESS_BYTES, packed_bytes * limits.max_expansion):
        raise _refusal(
            "expands_too_much",
            f"{name} holds {memory_bytes} bytes of data in {packed_bytes}: more than {limits.max_expansion} times its "
            "size",
            "max_expansion",
        )


def copy_within_limits(name: str, source: IO[bytes], target: IO[bytes], packed_bytes: int, limits: Limits) -> None:
    """Copy an unpacked stream to a file, and stop where it turns out a bomb.

    Raises:
        RefusedBatchError: code ``too_large`` or ``expands_too_much``.
    """
    copied = 0
    while block := source.read(_BLOCK_BYTES):
        copied += len(block)
        require_stream_size(name, copied, limits)
        require_expansion(name, packed_bytes, copied, limits)
        target.write(block)


def require_own_file(path: Path, landing: Path) -> None:
    """A delivery is a file that lies in the landing folder itself, under a name that can be written down.

    Args:
        path: the delivery, as it was found.
        landing: the landing folder; it may itself be reached through a link, which is the firm's own choice.

    Raises:
        RefusedBatchError: code ``outside_landing`` (``..``, a link as file or as folder on the way, no file at all), or
            ``unusable_name`` (bytes that are not UTF-8, control characters, personal data).
    """
    name = recorded_name(path, landing)
    if not path.is_relative_to(landing) or ".." in path.relative_to(landing).parts:
        raise _foreign(name, "it does not lie in the landing folder")
    steps = path.relative_to(landing).parts
    for depth in range(1, len(steps) + 1):
        step = landing.joinpath(*steps[:depth])
        mode = step.lstat().st_mode
        if stat.S_ISLNK(mode):
            raise _foreign(name, "it is a link" if step == path else f"{_escaped(step.name)} on its way is a link")
        if step == path and not stat.S_ISREG(mode):
            raise _foreign(name, "it is no file")
    if _escaped(path.name) != path.name:
        raise RefusedBatchError(
            "unusable_name",
            f"the name {name} holds control characters or bytes that are not UTF-8; have the business system deliver "
            "the file under another name",
        )
    if has_personal_data(path.name):
        raise RefusedBatchError(
            "unusable_name",
            f"the name {name.rpartition('/')[2]} holds what looks like a telephone number or mail address, and names "
            "of files are shown to all; have the business system deliver the file under another name",
        )


def landed_at(status: os.stat_result) -> datetime:
    """When a delivery came, as the ledger has it: the last change of its file, in UTC, to the microsecond."""
    return datetime.fromtimestamp(status.st_mtime_ns // 1000 / 1e6, tz=UTC)


def recorded_name(path: Path, landing: Path) -> str:
    """The name of a file as the ledger holds it: relative to the landing folder where it lies there; control characters
    and bytes that are not UTF-8 as Python writes them, with a backslash and their number; personal data masked.
    """
    name = _escaped(path.relative_to(landing).as_posix() if path.is_relative_to(landing) else path.name)
    return without_personal_data(name) if has_personal_data(path.name) else name


def _escaped(name: str) -> str:
    # Bytes that are not UTF-8 stand in a path as lone surrogates, by which Python tells them from characters.
    text = os.fsencode(name).decode("utf-8", errors="backslashreplace")
    return "".join(
        character
        if character.isprintable() or character in " \u3000"
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def _foreign(name: str, problem: str) -> RefusedBatchError:
    return RefusedBatchError(
        "outside_landing", f"{name} is not taken: {problem}; put the file itself into the landing folder"
    )


def _refusal(code: str, problem: str, limit: str) -> RefusedBatchError:
    return RefusedBatchError(code, f"{problem}; {ASK_AGAIN}, {_RAISE.format(limit=limit)}")
