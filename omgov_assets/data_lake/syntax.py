"""What DuckDB's own parser says of a query, without running it.

Does not belong here: what the query means to the firm.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from omgov_assets.data_lake.isolated import isolated_connection


class NotOneSelectError(ValueError):
    """A text that is not one SELECT; the message is DuckDB's where it does not parse."""


@lru_cache(maxsize=256)
def parsed_select(query: str) -> dict[str, Any]:
    """DuckDB's own syntax tree of a query, as its ``json_serialize_sql`` gives it. Nothing is bound, opened or run.

    Raises:
        NotOneSelectError: the text does not parse, or is something else.
    """
    with isolated_connection() as con:
        ((text,),) = con.execute("SELECT json_serialize_sql(?)", [query]).fetchall()
    tree: dict[str, Any] = json.loads(text)
    if tree["error"]:
        raise NotOneSelectError(tree["error_message"])
    if len(tree["statements"]) != 1:
        raise NotOneSelectError("it is not one SELECT")
    return tree
