"""The lake inside Dagster: dagster-duckdb's resource, giving out omgov's own connections.

``DuckDBResource`` alone opens read-write files without a memory limit and does not close on error; here each
connection is the lake's (in memory, limited, in UTC, closed on error).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dagster_duckdb import DuckDBResource
from pydantic import Field

from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings

if TYPE_CHECKING:
    import duckdb


class LakeResource(DuckDBResource):
    """The lake of ``OMGOV_HOME``; settings are read when a step runs, not when definitions load."""

    database: str = Field(default=":memory:", description="The lake is Delta; DuckDB only computes, in memory.")
    memory_limit: str = Field(default="1GB", description="What DuckDB may hold before it spills to disk.")

    @classmethod
    def _is_dagster_maintained(cls) -> bool:
        return False

    @property
    def settings(self) -> Settings:
        """The folders of this installation."""
        return Settings.from_environment()

    @property
    def lake(self) -> Lake:
        """The lake, with the contracts of the project."""
        return Lake(self.settings.lake, self.settings.dataset_contracts, self.memory_limit)

    @contextmanager
    def get_connection(self) -> Iterator["duckdb.DuckDBPyConnection"]:
        """A connection of the lake."""
        with self.lake.connect() as con:
            yield con
