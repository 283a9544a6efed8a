"""What policies gave on the day governed before, to set a day's verdicts beside them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from omgov_assets.data_lake.lake import Lake
from omgov_assets.quality_policy.violations import CHECK_RESULTS


@dataclass(frozen=True)
class EarlierResults:
    """Shares of failing rows by (dataset, policy id) on the last day before that was evaluated; ``day`` is None where
    there is none.
    """

    day: date | None
    failed_shares: dict[tuple[str, str], float]


def earlier_results(lake: Lake, system: str, day: date) -> EarlierResults:
    """What a system's policies gave on the last day before ``day`` that has check results."""
    previous = lake.previous_day(CHECK_RESULTS, day)
    if previous is None:
        return EarlierResults(None, {})
    with lake.connect() as con:
        lake.register(con, "results", CHECK_RESULTS, previous)
        rows = con.execute(
            "SELECT dataset, policy_id, failed / evaluated FROM results "
            "WHERE system = ? AND verdict IN ('passed', 'failed') AND evaluated > 0",
            [system],
        ).fetchall()
    return EarlierResults(previous, {(dataset, policy_id): share for dataset, policy_id, share in rows})
