"""Localising any table of counts: its columns are the attributes, two say how many and how many of these are bad.

Belongs here: reading and judging such a table. Does not belong here: the search (``localisation``), the anomalies of a
day (``night``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from omgov_assets.data_lake.sql import identifier
from omgov_assets.model_management.root_cause_rules import Evidence
from omgov_assets.quality_analysis.root_causes.counts import Codes, Counts, Floats
from omgov_assets.quality_analysis.root_causes.localisation import localise

_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT",
            "UHUGEINT", "FLOAT", "DOUBLE", "DECIMAL")  # fmt: skip
_BATCH_ROWS = 250_000
# A code that is no condition stands before those of the values.
_FIRST = 1


class CountTableError(Exception):
    """A table that cannot be localised; the message says why and what to do."""


@dataclass(frozen=True)
class CountTable:
    """Where the counts are: a view, its columns with their DuckDB types, and the two columns that count."""

    view: str
    name: str
    columns: Mapping[str, str]
    anomalous: str
    total: str

    @property
    def attributes(self) -> list[str]:
        """All other columns."""
        return [name for name in self.columns if name not in (self.anomalous, self.total)]


def localise_table(
    con: duckdb.DuckDBPyConnection, table: CountTable, history: CountTable | None, evidence: Evidence, top: int
) -> list[dict[str, Any]]:
    """What explains the anomalous counts of a table.

    Args:
        con: the connection of the views.
        table: the counts.
        history: the same of the past; a cause then has more anomalies than the rest and than it had.
        evidence: what a cause must show.
        top: causes at most.

    Returns:
        One dictionary for each cause, that which explains most beyond what was expected first: rank, cause (text),
        conditions (JSON object), depth, anomalous, total, rate, expected, lift, support (share of total), coverage
        (share of the anomalous that are assigned to it), past_rate, score.

    Raises:
        CountTableError: columns that are not there or do not count, counts that are none, or a history that lacks
            attributes.
    """
    _judge(con, table)
    if history is not None:
        _judge(con, history)
        if lacking := [name for name in table.attributes if name not in history.attributes]:
            raise CountTableError(
                f"{history.name} lacks {', '.join(lacking)}: a history has the attributes of {table.name}; leave these "
                "out of the table, or the history"
            )
    counts, values = _read(con, table, history)
    explanation = localise(counts, evidence)
    all_anomalous, all_total = float(counts.anomalous.sum()), float(counts.total.sum())
    rows = []
    for rank, (position, held) in enumerate(explanation.ranked(counts.anomalous)[:top], start=1):
        cause = explanation.causes[position]
        conditions = {
            counts.attributes[attribute]: values[attribute][code - _FIRST] for attribute, code in cause.conditions
        }
        within = float(explanation.row_totals[explanation.rows[position]].sum())
        rows.append(
            {
                "rank": rank,
                "cause": " and ".join(
                    f"{name} = {'(none)' if key is None else key}" for name, key in conditions.items()
                ),
                "conditions": json.dumps(conditions, ensure_ascii=False),
                "depth": len(conditions),
                "anomalous": _whole(cause.anomalous),
                "total": _whole(cause.total),
                "rate": cause.anomalous / cause.total if cause.total else None,
                "expected": cause.expected,
                "lift": cause.lift,
                "support": within / all_total if all_total else None,
                "coverage": held / all_anomalous,
                "past_rate": cause.past_rate,
                "score": cause.score,
            }
        )
    return rows


def _whole(number: float) -> float:
    """A count without a decimal point, where it is one."""
    return int(number) if number == int(number) else number


def _judge(con: duckdb.DuckDBPyConnection, table: CountTable) -> None:
    """Refuse what cannot be counted."""
    for name in (table.anomalous, table.total):
        if name not in table.columns:
            raise CountTableError(f"{table.name} has no column {name!r}; it has {', '.join(table.columns)}")
        if not table.columns[name].startswith(_NUMBERS):
            raise CountTableError(f"{table.name}: {name} is of type {table.columns[name]}, not a number")
    if table.anomalous == table.total:
        raise CountTableError(f"{table.anomalous} cannot be both the anomalous and the total count")
    if not table.attributes:
        raise CountTableError(
            f"{table.name} has no column beside {table.anomalous} and {table.total}: nothing to explain by"
        )
    anomalous, total = identifier(table.anomalous), identifier(table.total)
    faults = con.execute(
        f"""
        SELECT
            count(*) FILTER ({anomalous} IS NULL OR {total} IS NULL),
            count(*) FILTER (NOT isfinite({anomalous}::DOUBLE) OR NOT isfinite({total}::DOUBLE)),
            count(*) FILTER ({anomalous} < 0 OR {total} < 0),
            count(*) FILTER ({anomalous} > {total})
        FROM {identifier(table.view)}
        """  # noqa: S608 - names are quoted
    ).fetchall()[0]
    for rows, fault in zip(
        faults,
        (
            "lack a count",
            "have a count that is no finite number",
            "have a count below 0",
            "have more anomalous than total",
        ),
        strict=True,
    ):
        if rows:
            raise CountTableError(
                f"{table.name}: {rows:,} rows {fault} ({table.anomalous}, {table.total}): correct them"
            )


def _read(
    con: duckdb.DuckDBPyConnection, table: CountTable, history: CountTable | None
) -> tuple[Counts, list[list[str | None]]]:
    """The rows as counts, those of the history behind, and for each attribute its values."""
    parts = [_batches(con, table, table.attributes)]
    if history is not None:
        parts.append(_batches(con, history, table.attributes))
    codes: list[Codes] = []
    values: list[list[str | None]] = []
    for position in range(len(table.attributes)):
        column = pa.chunked_array([batch.column(position) for part in parts for batch in part], _DICTIONARY)
        unified = column.unify_dictionaries()
        known = unified.chunk(0).dictionary.to_pylist() if unified.num_chunks else []
        indices = [chunk.indices.fill_null(len(known)).to_numpy() for chunk in unified.chunks]
        # Codes in the order of the values, so that what is found does not depend on the order of the rows.
        order = sorted(range(len(known)), key=known.__getitem__)
        code_of = np.empty(len(known) + 1, np.int32)
        code_of[[*order, len(known)]] = np.arange(len(known) + 1) + _FIRST
        codes.append(code_of[np.concatenate(indices)] if indices else np.zeros(0, np.int32))
        # What is missing is a value like others: that a version is missing may be what is wrong.
        values.append([*(known[position] for position in order), None])
    anomalous, total = (_numbers([batch for part in parts for batch in part], name) for name in ("anomalous", "total"))
    rows = sum(batch.num_rows for batch in parts[0])
    now = np.arange(len(total)) < rows
    of_today = np.flatnonzero(now & (anomalous > 0))
    counts = Counts(
        attributes=tuple(table.attributes),
        codes=tuple(codes),
        total=np.where(now, total, 0.0),
        row=of_today,
        kind=np.zeros(len(of_today), np.int64),
        anomalous=anomalous[of_today],
        kinds=(table.anomalous,),
        past_total=None if history is None else np.where(now, 0.0, total),
        past_anomalous=None if history is None else np.where(now, 0.0, anomalous),
    )
    return counts, values


_DICTIONARY = pa.dictionary(pa.int32(), pa.string())


def _batches(con: duckdb.DuckDBPyConnection, table: CountTable, attributes: Sequence[str]) -> list[pa.RecordBatch]:
    """The attributes as dictionaries, batch by batch, and the columns anomalous and total."""
    columns = ", ".join(
        [
            *(f"{identifier(name)}::VARCHAR AS {identifier(name)}" for name in attributes),
            f"{identifier(table.anomalous)}::DOUBLE AS anomalous_count",
            f"{identifier(table.total)}::DOUBLE AS total_count",
        ]
    )
    reader = con.sql(f"SELECT {columns} FROM {identifier(table.view)}").to_arrow_reader(_BATCH_ROWS)  # noqa: S608
    batches = []
    for batch in reader:
        coded = [batch.column(position).dictionary_encode() for position in range(len(attributes))]
        counted = [batch.column(len(attributes)), batch.column(len(attributes) + 1)]
        names = [*map(str, range(len(attributes))), "anomalous", "total"]
        batches.append(pa.RecordBatch.from_arrays([*coded, *counted], names=names))
    return batches


def _numbers(batches: list[pa.RecordBatch], name: str) -> Floats:
    columns = [batch.column(name).to_numpy(zero_copy_only=False) for batch in batches]
    return np.concatenate(columns) if columns else np.zeros(0)
