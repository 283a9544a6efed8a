"""What became of every subject that ever had an anomaly: the truth of the members of cases, day by day.

Belongs here: when an anomaly that is gone is resolved, when it is withdrawn, and when nobody can know. Does not belong
here: which anomalies a day has (``truth``), what can be judged without a delivery (``judgeable``).
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa

from omgov_assets.sample_firm.business_day import BusinessDay
from omgov_assets.sample_firm.judgeable import Deliveries
from omgov_assets.sample_firm.truth import Truth, write_table

_TO_JUDGE_SQL = "SELECT DISTINCT system, dataset, anomaly_type, defect FROM members WHERE state = 'open' ORDER BY ALL"
# A series is in the inventory of a day by its identity: one that changes its attributes is another one.
_AFTER_SQL = """
SELECT
    $day::DATE AS day,
    system,
    dataset,
    anomaly_type,
    subject_kind,
    subject_key,
    state,
    is_verified,
    CASE WHEN state IS DISTINCT FROM state_before THEN $day::DATE ELSE state_day END AS state_day,
    defect
FROM (
    SELECT
        system,
        dataset,
        anomaly_type,
        subject_kind,
        subject_key,
        CASE
            WHEN now.defect IS NOT NULL THEN 'open'
            WHEN before.state <> 'open' THEN before.state
            WHEN NOT is_judged THEN 'open'
            WHEN is_instance AND NOT is_there THEN 'withdrawn'
            ELSE 'resolved'
        END AS state,
        now.defect IS NOT NULL OR before.state <> 'open' OR is_judged AS is_verified,
        before.state AS state_before,
        before.state_day,
        coalesce(now.defect, before.defect) AS defect
    FROM now
    FULL JOIN (
        SELECT
            members.*,
            judged.is_judged,
            dataset = 'metric_instances' AND subject_kind = 'row' AND anomaly_type <> 'refused_record' AS is_instance,
            inventory.instance_id IS NOT NULL AS is_there
        FROM members
        LEFT JOIN judged USING (system, dataset, anomaly_type, defect)
        LEFT JOIN inventory ON inventory.system = members.system AND inventory.instance_id = members.subject_key
    ) AS before USING (system, dataset, anomaly_type, subject_kind, subject_key)
)
ORDER BY system, dataset, anomaly_type, subject_kind, subject_key
"""
_COLUMNS = ("system", "dataset", "anomaly_type", "subject_kind", "subject_key")
_TOLD = ("day", *_COLUMNS, "state", "is_verified", "state_day")


class Members:
    """Every subject that had an anomaly on a day so far, and its state after the last of them."""

    def __init__(self) -> None:
        """Nobody yet."""
        self._members = pa.schema(
            [
                ("day", pa.date32()),
                *((name, pa.string()) for name in (*_COLUMNS, "state")),
                ("is_verified", pa.bool_()),
                ("state_day", pa.date32()),
                ("defect", pa.string()),
            ]
        ).empty_table()

    def live(
        self, con: duckdb.DuckDBPyConnection, day: BusinessDay, truth: Truth, deliveries: Deliveries, out: Path
    ) -> None:
        """Let a day pass, and write ``truth/members/<day>.parquet``.

        Columns: day, system, dataset, anomaly_type, subject_kind, subject_key; state (open, resolved, withdrawn);
        is_verified (whether that is known of the day: false where it is open because nobody could judge it);
        state_day (since when it is so).
        """
        named = {
            "members": self._members,
            "now": truth.table(),
            "inventory": truth.inventory(),
            "judged": self._judged(con, deliveries),
        }
        for name, table in named.items():
            con.register(name, table)
        try:
            self._members = con.sql(_AFTER_SQL, params={"day": day.day}).to_arrow_table()
        finally:
            for name in named:
                con.unregister(name)
        write_table(self._members.select(_TOLD), out / "truth" / "members" / f"{day.day.isoformat()}.parquet")

    def _judged(self, con: duckdb.DuckDBPyConnection, deliveries: Deliveries) -> pa.Table:
        """For each kind of open anomaly whether it can be judged on the day."""
        con.register("members", self._members)
        kinds = con.sql(_TO_JUDGE_SQL).to_arrow_table()
        con.unregister("members")
        judged = [deliveries.can_judge(*kind) for kind in zip(*(c.to_pylist() for c in kinds.columns), strict=True)]
        return kinds.append_column("is_judged", pa.array(judged, pa.bool_()))
