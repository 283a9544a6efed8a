"""Scoring: what is wrong with the points of a day, by the bands in force and by the points themselves.

Belongs here: running ``faults.sql``. Does not belong here: which band holds (``bands_in_force``), the expectation that
asks for a fault (``dynamic_baseline_expectation``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from omgov_assets.data_lake.sql import identifier, read_sql

Fault = Literal[
    "out_of_band",
    "level_shift",
    "unit_jump",
    "flat_line",
    "gap",
    "duplicate_timestamp",
    "clock_step",
    "counter_reset",
]
FAULTS: tuple[Fault, ...] = get_args(Fault)

_FAULTS_SQL = read_sql(Path(__file__).with_name("faults.sql"))


def faults_query(points: str) -> str:
    """SELECT of (series, observed_at, fault) over a relation of the connection.

    ``points`` has the columns series, observed_at (TIMESTAMPTZ), value (DOUBLE), batch and position (the order of
    delivery within a batch). The tables of schema ``dynamic_baselines`` must be there (``bands_in_force``).
    """
    return f"WITH scored_points AS (SELECT * FROM {identifier(points)}) SELECT * FROM ({_FAULTS_SQL})"  # noqa: S608 - quoted
