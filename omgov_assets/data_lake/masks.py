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

_TEXT_MASKS = frozenset({"hmac", "partial"})
_HMAC_BLOCK_BYTES = 64
_HMAC_HEX_DIGITS = 32


def partial_mask(value_sql: str) -> str:
    """SQL that keeps the first character of a text and hides the rest, however long it is."""
    return f"(CASE WHEN {value_sql} IS NOT NULL THEN left({value_sql}::VARCHAR, 1) || '***' END)"


def masked_text(text: str) -> str:
    """A text as ``partial_mask`` shows it."""
    return f"{text[:1]}***"


def masked_quotes(sentence: str) -> str:
    """An error message without the values that it quotes."""
    return re.sub(r"'[^']*'", "'***'", sentence)


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
