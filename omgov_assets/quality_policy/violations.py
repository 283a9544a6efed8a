"""The one stream of violations: how any producer writes what it found.

Writing replaces exactly the day, system, dataset and policies that were evaluated.
"""

from __future__ import annotations

from datetime import date

import duckdb
import pyarrow as pa

from omgov_assets.data_lake.lake import Lake, one_row
from omgov_assets.data_lake.sql import OneOf, conjunction

VIOLATIONS = "quality/violations"
CHECK_RESULTS = "quality/check_results"

# Policies of the gate itself: they need no suite, since they judge deliveries rather than rows of the lake.
REFUSED_RECORD = "admission.refused_record"
REFUSED_BATCH = "admission.refused_batch"
NOT_DELIVERED = "admission.not_delivered"
LATE_DELIVERY = "admission.late_delivery"
REPEATED_DELIVERY = "admission.repeated_delivery"
UNUSUAL_ROW_COUNT = "admission.unusual_row_count"
# What a changed processing model makes of data; see ``admission.model_output``.
CHANGED_MODEL = ("model.null_explosion", "model.unmapped_share", "model.output_shift", "model.rows_lost")
GATE_POLICIES = (
    *CHANGED_MODEL,
    REFUSED_RECORD,
    REFUSED_BATCH,
    NOT_DELIVERED,
    LATE_DELIVERY,
    REPEATED_DELIVERY,
    UNUSUAL_ROW_COUNT,
)

# Policies of derived metrics: they judge models and what these give.
DERIVATION_BLOCKED = "model.derivation_blocked"
DERIVED_OUT_OF_RANGE = "model.derived_out_of_range"


def replace_violations(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    day: date,
    system: str,
    dataset: str,
    policies: OneOf,
    rows: pa.Table | duckdb.DuckDBPyRelation,
) -> int | None:
    """Replace the violations of some policies of a dataset's day.

    Args:
        con: a connection of the lake.
        lake: the lake.
        day: business day.
        system: business system.
        dataset: dataset.
        policies: which policies' violations are replaced; negated for all but these.
        rows: columns of ``quality/violations``, all for this day, system and dataset.

    Returns:
        The Delta version written; None where there was nothing to write and nothing to replace.
    """
    where: dict[str, str | OneOf] = {"system": system, "dataset": dataset, "policy_id": policies}
    if _is_empty(rows):
        lake.register(con, "held_violations", VIOLATIONS, day)
        held = one_row(con, f"SELECT count(*) FROM held_violations WHERE {conjunction(where)}")  # noqa: S608 - quoted
        if held == (0,):
            return None
    return lake.replace(VIOLATIONS, day, rows, where=where)


def _is_empty(rows: pa.Table | duckdb.DuckDBPyRelation) -> bool:
    if isinstance(rows, pa.Table):
        return bool(rows.num_rows == 0)
    return not rows.limit(1).fetchall()
