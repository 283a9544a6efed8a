"""The source contract against the records of a delivery: declared, lossless conversions only.

Turns table ``delivery`` (see ``deliveries``) into the view ``source`` that a conform model reads, and can say of any record
why it does not meet the contract.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from omgov_assets.admission.deliveries import Delivery, ValueKind
from omgov_assets.admission.refusal import RefusedBatchError
from omgov_assets.data_lake.lake import create_view, one_row
from omgov_assets.data_lake.masks import OPEN_GRADE, partial_mask
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
    con: duckdb.DuckDBPyConnection, delivery: Delivery, dataset: SourceDataset, batch_id: str
) -> None:
    """Make ``source``: the records that meet the contract, converted, with ``_batch_id`` and ``_record_no``."""
    columns = dataset.source_contract.columns
    values = ", ".join(f"{conversion(column, delivery.kind)} AS {identifier(column.name)}" for column in columns)
    sound = " AND ".join(f"NOT ({fault.condition})" for fault in faults(columns, delivery.kind)) or "TRUE"
    create_view(
        con,
        "source",
        f"SELECT {values}, {literal(batch_id)} AS _batch_id, _record_no FROM delivery WHERE {sound}",  # noqa: S608
    )


def refuse_retyped_columns(
    con: duckdb.DuckDBPyConnection, delivery: Delivery, dataset: SourceDataset, file_name: str
) -> None:
    """Raise where a column is of another type throughout: that is a changed file, not so many bad records.

    Raises:
        RefusedBatchError: code ``retyped_column`` or ``empty_column``.
    """
    columns = [column for column in dataset.source_contract.columns if delivery.kind != "typed" or column.required]
    if not columns:
        return
    counts = ", ".join(
        f"count({identifier(column.name)}), count(*) FILTER (WHERE {_unconvertible(column, delivery.kind)})"
        for column in columns
    )
    row = one_row(con, f"SELECT {counts} FROM delivery")  # noqa: S608
    for column, given, failed in zip(columns, row[::2], row[1::2], strict=True):
        if given and given == failed:
            raise RefusedBatchError(
                "retyped_column",
                f"{file_name}: column {column.delivered_as} is nowhere {_type_words(column)} "
                f"(e.g. {_example(con, column)!r}); "
                "have the business system restore the type, or publish a new contract version",
                delivery.rows_in,
            )
        if column.required and not given:
            raise RefusedBatchError(
                "empty_column",
                f"{file_name}: column {column.delivered_as} is required but empty in all records; "
                "ask the business system to deliver the file again",
                delivery.rows_in,
            )


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


def _example(con: duckdb.DuckDBPyConnection, column: ContractColumn) -> str:
    """A value as delivered, for a sentence that all may read: masked unless the column is graded open."""
    value = f"arg_min({identifier(column.name)}::VARCHAR, _record_no)"
    shown = value if int(column.classification or OPEN_GRADE + 1) <= OPEN_GRADE else partial_mask(value)
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
            return _from_text(column, f"(CASE WHEN starts_with({value}::VARCHAR, '\"') THEN {value} ->> '$' END)")


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
