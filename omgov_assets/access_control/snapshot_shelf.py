"""The governed snapshots of one state of the rules: found again without asking a table's log, and made once each.

Owns one rule: what is kept in memory is kept for the very state of all tables that it was made from, so that a commit
makes it be looked at anew. Does not belong here: what a snapshot holds (``snapshot``), deciding (``decision``).
"""

from __future__ import annotations

import threading
from collections.abc import Hashable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TypeVar

from omgov_assets.access_control.decision import Decision
from omgov_assets.access_control.governed_query import governed_days
from omgov_assets.access_control.mask_key import MaskKey
from omgov_assets.access_control.snapshot import Planned, Snapshot, is_in_use, planned_snapshot
from omgov_assets.data_lake.lake import Lake
from omgov_assets.model_management.access_rules import GroupThrough

T = TypeVar("T")
_MOST_KEPT = 4096


class OtherSnapshotError(Exception):
    """The snapshot that was asked for by name is not the one that the principal sees now."""


class SnapshotShelf:
    """Governed snapshots below a folder; may be shared by threads.

    Args:
        lake: where the tables are.
        folder: ``Settings.governed``.
        key: key of ``hmac`` masks that is decided with.
    """

    def __init__(self, lake: Lake, folder: Path, key: MaskKey | None) -> None:
        self._lake, self.folder, self.key = lake, folder, key
        self._snapshots: dict[Hashable, Snapshot] = {}
        self._days: dict[Hashable, tuple[tuple[date, ...], int | None]] = {}
        self._lock = threading.Lock()
        self._making: dict[Path, threading.Lock] = {}

    def snapshot(self, decision: Decision, day: date | None, version: int | None, name: str | None = None) -> Snapshot:
        """The snapshot of a day (of all days where None) as of a version (the last one where None).

        Raises:
            OtherSnapshotError: it is not called ``name``; nothing is made.
            AccessDeniedError, SchemaMismatchError, UnknownVersionError: as ``planned_snapshot``.
        """
        key = self._key(decision, day, version)
        kept = self._snapshots.get(key)
        if kept is not None and is_in_use(kept.path):
            _require_name(kept.snapshot_id, name)
            return replace(kept, was_there=True)
        if day is not None and day not in self._lake.days(decision.dataset, version):
            # One file stands for all days of which there is nothing: there are more of them than a disk has room for.
            day = date.max
        planned = planned_snapshot(self._lake, decision, day, self.folder, self.key, version)
        _require_name(planned.snapshot_id, name)
        made = self._made_once(planned)
        self._keep(self._snapshots, key, made)
        return made

    @staticmethod
    def shows_days(decision: Decision) -> bool:
        """Whether the principal sees business days as they are."""
        return any(column.name == "day" and column.shown == "visible" for column in decision.shown)

    def days(self, decision: Decision, version: int | None = None) -> tuple[tuple[date, ...], int | None]:
        """Days of which the decision leaves rows, oldest first, and the version; none where it hides the days."""
        if not self.shows_days(decision):
            return (), version if version is not None else self._lake.version(decision.dataset)
        key = self._key(decision, None, version)
        kept = self._days.get(key)
        if kept is None:
            select = governed_days(self._lake, decision, version)
            with self._lake.connect() as con:
                rows = con.execute(select.sql, select.parameters).fetchall()
            kept = tuple(day for (day,) in rows if day is not None), select.versions[decision.dataset]
            self._keep(self._days, key, kept)
        return kept

    def _key(self, decision: Decision, day: date | None, version: int | None) -> Hashable:
        tables = {decision.dataset}
        if decision.rows is not None and isinstance(decision.rows.support_group, GroupThrough):
            tables.add(decision.rows.support_group.dataset)
        states = tuple(self._lake.state(table) for table in sorted(tables))
        return decision.dataset, day, version, decision.policy_hash, decision.principal_class, states

    def _made_once(self, planned: Planned) -> Snapshot:
        with self._lock:
            making = self._making.setdefault(planned.path, threading.Lock())
        try:
            # Who comes second finds it made: it takes seconds, and memory for all of its rows.
            with making:
                return planned.made(self._lake)
        finally:
            with self._lock:
                self._making.pop(planned.path, None)

    def _keep(self, kept: dict[Hashable, T], key: Hashable, value: T) -> None:
        with self._lock:
            if len(kept) >= _MOST_KEPT:
                kept.pop(next(iter(kept)))
            kept[key] = value


def _require_name(found: str, wanted: str | None) -> None:
    if wanted is not None and found != wanted:
        raise OtherSnapshotError
