"""What a dataset is to a principal: its columns as they are shown, which rows, and the days that it sees rows of.

Does not belong here: deciding (``decision``), putting on record that it was told (``enforcement``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from omgov_assets.access_control.decision import Decision
from omgov_assets.access_control.snapshot_shelf import SnapshotShelf


@dataclass(frozen=True)
class ShownColumn:
    """A column as a principal sees it.

    Attributes:
        name: column.
        sql_type: its DuckDB type.
        masked: whether values are masked, or hidden row by row.
    """

    name: str
    sql_type: str
    masked: bool


@dataclass(frozen=True)
class Description:
    """A dataset as a principal sees it.

    Attributes:
        dataset: ``<folder>/<table>``.
        columns: the columns that there are for it, in the order of the contract.
        rows_in_words: which rows: all, or the row filter as a sentence.
        version: last Delta version; None where the table was never written.
        days: days that it sees rows of, oldest first; none where it does not see the days as they are.
    """

    dataset: str
    columns: tuple[ShownColumn, ...]
    rows_in_words: str
    version: int | None
    days: tuple[date, ...]


def described(decision: Decision, shelf: SnapshotShelf) -> Description:
    """What the dataset of a decision is to its principal."""
    days, version = shelf.days(decision)
    columns = tuple(ShownColumn(one.name, one.sql_type, one.shown == "masked") for one in decision.shown)
    return Description(decision.dataset, columns, decision.rows_in_words, version, days)
