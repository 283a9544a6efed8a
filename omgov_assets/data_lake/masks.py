"""Mask functions: what is shown in place of a value that is graded too high for where it would be shown.

Does not belong here: which column is masked how, and for whom (``access_control``).
"""

from __future__ import annotations

import re
from typing import Literal, get_args

from omgov_assets.data_lake.sql import identifier, literal

# Violations, reports and check metadata show values up to this classification level as they are.
OPEN_GRADE = 2

# ``drop`` leaves the column out; ``to_*`` keep the beginning of the period; ``nullify`` shows that there is a column.
Mask = Literal["hmac", "partial", "nullify", "drop", "to_day", "to_month", "to_quarter", "to_year"]
MASKS: tuple[Mask, ...] = get_args(Mask)

_HIDDEN = "***"
_LONGEST_ERROR = 400
_WORD = re.compile(r"\w+")
# A mail address; a mobile number of mainland China, a number with its country, a landline, however they are set apart.
# Letters beside the digits make them part of a hash, digits and a point in front part of a number.
_ADDRESS = re.compile(
    r"[^\s,;:<>\"'/@]{1,64}@[^\s,;:<>\"'/@]{1,255}"
    r"|(?<![^\W_])(?<!\d\.)(?:(?:\+?86[ ._-]?)?1[3-9]\d[ ._-]?\d{4}[ ._-]?\d{4}"
    r"|\+\d{1,3}[ ._-]?\d(?:[ ._-]?\d){6,12}|0\d{2,3}-\d{7,8})(?![^\W_])"
)

# What messages of DuckDB, Arrow, SQLite, Great Expectations and Python are made of.
_MESSAGE_WORDS = frozenset(
    """
    _duckdb a according add addition allowed an and any applied are argument arguments arithmeticerror array
    arrowinvalid as assertionerror at attributeerror available batchdata be because before beginning binary bind
    binder binderexception bindings blank boolean byte bytes can candidate candidates cannot cast casting casts
    catalog catalogexception changed character characters clause closed cmpclass column columns
    columnvaluesbetween complete computed configuration constraint constraintexception constraints conversion
    conversionexception convert could counts csv data database date dd decimal decode decompress decompression
    destination did different digits division do does doesn domain double down duckdb duplicate empty end entry
    error exist exists expect expectation expected expects explicit expression extract failed failure field file
    find first float following footer for format found from full function functions get given gives greater group
    has have header hex id implemented in index indexerror input inside instead int int16 int32 int64 int8 integer
    internal internalexception interval into invalid invalidinputexception invalidtypeexception io ioexception is
    it json key keyerror kind larger least length less line literal long lookuperror magic malformed map match
    matches max mean memory message meta metric metriccomputationerror metricerror metricprovidererror
    metricresolutionerror metrics might min missing mm more most multiplication must name names near need negative
    no not notimplementedexception null number numbers object of on one only operation or out outofmemoryexception
    outofrangeexception overflow overflowed overflowerror page pages parameter parquet parse parsed parser
    parserexception path population position possible primary programmingerror put query range read reader
    recognized record referenced regex remainder required result returned row rows schema select serialization
    should size snappy source specifier sql sqlite statement stdev string strings subquery subtraction such sum
    supported syntax t table than that the there this time timestamp to too trailing tree type typeerror
    typemismatchexception types uint16 uint32 uint64 uint8 unable unexpected unicodedecodeerror unique unknown
    unsigned unsupported unterminated update used user using utf utf8 valid value valueerror values varchar
    violates violation was were when where while width with without wrong year you yyyy zero zerodivisionerror
    zstd
    """.split()  # noqa: SIM905 - a list of three hundred is not easier to read
)

_TEXT_MASKS = frozenset({"hmac", "partial"})
_HMAC_BLOCK_BYTES = 64
_HMAC_HEX_DIGITS = 32


def partial_mask(value_sql: str) -> str:
    """SQL that keeps the first character of a text and hides the rest, however long it is."""
    return f"(CASE WHEN {value_sql} IS NOT NULL THEN left({value_sql}::VARCHAR, 1) || '***' END)"


def masked_text(text: str) -> str:
    """A text as ``partial_mask`` shows it."""
    return f"{text[:1]}***"


def masked_error(message: object, *known: str) -> str:
    """An error of a library that data may have caused, without a word that may be data.

    Libraries quote values in quotes of any kind, without any, over several lines, and as numbers; DuckDB's ``error()``
    says nothing but a value. So what is shown is not all but the values: it is the words that such messages are made
    of, and those of the ``known`` texts (the SQL that was run, the names of columns), which hold no data.
    """
    text = re.split(r"\n+LINE \d+:|\n\[SQL:", str(message))[0]
    shown = _MESSAGE_WORDS | {word.casefold() for part in known for word in _WORD.findall(part)}

    def masked(token: re.Match[str]) -> str:
        words = _WORD.findall(token.group())
        return token.group() if all(word.casefold() in shown for word in words) else _HIDDEN

    hidden = re.sub(r"\S+", masked, text)
    return " ".join(re.sub(r"\*{3}(\s+\*{3})+", _HIDDEN, hidden).split())[:_LONGEST_ERROR]


def has_personal_data(text: str) -> bool:
    """Whether a text that is no data, such as the name of a file, holds a mail address or a telephone number."""
    return _ADDRESS.search(text) is not None


def without_personal_data(text: str) -> str:
    """The text without its mail addresses and telephone numbers."""
    return _ADDRESS.sub(_HIDDEN, text)


def mask_fits(mask: str, sql_type: str) -> bool:
    """Whether a column of this type can be masked so and keep its type."""
    if mask in _TEXT_MASKS:
        return sql_type == "VARCHAR"
    if mask.startswith("to_"):
        return sql_type in ("DATE", "TIMESTAMPTZ")
    return mask in MASKS


def masked_column(column: str, sql_type: str, mask: Mask) -> str:
    """SQL that gives the masked values of a column, of the column's type; it cannot fail for any value.

    ``hmac`` reads the parameters of ``hmac_parameters``. Equal values of columns of one name have equal masks, so that
    tables can still be joined; columns of other names cannot be compared with them.

    Raises:
        ValueError: the mask does not fit the type, or leaves the column out.
    """
    value = identifier(column)
    if not mask_fits(mask, sql_type) or mask == "drop":
        raise ValueError(f"{column} is {sql_type}, which {mask} cannot mask")
    if mask == "nullify":
        return f"NULL::{sql_type}"
    if mask == "partial":
        return partial_mask(value)
    if mask == "hmac":
        message = f"encode({literal(column + chr(31))} || {value})"
        inner = f"unhex(sha256($hmac_inner || {message}))"
        return f"left(sha256($hmac_outer || {inner}), {_HMAC_HEX_DIGITS})"
    # A time at the very end of what the type holds may have no beginning of its period.
    return f"TRY(date_trunc({literal(mask.removeprefix('to_'))}, {value})::{sql_type})"


def hmac_parameters(key: bytes) -> dict[str, bytes]:
    """Values of the parameters that ``hmac`` reads: HMAC-SHA256 (RFC 2104) needs its key in two forms.

    ``key`` has at most 64 bytes; a longer one would have to be hashed first.
    """
    if not 0 < len(key) <= _HMAC_BLOCK_BYTES:
        raise ValueError(f"the key has {len(key)} bytes; 1 to {_HMAC_BLOCK_BYTES} are possible")
    block = key.ljust(_HMAC_BLOCK_BYTES, b"\0")
    return {"hmac_inner": bytes(byte ^ 0x36 for byte in block), "hmac_outer": bytes(byte ^ 0x5C for byte in block)}
