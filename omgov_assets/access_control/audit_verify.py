"""Verifying the audit: whether the chain in lake and log is whole, and still the one that was anchored.

Belongs here: finding what was altered, taken out, put in, moved or cut off, whatever the damage does to the files. Does
not belong here: making anchors (``audit_anchor``).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from omgov_assets.access_control.audit_chain import GENESIS, ChainWalk, Entry, Finding, content_of
from omgov_assets.access_control.audit_lake import AUDIT, entries_in_lake, storing
from omgov_assets.access_control.audit_log import SCHEMA, SCHEMA_VERSION, Stored, head_path, log_path
from omgov_assets.data_lake.lake import Lake

# One damaged file can break every entry after it: what more there is to say helps nobody.
MOST_FINDINGS = 100


@dataclass(frozen=True)
class Verification:
    """What verifying found.

    Attributes:
        in_lake: entries read from the lake.
        in_log: entries read from the log.
        seq: number of the last entry.
        hash: its hash.
        findings: faults, at most 100; none where the chain is whole.
    """

    in_lake: int
    in_log: int
    seq: int
    hash: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class _Log:
    stored: Stored
    entries: tuple[tuple[int, bytes, bytes, bytes], ...]


def verify(lake: Lake, folder: Path, anchored: Mapping[int, str] | None = None) -> Verification:
    """Go along the whole chain. Decisions may be recorded meanwhile; nothing is written.

    Args:
        lake: the home's lake.
        folder: ``OMGOV_HOME/audit``.
        anchored: hash by number of entry, as written elsewhere, signatures checked.
    """
    findings: list[Finding] = []
    anchored = anchored or {}
    with storing(lake):
        # Before the log is read, or it would be ahead of it.
        head = _head(folder, findings)
        log = _read_log(lake, folder, findings)
        stored = log.stored if log else None
        wanted = {*anchored, *([head[0]] if head else ()), *([stored.seq] if stored else ())}
        in_lake = _walk_lake(lake, wanted, findings)
    in_log = ChainWalk("log", *((stored.seq, stored.hash) if stored else (in_lake.seq, in_lake.hash)),
                       wanted={*wanted, in_lake.seq})  # fmt: skip
    if log is not None:
        findings += _judge_stored(log.stored, in_lake)
        findings += filter(None, map(in_log.step, _decoded(log, findings)))
        findings += _judge_overlap(log.stored, in_lake, in_log)
    last = max((in_lake, in_log), key=lambda walk: walk.seq)
    seen = in_lake.hashes | in_log.hashes
    if head is not None:
        findings += _judge_known("head", head[0], head[1], last.seq, seen)
    for seq, hashed in sorted(anchored.items()):
        findings += _judge_known("anchor", seq, hashed, last.seq, seen)
    return Verification(in_lake.walked, in_log.walked, last.seq, last.hash, tuple(findings[:MOST_FINDINGS]))


def _walk_lake(lake: Lake, wanted: Iterable[int], findings: list[Finding]) -> ChainWalk:
    walk = ChainWalk("lake", wanted=wanted)
    try:
        for day, entry in entries_in_lake(lake) if lake.version(AUDIT) is not None else ():
            finding = walk.step(entry)
            if finding is None and day != entry.day:
                finding = Finding("lake", entry.seq, "altered", f"entry {entry.seq} lies in the partition of {day}")
            if finding is not None:
                findings.append(finding)
            if len(findings) >= MOST_FINDINGS:
                break
    except Exception as error:  # whatever a damaged file makes Delta, Parquet and DuckDB raise is what is looked for
        said = f"{AUDIT} cannot be read after entry {walk.seq}: {type(error).__name__}: {str(error)[:200]}"
        findings.append(Finding("lake", None, "unreadable", said))
    return walk


def _read_log(lake: Lake, folder: Path, findings: list[Finding]) -> _Log | None:
    """What the log's file says, texts as they are on disk; a damaged one may hold anything."""
    path = log_path(folder)
    if not path.is_file():
        if lake.root.joinpath(AUDIT).is_dir():
            findings.append(Finding("log", None, "missing", f"{path} is gone: what was not in the lake yet is lost"))
        return None
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)) as con:
            con.text_factory = bytes
            con.execute("BEGIN")
            faults = [text for (text,) in con.execute("PRAGMA integrity_check(3)") if text != b"ok"]
            if faults:
                findings.append(Finding("log", None, "unreadable", f"{path} is damaged: {_text(b'; '.join(faults))}"))
            ((version,),) = con.execute("PRAGMA user_version").fetchall()
            if version != SCHEMA_VERSION:
                said = f"{path} says that it is of version {version}, this omgov knows {SCHEMA_VERSION}"
                findings.append(Finding("log", None, "unreadable", said))
            if list(con.execute(_MAKING)) != _made_by_schema():
                said = f"tables or triggers of {path} are not those that it was made with"
                findings.append(Finding("log", None, "altered", said))
            ((seq, hashed, version),) = con.execute("SELECT seq, hash, lake_version FROM stored").fetchall()
            rows = con.execute("SELECT seq, previous_hash, content, hash FROM entries ORDER BY seq").fetchall()
            # A damaged index or page may leave rows out that another way of reading still finds.
            ((counted,),) = con.execute("SELECT count(*) FROM entries NOT INDEXED").fetchall()
    except (sqlite3.Error, ValueError) as error:
        findings.append(Finding("log", None, "unreadable", f"{path} cannot be read: {error}"))
        return None
    if counted != len(rows):
        findings.append(Finding("log", None, "unreadable", f"{path} says now {counted} entries, now {len(rows)}"))
    return _Log(Stored(int(seq), _text(hashed), version), tuple(rows))


# What tables and triggers a file was made with, as bytes where texts are read as such.
_MAKING = "SELECT CAST(name AS BLOB), CAST(sql AS BLOB) FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name"


@cache
def _made_by_schema() -> list[tuple[bytes, bytes]]:
    """The same of a new file: without its triggers, entries of the audit could be changed."""
    with closing(sqlite3.connect(":memory:")) as con:
        con.executescript(SCHEMA)
        return list(con.execute(_MAKING))


def _decoded(log: _Log, findings: list[Finding]) -> Iterator[Entry]:
    for seq, previous, content, hashed in log.entries:
        entry = Entry(seq, _text(previous), _text(content), _text(hashed))
        try:
            is_canonical = content_of(entry.fields) == entry.content
        except (ValueError, KeyError, TypeError):
            is_canonical = False
        if not is_canonical:
            findings.append(Finding("log", seq, "altered", f"entry {seq} is no record of a decision"))
        yield entry


def _judge_stored(stored: Stored, in_lake: ChainWalk) -> Iterator[Finding]:
    """Whether the lake holds what the log says that it does."""
    if stored.seq > in_lake.seq:
        said = f"the lake ends at entry {in_lake.seq}, and held entries up to {stored.seq}"
        yield Finding("lake", in_lake.seq, "truncated", said)
    elif in_lake.hashes.get(stored.seq, GENESIS if not stored.seq else None) != stored.hash:
        said = f"entry {stored.seq} in the lake is not the one that was moved there"
        yield Finding("lake", stored.seq, "replaced", said)


def _judge_overlap(stored: Stored, in_lake: ChainWalk, in_log: ChainWalk) -> Iterator[Finding]:
    """Where a move was interrupted, the lake holds entries that the log holds as well."""
    if in_lake.seq <= stored.seq:
        return
    if in_lake.seq > in_log.seq:
        said = f"the log ends at entry {in_log.seq}, and the lake has entry {in_lake.seq} from it"
        yield Finding("log", in_log.seq, "truncated", said)
    elif in_log.hashes.get(in_lake.seq) != in_lake.hash:
        said = f"entry {in_lake.seq} is another one in the lake than in the log"
        yield Finding("lake", in_lake.seq, "replaced", said)


def _judge_known(place: str, seq: int, hashed: str, last_seq: int, seen: Mapping[int, str]) -> Iterator[Finding]:
    """Whether an entry that was known elsewhere is still there, and the same."""
    if seq > last_seq:
        said = f"the chain ends at entry {last_seq}, and entry {seq} was known"
        yield Finding(place, seq, "truncated", said)
    elif seen.get(seq) != hashed:
        yield Finding(place, seq, "replaced", f"entry {seq} is not the one that was known: the chain was written anew")


def _head(folder: Path, findings: list[Finding]) -> tuple[int, str] | None:
    path = head_path(folder)
    text = path.read_bytes().strip(b" \0\n") if path.is_file() else b""
    if not text:
        return None
    number, _, hashed = _text(text).partition(" ")
    if not number.isdecimal() or not number.isascii():
        findings.append(Finding("head", None, "unreadable", f"{path} says no number of an entry"))
        return None
    return int(number), hashed


def _text(raw: object) -> str:
    """Text of a file that may hold any bytes: bytes that are no UTF-8 stay distinct."""
    return raw.decode("utf-8", "surrogateescape") if isinstance(raw, bytes) else str(raw)
