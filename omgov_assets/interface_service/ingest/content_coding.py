"""Undoing the ``Content-Encoding`` of a body as it comes, in bounded memory however much is packed into how little.

Belongs here: ``gzip`` (RFC 1952, of several members as well) and ``zstd`` (RFC 8878, of several frames; windows up to 8
MiB, as RFC 9659 has it for HTTP). Does not belong here: how much may be unpacked, which whoever takes it decides block
by block.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

import zstandard

CODINGS = ("gzip", "zstd")
_BLOCK_BYTES = 1 << 20
_GZIP = 16 + zlib.MAX_WBITS
_LARGEST_WINDOW = 8 << 20
# What is left behind a member or a block is copied: of a million small members not a megabyte each time.
_GZIP_SLICE_BYTES = 16 << 10
# Four bytes of zstd can stand for 128 KiB, and what a slice stands for comes in one piece: 16 MiB at most.
_ZSTD_SLICE_BYTES = 512


class ContentCodingError(Exception):
    """A body that is not what its ``Content-Encoding`` says; says why."""


class Unpacking(Protocol):
    """Unpacks a body piece by piece."""

    def feed(self, packed: bytes) -> Iterator[bytes]:
        """What further bytes of the body unpack to, block by block. Raises ``ContentCodingError``."""

    def close(self) -> None:
        """The body is at its end. Raises ``ContentCodingError`` where it is cut off."""


def unpacking(coding: str | None) -> Unpacking:
    """What undoes a coding out of ``CODINGS``, or none where None."""
    match coding:
        case None:
            return _Nothing()
        case "gzip":
            return _Gzip()
        case "zstd":
            return _Zstd()
    raise ValueError(f"{coding} is none of {CODINGS}")


class _Nothing:
    def feed(self, packed: bytes) -> Iterator[bytes]:
        yield packed

    def close(self) -> None:
        return


class _Gzip:
    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)
        self._is_fresh, self._is_padding = True, False

    def feed(self, packed: bytes) -> Iterator[bytes]:
        for start in range(0, len(packed), _GZIP_SLICE_BYTES):
            yield from self._feed(packed[start : start + _GZIP_SLICE_BYTES])

    def _feed(self, packed: bytes) -> Iterator[bytes]:
        while packed:
            if self._member.eof:
                # As gzip itself does: zeros behind the last member are padding.
                self._is_padding = self._is_padding or packed[:1] == b"\0"
                if self._is_padding:
                    if packed.strip(b"\0"):
                        raise ContentCodingError("the gzip body has bytes behind its end")
                    return
                self._member, self._is_fresh = zlib.decompressobj(_GZIP), True
            try:
                block = self._member.decompress(packed, _BLOCK_BYTES)
            except zlib.error as error:
                raise ContentCodingError(f"the body is no sound gzip ({error})") from error
            self._is_fresh = False
            packed = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            if block:
                yield block

    def close(self) -> None:
        if self._is_fresh or not self._member.eof:
            raise ContentCodingError("the gzip body is cut off")


class _Zstd:
    def __init__(self) -> None:
        decompressor = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW)
        self._begin: Callable[[], zstandard.ZstdDecompressionObj] = decompressor.decompressobj
        self._frame = self._begin()
        self._is_fresh = True

    def feed(self, packed: bytes) -> Iterator[bytes]:
        for start in range(0, len(packed), _ZSTD_SLICE_BYTES):
            piece = packed[start : start + _ZSTD_SLICE_BYTES]
            while piece:
                if self._frame.eof:
                    self._frame = self._begin()
                try:
                    block = self._frame.decompress(piece)
                except zstandard.ZstdError as error:
                    raise ContentCodingError(
                        f"the body is no sound zstd with a window up to 8 MiB ({error})"
                    ) from error
                self._is_fresh = False
                piece = self._frame.unused_data if self._frame.eof else b""
                if block:
                    yield block

    def close(self) -> None:
        if self._is_fresh or not self._frame.eof:
            raise ContentCodingError("the zstd body is cut off")
