"""The check of the day's processing models: what is wrong with them before they run, as check result and violations."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import dagster as dg

from omgov_assets.admission.model_violations import replace_model_violations
from omgov_assets.components.business_system import dataset_key
from omgov_assets.components.firm import LAKE_POOL, daily_partitions, day_of, governance_of
from omgov_assets.components.lake_resource import LakeResource
from omgov_assets.model_management.control import PROCESSING_MODELS
from omgov_assets.model_management.governance import Governance
from omgov_assets.model_management.model_check import CODES, ModelReport, check_models
from omgov_assets.quality_analysis.cmdb import SYSTEM, model_owners

MODELS_KEY = dg.AssetKey(PROCESSING_MODELS.split("/"))
CHECK = "conformity"
# Findings that a page shows; all of them are printed by `omgov check-models`.
SHOWN = 100


def build_model_checks(governance: Governance) -> dg.AssetChecksDefinition:
    """The check on ``control/processing_models``; it waits for the owners and groups that the CMDB delivers."""
    cmdb = governance.systems.get(SYSTEM)
    people = [dataset_key(SYSTEM, name) for name in ("owners", "support_groups") if cmdb and name in cmdb.datasets]

    @dg.multi_asset_check(
        name="processing_model_checks",
        specs=[
            dg.AssetCheckSpec(
                CHECK,
                asset=MODELS_KEY,
                additional_deps=people,
                # Derived metrics and violations wait for it; what is at fault is of severity WARN.
                blocking=True,
                description="Every processing model is one sound SELECT over its contracts, in right units and grades.",
                partitions_def=daily_partitions(),
            )
        ],
        pool=LAKE_POOL,
        description="Checks the processing models without running them.",
    )
    def processing_model_checks(context: dg.AssetCheckExecutionContext, lake: LakeResource) -> dg.AssetCheckResult:
        day = day_of(context)
        current = governance_of(lake.settings.project)
        owners = model_owners(lake.lake, day)
        report = check_models(current, owners=owners)
        with lake.get_connection() as con:
            replace_model_violations(con, lake.lake, day, list(current.systems), report.findings, _hashes(current))
        return _result(report, day.isoformat(), owners)

    return processing_model_checks


def _hashes(governance: Governance) -> dict[str, str]:
    hashes = {
        f"{system.name}/{name}": dataset.model.content_hash
        for system in governance.systems.values()
        for name, dataset in system.datasets.items()
    }
    return hashes | {str(model.header.metric): model.content_hash for model in governance.derived}


def _result(report: ModelReport, day: str, owners: Mapping[str, bool] | None) -> dg.AssetCheckResult:
    faults = [finding for finding in report.findings if finding.severity != "info"]
    by_code = Counter(finding.code for finding in faults)
    models = len({finding.model for finding in faults})
    metadata: dict[str, Any] = {
        "models": len(report.models),
        "findings": len(faults),
        "critical": sum(finding.severity == "critical" for finding in faults),
        "day": day,
        "owners_judged": owners is not None,
    }
    if report.findings:
        metadata["findings_table"] = dg.MetadataValue.table(
            [dg.TableRecord(asdict(finding)) for finding in report.findings[:SHOWN]]
        )
    if report.models:
        metadata["models_table"] = dg.MetadataValue.table(
            [
                dg.TableRecord(
                    {
                        "model": summary.name,
                        "version": summary.version,
                        "owner": summary.owner,
                        "reads": ", ".join((*summary.inputs, *summary.metrics)),
                        "findings": sum(finding.model == summary.name for finding in faults),
                    }
                )
                for summary in report.models
            ]
        )
    if by_code:
        metadata["by_code"] = dg.MetadataValue.table(
            [dg.TableRecord({"code": code, "findings": n, "means": CODES[code]}) for code, n in by_code.most_common()]
        )
        metadata["recovery"] = dg.MetadataValue.md("\n".join(f"- {finding.remedy}" for finding in faults[:SHOWN]))
    first = faults[0] if faults else None
    return dg.AssetCheckResult(
        asset_key=MODELS_KEY,
        check_name=CHECK,
        passed=not faults,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(faults)} findings on {models} of {len(report.models)} models; "
        f"{first.path}:{first.line}:{first.column}: {first.problem}; {first.remedy}"
        if first
        else f"all {len(report.models)} processing models are sound",
        metadata=metadata,
    )
