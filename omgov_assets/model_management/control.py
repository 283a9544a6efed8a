"""Publishing control information as data: which standard a day was judged by, and who last changed it.

Each function writes one table of the day and leaves the day alone where it says the same already. Does not belong here:
quality policies as data (``quality_policy.publication``), data contracts (``contract_publication``), and what changed
between two days (``control_diff``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from omgov_assets.data_lake.lake import Lake
from omgov_assets.model_management.documents import content_hash
from omgov_assets.model_management.governance import Governance
from omgov_assets.model_management.processing_models import DERIVED_SYSTEM, ProcessingModel
from omgov_assets.model_management.provenance import Provenance, author_of, control_files

DOCUMENTS = "control/documents"
STANDARD_METRICS = "control/standard_metrics"
METRIC_MAPPINGS = "control/metric_mappings"
PROCESSING_MODELS = "control/processing_models"
BASELINE_METRICS = "control/baseline_metrics"

METRIC_DEFINITIONS = "governance/standard/metric_definitions"
BASELINE_DOCUMENT = "governance/standard/baseline_metrics.yaml"
DELETED = f"deleted from {METRIC_DEFINITIONS}"

# What a file decides, by the end of its path or the folder it lies in; the first that fits.
_KINDS = (
    (".odcs.yaml", "data_contract"),
    ("/defs.yaml", "business_system"),
    ("/metric_mappings.yaml", "metric_mappings"),
    ("/policy_views/", "policy_view"),
    (f"{METRIC_DEFINITIONS}/", "metric_definitions"),
    (BASELINE_DOCUMENT, "baseline_metrics"),
    ("/unit_spellings.yaml", "unit_spellings"),
    ("/glossary.yaml", "glossary"),
    ("governance/firm.yaml", "firm"),
    ("governance/scorecards.yaml", "score_rules"),
    ("governance/dynamic_baselines.yaml", "dynamic_baseline_rules"),
    ("governance/root_causes.yaml", "root_cause_rules"),
    ("governance/exceptions.yaml", "exception_rules"),
    ("governance/trading_calendar.yaml", "trading_calendar"),
    ("governance/admission.yaml", "admission_rules"),
    ("governance/alert_routes.yaml", "alert_routes"),
    ("governance/access/access.yaml", "access_rules"),
    ("governance/compliance/", "compliance_rules"),
    (".jwks.json", "identity_provider_keys"),
    (".cedar", "access_policies"),
    (".cedarschema", "access_policy_schema"),
    ("governance/wording.yaml", "wording"),
    (".sql", "processing_model"),
    ("expectations/", "quality_policies"),
)

Rows = Sequence[Mapping[str, Any]]
NOTHING_KNOWN: Mapping[str, Provenance] = {}


def publish_documents(
    lake: Lake, governance: Governance, day: date, provenance: Mapping[str, Provenance] = NOTHING_KNOWN
) -> int:
    """Write ``control/documents`` of the day, one row per file of the project; returns their number."""
    versions = _declared_versions(governance)
    rows = []
    for path in control_files(governance.project):
        content = (governance.project / path).read_bytes()
        known = provenance.get(path)
        rows.append(
            {
                "day": day,
                # Names and texts that are not UTF-8 cannot be stored as they are.
                "path": path.encode(errors="backslashreplace").decode(),
                "kind": document_kind(path),
                "version": versions.get(path),
                "content_hash": content_hash(content.decode(errors="backslashreplace")),
                "author": known.author if known else None,
                "commit": known.commit if known else None,
                "committed_at": known.committed_at if known else None,
                "size": len(content),
            }
        )
    return publish_rows(lake, DOCUMENTS, day, rows)


def publish_standard_metrics(
    lake: Lake, governance: Governance, day: date, provenance: Mapping[str, Provenance] = NOTHING_KNOWN
) -> int:
    """Write ``control/standard_metrics`` of the day; returns the number of metrics.

    A metric is withdrawn, never deleted: one that an earlier day knew and the project no longer has is published as
    withdrawn since the day on which it was first missed.
    """
    rows: list[dict[str, Any]] = []
    for metric in governance.metrics:
        document = f"{METRIC_DEFINITIONS}/{metric.document}"
        rows.append(
            {
                **metric.model_dump(),
                "document": document,
                "author": author_of(provenance, document),
            }
        )
    rows += deleted_metrics(lake, governance, day)
    own = {"day": day, "content_hash": governance.metrics_hash}
    return publish_rows(lake, STANDARD_METRICS, day, [{**row, **own} for row in rows])


def deleted_metrics(lake: Lake, governance: Governance, day: date) -> list[dict[str, Any]]:
    """Metrics that the last day before published and the project no longer has, as they are to be published."""
    before = lake.previous_day(STANDARD_METRICS, day)
    if before is None:
        return []
    defined = {metric.metric for metric in governance.metrics}
    return [
        # One that was withdrawn before keeps its day, so that its grace period does not begin anew.
        row if row["stability"] == "withdrawn" else row | {"stability": "withdrawn", "since": day, "reason": DELETED}
        for row in published_rows(lake, STANDARD_METRICS, before)
        if row["metric"] not in defined
    ]


def publish_metric_mappings(
    lake: Lake, governance: Governance, day: date, provenance: Mapping[str, Provenance] = NOTHING_KNOWN
) -> int:
    """Write ``control/metric_mappings`` of the day; returns the number of rules."""
    rows = []
    for system in governance.systems.values():
        document = _relative(governance, system.folder / "metric_mappings.yaml")
        for position, mapping in enumerate(system.mappings, start=1):
            rows.append(
                {
                    "day": day,
                    "system": system.name,
                    "position": position,
                    "match": mapping.match,
                    "regex": mapping.regex,
                    "metric": mapping.metric,
                    "unit": mapping.unit,
                    "attributes": json.dumps(mapping.attributes, ensure_ascii=False, sort_keys=True)
                    if mapping.attributes
                    else None,
                    "overrides": mapping.overrides,
                    "document": document,
                    "author": author_of(provenance, document),
                    "content_hash": system.mappings_hash,
                }
            )
    return publish_rows(lake, METRIC_MAPPINGS, day, rows)


def publish_processing_models(
    lake: Lake, governance: Governance, day: date, provenance: Mapping[str, Provenance] = NOTHING_KNOWN
) -> int:
    """Write ``control/processing_models`` of the day; returns the number of models."""
    models = [
        (system.name, dataset.model) for system in governance.systems.values() for dataset in system.datasets.values()
    ]
    models += [(DERIVED_SYSTEM, model) for model in governance.derived]
    rows = []
    for system_name, model in models:
        document = _relative(governance, model.path)
        rows.append(
            {
                **model.header.model_dump(),
                "day": day,
                "system": system_name,
                "sql": model.sql,
                "sql_hash": content_hash(model.sql),
                "document": document,
                "author": author_of(provenance, document),
                "content_hash": model.content_hash,
            }
        )
    return publish_rows(lake, PROCESSING_MODELS, day, rows)


def publish_baseline_metrics(
    lake: Lake, governance: Governance, day: date, provenance: Mapping[str, Provenance] = NOTHING_KNOWN
) -> int:
    """Write ``control/baseline_metrics`` of the day, one row per class, tier and metric; returns their number."""
    whole = content_hash(*(rule.model_dump_json() for rule in governance.baseline))
    tiers_of_all: tuple[None] = (None,)
    rows = [
        {
            "day": day,
            "ci_class": rule.ci_class,
            "tier": tier,
            "metric": metric,
            "document": BASELINE_DOCUMENT,
            "author": author_of(provenance, BASELINE_DOCUMENT),
            "content_hash": whole,
        }
        for rule in governance.baseline
        for tier in rule.tiers or tiers_of_all
        for metric in rule.metrics
    ]
    return publish_rows(lake, BASELINE_METRICS, day, rows)


def publish_rows(lake: Lake, table: str, day: date, rows: Rows) -> int:
    """Make a day of a table hold exactly these rows; returns their number. No commit where it does so already."""
    schema = lake.schema(table).arrow
    wanted = pa.Table.from_pylist([dict(row) for row in rows], schema=schema)
    held = _published(lake, table, day) if lake.has_day(table, day) else None
    if (held is None and rows) or (held is not None and not held.cast(schema).equals(wanted)):
        lake.replace(table, day, wanted)
    return len(rows)


def published_rows(lake: Lake, table: str, day: date) -> list[dict[str, Any]]:
    """Rows of a day of a table, in the order in which they were published."""
    rows: list[dict[str, Any]] = _published(lake, table, day).to_pylist()
    return rows


def document_kind(path: str) -> str:
    """What a file of the project decides, by its path."""
    return next(
        (kind for mark, kind in _KINDS if path.endswith(mark) or (mark.endswith("/") and mark in path)), "other"
    )


def _published(lake: Lake, table: str, day: date) -> pa.Table:
    with lake.connect() as con:
        lake.register(con, "published", table, day)
        return con.sql("SELECT * FROM published").to_arrow_table()


def _declared_versions(governance: Governance) -> dict[str, str]:
    contracts = [*governance.contracts.values()]
    models: list[ProcessingModel] = []
    for system in governance.systems.values():
        contracts += [dataset.source_contract for dataset in system.datasets.values()]
        models += [dataset.model for dataset in system.datasets.values()]
    models += governance.derived
    return {_relative(governance, contract.path): contract.version for contract in contracts} | {
        _relative(governance, model.path): model.header.version for model in models
    }


def _relative(governance: Governance, path: Path) -> str:
    return path.relative_to(governance.project).as_posix()
