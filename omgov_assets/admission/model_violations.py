"""Findings of processing models in the one stream of violations: subject ``processing_model``, with the model's owner.

Does not belong here: finding them (``model_management.model_check`` without data, ``model_output`` with data).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import groupby
from typing import Any

import duckdb
import pyarrow as pa

from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.sql import OneOf
from omgov_assets.model_management.model_findings import ModelFinding
from omgov_assets.model_management.processing_models import DERIVED_SYSTEM
from omgov_assets.quality_policy.violations import VIOLATIONS, replace_violations

# Stands for the dataset: findings are of the model, whatever it makes, and no policy on rows replaces them.
MODELS_DATASET = "processing_models"

_DIMENSIONS = {
    "accuracy": ("unit_differs", "unit_mixed", "fan_out", "window_too_short", "not_deterministic", "output_shift"),
    "completeness": ("nullable_output", "missing_output_column", "null_explosion", "rows_lost"),
    "consistency": ("retired_metric", "unknown_metric", "owner_unknown", "owner_inactive", "duplicate_output"),
    "coverage": ("unmapped_share",),
}
_DIMENSION_OF = {code: dimension for dimension, codes in _DIMENSIONS.items() for code in codes}


def model_policy(code: str) -> str:
    """Policy id of a finding's code."""
    return f"model.{code}"


def finding_rows(
    findings: Iterable[ModelFinding], day: date, system: str, dataset: str, hashes: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Findings as rows of ``quality/violations``, one for each model and code.

    Args:
        findings: findings above info are violations; what is for information only is none.
        day: business day.
        system: system that the violations stand under.
        dataset: dataset that they stand under.
        hashes: content hash by model.
    """
    ordered = sorted((f for f in findings if f.severity != "info"), key=lambda f: (f.model, f.code, f))
    rows = []
    for (model, code), group in groupby(ordered, key=lambda f: (f.model, f.code)):
        found = list(group)
        first = found[0]
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        rows.append(
            {
                "day": day,
                "system": system,
                "dataset": dataset,
                "policy_id": model_policy(code),
                "anomaly_type": f"model_{code}",
                "quality_dimension": _DIMENSION_OF.get(code, "conformity"),
                "severity": first.severity,
                "subject_kind": "processing_model",
                "subject_key": model,
                "column_name": None,
                "observed": f"{first.path}:{first.line}:{first.column}: {first.problem}{more}",
                "expected": first.remedy,
                "source_metric": None,
                "metric": model if system == DERIVED_SYSTEM else None,
                "ci_id": None,
                "collector": None,
                "batch_id": None,
                "record_no": None,
                "policy_hash": hashes.get(model),
                "data_version": None,
            }
        )
    return rows


def replace_model_violations(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    day: date,
    systems: Sequence[str],
    findings: Sequence[ModelFinding],
    hashes: Mapping[str, str],
) -> int:
    """Make the findings of a day's static check its violations; returns how many there are.

    Args:
        con: a connection of the lake.
        lake: the lake.
        day: business day.
        systems: business systems whose models were checked; those of derived metrics stand beside them.
        findings: all that was found.
        hashes: content hash by model.
    """
    schema = lake.schema(VIOLATIONS).arrow
    total = 0
    for system in (*systems, DERIVED_SYSTEM):
        own = [finding for finding in findings if _system_of(finding) == system]
        rows = finding_rows(own, day, system, MODELS_DATASET, hashes)
        total += len(rows)
        table = pa.Table.from_pylist(rows, schema=schema)
        replace_violations(con, lake, day, system, MODELS_DATASET, OneOf((), negated=True), table)
    return total


def _system_of(finding: ModelFinding) -> str:
    return finding.model.partition("/")[0] if "/" in finding.model else DERIVED_SYSTEM
