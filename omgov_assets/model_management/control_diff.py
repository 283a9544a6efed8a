"""What changed in the published control information between two days.

Belongs here: what identifies a row of each ``control/*`` table, and comparing two days of it. Where a rule stands
among the others counts only as far as it passed others: a rule put in front of a thousand is one change. Does not
belong here: publishing (``control``), judging a change of a contract (``contract_changes``).
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Literal

import duckdb

from omgov_assets.data_lake.lake import Lake
from omgov_assets.model_management.documents import content_hash

POSITION = "position"

Row = Mapping[str, Any]
Key = tuple[Any, ...]


@dataclass(frozen=True)
class ControlTable:
    """How the rows of a table are compared.

    Attributes:
        name: its name below ``control/``.
        key: columns that identify a row over the days.
        told: column that says in short what an added or removed row is.
        ignored: columns that say where a row comes from, or hash more than the row.
        within: where order counts, the columns within which ``position`` orders the rows.
        document: column whose value is JSON and is compared part by part.
    """

    name: str
    key: tuple[str, ...]
    told: str
    ignored: frozenset[str]
    within: tuple[str, ...] | None = None
    document: str | None = None

    @property
    def table(self) -> str:
        """Name of the table in the lake."""
        return f"control/{self.name}"


@dataclass(frozen=True)
class Difference:
    """One field of one row that is not what it was.

    Attributes:
        table: name of the table below ``control/``.
        key: the row's key as one text.
        change: whether the row is new, gone, or changed.
        field: the column, or the part of its document; of an added or removed row what tells most of it.
        before: value on the first day.
        after: value on the second day.
    """

    table: str
    key: str
    change: Literal["added", "removed", "changed"]
    field: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Publication:
    """A table of a day against the day on which it was published before.

    Attributes:
        rows: number of its rows.
        content_hash: hash of what the rows say, whoever said it.
        authors: who last changed the files they come from, sorted.
        compared_with: the day before; None where nothing was published before.
        differences: what changed since.
    """

    rows: int
    content_hash: str
    authors: tuple[str, ...]
    compared_with: date | None
    differences: tuple[Difference, ...]

    def number_of(self, change: str) -> int:
        """Number of rows that were added, removed or changed."""
        return len({difference.key for difference in self.differences if difference.change == change})


CONTROL_TABLES = {
    table.name: table
    for table in (
        ControlTable("documents", ("path",), "content_hash", frozenset({"commit", "committed_at"})),
        ControlTable("standard_metrics", ("metric",), "brief", frozenset({"author", "content_hash"})),
        ControlTable(
            "metric_mappings",
            ("system", "match", "regex"),
            "metric",
            frozenset({"author", "content_hash", POSITION}),
            within=("system",),
        ),
        # The hash of the SQL changes with it, and has room on a line.
        ControlTable(
            "processing_models", ("system", "dataset", "kind", "metric"), "version", frozenset({"author", "sql"})
        ),
        ControlTable(
            "baseline_metrics", ("ci_class", "tier", "metric"), "metric", frozenset({"author", "content_hash"})
        ),
        ControlTable(
            "quality_policies",
            ("system", "dataset", "policy_id"),
            "expected",
            frozenset({"author", "policy_hash"}),
        ),
        ControlTable(
            "data_contracts",
            ("system", "dataset"),
            "version",
            frozenset({"author", "content_hash", "change", "changes", "definition"}),
            document="definition",
        ),
    )
}


def control_diff(lake: Lake, before: date, after: date, tables: Iterable[str] = CONTROL_TABLES) -> list[dict[str, Any]]:
    """What changed in the control information from one day to another.

    Args:
        lake: the lake.
        before: first day.
        after: second day.
        tables: names below ``control/``.

    Returns:
        Flat rows with the fields of ``Difference``, by table and key.
    """
    found: list[dict[str, Any]] = []
    with lake.connect() as con:
        for name in tables:
            table = CONTROL_TABLES[name]
            differences = compare(table, _rows(con, lake, table, before), _rows(con, lake, table, after))
            found += [asdict(difference) for difference in differences]
    return found


def publication(lake: Lake, name: str, day: date) -> Publication:
    """What a table of a day says in sum, and what changed since it was published before."""
    table = CONTROL_TABLES[name]
    before = lake.previous_day(table.table, day)
    with lake.connect() as con:
        rows = _rows(con, lake, table, day)
        earlier = _rows(con, lake, table, before) if before else []
    said = [(_key_of(table, row), _compared(table, row) | {"author": None}) for row in rows]
    return Publication(
        rows=len(rows),
        content_hash=content_hash(*sorted(json.dumps(row, default=str) for row in said)),
        authors=tuple(sorted({row["author"] for row in rows if row["author"]})),
        compared_with=before,
        differences=tuple(compare(table, earlier, rows)) if before else (),
    )


def compare(table: ControlTable, before: Sequence[Row], after: Sequence[Row]) -> list[Difference]:
    """What is different between two states of a table, by key."""
    old, new = ({_key_of(table, row): row for row in rows} for rows in (before, after))
    moved = _moved(table, old, new) if table.within is not None else {}
    found: list[Difference] = []
    for key in sorted(old.keys() | new.keys(), key=_text_of_key):
        text = _text_of_key(key)
        if key not in old:
            found.append(Difference(table.name, text, "added", table.told, None, _text(new[key][table.told])))
        elif key not in new:
            found.append(Difference(table.name, text, "removed", table.told, _text(old[key][table.told]), None))
        else:
            was, is_now = _compared(table, old[key]), _compared(table, new[key])
            fields = [(name, was.get(name), is_now.get(name)) for name in dict.fromkeys([*was, *is_now])]
            found += [Difference(table.name, text, "changed", *field) for field in fields if field[1] != field[2]]
            if key in moved:
                found.append(Difference(table.name, text, "changed", POSITION, *moved[key]))
    return found


def _rows(con: duckdb.DuckDBPyConnection, lake: Lake, table: ControlTable, day: date) -> list[dict[str, Any]]:
    lake.register(con, "published", table.table, day)
    rows: list[dict[str, Any]] = con.sql("SELECT * FROM published").to_arrow_table().to_pylist()
    return rows


def _key_of(table: ControlTable, row: Row) -> Key:
    return tuple(row[column] for column in table.key)


def _compared(table: ControlTable, row: Row) -> dict[str, str | None]:
    """What a row says, as texts: without its key, its day, and where it comes from."""
    left_out = {"day", *table.key, *table.ignored}
    fields = {name: _text(value) for name, value in row.items() if name not in left_out}
    if table.document and row[table.document]:
        fields |= {".".join(path): text for path, text in _parts(json.loads(row[table.document]), ())}
    return fields


def _parts(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str | None]]:
    """The scalars of a JSON document with their paths; entries of a list go by their name, where they have one."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _parts(part, (*path, str(name)))
    elif isinstance(value, list) and value and all(isinstance(part, dict) and "name" in part for part in value):
        yield path, ", ".join(str(part["name"]) for part in value)
        for part in value:
            yield from _parts(
                {name: inner for name, inner in part.items() if name != "name"}, (*path, str(part["name"]))
            )
    else:
        yield path, _text(value)


def _moved(table: ControlTable, old: Mapping[Key, Row], new: Mapping[Key, Row]) -> dict[Key, tuple[str, str]]:
    """The fewest rows without which the others follow each other as before, with their places before and after."""
    groups: dict[Key, list[Key]] = defaultdict(list)
    for key in old.keys() & new.keys():
        groups[tuple(old[key][column] for column in table.within or ())].append(key)
    moved: dict[Key, tuple[str, str]] = {}
    for keys in groups.values():
        places = []
        for state in (old, new):
            keys.sort(key=lambda key: int(state[key][POSITION]))
            before = [None, *keys[:-1]]
            places.append({key: _place(state[key], last) for key, last in zip(keys, before, strict=True)})
        kept = set(_longest_rise([int(old[key][POSITION]) for key in keys]))
        moved |= {key: (places[0][key], places[1][key]) for key in keys if old[key][POSITION] not in kept}
    return moved


def _place(row: Row, before: Key | None) -> str:
    """Where a row stands among those that are there on both days; its number alone may be the same as before."""
    return f"{row[POSITION]}, behind {_text_of_key(before)}" if before else f"{row[POSITION]}, before all others"


def _longest_rise(numbers: Sequence[int]) -> list[int]:
    """A longest strictly rising subsequence of distinct numbers (patience sorting)."""
    ends: list[int] = []
    before: dict[int, int | None] = {}
    for number in numbers:
        place = bisect_left(ends, number)
        before[number] = ends[place - 1] if place else None
        ends[place : place + 1] = [number]
    rise: list[int] = []
    last = ends[-1] if ends else None
    while last is not None:
        rise.append(last)
        last = before[last]
    return rise[::-1]


def _text_of_key(key: Key) -> str:
    return "|".join(str(part) for part in key if part is not None)


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(str(part) for part in value)
    return str(value)
