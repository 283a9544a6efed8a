"""Canaries: texts that stand for personal data, and the search for them in whatever a night has written.

A canary is looked for by parts of it, in every form that software is apt to give a text: other encodings, escapes,
base64, hex; and in files as they lie there, unpacked, and by their values (Parquet, SQLite, DuckDB).
"""

from __future__ import annotations

import base64
import bz2
import contextlib
import gzip
import hashlib
import io
import json
import lzma
import sqlite3
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

# Letters that stand in no word, so that nothing but a canary holds them in a row.
_LETTERS = "qxzjkvwh"
_PART = 8

PHONE_FORMS = ("plain", "spaced", "dashed", "prefixed", "wide")


@dataclass(frozen=True)
class Canary:
    """A person of a place in the delivery: mail address and telephone number, told by the name of the place alone."""

    place: str

    @cached_property
    def _digest(self) -> bytes:
        return hashlib.sha256(self.place.encode()).digest()

    @cached_property
    def secret(self) -> str:
        """What stands before the @: letters and a digit here and there."""
        letters = "".join(_LETTERS[byte % 8] for byte in self._digest[:13])
        return f"{letters[:6]}{self._digest[13] % 10}{letters[6:]}"

    @property
    def email(self) -> str:
        return f"{self.secret}@example.com"

    @cached_property
    def digits(self) -> str:
        """A mobile number of mainland China."""
        return f"1{3 + self._digest[14] % 7}{int.from_bytes(self._digest[15:20], 'big') % 10**9:09d}"

    def phone(self, form: str = "plain") -> str:
        """The telephone number as people write it."""
        a, b, c = self.digits[:3], self.digits[3:7], self.digits[7:]
        return {
            "plain": self.digits,
            "spaced": f"+86 {a} {b} {c}",
            "dashed": f"{a}-{b}-{c}",
            "prefixed": f"+86{self.digits}",
            "wide": self.digits.translate({ord(str(n)): chr(0xFF10 + n) for n in range(10)}),
        }[form]

    @cached_property
    def parts(self) -> list[str]:
        """Texts of which none may be found: each is long enough to stand nowhere by chance."""
        a, b, c = self.digits[:3], self.digits[3:7], self.digits[7:]
        # Ten digits: eight of them would stand in some hash by chance.
        numbers = [self.digits[1:], f"{b} {c}", f"{b}-{c}", f"{a[0]}.{a[1:]}{b}{c[0]}", self.phone("wide")[1:]]
        return [self.secret[:_PART], self.secret[-_PART:], *numbers]


def needles_of(canaries: Iterable[Canary]) -> dict[bytes, str]:
    """What to look for in bytes, by the place whose canary it is."""
    found: dict[bytes, str] = {}
    for canary in canaries:
        number = int(canary.digits)
        forms = {struct.pack("<q", number), struct.pack("<d", number)}
        for part in canary.parts:
            forms |= _forms(part)
        for text in (canary.secret, *(canary.phone(form) for form in PHONE_FORMS)):
            forms |= _base64(text)
        found |= dict.fromkeys(forms, canary.place)
    return found


def _forms(text: str) -> set[bytes]:
    utf8 = text.encode()
    forms = {utf8, text.encode("utf-16-le"), text.encode("utf-16-be"), text.encode("gb18030")}
    forms |= {text.upper().encode(), utf8.hex().encode(), utf8.hex().upper().encode()}
    return forms | {quote(text).encode(), json.dumps(text)[1:-1].encode()}


def _base64(text: str) -> set[bytes]:
    utf8, forms = text.encode(), set()
    for shift in range(3):
        # A text begins at any of three places of base64's groups; its first and last characters depend on the others.
        coded = base64.b64encode(b"\0" * shift + utf8)
        whole = coded[4 if shift else 0 : len(coded) // 4 * 4 - 4]
        if len(whole) >= _PART:
            forms |= {whole, whole.translate(bytes.maketrans(b"+/", b"-_"))}
    return forms


class Search:
    """Looks for canaries in bytes."""

    def __init__(self, canaries: Iterable[Canary]) -> None:
        self._needles: dict[bytes, list[tuple[bytes, str]]] = {}
        for needle, place in needles_of(canaries).items():
            self._needles.setdefault(needle[:_PART], []).append((needle, place))
        self._begins = np.zeros(1 << 24, bool)
        for begin in self._needles:
            self._begins[int.from_bytes(begin[:3], "big")] = True

    def places_in(self, content: bytes) -> set[str]:
        """Places whose canaries stand in some bytes."""
        if len(content) < _PART:
            return set()
        found = set()
        characters = np.frombuffer(content, np.uint8).astype(np.uint32)
        # A regular expression of some thousand needles would take minutes: their first three bytes are looked up.
        begins = (characters[:-2] << 16) | (characters[1:-1] << 8) | characters[2:]
        for place in np.flatnonzero(self._begins[begins]).tolist():
            for needle, name in self._needles.get(content[place : place + _PART], ()):
                if content.startswith(needle, place):
                    found.add(name)
        return found

    def places_in_text(self, text: str) -> set[str]:
        """Places whose canaries stand in a text."""
        return self.places_in(text.encode("utf-8", "surrogatepass"))

    def places_in_file(self, path: Path) -> set[str]:
        """Places whose canaries stand in a file: its bytes, what is packed in it, its values."""
        content = path.read_bytes()
        found = self.places_in(content)
        for text in _unpacked(content):
            found |= self.places_in(text)
        for text in _values(path, content):
            found |= self.places_in(text)
        return found


def _unpacked(content: bytes) -> Iterator[bytes]:
    """The contents of a file that is packed as a whole, as far as one can tell by its first bytes."""
    openers = {
        b"\x1f\x8b": gzip.decompress,
        b"BZh": bz2.decompress,
        b"\xfd7zXZ": lzma.decompress,
        b"x\x9c": zlib.decompress,
        b"\x28\xb5\x2f\xfd": lambda data: pa.input_stream(io.BytesIO(data), compression="zstd").read(),
        b"\x04\x22\x4d\x18": lambda data: pa.input_stream(io.BytesIO(data), compression="lz4").read(),
    }
    for mark, opener in openers.items():
        if content.startswith(mark):
            yield opener(content)
    if content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                yield name.encode() + b"\n" + archive.read(name)


def _values(path: Path, content: bytes) -> Iterator[bytes]:
    """The values of a file that holds tables, as text; pages and compression come between them and their bytes."""
    if content.startswith(b"PAR1"):
        file = pq.ParquetFile(io.BytesIO(content))
        yield json.dumps(file.read().to_pylist(), ensure_ascii=False, default=str).encode("utf-8", "surrogatepass")
        yield str(file.schema_arrow.metadata).encode()
        for group in range(file.metadata.num_row_groups):
            for column in range(file.metadata.num_columns):
                statistics = file.metadata.row_group(group).column(column).statistics
                if statistics is not None and statistics.has_min_max:
                    yield f"{statistics.min!r} {statistics.max!r}".encode()
    elif content.startswith(b"SQLite format 3\x00"):
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as con:
            con.text_factory = bytes
            names = [name for (name,) in con.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for name in names:
                for row in con.execute(f'SELECT * FROM "{name.decode()}"'):
                    for value in row:
                        if isinstance(value, bytes):
                            yield value
                            with contextlib.suppress(zlib.error):
                                yield zlib.decompress(value)
    elif content[8:12] == b"DUCK":
        with duckdb.connect(str(path), read_only=True) as con:
            for (name,) in con.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal").fetchall():
                yield repr(con.table(name).fetchall()).encode()
            yield repr(con.execute("SELECT sql FROM duckdb_views() WHERE NOT internal").fetchall()).encode()
