"""What the firm has decided that analysis goes by, in one object that every step of it takes.

Does not belong here: reading ``governance/`` (``model_management``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, tzinfo

import duckdb
import pyarrow as pa

from omgov_assets.model_management.governance import Governance
from omgov_assets.model_management.root_cause_rules import RootCauseRules
from omgov_assets.model_management.score_rules import ScoreRules
from omgov_assets.model_management.trading_calendar import TradingCalendar


@dataclass(frozen=True)
class AnalysisRules:
    """Whose inventories are analysed, what weighs how much, and when the exchanges trade.

    Attributes:
        systems: business systems whose ``metric_instances``, with the derived ones, make up the inventory.
        scores: weights and thresholds of scores.
        calendar: trading days and sessions.
        zone: time zone of the business day and of the calendar's hours.
        root_causes: by what anomalies are localised, and what counts as a cause.
    """

    systems: tuple[str, ...]
    scores: ScoreRules = field(default_factory=ScoreRules)
    calendar: TradingCalendar = field(default_factory=TradingCalendar)
    zone: tzinfo = UTC
    root_causes: RootCauseRules = field(default_factory=RootCauseRules)

    @classmethod
    def of(cls, governance: Governance) -> AnalysisRules:
        """The rules of a firm."""
        return cls(
            systems=tuple(sorted(governance.systems)),
            scores=governance.scores,
            calendar=governance.calendar,
            zone=governance.firm.zone,
            root_causes=governance.root_causes,
        )


def register_weights(con: duckdb.DuckDBPyConnection, scores: ScoreRules) -> None:
    """Create the temporary tables ``severity_weights`` (severity, weight), ``tier_weights`` (tier, weight) and
    ``quality_dimension_weights`` (quality_dimension, weight).

    Weights are decimals, so that sums of them do not depend on the order of the rows.
    """
    for name, key, key_type, weights in (
        ("severity_weights", "severity", pa.string(), scores.severity_weights),
        ("tier_weights", "tier", pa.int64(), scores.tier_weights),
        ("quality_dimension_weights", "quality_dimension", pa.string(), scores.quality_dimension_weights),
    ):
        rows = pa.table(
            {key: pa.array(list(weights), key_type), "weight": pa.array(list(weights.values()), pa.float64())}
        )
        con.register("given_weights", rows)
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT {key}, weight::DECIMAL(9, 4) AS weight FROM given_weights"  # noqa: S608 - fixed names
        )
        con.unregister("given_weights")
