"""Drill-down: the anomalies behind any cell of the cube, one row each, with the file and record they came from.

Belongs here: choosing anomalies by their dimensions. Does not belong here: why one is flagged (``explain``), counting
(``statistics``).
"""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, get_args

import duckdb

from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.sql import identifier, read_sql
from omgov_assets.model_management.score_rules import QualityDimension, Severity
from omgov_assets.quality_analysis.cmdb import create_labels, register_cmdb
from omgov_assets.quality_analysis.root_causes.reading import register_explained
from omgov_assets.quality_analysis.statistics import STATISTICS
from omgov_assets.quality_policy.violations import CHECK_RESULTS

NONE = "none"

# Each dimension that anomalies can be chosen by: its option, its column, and the kind of its names, where it has any.
COLUMNS: dict[str, str] = {
    "type": "anomaly_type",
    "severity": "severity",
    "quality-dimension": "quality_dimension",
    "system": "system",
    "dataset": "dataset",
    "metric": "metric",
    "application": "application_ids",
    "host": "host_id",
    "network-device": "network_device_ids",
    "site": "site_id",
    "group": "support_group_id",
    "owner": "owner_id",
    "collector": "collector",
    "ci": "ci_id",
    "subject-kind": "subject_kind",
    "policy": "policy_ids",
    "cause": "cause_id",
}
_KINDS = {
    "application": "application",
    "host": "host",
    "network-device": "network_device",
    "site": "site",
    "group": "support_group",
    "owner": "owner",
}
_MANY_VALUED = {"application", "network-device", "policy"}

# The option of each dimension of the rankings and of the cube.
OPTION_OF: dict[str, str] = {
    "anomaly_type": "type",
    "severity": "severity",
    "quality_dimension": "quality-dimension",
    "system": "system",
    "metric": "metric",
    "application": "application",
    "host": "host",
    "network_device": "network-device",
    "site": "site",
    "support_group": "group",
    "owner": "owner",
    "collector": "collector",
}
ORDERS: dict[str, str] = {
    "severity": "list_position(['critical', 'warning', 'info'], severity), first_seen_day",
    "age": "first_seen_day, list_position(['critical', 'warning', 'info'], severity)",
}

_VOCABULARY: dict[str, tuple[str, ...]] = {
    "severity": get_args(Severity),
    "quality-dimension": get_args(QualityDimension),
    "subject-kind": ("row", "expected_instance", "batch", "dataset", "processing_model"),
}

_DRILL_DOWN_SQL = read_sql(Path(__file__).with_name("drill_down.sql"))


class UnknownKeyError(LookupError):
    """A name that no key of the dimension bears, or several."""


@dataclass(frozen=True)
class Choice:
    """Which anomalies: all conditions hold, and of one with several values any.

    Attributes:
        values: by option of ``COLUMNS``, keys or names; ``none`` chooses what has no such dimension.
        new: only those that were not there the day before.
        seen_since: only those that have been there since that day or longer.
        in_trading_session: only those that touch a trading session.
    """

    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    new: bool = False
    seen_since: date | None = None
    in_trading_session: bool = False


@contextmanager
def chosen_anomalies(
    lake: Lake, day: date, choice: Choice, order: str = "severity", limit: int | None = None
) -> Iterator[duckdb.DuckDBPyRelation]:
    """The anomalies of a day that a choice names, as a relation that can be read while the context lasts.

    Columns: day, anomaly_id, anomaly_type, severity, quality_dimension, system, dataset, subject_kind, subject_key,
    source_metric, metric, ci_id, application_ids, host_id, network_device_ids, site_id, support_group_id, owner_id,
    collector, tier, observed, expected, first_seen_day, open_days, in_trading_session, policy_ids, cause_id,
    source_file, source_record.

    Args:
        lake: the lake.
        day: business day.
        choice: which anomalies.
        order: one of ``ORDERS``; ties fall in the order of system, type and subject.
        limit: rows at most.

    Raises:
        UnknownKeyError: a name stands for no key of its dimension, or for several.
    """
    with lake.connect() as con:
        register_explained(lake, con, day)
        lake.register(con, "ledger", "admission/ledger", day)
        lake.register(con, "statistics", STATISTICS, day)
        lake.register(con, "checks", CHECK_RESULTS, day)
        register_cmdb(lake, con, day)
        create_labels(con)
        conditions, params = _conditions(con, choice)
        query = _DRILL_DOWN_SQL.replace("{conditions}", " AND ".join(conditions)).replace("{order}", ORDERS[order])
        yield con.sql(query, params=params | {"limit": limit})


def count_anomalies(lake: Lake, day: date, choice: Choice) -> int:
    """How many anomalies a choice names. Raises ``UnknownKeyError``."""
    with chosen_anomalies(lake, day, choice) as found:
        return int(found.count("*").fetchall()[0][0])


def drill_down_command(values: Mapping[str, str], day: date) -> str:
    """The command that lists the anomalies of a cell, its keys quoted for a shell.

    Args:
        values: by option of ``COLUMNS``, the key.
        day: business day.
    """
    options = [part for option, value in values.items() for part in (f"--{option}", value)]
    return shlex.join(["omgov", "anomalies", *options, "--day", day.isoformat()])


def dimension_condition(option: str, keys: Sequence[str], has_none: bool) -> tuple[str, dict[str, Any]]:
    """Anomalies that have one of some keys of a dimension, as a condition over the view ``anomalies``.

    Args:
        option: of ``COLUMNS``.
        keys: keys; at least one where ``has_none`` is false.
        has_none: whether those that have no such dimension are meant as well.

    Returns:
        The condition, and the values that it binds.
    """
    column, name, parts = identifier(COLUMNS[option]), option.replace("-", "_"), []
    if keys:
        holds = "list_has_any({}, ${}::VARCHAR[])" if option in _MANY_VALUED else "list_contains(${1}::VARCHAR[], {0})"
        parts.append(holds.format(column, name))
    if has_none:
        parts.append(f"coalesce(len({column}), 0) = 0" if option in _MANY_VALUED else f"{column} IS NULL")
    return f"({' OR '.join(parts)})", {name: list(keys)} if keys else {}


def _conditions(con: duckdb.DuckDBPyConnection, choice: Choice) -> tuple[list[str], dict[str, Any]]:
    """Conditions over the view ``anomalies``, with the values that they bind."""
    conditions, params = ["true"], dict[str, Any]()
    for option, values in choice.values.items():
        if not values:
            continue
        keys = [key for value in values if value != NONE for key in _keys(con, option, value)]
        condition, bound = dimension_condition(option, keys, NONE in values)
        conditions.append(condition)
        params |= bound
    if choice.new:
        conditions.append("first_seen_day = day")
    if choice.seen_since is not None:
        params["seen_since"] = choice.seen_since
        conditions.append("first_seen_day <= $seen_since")
    if choice.in_trading_session:
        conditions.append("in_trading_session")
    return conditions, params


def _keys(con: duckdb.DuckDBPyConnection, option: str, value: str) -> list[str]:
    """The key that a value is or names. A key without an anomaly is an empty answer, an unknown word an error."""
    labelled = con.execute(
        "SELECT DISTINCT key, label FROM labels WHERE CASE WHEN $1 = 'ci' THEN kind NOT IN ('support_group', 'owner') "
        "ELSE kind = $2 END ORDER BY ALL",
        [option, _KINDS.get(option)],
    ).fetchall()
    known = {key for key, _ in labelled} | _known_keys(con, option)
    if value in known or not (known or labelled):
        return [value]
    named = [key for key, label in labelled if label == value]
    if len(named) == 1:
        return named
    if named:
        raise UnknownKeyError(f"--{option} {value}: {len(named)} bear that name: give a key: {', '.join(named[:5])}")
    names = known | {str(label) for _, label in labelled}
    alike = difflib.get_close_matches(value, sorted(names), 3)
    hint = f"; there are {', '.join(alike)}" if alike else ""
    raise UnknownKeyError(f"--{option} {value}: nothing of the day is called so, and nothing in the CMDB{hint}")


def _known_keys(con: duckdb.DuckDBPyConnection, option: str) -> set[str]:
    """Keys of a dimension that the day's anomalies, cube and verdicts name, and those that the platform has."""
    column = COLUMNS[option]
    unnested = f"unnest({column})" if option in _MANY_VALUED else column
    queries = [f"SELECT {unnested} FROM anomalies"]  # noqa: S608 - columns of this module
    for view, name in (
        ("statistics", column.removesuffix("s") if option in _MANY_VALUED else column),
        ("checks", column),
    ):
        name = "policy_id" if option == "policy" else name
        if name in con.view(view).columns:
            queries.append(f"SELECT {identifier(name)} FROM {view}")  # noqa: S608
    found = con.execute(" UNION ".join(queries)).fetchall()
    return {str(key) for (key,) in found if key is not None} | set(_VOCABULARY.get(option, ()))
