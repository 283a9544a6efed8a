"""The source contract against the records of a delivery: declared, lossless conversions only.

Turns table ``delivery`` (see ``delivered_table``) into the view ``source`` that a conform model reads, and can say of
any record why it does not meet the contract. Each value is converted once, into table ``converted``, unless it is typed
as it comes; whether all records are sound is then a matter of counting, and only where they are not are records looked
at one by one.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from omgov_assets.admission.delivered_table import holds_graded
from omgov_assets.admission.deliveries import Delivery, ValueKind
from omgov_assets.admission.refusal import ASK_AGAIN, RefusedBatchError
from omgov_assets.data_lake.lake import create_view, one_row
from omgov_assets.data_lake.masks import partial_mask
from omgov_assets.data_lake.sql import identifier, literal
from omgov_assets.model_management.business_systems import SourceDataset
from omgov_assets.model_management.contracts import ContractColumn

_DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
# DuckDB stores microseconds: further digits would be lost unless they are zeros.
_TIME = "[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6}0*)?)?"
_OFFSET = "(Z|[+-][0-9]{2}(:?[0-9]{2})?)"


@dataclass(frozen=True)
class Fault:
    """A way in which one column of a record can fail: when, under which code, in which words."""

    code: str
    condition: str
    sentence: str


def create_source_view(
    con: duckdb.DuckDBPyConnection,
    delivery: Delivery,
    dataset: SourceDataset,
    batch_id: str,
    file_name: str,
    *,
    whole: bool = True,
) -> None:
    """Make ``source``: the records that meet the contract, converted, with ``_batch_id`` and ``_record_no``.

    Where the delivery is not a ``whole`` file but records of one, nothing is concluded from what they have in common.

    Raises:
        RefusedBatchError: a column is of another type throughout (``retyped_column``) or required and nowhere given
            (``empty_column``): that is a changed file, not so many bad records.
    """
    columns = dataset.source_contract.columns
    table = "delivery"  # what is typed already is not copied
    if delivery.kind != "typed":
        table = "converted"
        values = ", ".join(f"{conversion(column, delivery.kind)} AS {identifier(column.name)}" for column in columns)
        con.execute(f"CREATE OR REPLACE TEMP TABLE converted AS SELECT {values}, _record_no FROM delivery")  # noqa: S608
    unsound = _unsound_columns(con, delivery, table, columns, file_name, whole=whole)
    names = ", ".join(identifier(column.name) for column in columns)
    query = f"SELECT {names}, {literal(batch_id)} AS _batch_id, _record_no FROM {table}"  # noqa: S608
    if unsound:
        # Both tables hold the same records: only the columns at fault are compared.
        con.execute(
            "CREATE OR REPLACE TEMP TABLE unsound AS SELECT c._record_no FROM delivery AS d "  # noqa: S608
            f"JOIN {table} AS c ON d._record_no = c._record_no WHERE {' OR '.join(unsound)}"
        )
        query += " WHERE _record_no NOT IN (SELECT _record_no FROM unsound)"
    create_view(con, "source", query)


def _unsound_columns(
    con: duckdb.DuckDBPyConnection,
    delivery: Delivery,
    table: str,
    columns: tuple[ContractColumn, ...],
    file_name: str,
    *,
    whole: bool,
) -> list[str]:
    """SQL conditions, over ``delivery`` d and its converted ``table`` c, of the columns in which some record misses the
    contract.
    """
    counted = ", ".join(f"count({identifier(column.name)})" for column in columns)
    filled = ", ".join(f"count({_filled(column, identifier(column.name))})" for column in columns)
    given = one_row(con, f"SELECT {counted} FROM delivery")  # noqa: S608 - identifiers are quoted
    total, *present = one_row(con, f"SELECT count(*), {counted}, {filled} FROM {table}")  # noqa: S608
    converted, complete = present[: len(columns)], present[len(columns) :]
    conditions = []
    for column, delivered, kept, full in zip(columns, given, converted, complete, strict=True):
        quoted = identifier(column.name)
        if whole and delivered and not kept:
            raise RefusedBatchError(
                "retyped_column",
                f"{file_name}: column {column.delivered_as} is nowhere {_type_words(column)} "
                f"(e.g. {_example(con, column, columns)!r}); "
                "have the business system restore the type, or publish a new contract version",
                delivery.rows_in,
            )
        if whole and column.required and total and not full:
            raise RefusedBatchError(
                "empty_column",
                f"{file_name}: column {column.delivered_as} is required but empty in all records; {ASK_AGAIN}",
                delivery.rows_in,
            )
        if delivered != kept:
            conditions.append(f"(d.{quoted} IS NOT NULL AND c.{quoted} IS NULL)")
        if column.required and full != total:
            conditions.append(f"{_filled(column, f'c.{quoted}')} IS NULL")
    return conditions


def _filled(column: ContractColumn, quoted: str) -> str:
    """The value, or NULL where it is an empty text: not all formats can tell an empty text from none."""
    return f"nullif({quoted}, '')" if column.sql_type == "VARCHAR" else quoted


def faults(columns: tuple[ContractColumn, ...], kind: ValueKind) -> list[Fault]:
    """All ways in which a record can miss the contract, in column order."""
    found = []
    for column in columns:
        name = column.delivered_as
        if kind != "typed" and (kind == "json" or column.sql_type != "VARCHAR"):
            found.append(
                Fault(
                    f"not_convertible:{column.name}",
                    _unconvertible(column, kind),
                    f"{name} is not {_type_words(column)}",
                )
            )
        if column.required:
            found.append(
                Fault(f"required_missing:{column.name}", _empty(column, kind), f"{name} is required but empty")
            )
    return found


def conversion(column: ContractColumn, kind: ValueKind) -> str:
    """SQL of the column's value by the contract; NULL where it cannot be converted without loss."""
    quoted = identifier(column.name)
    if kind == "typed":
        return quoted
    return _from_text(column, quoted) if kind == "text" else _from_json(column, quoted)


def _unconvertible(column: ContractColumn, kind: ValueKind) -> str:
    return f"({identifier(column.name)} IS NOT NULL AND {conversion(column, kind)} IS NULL)"


def _empty(column: ContractColumn, kind: ValueKind) -> str:
    quoted = identifier(column.name)
    if column.sql_type != "VARCHAR":
        return f"{quoted} IS NULL"
    # Not all formats can tell an empty text from none, so that a required text must hold a character.
    empty_text = '""' if kind == "json" else ""
    return f"({quoted} IS NULL OR {quoted}::VARCHAR = {literal(empty_text)})"


def _example(con: duckdb.DuckDBPyConnection, column: ContractColumn, columns: tuple[ContractColumn, ...]) -> str:
    """A value as delivered, for a sentence that all may read.

    It is masked where any column is graded above open: a value that is not of its column's type may be another one's.
    """
    value = f"arg_min({identifier(column.name)}::VARCHAR, _record_no)"
    shown = partial_mask(value) if holds_graded(columns) else value
    return str(one_row(con, f"SELECT {shown} FROM delivery")[0])  # noqa: S608 - identifiers are quoted


def _from_text(column: ContractColumn, text: str) -> str:
    if column.timestamp_format is not None:
        return f"try_strptime({text}, {literal(column.timestamp_format)})"
    match column.sql_type:
        case "VARCHAR":
            return text
        case "BIGINT":  # a bare cast would round 1.7 to 2
            return _cast_if(f"regexp_full_match({text}, '[+-]?[0-9]+')", text, "BIGINT")
        case "DOUBLE":  # a bare cast would take 1_000 for 1000, and 1e400, inf and nan for numbers
            number = f"TRY_CAST({text} AS DOUBLE)"
            return f"CASE WHEN isfinite({number}) AND NOT contains({text}, '_') THEN {number} END"
        case "BOOLEAN":
            return _cast_if(f"lower({text}) IN ('true', 'false', 't', 'f', '1', '0')", text, "BOOLEAN")
        case "DATE":  # a bare cast would drop a time of day
            return _cast_if(f"regexp_full_match({text}, '{_DATE}')", text, "DATE")
        case "TIMESTAMPTZ":  # a bare cast would take a time without offset as UTC, and a date as midnight
            return _cast_if(f"regexp_full_match({text}, '{_DATE}[ T]{_TIME}{_OFFSET}')", text, "TIMESTAMPTZ")
        case "TIMESTAMP":  # a bare cast would drop an offset
            return _cast_if(f"regexp_full_match({text}, '{_DATE}[ T]{_TIME}')", text, "TIMESTAMP")
        case _:
            return f"TRY_CAST({text} AS {column.sql_type})"


def _cast_if(condition: str, text: str, sql_type: str) -> str:
    return f"CASE WHEN {condition} THEN TRY_CAST({text} AS {sql_type}) END"


def _from_json(column: ContractColumn, value: str) -> str:
    match column.sql_type:
        case "BIGINT" | "DOUBLE":
            # As JSON text a string keeps its quotes, so that "5" is not taken for the number 5.
            return _from_text(column, f"{value}::VARCHAR")
        case "BOOLEAN":  # JSON has true and false of its own: 1 is a number
            return f"CASE {value}::VARCHAR WHEN 'true' THEN true WHEN 'false' THEN false END"
        case "MAP(VARCHAR, VARCHAR)":
            return f"TRY_CAST({value} AS MAP(VARCHAR, VARCHAR))"
        case _:
            # Quotes off; parsed again only where there is an escape to undo.
            text = f"{value}::VARCHAR"
            unquoted = f"CASE WHEN contains({text}, '\\') THEN {value} ->> '$' ELSE trim({text}, '\"') END"
            return _from_text(column, f"(CASE WHEN starts_with({text}, '\"') THEN {unquoted} END)")


def _type_words(column: ContractColumn) -> str:
    if column.timestamp_format is not None:
        return f"a time of the form {column.timestamp_format}"
    return {
        "VARCHAR": "text",
        "BIGINT": "a whole number",
        "DOUBLE": "a number",
        "BOOLEAN": "true or false",
        "DATE": "a date (YYYY-MM-DD)",
        "TIMESTAMP": "a local time without offset",
        "TIMESTAMPTZ": "a time with offset",
        "MAP(VARCHAR, VARCHAR)": "an object of texts",
    }[column.sql_type]
