"""The small firm with points and a second business system, for tests of derived metrics.

Both systems deliver CSV: ``SYSTEM`` in the standard's units, ``SUBSIDIARY`` in whatever unit its instances say.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path

import yaml
from small_firm import COLUMNS, DAY, FORMATS, SYSTEM, SmallFirm, build_small_firm, csv_text, instance

from omgov_assets.data_lake.settings import Settings

SUBSIDIARY = "subsidiary_monitoring"
SAMPLE_COLUMNS = ["metric", "ci", "device", "observed", "value"]

# Standard metrics that no system of the firm delivers, for models to derive.
PEAK = "app.response.peak"
LASTING = "app.response.lasting"
LOAD = "app.response.load"

_MAPPINGS = """mappings:
  - {match: cpu, metric: system.cpu.utilization}
  - {match: latency, metric: http.server.request.duration}
  - {match: 交易延迟, metric: trading.order.latency}
"""
_METRICS = "".join(
    f"""  - metric: {name}
    brief: For tests.
    unit: "{unit}"
    instrument: gauge
    value_type: double
    interval_s: 900
    valid_min: 0
    valid_max: {greatest}
    ci_classes: [application, host]
    grade: 2
"""
    for name, unit, greatest in ((PEAK, "ms", 1000), (LASTING, "s", "null"), (LOAD, "%", 100))
)
_SAMPLES_MODEL = """/* ---
kind: conform
dataset: metric_samples
version: 1.0.0
owner: data@example.com
description: As delivered.
--- */
SELECT
    metric AS source_metric, ci AS ci_id,
    CASE WHEN device IS NULL THEN MAP {}::MAP(VARCHAR, VARCHAR) ELSE MAP {'device': device} END AS attributes,
    observed AT TIME ZONE 'Asia/Shanghai' AS observed_at, value, _batch_id, _record_no
FROM source
"""
_SAMPLES_CONTRACT = """apiVersion: v3.1.0
kind: DataContract
id: metric_samples
version: 1.0.0
status: active
schema:
  - name: metric_samples
    logicalType: object
    properties:
      - {name: metric, physicalType: VARCHAR, required: true, classification: "1"}
      - {name: ci, physicalType: VARCHAR, required: true, classification: "1"}
      - {name: device, physicalType: VARCHAR, classification: "1"}
      - {name: observed, physicalType: TIMESTAMP, required: true, classification: "1"}
      - {name: value, physicalType: DOUBLE, classification: "1"}
"""

# The greatest latency of each CI and device in each quarter of an hour.
PEAK_SQL = """
SELECT ci_id, attributes, time_bucket(INTERVAL '15 minutes', observed_at) AS observed_at, max(value) AS value
FROM metric_samples
WHERE metric = 'http.server.request.duration' AND value IS NOT NULL
GROUP BY ALL
"""


def build_deriving_firm(root: Path) -> SmallFirm:
    """Write the project of the firm below a folder; it has no derive model yet."""
    firm = build_small_firm(root)
    definitions = firm.settings.governance / "standard" / "metric_definitions" / "of_tests.yaml"
    definitions.write_text(f"owner: data@example.com\nmetrics:\n{_METRICS}", encoding="utf-8")
    folder = firm.system_folder
    (folder / "metric_samples.odcs.yaml").write_text(_SAMPLES_CONTRACT)
    (folder / "metric_samples.sql").write_text(_SAMPLES_MODEL)
    (folder / "metric_mappings.yaml").write_text(_MAPPINGS, encoding="utf-8")
    component = yaml.safe_load((folder / "defs.yaml").read_text())
    component["attributes"]["datasets"]["metric_samples"] = {"format": "csv"}
    (folder / "defs.yaml").write_text(yaml.safe_dump(component, sort_keys=False))
    other = folder.parent / SUBSIDIARY
    shutil.copytree(folder, other)
    component["attributes"]["system"] = SUBSIDIARY
    (other / "defs.yaml").write_text(yaml.safe_dump(component, sort_keys=False))
    return firm


def firm_at(root: Path) -> SmallFirm:
    """The firm of a copy of the folder that it was built below."""
    return SmallFirm(Settings(home=root / "home", project=root / "project"), FORMATS["csv"])


def write_model(firm: SmallFirm, metric: str, sql: str, dataset: str = "metric_samples", **header: object) -> Path:
    """Write a derive model; ``header`` replaces fields of its header."""
    fields: dict[str, object] = {
        "kind": "derive",
        "dataset": dataset,
        "metric": metric,
        "version": "1.0.0",
        "owner": "data@example.com",
        "description": "For tests.",
        "interval_s": 900,
        "window_s": 900,
    }
    path = firm.settings.governance / "derived_metrics" / f"{metric}.sql"
    path.parent.mkdir(exist_ok=True)
    text = yaml.safe_dump({**fields, **header}, sort_keys=False, allow_unicode=True)
    path.write_text(f"/* ---\n{text}--- */\n{sql.strip()}\n", encoding="utf-8")
    return path


def series(metric: str, ci: str, unit: str | None, device: str | None = None) -> dict[str, object]:
    """An instance of the inventory."""
    return instance(metric=metric, ci=ci, unit=unit, device=device)


def point(metric: str, ci: str, clock: str, value: float | None, device: str | None = None) -> dict[str, object]:
    """A point of DAY at a time of day in Shanghai, or at a full time."""
    observed = clock if " " in clock else f"{DAY} {clock}"
    return {"metric": metric, "ci": ci, "device": device, "observed": observed, "value": value}


def deliver(
    firm: SmallFirm,
    instances: Mapping[str, Iterable[dict[str, object]]],
    points: Mapping[str, Iterable[dict[str, object]]],
    day: date = DAY,
) -> None:
    """Land the inventory and points of the systems named; nothing of the others."""
    inventory_columns = COLUMNS[SYSTEM, "metric_instances"]
    for dataset, columns, delivered in (
        ("metric_instances", inventory_columns, instances),
        ("metric_samples", SAMPLE_COLUMNS, points),
    ):
        for system, records in delivered.items():
            path = firm.folder(system, dataset, day) / f"{dataset}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(csv_text(columns, list(records)), encoding="utf-8")


def collect(firm: SmallFirm, day: date = DAY) -> None:
    """Take what the two systems delivered of inventory and points through the gate."""
    for system in (SYSTEM, SUBSIDIARY):
        firm.collect(system, day, "metric_instances", "metric_samples")
