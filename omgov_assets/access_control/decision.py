"""The one decision function: which rows and columns of a dataset a principal sees, how masked, and by which policies.

Pages, REST, sharing and exports all ask it before anything is read. It never raises and never opens by mistake: an
error, an unknown dataset, role or purpose, an expired grant, a clock set back are denials with a reason. Does not
belong here: reading data by a decision (``governed_query``), putting it on record (``audit``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from functools import cached_property, lru_cache
from typing import Literal

from omgov_assets.access_control.grades import column_grades
from omgov_assets.access_control.mask_key import MaskKey
from omgov_assets.access_control.policy_questions import Answer, Asking, PolicyError, PolicyQuestions
from omgov_assets.access_control.principals import Principal, UnknownPrincipalError, known_principal
from omgov_assets.access_control.tokens import in_scope
from omgov_assets.data_lake.masks import Mask, mask_fits
from omgov_assets.data_lake.schemas import TableSchema
from omgov_assets.model_management.access_policies import ACT, READ, READ_ALL_ROWS, SEE, SEE_MASKED, WRITE
from omgov_assets.model_management.access_rules import (
    HIGHEST_GRADE,
    AccessRules,
    GroupThrough,
    readable_tables,
)
from omgov_assets.model_management.governance import Governance

# Stands for a rule of the platform itself among deciding policies.
CLEARANCE = "omgov: clearance"

_KEPT_DECISIONS = 1024

Shown = Literal["visible", "masked", "dropped"]
Action = Literal["read", "share", "export"]
# What is done to a dataset, other than asking for what is in it.
Deed = Literal["act", "write"]
# The question to the policies by deed.
DEEDS: dict[Deed, str] = {"act": ACT, "write": WRITE}


@dataclass(frozen=True)
class ColumnDecision:
    """What becomes of a column.

    Attributes:
        name: column.
        sql_type: its DuckDB type, which masks keep.
        grade: its classification level.
        shown: ``visible`` as it is, ``masked``, or ``dropped``: as if it did not exist.
        mask: how it is masked; None for a masked column whose values are hidden row by row.
        by_metric: values whose metric is graded above the clearance are null.
        policies: the deciding policies.
        reason: why it is not visible.
    """

    name: str
    sql_type: str
    grade: int
    shown: Shown
    mask: Mask | None
    by_metric: bool
    policies: tuple[str, ...]
    reason: str = ""


@dataclass(frozen=True)
class RowScope:
    """Rows that are a principal's: of its systems, of its support groups, or of both (``match``).

    Attributes:
        system: column with the system; None where rows are not told apart by it.
        support_group: column with the group, or the way to it; likewise.
        systems: the principal's systems, sorted.
        support_groups: the principal's groups, sorted.
    """

    system: str | None
    support_group: str | GroupThrough | None
    match: Literal["all", "any"]
    systems: tuple[str, ...]
    support_groups: tuple[str, ...]

    @property
    def in_words(self) -> str:
        """The filter as a sentence."""
        parts = []
        if self.system is not None:
            parts.append(f"{self.system} is one of {', '.join(self.systems) or 'none'}")
        if self.support_group is not None:
            way = self.support_group
            column = way if isinstance(way, str) else way.in_words
            parts.append(f"{column} is one of {', '.join(self.support_groups) or 'none'}")
        return (" and " if self.match == "all" else " or ").join(parts)


@dataclass(frozen=True)
class Decision:
    """What a principal sees of a dataset.

    Attributes:
        principal: its name.
        purpose: what it asked for.
        dataset: ``<folder>/<table>``.
        allowed: whether it sees anything.
        reason: why it does not; empty where it does.
        rows: the rows it sees; None for all.
        metric: column with the metric that values are graded by.
        metrics_within: metrics whose values it sees, where it does not see those of all.
        columns: every column of the dataset in the order of its contract; none where denied.
        policies: the policies that decided about the dataset and its rows.
        policy_hash: the rules that were decided by.
        mask_key: fingerprint of the key of ``hmac`` masks, where one is used.
    """

    principal: str
    purpose: str
    dataset: str
    allowed: bool
    reason: str
    rows: RowScope | None
    metric: str | None
    metrics_within: tuple[str, ...]
    columns: tuple[ColumnDecision, ...]
    policies: tuple[str, ...]
    policy_hash: str
    mask_key: str | None = None

    @cached_property
    def shown(self) -> tuple[ColumnDecision, ...]:
        """The columns that there are for the principal."""
        return tuple(column for column in self.columns if column.shown != "dropped")

    @cached_property
    def shown_names(self) -> tuple[str, ...]:
        """Names of the columns that there are for the principal."""
        return tuple(column.name for column in self.shown)

    @cached_property
    def principal_class(self) -> str:
        """Hash of all that the data given depends on: principals of one class are given the same."""
        columns = [(column.name, column.sql_type, column.shown, column.mask, column.by_metric) for column in self.shown]
        content = [self.dataset, self.allowed, self.rows, self.metric, self.metrics_within, columns, self.mask_key]
        text = json.dumps(content, sort_keys=True, default=_plain)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @cached_property
    def deciding(self) -> tuple[str, ...]:
        """All policies that the decision rests on, those about columns among them."""
        return tuple(sorted({*self.policies, *(policy for column in self.columns for policy in column.policies)}))

    @property
    def rows_in_words(self) -> str:
        """Which rows: all, none, or the row filter as a sentence."""
        if not self.allowed:
            return "none"
        return "all" if self.rows is None else self.rows.in_words


def _plain(part: RowScope | GroupThrough) -> dict[str, object]:
    return part.model_dump() if isinstance(part, GroupThrough) else dict(vars(part))


@dataclass(frozen=True)
class _Dataset:
    """What is decided about a dataset by, prepared once."""

    schema: TableSchema
    grades: Mapping[str, int]


class DecisionPoint:
    """Decides by one state of the firm's rules; the *policy decision point* of XACML.

    Args:
        rules: the access rules.
        tables: schemas of the tables that can be asked for.
        metric_grades: classification level by standard metric.
        key: key of ``hmac`` masks, where there is one.
        closed: why nothing is permitted, whatever the rules say.
        zone: that of business days, in which grants end.
    """

    def __init__(
        self,
        rules: AccessRules,
        tables: Mapping[str, TableSchema],
        metric_grades: Mapping[str, int],
        key: MaskKey | None = None,
        closed: str = "",
        zone: tzinfo = UTC,
    ) -> None:
        self.key = key
        self.closed, self._zone = closed, zone
        self._rules = rules
        self._tables = tables
        self._metric_grades = metric_grades
        self._questions = PolicyQuestions(rules.policies)
        self._datasets: dict[str, _Dataset] = {}
        # What does not depend on the time is the same every time it is asked.
        self._decided = lru_cache(maxsize=_KEPT_DECISIONS)(self._decide)
        self._decided_action = lru_cache(maxsize=_KEPT_DECISIONS)(self._decide_action)

    @classmethod
    def of(cls, governance: Governance, key: MaskKey | None = None) -> DecisionPoint:
        """By all control information of a firm."""
        folder = governance.project / "governance" / "standard" / "data_contracts"
        tables = readable_tables(governance.contracts, governance.systems, folder)
        grades = {one.metric: one.grade for one in governance.metrics}
        return cls(governance.access, tables, grades, key, zone=governance.firm.zone)

    @classmethod
    def nobody(cls, reason: str) -> DecisionPoint:
        """Permits nothing to anybody: what is left where the firm's rules cannot be read."""
        return cls(AccessRules(), {}, {}, closed=reason)

    @property
    def policy_hash(self) -> str:
        """The rules that are decided by."""
        return self._rules.policy_hash

    @cached_property
    def shown_hash(self) -> str:
        """Whatever decides what is shown: the rules, and grades and masks of contracts and metrics beside them."""
        graded = {
            dataset: [(grades[column.name], column.mask, column.name) for column in table.columns]
            for dataset, table in self._tables.items()
            for grades in [column_grades(dataset, self._tables)]
        }
        text = json.dumps([self.policy_hash, graded, dict(self._metric_grades)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @property
    def datasets(self) -> tuple[str, ...]:
        """All datasets that can be asked for, sorted."""
        return tuple(sorted(self._tables))

    def principal(self, name: str, purpose: str | None = None) -> Principal:
        """A principal by name, as ``known_principal``; of a name that the rules do not know, one who is denied."""
        try:
            return known_principal(self._rules, name, self._zone, purpose)
        except UnknownPrincipalError:
            return Principal(name, frozenset(), 1, purpose or "none")

    def decide(self, principal: Principal, dataset: str, now: datetime, action: Action = "read") -> Decision:
        """What the principal sees of the dataset; never raises.

        Args:
            principal: who asks, for which purpose.
            dataset: ``<folder>/<table>``.
            now: the time (aware).
            action: what it is asked for through; only a token's scope tells one from another.
        """

        def decided() -> Decision:
            has_key = self.key is not None and now < self.key.expires_at
            return self._decided(_timeless(principal), dataset, has_key)

        return self._closed_on_error(principal, dataset, now, action, decided)

    def decide_action(self, principal: Principal, dataset: str, action: Deed, now: datetime) -> Decision:
        """Whether the principal may act on the dataset (``act``) or deliver rows of it (``write``); never raises.

        The decision shows no column: nothing is read by it.
        """

        def decided() -> Decision:
            if action not in DEEDS:
                return replace(self._denied(principal, dataset), reason=f"there is no action {action}")
            return self._decided_action(_timeless(principal), dataset, action)

        return self._closed_on_error(principal, dataset, now, action, decided)

    def _closed_on_error(
        self, principal: Principal, dataset: str, now: datetime, action: str, decided: Callable[[], Decision]
    ) -> Decision:
        """The decision where nothing speaks against its being made; a denial where something does, or it fails."""
        denied = self._denied(principal, dataset)
        try:
            reason = self.closed or self._objection(principal, now)
            if not reason and principal.scope is not None and not in_scope(principal.scope, action, dataset):
                reason = f"the token's scope does not cover {action} of {dataset}"
            if not reason and dataset not in self._tables:
                reason = f"there is no dataset {dataset}"
            return replace(denied, reason=reason) if reason else decided()
        except PolicyError as error:
            return replace(denied, reason=str(error))
        # Whatever else goes wrong must not open anything; what it was is named, values it may quote are not.
        except Exception as error:
            return replace(denied, reason=f"the decision failed: {type(error).__name__}")

    def _objection(self, principal: Principal, now: datetime) -> str:
        """What speaks against the principal itself, whatever it asks for."""
        rules = self._rules
        unknown = sorted(principal.roles - rules.roles.keys())
        if unknown:
            return f"unknown roles: {', '.join(unknown)}"
        if not principal.roles:
            return "the principal has no role"
        if principal.purpose not in rules.purposes:
            return f"unknown purpose: {principal.purpose}"
        if type(principal.clearance) is not int or not 1 <= principal.clearance <= HIGHEST_GRADE:
            return f"clearance {principal.clearance!r} is none of 1 to {HIGHEST_GRADE}"
        highest = max(rules.roles[role].clearance for role in principal.roles)
        if principal.clearance > highest:
            return f"clearance {principal.clearance} contradicts the roles, which are cleared for {highest} at most"
        if principal.expires_at is not None and now >= principal.expires_at:
            return f"the grant ended at {principal.expires_at.isoformat()}"
        # A clock before the last decision on record is found by the audit.
        if principal.authenticated_at is not None and now < principal.authenticated_at:
            earlier = principal.authenticated_at.isoformat()
            return f"the clock was set back: the principal was authenticated at {earlier}, later than now"
        return ""

    def _denied(self, principal: Principal, dataset: str) -> Decision:
        return Decision(
            principal.name, principal.purpose, dataset, False, "", None, None, (), (), (), self._rules.policy_hash
        )

    def _decide(self, principal: Principal, dataset: str, has_key: bool) -> Decision:
        denied = self._denied(principal, dataset)
        facts = self._facts(dataset)
        asking = self._questions.of(principal, dataset)
        (read,), (all_rows,) = asking.ask(READ), asking.ask(READ_ALL_ROWS)
        if not read.allowed:
            return replace(denied, reason=_why_denied(read), policies=read.policies)
        rows = None if all_rows.allowed else self._row_scope(principal, dataset)
        if not all_rows.allowed and rows is None:
            reason = "no row filter says which rows are the principal's"
            return replace(denied, reason=reason, policies=read.policies)
        columns = self._columns(asking, facts, has_key)
        if all(column.shown == "dropped" for column in columns):
            return replace(denied, reason="no column is left", policies=read.policies, columns=columns)
        values = self._rules.values_by_metric(dataset)
        by_metric = values is not None and any(column.by_metric for column in columns)
        return replace(
            denied,
            allowed=True,
            rows=rows,
            metric=values.metric if values is not None and by_metric else None,
            metrics_within=self._metrics_within(principal.clearance) if by_metric else (),
            columns=columns,
            policies=tuple(sorted({*read.policies, *(all_rows.policies if all_rows.allowed else ())})),
            mask_key=self.key.fingerprint if self.key and any(one.mask == "hmac" for one in columns) else None,
        )

    def _decide_action(self, principal: Principal, dataset: str, action: Deed) -> Decision:
        denied = self._denied(principal, dataset)
        self._facts(dataset)
        (answer,) = self._questions.of(principal, dataset).ask(DEEDS[action])
        if not answer.allowed:
            return replace(denied, reason=_why_denied(answer), policies=answer.policies)
        return replace(denied, allowed=True, policies=answer.policies)

    def _facts(self, dataset: str) -> _Dataset:
        if dataset not in self._datasets:
            grades = column_grades(dataset, self._tables)
            self._questions.add_dataset(dataset, grades)
            self._datasets[dataset] = _Dataset(self._tables[dataset], grades)
        return self._datasets[dataset]

    def _row_scope(self, principal: Principal, dataset: str) -> RowScope | None:
        declared = self._rules.row_filter(dataset)
        if declared is None:
            return None
        return RowScope(
            system=declared.system,
            support_group=declared.support_group,
            match=declared.match or "all",
            systems=tuple(sorted(principal.systems)),
            support_groups=tuple(sorted(principal.support_groups)),
        )

    def _metrics_within(self, clearance: int) -> tuple[str, ...]:
        return tuple(sorted(metric for metric, grade in self._metric_grades.items() if grade <= clearance))

    def _columns(self, asking: Asking, facts: _Dataset, has_key: bool) -> tuple[ColumnDecision, ...]:
        principal, dataset = asking.principal, asking.dataset
        # What is above the clearance is not even asked for: no policy can open it.
        within = [name for name, grade in facts.grades.items() if grade <= principal.clearance]
        seen = dict(zip(within, asking.ask(SEE, within), strict=True))
        hidden = [name for name in facts.grades if name not in seen or not seen[name].allowed]
        masked = dict(zip(hidden, asking.ask(SEE_MASKED, hidden), strict=True))
        values = self._rules.values_by_metric(dataset)
        graded_by_metric = frozenset(values.columns if values is not None else ())
        columns = []
        for column in facts.schema.columns:
            grade, name = facts.grades[column.name], column.name
            see, see_masked = seen.get(name), masked.get(name)
            # A mask may let something through, which a metric's grade would not.
            by_metric = name in graded_by_metric and principal.clearance < HIGHEST_GRADE
            if see is not None and see.allowed:
                shown: Shown = "masked" if by_metric else "visible"
                reason = "values of metrics above the clearance are null" if by_metric else ""
                columns.append(
                    ColumnDecision(name, column.sql_type, grade, shown, None, by_metric, see.policies, reason)
                )
                continue
            mask = column.mask or self._rules.mask(dataset, name)
            objection = _mask_objection(mask, column.sql_type, see_masked, has_key)
            why = _why_hidden(see, grade, principal.clearance)
            policies = (*(see.policies if see else (CLEARANCE,)), *(see_masked.policies if see_masked else ()))
            columns.append(
                ColumnDecision(
                    name=name,
                    sql_type=column.sql_type,
                    grade=grade,
                    shown="dropped" if objection else "masked",
                    mask=None if objection else mask,  # type: ignore[arg-type]
                    by_metric=by_metric and objection is None,
                    policies=tuple(sorted(set(policies))),
                    reason=f"{why}; {objection}" if objection else why,
                )
            )
        return tuple(columns)


def _mask_objection(mask: str | None, sql_type: str, answer: Answer | None, has_key: bool) -> str | None:
    """Why a column is not shown masked, either; None where it is."""
    if answer is None or not answer.allowed:
        forbidding = ", ".join(answer.policies) if answer is not None else ""
        return f"masked it is forbidden by {forbidding}" if forbidding else "no policy permits it masked"
    if mask is None:
        return "no mask is declared"
    if mask == "drop" or not mask_fits(mask, sql_type):
        return "it is declared to be left out" if mask == "drop" else f"{mask} does not fit {sql_type}"
    if mask == "hmac" and not has_key:
        return "there is no key to mask it with, or it has expired"
    return None


def _timeless(principal: Principal) -> Principal:
    """The principal without what is looked at each time, so that decisions about it can be kept."""
    return replace(principal, authenticated_at=None, expires_at=None, scope=None)


def _why_denied(answer: Answer) -> str:
    return f"forbidden by {', '.join(answer.policies)}" if answer.policies else "no policy permits it"


def _why_hidden(answer: Answer | None, grade: int, clearance: int) -> str:
    if answer is None:
        return f"grade {grade} is above clearance {clearance}"
    return _why_denied(answer)
