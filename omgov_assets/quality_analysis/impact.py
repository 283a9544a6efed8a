"""Impact: what hangs on a CI and what it hangs on, near and far, with the anomalies of each.

Belongs here: walking the CMDB's relations of a day. Does not belong here: whether the relations are sound; the
policies on them say that, and a walk ends on cycles and at CIs that the CMDB does not list.
"""

from __future__ import annotations

import difflib
from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

import duckdb
import pyarrow as pa

from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.sql import read_sql
from omgov_assets.quality_analysis.anomalies import ANOMALIES
from omgov_assets.quality_analysis.cmdb import SYSTEM, create_labels, register_cmdb

Direction = Literal["both", "dependents", "dependencies"]

_IMPACT_SQL = read_sql(Path(__file__).with_name("impact.sql"))
_CLOSE_MATCHES = 3


class UnknownCiError(LookupError):
    """A CI that neither the CMDB nor its relations name on the day, or a name that several bear."""


@dataclass(frozen=True)
class _Reached:
    """A CI on the way: how far it is, and the first relation that led to it."""

    ci_id: str
    direction: str
    distance: int
    relation: str | None
    via: str | None


def impact_of(
    lake: Lake, day: date, ci: str, direction: Direction = "both", max_distance: int | None = None
) -> list[dict[str, Any]]:
    """What hangs on a CI and what it hangs on, over all relations of the day and the sites where CIs stand.

    The source of a relation depends on its target. A CI that is reached on several ways is there once in each
    direction, at its shortest distance.

    Args:
        lake: the lake.
        day: business day.
        ci: identifier of a CI, or its name where only one bears it.
        direction: ``dependents`` (what stops working with it), ``dependencies`` (what it needs) or both.
        max_distance: relations to follow at most; None for all.

    Returns:
        Rows with day (ISO text), direction (itself, dependent, dependency), distance, relation and via (the relation
        and the CI that led there), ci_id, ci_class, name, status, site_id, site, support_group, owner (names),
        anomalies (those of the CI itself), critical, oldest (first day of the oldest); the CI itself first, then by
        direction, distance, anomalies and key. ``ci_class`` is None for a CI that relations name and the CMDB does not
        list.

    Raises:
        UnknownCiError: there is no such CI; the message names those that are called alike.
    """
    with lake.connect() as con:
        register_cmdb(lake, con, day)
        create_labels(con)
        lake.register(con, "anomalies", ANOMALIES, day)
        edges = con.execute(
            "SELECT DISTINCT source_ci_id, relation, target_ci_id FROM ci_relations "
            "WHERE source_ci_id IS NOT NULL AND target_ci_id IS NOT NULL "
            # A CI needs the place where it stands; of one that is listed twice, the first record counts.
            "UNION SELECT ci_id, 'stands_at', arg_min_null(site_id, (_batch_id, _record_no)) AS site_id "
            "FROM configuration_items GROUP BY ci_id HAVING site_id IS NOT NULL ORDER BY ALL"
        ).fetchall()
        start = _found(con, day, ci)
        reached = [_Reached(start, "itself", 0, None, None)]
        if direction != "dependencies":
            reached += _walk(start, edges, "dependent", max_distance)
        if direction != "dependents":
            turned = [(target, relation, source) for source, relation, target in edges]
            reached += _walk(start, turned, "dependency", max_distance)
        con.register("reached", pa.Table.from_pylist([vars(one) for one in reached], schema=_REACHED_SCHEMA))
        rows: list[dict[str, Any]] = con.sql(_IMPACT_SQL).to_arrow_table().to_pylist()
    return [{"day": day.isoformat()} | row for row in rows]


_REACHED_SCHEMA = pa.schema(
    [
        ("ci_id", pa.string()),
        ("direction", pa.string()),
        ("distance", pa.int64()),
        ("relation", pa.string()),
        ("via", pa.string()),
    ]
)


def _walk(start: str, edges: list[tuple[str, str, str]], direction: str, max_distance: int | None) -> list[_Reached]:
    """Breadth first from the target end of the edges to their source end."""
    towards: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for source, relation, target in edges:
        towards[target].append((source, relation))
    seen, found, frontier, distance = {start}, [], [start], 0
    while frontier and distance != max_distance:
        distance += 1
        reached = []
        for via in frontier:
            for ci_id, relation in towards.get(via, ()):
                if ci_id not in seen:
                    seen.add(ci_id)
                    reached.append(ci_id)
                    found.append(_Reached(ci_id, direction, distance, relation, via))
        frontier = reached
    return found


def _found(con: duckdb.DuckDBPyConnection, day: date, ci: str) -> str:
    """The identifier of the CI that is meant."""
    if con.execute("SELECT 1 FROM configuration_items WHERE ci_id = $1 LIMIT 1", [ci]).fetchall():
        return ci
    named = con.execute(
        "SELECT DISTINCT ci_id FROM configuration_items WHERE name = $1 ORDER BY ci_id", [ci]
    ).fetchall()
    if len(named) == 1:
        return str(named[0][0])
    if named:
        several = ", ".join(str(row[0]) for row in named[:_CLOSE_MATCHES])
        raise UnknownCiError(f"{len(named)} CIs are called {ci!r}: give the identifier, such as {several}")
    if con.execute("SELECT 1 FROM ci_relations WHERE $1 IN (source_ci_id, target_ci_id) LIMIT 1", [ci]).fetchall():
        return ci
    query = "SELECT ci_id FROM configuration_items UNION SELECT name FROM configuration_items ORDER BY ALL"
    known = [str(row[0]) for row in con.execute(query).fetchall() if row[0] is not None]
    if not known:
        raise UnknownCiError(f"the lake holds no configuration items of {day} (table {SYSTEM}/configuration_items)")
    alike = difflib.get_close_matches(ci, known, _CLOSE_MATCHES)
    hint = f"; there are {', '.join(alike)}" if alike else ""
    raise UnknownCiError(f"{ci}: the CMDB of {day} lists no such CI{hint}")
