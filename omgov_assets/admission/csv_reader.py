"""Reading CSV: every line below the header is one record, and is read or kept as malformed under its number.

Where values may run over line ends, a record is as ``delivered_text`` finds it by its quotes. Arrow splits the records
into columns; that it saw the same records is proved block by block.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from omgov_assets.admission.delivered_table import (
    Delivery,
    MalformedRecord,
    count_stored,
    require_columns,
    store,
    text_schema,
    unreadable,
)
from omgov_assets.admission.delivered_text import TextBlock, text_blocks
from omgov_assets.admission.refusal import ASK_AGAIN, RefusedBatchError
from omgov_assets.model_management.business_systems import SourceDataset, Transport
from omgov_assets.model_management.contracts import ContractColumn

BROKEN_QUOTES = "a quoted value goes on behind its closing quote"

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass
class _Tally:
    """What is found out on the way: malformed records; records by their line ends and as Arrow saw them; the first
    line that leaves a quote open.
    """

    malformed: list[MalformedRecord] = field(default_factory=list)
    expected: int = 0
    seen: int = 0
    open_quote: int | None = None


def read_csv(con: duckdb.DuckDBPyConnection, path: Path, dataset: SourceDataset) -> Delivery:
    """Fill ``delivery`` from a CSV file.

    Raises:
        RefusedBatchError: as ``read_delivery``; ``line_count_mismatch`` or ``record_count_mismatch`` where a quote or a
            carriage return makes it uncertain where records end.
    """
    columns, transport = dataset.source_contract.columns, dataset.transport
    tally = _Tally()
    try:
        blocks = text_blocks(path, transport, header=True)
        first = next(blocks)
        patterns = _Patterns.of(transport.delimiter)
        if patterns.header_opens_quote(first):
            raise _mismatch(path, transport, _Tally(open_quote=1))
        names = _header(first, transport)
        require_columns(path, names, columns)
        store(con, _batches(first, blocks, names, columns, transport, patterns, tally), columns)
    except (pa.ArrowInvalid, duckdb.Error) as error:
        raise unreadable(path, "a readable CSV file", error, columns) from error
    if tally.seen != tally.expected or tally.open_quote is not None:
        raise _mismatch(path, transport, tally)
    rows_in = count_stored(con) + len(tally.malformed)
    return Delivery(rows_in, "text", tuple(sorted(tally.malformed)))


def _batches(
    first: TextBlock,
    following: Iterator[TextBlock],
    names: list[str],
    columns: tuple[ContractColumn, ...],
    transport: Transport,
    patterns: _Patterns,
    tally: _Tally,
) -> Iterator[pa.RecordBatch]:
    first = first.without_first()
    if len(first.ends):
        yield from _batch(first, names, columns, transport, patterns, tally)
    for block in following:
        yield from _batch(block, names, columns, transport, patterns, tally)


def _batch(
    block: TextBlock,
    names: list[str],
    columns: tuple[ContractColumn, ...],
    transport: Transport,
    patterns: _Patterns,
    tally: _Tally,
) -> Iterator[pa.RecordBatch]:
    """The sound records of a block; the others go into the tally."""
    ragged: list[MalformedRecord] = []
    number_of_first = block.first - 1  # the header is no record
    size = len(block.ends)

    def keep_ragged(row: pacsv.InvalidRow) -> str:
        sentence = f"{row.actual_columns} fields where the header has {row.expected_columns}"
        ragged.append((number_of_first + row.number - 1, "ragged_record", sentence, row.text))
        return "skip"

    broken = patterns.broken(block, tally)
    table = _split(block.text, names, columns, transport, keep_ragged)
    tally.expected += size
    tally.seen += table.num_rows + len(ragged)
    if tally.seen != tally.expected:
        return  # numbers are certain no more, and the file will be refused
    texts = block.records
    tally.malformed += [entry for entry in ragged if entry[0] - number_of_first not in broken]
    tally.malformed += [
        (number_of_first + place, "broken_quotes", BROKEN_QUOTES, texts[place].as_py().rstrip("\r\n"))
        for place in sorted(broken)
    ]
    places = np.delete(np.arange(size), [entry[0] - number_of_first for entry in ragged])
    values = [table.column(column.delivered_as).combine_chunks() for column in columns]
    if broken:
        kept = ~np.isin(places, list(broken))
        places, values = places[kept], [value.filter(pa.array(kept)) for value in values]
    if len(places):
        numbers = pa.array(places + number_of_first, pa.int64())
        yield pa.RecordBatch.from_arrays([numbers, *values], schema=text_schema(columns))


def _split(
    text: bytes,
    names: list[str] | None,
    columns: tuple[ContractColumn, ...],
    transport: Transport,
    keep_ragged: object = None,
) -> pa.Table:
    """Records as a table of texts; the first one is a header where no names are given."""
    if names is not None and text.startswith(_BYTE_ORDER_MARK):
        text = _BYTE_ORDER_MARK + text  # Arrow takes one away
    delivered = [column.delivered_as for column in columns] if names is not None else []
    return pacsv.read_csv(
        pa.BufferReader(text),
        read_options=pacsv.ReadOptions(use_threads=False, block_size=len(text) + 1, column_names=names),
        parse_options=pacsv.ParseOptions(
            delimiter=transport.delimiter,
            invalid_row_handler=keep_ragged,
            ignore_empty_lines=False,
            newlines_in_values=transport.line_ends_in_values == "allowed",
        ),
        # What is no UTF-8 was found by `delivered_text`.
        convert_options=pacsv.ConvertOptions(
            check_utf8=False,
            include_columns=delivered,
            column_types=dict.fromkeys(delivered, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
        ),
    )


def _header(first: TextBlock, transport: Transport) -> list[str]:
    names = _split(first.text[: int(first.ends[0])], None, (), transport).column_names
    return [str(name) for name in names]


@dataclass(frozen=True)
class _Patterns:
    """What a record with quotes can look like.

    Attributes:
        sound: each value is quoted from end to end, or does not begin with a quote.
        open: the record ends within a quoted value.
    """

    sound: str
    open: re.Pattern[str]

    @classmethod
    def of(cls, delimiter: str) -> _Patterns:
        mark = f"\\x{ord(delimiter):02x}" if delimiter.isascii() else delimiter
        quoted, plain = '"(?:[^"]|"")*"', f'(?:[^"{mark}][^{mark}]*)?'
        value = f"(?:{quoted}|{plain})"
        any_value = f'(?:{quoted}(?:[^"{mark}][^{mark}]*)?|{plain})'
        return cls(
            f"^{value}(?:{mark}{value})*\r?\n?$",
            re.compile(f'(?:{any_value}{mark})*"(?:[^"]|"")*'),
        )

    def header_opens_quote(self, block: TextBlock) -> bool:
        header = block.text[: int(block.ends[0])].decode("utf-8").removeprefix("\ufeff")
        return self.open.fullmatch(header) is not None

    def broken(self, block: TextBlock, tally: _Tally) -> set[int]:
        """Places of the records with a quoted value that goes on; notes the first one that leaves a quote open."""
        if b'"' not in block.text:
            return set()
        records = block.records
        quoted: npt.NDArray[np.int64] = np.flatnonzero(pc.match_substring(records, '"'))
        suspects = records.take(pa.array(quoted))
        faulty = quoted[np.flatnonzero(~pc.match_substring_regex(suspects, self.sound).to_numpy(zero_copy_only=False))]
        broken = set()
        for place in faulty.tolist():
            if self.open.fullmatch(records[place].as_py()):
                tally.open_quote = tally.open_quote or block.first + place
            else:
                broken.add(place)
        return broken


def _mismatch(path: Path, transport: Transport, tally: _Tally) -> RefusedBatchError:
    close_quotes = "close every quote, and double quotes inside values"
    if transport.line_ends_in_values == "allowed":
        code, lines = "record_count_mismatch", "records by its quotes"
    else:
        code, lines = "line_count_mismatch", "lines below its header"
        close_quotes = f"deliver values without line ends; {close_quotes}"
    counts = f"{path.name} has {tally.expected} {lines} but {tally.seen} records"
    if tally.seen == tally.expected:
        counts = f"where the records of {path.name} end is not certain"
    if tally.open_quote is not None:
        problem, remedy = f"{counts}: line {tally.open_quote} opens a quote that it does not close", close_quotes
    else:
        problem, remedy = f"{counts}: carriage returns stand alone within it", f"end every line alike; {ASK_AGAIN}"
    return RefusedBatchError(code, f"{problem}; {remedy}", tally.seen)
