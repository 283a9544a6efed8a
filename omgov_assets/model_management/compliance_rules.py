"""Compliance rules: the clauses of ``governance/compliance/*.yaml``, each with its source and the check it is bound to.

Belongs here: the documents as checked objects. Does not belong here: checking a lake by them
(``quality_analysis.compliance``). What a clause says of a regulation is the firm's reading of it: until a person has
confirmed it, it is ``verified: false``, and everything that shows the clause says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from omgov_assets.data_lake.schemas import TableSchema
from omgov_assets.model_management.access_rules import Clearance, Name
from omgov_assets.model_management.documents import content_hash, parse, read_yaml
from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.standard_metrics import StandardMetric
from omgov_assets.model_management.units import UnitTable

COMPLIANCE_FOLDER = "governance/compliance"

CheckName = Literal[
    "every_column_is_graded",
    "columns_above_grade_are_masked",
    "records_are_kept",
    "audit_is_whole",
    "capacity_headroom",
]
# `<folder>/<table>`, with `*` for any folder or any table; for capacity the name of a business system.
Applies = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(default=())]
_DATASET_PATTERN = re.compile(r"(\*|[a-z0-9_]+)/(\*|[a-z0-9_]+)")
# Only of these is the highest value of a day a load; counters and histograms add up.
_LOAD_INSTRUMENTS = ("gauge", "updowncounter")


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Text(_Document):
    """A text in English, and in Chinese where there is one."""

    en: str = Field(min_length=1)
    zh: str | None = Field(default=None, min_length=1)

    def said(self, language: Literal["en", "zh"]) -> str:
        """The text in a language; in English where there is none."""
        return self.zh if language == "zh" and self.zh is not None else self.en


class Source(_Document):
    """Where a clause comes from.

    Attributes:
        name: the regulation or standard.
        number: its number, such as JR/T 0158—2018.
        article: article or section; left out where nobody is sure of it.
        issuer: who issued it.
        url: address of the public text.
    """

    name: Text
    number: Text | None = None
    article: str | None = Field(default=None, min_length=1)
    issuer: Text
    url: Annotated[str, Field(pattern=r"^https?://[^\s/]+\.[^\s]+$")]

    def cited(self, language: Literal["en", "zh"]) -> str | None:
        """Name, number and article in one line; None where the name is not known in the language."""
        if language == "zh" and self.name.zh is None:
            return None
        name, number = self.name.said(language), self.number.said(language) if self.number else None
        article = None
        if self.article is not None:
            article = f"第{self.article}条" if language == "zh" else f"article {self.article}"
        return (" " if language == "zh" else ", ").join(part for part in (name, number, article) if part)


class NoParameters(_Document):
    """A check that takes none."""


class GradeParameters(_Document):
    """Columns that only some may see as they are.

    Attributes:
        grade: columns of this classification level or a higher one.
        roles: roles that must not see them, whatever they ask for; without any, all that are cleared for less.
        columns: ``<dataset>.<column>`` that count as well, whatever their contract grades them.
    """

    grade: Clearance
    roles: tuple[Name, ...] = ()
    columns: tuple[str, ...] = ()


class RetentionParameters(_Document):
    """How many days records are kept at least."""

    days: Annotated[int, Field(ge=1, le=36_500, strict=True)]


class Capacity(_Document):
    """What a business system was found to carry, in a test that people made.

    Attributes:
        value: highest load that it carried, in ``unit`` (UCUM).
        tested_on: day of the test.
        how: how it was tested.
    """

    system: str
    value: Annotated[float, Field(gt=0)]
    unit: str
    tested_on: date
    how: str = Field(min_length=1)


class CapacityParameters(_Document):
    """Capacity beside the highest load there ever was.

    Attributes:
        metric: standard metric of the load, a gauge.
        factor: capacity must be so many times the peak.
        peak_of: ``system`` compares with the sum of the day's highest values of all instances, which the system's load
            never exceeds; ``instance`` with the highest value of any one.
        capacities: one for each system that was tested.
    """

    metric: str
    factor: Annotated[float, Field(gt=0, le=1000)]
    peak_of: Literal["system", "instance"] = "system"
    capacities: tuple[Capacity, ...] = ()

    def capacity_of(self, system: str) -> Capacity | None:
        """The capacity of a business system, where one is declared."""
        return next((one for one in self.capacities if one.system == system), None)


class _Clause(_Document):
    """What all clauses say.

    Attributes:
        id: unique in the firm.
        requirement: what is asked for, in one or two sentences.
        verified: whether a person has compared the clause with its source.
        verified_by: who; required where verified, and only then.
        verified_on: when; likewise.
        applies_to: what is checked; without any, whatever the check can look at.
        document: file of the clause, relative to the project.
    """

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,99}$")]
    title: Text
    requirement: Text
    source: Source
    verified: Annotated[bool, Field(strict=True)]
    verified_by: str | None = Field(default=None, min_length=1)
    verified_on: date | None = None
    applies_to: Applies
    document: str

    @model_validator(mode="after")
    def _a_person_stands_for_it(self) -> _Clause:
        said = (self.verified_by is not None, self.verified_on is not None)
        if self.verified and not all(said):
            raise ValueError("a clause that is verified says by whom (verified_by) and when (verified_on)")
        if not self.verified and any(said):
            raise ValueError("verified_by and verified_on belong to a clause that is verified: set verified to true")
        return self


class GradingClause(_Clause):
    """Every column has a classification level."""

    check: Literal["every_column_is_graded"]
    parameters: NoParameters = NoParameters()


class MaskingClause(_Clause):
    """Columns graded high are shown masked, or not at all."""

    check: Literal["columns_above_grade_are_masked"]
    parameters: GradeParameters


class RetentionClause(_Clause):
    """Records are kept for so many days."""

    check: Literal["records_are_kept"]
    parameters: RetentionParameters


class AuditClause(_Clause):
    """The record of access decisions is whole."""

    check: Literal["audit_is_whole"]
    parameters: NoParameters = NoParameters()


class CapacityClause(_Clause):
    """Capacity exceeds the highest load by a factor."""

    check: Literal["capacity_headroom"]
    parameters: CapacityParameters


Clause = GradingClause | MaskingClause | RetentionClause | AuditClause | CapacityClause
_CLAUSES: dict[str, type[Clause]] = {
    "every_column_is_graded": GradingClause,
    "columns_above_grade_are_masked": MaskingClause,
    "records_are_kept": RetentionClause,
    "audit_is_whole": AuditClause,
    "capacity_headroom": CapacityClause,
}


class ComplianceRules(_Document):
    """All clauses of a firm, in the order of their files; a firm without the folder has none."""

    clauses: tuple[Clause, ...] = ()

    @cached_property
    def rules_hash(self) -> str:
        """Hash of all clauses."""
        return content_hash(self.model_dump_json())


@dataclass(frozen=True)
class Subjects:
    """What clauses can be about.

    Attributes:
        tables: schemas of the tables of the lake.
        metrics: the metric standard.
        units: spellings of units.
        systems: business systems.
        roles: roles of the access rules.
    """

    tables: Mapping[str, TableSchema]
    metrics: tuple[StandardMetric, ...]
    units: UnitTable
    systems: tuple[str, ...]
    roles: tuple[str, ...]


def load_compliance_rules(project: Path, subjects: Subjects) -> ComplianceRules:
    """Read ``governance/compliance/*.yaml`` of a project.

    Args:
        project: folder that holds ``governance/``.
        subjects: what clauses can be about.

    Raises:
        GovernanceError: a file is malformed; a check, dataset, column, system, role or metric does not exist; two
            clauses have one id; a capacity is of a unit that its metric cannot be compared with.
    """
    clauses: list[Clause] = []
    documents: dict[str, str] = {}
    for path in sorted((project / COMPLIANCE_FOLDER).glob("*.yaml")):
        relative = path.relative_to(project).as_posix()
        for position, declared in enumerate(_declared(path)):
            key = f"clauses[{position}]"
            clause = _clause(declared, relative, path, key)
            if clause.id in documents:
                problem = f"{clause.id!r} stands in {documents[clause.id]} already"
                raise GovernanceError(path, f"{key}.id", problem, "give one of the two another id")
            documents[clause.id] = relative
            _check(clause, subjects, path, key)
            clauses.append(clause)
    return ComplianceRules(clauses=tuple(clauses))


def matching_tables(applies_to: tuple[str, ...], tables: Mapping[str, Any]) -> list[str]:
    """Tables that a clause applies to, in their order; all where it names none."""
    return [name for name in tables if not applies_to or any(_matches(pattern, name) for pattern in applies_to)]


def _declared(path: Path) -> list[Any]:
    document = read_yaml(path)
    if not isinstance(document, dict) or not isinstance(document.get("clauses"), list):
        raise GovernanceError(path, "clauses", "is no list", "write `clauses:` with a list of clauses")
    for key in document:
        if key not in ("owner", "clauses"):
            raise GovernanceError(path, str(key), "the key is not known and not permitted", "remove it")
    return list(document["clauses"])


def _clause(declared: Any, document: str, path: Path, key: str) -> Clause:
    if not isinstance(declared, dict):
        raise GovernanceError(path, key, "is no mapping", "write id, title, requirement, source, verified and check")
    if "document" in declared:
        raise GovernanceError(path, f"{key}.document", "the key is not known and not permitted", "remove it")
    known = ", ".join(_CLAUSES)
    if "check" not in declared:
        raise GovernanceError(path, f"{key}.check", "the key is required", f"name one of {known}")
    of_check = _CLAUSES.get(declared["check"]) if isinstance(declared["check"], str) else None
    if of_check is None:
        raise GovernanceError(path, f"{key}.check", f"no check is called {declared['check']!r}", f"name one of {known}")
    return parse(of_check, declared | {"document": document}, path, key)


def _check(clause: Clause, subjects: Subjects, path: Path, key: str) -> None:
    applies = f"{key}.applies_to"
    match clause:
        case AuditClause():
            if clause.applies_to:
                problem = "there is one audit, which the check is always about"
                raise GovernanceError(path, applies, problem, "remove the key")
        case CapacityClause():
            for system in clause.applies_to:
                _require_system(system, subjects, path, applies)
            _check_capacity(clause, subjects, path, f"{key}.parameters")
        case _:
            if isinstance(clause, RetentionClause) and not clause.applies_to:
                problem = "not every table is a record that must be kept"
                raise GovernanceError(path, applies, problem, "name the tables, such as audit/access")
            for pattern in clause.applies_to:
                if not _DATASET_PATTERN.fullmatch(pattern) or not matching_tables((pattern,), subjects.tables):
                    problem = f"no dataset is {pattern!r}"
                    raise GovernanceError(path, applies, problem, "write <folder>/<table>, * for any; correct its name")
            if isinstance(clause, MaskingClause):
                _check_masking(clause.parameters, subjects, path, f"{key}.parameters")


def _check_masking(parameters: GradeParameters, subjects: Subjects, path: Path, key: str) -> None:
    for role in parameters.roles:
        if role not in subjects.roles:
            remedy = f"name one of {', '.join(sorted(subjects.roles)) or 'roles, of which there is none'}"
            raise GovernanceError(path, f"{key}.roles", f"no role is called {role!r}", remedy)
    for named in parameters.columns:
        dataset, _, column = named.rpartition(".")
        schema = subjects.tables.get(dataset)
        if schema is None or column not in schema.names:
            problem = f"no column is {named!r}"
            raise GovernanceError(path, f"{key}.columns", problem, "write <folder>/<table>.<column>; correct its name")


def _check_capacity(clause: CapacityClause, subjects: Subjects, path: Path, key: str) -> None:
    parameters = clause.parameters
    metric = next((one for one in subjects.metrics if one.metric == parameters.metric), None)
    if metric is None:
        problem = f"{parameters.metric!r} is no standard metric"
        raise GovernanceError(path, f"{key}.metric", problem, "name one of governance/standard/metric_definitions")
    if metric.instrument not in _LOAD_INSTRUMENTS:
        problem = f"{metric.metric} is a {metric.instrument}, whose highest value is no load"
        raise GovernanceError(path, f"{key}.metric", problem, f"name a {' or '.join(_LOAD_INSTRUMENTS)}")
    seen: set[str] = set()
    for position, capacity in enumerate(parameters.capacities):
        at = f"{key}.capacities[{position}]"
        _require_system(capacity.system, subjects, path, f"{at}.system")
        if capacity.system in seen:
            raise GovernanceError(path, f"{at}.system", f"{capacity.system!r} stands twice", "keep one of the two")
        seen.add(capacity.system)
        if clause.applies_to and capacity.system not in clause.applies_to:
            problem = f"the clause does not apply to {capacity.system!r}"
            raise GovernanceError(path, f"{at}.system", problem, "add it to applies_to, or remove its capacity")
        if subjects.units.status(capacity.unit, metric.unit) != "ok":
            problem = f"{capacity.unit!r} cannot be compared with {metric.metric}, which is in {metric.unit}"
            raise GovernanceError(path, f"{at}.unit", problem, f"write {metric.unit}, or a unit that converts to it")


def _require_system(system: str, subjects: Subjects, path: Path, key: str) -> None:
    if system not in subjects.systems:
        problem = f"no business system is called {system!r}"
        raise GovernanceError(path, key, problem, f"name one of {', '.join(sorted(subjects.systems))}")


def _matches(pattern: str, table: str) -> bool:
    wanted, there = pattern.split("/"), table.split("/")
    return len(wanted) == len(there) and all(one in ("*", other) for one, other in zip(wanted, there, strict=True))
