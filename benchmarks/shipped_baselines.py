"""The shipped dynamic baselines on labelled series: the same functions and SQL as a night runs, day by day, in a lake.

Belongs here: putting series into a temporary lake as samples of a business system and reading back how far each point
lies beyond its band. Does not belong here: other detectors (``detectors``).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from labelled_series import LabelledSeries

from omgov_assets.data_lake.lake import Lake
from omgov_assets.model_management.baseline_rules import BaselineRules
from omgov_assets.model_management.governance import Governance, load_governance
from omgov_assets.model_management.trading_calendar import TradingCalendar
from omgov_assets.quality_policy.dynamic_baselines.bands_in_force import register_bands_in_force
from omgov_assets.quality_policy.dynamic_baselines.learning import learn_baselines
from omgov_assets.quality_policy.dynamic_baselines.scoring import faults_query

PROJECT = Path(__file__).resolve().parents[1]
SYSTEM = "securities_trading"

# The series are of other years: each is moved by whole weeks, so that it begins in the same week as the others.
_FIRST_WEEK = datetime(2026, 1, 5, tzinfo=UTC)
_WEEK_S = 7 * 86_400

# Distance of each point from what is usual, in reaches: beyond band_width it is out of its band. Null without a band.
_DISTANCES = """
    SELECT
        samples.instance_id::BIGINT AS series,
        epoch(samples.observed_at)::BIGINT AS second,
        greatest((value - center) / (band_high - center), (center - value) / (center - band_low))
            * (SELECT band_width FROM dynamic_baselines.rules) AS distance
    FROM samples
    JOIN dynamic_baselines.slots ON slots.minute = epoch_us(samples.observed_at) // 60000000
    JOIN dynamic_baselines.bands ON bands.instance_id = samples.instance_id AND bands.slot = slots.slot
    WHERE NOT coalesce(usual_counter, false)
"""
POINTS_QUERY = """
    SELECT instance_id AS series, observed_at, value, _batch_id AS batch, _record_no AS position FROM samples
"""


@dataclass(frozen=True)
class ShippedScores:
    """What the shipped baselines say of some series.

    Attributes:
        distances: by series, of each point in reaches; 0 where there was no band to judge it by.
        faults: number of faults by kind.
        points: points judged. learning_s, scoring_s: seconds for all of them.
    """

    distances: list[npt.NDArray[np.float64]]
    faults: dict[str, int]
    points: int
    learning_s: float
    scoring_s: float


def shipped_governance(rules: BaselineRules | None = None) -> Governance:
    """The repository's control information with one business system, in UTC, without trading sessions."""
    governance = load_governance(PROJECT)
    return governance.model_copy(
        update={
            "systems": {SYSTEM: governance.systems[SYSTEM]},
            "firm": governance.firm.model_copy(update={"timezone": "UTC"}),
            "calendar": TradingCalendar(),
            "dynamic_baselines": rules or governance.dynamic_baselines,
        }
    )


def score_as_shipped(series: Sequence[LabelledSeries], home: Path, rules: BaselineRules | None = None) -> ShippedScores:
    """Judge each day by what was learned up to the day before, then learn it."""
    governance = shipped_governance(rules)
    lake = Lake(home / "lake")
    rows, offsets = _samples(series)
    days = np.unique(rows["day"].to_numpy())
    distances = [np.zeros(len(one.values)) for one in series]
    faults: dict[str, int] = {}
    learning_s = scoring_s = 0.0
    for number in days:
        day = date(1970, 1, 1) + timedelta(days=int(number))
        of_day = rows.filter(pc.equal(rows["day"], pa.scalar(int(number))))
        lake.replace(f"{SYSTEM}/metric_samples", day, as_samples(of_day, day, lake))
        started = time.monotonic()
        with lake.connect() as con:
            lake.register(con, "samples", f"{SYSTEM}/metric_samples", day)
            register_bands_in_force(con, lake, governance, "samples", day)
            con.execute(f"CREATE VIEW scored AS {POINTS_QUERY}")
            for (fault,) in con.execute(f"SELECT fault FROM ({faults_query('scored')})").fetchall():
                faults[fault] = faults.get(fault, 0) + 1
            scoring_s += time.monotonic() - started
            judged = con.sql(_DISTANCES).to_arrow_table()
        found = judged["distance"].to_numpy(zero_copy_only=False)
        of, second = judged["series"].to_numpy(), judged["second"].to_numpy()
        for position in np.unique(of):
            chosen = of == position
            at = np.searchsorted(series[position].seconds, second[chosen] - offsets[position])
            distances[position][at] = np.nan_to_num(found[chosen], nan=0.0, posinf=1e12)
        started = time.monotonic()
        learn_baselines(lake, governance, day)
        learning_s += time.monotonic() - started
    return ShippedScores(distances, dict(sorted(faults.items())), len(rows), learning_s, scoring_s)


def _samples(series: Sequence[LabelledSeries]) -> tuple[pa.Table, list[int]]:
    """All points (instance_id, second, value, day), and by how much each series was moved."""
    parts, offsets = [], []
    for number, one in enumerate(series):
        first = int(_FIRST_WEEK.timestamp())
        offset = (first - int(one.seconds[0])) // _WEEK_S * _WEEK_S + _WEEK_S
        offsets.append(offset)
        seconds = one.seconds + offset
        parts.append(
            pa.table(
                {
                    "instance_id": pa.array([str(number)] * len(seconds)),
                    "second": pa.array(seconds),
                    "value": pa.array(one.values),
                    "day": pa.array(seconds // 86_400),
                }
            )
        )
    return pa.concat_tables(parts), offsets


def as_samples(rows: pa.Table, day: date, lake: Lake) -> pa.Table:
    """Rows (instance_id, second, value) as samples of the system, by the contract."""
    size = rows.num_rows
    ids = rows["instance_id"]
    columns = {
        "day": pa.repeat(pa.scalar(day), size),
        "system": pa.repeat(SYSTEM, size),
        "instance_id": ids,
        # Series of one name would be judged by each other where they are new.
        "source_metric": ids,
        "metric": pa.nulls(size, pa.string()),
        "ci_id": pa.repeat("host", size),
        "attributes": pa.repeat("{}", size),
        "observed_at": pc.cast(pc.multiply(rows["second"], 1_000_000), pa.timestamp("us", tz="UTC")),
        "value": rows["value"],
        "_batch_id": pa.repeat("batch", size),
        "_record_no": pa.array(range(1, size + 1), pa.int64()),
    }
    schema = lake.schema(f"{SYSTEM}/metric_samples").arrow
    return pa.table({field.name: columns[field.name] for field in schema}).cast(schema)
