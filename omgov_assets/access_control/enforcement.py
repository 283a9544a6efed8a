"""The door that governed data leaves through: decide, make what is permitted, put it on record, hand it out.

Owns one rule: nothing is handed out before its decision is durably on record, denials are on record as well, and
whoever is denied is not told why: *no such dataset* and *not for you* sound the same. Pages, REST, sharing and exports
use it and nothing else; in XACML's words it is the *policy enforcement point*. Does not belong here: deciding
(``decision``), proving who asks (``authentication``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

import duckdb

from omgov_assets.access_control import audit_chain
from omgov_assets.access_control.audit_lake import open_log
from omgov_assets.access_control.audit_log import AuditLog, ClockSetBackError
from omgov_assets.access_control.decision import Action, Decision, DecisionPoint
from omgov_assets.access_control.governed_changes import CHANGE_TYPE, COMMIT_VERSION, governed_changes
from omgov_assets.access_control.governed_query import AccessDeniedError, Condition, Query, governed_select, question
from omgov_assets.access_control.mask_key import mask_key
from omgov_assets.access_control.principals import Principal
from omgov_assets.access_control.snapshot import Snapshot, governed_snapshot
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings
from omgov_assets.data_lake.sql import identifier
from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.governance import Governance, load_governance

T = TypeVar("T")


@dataclass(frozen=True)
class _Given(Generic[T]):
    """What is handed out, and what is on record of it beside the decision."""

    handed: T
    version: int | None
    rows: int | None
    columns: tuple[str, ...]


class EnforcementPoint:
    """Hands out what the decision function permits, and only that; may be shared by threads.

    Args:
        lake: where the tables are.
        decisions: the decision function.
        audit: the log of decisions.
        snapshots: folder of governed snapshots; ``Settings.governed``.
        clock: the time (aware).
    """

    def __init__(
        self,
        lake: Lake,
        decisions: DecisionPoint,
        audit: AuditLog,
        snapshots: Path,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._lake, self._decisions, self._audit = lake, decisions, audit
        self._snapshots, self._clock = snapshots, clock

    @classmethod
    @contextmanager
    def of_home(cls, settings: Settings, environment: Mapping[str, str] = os.environ) -> Iterator[EnforcementPoint]:
        """The door of a home, by the rules of its project. Where those cannot be read, everybody is denied.

        Raises:
            AuditUnavailableError: the audit log cannot be used.
        """
        decisions, _ = decision_point(settings.project, environment)
        lake = Lake(settings.lake, settings.dataset_contracts)
        with open_log(lake, settings.audit) as audit:
            yield cls(lake, decisions, audit, settings.governed)

    @property
    def closed(self) -> str:
        """Why everybody is denied; empty where the rules decide."""
        return self._decisions.closed

    def principal(self, name: str, purpose: str | None = None) -> Principal:
        """A principal by the name that the access rules give it; of any other name, one who is denied everything."""
        return self._decisions.principal(name, purpose)

    def column_types(self, principal: Principal, dataset: str, action: Action = "read") -> dict[str, str]:
        """Columns that there are for the principal, with their DuckDB types; a denial is on record.

        Raises:
            AccessDeniedError, AuditUnavailableError: as ``snapshot``.
        """
        decision = self._decided(principal, dataset, self._clock(), action)
        return {column.name: column.sql_type for column in decision.shown}

    def snapshot(
        self,
        principal: Principal,
        dataset: str,
        day: date | None = None,
        version: int | None = None,
        action: Action = "read",
    ) -> Snapshot:
        """What the principal sees of a day of a dataset (all days where None) as a file.

        Raises:
            AccessDeniedError: it may not; the message is the same whether there is such a dataset or not.
            AuditUnavailableError: the decision cannot be put on record.
            SchemaMismatchError: the table was written by another contract.
            UnknownVersionError: the dataset has no such version.
        """

        def give(decision: Decision) -> _Given[Snapshot]:
            made = self._snapshot(decision, day, version)
            return _Given(made, made.versions[dataset], made.rows, decision.shown_names)

        return self._answer(principal, dataset, action, give)

    def rows(
        self, principal: Principal, dataset: str, query: Query, day: date | None = None, version: int | None = None
    ) -> list[dict[str, Any]]:
        """The answer to a question, in the order of the columns asked for, the first one first.

        Raises:
            QueryError: the question cannot be asked of what the principal sees.
            AccessDeniedError, AuditUnavailableError, SchemaMismatchError, UnknownVersionError: as ``snapshot``.
        """

        def give(decision: Decision) -> _Given[list[dict[str, Any]]]:
            # Asked before anything is made: a question that cannot be asked costs nothing.
            question(decision, query, "")
            made = self._snapshot(decision, day, version)
            with self._lake.connect() as con:
                statement, parameters = question(decision, query, f"FROM {made.scan}")
                answer = con.sql(statement, params=parameters).to_arrow_table()
            return _Given(answer.to_pylist(), made.versions[dataset], answer.num_rows, tuple(answer.column_names))

        return self._answer(principal, dataset, "read", give)

    def changes(self, principal: Principal, dataset: str, first: int, last: int) -> list[dict[str, Any]]:
        """Rows that came into the principal's sight and left it; see ``governed_changes``.

        Raises:
            AccessDeniedError, AuditUnavailableError, SchemaMismatchError, UnknownVersionError: as ``snapshot``.
        """

        def give(decision: Decision) -> _Given[list[dict[str, Any]]]:
            changes = governed_changes(self._lake, decision, first, last, self._decisions.key)
            columns = (*decision.shown_names, CHANGE_TYPE, COMMIT_VERSION)
            return _Given(changes, last, len(changes), columns)

        return self._answer(principal, dataset, "read", give)

    @contextmanager
    def extract(
        self, principal: Principal, dataset: str, query: Query, day: date | None = None
    ) -> Iterator[duckdb.DuckDBPyRelation]:
        """The answer to a question as a relation, for what is too large for memory and not worth a snapshot.

        Raises:
            QueryError, AccessDeniedError, AuditUnavailableError, SchemaMismatchError: as ``rows``.
        """

        def give(decision: Decision) -> _Given[tuple[str, dict[str, Any]]]:
            select = governed_select(self._lake, decision, day, self._decisions.key)
            statement, parameters = question(decision, query, select.sql)
            parameters |= select.parameters
            with self._lake.connect() as con:
                answer = con.sql(f"SELECT count(*) FROM ({statement})", params=parameters)  # noqa: S608
                ((rows,),) = answer.fetchall()
            columns = query.columns or decision.shown_names
            return _Given((statement, parameters), select.versions[dataset], rows, columns)

        statement, parameters = self._answer(principal, dataset, "export", give)
        with self._lake.connect() as con:
            yield con.sql(statement, params=parameters)

    def load(
        self,
        con: duckdb.DuckDBPyConnection,
        view: str,
        principal: Principal,
        dataset: str,
        days: Sequence[date | None],
        conditions: tuple[Condition, ...] = (),
        action: Action = "read",
    ) -> int:
        """Make what the principal sees of a dataset a table of a connection, for SQL of our own.

        The table has all columns of the dataset; those that there are not for the principal are null.

        Args:
            con: connection of the lake.
            view: name of the table.
            principal: who asks.
            dataset: ``<folder>/<table>``.
            days: business days; None among them stands for all.
            conditions: that the rows must hold, of columns as they are shown.
            action: what it is asked for through.

        Returns:
            How many rows it has.

        Raises:
            QueryError, AccessDeniedError, AuditUnavailableError, SchemaMismatchError: as ``rows``.
        """

        def give(decision: Decision) -> _Given[int]:
            # One day more, of which there is nothing: the table is there where no day is.
            selects = [governed_select(self._lake, decision, day, self._decisions.key) for day in (date.max, *days)]
            asked, parameters = question(
                decision, Query(None, conditions), " UNION ALL ".join(select.sql for select in selects)
            )
            for select in selects:
                parameters |= select.parameters
            shown = frozenset(decision.shown_names)
            columns = ", ".join(
                f"{name if column.name in shown else f'NULL::{column.sql_type}'} AS {name}"
                for column in decision.columns
                for name in [identifier(column.name)]
            )
            # A view cannot have parameters, so that what is asked for is copied.
            con.execute(
                f"CREATE TEMP TABLE {identifier(view)} AS SELECT {columns} FROM ({asked})",  # noqa: S608
                parameters,
            )
            ((rows,),) = con.execute(f"SELECT count(*) FROM {identifier(view)}").fetchall()  # noqa: S608
            return _Given(int(rows), selects[-1].versions[dataset], int(rows), decision.shown_names)

        return self._answer(principal, dataset, action, give)

    def _snapshot(self, decision: Decision, day: date | None, version: int | None) -> Snapshot:
        return governed_snapshot(self._lake, decision, day, self._snapshots, self._decisions.key, version)

    def _answer(self, principal: Principal, dataset: str, action: Action, give: Callable[[Decision], _Given[T]]) -> T:
        at = self._clock()
        decision = self._decided(principal, dataset, at, action)
        try:
            given = give(decision)
        except Exception as error:
            # Nothing leaves but the error; that it was asked for is on record all the same.
            reason = f"{', '.join(decision.deciding)}; nothing left: {type(error).__name__}"
            self._audit.record(on_record(decision, at, reason=reason))
            raise
        try:
            self._audit.record(on_record(decision, at, given.version, given.rows, given.columns))
        except ClockSetBackError as error:
            raise _denied(decision) from error
        return given.handed

    def _decided(self, principal: Principal, dataset: str, at: datetime, action: Action) -> Decision:
        decision = self._decisions.decide(principal, dataset, at, action)
        if not decision.allowed:
            self._audit.record(on_record(decision, at))
            raise _denied(decision)
        return decision


def decision_point(project: Path, environment: Mapping[str, str]) -> tuple[DecisionPoint, Governance | None]:
    """The decision function by the rules of a project, with the key of masks from the environment.

    Where the rules cannot be read, one that denies everybody, and None.
    """
    try:
        governance = load_governance(project)
    except GovernanceError as error:
        return DecisionPoint.nobody(f"the access rules cannot be read: {error}"), None
    key = mask_key(governance.access, environment, governance.firm.zone)
    return DecisionPoint.of(governance, key), governance


def _denied(decision: Decision) -> AccessDeniedError:
    return AccessDeniedError(
        f"{decision.principal} may not read {decision.dataset} for purpose {decision.purpose}, or there is no such "
        f"dataset; `omgov access explain {decision.principal} {decision.dataset}` says why to those who look after it"
    )


def on_record(
    decision: Decision,
    at: datetime,
    version: int | None = None,
    rows: int | None = 0,
    columns: tuple[str, ...] = (),
    reason: str | None = None,
) -> audit_chain.Decision:
    """A decision as the audit keeps it.

    Args:
        decision: the decision.
        at: when it was made.
        version: Delta version that was read.
        rows: how many rows left; None where that is not known beforehand.
        columns: columns that left.
        reason: what to say instead of the deciding policies, or of why it was denied.
    """
    masked = [column for column in decision.shown if column.shown == "masked" and column.name in columns]
    said = reason if reason is not None else (", ".join(decision.deciding) if decision.allowed else decision.reason)
    return audit_chain.Decision(
        at=at,
        principal=decision.principal,
        dataset=decision.dataset,
        decision="allow" if decision.allowed else "deny",
        reason=said,
        policy_hash=decision.policy_hash,
        purpose=decision.purpose,
        version=version,
        columns=columns,
        masks={column.name: column.mask or "by metric" for column in masked},
        rows=decision.rows_in_words,
        row_count=rows if decision.allowed else None,
    )
