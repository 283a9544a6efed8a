"""Changes: what a re-run of a day means for the days after it, whose rows say what is new and what changed.

Does not belong here: the computations themselves (``anomalies``, ``statistics``, ``rankings``).
"""

from __future__ import annotations

from datetime import date, timedelta

from omgov_assets.data_lake.lake import Lake, one_row
from omgov_assets.quality_analysis.anomalies import ANOMALIES, identify_anomalies
from omgov_assets.quality_analysis.rankings import rank_anomalies
from omgov_assets.quality_analysis.root_causes import find_root_causes
from omgov_assets.quality_analysis.rules import AnalysisRules
from omgov_assets.quality_analysis.scorecards import compute_scorecards
from omgov_assets.quality_analysis.statistics import STATISTICS, compute_statistics

# One hashed text for each row: DuckDB's hash of two columns is an exclusive or, and the days would cancel
# out.
_FIRST_SEEN_DAYS = "SELECT count(*), bit_xor(hash(anomaly_id || first_seen_day::VARCHAR)) FROM anomalies"


def recompute_changes(lake: Lake, day: date, rules: AnalysisRules) -> list[date]:
    """Bring the governed days after a re-run day into line with it, from what the lake holds.

    The next day's new, resolved and previous counts and scores are recomputed. ``first_seen_day``, and the open days
    that are counted from it, are carried on, day by day, until a day that does not change by it or that was never
    governed.

    The mean time to repair of days further on keeps what it was computed from until they are governed again.

    Args:
        lake: the lake.
        day: the day that was re-run.
        rules: what analysis goes by.

    Returns:
        The days that were recomputed, in order.
    """
    recomputed: list[date] = []
    following, is_changed_before = day + timedelta(days=1), True
    while is_changed_before and lake.has_day(STATISTICS, following):
        before = _first_seen_days(lake, following)
        identify_anomalies(lake, following, rules)
        # What a day says of the day before it depends on that day, too: what was resolved, and after how long.
        compute_statistics(lake, following, rules)
        rank_anomalies(lake, following)
        find_root_causes(lake, following, rules)
        compute_scorecards(lake, following, rules)
        recomputed.append(following)
        is_changed_before = _first_seen_days(lake, following) != before
        following += timedelta(days=1)
    return recomputed


def _first_seen_days(lake: Lake, day: date) -> tuple[int, int | None]:
    """A fingerprint of which anomalies the day has and since when."""
    with lake.connect() as con:
        lake.register(con, "anomalies", ANOMALIES, day)
        count, fingerprint = one_row(con, _FIRST_SEEN_DAYS)
    return count, fingerprint
