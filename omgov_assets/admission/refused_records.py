"""Refused records of a batch as a table: why each record of the delivery did not become a row, and what it said.

Everything is done in sets: a delivery of which half is refused is judged as fast as a sound one, and its records never
become objects. Does not belong here: what is done with them (``gate``).
"""

from __future__ import annotations

import json
from collections.abc import Collection

import duckdb
import pyarrow as pa

from omgov_assets.admission import conform, contract_check
from omgov_assets.admission.delivered_table import holds_graded
from omgov_assets.admission.deliveries import Delivery, ValueKind
from omgov_assets.data_lake.durability import is_no_room
from omgov_assets.data_lake.lake import one_row
from omgov_assets.data_lake.masks import OPEN_GRADE, has_personal_data, masked_text
from omgov_assets.data_lake.sql import identifier, literal, read_sql
from omgov_assets.model_management.business_systems import SourceDataset
from omgov_assets.model_management.contracts import ContractColumn

REFUSED = "refused_records"

_COLUMNS = "_record_no BIGINT, reasons VARCHAR[], reason VARCHAR, payload VARCHAR"
_MALFORMED = pa.schema(
    [("number", pa.int64()), ("code", pa.string()), ("sentence", pa.string()), ("text", pa.string())]
)


def collect_refused(con: duckdb.DuckDBPyConnection, delivery: Delivery, dataset: SourceDataset) -> None:
    """Fill ``refused_records``: _record_no, reasons (sorted codes), reason (sentences), payload (as delivered).

    One row for each record that has no row in ``conformed``: malformed, against the source contract, or lost in the
    model.
    """
    con.execute(f"CREATE OR REPLACE TEMP TABLE {REFUSED} ({_COLUMNS})")
    if delivery.malformed:
        columns = zip(*delivery.malformed, strict=True)
        arrays = [pa.array(values, field.type) for values, field in zip(columns, _MALFORMED, strict=True)]
        con.register("malformed", pa.table(arrays, schema=_MALFORMED))
        con.execute(f"INSERT INTO {REFUSED} SELECT number, [code], sentence, text FROM malformed")  # noqa: S608
        con.unregister("malformed")
    # The model gave at most one row for a record: where all have one, none has to be looked for.
    if one_row(con, "SELECT count(*) FROM conformed") != (delivery.rows_in,):
        con.execute(f"CREATE OR REPLACE TEMP TABLE refused AS {read_sql(conform.HERE / 'refused_records.sql')}")
        _against_contract(con, delivery.kind, dataset)
        _lost_in_model(con, delivery.kind, dataset)


def refuse_rows(con: duckdb.DuckDBPyConnection, kind: ValueKind, dataset: SourceDataset, rows: str) -> None:
    """Move rows from ``conformed`` to ``refused_records``.

    Args:
        con: connection of the judgement.
        kind: how the columns of ``delivery`` are typed.
        dataset: what was delivered.
        rows: SELECT of _record_no, code, sentence; a record may stand there several times, for several reasons.
    """
    con.execute(f"CREATE OR REPLACE TEMP TABLE refused_now AS {rows}")
    payload = _payload(kind, dataset)
    con.execute(
        f"INSERT INTO {REFUSED} SELECT _record_no, codes, sentences, {payload} FROM delivery "  # noqa: S608 - quoted
        "JOIN (SELECT _record_no, list_sort(list_distinct(list(code))) AS codes, "
        "array_to_string(list_sort(list_distinct(list(sentence))), '; ') AS sentences FROM refused_now GROUP BY 1) "
        "USING (_record_no)"
    )
    con.execute("DELETE FROM conformed WHERE _record_no IN (SELECT _record_no FROM refused_now)")


def digest_of_refused(con: duckdb.DuckDBPyConnection) -> str:
    """A text that stands for the records that ``refuse_rows`` moved last."""
    number, digest = one_row(
        con, "SELECT count(*), bit_xor(hash(_record_no)) FROM (SELECT DISTINCT _record_no FROM refused_now)"
    )
    return f"{number}:{digest}"


def count_reasons(con: duckdb.DuckDBPyConnection) -> tuple[int, dict[str, int]]:
    """Refused records, and how many there are by reason code."""
    total = int(one_row(con, f"SELECT count(*) FROM {REFUSED}")[0])  # noqa: S608 - a fixed name
    counts = con.execute(
        f"SELECT code, count(*) FROM (SELECT unnest(reasons) AS code FROM {REFUSED}) GROUP BY 1 ORDER BY 1"  # noqa: S608
    ).fetchall()
    return total, dict(counts)


def first_reason(con: duckdb.DuckDBPyConnection) -> tuple[int, str]:
    """Number and reason of the first refused record."""
    number, reason = one_row(con, f"SELECT _record_no, reason FROM {REFUSED} ORDER BY ALL LIMIT 1")  # noqa: S608
    return int(number), str(reason)


def shown_payload(payload: str, reasons: Collection[str], columns: Collection[ContractColumn]) -> str:
    """A refused record as it may be shown to whoever looks at a terminal.

    Where a column of the contract is graded above open, values are masked: those of such columns, of columns that are
    at fault or unknown, since fields may be shifted, and what looks like an address or a number. A record without
    columns is not shown at all.

    Args:
        payload: the record as the quarantine keeps it.
        reasons: codes for which it was refused.
        columns: columns of the source contract; none where it is not known.
    """
    if columns and not holds_graded(columns):
        return payload
    open_columns = {column.delivered_as: column.name for column in columns if column.grade <= OPEN_GRADE}
    at_fault = {code.partition(":")[2] for code in reasons}
    try:
        record = json.loads(payload)
    except ValueError:
        record = None
    if not isinstance(record, dict) or not columns:
        return f"*** ({len(payload)} characters, which may hold what is graded above {OPEN_GRADE})"
    known = {column.delivered_as for column in columns}
    shown: dict[str, object] = {}
    for name, value in record.items():
        is_open = name in open_columns and open_columns[name] not in at_fault
        is_open = is_open and not has_personal_data(json.dumps(value, ensure_ascii=False))
        key = name if name in known else masked_text(name)
        shown[key] = value if is_open or value is None else masked_text(str(value))
    return json.dumps(shown, ensure_ascii=False)


def _against_contract(con: duckdb.DuckDBPyConnection, kind: ValueKind, dataset: SourceDataset) -> None:
    faults = contract_check.faults(dataset.source_contract.columns, kind)
    if not faults:
        return
    codes = ", ".join(f"CASE WHEN {fault.condition} THEN {literal(fault.code)} END" for fault in faults)
    sentences = ", ".join(f"CASE WHEN {fault.condition} THEN {literal(fault.sentence)} END" for fault in faults)
    con.execute(
        f"INSERT INTO {REFUSED} SELECT _record_no, list_sort(list_distinct(codes)), "  # noqa: S608 - quoted
        "array_to_string(sentences, '; '), payload FROM (SELECT _record_no, "
        f"list_filter([{codes}], lambda code: code IS NOT NULL) AS codes, "
        f"list_filter([{sentences}], lambda sentence: sentence IS NOT NULL) AS sentences, "
        f"{_payload(kind, dataset)} AS payload FROM delivery SEMI JOIN refused USING (_record_no)) WHERE len(codes) > 0"
    )


def _lost_in_model(con: duckdb.DuckDBPyConnection, kind: ValueKind, dataset: SourceDataset) -> None:
    """Reasons of the records that meet the source contract: the model gives no row, or a required column is empty."""
    con.execute(f"CREATE OR REPLACE TEMP TABLE lost AS FROM refused ANTI JOIN {REFUSED} USING (_record_no)")
    if one_row(con, "SELECT count(*) FROM lost") == (0,):
        return
    try:
        _tell_columns(con, kind, dataset)
    except duckdb.Error as error:
        if is_no_room(error):
            raise
        # What these records have been dropped by came first when all ran; looking at every column of them, something
        # breaks that was not reached then. They stay lost, and nothing else with them.
        reason = conform.shown_error(error, dataset)
        sentence = f"processing model {dataset.model.path.name} gives no row for this record, or breaks on it: {reason}"
        con.execute(
            f"INSERT INTO {REFUSED} SELECT _record_no, ['dropped_by_model'], {literal(sentence)}, "  # noqa: S608 - quoted
            f"{_payload(kind, dataset)} FROM delivery SEMI JOIN lost USING (_record_no)"
        )


def _tell_columns(con: duckdb.DuckDBPyConnection, kind: ValueKind, dataset: SourceDataset) -> None:
    """Say of each record of ``lost`` which required columns the model leaves empty, or that it has no row."""
    model = f"processing model {dataset.model.path.name}"
    empty = ", ".join(
        f"CASE WHEN {identifier(name)} IS NULL THEN {literal(name)} END" for name in conform.required_output(dataset)
    )
    con.execute(
        f"""
        INSERT INTO {REFUSED}
        SELECT
            d._record_no,
            CASE
                WHEN len(columns) > 0
                    THEN list_sort(list_transform(columns, lambda c: 'required_missing_after_conform:' || c))
                ELSE ['dropped_by_model']
            END,
            CASE
                WHEN len(columns) > 0
                    THEN {literal(f"{model} gives no ")} || array_to_string(columns, ', ') || ' for this record'
                ELSE {literal(f"{model} gives no row for this record")}
            END,
            {_payload(kind, dataset, "d")}
        FROM delivery AS d
        SEMI JOIN lost ON d._record_no = lost._record_no
        LEFT JOIN (
            SELECT _record_no, list_filter([{empty}]::VARCHAR[], lambda c: c IS NOT NULL) AS columns
            FROM ({dataset.model.sql}
            )
            SEMI JOIN lost USING (_record_no)
        ) AS made ON made._record_no = d._record_no
        """  # noqa: S608 - quoted, and the firm's own SQL
    )


def _payload(kind: ValueKind, dataset: SourceDataset, table: str = "delivery") -> str:
    """SQL of the record as delivered, as JSON text: names of the source, values as they stood there."""
    fields = ", ".join(
        f"{literal(column.delivered_as)}, {table}.{identifier(column.name)}{'' if kind == 'json' else '::VARCHAR'}"
        for column in dataset.source_contract.columns
    )
    return f"json_object({fields})::VARCHAR"
