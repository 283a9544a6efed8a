"""Every expectation against GX on pandas: verdict, counts and the keys of the failing rows, case by case."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest
from expectation_cases import CASES, OTHER_TABLES, TABLE, Case, Judged, Outcome, judge, judge_on_pandas


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("SET TimeZone = 'UTC'")
        opened.execute(TABLE)
        opened.execute(OTHER_TABLES)
        yield opened


@pytest.fixture(scope="module")
def judged(con: duckdb.DuckDBPyConnection) -> list[Judged]:
    return judge(con, CASES)


@pytest.fixture(scope="module")
def on_pandas(con: duckdb.DuckDBPyConnection) -> list[Outcome]:
    return judge_on_pandas(con, CASES)


def _name(number: int) -> str:
    case = CASES[number]
    return f"{number}-{case.type.removeprefix('expect_')}-{case.kwargs.get('column', '')}"


def _cases(*, differs: bool = False, written: bool = False) -> list[int]:
    def is_written(case: Case) -> bool:
        return case.expected is not None or case.error is not None

    return [n for n, case in enumerate(CASES) if bool(case.differs) == differs and is_written(case) == written]


@pytest.mark.parametrize("number", _cases(), ids=_name)
def test_verdict_counts_and_failing_keys_are_those_of_pandas(
    judged: list[Judged], on_pandas: list[Outcome], number: int
) -> None:
    assert judged[number].outcome == on_pandas[number], judged[number].error


@pytest.mark.parametrize("number", _cases(differs=True), ids=_name)
def test_a_difference_by_design_is_still_there(judged: list[Judged], on_pandas: list[Outcome], number: int) -> None:
    assert judged[number].outcome != on_pandas[number]


@pytest.mark.parametrize("number", _cases(written=True), ids=_name)
def test_what_gx_has_no_pandas_side_of_is_as_written_out(judged: list[Judged], number: int) -> None:
    case, found = CASES[number], judged[number]
    if case.error is not None:
        assert case.error in (found.error or "")
        return
    assert found.error is None
    evaluated = None if found.outcome.elements is None else found.outcome.elements - (found.outcome.missing or 0)
    assert (found.outcome.success, evaluated, sorted(found.outcome.failing)) == case.expected
