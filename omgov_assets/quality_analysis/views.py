"""A DuckDB file of views on the lake's tables, which BI tools and notebooks open as a database.

Belongs here: which tables are shown, and the bridge views of dimensions with several values. Does not belong here:
sharing beyond this machine (``interface_service``): who can open the file can read the lake.
"""

from __future__ import annotations

from pathlib import Path

from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.masks import OPEN_GRADE
from omgov_assets.data_lake.sql import identifier, literal
from omgov_assets.quality_analysis.anomalies import ANOMALIES
from omgov_assets.quality_analysis.rankings import RANKINGS
from omgov_assets.quality_analysis.scorecards import SCORECARDS
from omgov_assets.quality_analysis.statistics import STATISTICS
from omgov_assets.quality_policy.violations import CHECK_RESULTS, VIOLATIONS

VIEWS: dict[str, str] = {
    "anomalies": ANOMALIES,
    "anomaly_statistics": STATISTICS,
    "anomaly_rankings": RANKINGS,
    "scorecards": SCORECARDS,
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

    Each view shows all days of its table, as they are now, without the columns graded above 2; tables and columns bear
    the descriptions of their contracts. ``anomaly_applications`` and ``anomaly_network_devices`` (day, anomaly_id, key)
    join to ``anomalies``.

    Returns:
        Names of the views.
    """
    unfinished = path.with_suffix(".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished.unlink(missing_ok=True)
    written = []
    with lake.connect() as con:
        con.execute(f"ATTACH {literal(str(unfinished))} AS views (STORAGE_VERSION {literal(STORAGE_VERSION)})")
        for view, table in VIEWS.items():
            if lake.open(table) is None:
                continue
            schema = lake.schema(table)
            columns = [column for column in schema.columns if column.grade <= OPEN_GRADE]
            shown = ", ".join(identifier(column.name) for column in columns)
            con.execute(f"CREATE VIEW views.{view} AS SELECT {shown} FROM ({lake.query(table)})")  # noqa: S608 - names and quoted paths
            con.execute(f"COMMENT ON VIEW views.{view} IS {literal(f'{table} of the lake, all days')}")
            for column in columns:
                con.execute(
                    f"COMMENT ON COLUMN views.{view}.{identifier(column.name)} IS {literal(column.description)}"
                )
            written.append(view)
        if "anomalies" in written:
            for view, (values, key) in BRIDGES.items():
                con.execute(
                    f"CREATE VIEW views.{view} AS SELECT day, anomaly_id, unnest({values}) AS {key} "  # noqa: S608 - names of this module
                    f"FROM ({lake.query(ANOMALIES)})"
                )
                written.append(view)
        con.execute("DETACH views")
    unfinished.replace(path)
    return written
