"""What is wrong in the catalogues of Datadog, OpenTelemetry, Nightingale and HertzBeat, by the raw tables."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tarfile
from collections import Counter
from functools import cache
from pathlib import Path

from oracle import Findings

Row = dict[str, str]

DATADOG = "datadog/datadog_elements.csv.gz"
OPENTELEMETRY = "catalogues/otel_metrics.csv.gz"
NIGHTINGALE = "catalogues/nightingale_metrics.csv.gz"
HERTZBEAT = "catalogues/hertzbeat_fields.csv.gz"
NEWEST_SNAPSHOTS = {"core": "2025-09-16", "extras": "2026-08-21"}

# Units that have two meanings or none; all others of the catalogues have one.
AMBIGUOUS_UNITS = {"Mb", "kb", "mbps", "G", "sbc", "time", "nanocore"}
# OpenTelemetry metrics whose unit does not measure what they measure, among those that the example maps.
MISMEASURED = {
    "cpu.frequency": "{Hz}",
    "system.linux.memory.available": "{packet}",
    "system.linux.memory.slab.usage": "{packet}",
}


@cache
def catalogue(real_data: Path, name: str) -> tuple[Row, ...]:
    """A raw table; an empty field is an empty text."""
    with gzip.open(real_data / name, "rt", encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


@cache
def datadog_in_force(real_data: Path) -> tuple[Row, ...]:
    """Datadog's definitions of the newest snapshot of each repository."""
    return tuple(row for row in catalogue(real_data, DATADOG) if row["snapshot"] == NEWEST_SNAPSHOTS[row["repo"]])


@cache
def datadog_originals(real_data: Path) -> tuple[Row, ...]:
    """The same definitions from the original metadata.csv files, to recount what the flattened table says."""
    rows: list[Row] = []
    for name in ("datadog_core_2025-09-16", "datadog_extras_2026-08-21"):
        with tarfile.open(real_data / "datadog" / f"{name}.tar.xz") as archive:
            for member in archive:
                if member.isfile() and Path(member.name).name == "metadata.csv":
                    content = archive.extractfile(member)
                    assert content is not None, member.name
                    text = io.TextIOWrapper(content, encoding="utf-8-sig", newline="")
                    rows += csv.DictReader(text)
    return tuple(rows)


def catalogue_findings(real_data: Path) -> Findings:
    """All findings in the catalogues."""
    return {
        **_datadog(datadog_in_force(real_data)),
        **_opentelemetry(catalogue(real_data, OPENTELEMETRY)),
        **_nightingale(catalogue(real_data, NIGHTINGALE)),
        **_hertzbeat(catalogue(real_data, HERTZBEAT)),
    }


def surplus_names(rows: tuple[Row, ...]) -> int:
    """Rows beyond the first of each metric name."""
    return len(rows) - len({row["metric_name"] for row in rows})


def successor(row: Row) -> str:
    """The metric that an OpenTelemetry metric was renamed to; empty where there is none."""
    return str(json.loads(row["deprecated"]).get("renamed_to", "")) if row["deprecated"] else ""


def _datadog(rows: tuple[Row, ...]) -> Findings:
    times = Counter(row["metric_name"] for row in rows)

    def names(system_rows: list[Row]) -> list[str]:
        return [row["metric_name"] for row in system_rows]

    def lines(system_rows: list[Row]) -> list[str]:
        return [f"{row['snapshot']}|{row['file']}|{row['line']}" for row in system_rows]

    definitions = ("datadog", "metric_definitions")
    metrics = ("datadog", "integration_metrics")
    return {
        (*definitions, "definition_unit_missing"): names([row for row in rows if not row["unit_name"]]),
        (*definitions, "definition_unit_unknown"): names([row for row in rows if row["unit_name"] in AMBIGUOUS_UNITS]),
        (*definitions, "definition_unit_incompatible"): [],
        (*definitions, "definition_duplicate"): names([row for row in rows if times[row["metric_name"]] > 1]),
        (*definitions, "definition_interval_missing"): names([row for row in rows if not row["interval"]]),
        (*definitions, "definition_interval_zero"): names([row for row in rows if row["interval"] == "0"]),
        (*definitions, "definition_description_missing"): names([row for row in rows if not row["description"]]),
        (*metrics, "rate_without_per_unit"): lines(
            [row for row in rows if row["metric_type"] == "rate" and not row["per_unit_name"]]
        ),
        (*metrics, "per_unit_without_unit"): lines(
            [row for row in rows if row["per_unit_name"] and not row["unit_name"]]
        ),
        (*metrics, "unit_contradicts_name"): lines(
            [
                row
                for row in rows
                if row["metric_name"].replace("_", ".").split(".")[-1] == "bytes"
                and row["unit_name"]
                and "byte" not in row["unit_name"]
            ]
        ),
    }


def _opentelemetry(rows: tuple[Row, ...]) -> Findings:
    units = {row["name"]: row["unit"] for row in rows}
    definitions = ("otel", "metric_definitions")
    conventions = ("otel", "semantic_conventions")
    return {
        (*definitions, "definition_unit_missing"): [row["name"] for row in rows if not row["unit"]],
        (*definitions, "definition_unit_unknown"): [],
        (*definitions, "definition_unit_incompatible"): [
            row["name"] for row in rows if MISMEASURED.get(row["name"]) == row["unit"]
        ],
        (*definitions, "definition_duplicate"): [],
        (*conventions, "deprecated_without_successor"): [
            row["name"] for row in rows if row["deprecated"] and not successor(row)
        ],
        (*conventions, "successor_unknown"): [
            row["name"] for row in rows if successor(row) and successor(row) not in units
        ],
        (*conventions, "successor_unit_differs"): [
            row["name"] for row in rows if units.get(successor(row), row["unit"]) != row["unit"]
        ],
    }


def _nightingale(rows: tuple[Row, ...]) -> Findings:
    definitions = ("nightingale", "metric_definitions")

    def name(row: Row) -> str:
        return f"{row['typ']}.{row['collector']}.{row['name']}"

    return {
        (*definitions, "definition_unit_missing"): [name(row) for row in rows if row["unit"] in ("", "none")],
        (*definitions, "definition_unit_unknown"): [],
        (*definitions, "definition_unit_incompatible"): [],
        (*definitions, "definition_duplicate"): [],
        (*definitions, "definition_instrument_missing"): [name(row) for row in rows if not row["metric_type"]],
        (*definitions, "counter_of_share"): [
            name(row) for row in rows if row["metric_type"] == "counter" and row["unit"] in ("percent", "%")
        ],
    }


def _hertzbeat(rows: tuple[Row, ...]) -> Findings:
    definitions = ("hertzbeat", "metric_definitions")

    def name(row: Row) -> str:
        return f"{row['app']}.{row['metric_set']}.{row['field']}"

    return {
        (*definitions, "definition_unit_missing"): [
            name(row) for row in rows if row["type"] == "0" and not row["unit"]
        ],
        (*definitions, "definition_unit_unknown"): [name(row) for row in rows if row["unit"] in AMBIGUOUS_UNITS],
        (*definitions, "definition_unit_incompatible"): [],
        (*definitions, "definition_duplicate"): [],
        (*definitions, "definition_type_missing"): [name(row) for row in rows if not row["type"]],
        (*definitions, "unit_on_text"): [name(row) for row in rows if row["type"] == "1" and row["unit"]],
        (*definitions, "definition_name_missing"): [name(row) for row in rows if not row["zh"] and not row["en"]],
    }
