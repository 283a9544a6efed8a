"""What no model may do: read anything but its tables, or give another result for the same input.

Functions are known by name; of DuckDB's own list, a table function that is not known to be harmless counts as reaching
outside, and a volatile function as not deterministic. Does not belong here: functions that do not exist (``binding``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import duckdb
from sqlglot import exp

from omgov_assets.model_management.model_check.binding import Binder, duckdb_error
from omgov_assets.model_management.model_check.faults import Fault
from omgov_assets.model_management.model_check.places import Place, Text

_TABLE_FUNCTIONS = frozenset({
    "range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree", "generate_subscripts",
    "regexp_split_to_table",
})  # fmt: skip
_OUTSIDE = frozenset({
    "glob", "query", "query_table", "getenv", "current_setting", "getvariable", "which_secret", "current_database",
    "current_schema", "current_schemas", "current_catalog", "current_query", "current_user", "current_role",
    "session_user", "user", "in_search_path", "version", "get_block_size", "write_log", "sleep_ms", "pg_sleep",
    "json_execute_serialized_sql", "add_parquet_key", "summary", "seq_scan", "iceberg_metadata",
    "iceberg_snapshots", "st_read", "st_read_meta", "http_get", "http_post", "sql_auto_complete",
    "load_aws_credentials",
    "postgres_query", "mysql_query", "sqlite_query", "postgres_execute", "mysql_execute", "test_all_types",
    "test_vector_types", "histogram_values", "dbgen", "dsdgen", "tpch_queries", "tpcds_queries",
})  # fmt: skip
_OUTSIDE_PATTERN = re.compile(
    r"(read_|parquet_|sniff_|duckdb_|pragma_|icu_|inet_|pg_|has_\w+_privilege$).*|.*_(scan|scan_pushdown|attach|scan_dumb)"
)
# Functions of PostgreSQL's catalogue that look at nothing but their argument.
_HARMLESS = frozenset({"pg_typeof", "pg_size_pretty", "error", "vector_type", "stats", "icu_sort_key"})
_NOT_DETERMINISTIC = frozenset({
    "random", "setseed", "uuid", "gen_random_uuid", "uuidv4", "uuidv7", "now", "current_timestamp",
    "get_current_timestamp", "transaction_timestamp", "current_date", "today", "current_time", "get_current_time",
    "localtimestamp", "localtime", "current_localtimestamp", "current_localtime", "nextval", "currval", "txid_current",
    "current_query_id", "current_transaction_id", "current_connection_id", "reservoir_quantile", "ago",
})  # fmt: skip
_KEYWORDS: dict[type[exp.Expr], str] = {
    exp.CurrentDate: "current_date",
    exp.CurrentTime: "current_time",
    exp.CurrentTimestamp: "current_timestamp",
    exp.CurrentDatetime: "current_timestamp",
    exp.Localtime: "localtime",
    exp.Localtimestamp: "localtimestamp",
    exp.CurrentUser: "current_user",
    exp.SessionUser: "session_user",
    exp.CurrentCatalog: "current_catalog",
    exp.CurrentSchema: "current_schema",
    exp.CurrentRole: "current_role",
}
_SYSTEM_SCHEMAS = frozenset({"information_schema", "pg_catalog", "temp", "system"})
_SYSTEM_TABLES = frozenset({"sqlite_master", "sqlite_schema", "sqlite_temp_master", "pragma_database_list"})
# They make much of little; as argument of a table function they would do so while the model is only bound.
_AMPLIFIERS = frozenset({"repeat", "lpad", "rpad", "format", "printf", "list_resize", "array_resize", "bar"})


def forbidden_in(tree: exp.Query, text: Text, binder: Binder) -> Iterator[Fault]:
    """What a model may not hold, by sqlglot's tree."""
    for node in tree.walk():
        if isinstance(node, exp.Table):
            yield from _table_faults(node, tree, text, binder)
        elif isinstance(node, exp.TableSample):
            yield _not_deterministic(text.place_of(node), "a sample of rows")
        elif type(node) in _KEYWORDS:
            yield from _named(_KEYWORDS[type(node)], _place_of_keyword(node, text), binder)
        elif isinstance(node, exp.Func | exp.Anonymous | exp.AnonymousAggFunc) and not isinstance(
            node.parent, exp.Table
        ):
            name = text.name_of(node)
            place = text.place_of(node)
            if name == "age" and len(list(node.iter_expressions())) == 1:
                yield _not_deterministic(place, "age() with one argument, which counts to today,")
            yield from _named(name, place, binder)


def forbidden_by_duckdb(text: Text, binder: Binder) -> Iterator[Fault]:
    """The same by DuckDB's own tree, for what sqlglot does not parse."""
    try:
        ((serialised,),) = binder.connection.execute("SELECT json_serialize_sql(?)", [text.sql]).fetchall()
    except duckdb.Error as error:
        yield Fault("not_parsable", text.place(0), f"DuckDB says: {duckdb_error(error)[0]}", "correct the SQL")
        return
    try:
        pending: list[Any] = [json.loads(serialised)]
    except RecursionError:
        problem = "expressions are nested too deep to be looked through"
        yield Fault("not_parsable", text.place(0), problem, "write it with common table expressions")
        return
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending += node
        elif isinstance(node, dict):
            pending += node.values()
            place = text.place_of_byte(int(node.get("query_location") or 0))
            if isinstance(node.get("function_name"), str):
                name = node["function_name"].lower()
                yield from _named(name, place, binder)
                if name in binder.table_functions and name not in _TABLE_FUNCTIONS | {"unnest"}:
                    yield _outside(place, f"{name}()")
            if node.get("type") == "BASE_TABLE" and (node.get("schema_name") or _is_file(str(node.get("table_name")))):
                yield _outside(place, f"{node.get('table_name')!r}")
            if node.get("sample"):
                yield _not_deterministic(place, "a sample of rows")


def _table_faults(table: exp.Table, tree: exp.Query, text: Text, binder: Binder) -> Iterator[Fault]:
    place = text.place_of(table)
    if isinstance(table.this, exp.Func | exp.Anonymous):
        name = text.name_of(table.this)
        outside = name in binder.table_functions and name not in _TABLE_FUNCTIONS
        if outside or name in _OUTSIDE or _OUTSIDE_PATTERN.fullmatch(name):
            yield _outside(place, f"{name}()")
        elif any(text.name_of(call) in _AMPLIFIERS for call in table.this.find_all(exp.Func) if call is not table.this):
            problem = f"an argument of {name}() would have to be computed before the model runs"
            yield Fault("type_mismatch", place, problem, "give it a number, a time or a column")
        return
    name, schema, catalog = table.name, table.db.lower(), table.catalog.lower()
    if catalog not in ("", "memory") or schema in _SYSTEM_SCHEMAS:
        yield _outside(place, table.sql("duckdb"))
    elif schema in ("main", "memory"):
        problem = f"a model reads its tables under their bare names, not as {table.sql('duckdb')}"
        yield Fault("unknown_table", place, problem, f"write {name}")
    elif schema or name.lower() in _SYSTEM_TABLES:
        yield _outside(place, table.sql("duckdb"))
    elif _is_file(name) and not any(cte.alias == name for cte in tree.find_all(exp.CTE)):
        yield _outside(place, f"the file {name!r}")


def _named(name: str, place: Place, binder: Binder) -> Iterator[Fault]:
    if name in _HARMLESS:
        return
    if name in _NOT_DETERMINISTIC:
        yield _not_deterministic(place, f"{name}()")
    elif name in _OUTSIDE or _OUTSIDE_PATTERN.fullmatch(name):
        yield _outside(place, f"{name}()")
    elif name in binder.volatile_functions:
        yield _not_deterministic(place, f"{name}()")


def _is_file(name: str) -> bool:
    return any(mark in name for mark in "./\\:*")


def _place_of_keyword(node: exp.Expr, text: Text) -> Place:
    """Such a word has no position of its own: it is the first one behind what is known to stand before it."""
    around = text.offset_of(node) or 0
    found = text.word_after(around, (_KEYWORDS[type(node)].upper(),))
    if found is None:
        found = text.word_after(0, (_KEYWORDS[type(node)].upper(),))
    return text.place(found if found is not None else around)


def _outside(place: Place, what: str) -> Fault:
    problem = f"{what} is outside of what a model sees"
    return Fault("outside_access", place, problem, "read the tables that the model is given, and nothing else")


def _not_deterministic(place: Place, what: str) -> Fault:
    problem = f"{what} gives another result each time"
    return Fault("not_deterministic", place, problem, "compute it from the input, such as the time of the points")
