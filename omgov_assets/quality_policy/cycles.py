"""Relations that lie on a cycle, found for DuckDB by strongly connected components.

SQL has no answer that stays calm on a cycle of a hundred thousand; SciPy, which comes with Great Expectations, has one
that is linear. DuckDB numbers the nodes, so that texts never become Python objects. Does not belong here: what a
relation means.
"""

from __future__ import annotations

from typing import cast
from uuid import uuid4
from weakref import WeakKeyDictionary

import duckdb
import numpy as np
import pyarrow as pa
import sqlalchemy


def cyclic_rows(engine: sqlalchemy.Engine, edges: sqlalchemy.TableClause) -> sqlalchemy.TableClause:
    """The edges that lie on a cycle as a table (source, target), made once for an engine.

    Args:
        engine: of a DuckDB connection.
        edges: table of distinct edges, kept under a name of its own: source and target as text, neither null.
    """
    tables = _cycles.setdefault(engine, {})
    if edges.name not in tables:
        with engine.connect() as connection:
            con = cast(duckdb.DuckDBPyConnection, connection.connection.driver_connection)
            tables[edges.name] = _find(con, edges.name)
    return sqlalchemy.table(tables[edges.name], sqlalchemy.column("source"), sqlalchemy.column("target"))


_cycles: WeakKeyDictionary[sqlalchemy.Engine, dict[str, str]] = WeakKeyDictionary()


def _find(con: duckdb.DuckDBPyConnection, edges: str) -> str:
    """Create the table of cyclic edges; returns its name. ``edges`` is a name that was made, not given."""
    nodes, cyclic, name = (f"{kind}_{uuid4().hex}" for kind in ("nodes", "cyclic", "cycles"))
    # On a cycle is only what something leads to and what leads to something; the joins leave out the rest.
    con.execute(
        f"CREATE TABLE {nodes} AS SELECT source AS node FROM {edges} INTERSECT SELECT target FROM {edges}"  # noqa: S608
    )
    numbered = con.sql(
        f"SELECT e.rowid AS edge, s.rowid AS source, t.rowid AS target FROM {edges} AS e "  # noqa: S608
        f"JOIN {nodes} AS s ON s.node = e.source JOIN {nodes} AS t ON t.node = e.target"
    ).to_arrow_table()
    edge, source, target = (column.to_numpy() for column in numbered.columns)
    con.register(cyclic, pa.table({"edge": edge[_on_a_cycle(source, target)]}))
    con.execute(
        f"CREATE TABLE {name} AS SELECT source, target FROM {edges} WHERE rowid IN (SELECT edge FROM {cyclic})"  # noqa: S608
    )
    con.unregister(cyclic)
    con.execute(f"DROP TABLE {nodes}")
    return name


def _on_a_cycle(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Of each of the distinct edges, whether both ends are in one component; the end of a loop is in its own."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    size = int(max(source.max(), target.max())) + 1 if len(source) else 0
    if not size:
        return np.zeros(0, dtype=bool)
    graph = csr_array((np.ones(len(source), dtype=np.int8), (source, target)), shape=(size, size))
    _, component = connected_components(graph, connection="strong")
    return np.asarray(component[source] == component[target])
