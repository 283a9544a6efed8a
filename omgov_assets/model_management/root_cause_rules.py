"""Root cause rules: by which attributes the night's anomalies are localised, and what counts as a cause.

Belongs here: ``governance/root_causes.yaml`` as checked objects. Does not belong here: finding causes
(``quality_analysis.root_causes``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from omgov_assets.data_lake.masks import OPEN_GRADE
from omgov_assets.model_management.documents import parse, read_yaml
from omgov_assets.model_management.errors import GovernanceError

ROOT_CAUSES_DOCUMENT = "governance/root_causes.yaml"

# What anomalies say of themselves. Whatever else is named is a column of the CMDB's configuration items.
ANOMALY_ATTRIBUTES = (
    "collector",
    "network_device",
    "host",
    "system",
    "metric",
    "application",
    "owner",
    "support_group",
    "site",
)

_COLUMN = re.compile(r"[a-z][a-z0-9_]*")


class Evidence(BaseModel):
    """What a combination of attributes must show to be a cause. The constants are chosen in ``benchmarks/``.

    Attributes:
        deepest: attributes that a combination has at most.
        minimum_lift: times that its anomalies are as many as expected, at least.
        minimum_score: log-likelihood ratio of that, in nats, that it needs; a combination drawn by chance out of a
            million reaches 14.
        depth_penalty: factor by which each further attribute divides the score.
        minimum_anomalies: anomalies in a combination at least, and
        minimum_coverage: its share of all anomalies at least.
        faint_score: log-likelihood ratio below which the rest of a combination is like everything else, so that a part
            of it is the cause.
        faint_rest: share of the expected anomalies that such a rest has at least.
        most_causes: causes of one kind at most.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    deepest: int = Field(default=3, ge=1, le=3)
    minimum_lift: float = Field(default=1.7, gt=1, le=100)
    minimum_score: float = Field(default=15, gt=0, le=10_000)
    depth_penalty: float = Field(default=1.15, ge=1, le=10)
    minimum_anomalies: int = Field(default=8, ge=1)
    minimum_coverage: float = Field(default=0.0002, ge=0, le=1)
    faint_score: float = Field(default=5, ge=0, le=10_000)
    faint_rest: float = Field(default=0.1, gt=0, lt=1)
    most_causes: int = Field(default=60, ge=1, le=1000)


class RootCauseRules(BaseModel):
    """What the firm says of root causes; a firm without the document has these defaults.

    Attributes:
        owner: e-mail address of who decides them.
        attributes: what anomalies are localised by. Of combinations that hold the same anomalies, the one whose
            attribute stands first here is named. Beside ``ANOMALY_ATTRIBUTES``, any column of the CMDB's configuration
            items that holds text. The anomaly type counts as one attribute always.
        evidence: what a cause must show.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    owner: str = ""
    attributes: tuple[str, ...] = ANOMALY_ATTRIBUTES
    evidence: Evidence = Evidence()

    @field_validator("attributes")
    @classmethod
    def _attributes_are_columns(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or len(set(value)) < len(value):
            raise ValueError("name at least one attribute, and each once")
        for name in value:
            if not _COLUMN.fullmatch(name):
                raise ValueError(f"{name!r} is no column: write it like agent_version")
        return value

    @model_validator(mode="after")
    def _anomaly_type_is_no_attribute(self) -> RootCauseRules:
        if "anomaly_type" in self.attributes:
            raise ValueError("anomaly_type is always one of the attributes: leave it out")
        return self

    @property
    def ci_attributes(self) -> tuple[str, ...]:
        """The attributes that are columns of the configuration items."""
        return tuple(name for name in self.attributes if name not in ANOMALY_ATTRIBUTES)


def load_root_cause_rules(project: Path, ci_columns: Mapping[str, int] | None = None) -> RootCauseRules:
    """Read ``governance/root_causes.yaml`` of a project; the defaults where it has none.

    Args:
        project: folder that holds ``governance/``.
        ci_columns: columns of the configuration items with their grades; None where they are not to be looked at.

    Raises:
        GovernanceError: the document is malformed, or names an attribute that nothing has, or whose values are not for
            everyone: conditions of causes stand in the report and in the Dagster UI.
    """
    path = project / ROOT_CAUSES_DOCUMENT
    if not path.is_file():
        return RootCauseRules()
    rules = parse(RootCauseRules, read_yaml(path), path)
    for position, name in enumerate(rules.attributes):
        if ci_columns is None or name not in rules.ci_attributes:
            continue
        if name not in ci_columns:
            raise GovernanceError(
                path,
                f"attributes.{position}",
                f"{name!r} is neither an attribute of anomalies nor a column of configuration_items",
                f"name one of {', '.join(ANOMALY_ATTRIBUTES)}, or a column of the CMDB",
            )
        if ci_columns[name] > OPEN_GRADE:
            raise GovernanceError(
                path,
                f"attributes.{position}",
                f"{name!r} is graded {ci_columns[name]}, and causes are shown to everyone",
                f"name a column that is graded {OPEN_GRADE} at most",
            )
    return rules
