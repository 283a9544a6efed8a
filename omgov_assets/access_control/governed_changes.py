"""What changed in a dataset for a principal: rows that came into its sight, and rows that left it.

Owns one rule: a change is told by comparing what the principal saw before with what it sees after, so that a row which
moves across a row filter is inserted or deleted, and a change of hidden values is none. The table's own change feed
would say more. Does not belong here: deciding (``decision``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from omgov_assets.access_control.decision import Decision
from omgov_assets.access_control.governed_query import GovernedSelect, QueryError, governed_select
from omgov_assets.access_control.mask_key import MaskKey
from omgov_assets.access_control.snapshot import cache_name, kept_rows, total_order
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.schemas import ARROW_TYPES

# Names of Delta's change feed.
CHANGE_TYPE, COMMIT_VERSION = "_change_type", "_commit_version"
# They are held in memory, at some kilobytes each.
MOST_CHANGES = 100_000


def governed_changes(lake: Lake, decision: Decision, first: int, last: int, key: MaskKey | None = None) -> pa.Table:
    """Changes of a dataset by the commits of versions ``first`` to ``last``, both included.

    Returns:
        One row per row that came or went: the columns of ``decision.shown``, _change_type (insert or delete) and
        _commit_version; by version, deletions first, then by value. A changed row is a deletion and an insertion.
        A table of Arrow, since times may be beyond what Python knows.

    Raises:
        AccessDeniedError, SchemaMismatchError, UnknownVersionError: as ``governed_select``.
        QueryError: there are more than can be told at once; ``change_files`` has room for them.
        ValueError: ``first`` is after ``last``.
    """
    _require_in_order(first, last)
    fields = [pa.field(column.name, ARROW_TYPES[column.sql_type]) for column in decision.shown]
    schema = pa.schema([*fields, pa.field(CHANGE_TYPE, pa.string()), pa.field(COMMIT_VERSION, pa.int64())])
    changes: pa.Table = schema.empty_table()
    for version in range(first, last + 1):
        these = _changes_of(lake, decision, version, key, MOST_CHANGES - changes.num_rows)
        changes = pa.concat_tables([changes, *(one.cast(schema) for one in these)])
    return changes


@dataclass(frozen=True)
class ChangeFile:
    """What a commit changed for a principal, as a Parquet file.

    Attributes:
        path: its columns are those of ``decision.shown`` and ``_change_type``. Version and time are no columns, as in
            change files of Delta: readers add them, and refuse a file that has them.
        version: which commit.
        committed_at: when it was made (UTC).
        rows: number of its rows.
    """

    path: Path
    version: int
    committed_at: datetime
    rows: int


def change_files(
    lake: Lake, decision: Decision, first: int, last: int, folder: Path, key: MaskKey | None = None
) -> list[ChangeFile]:
    """The changes of ``governed_changes`` as files, one for each version that changed something in sight.

    Args:
        lake: where the tables are.
        decision: what the principal sees.
        first: version of the first commit.
        last: version of the last commit, included.
        folder: where governed files are kept; ``Settings.governed``.
        key: key of ``hmac`` masks that was decided with.

    Raises:
        AccessDeniedError, SchemaMismatchError, UnknownVersionError, ValueError: as ``governed_changes``.
    """
    _require_in_order(first, last)
    times = lake.commit_times(decision.dataset)
    files = []
    for version in range(first, last + 1):
        selects = _change_selects(lake, decision, version, key)
        if selects:
            files.append(_change_file(lake, decision, version, times[version], selects, folder))
    return [file for file in files if file.rows]


def _change_file(
    lake: Lake, decision: Decision, version: int, committed_at: datetime, selects: list[GovernedSelect], folder: Path
) -> ChangeFile:
    milliseconds = round(committed_at.timestamp() * 1000)
    name = cache_name(decision, "changes", str(version), str(milliseconds), *(select.sql for select in selects))
    path = folder / decision.dataset / "changes" / f"{name}.parquet"
    changes = " UNION ALL ".join(f"FROM ({select.sql})" for select in selects)
    statement = f"FROM ({changes}) ORDER BY {', '.join([CHANGE_TYPE, *total_order(decision)])}"
    parameters = {name: value for select in selects for name, value in select.parameters.items()}
    rows, _ = kept_rows(lake, path, decision, statement, parameters, [(CHANGE_TYPE, pa.string())])
    return ChangeFile(path, version, committed_at, rows)


def _changes_of(lake: Lake, decision: Decision, version: int, key: MaskKey | None, most: int) -> list[pa.Table]:
    """What a commit changed, in tables of one kind of change each, deletions first."""
    changes: list[pa.Table] = []
    with lake.connect() as con:
        for select in _change_selects(lake, decision, version, key):
            order = ", ".join(total_order(decision))
            left = most - sum(one.num_rows for one in changes)
            rows = con.sql(
                f"SELECT *, $version AS {COMMIT_VERSION} FROM ({select.sql}) ORDER BY {order} LIMIT {left + 1}",  # noqa: S608
                params=select.parameters | {"version": version},
            ).to_arrow_table()
            if rows.num_rows > left:
                raise QueryError(
                    f"these versions changed more than the {MOST_CHANGES:,} rows that can be told at once; ask for "
                    "fewer versions, or for the table's changes by Delta Sharing"
                )
            if rows.num_rows:
                changes.append(rows)
    return sorted(changes, key=lambda one: str(one.column(CHANGE_TYPE)[0]))


def _change_selects(lake: Lake, decision: Decision, version: int, key: MaskKey | None) -> list[GovernedSelect]:
    """What a commit changed, a SELECT for each kind of change and day: the columns shown and ``_change_type``."""
    selects = []
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
            changed = f"SELECT *, '{kind}' AS {CHANGE_TYPE} FROM (FROM ({these}) EXCEPT ALL FROM ({those}))"  # noqa: S608
            selects.append(GovernedSelect(changed, parameters, after.versions))
    return selects


def _require_in_order(first: int, last: int) -> None:
    if first > last:
        raise ValueError(f"versions {first} to {last}: the first is after the last")
