"""``docs/expectation_types.md``, written from the cases: where each expectation is judged, whether it names rows."""

from __future__ import annotations

import duckdb
from expectation_cases import CASES, OTHER_TABLES, TABLE, Case, Judged, judge

from omgov_assets.quality_policy.expectation_configurations import gx_configurations

HEAD = """\
# Expectation types

Every expectation of Great Expectations {version} and of the house, as policies can use it. Written by
`docs/make_expectation_types.py` from the cases that the tests judge; a test fails when it is out of date.

- **engine**: where GX evaluates it. `duckdb` is GX's SQL engine; `pandas` is for what SQL cannot say, over the columns
  that the policy names. Where both are given, it depends on the arguments: the text of values other than texts and
  whole numbers, and formats with names of months, days or zones, are judged on pandas.
- **rows**: whether each failing row is stored; the others judge a column or the table as a whole.
- **differs**: where GX's SQL says otherwise than GX on pandas, by GX's own design. In all else, success, counts and
  failing rows are the same; NaN is missing in both.

Regular expressions are RE2 on both: without look-around and references, and with `\\d`, `\\w` and `\\s` of ASCII alone
(`\\p{{Han}}` names Chinese characters). Increasing and decreasing go by the order in which the rows were stored.
A difference of row conditions, for all types: {null_conditions}.

| type | engine | rows | differs |
|---|---|---|---|
"""


def judged_cases() -> list[tuple[Case, Judged]]:
    """The cases as the room judges them."""
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute(TABLE)
        con.execute(OTHER_TABLES)
        return list(zip(CASES, judge(con, CASES), strict=True))


def registered_types() -> list[str]:
    """Every type that GX knows once the house has added its own."""
    gx_configurations([CASES[0].policy("any")])
    from great_expectations.expectations import core, registry

    assert core is not None
    return sorted(registry._registered_expectations)


def expectation_types_markdown() -> str:
    """The document."""
    import great_expectations
    from expectation_cases import NULL_CONDITIONS

    judged = judged_cases()
    lines = []
    for kind in registered_types():
        own = [(case, found) for case, found in judged if case.type == kind]
        engines = sorted({found.engine for case, found in own if not found.outcome.broke})
        rows = any(found.has_rows for _, found in own)
        reasons = {case.differs for case, _ in own if case.differs and case.differs != NULL_CONDITIONS}
        refused = [f"GX itself: {case.error}" for case, _ in own if case.error]
        notes = "; ".join([*sorted(reasons), *refused])
        lines.append(f"| `{kind}` | {', '.join(engines) or 'none'} | {'yes' if rows else 'no'} | {notes} |")
    head = HEAD.format(version=great_expectations.__version__, null_conditions=NULL_CONDITIONS)
    return head + "\n".join(lines) + "\n"
