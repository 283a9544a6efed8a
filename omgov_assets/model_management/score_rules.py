"""Score rules: what counts how much in severity scores, business impact and scorecards.

Belongs here: ``governance/scorecards.yaml`` as checked objects. Does not belong here: computing scores
(``quality_analysis``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from omgov_assets.model_management.documents import parse, read_yaml

SCORES_DOCUMENT = "governance/scorecards.yaml"

Severity = Literal["critical", "warning", "info"]
QualityDimension = Literal[
    "accuracy", "completeness", "conformity", "consistency", "coverage", "timeliness", "uniqueness"
]


class ScoreRules(BaseModel):
    """What the firm says of scores; a firm without the document has these defaults.

    Attributes:
        owner: e-mail address of who decides them.
        severity_weights: how bad an anomaly is beside a critical one, 0 to 1.
        quality_dimension_weights: part of each quality dimension in an overall score; 0 leaves it out.
        tier_weights: business impact of an anomaly by the highest tier among its applications; other anomalies
            weigh 1.
        trading_session_weight: factor of the business impact of what touches a trading session.
        minimum_subjects: a score needs so many judged subjects (metric instances, definitions, CIs).
        trend_days: days over which trends and the mean time to repair are taken.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    owner: str = ""
    severity_weights: dict[Severity, float] = {"critical": 1.0, "warning": 0.3, "info": 0.05}
    quality_dimension_weights: dict[QualityDimension, float] = {
        "accuracy": 1,
        "completeness": 1,
        "conformity": 1,
        "consistency": 1,
        "coverage": 1,
        "timeliness": 1,
        "uniqueness": 1,
    }
    tier_weights: dict[int, float] = {}
    trading_session_weight: float = Field(default=1.0, ge=1, le=100)
    minimum_subjects: int = Field(default=30, ge=1)
    trend_days: int = Field(default=30, ge=2, le=366)

    @model_validator(mode="after")
    def _weights_are_weights(self) -> ScoreRules:
        missing = sorted({"critical", "warning", "info"} - set(self.severity_weights))
        if missing:
            raise ValueError(f"severity_weights lacks {', '.join(missing)}")
        for severity, weight in self.severity_weights.items():
            if not 0 <= weight <= 1:
                raise ValueError(f"severity_weights.{severity} must lie between 0 and 1")
        if not any(self.quality_dimension_weights.values()):
            raise ValueError("quality_dimension_weights must have one above 0")
        for name, weight in [*self.quality_dimension_weights.items(), *self.tier_weights.items()]:
            if not 0 <= weight <= 1000:
                raise ValueError(f"the weight of {name} must lie between 0 and 1000")
        return self


def load_score_rules(project: Path) -> ScoreRules:
    """Read ``governance/scorecards.yaml`` of a project; the defaults where it has none. Raises ``GovernanceError``."""
    path = project / SCORES_DOCUMENT
    return parse(ScoreRules, read_yaml(path), path) if path.is_file() else ScoreRules()
