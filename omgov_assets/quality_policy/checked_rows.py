"""The rows that policies judge: a dataset's day, seen through its policy view, as ``checked``.

A policy view is one SELECT over ``dataset`` that may add columns from other tables of the same day: ``own.<dataset>``
of the same system, ``<system>.<dataset>``, ``firm.<dataset>`` (all systems), ``control.<table>`` and ``shared.<name>``,
a query of ``policy_views/shared/`` that is run once however many policies refer to it. ``dynamic_baselines.bands`` and
``dynamic_baselines.slots`` say which band is in force for each series in each slot of the day. Variables ``system``,
``day_start`` and ``day_end`` (the bounds of the business day, UTC) can be read with ``getvariable``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Literal

import duckdb

from omgov_assets.data_lake.lake import Lake, create_view, one_row
from omgov_assets.data_lake.schemas import TableSchema
from omgov_assets.data_lake.sql import identifier, qualified
from omgov_assets.model_management.business_day import day_bounds
from omgov_assets.model_management.governance import Governance
from omgov_assets.quality_policy.confidential import TABLE_REFERENCE, confidential_in
from omgov_assets.quality_policy.dynamic_baselines.bands_in_force import SCHEMA as BASELINES
from omgov_assets.quality_policy.dynamic_baselines.bands_in_force import register_bands_in_force
from omgov_assets.quality_policy.policies import Policy, PolicySet, policy_text

CHECKED = "checked"
SUBJECT_COLUMNS = ("source_metric", "metric", "ci_id", "collector", "_batch_id", "_record_no")

_NO_VIEW = "SELECT * FROM dataset"


class PolicyViewError(Exception):
    """A policy view that does not run, or does not give each row of the dataset exactly once."""


@dataclass(frozen=True)
class CheckedRows:
    """What was made ready for the policies: schema of the dataset, its version, and the columns of ``checked``."""

    schema: TableSchema
    data_version: int | None
    rows: int
    columns: tuple[str, ...]


def prepare_checked_rows(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    governance: Governance,
    policy_set: PolicySet,
    day: date,
    candidate: str | None = None,
) -> CheckedRows:
    """Make ``checked`` of the rows of the day, or of table ``candidate``, with the columns that the policies name.

    Where a policy view joins other tables, its rows are kept as a table; else the files are read as often as asked,
    which takes less time than keeping their rows, and no memory.

    Raises:
        PolicyViewError: the policy view does not run or multiplies or loses rows.
    """
    table = f"{policy_set.system}/{policy_set.dataset}"
    version = lake.register(con, "dataset", table, day)
    if candidate is not None:
        create_view(con, "dataset", f"SELECT * FROM {identifier(candidate)}")  # noqa: S608
    schema = lake.schema(table)
    query = policy_set.view_sql or _NO_VIEW
    available = list(_bound_columns(con, lake, governance, policy_set, day, shared_as="TABLE"))
    wanted = _needed_columns(available, schema, policy_set.policies)
    selected = ", ".join(identifier(name) for name in wanted)
    kind = "TABLE" if policy_set.view_sql else "VIEW"
    try:
        con.execute(f"CREATE OR REPLACE {kind} {CHECKED} AS SELECT {selected} FROM ({query}\n)")  # noqa: S608
    except duckdb.Error as error:
        raise PolicyViewError(_view_fault(lake, governance, policy_set, error)) from error
    expected, found = one_row(con, "SELECT (SELECT count(*) FROM dataset), (SELECT count(*) FROM checked)")
    if expected != found:
        raise PolicyViewError(
            f"the policy view of {table} gives {found} rows for {expected} rows of the dataset: it must give "
            "each row once"
        )
    return CheckedRows(schema, version, found, tuple(wanted))


def checked_columns(
    con: duckdb.DuckDBPyConnection, lake: Lake, governance: Governance, policy_set: PolicySet, day: date
) -> dict[str, str]:
    """Columns that policies on a dataset can name, with their DuckDB types; nothing is read.

    Raises:
        PolicyViewError: the policy view does not bind.
    """
    # Columns are the contracts': over tables that are not there, views bind without opening a file.
    nothing = Lake(lake.root / ".nothing", lake.dataset_contracts)
    nothing.register(con, "dataset", f"{policy_set.system}/{policy_set.dataset}", day)
    return _bound_columns(con, nothing, governance, policy_set, day, shared_as="VIEW")


def set_day_variables(con: duckdb.DuckDBPyConnection, governance: Governance, system: str, day: date) -> None:
    """Set ``system``, ``day_start`` and ``day_end`` for SQL of the firm."""
    start, end = day_bounds(day, governance.firm.zone)
    for name, value in (("system", system), ("day_start", start), ("day_end", end)):
        con.execute(f"SET VARIABLE {name} = $value", {"value": value})


class PopulationError(Exception):
    """A policy's ``meta.population`` that is no query that counts."""


def population_of(con: duckdb.DuckDBPyConnection, policy: Policy) -> int | None:
    """How many subjects a policy judged, by its own query over ``checked``; None where it has none.

    Raises:
        PopulationError: the query does not run, or gives no number; the text may quote what the query read.
    """
    if policy.meta.population is None:
        return None
    try:
        return int(one_row(con, policy.meta.population.replace("{batch}", CHECKED))[0])
    except (duckdb.Error, ValueError, TypeError) as error:
        raise PopulationError(f"meta.population is no query that counts: {error}") from error


def named_columns(available: Iterable[str], policies: Iterable[Policy]) -> set[str]:
    """Columns that policies name, in whatever letters; all where free SQL takes ``*``."""
    mentioned = " ".join(map(policy_text, policies)).casefold()
    if "{batch}" in mentioned and "*" in mentioned.replace("count(*)", ""):
        return set(available)
    # As the name stands in JSON, with its quotes escaped.
    return {name for name in available if json.dumps(name.casefold(), ensure_ascii=False)[1:-1] in mentioned}


def missing_requirements(
    lake: Lake, governance: Governance, policies: Iterable[Policy], system: str, day: date
) -> dict[str, list[str]]:
    """Datasets that policies need and that hold nothing for the day, by policy id; policies that lack nothing are left
    out.
    """
    datasets = {name: business.datasets.keys() for name, business in governance.systems.items()}
    needed = {policy.policy_id: policy.required_tables(system, datasets) for policy in policies}
    held = {name: lake.has_day(name, day) for names in needed.values() for name in names}
    absent = {policy_id: [name for name in names if not held[name]] for policy_id, names in needed.items()}
    return {policy_id: names for policy_id, names in absent.items() if names}


def _register_referenced(
    con: duckdb.DuckDBPyConnection, lake: Lake, governance: Governance, system: str, day: date, text: str
) -> None:
    references = set(TABLE_REFERENCE.findall(text))
    if (BASELINES, "bands") in references:
        register_bands_in_force(con, lake, governance, "dataset", day)
    for schema, name in sorted(references):
        if schema == "own" and name in governance.systems[system].datasets:
            lake.register(con, f"own.{name}", f"{system}/{name}", day)
        elif schema in governance.systems and name in governance.systems[schema].datasets:
            lake.register(con, f"{schema}.{name}", f"{schema}/{name}", day)
        elif schema == "control":
            lake.register(con, f"control.{name}", f"control/{name}", day)
        elif schema == "firm":
            parts = [other for other, business in governance.systems.items() if name in business.datasets]
            for other in parts:
                lake.register(con, f"{other}.{name}", f"{other}/{name}", day)
            union = " UNION ALL ".join(f"SELECT * FROM {qualified(f'{other}.{name}')}" for other in parts)  # noqa: S608
            if union:
                create_view(con, f"firm.{name}", union)


def _bound_columns(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    governance: Governance,
    policy_set: PolicySet,
    day: date,
    shared_as: Literal["TABLE", "VIEW"],
) -> dict[str, str]:
    query = policy_set.view_sql or _NO_VIEW
    texts = [query, *policy_set.shared_views.values(), *map(policy_text, policy_set.policies)]
    _register_referenced(con, lake, governance, policy_set.system, day, " ".join(texts))
    set_day_variables(con, governance, policy_set.system, day)
    try:
        _make_shared_views(con, policy_set, shared_as)
        return {name: sql_type for name, sql_type, *_ in con.execute(f"DESCRIBE {query}").fetchall()}
    except duckdb.Error as error:
        raise PolicyViewError(_view_fault(lake, governance, policy_set, error)) from error


def _view_fault(lake: Lake, governance: Governance, policy_set: PolicySet, error: duckdb.Error) -> str:
    confidential = confidential_in(lake, governance, policy_set)
    reason = confidential.shown_error(str(error))
    return f"the policy view of {policy_set.system}/{policy_set.dataset} does not run: {reason}"


def _judges_columns(policy: Policy) -> bool:
    return policy.type.startswith("expect_table_column")


def _make_shared_views(
    con: duckdb.DuckDBPyConnection, policy_set: PolicySet, shared_as: Literal["TABLE", "VIEW"]
) -> None:
    """As tables their rows are kept: policies count them, read those that fail and count what they judged."""
    if policy_set.shared_views:
        con.execute("CREATE SCHEMA IF NOT EXISTS shared")
    pending = dict(policy_set.shared_views)
    while pending:
        for name, query in pending.items():
            if not any(other != name and f"shared.{other}" in query for other in pending):
                con.execute(f"CREATE OR REPLACE {shared_as} shared.{identifier(name)} AS {query}")
                del pending[name]
                break
        else:
            raise PolicyViewError(f"shared views refer to each other in a circle: {', '.join(sorted(pending))}")


def _needed_columns(available: list[str], schema: TableSchema, policies: tuple[Policy, ...]) -> list[str]:
    """Key and subject columns, and those that a policy names; all where one judges the columns as a whole."""
    if any(map(_judges_columns, policies)):
        return available
    needed = {*schema.key, *SUBJECT_COLUMNS, *named_columns(available, policies)}
    return [name for name in available if name in needed]
