"""Publishing control information as data: which standard a day was judged by.

Does not belong here: quality policies as data (``quality_policy.publication``).
"""

from __future__ import annotations

from datetime import date

import pyarrow as pa

from omgov_assets.data_lake.lake import Lake
from omgov_assets.model_management.governance import Governance

STANDARD_METRICS = "control/standard_metrics"
METRIC_MAPPINGS = "control/metric_mappings"


def publish_standard_metrics(lake: Lake, governance: Governance, day: date) -> int:
    """Write ``control/standard_metrics`` of the day; returns the number of metrics."""
    schema = lake.schema(STANDARD_METRICS).arrow
    rows = [
        {**metric.model_dump(mode="json"), "day": day, "content_hash": governance.metrics_hash}
        for metric in governance.metrics
    ]
    lake.replace(STANDARD_METRICS, day, pa.Table.from_pylist(rows, schema=schema))
    return len(rows)


def publish_metric_mappings(lake: Lake, governance: Governance, day: date) -> int:
    """Write ``control/metric_mappings`` of the day; returns the number of rules."""
    schema = lake.schema(METRIC_MAPPINGS).arrow
    rows = [
        {
            "day": day,
            "system": system.name,
            "position": position,
            "match": mapping.match,
            "metric": mapping.metric,
            "unit": mapping.unit,
            "content_hash": system.mappings_hash,
        }
        for system in governance.systems.values()
        for position, mapping in enumerate(system.mappings, start=1)
    ]
    lake.replace(METRIC_MAPPINGS, day, pa.Table.from_pylist(rows, schema=schema))
    return len(rows)
