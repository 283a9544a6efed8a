"""Exception rules: when a case is due, when it comes back, how long a waiver lasts, and who answers for the rest.

Belongs here: ``governance/exceptions.yaml`` as checked objects. Does not belong here: following cases
(``exception_management``), telling people of them (``anomaly_alert``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from omgov_assets.model_management.documents import parse, read_yaml
from omgov_assets.model_management.score_rules import Severity

EXCEPTIONS_DOCUMENT = "governance/exceptions.yaml"

DEFAULT: Literal["default"] = "default"
_SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "info")
_LONGEST_DUE_DAYS = 365


class ExceptionRules(BaseModel):
    """What the firm says of cases; a firm without the document has these defaults.

    Attributes:
        owner: e-mail address of who decides them.
        governance_office: support group or e-mail address that gets what nobody else answers for, and escalations.
        reopening_days: a member that comes back within so many days of its resolution reopens its closed case.
        claim_grace_days: days after the day of a claimed fix whose anomalies do not refute it.
        due_business_days: business days until a case is due, by severity, and by tier or ``default``.
        escalation_business_days: business days from due to escalated.
        longest_waiver_days: a waiver lasts so many days at most.
        waiver_warning_days: so many days before its end a waiver is listed.
        unexplained_by: what anomalies of one type are one case by, where no root cause explains them: their business
            system, or who is responsible for them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    owner: str = ""
    governance_office: str = Field(default="governance-office", min_length=1)
    reopening_days: int = Field(default=14, ge=1, le=366)
    claim_grace_days: int = Field(default=1, ge=0, le=31)
    due_business_days: dict[Severity, dict[int | Literal["default"], int]] = {
        "critical": {DEFAULT: 3},
        "warning": {DEFAULT: 10},
        "info": {DEFAULT: 30},
    }
    escalation_business_days: int = Field(default=3, ge=0, le=_LONGEST_DUE_DAYS)
    longest_waiver_days: int = Field(default=180, ge=1, le=3660)
    waiver_warning_days: int = Field(default=7, ge=0, le=366)
    unexplained_by: Literal["business_system", "responsible"] = "business_system"

    @field_validator("governance_office")
    @classmethod
    def _office_is_named(cls, value: str) -> str:
        if value != value.strip() or not value:
            raise ValueError("name a support group or an e-mail address, without spaces around it")
        return value

    @model_validator(mode="after")
    def _every_case_is_due(self) -> ExceptionRules:
        missing = [severity for severity in _SEVERITIES if severity not in self.due_business_days]
        if missing:
            raise ValueError(f"due_business_days lacks {', '.join(missing)}")
        for severity, by_tier in self.due_business_days.items():
            if DEFAULT not in by_tier:
                raise ValueError(f"due_business_days.{severity} lacks {DEFAULT}, for what has no tier listed")
            for tier, days in by_tier.items():
                if not 0 <= days <= _LONGEST_DUE_DAYS:
                    raise ValueError(f"due_business_days.{severity}.{tier} must lie between 0 and {_LONGEST_DUE_DAYS}")
        return self

    def due_days(self, severity: str, tier: int | None) -> int:
        """Business days until a case of this severity and tier is due."""
        by_tier = next(days for name, days in self.due_business_days.items() if name == severity)
        return by_tier.get(tier, by_tier[DEFAULT]) if tier is not None else by_tier[DEFAULT]


def load_exception_rules(project: Path) -> ExceptionRules:
    """Read ``governance/exceptions.yaml`` of a project; the defaults where it has none. Raises ``GovernanceError``."""
    path = project / EXCEPTIONS_DOCUMENT
    return parse(ExceptionRules, read_yaml(path), path) if path.is_file() else ExceptionRules()
