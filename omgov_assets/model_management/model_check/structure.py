"""The form of a model: that DuckDB parses it, that it is one SELECT, and that nothing in it reaches outside.

DuckDB decides what is SQL. sqlglot's tree of it is what all deeper analysis works on; where sqlglot does not follow,
there is no tree. Does not belong here: what names mean (``binding``) and what values are (``scopes``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import duckdb
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token

from omgov_assets.model_management.model_check.binding import Binder, duckdb_error
from omgov_assets.model_management.model_check.faults import Fault
from omgov_assets.model_management.model_check.forbidden import forbidden_by_duckdb, forbidden_in
from omgov_assets.model_management.model_check.places import Text
from omgov_assets.model_management.processing_models import ProcessingModel

LONGEST_SQL = 200_000
DEEPEST_NESTING = 200

_DESCRIBING = frozenset({"SHOW", "DESCRIBE", "DESC", "SUMMARIZE", "EXPLAIN"})
_WRITING = (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Create, exp.Drop, exp.Copy)


@dataclass(frozen=True)
class Structure:
    """The form of a model.

    Attributes:
        text: SQL and tokens.
        tree: sqlglot's tree; None where the form is at fault or sqlglot does not follow.
        faults: what is wrong with the form; the model is not bound where there is any.
        analysable: whether the tree is that of the whole model.
    """

    text: Text
    tree: exp.Query | None
    faults: tuple[Fault, ...]

    @property
    def is_sound(self) -> bool:
        """Whether the model may be bound."""
        return not self.faults


def read_structure(model: ProcessingModel, binder: Binder) -> Structure:
    """Parse a model and look for what no model may hold."""
    sql = model.sql
    if len(sql) > LONGEST_SQL:
        return _faulty(
            Text.of(model), "not_parsable", 0, f"the SQL has {len(sql):,} characters; a model has at most "
            f"{LONGEST_SQL:,}", "split it into several models",
        )  # fmt: skip
    tokens = _tokens(sql)
    text = Text.of(model, tokens)
    fault = _nesting_fault(text, sql) or _statement_fault(text, binder)
    if fault is not None:
        return Structure(text, None, (fault,))
    tree = _tree(sql)
    if tree is None:
        return Structure(text, None, tuple(forbidden_by_duckdb(text, binder)))
    writing = tree.find(*_WRITING)
    if writing is not None:
        place = text.place_of(writing)
        problem = f"a {writing.key.upper()} stands in the SELECT; a model only reads"
        return Structure(text, None, (Fault("not_one_select", place, problem, "write a SELECT that only reads"),))
    return Structure(text, tree, tuple(forbidden_in(tree, text, binder)))


def _faulty(text: Text, code: str, offset: int, problem: str, remedy: str) -> Structure:
    return Structure(text, None, (Fault(code, text.place(offset), problem, remedy),))


def _tokens(sql: str) -> Sequence[Token]:
    try:
        return sqlglot.tokenize(sql, read="duckdb")
    except SqlglotError:
        return ()


def _nesting_fault(text: Text, sql: str) -> Fault | None:
    """The parsers recurse: what is nested absurdly deep is refused before they see it."""
    brackets: Iterable[tuple[str, int]] = (
        ((token.text, token.start) for token in text.tokens if len(token.text) == 1)
        if text.tokens
        else ((character, offset) for offset, character in enumerate(sql))
    )
    depth = 0
    for bracket, offset in brackets:
        if bracket in "([{":
            depth += 1
            if depth > DEEPEST_NESTING:
                problem = f"brackets are nested more than {DEEPEST_NESTING} levels deep"
                return Fault("not_parsable", text.place(offset), problem, "write it with common table expressions")
        elif bracket in ")]}":
            depth -= 1
    return None


def _statement_fault(text: Text, binder: Binder) -> Fault | None:
    try:
        statements = binder.connection.extract_statements(text.sql)
    except duckdb.Error as error:
        problem, offset, _ = duckdb_error(error)
        return Fault("not_parsable", text.place_of_byte(offset), f"DuckDB says: {problem}", "correct the SQL")
    first = text.place(int(text.tokens[0].start) if text.tokens else 0)
    if not statements:
        return Fault("not_parsable", first, "there is no SQL below the header", "write a SELECT")
    kind = statements[0].type.name
    word = text.tokens[0].text.upper() if text.tokens else ""
    if kind == "MULTI":
        problem = "PIVOT without a list of values first runs a query to find its columns"
        return Fault("not_one_select", first, problem, "say the values: PIVOT … ON column IN (…)")
    if kind != "SELECT" or word in _DESCRIBING:
        problem = f"the SQL is {word or kind}, not a SELECT"
        return Fault("not_one_select", first, problem, "write one SELECT")
    semicolon = text.first_outer_word(";")
    if len(statements) > 1:
        following = next((token.start for token in text.tokens if semicolon is not None and token.start > semicolon), 0)
        problem = f"there are {len(statements)} statements"
        return Fault("not_one_select", text.place(int(following)), problem, "leave one SELECT")
    if semicolon is not None:
        problem = "something follows the semicolon"
        return Fault("not_one_select", text.place(semicolon), problem, "remove the semicolon and what follows it")
    return None


def _tree(sql: str) -> exp.Query | None:
    try:
        tree = sqlglot.parse_one(sql, read="duckdb")
    except (SqlglotError, RecursionError):
        return None
    if not isinstance(tree, exp.Query) or tree.find(exp.Command) is not None:
        return None
    return tree
