"""Rankings: which keys of each dimension have the most anomalies, and how that changed since the day before.

Belongs here: order, labels and change. Does not belong here: counting (``statistics``), showing (``report``,
the command line).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from omgov_assets.data_lake.lake import Lake, one_row
from omgov_assets.data_lake.sql import read_sql
from omgov_assets.quality_analysis.cmdb import create_labels, register_cmdb, register_named
from omgov_assets.quality_analysis.statistics import STATISTICS

RANKINGS = "quality/anomaly_rankings"

RANKED_DIMENSIONS: tuple[str, ...] = (
    "anomaly_type",
    "metric",
    "application",
    "host",
    "support_group",
    "owner",
    "system",
    "network_device",
    "site",
    "collector",
    "severity",
)

# What keys can be ordered by, and the column that holds the rank.
RANK_COLUMNS: dict[str, str] = {
    "count": "rank",
    "rate": "rank_by_rate",
    "score": "rank_by_score",
    "impact": "rank_by_impact",
    "change": "rank_by_change",
}

_RANKINGS_SQL = read_sql(Path(__file__).with_name("rankings.sql"))


class UnknownDimensionError(ValueError):
    """A dimension that is not ranked."""


class NotRankedError(LookupError):
    """A day whose anomalies were never ranked."""


@dataclass(frozen=True)
class RankingsSummary:
    """What ``rank_anomalies`` did.

    Attributes:
        day: business day.
        rows: ranked keys over all dimensions.
        compared_with: the day before, where it was governed; else None.
        version: Delta version of ``quality/anomaly_rankings``.
    """

    day: date
    rows: int
    compared_with: date | None
    version: int


def rank_anomalies(lake: Lake, day: date) -> RankingsSummary:
    """Rank the keys of each of ``RANKED_DIMENSIONS`` by the day's cube into ``quality/anomaly_rankings``.

    ``rank`` is by anomalies, and the others by what ``RANK_COLUMNS`` says; ties are broken by anomalies, then by key.
    By rate, keys are ordered by its lower bound, so that small ones do not win by chance. Only keys with anomalies are
    ranked. Labels are names from the CMDB of the day; the key where it has none, and for owners, whose names are
    personal data. Changes are against the day before, and null where that was not governed.
    """
    yesterday = day - timedelta(days=1)
    has_previous_day = lake.has_day(STATISTICS, yesterday)
    with lake.connect() as con:
        lake.register(con, "statistics", STATISTICS, day)
        lake.register(con, "previous_rankings", RANKINGS, yesterday)
        register_cmdb(lake, con, day)
        create_labels(con)
        rows = con.sql(_RANKINGS_SQL, params={"day": day, "has_previous_day": has_previous_day})
        version = lake.replace(RANKINGS, day, rows)
        lake.register(con, "rankings", RANKINGS, day)
        (ranked,) = one_row(con, "SELECT count(*) FROM rankings")
    return RankingsSummary(day, ranked, yesterday if has_previous_day else None, version)


def read_rankings(
    lake: Lake, by: str, top: int, day: date | None = None, order: str = "count", *, owner_names: bool = False
) -> list[dict[str, Any]]:
    """The first ranks of one dimension.

    Args:
        lake: the lake.
        by: one of ``RANKED_DIMENSIONS``.
        top: how many ranks.
        day: business day; the last ranked one where None.
        order: one of ``RANK_COLUMNS``.
        owner_names: whether labels of owners are their names.

    Returns:
        One flat dictionary for each rank, first rank first, with the columns of ``quality/anomaly_rankings`` but those
        of provenance; day is ISO text. Keys that have no rank in the order are left out.

    Raises:
        UnknownDimensionError: ``by`` is not ranked, or there is no such ``order``.
        NotRankedError: the day was never ranked.
    """
    if by not in RANKED_DIMENSIONS:
        raise UnknownDimensionError(f"cannot rank by {by!r}: choose one of {', '.join(RANKED_DIMENSIONS)}")
    if order not in RANK_COLUMNS:
        raise UnknownDimensionError(f"cannot order by {order!r}: choose one of {', '.join(RANK_COLUMNS)}")
    governed = lake.days(STATISTICS)
    if day is None:
        day = max(governed, default=None)
    if day is None:
        raise NotRankedError("nothing is ranked yet: govern a day first with `omgov run --day DAY`")
    if day not in governed:
        days = f"{governed[0]} to {governed[-1]}" if governed else "none"
        raise NotRankedError(f"{day} is not ranked (days ranked: {days}): govern it first with `omgov run --day {day}`")
    with lake.connect() as con:
        if owner_names:
            register_cmdb(lake, con, day)
            create_labels(con)
            register_named(lake, con, "rankings", RANKINGS, day, "dimension", "key")
        else:
            lake.register(con, "rankings", RANKINGS, day)
        query = (
            "SELECT * EXCLUDE (policy_hash, data_versions) REPLACE (day::VARCHAR AS day) FROM rankings "  # noqa: S608 - the column is one of RANK_COLUMNS
            f"WHERE dimension = $by AND {RANK_COLUMNS[order]} IS NOT NULL ORDER BY {RANK_COLUMNS[order]} LIMIT $top"
        )
        rows: list[dict[str, Any]] = con.sql(query, params={"by": by, "top": top}).to_arrow_table().to_pylist()
    return rows
