"""What a principal sees of the lake while a page is made: governed tables as views of one DuckDB connection.

Owns one rule: a page reads nothing but these views. What is not the principal's is an empty view, so that one query
serves everybody and shows each what is theirs. Does not belong here: what is asked of the views (the ``.sql`` files).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import duckdb

from omgov_assets.access_control.governed_query import AccessDeniedError, Condition
from omgov_assets.data_lake.lake import create_view
from omgov_assets.data_lake.sql import columns_or_null, identifier, read_sql
from omgov_assets.interface_service.asking import Asking
from omgov_assets.interface_service.pages import HERE
from omgov_assets.quality_analysis.anomalies import ANOMALIES
from omgov_assets.quality_policy.violations import CHECK_RESULTS

Row = dict[str, Any]


class Seen:
    """The governed tables of one request; not for threads.

    Args:
        asking: who asks.
        con: connection of the lake.
    """

    def __init__(self, asking: Asking, con: duckdb.DuckDBPyConnection) -> None:
        self.asking, self.con = asking, con
        self._days: dict[str, tuple[date, ...]] = {}

    @cached_property
    def datasets(self) -> frozenset[str]:
        """Datasets that the principal may read."""
        return frozenset(self.asking.door.datasets(self.asking.principal))

    def days(self, *datasets: str) -> list[date]:
        """Days of which the principal sees rows in any of the datasets, newest first."""
        found: set[date] = set()
        for dataset in datasets:
            if dataset in self.datasets:
                if dataset not in self._days:
                    self._days[dataset] = tuple(self.asking.door.describe(self.asking.principal, dataset).days)
                found |= set(self._days[dataset])
        return sorted(found, reverse=True)

    def day_before(self, day: date) -> date | None:
        """The day before, where it was governed for the principal to see; without it nothing of a day is called new."""
        before = day - timedelta(days=1) if day > date.min else None
        return before if before in self.days(ANOMALIES, CHECK_RESULTS) else None

    def whole(self, view: str, dataset: str, day: date | None) -> bool:
        """Make what the principal sees of a day (of all days where None) a view; returns whether it may see any.

        It reads a governed snapshot, which is made once for all who see the same; of the file only those columns are
        read that a query needs.
        """
        if dataset not in self.datasets:
            return self._nothing(view, dataset)
        try:
            snapshot = self.asking.door.snapshot(self.asking.principal, dataset, day)
        except AccessDeniedError:
            return self._nothing(view, dataset)
        columns = columns_or_null(self._types(dataset), snapshot.relation(self.con).columns)
        create_view(self.con, view, f"SELECT {columns} FROM {snapshot.scan}")  # noqa: S608 - quoted
        return True

    def matching(self, view: str, dataset: str, days: Sequence[date | None], *conditions: Condition) -> bool:
        """Make those rows that meet conditions a table, for few rows of a large dataset; returns as ``whole``."""
        if dataset not in self.datasets:
            return self._nothing(view, dataset)
        try:
            self.asking.door.load(self.con, view, self.asking.principal, dataset, days, conditions)
        except AccessDeniedError:
            return self._nothing(view, dataset)
        return True

    def rows(self, statement: str, params: dict[str, Any] | None = None) -> list[Row]:
        """Rows of a query over the views, its values bound."""
        rows: list[Row] = self.con.sql(statement, params=params or {}).to_arrow_table().to_pylist()
        return rows

    def ask(self, name: str, params: dict[str, Any] | None = None, **pieces: str) -> list[Row]:
        """Rows of ``<name>.sql`` of this package; ``pieces`` of its own SQL stand in place of ``{piece}``."""
        return self.rows(self.statement(name, **pieces), params)

    def statement(self, name: str, **pieces: str) -> str:
        """The text of ``<name>.sql`` of this package."""
        text = read_sql(HERE / f"{name}.sql")
        for piece, sql in pieces.items():
            text = text.replace(f"{{{piece}}}", sql)
        return text

    def empty(self, view: str, dataset: str) -> None:
        """Make an empty view with the columns of a dataset."""
        self._nothing(view, dataset)

    def _types(self, dataset: str) -> dict[str, str]:
        return {column.name: column.sql_type for column in self.asking.lake.schema(dataset).columns}

    def _nothing(self, view: str, dataset: str) -> bool:
        columns = ", ".join(f"NULL::{kind} AS {identifier(name)}" for name, kind in self._types(dataset).items())
        create_view(self.con, view, f"SELECT {columns} WHERE false")
        return False


@contextmanager
def seen_by(asking: Asking) -> Iterator[Seen]:
    """The governed tables of a request, while the context lasts."""
    with asking.lake.connect() as con:
        yield Seen(asking, con)
