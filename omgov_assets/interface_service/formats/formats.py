"""The formats that there are: name, media type, ending of a file's name, and what writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from omgov_assets.interface_service.formats.binaries import arrow, parquet, xlsx
from omgov_assets.interface_service.formats.texts import csv_text, json_text, ndjson


@dataclass(frozen=True)
class Format:
    """A form that rows are written in.

    Attributes:
        name: what it is called in a question.
        media_type: what it is called in headers.
        ending: how names of such files end.
        pieces: the bytes of rows, piece by piece; a format that cannot be written from its beginning to its end is
            written to a file in the folder first. Raises ``DoesNotFitError``.
    """

    name: str
    media_type: str
    ending: str
    pieces: Callable[[pa.RecordBatchReader, Path], Iterator[bytes]]


def _text(
    write: Callable[[pa.RecordBatchReader], Iterator[bytes]],
) -> Callable[[pa.RecordBatchReader, Path], Iterator[bytes]]:
    return lambda reader, _tmp: write(reader)


JSON = Format("json", "application/json", ".json", _text(json_text))
NDJSON = Format("ndjson", "application/x-ndjson", ".ndjson", _text(ndjson))
CSV = Format("csv", "text/csv; charset=utf-8", ".csv", _text(csv_text))
ARROW = Format("arrow", "application/vnd.apache.arrow.stream", ".arrows", arrow)
XLSX = Format("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ".xlsx", xlsx)
PARQUET = Format("parquet", "application/vnd.apache.parquet", ".parquet", parquet)

FORMATS = (JSON, NDJSON, CSV, XLSX, PARQUET, ARROW)
# What people open comes first where they are told what there is.
BY_ENDING = {one.ending: one for one in (CSV, XLSX, JSON, NDJSON, PARQUET, ARROW)}
