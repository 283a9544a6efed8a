"""Why a batch was refused, in a code for machines and a sentence for people."""

from __future__ import annotations

ASK_AGAIN = "ask the business system to deliver the file again"


class RefusedBatchError(Exception):
    """A batch that cannot be admitted as a whole.

    Attributes:
        code: stable code of the reason, e.g. ``missing_column``.
        sentence: what is wrong, where, what was expected and what to do.
        rows_in: records counted before the refusal.
    """

    def __init__(self, code: str, sentence: str, rows_in: int = 0) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.rows_in = rows_in
