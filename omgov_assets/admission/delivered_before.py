"""Rows that another batch of the same day brought already: exactly once holds by the row's key, not by its bytes alone.

The batch that came first keeps the row. A later one that says the same of it, or something else, has that record
quarantined, since only a person can tell a correction from a mistake; a file that is delivered again under its own name
is a correction, and replaces what it brought before.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import duckdb

from omgov_assets.data_lake.lake import one_row
from omgov_assets.data_lake.schemas import TableSchema
from omgov_assets.data_lake.sql import OneOf, conjunction, identifier

DELIVERED_BEFORE = "delivered_before"
CONTRADICTS = "contradicts_earlier_batch"

# Records that were refused for these reasons may be admitted once the other batch is gone.
REASONS = frozenset({DELIVERED_BEFORE, CONTRADICTS})


@dataclass(frozen=True)
class HeldRows:
    """Rows of the day in the lake that other batches brought.

    Attributes:
        view: view of the connection with the rows of the day.
        batches: the batches whose rows count.
        schema: schema of the table; without a key no row is the same as another.
    """

    view: str
    batches: tuple[str, ...]
    schema: TableSchema


def find_delivered_before(con: duckdb.DuckDBPyConnection, held: HeldRows) -> str | None:
    """SELECT of the rows of ``standard_rows`` that are held already: _record_no, code, sentence; None if none is."""
    key = [name for name in held.schema.key if not name.startswith("_")]
    if not held.batches or not key:
        return None
    others = conjunction({"_batch_id": OneOf(held.batches)})
    same_key = " AND ".join(f"s.{identifier(name)} IS NOT DISTINCT FROM h.{identifier(name)}" for name in key)
    con.execute(
        "CREATE OR REPLACE TEMP TABLE delivered_before AS "  # noqa: S608 - quoted
        "SELECT s._record_no, min(struct_pack(batch := h._batch_id, record := h._record_no)) AS earlier, "
        f"bool_or({_same_content(held.schema.names)}) AS same "
        f"FROM standard_rows AS s JOIN (FROM {identifier(held.view)} WHERE {others}) AS h ON {same_key} GROUP BY 1"
    )
    if one_row(con, "SELECT count(*) FROM delivered_before") == (0,):
        return None
    return (
        f"SELECT _record_no, if(same, '{DELIVERED_BEFORE}', '{CONTRADICTS}') AS code, "  # noqa: S608 - fixed words
        "if(same, 'the row is held already', 'a row of the same key but other content is held already') || "
        "': batch ' || earlier.batch || ', record ' || earlier.record AS sentence FROM delivered_before"
    )


def _same_content(columns: Collection[str]) -> str:
    return " AND ".join(
        f"s.{identifier(name)} IS NOT DISTINCT FROM h.{identifier(name)}"
        for name in columns
        if not name.startswith("_")
    )
