"""Dynamic-baseline rules: from how much history bands are learned, how wide they are, and what counts as a fault.

Belongs here: ``governance/dynamic_baselines.yaml`` as checked objects. Does not belong here: learning and scoring
(``quality_policy.dynamic_baselines``), or which metrics a CI must report (``baseline_metrics``).
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from omgov_assets.model_management.documents import content_hash, parse, read_yaml

DYNAMIC_BASELINES_DOCUMENT = "governance/dynamic_baselines.yaml"


class BaselineRules(BaseModel):
    """What the firm says of dynamic baselines; a firm without the document has these defaults.

    Attributes:
        owner: e-mail address of who decides them.
        history_days: partitions that a band is learned from, the last ones.
        maximum_age_days: a band that is older than this on the judged day is not applied.
        minimum_days: days of history that a band needs.
        minimum_points: points that a series must have on a day for the day to count, and for its steps and runs to be
            judged.
        band_width: a band reaches so many times as far as the extremes of a usual day.
        spread_floor: extremes of a usual day count as at least so many spreads (1.4826 × MAD) away.
        seasonal_gain: a seasonal band is used where it is narrower than this part of the one without season.
        trend_gain: a trend is followed where its drift over the history is more than so many spreads of what is left.
        level_shift_days: days in a row beyond the usual extremes that make a new level.
        cold_start_instances: instances of a metric in a system that make a population.
        sustained_points: points in a row beyond one side of the band that make a level shift or a unit jump.
        sustained_minutes: and the time that they must last.
        flat_points: equal values in a row that make a flat line.
        gap_steps: usual steps without a point that make a gap.
        unit_factors: factors between units, of which a unit jump is one or its inverse.
        unit_tolerance: relative distance from the factor within which a unit jump must lie.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    owner: str = ""
    history_days: int = Field(default=28, ge=2, le=366)
    maximum_age_days: int = Field(default=7, ge=1, le=366)
    minimum_days: int = Field(default=3, ge=1, le=366)
    minimum_points: int = Field(default=12, ge=3)
    band_width: float = Field(default=3.5, ge=1, le=100)
    spread_floor: float = Field(default=3.0, gt=0, le=100)
    seasonal_gain: float = Field(default=0.75, gt=0, le=1)
    trend_gain: float = Field(default=6.0, gt=0, le=1000)
    level_shift_days: int = Field(default=3, ge=1, le=30)
    cold_start_instances: int = Field(default=5, ge=2)
    sustained_points: int = Field(default=4, ge=2)
    sustained_minutes: float = Field(default=60, ge=0, le=1440)
    flat_points: int = Field(default=12, ge=3)
    gap_steps: float = Field(default=4, ge=2)
    unit_factors: tuple[float, ...] = (1000, 1024, 8, 100)
    unit_tolerance: float = Field(default=0.2, gt=0, lt=1)

    @model_validator(mode="after")
    def _fit_together(self) -> BaselineRules:
        if self.minimum_days > self.history_days:
            raise ValueError("minimum_days is more than history_days: no band would ever be in force")
        if self.level_shift_days < self.minimum_days:
            raise ValueError("level_shift_days is less than minimum_days: a new level would have no band")
        if not self.unit_factors or any(factor <= 1 for factor in self.unit_factors):
            raise ValueError("unit_factors are above 1: the inverse of each counts as well")
        return self

    @property
    def hash(self) -> str:
        """Hash of the rules."""
        return content_hash(self.model_dump_json())


def load_baseline_rules(project: Path) -> BaselineRules:
    """Read ``governance/dynamic_baselines.yaml`` of a project; the defaults where it has none.

    Raises:
        GovernanceError: the document is malformed.
    """
    path = project / DYNAMIC_BASELINES_DOCUMENT
    return parse(BaselineRules, read_yaml(path), path) if path.is_file() else BaselineRules()
