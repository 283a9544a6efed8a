"""Days as requests write them.

Owns one rule: a day is ``YYYY-MM-DD`` and nothing else; Python takes other spellings of it as well. Does not belong
here: which days may be asked for, what is said of one that is none (each door).
"""

from __future__ import annotations

import re
from datetime import date

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def written_day(text: str) -> date | None:
    """The day that a text writes; None where it writes none."""
    if _DAY.fullmatch(text) is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
