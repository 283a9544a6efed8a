"""Whether a processing model is fit to bring data in: what the static check says of it, asked once for each content.

Does not belong here: checking (``model_management.model_check``).
"""

from __future__ import annotations

from omgov_assets.model_management.documents import content_hash
from omgov_assets.model_management.governance import Governance
from omgov_assets.model_management.model_check import check_models
from omgov_assets.model_management.model_findings import ModelFinding

# Findings by a hash of what was checked: a process sees few states of the control information, one after the other.
_KEPT = 8
_findings: dict[str, tuple[ModelFinding, ...]] = {}


def model_fault_of(governance: Governance, model: str) -> str | None:
    """Why a model must not run, in a sentence; None where it may.

    Args:
        governance: control information.
        model: ``<system>/<dataset>``.
    """
    critical = [f for f in static_findings(governance) if f.model == model and f.severity == "critical"]
    if not critical:
        return None
    first = critical[0]
    more = f" (and {len(critical) - 1} more: omgov check-models)" if len(critical) > 1 else ""
    return (
        f"{first.path}:{first.line}:{first.column}: {first.code}: {first.problem}; {first.remedy}{more}; "
        f"its owner {first.owner} corrects it"
    )


def static_findings(governance: Governance) -> tuple[ModelFinding, ...]:
    """What the static check finds in all models of a firm."""
    key = content_hash(
        str(governance.project),
        governance.metrics_hash,
        governance.units_hash,
        *(contract.content_hash for contract in governance.contracts.values()),
        *(
            content_hash(system.name, name, dataset.contract_hash, dataset.model.content_hash, system.mappings_hash)
            for system in governance.systems.values()
            for name, dataset in system.datasets.items()
        ),
        *(model.content_hash for model in governance.derived),
    )
    if key not in _findings:
        while len(_findings) >= _KEPT:
            _findings.pop(next(iter(_findings)))
        _findings[key] = check_models(governance).findings
    return _findings[key]
