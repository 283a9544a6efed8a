"""Why the gate refused a record or a batch, in the words of the pages: one sentence for each code of ``admission``.

The gate's own sentence says more, in English; pages show it as a detail. Does not belong here: refusing
(``admission``).
"""

from __future__ import annotations

from collections.abc import Callable

# Of these a code says the column behind a colon: not_convertible:last_seen.
OF_COLUMNS: dict[str, str] = {
    "not_convertible": "%(name)s is not of its type",
    "required_missing": "%(name)s is required but empty",
    "required_missing_after_conform": "the processing model gives no %(name)s",
    "policy": "fails the policy %(name)s",
}
OF_RECORDS: dict[str, str] = {
    "binary_value": "bytes in place of text or a number",
    "broken_json": "is no JSON object",
    "broken_quotes": "quotes that do not close",
    "contradicts_earlier_batch": "contradicts an earlier batch of the day",
    "delivered_before": "was delivered before",
    "dropped_by_model": "the processing model gives no row",
    "duplicate_key": "a key stands twice",
    "nested_too_deep": "nested too deep",
    "ragged_record": "more or fewer fields than the header",
    "unexpected_key": "a key outside the contract",
}
OF_BATCHES: dict[str, str] = {
    "contract_not_published": "its contract could not be published",
    "duplicate_column": "a column stands twice",
    "empty_column": "a required column is empty in all records",
    "empty_file": "the file is empty",
    "expands_too_much": "unpacks to too much",
    "extra_column": "a column outside the contract",
    "line_count_mismatch": "quotes or line ends do not add up",
    "missing_column": "a column is missing",
    "missing_table": "the database lacks the table",
    "model_failed": "the processing model does not run",
    "model_invents_records": "the processing model makes rows of no record",
    "model_multiplies_rows": "the processing model makes several rows of a record",
    "model_output_differs": "the processing model gives other columns than the standard",
    "model_unsound": "the processing model was found faulty",
    "no_records": "the file holds no record",
    "no_sound_record": "no record could be admitted",
    "not_a_table": "what it names is no stored table",
    "outside_landing": "the file lies outside the landing folder",
    "policy_refuses": "a policy refuses the batch",
    "record_count_mismatch": "quotes do not add up to whole records",
    "record_too_large": "a record is too large",
    "repeated_delivery": "the same bytes were delivered before",
    "retyped_column": "a column has another type",
    "row_count_mismatch": "other rows than the file says",
    "superseded": "a later delivery takes its place",
    "too_large": "the file is too large",
    "too_many_refused": "too many records are refused",
    "too_many_rows": "the file holds too many records",
    "truncated": "the file is cut off",
    "unfinished_database": "the database was copied while it was written",
    "unreadable": "the file cannot be read",
    "unreadable_source": "the archive cannot be unpacked",
    "unusable_name": "a file name that cannot be used",
    "wrong_encoding": "the file is in another encoding",
}
REFUSALS = OF_COLUMNS | OF_RECORDS | OF_BATCHES


def refusal(code: str, text: Callable[[str], str]) -> str:
    """A code of the gate in words; one that is not known here stands as it is, as words.

    Args:
        code: such as ``not_convertible:last_seen``.
        text: a message in the page's language.
    """
    kind, _, name = code.partition(":")
    if kind in OF_COLUMNS and name:
        return text(OF_COLUMNS[kind]) % {"name": name}
    if kind == code and kind not in OF_COLUMNS and kind in REFUSALS:
        return text(REFUSALS[kind])
    return code.replace("_", " ")
