"""Where things stand: from offsets in a model's SQL to line and column of its file, and from a node to its token.

Does not belong here: what is wrong at a place.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from sqlglot import exp
from sqlglot.tokenizer_core import Token

from omgov_assets.model_management.processing_models import ProcessingModel

Place = tuple[int, int]

# Nodes that sqlglot gives no position, by the word that they begin with.
_FIRST_WORDS: dict[type[exp.Expr], tuple[str, ...]] = {
    exp.Case: ("CASE",),
    exp.TryCast: ("TRY_CAST",),
    exp.Exists: ("EXISTS",),
    exp.Group: ("GROUP BY", "GROUP"),
    exp.Having: ("HAVING",),
    exp.Qualify: ("QUALIFY",),
    exp.Limit: ("LIMIT", "FETCH"),
    exp.Where: ("WHERE",),
    exp.TableSample: ("TABLESAMPLE", "USING"),
    exp.Select: ("SELECT",),
    exp.Extract: ("EXTRACT",),
    exp.PercentileCont: ("QUANTILE_CONT", "PERCENTILE_CONT"),
    exp.PercentileDisc: ("QUANTILE_DISC", "PERCENTILE_DISC"),
    exp.GroupConcat: ("STRING_AGG", "LISTAGG", "GROUP_CONCAT"),
    exp.ArgMax: ("ARG_MAX", "ARGMAX", "MAX_BY"),
    exp.ArgMin: ("ARG_MIN", "ARGMIN", "MIN_BY"),
}
# Their names in DuckDB, where sqlglot keeps neither name nor position.
_NAMES: dict[type[exp.Expr], str] = {
    exp.PercentileCont: "quantile_cont",
    exp.PercentileDisc: "quantile_disc",
    exp.GroupConcat: "string_agg",
    exp.JSONObject: "json_object",
}
_JOIN_WORDS = frozenset({
    "JOIN", "LEFT", "RIGHT", "FULL", "INNER", "OUTER", "CROSS", "ASOF", "POSITIONAL", "NATURAL", "SEMI", "ANTI",
})  # fmt: skip


@dataclass(frozen=True)
class Text:
    """The SQL of a model with its tokens.

    Attributes:
        sql: the text.
        tokens: sqlglot's tokens of it, in order.
        first: line and column of its first character in the file.
    """

    sql: str
    tokens: Sequence[Token]
    first: Place

    @classmethod
    def of(cls, model: ProcessingModel, tokens: Sequence[Token] = ()) -> Text:
        """The text of a model."""
        return cls(model.sql, tokens, (model.first_line, model.first_column))

    def place(self, offset: int) -> Place:
        """Line and column, from 1, of a character."""
        offset = min(max(offset, 0), len(self.sql))
        line = bisect_right(self._line_starts, offset) - 1
        column = offset - self._line_starts[line] + 1
        return self.first[0] + line, column + (self.first[1] - 1 if line == 0 else 0)

    def place_of_byte(self, offset: int) -> Place:
        """As ``place``, of a byte of the text in UTF-8, which is how DuckDB counts."""
        return self.place(len(self.sql.encode("utf-8")[: max(offset, 0)].decode("utf-8", "ignore")))

    def place_of(self, node: exp.Expr) -> Place:
        """Line and column of the first token of a node; the beginning of the text where nothing is known."""
        offset = self.offset_of(node)
        return self.place(offset if offset is not None else 0)

    def offset_of(self, node: exp.Expr) -> int | None:
        """Offset of the first token of a node, or of the nearest node around it that is known."""
        current: exp.Expr | None = node
        while current is not None:
            found = self._begin(current)
            if found is not None:
                return found
            current = current.parent
        return None

    def word_before(self, offset: int, words: Sequence[str]) -> int | None:
        """Offset of the last token before ``offset`` that is one of the words, in capitals."""
        for index in range(bisect_right(self._token_starts, offset - 1) - 1, -1, -1):
            if self.tokens[index].text.upper() in words:
                return int(self.tokens[index].start)
        return None

    def word_after(self, offset: int, words: Sequence[str]) -> int | None:
        """Offset of the first token from ``offset`` on that is one of the words, in capitals."""
        for index in range(bisect_right(self._token_starts, offset - 1), len(self.tokens)):
            if self.tokens[index].text.upper() in words:
                return int(self.tokens[index].start)
        return None

    def first_outer_word(self, *words: str) -> int | None:
        """Offset of the first token outside all brackets that is one of the words, in capitals."""
        depth = 0
        for token in self.tokens:
            if token.text in ("(", "[", "{"):
                depth += 1
            elif token.text in (")", "]", "}"):
                depth -= 1
            elif depth == 0 and token.text.upper() in words:
                return int(token.start)
        return None

    def name_of(self, function: exp.Expr) -> str:
        """Name of a function as it is written, in lower case; sqlglot itself renames many."""
        start, end = function.meta.get("start"), function.meta.get("end")
        if start is not None and end is not None:
            return self.sql[start : end + 1].strip('"').lower()
        if isinstance(function, exp.Anonymous):
            return str(function.this).lower()
        if type(function) in _NAMES:
            return _NAMES[type(function)]
        return function.sql_name().lower() if isinstance(function, exp.Func) else ""

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(index + 1 for index, character in enumerate(self.sql) if character == "\n")]

    @cached_property
    def _token_starts(self) -> list[int]:
        return [token.start for token in self.tokens]

    def _begin(self, node: exp.Expr) -> int | None:
        begins = [begin for child in node.iter_expressions() if (begin := self._begin(child)) is not None]
        if "start" in node.meta:
            return min(int(node.meta["start"]), *begins) if begins else int(node.meta["start"])
        if not begins:
            return None
        first = min(begins)
        if isinstance(node, exp.Distinct):
            return self.word_before(first, ("DISTINCT",)) if isinstance(node.parent, exp.Select) else first
        if isinstance(node, exp.Join):
            return self._begin_of_join(first)
        words = _FIRST_WORDS.get(type(node))
        if words is None and isinstance(node, exp.Cast):
            before = self._token_before(first)
            previous = self._token_before(before.start) if before is not None and before.text == "(" else None
            return int(previous.start) if previous is not None and previous.text.upper() == "CAST" else first
        if words is not None:
            found = self.word_before(first, words)
            return found if found is not None else first
        return first

    def _begin_of_join(self, first: int) -> int:
        at = self.word_before(first, ("JOIN", ","))
        if at is None:
            return first
        while (token := self._token_before(at)) is not None and token.text.upper() in _JOIN_WORDS:
            at = token.start
        return int(at)

    def _token_before(self, offset: int) -> Token | None:
        index = bisect_right(self._token_starts, offset - 1) - 1
        return self.tokens[index] if index >= 0 else None
