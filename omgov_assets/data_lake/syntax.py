"""What DuckDB's own parser says of a query, without running it.

Does not belong here: what the query means to the firm.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import duckdb


class NotOneSelectError(ValueError):
    """A text that is not one SELECT; the message is DuckDB's where it does not parse."""


@dataclass(frozen=True)
class ParsedQuery:
    """A query as it was parsed.

    Attributes:
        tree: DuckDB's own syntax tree, as its ``json_serialize_sql`` gives it.
        tables: names of the tables that it reads, common table expressions aside.
    """

    tree: dict[str, Any]
    tables: frozenset[str]


@lru_cache(maxsize=256)
def parsed_select(query: str) -> ParsedQuery:
    """Parse a query. Raises ``NotOneSelectError``."""
    # In memory, and locked: a parser needs to reach nothing.
    with duckdb.connect(config={"enable_external_access": "false", "autoload_known_extensions": "false"}) as con:
        try:
            statements = con.extract_statements(query)
        except duckdb.Error as error:
            raise NotOneSelectError(str(error).splitlines()[0]) from error
        if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
            raise NotOneSelectError("it is not one SELECT")
        tree = json.loads(con.execute("SELECT json_serialize_sql(?)", [query]).fetchall()[0][0])
        if tree["error"]:
            raise NotOneSelectError(tree["error_message"])
        return ParsedQuery(tree, frozenset(con.get_table_names(query)))
