"""Whatever somebody or something does to the audit's files, verifying finds it."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from audit_cases import NOON, Home, decision
from audit_shell import change_log

from omgov_assets.access_control.audit_anchor import (
    AnchorKeyError,
    anchor_key,
    read_anchors,
    write_anchor,
)
from omgov_assets.access_control.audit_chain import FIELDS, GENESIS, ChainWalk, Decision, Entry, chained
from omgov_assets.access_control.audit_log import SCHEMA_VERSION, AuditUnavailableError

KEY = b"k" * 32
Fault = tuple[str, str, int | None]


def in_log(home: Home, *statements: str) -> None:
    """Change the log as somebody with a SQL shell would, who leaves it looking as before."""
    with closing(sqlite3.connect(home.audit / "audit.db", isolation_level=None)) as con:
        change_log(con, *statements)


def data_files(home: Home) -> list[Path]:
    return sorted((home.lake.root / "audit" / "access").rglob("*.parquet"))


def in_lake(home: Home, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    """Write the rows of the last data file anew, under its own name."""
    file = max(data_files(home), key=lambda path: pq.read_table(path, partitioning=None)["seq"][0].as_py())
    table = pq.read_table(file, partitioning=None)
    pq.write_table(pa.Table.from_pylist(change(table.to_pylist()), table.schema), file)


def swapped(rows: list[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    first, second = rows[1], rows[2]
    for name in names:
        first[name], second[name] = second[name], first[name]
    return rows


@pytest.fixture
def audited(home: Home) -> Home:
    """Ten entries in the lake, ten in the log."""
    home.record(0, 9)
    home.store(batch_entries=5)
    home.record(10, 19)
    assert home.verify().findings == ()
    return home


@pytest.mark.parametrize(
    ("statements", "faults"),
    [
        (["UPDATE entries SET content = replace(content, '-4', '-5') WHERE seq = 12"], [("log", "altered", 12)]),
        (["UPDATE entries SET hash = upper(hash) WHERE seq = 12"], [("log", "altered", 12), ("log", "replaced", 13)]),
        (["UPDATE entries SET content = 'no record' WHERE seq = 12"], [("log", "altered", 12), ("log", "altered", 12)]),
        (["DELETE FROM entries WHERE seq = 12"], [("log", "missing", 13)]),
        (["DELETE FROM entries WHERE seq IN (12, 13)"], [("log", "missing", 14)]),
        (["DELETE FROM entries WHERE seq = 11"], [("log", "missing", 12)]),
        (["DELETE FROM entries WHERE seq > 18"], [("head", "truncated", 20)]),
        (["DELETE FROM entries"], [("head", "truncated", 20)]),
        (
            [
                "UPDATE entries SET seq = 99 WHERE seq = 12",
                "UPDATE entries SET seq = 12 WHERE seq = 13",
                "UPDATE entries SET seq = 13 WHERE seq = 99",
            ],
            [("log", "altered", 12), ("log", "altered", 13), ("log", "replaced", 14)],
        ),
        (["UPDATE stored SET hash = 'x'"], [("lake", "replaced", 10), ("log", "replaced", 11)]),
        (["UPDATE stored SET seq = 9"], [("lake", "replaced", 9), ("log", "missing", 11)]),
        (["UPDATE stored SET seq = 12"], [("lake", "truncated", 10)]),
    ],
)
def test_what_is_done_to_the_log_is_found(audited: Home, statements: list[str], faults: list[Fault]) -> None:
    in_log(audited, *statements)
    found = audited.faults()
    assert [fault for fault in faults if fault not in found] == []


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        (lambda rows: [row | {"principal": "x"} if row["seq"] == 8 else row for row in rows], [("lake", "altered", 8)]),
        (lambda rows: [row for row in rows if row["seq"] != 8], [("lake", "missing", 9)]),
        (lambda rows: rows[1:], [("lake", "missing", 7)]),
        (lambda rows: rows[:-1], [("lake", "truncated", 9)]),
        (lambda rows: [*rows, rows[-1]], [("lake", "out_of_order", 10)]),
        (lambda rows: swapped(rows, "seq"), [("lake", "altered", 7)]),
        (lambda rows: swapped(rows, "seq", "previous_hash", "hash"), [("lake", "altered", 7)]),
        (lambda rows: swapped(rows, *FIELDS), [("lake", "altered", 7), ("lake", "altered", 8)]),
    ],
)
def test_what_is_done_to_the_lake_is_found(
    audited: Home, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]], faults: list[Fault]
) -> None:
    in_lake(audited, change)
    found = audited.faults()
    assert [fault for fault in faults if fault not in found] == []


@pytest.mark.parametrize("field", FIELDS)
def test_each_field_is_covered_by_the_hash(field: str) -> None:
    entry = chained(1, GENESIS, decision(0, purpose="planning").fields())
    fields = entry.fields
    fields[field] = (
        [*fields[field], "x"] if field == "columns" else fields[field] + 1 if field in {"version", "row_count"} else "x"
    )
    forged = replace(entry, content=chained(1, GENESIS, fields).content)
    walk = ChainWalk("lake")
    assert walk.step(entry) is None
    finding = ChainWalk("lake").step(forged)
    assert finding is not None
    assert finding.fault == "altered"


def test_an_entry_moved_to_another_day_is_found(audited: Home) -> None:
    folder = audited.lake.root / "audit" / "access"
    commit = folder / "_delta_log" / f"{1:020d}.json"
    commit.write_text(commit.read_text().replace("2026-11-20", "2026-11-21"))
    (moved,) = [file for file in data_files(audited) if file.name in commit.read_text()]
    (folder / "day=2026-11-21").mkdir()
    moved.rename(folder / "day=2026-11-21" / moved.name)
    assert audited.faults() == [("lake", "altered", seq) for seq in range(1, 6)]


def test_a_commit_taken_out_of_the_lake_is_found(audited: Home) -> None:
    last = max((audited.lake.root / "audit" / "access" / "_delta_log").glob("*.json"))
    last.unlink()
    assert ("lake", "truncated", 5) in audited.faults()


def test_a_chain_that_was_cut_everywhere_is_found_by_an_anchor(audited: Home) -> None:
    head = audited.verify()
    in_log(audited, "DELETE FROM entries WHERE seq > 15")
    (audited.audit / "head").unlink()
    assert audited.faults() == [], "nothing in the home tells"
    assert audited.faults({head.seq: head.hash}) == [("anchor", "truncated", 20)]


def test_a_home_of_which_the_audit_was_deleted_is_found_by_an_anchor(audited: Home) -> None:
    head = audited.verify()
    shutil.rmtree(audited.audit)
    shutil.rmtree(audited.lake.root)
    assert audited.faults() == []
    assert audited.faults({head.seq: head.hash}) == [("anchor", "truncated", 20)]


def test_a_chain_that_was_written_anew_is_found_by_an_anchor(audited: Home) -> None:
    entries, head = audited.entries(), audited.verify()
    shutil.rmtree(audited.audit)
    shutil.rmtree(audited.lake.root)
    with audited.log() as log:
        for entry in entries:
            at = decision(0).at if entry.seq != 7 else NOON
            log.record(decision(entry.seq, at))
    assert audited.faults() == []
    assert audited.faults({head.seq: head.hash}) == [("anchor", "replaced", 20)]


# Bytes of a SQLite file that say how to read the rest: its versions, encoding and sizes.
SQLITE_HEADER = 100


def flips(path: Path, count: int, drawn: random.Random, header: int = 0) -> Iterator[tuple[int, int]]:
    """Positions and bits to flip: one bit of each byte of the header, and of so many bytes of the rest."""
    rest = range(header, path.stat().st_size)
    for position in [*range(header), *(rest if len(rest) <= count else sorted(drawn.sample(rest, count)))]:
        yield position, drawn.randrange(8)


def assert_found_or_harmless(
    home: Home, path: Path, count: int, expected: list[Entry], head: dict[int, str], header: int = 0
) -> int:
    """Flip a bit, many times: either it is found, or every entry is still read as it was written."""
    seed = random.SystemRandom().randrange(1_000_000)
    print(f"{path.name}: positions drawn with seed {seed}")
    drawn = random.Random(seed)  # noqa: S311 - draws what to damage
    content, found = path.read_bytes(), 0
    for position, bit in flips(path, count, drawn, header):
        damaged = bytearray(content)
        damaged[position] ^= 1 << bit
        path.write_bytes(damaged)
        if home.verify(head).findings:
            found += 1
        else:
            try:
                assert home.entries() == expected
            except (AssertionError, AuditUnavailableError) as error:
                raise AssertionError(f"bit {bit} of byte {position} of {path} is not found, and harms") from error
            home_again(home)
        path.write_bytes(content)
        home_again(home)
    return found


def home_again(home: Home) -> None:
    for name in ("audit.db-wal", "audit.db-shm"):
        (home.audit / name).unlink(missing_ok=True)


def test_a_log_of_another_version_is_found(audited: Home) -> None:
    """Nothing could be recorded in it."""
    with closing(sqlite3.connect(audited.audit / "audit.db")) as con:
        con.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 8}")
    (finding,) = audited.verify().findings
    assert (finding.place, finding.fault) == ("log", "unreadable")
    assert f"version {SCHEMA_VERSION + 8}" in finding.explanation


@pytest.mark.slow
@pytest.mark.parametrize("which", ["log", "data", "commit", "head"])
def test_a_flipped_bit_is_found_or_harmless(audited: Home, which: str) -> None:
    expected, head = audited.entries(), audited.verify()
    path = {
        "log": audited.audit / "audit.db",
        "data": data_files(audited)[0],
        "commit": max((audited.lake.root / "audit" / "access" / "_delta_log").glob("*.json")),
        "head": audited.audit / "head",
    }[which]
    header = SQLITE_HEADER if which == "log" else 0
    found = assert_found_or_harmless(audited, path, 150 - header, expected, {head.seq: head.hash}, header)
    assert found > 10


def test_a_flipped_bit_in_what_a_crash_left_is_found_or_harmless(home: Home, tmp_path: Path) -> None:
    """SQLite drops what follows a damaged frame of its WAL without a word."""
    with home.log() as log:
        for number in range(20):
            log.record(decision(number))
        crashed = tmp_path / "crashed"
        shutil.copytree(home.audit, crashed)
        expected = log.entries()
    seed = random.SystemRandom().randrange(1_000_000)
    print(f"positions drawn with seed {seed}")
    drawn = random.Random(seed)  # noqa: S311 - draws what to damage
    found = 0
    wal = crashed / "audit.db-wal"
    for position, bit in flips(wal, 200, drawn):
        shutil.rmtree(home.audit)
        shutil.copytree(crashed, home.audit)
        (home.audit / "audit.db-shm").unlink()
        damaged = bytearray(wal.read_bytes())
        damaged[position] ^= 1 << bit
        (home.audit / "audit.db-wal").write_bytes(damaged)
        if home.verify().findings:
            found += 1
        else:
            assert home.entries() == expected
    assert found > 100


def test_a_log_without_what_keeps_its_entries_is_found(home: Home) -> None:
    with home.log() as log:
        log.record(decision(1))
    assert home.faults() == []
    with closing(sqlite3.connect(home.audit / "audit.db")) as con:
        con.execute("DROP TRIGGER an_entry_never_changes")
    assert home.faults() == [("log", "altered", None)]


def test_a_cut_off_file_is_found(audited: Home) -> None:
    for path in (audited.audit / "audit.db", data_files(audited)[0]):
        content = path.read_bytes()
        os.truncate(path, len(content) // 2)
        assert audited.faults()
        path.write_bytes(content)
    assert audited.faults() == []


def test_verifying_writes_nothing(audited: Home) -> None:
    def files() -> dict[str, bytes]:
        kept = (path for path in audited.settings.home.rglob("*") if path.is_file() and "tmp" not in path.parts)
        return {str(path): path.read_bytes() for path in kept if not path.name.endswith(("-shm", "-wal"))}

    before = files()
    audited.verify()
    assert files() == before


def test_an_anchor_holds_the_head_and_only_a_signed_one_counts(tmp_path: Path) -> None:
    path = tmp_path / "elsewhere" / "anchors"
    hashes = [chained(seq, GENESIS, decision(seq).fields()).hash for seq in range(3)]
    for seq, hashed in enumerate(hashes):
        write_anchor(path, seq, hashed, NOON, KEY)
    assert read_anchors(path, KEY).known == dict(enumerate(hashes))
    assert read_anchors(path, KEY).findings == ()
    assert [found.fault for found in read_anchors(path, b"x" * 32).findings] == ["forged"] * 3

    text = path.read_text()
    path.write_text(text.replace('"seq": 1', '"seq": 7') + '{"seq": 3, "ha')
    write_anchor(path, 4, hashes[0], NOON, KEY)
    read = read_anchors(path, KEY)
    assert dict(read.known) == {0: hashes[0], 2: hashes[2], 4: hashes[0]}
    assert [found.fault for found in read.findings] == ["forged", "unreadable"]

    write_anchor(path, 4, hashes[1], NOON, KEY)
    assert read_anchors(path, KEY).findings[-1].fault == "replaced"


def test_every_flipped_bit_of_an_anchor_file_is_found_or_harmless(tmp_path: Path) -> None:
    path = tmp_path / "anchors"
    hashed = chained(1, GENESIS, decision(1).fields()).hash
    write_anchor(path, 1, hashed, NOON, KEY)
    content = path.read_bytes()
    for position in range(len(content)):
        for bit in range(8):
            damaged = bytearray(content)
            damaged[position] ^= 1 << bit
            path.write_bytes(damaged)
            read = read_anchors(path, KEY)
            assert read.findings or read.known == {1: hashed}


@pytest.mark.parametrize("environment", [{}, {"OMGOV_AUDIT_KEY": ""}, {"OMGOV_AUDIT_KEY": "short"}])
def test_anchors_are_signed_by_a_key_of_some_length(environment: dict[str, str]) -> None:
    with pytest.raises(AnchorKeyError, match="OMGOV_AUDIT_KEY"):
        anchor_key(environment)


def test_a_denial_keeps_who_asked_for_what() -> None:
    denied: Decision = decision(0).denied("because")
    assert (denied.principal, denied.dataset, denied.columns, denied.row_count) == (
        "consumer-0", "quality/anomalies", (), None,
    )  # fmt: skip
