"""Whatever bytes arrive: each record of a batch is admitted or quarantined once, and a refused batch leaves no trace.

Files of every dialect are damaged at random and taken through the gate into a lake. ``DAMAGE_SEED`` repeats a run,
``DAMAGE_EXAMPLES`` says how many files of each dialect are damaged.
"""

from __future__ import annotations

import io
import json
import os
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import cache, reduce
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, note, seed, settings
from hypothesis import strategies as st
from small_firm import COLUMNS, DAY, FORMATS, SYSTEM, FirmOf, SmallFirm, file_bytes, instance

SEED = int(os.environ.get("DAMAGE_SEED") or random.SystemRandom().randrange(2**32))
# So many damaged files that some get through, whatever the seed.
ENOUGH = 60
EXAMPLES = int(os.environ.get("DAMAGE_EXAMPLES", "60"))
# Files are taken in nights of several, each with records of its own: a night costs more than a file.
FILES_IN_A_NIGHT = 6
NIGHTS_IN_A_LAKE = 10

DATASET = "metric_instances"
TABLE = f"{SYSTEM}/{DATASET}"
NAMES = COLUMNS[SYSTEM, DATASET]
RECORDS = 24

Damage = Callable[[bytes], bytes]


def splice(start: float, length: int, inserted: bytes) -> Damage:
    """Replaces some bytes by others; no length inserts, nothing inserted deletes."""

    def damaged(content: bytes) -> bytes:
        at = int(start * len(content))
        return content[:at] + inserted + content[at + length :]

    return damaged


def flip(start: float, bit: int) -> Damage:
    def damaged(content: bytes) -> bytes:
        at = int(start * len(content))
        return content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :] if content else content

    return damaged


def apply(content: bytes, damage: Damage) -> bytes:
    return damage(content)


def truncate(start: float) -> Damage:
    return lambda content: content[: int(start * len(content))]


def duplicate(start: float, length: int) -> Damage:
    def damaged(content: bytes) -> bytes:
        at = int(start * len(content))
        return content[: at + length] + content[at:]

    return damaged


def swap(start: float, other: float, length: int) -> Damage:
    def damaged(content: bytes) -> bytes:
        first, second = sorted((int(start * len(content)), int(other * len(content))))
        size = min(length, second - first, len(content) - second)
        a, b = content[first : first + size], content[second : second + size]
        return content[:first] + b + content[first + size : second] + a + content[second + size :]

    return damaged


# Hypothesis likes small numbers: they are scattered over the whole file, or its beginning alone would be damaged.
places = st.integers(0, 99_999).map(lambda n: n * 61_803 % 100_000 / 100_000)
lengths = st.sampled_from([1, 2, 3, 4, 8, 20, 100, 512, 1024])
# What means something to one format or another, beside any bytes at all.
pieces = st.one_of(
    st.sampled_from(
        b'"|""|,|\\|{|}|[|]|},{|NaN|PAR1|\n|\r|\r\n|\n\n|"\n"|\0|\n\0|\r\0|\x80|\xff|\x810|\xff\xff\xff\x7f|\xef\xbb\xbf'.split(
            b"|"
        )
    ),
    st.binary(min_size=1, max_size=8),
)
damages = st.lists(
    st.one_of(
        st.builds(flip, places, st.integers(0, 7)),
        st.builds(splice, places, st.just(0), pieces),
        st.builds(splice, places, lengths, st.just(b"")),
        st.builds(splice, places, st.just(1), pieces),
        st.builds(truncate, places),
        st.builds(duplicate, places, lengths),
        st.builds(swap, places, places, lengths),
    ),
    min_size=1,
    max_size=4,
)


def records_of(number: int) -> list[dict[str, object]]:
    """The records of the file of that number in a night."""
    return [
        instance(ci=f"主机{number}-{n}", device=f'磁盘 "{n}", 一号' if n % 3 else None, sample_min=n * 0.37)
        for n in range(RECORDS)
    ]


@cache
def sound_files(delivers: str, number: int) -> tuple[bytes, ...]:
    """The same records as files, in the ways that the format can be written."""
    plain = file_bytes(FORMATS[delivers], NAMES, records_of(number))
    if FORMATS[delivers]["format"] == "csv":
        encoding = FORMATS[delivers].get("encoding", "utf-8")
        return plain, plain.decode(encoding).replace("\n", "\r\n").encode(encoding)
    if delivers != "parquet":
        return (plain,)
    plainly = {"compression": "none", "use_dictionary": False}
    return (
        plain,
        rewritten(plain, **plainly, row_group_size=7),
        rewritten(plain, **plainly, write_page_index=True, column_encoding={"ci": "DELTA_BYTE_ARRAY"}),
        rewritten(plain, compression="zstd", data_page_version="2.0", data_page_size=64),
    )


def rewritten(parquet: bytes, **way: Any) -> bytes:
    target = io.BytesIO()
    pq.write_table(pq.read_table(io.BytesIO(parquet)), target, **way)
    return target.getvalue()


class File(bytes):
    """A damaged file, which is shown by its size: it can be looked at where it lies."""

    def __repr__(self) -> str:
        return f"{len(self)} bytes"


def lines_of(delivers: str, content: bytes) -> list[str]:
    """The lines of a text file; what stands behind the last line end is one as well."""
    text = content.decode(FORMATS[delivers].get("encoding", "utf-8"))
    return text.split("\n")[: None if text[-1:] != "\n" else -1]


def records_in(delivers: str, content: bytes) -> int | None:
    """How many records a file holds, counted without the gate; None where that is not for sure."""
    match FORMATS[delivers]["format"]:
        case "csv":
            return len(lines_of(delivers, content)) - 1
        case "ndjson":
            return len(lines_of(delivers, content))
        case "json":
            try:
                return len(json.loads(content))
            except ValueError:  # Python is stricter about blanks
                return None
        case "sqlite":
            with sqlite3.connect(":memory:") as con:
                con.deserialize(content)
                return int(con.execute("SELECT count(*) FROM exported NOT INDEXED").fetchone()[0])
        case _:
            return None


def untouched_records(delivers: str, number: int, content: bytes) -> dict[int, str]:
    """CI by record number of the lines that are as they were; none where the header is damaged."""
    if FORMATS[delivers]["format"] not in {"csv", "ndjson"}:
        return {}
    header = int(FORMATS[delivers]["format"] == "csv")
    original: dict[str, str] = {}
    headers = set()
    for sound in sound_files(delivers, number):
        lines = lines_of(delivers, sound)
        headers |= set(lines[:header])
        records = zip(lines[header:], records_of(number), strict=True)
        original |= {line: str(record["ci"]) for line, record in records}
    lines = lines_of(delivers, content)
    if not headers.issuperset(lines[:header]):
        return {}
    return {n: original[line] for n, line in enumerate(lines[header:], start=1) if line in original}


def nights_of(new_firm: Callable[[], SmallFirm], delivers: str) -> Iterator[tuple[SmallFirm, date]]:
    """Nights of a lake in which something has been admitted and something quarantined; a new lake after some."""
    while True:
        firm = new_firm()
        firm.deliver(SYSTEM, DATASET, [instance(ci="first"), instance(ci=None)])
        firm.collect(SYSTEM, DAY, DATASET)
        for n in range(1, NIGHTS_IN_A_LAKE + 1):
            yield firm, DAY + timedelta(days=n)


def check_night(firm: SmallFirm, delivers: str, day: date, contents: list[File]) -> list[str]:
    """Take damaged files and a sound one through the gate, and look for every record; what was decided of each."""
    quarantine = f"{TABLE}_quarantine"
    tables = (TABLE, quarantine)
    before = [firm.lake.version(table) for table in tables]
    beside = [instance(ci=f"beside-{n}", sample_max=float(day.toordinal())) for n in (1, 2)]
    firm.deliver(SYSTEM, DATASET, beside, day, "beside")
    for number, content in enumerate(contents):
        firm.deliver(SYSTEM, DATASET, content, day, f"damaged-{number}")
    entries = {e["file_name"].rpartition("/")[2]: e for e in firm.collect(SYSTEM, day, DATASET)[DATASET]}
    note("\n".join(f"{name}: {e['decision']} {e['reason_code']} {e['reason']}" for name, e in entries.items()))
    assert len(entries) == len(contents) + 1
    assert (entries["beside"]["decision"], entries["beside"]["rows_admitted"]) == ("admitted", 2)
    admitted: dict[str, dict[int, str]] = {}
    for batch_id, number, ci in firm.rows(TABLE, "_batch_id, _record_no, ci_id", day):
        assert number not in admitted.setdefault(batch_id, {})
        admitted[batch_id][number] = ci
    quarantined: dict[str, list[int]] = {}
    for batch_id, number in firm.rows(quarantine, "_batch_id, _record_no", day):
        quarantined.setdefault(batch_id, []).append(number)
    for entry in entries.values():
        if entry["decision"] == "repeated":
            continue
        rows, held = admitted.pop(entry["batch_id"], {}), quarantined.pop(entry["batch_id"], [])
        assert (entry["rows_admitted"], entry["rows_quarantined"]) == (len(rows), len(held))
        if entry["decision"] == "refused":
            assert not rows
            assert not held
            assert entry["reason_code"]
            assert "\n" not in entry["reason"]
        else:
            assert sorted([*rows, *held]) == list(range(1, entry["rows_in"] + 1))
        entry["admitted"] = rows
    assert not admitted
    assert not quarantined
    # One version for each batch that brought something, none for those that were refused.
    written = [sum(entry[rows] > 0 for entry in entries.values()) for rows in ("rows_admitted", "rows_quarantined")]
    assert [firm.lake.version(table) for table in tables] == [v + n for v, n in zip(before, written, strict=True)]
    for number, content in enumerate(contents):
        entry = entries[f"damaged-{number}"]
        if entry["decision"] in {"admitted", "partial"}:
            assert records_in(delivers, content) in (None, entry["rows_in"])
            untouched = untouched_records(delivers, number, content)
            assert {n: entry["admitted"].get(n) for n in untouched} == untouched
    return [entry["reason_code"] or entry["decision"] for name, entry in entries.items() if name != "beside"]


@pytest.mark.parametrize("delivers", FORMATS)
def test_no_record_of_a_damaged_file_is_lost(
    projects: FirmOf, tmp_path_factory: pytest.TempPathFactory, delivers: str
) -> None:
    nights = nights_of(lambda: projects(delivers).at(tmp_path_factory.mktemp("home")), delivers)
    outcomes: Counter[str] = Counter()
    damaged = [
        st.tuples(st.sampled_from(sound_files(delivers, number)), damages).map(
            lambda f: File(reduce(apply, f[1], f[0]))
        )
        for number in range(FILES_IN_A_NIGHT)
    ]

    @seed(SEED)
    @settings(
        max_examples=-(-EXAMPLES // FILES_IN_A_NIGHT),
        deadline=None,
        # The seed repeats the whole run; making six files smaller until they fail no more would take longer.
        phases=[Phase.generate],
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def examine(data: st.DataObject) -> None:
        contents = [data.draw(file) for file in damaged]
        firm, day = next(nights)
        note(f"DAMAGE_SEED={SEED}; the damaged files lie in {firm.folder(SYSTEM, DATASET, day)}")
        outcomes.update(check_night(firm, delivers, day, contents))

    examine()
    print(f"DAMAGE_SEED={SEED} {delivers}: {dict(sorted(outcomes.items()))}")
    # Where nothing gets through, only refusing was tested; of a few files of one array that may be by chance.
    assert EXAMPLES < ENOUGH or outcomes["admitted"] + outcomes["partial"] > 0
