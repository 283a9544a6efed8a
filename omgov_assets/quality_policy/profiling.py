"""Measuring a table: what its columns hold, so that policies can be proposed (``suite_proposal``).

A handful of set-based scans, however many columns and rows: counts and bounds; then what few values, unique columns
and a sample of texts are; then how many texts have the shape that the sample has, and whether columns together are a
key. All that a proposal says of the data is exact; only what is worth asking is guessed from approximate counts.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Literal

import duckdb

from omgov_assets.data_lake.lake import one_row
from omgov_assets.data_lake.sql import identifier, literal
from omgov_assets.quality_policy.text_shapes import propose_patterns

Kind = Literal["boolean", "integer", "real", "date", "instant", "text", "other"]

# How many values a set may have, and how often they come again on average.
MAX_VALUES = 20
MIN_REPEATS = 5
# A table of fewer rows says nothing on which columns are keys.
MIN_ROWS_FOR_KEYS = 10
# Of how many distinct texts the shape of a column is taken, and how long they may be.
SAMPLED_TEXTS = 2_000
SAMPLED_LENGTH = 200
# Rows in which combinations of columns are tried before the whole table is asked.
TRIED_ROWS = 20_000
_KEY_COLUMNS_TRIED = 9
_KEYS_COUNTED = 6
_APPROXIMATE = 0.85

_KINDS: dict[str, Kind] = {
    "BOOLEAN": "boolean", "TINYINT": "integer", "SMALLINT": "integer", "INTEGER": "integer", "BIGINT": "integer",
    "HUGEINT": "integer", "UTINYINT": "integer", "USMALLINT": "integer", "UINTEGER": "integer", "UBIGINT": "integer",
    "UHUGEINT": "integer", "FLOAT": "real", "DOUBLE": "real", "DATE": "date", "TIMESTAMP": "instant",
    "TIMESTAMP_S": "instant", "TIMESTAMP_MS": "instant", "TIMESTAMP_NS": "instant",
    "TIMESTAMP WITH TIME ZONE": "instant", "VARCHAR": "text",
}  # fmt: skip
_INFINITE = frozenset({"FLOAT", "DOUBLE", "DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"})

Number = int | float | Decimal


@dataclass(frozen=True)
class ColumnProfile:
    """What a column holds.

    Attributes:
        name: the column.
        sql_type: its DuckDB type.
        kind: what can be asked of it.
        present: values that are neither null nor NaN, which are missing to policies.
        finite: of these, values that are not infinite.
        distinct: different values, approximately.
        minimum: least finite number; of dates the days, of instants the microseconds since 1970.
        maximum: greatest finite number, likewise.
        shortest: least length of a text.
        longest: greatest length of a text.
        values: all different values where they are few and come again, sorted.
        unique: whether no value stands twice.
        pattern: a regular expression that texts of the column match, and in how many values it is found.
    """

    name: str
    sql_type: str
    kind: Kind
    present: int = 0
    finite: int = 0
    distinct: int = 0
    minimum: Number | None = None
    maximum: Number | None = None
    shortest: int | None = None
    longest: int | None = None
    values: tuple[Any, ...] | None = None
    unique: bool = False
    pattern: tuple[str, int] | None = None


@dataclass(frozen=True)
class TableProfile:
    """Rows and columns of a table, and the columns that together are a key where no column is one alone."""

    rows: int
    columns: tuple[ColumnProfile, ...]
    compound_key: tuple[str, ...] = field(default=())


def profile_table(con: duckdb.DuckDBPyConnection, view: str, columns: Mapping[str, str]) -> TableProfile:
    """Measure columns of a view.

    Args:
        con: a connection of the lake.
        view: the view.
        columns: the columns to measure, with their DuckDB types.
    """
    rows, profiles = _counts_and_bounds(con, view, columns)
    if not rows or not profiles:
        return TableProfile(rows, profiles)
    profiles, samples = _values_and_samples(con, view, rows, profiles)
    profiles = _with_patterns(con, view, profiles, samples)
    key: tuple[str, ...] = ()
    if not any(profile.unique and profile.present == rows for profile in profiles):
        key = _compound_key(con, view, rows, profiles)
    return TableProfile(rows, profiles, key)


def kind_of(sql_type: str) -> Kind:
    """What can be asked of a column of a DuckDB type."""
    return "real" if sql_type.startswith("DECIMAL") else _KINDS.get(sql_type, "other")


def _counts_and_bounds(
    con: duckdb.DuckDBPyConnection, view: str, columns: Mapping[str, str]
) -> tuple[int, tuple[ColumnProfile, ...]]:
    measures = ["count(*)"]
    for name, sql_type in columns.items():
        measures += _measures(identifier(name), sql_type)
    rows, *found = one_row(con, f"SELECT {', '.join(measures)} FROM {identifier(view)}")  # noqa: S608 - quoted
    profiles = []
    for position, (name, sql_type) in enumerate(columns.items()):
        present, finite, distinct, least, greatest = found[5 * position : 5 * position + 5]
        profile = ColumnProfile(name, sql_type, kind_of(sql_type), present, finite, distinct)
        if profile.kind == "text":
            profile = replace(profile, shortest=least, longest=greatest)
        else:
            profile = replace(profile, minimum=least, maximum=greatest)
        profiles.append(profile)
    return int(rows), tuple(profiles)


def _measures(column: str, sql_type: str) -> list[str]:
    """Five aggregates of a column: values, finite ones, different ones, and the bounds."""
    kind = kind_of(sql_type)
    distinct = "0" if kind == "other" else f"approx_count_distinct({column})"
    if kind in {"boolean", "other"}:
        return [f"count({column})", f"count({column})", distinct, "NULL", "NULL"]
    finite = f" FILTER (isfinite({column}))" if sql_type in _INFINITE else ""
    measured = column
    # As numbers, since DuckDB knows years that Python does not.
    if kind == "date":
        measured = f"{column} - DATE '1970-01-01'"
    elif kind == "instant":
        measured = f"epoch_us(TRY_CAST({column} AS TIMESTAMPTZ))"
    elif kind == "text":
        measured = f"length({column})"
    given = f" FILTER (NOT isnan({column}))" if kind == "real" and finite else ""
    return [
        f"count({column}){given}",
        f"count({column}){finite}",
        distinct,
        f"min({measured}){finite}",
        f"max({measured}){finite}",
    ]


def _values_and_samples(
    con: duckdb.DuckDBPyConnection, view: str, rows: int, profiles: Sequence[ColumnProfile]
) -> tuple[tuple[ColumnProfile, ...], dict[str, list[str]]]:
    """Values of columns that have few, whether columns that seem so are unique, and a sample of the other texts."""
    asked: dict[tuple[str, str], str] = {}
    for profile in profiles:
        column = identifier(profile.name)
        is_kept_apart = profile.distinct >= _APPROXIMATE * profile.present > 0
        if is_kept_apart and profile.kind in {"integer", "text"} and rows >= MIN_ROWS_FOR_KEYS:
            # Of equal values the hashes are equal: as many hashes as values prove that no two are. Null has one too.
            asked["hashes", profile.name] = f"count(DISTINCT hash({column})) FILTER ({column} IS NOT NULL)"
        if profile.kind in {"boolean", "integer", "text"} and 0 < profile.distinct <= 2 * MAX_VALUES:
            asked["values", profile.name] = f"list(DISTINCT {column})"
        elif profile.kind == "text" and profile.present and (profile.longest or 0) <= SAMPLED_LENGTH:
            every = max(1, profile.distinct // SAMPLED_TEXTS)
            asked["sample", profile.name] = f"list(DISTINCT {column}) FILTER (hash({column}) % {every} = 0)"
    found: dict[tuple[str, str], Any] = {}
    if asked:
        query = f"SELECT {', '.join(asked.values())} FROM {identifier(view)}"  # noqa: S608 - quoted
        found = dict(zip(asked, one_row(con, query), strict=True))
    known = []
    for profile in profiles:
        values = [value for value in found.get(("values", profile.name)) or () if value is not None]
        known.append(
            replace(
                profile,
                unique=found.get(("hashes", profile.name)) == profile.present > 0,
                values=tuple(sorted(values)) if _come_again(values, profile) else None,
            )
        )
    samples = {
        profile.name: sorted(
            value
            for what in ("values", "sample")
            for value in found.get((what, profile.name)) or ()
            if isinstance(value, str)
        )
        for profile in known
        if profile.kind == "text" and profile.values is None
    }
    return tuple(known), samples


def _come_again(values: Sequence[Any], profile: ColumnProfile) -> bool:
    return 0 < len(values) <= MAX_VALUES and profile.present >= MIN_REPEATS * len(values)


def _with_patterns(
    con: duckdb.DuckDBPyConnection,
    view: str,
    profiles: Sequence[ColumnProfile],
    samples: Mapping[str, list[str]],
) -> tuple[ColumnProfile, ...]:
    """The first pattern of a column's sample that all its values match, else the one that most match."""
    left = {name: propose_patterns(sample) for name, sample in samples.items()}
    present = {profile.name: profile.present for profile in profiles}
    best: dict[str, tuple[str, int]] = {}
    # A regular expression is dear: the next one is asked only of the columns that the one before did not settle.
    while asked := {name: patterns.pop(0) for name, patterns in left.items() if patterns}:
        counts = ", ".join(
            f"count_if(regexp_matches({identifier(name)}, {literal(pattern)}))" for name, pattern in asked.items()
        )
        found = one_row(con, f"SELECT {counts} FROM {identifier(view)}")  # noqa: S608 - quoted
        for (name, pattern), matching in zip(asked.items(), found, strict=True):
            if name not in best or matching > best[name][1]:
                best[name] = (pattern, int(matching))
            if matching == present[name]:
                left[name] = []
    return tuple(replace(profile, pattern=best.get(profile.name)) for profile in profiles)


def _compound_key(
    con: duckdb.DuckDBPyConnection, view: str, rows: int, profiles: Sequence[ColumnProfile]
) -> tuple[str, ...]:
    """Two or three columns without nulls that tell every row: the leftmost of the smallest such combinations."""
    if rows < MIN_ROWS_FOR_KEYS:
        return ()
    usable = [p for p in profiles if p.kind in {"integer", "text", "date", "instant"} and p.present == rows]
    # Columns of many values tell rows apart; the order of the table is the order of preference.
    usable = sorted(usable, key=lambda profile: -profile.distinct)[:_KEY_COLUMNS_TRIED]
    distinct = {profile.name: max(1, profile.distinct) for profile in profiles if profile in usable}
    tried: list[tuple[str, ...]] = [
        names
        for size in (2, 3)
        for names in itertools.combinations(distinct, size)
        if math.prod(distinct[name] for name in names) >= _APPROXIMATE * rows
    ]
    # What repeats in the first rows repeats in the table.
    left = _telling(con, f"(SELECT * FROM {identifier(view)} LIMIT {TRIED_ROWS})", tried, exact=True)  # noqa: S608
    left = _minimal(left)[:_KEYS_COUNTED]
    left = _telling(con, identifier(view), left, exact=False)
    for names in left:
        if _telling(con, identifier(view), [names], exact=True):
            return names
    return ()


def _minimal(combinations: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    kept: list[tuple[str, ...]] = []
    for names in combinations:
        if not any(set(smaller) < set(names) for smaller in kept):
            kept.append(names)
    return kept


def _telling(
    con: duckdb.DuckDBPyConnection, source: str, combinations: Collection[tuple[str, ...]], *, exact: bool
) -> list[tuple[str, ...]]:
    """Of these combinations of columns, those under which every row of the source is different, or nearly seems so."""
    if not combinations:
        return []
    hashes = [f"hash({', '.join(map(identifier, names))})" for names in combinations]
    counted = [f"count(DISTINCT {text})" if exact else f"approx_count_distinct({text})" for text in hashes]
    rows, *found = one_row(con, f"SELECT count(*), {', '.join(counted)} FROM {source}")  # noqa: S608 - quoted
    least = rows if exact else _APPROXIMATE * rows
    return [names for names, different in zip(combinations, found, strict=True) if different >= least]
