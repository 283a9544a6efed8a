"""What is shown in place of data: errors of libraries without what they quote, names of files without addresses."""

from __future__ import annotations

import duckdb
import pytest

from omgov_assets.data_lake.masks import has_personal_data, masked_error, without_personal_data

# However a value is written, none of its parts is a word that errors are made of.
VALUES = ["13812345678", "+86 138 1234 5678", "o'brien@qx.example", 'a"b@qx.example', "qx\nzv@qx.example", "qxzvkj"]
BREAKING = [
    "CAST(p AS INTEGER)",
    "CAST(p AS DATE)",
    "CAST(p AS JSON)",
    "CAST(p AS DECIMAL(3, 1))",
    "error(p)",
    "strptime(p, '%Y-%m')",
    "date_trunc(p, TIMESTAMP '2026-01-01')",
    "regexp_matches('x', '(' || p)",
    "CAST(CAST(regexp_replace('9' || p, '[^0-9]', '', 'g') AS BIGINT) AS TINYINT)",
    "CAST(regexp_replace('9' || p, '[^0-9]', '', 'g') AS BIGINT) * 9223372036854775807",
]


@pytest.mark.parametrize("expression", BREAKING)
def test_an_error_of_duckdb_is_shown_without_the_value_that_it_quotes(expression: str) -> None:
    query = f"SELECT {expression} FROM t"
    broken = 0
    for value in VALUES:
        with duckdb.connect() as con:
            con.execute("CREATE TABLE t AS SELECT $value AS p", {"value": value})
            try:
                con.execute(query).fetchall()
            except duckdb.Error as error:
                shown = masked_error(error, query)
            else:
                continue
        broken += 1
        assert "Error: " in shown
        parts = value.replace("'", " ").replace('"', " ").replace("@", " ").split()
        assert [part for part in parts if len(part) > 1 and part in shown] == []
    assert broken >= 2


def test_an_error_keeps_what_a_person_needs_to_find_its_cause() -> None:
    with duckdb.connect() as con:
        con.execute("CREATE TABLE t AS SELECT 'x@y' AS phone")
        query = "SELECT CAST(phone AS INTEGER) FROM t"
        with pytest.raises(duckdb.ConversionException) as raised:
            con.execute(query).fetchall()
        assert masked_error(raised.value, query) == (
            "Conversion Error: Could not convert string *** to INT32 when casting from source column phone"
        )
        query = "SELECT fone FROM t"
        with pytest.raises(duckdb.BinderException) as bound:
            con.execute(query)
        shown = masked_error(bound.value, query, "phone")
        assert shown == ('Binder Error: Referenced column "fone" not found in FROM clause! Candidate bindings: "phone"')


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("owners_13812345678.csv", "owners_***.csv"),
        ("owners_138-1234-5678.csv", "owners_***.csv"),
        ("owners +86 138 1234 5678.csv", "owners ***.csv"),
        ("of wang.fang@example.com", "of ***"),
    ],
)
def test_a_name_with_an_address_or_a_number_is_found_and_masked(name: str, shown: str) -> None:
    assert has_personal_data(name)
    assert without_personal_data(name) == shown


@pytest.mark.parametrize(
    "name",
    [
        "owners.csv",
        "owners_20261120.csv",
        "owners-2026-11-20-0130.csv",
        "owners_20261120013000.csv",
        "owners_1763596800.csv",
        "owners_1763596800123.csv",
        "3f786850e387550fdab836ed7e6dc881de23001b.csv",
    ],
)
def test_days_times_and_counters_in_names_are_no_telephone_numbers(name: str) -> None:
    assert not has_personal_data(name)
