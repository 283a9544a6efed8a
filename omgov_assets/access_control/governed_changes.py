"""What changed in a dataset for a principal: rows that came into its sight, and rows that left it.

Owns one rule: a change is told by comparing what the principal saw before with what it sees after, so that a row which
moves across a row filter is inserted or deleted, and a change of hidden values is none. The table's own change feed
would say more. Does not belong here: deciding (``decision``).
"""

from __future__ import annotations

from typing import Any

from omgov_assets.access_control.decision import Decision
from omgov_assets.access_control.governed_query import governed_select
from omgov_assets.access_control.mask_key import MaskKey
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.sql import identifier

# Names of Delta's change feed.
CHANGE_TYPE, COMMIT_VERSION = "_change_type", "_commit_version"


def governed_changes(
    lake: Lake, decision: Decision, first: int, last: int, key: MaskKey | None = None
) -> list[dict[str, Any]]:
    """Changes of a dataset by the commits of versions ``first`` to ``last``, both included.

    Returns:
        One dictionary per row that came or went: the columns of ``decision.shown``, _change_type (insert or delete)
        and _commit_version; by version, deletions first, then by value. A changed row is a deletion and an insertion.

    Raises:
        AccessDeniedError, SchemaMismatchError, UnknownVersionError: as ``governed_select``.
        ValueError: ``first`` is after ``last``.
    """
    if first > last:
        raise ValueError(f"versions {first} to {last}: the first is after the last")
    return [row for version in range(first, last + 1) for row in _changes_of(lake, decision, version, key)]


def _changes_of(lake: Lake, decision: Decision, version: int, key: MaskKey | None) -> list[dict[str, Any]]:
    columns = ", ".join(map(identifier, decision.shown_names))
    changes: list[dict[str, Any]] = []
    with lake.connect() as con:
        # A commit touches few days: no other is read.
        for day in lake.days_changed(decision.dataset, version):
            after = governed_select(lake, decision, day, key, version)
            if version == 0:
                before = f"SELECT * FROM ({after.sql}) WHERE false"  # noqa: S608 - a statement of our own
                parameters = after.parameters
            else:
                earlier = governed_select(lake, decision, day, key, version - 1)
                before, parameters = earlier.sql, after.parameters | earlier.parameters
            for kind, these, those in (("delete", before, after.sql), ("insert", after.sql, before)):
                changed = f"SELECT * FROM (FROM ({these}) EXCEPT ALL FROM ({those})) ORDER BY {columns}"  # noqa: S608
                rows = con.sql(changed, params=parameters).to_arrow_table().to_pylist()
                changes += [row | {CHANGE_TYPE: kind, COMMIT_VERSION: version} for row in rows]
    return sorted(changes, key=lambda row: str(row[CHANGE_TYPE]))
