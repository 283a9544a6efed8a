"""Relations that lie on a cycle, found for DuckDB by its strongly connected components.

SQL has no answer that stays calm on a cycle of a hundred thousand; SciPy, which comes with Great Expectations, has one
that is linear. Does not belong here: what a relation means.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4
from weakref import WeakKeyDictionary

import numpy as np
import sqlalchemy

from omgov_assets.quality_policy.duckdb_engine_for_gx import kept_rows


def cyclic_rows(engine: sqlalchemy.Engine, edges: sqlalchemy.Select[Any, Any]) -> sqlalchemy.TableClause:
    """The edges that lie on a cycle as a table (source, target), made once for an engine.

    Args:
        engine: of a DuckDB connection.
        edges: distinct edges: source and target as text, neither null.
    """
    kept = kept_rows(engine, edges).name
    tables = _cycles.setdefault(engine, {})
    if kept not in tables:
        tables[kept] = _find(engine, kept)
    return sqlalchemy.table(tables[kept], sqlalchemy.column("source"), sqlalchemy.column("target"))


_cycles: WeakKeyDictionary[sqlalchemy.Engine, dict[str, str]] = WeakKeyDictionary()


def _find(engine: sqlalchemy.Engine, edges: str) -> str:
    """Create the table of cyclic edges; returns its name. ``edges`` is a name made by ``kept_rows``."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    nodes, components, name = (f"{kind}_{uuid4().hex}" for kind in ("nodes", "components", "cycles"))
    with engine.connect() as connection:
        connection.exec_driver_sql(
            f"CREATE TABLE {nodes} AS SELECT node, row_number() OVER (ORDER BY node) - 1 AS id "  # noqa: S608 - made here
            f"FROM (SELECT source AS node FROM {edges} UNION SELECT target FROM {edges})"
        )
        numbered = connection.exec_driver_sql(
            f"SELECT a.id, b.id FROM {edges} JOIN {nodes} AS a ON a.node = source "  # noqa: S608
            f"JOIN {nodes} AS b ON b.node = target"
        ).fetchall()
        pairs = np.array(numbered, dtype=np.int64).reshape(-1, 2)
        size = int(pairs.max()) + 1 if len(pairs) else 0
        graph = coo_array((np.ones(len(pairs), dtype=np.int8), (pairs[:, 0], pairs[:, 1])), shape=(size, size))
        _, component = connected_components(graph, connection="strong") if size else (0, np.array([], dtype=np.int32))
        members = np.bincount(component) if size else np.array([], dtype=np.int64)
        shared = np.flatnonzero(members[component] > 1) if size else np.array([], dtype=np.int64)
        connection.exec_driver_sql(f"CREATE TABLE {components} (id BIGINT, component BIGINT)")
        if len(shared):
            connection.exec_driver_sql(
                f"INSERT INTO {components} SELECT unnest($1::BIGINT[]), unnest($2::BIGINT[])",
                (shared.tolist(), component[shared].tolist()),
            )
        connection.exec_driver_sql(
            f"CREATE TABLE {name} AS SELECT source, target FROM {edges} "  # noqa: S608
            f"JOIN {nodes} AS a ON a.node = source JOIN {nodes} AS b ON b.node = target "
            f"LEFT JOIN {components} AS x ON x.id = a.id LEFT JOIN {components} AS y ON y.id = b.id "
            "WHERE source = target OR x.component = y.component"
        )
        for table in (nodes, components):
            connection.exec_driver_sql(f"DROP TABLE {table}")
    return name
