"""Why a subject is flagged: its violations with the file and record that they came from."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.sql import read_sql
from omgov_assets.quality_analysis.case_tables import register_cases
from omgov_assets.quality_analysis.root_causes import ROOT_CAUSES
from omgov_assets.quality_analysis.root_causes.reading import register_explained


def explain_subject(lake: Lake, day: date, subject: str) -> list[dict[str, Any]]:
    """All violations of a subject on a day.

    Args:
        lake: the lake.
        day: business day.
        subject: subject key (instance id, CI, …) or anomaly id.

    Returns:
        One dictionary per violation: anomaly_type, severity, policy_id, expected, observed, since (first day of the
        run of days), whose it is, its root cause (conditions, and how many anomalies of the day that explains), its
        case (status, who answers for it, by when; a standing waiver that it is under), and the file and record it came
        from; empty where the subject has none.
    """
    with lake.connect() as con:
        lake.register(con, "violations", "quality/violations", day)
        register_explained(lake, con, day)
        lake.register(con, "root_causes", ROOT_CAUSES, day)
        register_cases(lake, con, day)
        lake.register(con, "ledger", "admission/ledger", day)
        query = read_sql(Path(__file__).with_name("explain.sql"))
        rows: list[dict[str, Any]] = con.sql(query, params={"subject": subject}).to_arrow_table().to_pylist()
    return rows
