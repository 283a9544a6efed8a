"""A DuckDB file of views on the lake's tables, which BI tools and notebooks open as a database.

Belongs here: which tables are shown, and the bridge views of dimensions with several values. Does not belong here:
sharing beyond this machine (``interface_service``): who can open the file can read the lake.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

import duckdb

from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.locks import sole_holder
from omgov_assets.data_lake.masks import OPEN_GRADE
from omgov_assets.data_lake.sql import identifier, literal
from omgov_assets.quality_analysis.anomalies import ANOMALIES
from omgov_assets.quality_analysis.case_tables import CASE_EVENTS, CASE_MEMBERS, CASES, WAIVERS
from omgov_assets.quality_analysis.compliance import COMPLIANCE
from omgov_assets.quality_analysis.rankings import RANKINGS
from omgov_assets.quality_analysis.root_causes import ANOMALY_CAUSES, ROOT_CAUSES
from omgov_assets.quality_analysis.scorecards import SCORECARDS
from omgov_assets.quality_analysis.statistics import STATISTICS
from omgov_assets.quality_policy.dynamic_baselines.learning import DYNAMIC_BASELINES
from omgov_assets.quality_policy.violations import CHECK_RESULTS, VIOLATIONS

VIEWS: dict[str, str] = {
    "anomalies": ANOMALIES,
    "anomaly_statistics": STATISTICS,
    "anomaly_rankings": RANKINGS,
    "root_causes": ROOT_CAUSES,
    "anomaly_causes": ANOMALY_CAUSES,
    "cases": CASES,
    "case_members": CASE_MEMBERS,
    "case_events": CASE_EVENTS,
    "waivers": WAIVERS,
    "scorecards": SCORECARDS,
    "compliance": COMPLIANCE,
    "dynamic_baselines": DYNAMIC_BASELINES,
    "violations": VIOLATIONS,
    "check_results": CHECK_RESULTS,
    "admission_ledger": "admission/ledger",
    "configuration_items": "cmdb/configuration_items",
    "ci_relations": "cmdb/ci_relations",
    "support_groups": "cmdb/support_groups",
    "owners": "cmdb/owners",
}

# One row for each anomaly and each of its values.
BRIDGES: dict[str, tuple[str, str]] = {
    "anomaly_applications": ("application_ids", "application_id"),
    "anomaly_network_devices": ("network_device_ids", "network_device_id"),
}

# The oldest that DuckDB promises to read and write: tools bring their own, often older, DuckDB.
STORAGE_VERSION = "v1.0.0"


def write_views(lake: Lake, path: Path) -> list[str]:
    """Write the file anew, in place of an earlier one; who has that open goes on reading it.

    The file is read-only: tools open it with ``access_mode=read_only``. Each view shows all days of its table, as they
    are now, without the columns graded above 2; tables and columns bear the descriptions of their contracts.
    ``anomaly_applications`` and ``anomaly_network_devices`` (day, anomaly_id, key) join to ``anomalies``.

    Returns:
        Names of the views; none, and no file, where the lake is empty.
    """
    with sole_holder(path.parent, path.name):
        unfinished = path.with_name(f".{path.name}.{uuid4().hex}.part")
        try:
            written = _write(lake, unfinished)
            if written:
                # A log that somebody's writing left behind would be replayed into the new file.
                path.with_name(f"{path.name}.wal").unlink(missing_ok=True)
                unfinished.chmod(0o444)
                unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    return written


def _write(lake: Lake, path: Path) -> list[str]:
    """Write all views into a new file."""
    written = [view for view, table in VIEWS.items() if lake.open(table) is not None]
    if not written:
        return []
    with lake.connect() as con:
        con.execute(f"ATTACH {literal(str(path))} AS views (STORAGE_VERSION {literal(STORAGE_VERSION)})")
        for view in written:
            schema = lake.schema(VIEWS[view])
            columns = {column.name: column.description for column in schema.columns if column.grade <= OPEN_GRADE}
            shown = ", ".join(map(identifier, columns))
            query = f"SELECT {shown} FROM ({lake.query(VIEWS[view])})"  # noqa: S608 - names and quoted paths
            _create(con, view, query, f"{VIEWS[view]} of the lake, all days", columns)
        for view, (values, key) in BRIDGES.items() if "anomalies" in written else ():
            query = f"SELECT day, anomaly_id, unnest({values}) AS {key} FROM ({lake.query(ANOMALIES)})"  # noqa: S608
            columns = {
                "day": "Business day.",
                "anomaly_id": "Key of anomalies, with the day.",
                key: f"One of {values}.",
            }
            _create(con, view, query, f"One row for each anomaly and each of its {values}", columns)
            written.append(view)
        con.execute("DETACH views")
    return written


def _create(con: duckdb.DuckDBPyConnection, view: str, query: str, comment: str, columns: Mapping[str, str]) -> None:
    con.execute(f"CREATE VIEW views.{view} AS {query}")
    con.execute(f"COMMENT ON VIEW views.{view} IS {literal(comment)}")
    for name, description in columns.items():
        con.execute(f"COMMENT ON COLUMN views.{view}.{identifier(name)} IS {literal(description)}")
