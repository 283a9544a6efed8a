"""Where a catalogue's files come from: a folder, one file, or an archive, read without leaving it.

Sizes and counts are limited, because an archive of a few kilobytes can unpack to terabytes; what exceeds a limit is a
finding. Does not belong here: what a file says (the readers).
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

from omgov_assets.data_management.catalogues.entries import CatalogueFile, Finding, escaped, shown

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2")
COMPRESSED_SUFFIXES = (".gz", ".xz", ".bz2")

# Unpacked members wait here for their turn in the sorted order; beyond it they go to an unnamed temporary file.
WAITING_BYTES = 64 << 20
# A member's name and extended header are small; one that is not is an attack on memory.
HEADER_BYTES = 1 << 20
CHUNK_BYTES = 1 << 20

_UNPACKING_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    NotImplementedError,
    RuntimeError,  # how zipfile says that a member is encrypted
    zlib.error,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
)


class MissingCatalogueError(ValueError):
    """There is nothing at the path, or nothing that a catalogue can be read from."""


@dataclass(frozen=True)
class Limits:
    """How large a catalogue may be.

    Attributes:
        file_bytes: one file, unpacked.
        members: files of a folder or members of an archive, wanted or not.
        total_bytes: all files of an archive, unpacked, wanted or not.
    """

    file_bytes: int = 64 << 20
    members: int = 100_000
    total_bytes: int = 4 << 30


LIMITS = Limits()

Item = CatalogueFile | Finding


class _TooLargeError(Exception):
    """A limit of the whole catalogue is reached: its message says which."""


def catalogue_files(path: Path, wants: Callable[[str], bool], limits: Limits = LIMITS) -> Iterator[Item]:
    """The wanted files of a folder or archive in the order of their names, or the one file that ``path`` is.

    Args:
        path: a folder; a ``.zip`` or ``.tar`` (also ``.gz``, ``.xz``, ``.bz2``) archive; one file, plain or ``.gz``,
            ``.xz`` or ``.bz2``. A single file is taken whatever its name.
        wants: whether a relative path states definitions; hidden files and folders are left alone.
        limits: how much is read at most.

    Yields:
        Files and, for what could not be read, refused findings.

    Raises:
        MissingCatalogueError: nothing is there.
    """
    if path.is_dir():
        return _folder(path, wants, limits)
    if not path.is_file():
        raise MissingCatalogueError(f"{path}: no such file or folder; give the path of a catalogue")
    if path.name.lower().endswith(".zip"):
        return _archive(path, wants, limits, _zip_members)
    if path.name.lower().endswith(TAR_SUFFIXES):
        return _archive(path, wants, limits, _tar_members)
    return _one_file(path, limits)


def _one_file(path: Path, limits: Limits) -> Iterator[Item]:
    name = path.name
    if path.suffix.lower() in COMPRESSED_SUFFIXES:
        name = name[: -len(path.suffix)]
    try:
        with _decompressed(path) as stream:
            yield _content(name, stream, limits)
    except _UNPACKING_ERRORS as error:
        yield _unreadable(name, error)


def _folder(root: Path, wants: Callable[[str], bool], limits: Limits) -> Iterator[Item]:
    found: list[tuple[str, str]] = []
    closed: list[OSError] = []
    seen = 0
    total = 0
    try:
        for folder, folders, files in os.walk(root, onerror=closed.append):
            folders[:] = [name for name in folders if not name.startswith(".")]
            seen += len(files) + len(folders)
            if seen > limits.members:
                raise _TooLargeError(f"more than {limits.members:,} files and folders")
            below = os.path.relpath(folder, root)
            for name in (*files, *(link for link in folders if Path(folder, link).is_symlink())):
                relative = name if below == "." else f"{below}/{name}"
                if not name.startswith(".") and (name in folders or wants(relative)):
                    found.append((relative, str(Path(folder, name))))
    except _TooLargeError as limit:
        yield _stopped(root.name, limit)
        return
    yield from (_unreadable(os.path.relpath(error.filename, root), error) for error in closed)
    for relative, path in sorted(found):
        item = _regular_file(relative, path, limits)
        if isinstance(item, CatalogueFile):
            total += len(item.content)
            if total > limits.total_bytes:
                yield _stopped(relative, _TooLargeError(f"more than {limits.total_bytes:,} bytes"))
                return
        yield item


def _regular_file(name: str, path: str, limits: Limits) -> Item:
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return _unsafe(name, "is a link or no regular file")
        # Again on the opened file, which may have changed; and a pipe must not hold the import up.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return _unsafe(name, "is no regular file")
            return _content(name, stream, limits)
    except OSError as error:
        return _unreadable(name, error)


Member = tuple[str, Callable[[], IO[bytes]] | None]


def _archive(
    path: Path,
    wants: Callable[[str], bool],
    limits: Limits,
    members: Callable[[Path, Limits], Iterator[Member | Finding]],
) -> Iterator[Item]:
    """Unpack in the archive's order, hand out in the order of names."""
    ready: list[tuple[str, int, Finding | tuple[int, int]]] = []
    with tempfile.SpooledTemporaryFile(max_size=WAITING_BYTES) as waiting:
        try:
            for number, member in enumerate(members(path, limits)):
                if number >= limits.members:
                    raise _TooLargeError(f"more than {limits.members:,} members")
                if isinstance(member, Finding):
                    if wants(member.file):
                        ready.append((member.file, number, member))
                    continue
                name, opened = member
                if _is_hidden(name) or not wants(name):
                    continue
                item = _unpacked(name, opened, limits)
                if isinstance(item, Finding):
                    ready.append((name, number, item))
                else:
                    ready.append((name, number, (waiting.tell(), len(item.content))))
                    waiting.write(item.content)
        except _TooLargeError as limit:
            ready.append((path.name, -1, _stopped(path.name, limit)))
        except _UNPACKING_ERRORS as error:
            ready.append((path.name, -1, _unreadable(path.name, error)))
        for name, _, item_or_place in sorted(ready, key=lambda entry: entry[:2]):
            if isinstance(item_or_place, Finding):
                yield item_or_place
            else:
                waiting.seek(item_or_place[0])
                yield CatalogueFile(escaped(name), waiting.read(item_or_place[1]))


def _unpacked(name: str, opened: Callable[[], IO[bytes]] | None, limits: Limits) -> Item:
    if opened is None:
        return _unsafe(name, "is a link or no regular file")
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        return _unsafe(name, "leads out of the archive")
    try:
        with opened() as stream:
            return _content(name, stream, limits)
    except _UNPACKING_ERRORS as error:
        return _unreadable(name, error)


def _zip_members(path: Path, limits: Limits) -> Iterator[Member | Finding]:
    with zipfile.ZipFile(path) as archive:
        total = 0
        for info in archive.infolist():
            if info.is_dir():
                continue
            # What the directory claims bounds what is unpacked: zipfile stops reading there.
            total += info.file_size
            if total > limits.total_bytes:
                raise _TooLargeError(f"more than {limits.total_bytes:,} bytes unpacked")
            name = _normal(info.filename)
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG):
                yield name, None
            else:
                yield name, lambda info=info: archive.open(info)  # type: ignore[misc]


class _Member(tarfile.TarInfo):
    """A tar header whose extension records are small: tarfile reads those into memory whole."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Member:
        member = super().frombuf(buf, encoding, errors)
        if member.type in _EXTENSION_TYPES and member.size > HEADER_BYTES:
            raise _TooLargeError(f"a member's header of {member.size:,} bytes")
        return member


_EXTENSION_TYPES = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


class _Capped:
    """A stream that ends with ``_TooLargeError`` rather than hand out more bytes than permitted."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self._left = limit

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise _TooLargeError(f"more than {self._limit:,} bytes unpacked")
        return data


def _tar_members(path: Path, limits: Limits) -> Iterator[Member | Finding]:
    with _decompressed(path, packed_tar=True) as stream:
        capped = cast(IO[bytes], _Capped(stream, limits.total_bytes))
        with tarfile.open(fileobj=capped, mode="r|", tarinfo=_Member) as archive:
            for member in archive:
                # tarfile remembers every member; a stream never goes back to them.
                archive.members = []  # type: ignore[attr-defined]
                if member.isdir():
                    continue
                name = _normal(member.name)
                if not member.isreg():
                    yield name, None
                elif member.size > limits.file_bytes:
                    yield _too_large(name, limits)
                else:
                    yield name, lambda member=member: _member_stream(archive, member)  # type: ignore[misc]


def _member_stream(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    stream = archive.extractfile(member)
    if stream is None:
        raise tarfile.ReadError(f"{member.name} is not a file")
    return stream


def _decompressed(path: Path, *, packed_tar: bool = False) -> IO[bytes]:
    suffix = path.suffix.lower()
    if suffix == ".gz" or (packed_tar and suffix == ".tgz"):
        return cast(IO[bytes], gzip.open(path, "rb"))
    if suffix == ".xz" or (packed_tar and suffix == ".txz"):
        return cast(IO[bytes], lzma.open(path, "rb"))
    if suffix == ".bz2" or (packed_tar and suffix == ".tbz2"):
        return cast(IO[bytes], bz2.open(path, "rb"))
    return path.open("rb")


def _content(name: str, stream: IO[bytes], limits: Limits) -> Item:
    parts: list[bytes] = []
    size = 0
    while chunk := stream.read(CHUNK_BYTES):
        size += len(chunk)
        if size > limits.file_bytes:
            return _too_large(name, limits)
        parts.append(chunk)
    return CatalogueFile(escaped(name), b"".join(parts))


def _normal(name: str) -> str:
    """An archive member's name without a leading ``./``."""
    return name.removeprefix("./")


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") and part not in (".", "..") for part in name.split("/"))


def _too_large(name: str, limits: Limits) -> Finding:
    return Finding("unparsable_file", escaped(name), 0, None, f"larger than {limits.file_bytes:,} bytes", refused=True)


def _unreadable(name: str, error: BaseException) -> Finding:
    reason = shown(str(error).strip("'\"")) or type(error).__name__
    return Finding("unparsable_file", escaped(name), 0, None, f"cannot be read: {reason}", refused=True)


def _unsafe(name: str, problem: str) -> Finding:
    return Finding("unsafe_path", escaped(name), 0, None, f"{problem}; it was not read", refused=True)


def _stopped(name: str, limit: _TooLargeError) -> Finding:
    detail = f"{limit}: the rest was not read; import it in parts"
    return Finding("catalogue_too_large", escaped(name), 0, None, detail, refused=True)
