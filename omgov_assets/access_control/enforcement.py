"""The door that governed data leaves through: decide, make what is permitted, put it on record, hand it out.

Owns one rule: nothing is handed out before its decision is durably on record, denials are on record as well, and
whoever is denied is not told why: *no such dataset* and *not for you* sound the same. Pages, REST, sharing and exports
use it and nothing else; in XACML's words it is the *policy enforcement point*. Does not belong here: deciding
(``decision``), proving who asks (``authentication``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from omgov_assets.access_control.audit_lake import open_log
from omgov_assets.access_control.audit_log import AuditLog
from omgov_assets.access_control.decision import Action, Decision, DecisionPoint, Deed
from omgov_assets.access_control.decision_record import on_record
from omgov_assets.access_control.deeds import permit, permit_cases
from omgov_assets.access_control.descriptions import Description, described
from omgov_assets.access_control.governed_changes import (
    CHANGE_TYPE,
    COMMIT_VERSION,
    ChangeFile,
    change_files,
    governed_changes,
)
from omgov_assets.access_control.governed_pages import (
    CursorExpiredError,
    Page,
    PageQuestion,
    Place,
    Whole,
    next_cursor,
    page_of,
    place_of,
    require_askable,
    whole_of,
)
from omgov_assets.access_control.governed_query import Condition, Query, governed_select, question
from omgov_assets.access_control.handed_out import hand_out
from omgov_assets.access_control.mask_key import mask_key
from omgov_assets.access_control.principals import Principal
from omgov_assets.access_control.recorded_decisions import Given, RecordedDecisions
from omgov_assets.access_control.snapshot import (
    Snapshot,
    snapshot_id,
    snapshot_path,
)
from omgov_assets.access_control.snapshot_shelf import OtherSnapshotError, SnapshotShelf
from omgov_assets.data_lake.lake import Lake, UnknownVersionError
from omgov_assets.data_lake.settings import Settings
from omgov_assets.data_lake.sql import identifier
from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.governance import Governance, load_governance

# What stands in the record for all datasets together.
EVERY_DATASET = "*"


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
        self._lake, self._decisions = lake, decisions
        self._recorded = RecordedDecisions(decisions, audit, clock)
        self._shelf = SnapshotShelf(lake, snapshots, decisions.key)

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
    def shown_hash(self) -> str:
        """Whatever decides what is shown, as links are bound to it; see ``DecisionPoint.shown_hash``."""
        return self._decisions.shown_hash

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
        decision = self._recorded.decided(principal, dataset, self._recorded.clock(), action)
        return {column.name: column.sql_type for column in decision.shown}

    def datasets(self, principal: Principal, action: Action = "read") -> list[str]:
        """The datasets that the principal may ask for, sorted; that it was told is on record.

        Raises:
            AccessDeniedError: the clock was set back.
            AuditUnavailableError: it cannot be put on record.
        """
        at = self._recorded.clock()
        decisions = [self._decisions.decide(principal, one, at, action) for one in self._decisions.datasets]
        allowed = [decision.dataset for decision in decisions if decision.allowed]
        nothing = self._decisions.decide(principal, EVERY_DATASET, at, action)
        reason = f"told which datasets there are for {action}: {len(allowed)}"
        entry = on_record(nothing, at, reason=reason if allowed else "there is no dataset that it may ask for")
        self._recorded.record(replace(entry, decision="allow" if allowed else "deny"), nothing)
        return allowed

    def describe(self, principal: Principal, dataset: str, action: Action = "read") -> Description:
        """What the dataset is to the principal: columns, which rows, days that it sees rows of.

        Raises:
            AccessDeniedError, AuditUnavailableError, SchemaMismatchError: as ``snapshot``.
        """

        def give(decision: Decision) -> Given[Description]:
            told = described(decision, self._shelf)
            return Given(told, told.version, 0, decision.shown_names)

        return self._recorded.answer(principal, dataset, action, give)

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

        def give(decision: Decision) -> Given[Snapshot]:
            made = self._snapshot(decision, day, version)
            return Given(made, made.versions[dataset], made.rows, decision.shown_names)

        return self._recorded.answer(principal, dataset, action, give)

    def rows(
        self, principal: Principal, dataset: str, query: Query, day: date | None = None, version: int | None = None
    ) -> pa.Table:
        """The answer to a question, in the order of the columns asked for, the first one first.

        Raises:
            QueryError: the question cannot be asked of what the principal sees.
            AccessDeniedError, AuditUnavailableError, SchemaMismatchError, UnknownVersionError: as ``snapshot``.
        """

        def give(decision: Decision) -> Given[pa.Table]:
            # Asked before anything is made: a question that cannot be asked costs nothing.
            question(decision, query, "")
            made = self._snapshot(decision, day, version)
            with self._lake.connect() as con:
                statement, parameters = question(decision, query, f"FROM {made.scan}")
                answer = con.sql(statement, params=parameters).to_arrow_table()
            return Given(answer, made.versions[dataset], answer.num_rows, tuple(answer.column_names))

        return self._recorded.answer(principal, dataset, "read", give)

    def page(
        self,
        principal: Principal,
        dataset: str,
        asked: PageQuestion,
        day: date | None = None,
        version: int | None = None,
        action: Action = "read",
    ) -> Page:
        """A page of the rows of a day (of all days where None), as of a version (the last one where None).

        All pages that cursors lead to are of the version of the first one.

        Raises:
            QueryError: the question cannot be asked, or the cursor is none of it.
            CursorExpiredError: rules, the CMDB or the table's contract have changed since the page before.
            AccessDeniedError, AuditUnavailableError, SchemaMismatchError, UnknownVersionError: as ``snapshot``.
        """

        def give(decision: Decision) -> Given[Page]:
            # Asked before anything is made: a question that cannot be asked costs nothing.
            require_askable(decision, asked)
            place = place_of(dataset, day, version, asked)
            made = self._snapshot(decision, day, version) if place is None else self._went_on(decision, day, place)
            rows, last = page_of(self._lake.cursor(), made, decision, asked, place)
            behind = next_cursor(dataset, day, version, asked, made, last)
            page = Page(rows, behind, made.snapshot_id, made.versions[dataset])
            return Given(page, page.version, rows.num_rows, tuple(rows.column_names))

        return self._recorded.answer(principal, dataset, action, give)

    @contextmanager
    def whole(
        self,
        principal: Principal,
        dataset: str,
        asked: PageQuestion,
        day: date | None = None,
        version: int | None = None,
    ) -> Iterator[Whole]:
        """All rows that pages would have, read as they are taken, in the order of pages.

        Raises:
            QueryError, AccessDeniedError, AuditUnavailableError, SchemaMismatchError, UnknownVersionError: as ``page``.
        """
        with self._lake.connect() as con:

            def give(decision: Decision) -> Given[Whole]:
                require_askable(decision, asked)
                made = self._snapshot(decision, day, version)
                rows, count = whole_of(con, made, decision, asked)
                whole = Whole(rows, count, made.versions[dataset])
                return Given(whole, whole.version, count, tuple(rows.columns))

            yield self._recorded.answer(principal, dataset, "read", give)

    def shared_files(
        self,
        principal: Principal,
        dataset: str,
        days: Sequence[date] | None = None,
        version: int | None = None,
    ) -> list[Snapshot]:
        """A snapshot for each day that the principal sees rows of, oldest first, as of one version (the last for None).

        Days without rows in sight are left out. Where the principal does not see the days as they are, all rows are in
        one snapshot, whatever days are asked for.

        Raises:
            AccessDeniedError, AuditUnavailableError, SchemaMismatchError, UnknownVersionError: as ``snapshot``.
        """

        def give(decision: Decision) -> Given[list[Snapshot]]:
            pinned = version if version is not None else self._lake.version(dataset)
            if pinned is None:
                return Given([], None, 0, decision.shown_names)
            seen, _ = self._shelf.days(decision, pinned)
            wanted: list[date | None] = [day for day in seen if days is None or day in days]
            if not self._shelf.shows_days(decision):
                wanted = [None]
            made = [self._snapshot(decision, day, pinned) for day in wanted]
            files = [one for one in made if one.rows]
            return Given(files, pinned, sum(one.rows for one in files), decision.shown_names)

        return self._recorded.answer(principal, dataset, "share", give)

    def shared_changes(self, principal: Principal, dataset: str, first: int, last: int) -> list[ChangeFile]:
        """What ``changes`` tells as files, one for each version that changed something in the principal's sight.

        Raises:
            AccessDeniedError, AuditUnavailableError, SchemaMismatchError, UnknownVersionError, ValueError: as
                ``changes``.
        """

        def give(decision: Decision) -> Given[list[ChangeFile]]:
            files = change_files(self._lake, decision, first, last, self._shelf.folder, self._decisions.key)
            columns = (*decision.shown_names, CHANGE_TYPE)
            return Given(files, last, sum(one.rows for one in files), columns)

        return self._recorded.answer(principal, dataset, "share", give)

    def hand_out(self, principal_name: str, snapshot_id: str) -> Path:
        """The governed file that a signed link of a principal names; see ``SignedLinks.open``, which looks at the link.

        Raises:
            AccessDeniedError: there is none of that name, or none any more.
            AuditUnavailableError: it cannot be put on record.
        """
        return hand_out(self._recorded, self._shelf.folder, principal_name, snapshot_id)

    def permit(self, principal: Principal, dataset: str, action: Deed, asked_for: str = "") -> None:
        """Return where the principal may act on the dataset, or write it; that is on record by then.

        Args:
            principal: who wants to.
            dataset: ``<folder>/<table>``.
            action: ``act``, such as on cases, or ``write``: deliver rows.
            asked_for: what exactly, for the record.

        Raises:
            AccessDeniedError: it may not, or there is no such dataset.
            AuditUnavailableError: the decision cannot be put on record.
        """
        permit(self._recorded, principal, dataset, action, asked_for)

    def permit_cases(self, principal: Principal, case_ids: Collection[str], asked_for: str = "") -> None:
        """Return where the principal may act on these cases: it may act on cases, and sees the rows of these.

        Cases are those of the last day that has any. A case that there is not and one out of sight are the same.

        Raises:
            AccessDeniedError, AuditUnavailableError: as ``permit``.
            SchemaMismatchError: as ``snapshot``.
        """
        permit_cases(self._recorded, self._lake, principal, case_ids, asked_for)

    def changes(self, principal: Principal, dataset: str, first: int, last: int) -> pa.Table:
        """Rows that came into the principal's sight and left it; see ``governed_changes``.

        Raises:
            AccessDeniedError, AuditUnavailableError, SchemaMismatchError, UnknownVersionError: as ``snapshot``.
        """

        def give(decision: Decision) -> Given[pa.Table]:
            changes = governed_changes(self._lake, decision, first, last, self._decisions.key)
            columns = (*decision.shown_names, CHANGE_TYPE, COMMIT_VERSION)
            return Given(changes, last, changes.num_rows, columns)

        return self._recorded.answer(principal, dataset, "read", give)

    @contextmanager
    def extract(
        self, principal: Principal, dataset: str, query: Query, day: date | None = None
    ) -> Iterator[duckdb.DuckDBPyRelation]:
        """The answer to a question as a relation, for what is too large for memory and not worth a snapshot.

        Raises:
            QueryError, AccessDeniedError, AuditUnavailableError, SchemaMismatchError: as ``rows``.
        """

        def give(decision: Decision) -> Given[tuple[str, dict[str, Any]]]:
            select = governed_select(self._lake, decision, day, self._decisions.key)
            statement, parameters = question(decision, query, select.sql)
            parameters |= select.parameters
            with self._lake.connect() as con:
                answer = con.sql(f"SELECT count(*) FROM ({statement})", params=parameters)  # noqa: S608
                ((rows,),) = answer.fetchall()
            columns = query.columns or decision.shown_names
            return Given((statement, parameters), select.versions[dataset], rows, columns)

        statement, parameters = self._recorded.answer(principal, dataset, "export", give)
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

        def give(decision: Decision) -> Given[int]:
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
            return Given(int(rows), selects[-1].versions[dataset], int(rows), decision.shown_names)

        return self._recorded.answer(principal, dataset, action, give)

    def _snapshot(self, decision: Decision, day: date | None, version: int | None) -> Snapshot:
        return self._shelf.snapshot(decision, day, version)

    def _went_on(self, decision: Decision, day: date | None, place: Place) -> Snapshot:
        """The snapshot that a page ended in, where the principal still sees just that."""
        name = snapshot_id(snapshot_path(self._shelf.folder, decision.dataset, day, place.snapshot))
        try:
            return self._shelf.snapshot(decision, day, place.version, name)
        except (OtherSnapshotError, UnknownVersionError) as error:
            raise CursorExpiredError("what the cursor goes on in has changed; ask for the first page again") from error


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
