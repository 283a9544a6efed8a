"""Packed bodies are unpacked whole, in bounded memory, or said to be broken; never in part."""

from __future__ import annotations

import gzip
import random
import zlib
from collections.abc import Callable

import pytest
import zstandard

from omgov_assets.interface_service.ingest.content_coding import ContentCodingError, unpacking

CONTENT = b"".join(b"cpu,H%d,%d\n" % (number * 7919 % 1009, number) for number in range(60_000))
PACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": zstandard.ZstdCompressor().compress}
EACH = pytest.mark.parametrize("coding", sorted(PACK))
# What one block may take; a bomb must not come in one piece.
LARGEST_BLOCK = 16 << 20


def unpacked(coding: str | None, body: bytes, piece: int = 1 << 16) -> bytes:
    unpack = unpacking(coding)
    blocks = []
    for start in range(0, len(body), piece):
        for block in unpack.feed(body[start : start + piece]):
            assert 0 < len(block) <= LARGEST_BLOCK
            blocks.append(block)
    unpack.close()
    return b"".join(blocks)


def test_a_body_that_is_not_packed_stays_as_it_is() -> None:
    assert unpacked(None, CONTENT) == CONTENT


@EACH
@pytest.mark.parametrize("piece", [1, 997, 1 << 20])
def test_a_packed_body_is_unpacked_however_it_is_cut(coding: str, piece: int) -> None:
    content = CONTENT[:3_000] if piece == 1 else CONTENT
    assert unpacked(coding, PACK[coding](content), piece) == content


@EACH
def test_members_one_behind_the_other_are_one_body(coding: str) -> None:
    parts = [CONTENT[:1_000], b"", CONTENT[1_000:5_000], CONTENT[5_000:]]
    assert unpacked(coding, b"".join(map(PACK[coding], parts))) == CONTENT


def test_zeros_behind_gzip_are_padding_and_nothing_else_is() -> None:
    body = gzip.compress(CONTENT)
    assert unpacked("gzip", body + bytes(5_000), 1_024) == CONTENT
    for more in (b"\0\0x", b"more", gzip.compress(CONTENT)[:9]):
        with pytest.raises(ContentCodingError):
            unpacked("gzip", body + more)


@EACH
def test_no_body_that_is_cut_off_is_taken_for_whole(coding: str) -> None:
    body = PACK[coding](CONTENT)
    drawn = random.Random(7)  # noqa: S311 - drawn the same every time
    for length in (0, 1, 5, len(body) - 1, *(drawn.randrange(len(body)) for _ in range(20))):
        with pytest.raises(ContentCodingError):
            unpacked(coding, body[:length])


@EACH
def test_a_body_of_something_else_is_broken(coding: str) -> None:
    with pytest.raises(ContentCodingError):
        unpacked(coding, CONTENT)


def test_a_byte_that_changed_on_the_way_is_found_by_gzip() -> None:
    body = bytearray(gzip.compress(CONTENT))
    body[-6] ^= 1
    with pytest.raises(ContentCodingError):
        unpacked("gzip", bytes(body))


@EACH
def test_a_bomb_comes_in_blocks(coding: str) -> None:
    pack = zlib.compressobj(9, zlib.DEFLATED, 31) if coding == "gzip" else zstandard.ZstdCompressor(3).compressobj()
    zeros = bytes(16 << 20)
    body = b"".join([*(pack.compress(zeros) for _ in range(16)), pack.flush()])
    unpack = unpacking(coding)
    assert sum(len(block) for block in unpack.feed(body) if len(block) <= LARGEST_BLOCK) == 256 << 20
    unpack.close()


def test_a_window_beyond_what_http_allows_is_refused() -> None:
    wide = zstandard.ZstdCompressionParameters(window_log=25)
    pack = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    with pytest.raises(ContentCodingError, match="8 MiB"):
        unpacked("zstd", pack.compress(CONTENT) + pack.flush())
