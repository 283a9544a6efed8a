"""All control information of a firm, read and validated in one go.

Does not belong here: quality policies, which ``quality_policy`` reads from ``expectations/``.
"""

from __future__ import annotations

import hashlib
import os
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, field_validator

from omgov_assets.model_management.access_rules import AccessRules, load_access_rules, readable_tables
from omgov_assets.model_management.admission_rules import ADMISSION_DOCUMENT, RuleBook, load_admission_rules
from omgov_assets.model_management.alert_routes import AlertRoutes, load_alert_routes
from omgov_assets.model_management.baseline_metrics import BaselineRule, load_baseline_metrics
from omgov_assets.model_management.baseline_rules import BaselineRules, load_baseline_rules
from omgov_assets.model_management.business_systems import BusinessSystem, load_business_system
from omgov_assets.model_management.compliance_rules import ComplianceRules, Subjects, load_compliance_rules
from omgov_assets.model_management.contracts import DataContract, load_contracts
from omgov_assets.model_management.documents import content_hash, parse, read_yaml
from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.exception_rules import ExceptionRules, load_exception_rules
from omgov_assets.model_management.processing_models import (
    DERIVED,
    DERIVED_SYSTEM,
    ProcessingModel,
    load_processing_model,
)
from omgov_assets.model_management.root_cause_rules import RootCauseRules, load_root_cause_rules
from omgov_assets.model_management.score_rules import ScoreRules, load_score_rules
from omgov_assets.model_management.standard_metrics import StandardMetric, load_standard_metrics
from omgov_assets.model_management.trading_calendar import TradingCalendar, load_trading_calendar
from omgov_assets.model_management.units import UnitTable
from omgov_assets.model_management.wording import Wording, load_wording


class Firm(BaseModel):
    """``governance/firm.yaml``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    first_day: date
    timezone: str
    nightly_cron: str
    # Of the report; the first is the one that opens.
    languages: tuple[Literal["en", "zh"], ...] = ("en",)

    @field_validator("languages")
    @classmethod
    def _languages_are_told_apart(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or len(set(value)) < len(value):
            raise ValueError("name each language once: en, zh")
        return value

    @field_validator("timezone")
    @classmethod
    def _zone_exists(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"{value!r} is not a time zone of the IANA database") from error
        return value

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which business days begin and end."""
        return ZoneInfo(self.timezone)


class Governance(BaseModel):
    """What the firm decides: standard, baselines, contracts, systems, models of derived metrics, admission rules, score
    rules, dynamic-baseline rules, root cause rules, exception rules, alert routes, access rules, compliance rules,
    trading calendar, wording.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    project: Path
    firm: Firm
    units: UnitTable
    metrics: tuple[StandardMetric, ...]
    baseline: tuple[BaselineRule, ...]
    contracts: dict[str, DataContract]
    systems: dict[str, BusinessSystem]
    derived: tuple[ProcessingModel, ...] = ()
    admission: RuleBook = RuleBook()
    scores: ScoreRules = ScoreRules()
    dynamic_baselines: BaselineRules = BaselineRules()
    calendar: TradingCalendar = TradingCalendar()
    root_causes: RootCauseRules = RootCauseRules()
    exceptions: ExceptionRules = ExceptionRules()
    alerts: AlertRoutes = AlertRoutes()
    access: AccessRules = AccessRules()
    compliance: ComplianceRules = ComplianceRules()
    wording: Wording = Wording()

    @cached_property
    def metrics_hash(self) -> str:
        """Hash of the metric standard."""
        return content_hash(*(metric.model_dump_json() for metric in self.metrics))

    @cached_property
    def units_hash(self) -> str:
        """Hash of the unit spellings."""
        path = self.project / "governance" / "standard" / "unit_spellings.yaml"
        return content_hash(path.read_text(encoding="utf-8"))


def load_firm(project: Path) -> Firm:
    """Read ``governance/firm.yaml`` alone. Raises ``GovernanceError``."""
    path = project / "governance" / "firm.yaml"
    return parse(Firm, read_yaml(path), path)


def load_governance(project: Path, faulty_models: list[GovernanceError] | None = None) -> Governance:
    """Read and validate ``governance/`` of a project.

    A process reads a state of the folder once: whoever asks again for the same bytes is given the same object.

    Args:
        project: folder that holds ``governance/``.
        faulty_models: if given, takes the errors of processing models that cannot be read, which then raise nothing:
            an empty model stands in for each.

    Raises:
        GovernanceError: the first fault found, naming file, key and remedy.
    """
    if faulty_models is not None:
        return _read_governance(project, faulty_models)
    state = _state_of(project)
    known = _known.get(project)
    if known is not None and known[0] == state:
        return known[1]
    governance = _read_governance(project, None)
    # What was written meanwhile may have been read in part.
    if _state_of(project) == state:
        while len(_known) >= _MOST_KNOWN:
            _known.pop(next(iter(_known), project), None)
        _known[project] = (state, governance)
    return governance


# The last state of each project that a process has read.
_known: dict[Path, tuple[str, Governance]] = {}
_MOST_KNOWN = 4


def _state_of(project: Path) -> str:
    """Hash of all files of ``governance/`` with their names; times would not tell two quick changes apart."""
    digest = hashlib.sha256()
    for folder, folders, names in os.walk(project / "governance", followlinks=True):
        folders.sort()
        for name in sorted(names):
            path = Path(folder) / name
            try:
                content = path.read_bytes()
            except OSError as error:
                content = str(error).encode()
            digest.update(f"{path}\0{len(content)}\0".encode("utf-8", "surrogateescape") + content)
    return digest.hexdigest()


def _read_governance(project: Path, faulty_models: list[GovernanceError] | None) -> Governance:
    folder = project / "governance"
    firm = load_firm(project)
    units = UnitTable.load(folder / "standard" / "unit_spellings.yaml")
    metrics = load_standard_metrics(folder / "standard" / "metric_definitions", units)
    baseline = load_baseline_metrics(folder / "standard" / "baseline_metrics.yaml", metrics)
    contracts = load_contracts(folder / "standard" / "data_contracts")
    names = {metric.metric for metric in metrics}
    systems_folder = folder / "systems"
    systems = {
        path.parent.name: load_business_system(path.parent, contracts, names, units, faulty_models)
        for path in sorted(systems_folder.glob("*/defs.yaml"))
    }
    if not systems:
        raise GovernanceError(
            systems_folder, "folder", "no business system", "add governance/systems/<system>/defs.yaml"
        )
    if DERIVED_SYSTEM in systems:
        path = systems_folder / DERIVED_SYSTEM
        raise GovernanceError(path, "folder", f"{DERIVED_SYSTEM!r} is where derived metrics are kept", "rename it")
    derived = [load_processing_model(path, faulty_models) for path in sorted((folder / DERIVED).glob("*.sql"))]
    tables = readable_tables(contracts, systems, folder / "standard" / "data_contracts")
    access = load_access_rules(project, tables)
    return Governance(
        project=project,
        firm=firm,
        units=units,
        metrics=metrics,
        baseline=baseline,
        contracts=contracts,
        systems=systems,
        derived=tuple(derived),
        admission=load_admission_rules(
            project / ADMISSION_DOCUMENT, {system.name: system.datasets for system in systems.values()}
        ),
        scores=load_score_rules(project),
        dynamic_baselines=load_baseline_rules(project),
        calendar=load_trading_calendar(project),
        root_causes=load_root_cause_rules(project, _ci_columns(contracts)),
        exceptions=load_exception_rules(project),
        alerts=load_alert_routes(project),
        access=access,
        compliance=load_compliance_rules(
            project, Subjects(tables, metrics, units, tuple(sorted(systems)), tuple(sorted(access.roles)))
        ),
        wording=load_wording(project),
    )


def _ci_columns(contracts: dict[str, DataContract]) -> dict[str, int]:
    """Columns of the configuration items with their grades, an ungraded one the highest; none without a CMDB."""
    contract = contracts.get("configuration_items")
    return {column.name: int(column.classification or 4) for column in contract.columns} if contract else {}
