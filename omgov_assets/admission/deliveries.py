"""Reading the files that business systems deliver, as delivered: nothing is cast, nothing is dropped.

A reader per format fills the temporary table ``delivery`` (see ``delivered_table``). Text formats give VARCHAR, JSON
formats JSON, Parquet its own types. Does not belong here: judging values.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from omgov_assets.admission.csv_reader import read_csv
from omgov_assets.admission.delivered_table import Delivery, ValueKind
from omgov_assets.admission.delivered_text import require_whole_text
from omgov_assets.admission.delivery_limits import require_file_size, require_rows
from omgov_assets.admission.json_reader import read_json_array, read_ndjson
from omgov_assets.admission.parquet_reader import read_parquet
from omgov_assets.admission.reception import received_format
from omgov_assets.admission.refusal import ASK_AGAIN, RefusedBatchError
from omgov_assets.admission.sqlite_reader import read_sqlite
from omgov_assets.model_management.business_systems import SourceDataset

__all__ = ["Delivery", "ValueKind", "read_delivery"]

_READERS = {
    "csv": read_csv,
    "ndjson": read_ndjson,
    "json": read_json_array,
    "parquet": read_parquet,
    "sqlite": read_sqlite,
}
_TEXT_FORMATS = {"csv", "ndjson", "json"}
# Both give JSON values, so that a contract of the one describes the other as well.
_JSON_FORMATS = {"ndjson", "json"}


def read_delivery(con: duckdb.DuckDBPyConnection, path: Path, dataset: SourceDataset) -> Delivery:
    """Read one file into the temporary table ``delivery``.

    The format is the transport's; a received file of a dataset of JSON is read as what it was sent as, lines or array.

    Raises:
        RefusedBatchError: the file is empty, cut off, of another encoding or format, holds more than the transport's
            limits allow, or its columns differ from the contract.
    """
    transport = dataset.transport
    if path.stat().st_size == 0:
        raise RefusedBatchError("empty_file", f"{path.name} is empty (0 bytes): records were expected; {ASK_AGAIN}")
    require_file_size(path, transport.limits)
    if transport.format in _TEXT_FORMATS:
        require_whole_text(path, transport)
    con.execute("DROP TABLE IF EXISTS delivery")
    delivery = _READERS[_format_of(path, dataset)](con, path, dataset)
    if delivery.rows_in == 0:
        raise RefusedBatchError("no_records", f"{path.name} holds no record: records were expected; {ASK_AGAIN}")
    require_rows(path, delivery.rows_in, transport.limits)
    return delivery


def _format_of(path: Path, dataset: SourceDataset) -> str:
    declared, sent_as = dataset.transport.format, received_format(path.name)
    return sent_as if sent_as in _JSON_FORMATS and declared in _JSON_FORMATS else declared
