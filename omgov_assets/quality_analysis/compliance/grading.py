"""Checks of classification levels: that every column has one, and that nobody sees what is graded too high for them.

The second asks the one decision function, with the roles and purposes that the firm has: what it would give somebody is
what they could get. Does not belong here: deciding (``access_control``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from omgov_assets.access_control.decision import DecisionPoint
from omgov_assets.access_control.grades import column_grades
from omgov_assets.access_control.mask_key import MaskKey
from omgov_assets.access_control.principals import Principal
from omgov_assets.model_management.access_rules import HIGHEST_GRADE
from omgov_assets.model_management.compliance_rules import GradingClause, MaskingClause, matching_tables
from omgov_assets.quality_analysis.compliance.verdicts import EVERYTHING, Evidence, Verdict, listed

# Of how much of a column somebody sees, the most comes first.
_MOST_SHOWN = ("visible", "masked", "dropped")


def every_column_is_graded(clause: GradingClause, evidence: Evidence) -> Iterator[Verdict]:
    """A verdict for each dataset, and for each delivery that is described by a contract of its own."""
    required = f"a classification level from 1 to {HIGHEST_GRADE} for every column"
    for subject, columns in _graded_columns(clause, evidence):
        ungraded = [name for name, is_graded in columns if not is_graded]
        observed = f"{len(columns) - len(ungraded)} of {len(columns)} columns graded"
        if ungraded:
            said = f"without a level, and so held to be {HIGHEST_GRADE}: {listed(ungraded)}"
            yield Verdict(subject, "failed", observed, required, said)
        else:
            yield Verdict(subject, "passed", observed, required, "the contract grades every column")


def columns_above_grade_are_masked(clause: MaskingClause, evidence: Evidence) -> Iterator[Verdict]:
    """A verdict for each dataset with such columns: what the roles would be shown of them, for every purpose."""
    wanted, access = clause.parameters, evidence.governance.access
    roles = [name for name, role in sorted(access.roles.items()) if name in wanted.roles or
             (not wanted.roles and role.clearance < wanted.grade)]  # fmt: skip
    who = f"roles {', '.join(roles)}" if wanted.roles else f"roles cleared for less than {wanted.grade}"
    required = f"columns graded {wanted.grade} or higher masked or left out for {who}"
    restricted = {
        dataset: [column for column, grade in column_grades(dataset, evidence.tables).items()
                  if grade >= wanted.grade or f"{dataset}.{column}" in wanted.columns]
        for dataset in matching_tables(clause.applies_to, evidence.tables)
    }  # fmt: skip
    restricted = {dataset: columns for dataset, columns in restricted.items() if columns}
    if not restricted:
        said = f"no column is graded {wanted.grade} or higher"
        yield Verdict(EVERYTHING, "not_evaluated", None, required, said)
        return
    if not roles or not access.purposes:
        said = "no such role is declared" if not roles else "no purpose is declared that data could be asked for"
        yield Verdict(EVERYTHING, "not_evaluated", None, required, said)
        return
    trial = _Trial(evidence, roles)
    for dataset, columns in restricted.items():
        shown = trial.shown(dataset, columns)
        observed = "; ".join(
            f"{'left out' if how == 'dropped' else how}: {listed(names)}"
            for how in _MOST_SHOWN
            if (names := [name for name in columns if shown[name].how == how])
        )
        open_ones = [f"{name} ({shown[name].by})" for name in columns if shown[name].how == "visible"]
        if open_ones:
            yield Verdict(dataset, "failed", observed, required, f"shown as they are: {listed(open_ones)}")
        else:
            said = f"no decision for any of {len(roles)} roles and {len(access.purposes)} purposes shows one as it is"
            yield Verdict(dataset, "passed", observed, required, said)


def _graded_columns(clause: GradingClause, evidence: Evidence) -> Iterator[tuple[str, list[tuple[str, bool]]]]:
    """Columns of each contract, each with whether it is graded."""
    for dataset in matching_tables(clause.applies_to, evidence.tables):
        columns = evidence.tables[dataset].columns
        yield dataset, [(one.name, one.is_graded and 1 <= one.grade <= HIGHEST_GRADE) for one in columns]
    delivered = {
        f"{system.name}/{name}": dataset.source_contract
        for system in evidence.governance.systems.values()
        for name, dataset in system.datasets.items()
    }
    for dataset in matching_tables(clause.applies_to, delivered):
        contract = delivered[dataset]
        yield f"{dataset} as delivered", [(one.name, one.classification is not None) for one in contract.columns]


@dataclass(frozen=True)
class _Shown:
    how: str
    by: str = ""


class _Trial:
    """Asks the decision function as somebody of each role would, for each purpose, with all that the role may have."""

    def __init__(self, evidence: Evidence, roles: Iterable[str]) -> None:
        access, zone = evidence.governance.access, evidence.governance.firm.zone
        self._now = datetime.combine(evidence.day + timedelta(days=1), time.min, zone)
        # Any key will do to tell what would be masked from what would be left out; nothing is masked with it.
        key = MaskKey(bytes(32), datetime.max.replace(tzinfo=UTC))
        self._point = DecisionPoint.of(evidence.governance, key)
        systems = frozenset(evidence.governance.systems)
        self._principals = [
            Principal(f"somebody in {role}", frozenset([role]), access.roles[role].clearance, purpose, systems=systems)
            for role in roles
            for purpose in access.purposes
        ]

    def shown(self, dataset: str, columns: list[str]) -> dict[str, _Shown]:
        """The most that anybody is shown of each column, and who, for what, by which policies."""
        most = {name: _Shown("dropped") for name in columns}
        for principal in self._principals:
            decision = self._point.decide(principal, dataset, self._now)
            for column in decision.columns if decision.allowed else ():
                if column.name in most and _rank(column.shown) < _rank(most[column.name].how):
                    (role,) = principal.roles
                    by = f"{role} for {principal.purpose}, by {', '.join(column.policies)}"
                    most[column.name] = _Shown(column.shown, by)
        return most


def _rank(how: str) -> int:
    return _MOST_SHOWN.index(how)
