"""Receiving a delivery as a stream: from the first byte to a file of the landing folder that no crash takes back.

Bytes are written to a hidden file beside the others, hashed on the way, and held to the transport's limits before they
take room. A reception is named by its content, so that the same bytes again are the same file, no other delivery is
ever overwritten, and nothing that a sender wrote stands in the name. Does not belong here: where the bytes come from
(``interface_service.ingest``), judging them (``gate``).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from types import TracebackType

from omgov_assets.admission.delivery_limits import landed_at, require_expansion, require_stream_size
from omgov_assets.data_lake.durability import fsync
from omgov_assets.model_management.business_systems import DeliveryFormat, Limits

_NAME = re.compile(r"received-[0-9a-f]{64}\.(csv|ndjson|json|parquet|sqlite)", re.ASCII)
_PARTIAL = ".receiving-*.partial"
_JSON_FORMATS = ("ndjson", "json")
_BEFORE_JSON = b"\xef\xbb\xbf \t\r\n"
# Between making a hidden file and holding it lies less than this.
_NEWBORN_S = 60.0


@dataclass(frozen=True)
class Received:
    """A delivery that was received whole, on disk under its hidden name.

    Attributes:
        file_name: name of the file relative to the landing folder, once it has landed.
        content_hash: SHA-256 of its bytes in hex.
        size_bytes: how many there are.
        received_at: when the last of them came.
    """

    file_name: str
    content_hash: str
    size_bytes: int
    received_at: datetime


class Reception:
    """A delivery on its way into the landing folder; a context that leaves nothing behind where it did not land.

    Args:
        landing: the landing folder.
        system: business system.
        dataset: dataset; with the system known to be one of the firm's.
        day: business day.
        delivery_format: how its bytes are to be read; of JSON the first byte tells whether it is lines or an array,
            whatever is said, so that the same bytes are the same file.
        limits: the dataset's.

    Raises:
        OSError: the file cannot be made.
    """

    def __init__(
        self, landing: Path, system: str, dataset: str, day: date, delivery_format: DeliveryFormat, limits: Limits
    ) -> None:
        self._landing, self._folder = landing, landing / system / dataset / day.isoformat()
        self._format, self._limits = delivery_format, limits
        _make_durable_folder(self._folder)
        self._partial = self._folder / f".receiving-{secrets.token_hex(8)}.partial"
        self._descriptor = os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o640)
        # Tells ``remove_abandoned`` that somebody is at work; the kernel frees it when that is killed.
        fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._hash, self._size = hashlib.sha256(), 0
        self._is_format_known = delivery_format not in _JSON_FORMATS
        self._is_closed = False

    def __enter__(self) -> Reception:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.discard()

    def write(self, block: bytes, packed_bytes: int) -> None:
        """Take the next bytes of the file.

        Args:
            block: the bytes.
            packed_bytes: how many bytes came from the sender so far, which may have packed them.

        Raises:
            RefusedBatchError: code ``too_large`` or ``expands_too_much``; the bytes were not written.
            OSError: they cannot be written, as where the disk is full.
        """
        size = self._size + len(block)
        require_stream_size("what is received", size, self._limits)
        require_expansion("what is received", packed_bytes, size, self._limits)
        view = memoryview(block)
        while view:
            view = view[os.write(self._descriptor, view) :]
        self._hash.update(block)
        self._size = size
        if not self._is_format_known and (begun := block.lstrip(_BEFORE_JSON)):
            self._format = "json" if begun.startswith(b"[") else "ndjson"
            self._is_format_known = True

    def finish(self) -> Received:
        """Force the bytes to disk. Nothing has landed yet."""
        os.fsync(self._descriptor)
        digest = self._hash.hexdigest()
        path = self._folder / received_name(digest, self._format)
        received_at = landed_at(os.fstat(self._descriptor))
        return Received(path.relative_to(self._landing).as_posix(), digest, self._size, received_at)

    def land(self, received: Received) -> None:
        """Show what was received whole as a delivery, durably; the same file of another reception stays as it is."""
        path = self._landing / received.file_name
        try:
            # Unlike a renaming, a link never takes the place of a file.
            os.link(self._partial, path)
        except FileExistsError:
            if path.is_symlink() or path.stat().st_size != received.size_bytes:
                # Whoever did that: the name says what must be in it.
                self._partial.replace(path)
        # Where the file was there, its folder may not be on disk yet: another reception is just about to see to it.
        fsync(self._folder)

    def discard(self) -> None:
        """Remove the hidden file; what has landed stays."""
        if self._is_closed:
            return
        self._is_closed = True
        with suppress(FileNotFoundError):
            self._partial.unlink()
        os.close(self._descriptor)


def received_name(content_hash: str, delivery_format: DeliveryFormat) -> str:
    """Name of a received file in its landing folder."""
    return f"received-{content_hash}.{delivery_format}"


def received_format(name: str) -> str | None:
    """The format of a file that a reception named; None of any other file."""
    matched = _NAME.fullmatch(name)
    return matched[1] if matched else None


def remove_abandoned(landing: Path) -> int:
    """Remove hidden files whose receptions were killed; returns how many."""
    removed = 0
    for path in landing.glob(f"*/*/*/{_PARTIAL}"):
        with suppress(FileNotFoundError, BlockingIOError):
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if time.time() - os.fstat(descriptor).st_mtime >= _NEWBORN_S:
                    path.unlink()
                    removed += 1
            finally:
                os.close(descriptor)
    return removed


def _make_durable_folder(folder: Path) -> None:
    """Make a folder and those above it, each on disk before something is put into it."""
    if folder.is_dir():
        return
    _make_durable_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    fsync(folder.parent)
