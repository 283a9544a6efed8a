"""``omgov root-cause TABLE``: any table of counts gets a right answer or is refused with a reason."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from count_rows import Row, cube, spoil, summed, within
from deltalake import write_deltalake
from typer.testing import CliRunner, Result

from omgov_assets.cli.commands import app

COUNTS = ("--anomalous", "bad", "--total", "total")


def run(tmp_path: Path, project_root: Path, *arguments: object) -> Result:
    folders = ("--home", tmp_path / "home", "--project", project_root)
    return CliRunner().invoke(
        app, ["root-cause", *(str(one) for one in (*arguments, *folders))], catch_exceptions=False
    )


class Desk:
    """Writes tables into a folder and asks what explains them."""

    def __init__(self, tmp_path: Path, project_root: Path) -> None:
        self.folder, self.project = tmp_path, project_root

    def csv(self, rows: list[Row], name: str = "counts.csv") -> Path:
        path = self.folder / name
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        return path

    def parquet(self, rows: list[Row], name: str = "counts.parquet") -> Path:
        pq.write_table(pa.Table.from_pylist(rows), self.folder / name)  # type: ignore[no-untyped-call]
        return self.folder / name

    def delta(self, rows: list[Row], name: str = "counts") -> Path:
        write_deltalake(self.folder / name, pa.Table.from_pylist(rows))
        return self.folder / name

    def causes(self, table: Path, *arguments: object) -> list[dict[str, Any]]:
        result = run(self.folder, self.project, table, *COUNTS, "--format", "json", *arguments)
        assert result.exit_code == 0, result.output
        rows: list[dict[str, Any]] = json.loads(result.stdout)
        return rows

    def named(self, table: Path, *arguments: object) -> list[dict[str, Any]]:
        return [json.loads(row["conditions"]) for row in self.causes(table, *arguments)]

    def refused(self, table: Path, *arguments: object) -> str:
        result = run(self.folder, self.project, table, *(arguments or COUNTS))
        assert result.exit_code == 1, result.output
        assert result.stdout == ""
        return " ".join(result.stderr.split())


@pytest.fixture
def desk(tmp_path: Path, project_root: Path) -> Desk:
    return Desk(tmp_path, project_root)


def spoiled() -> list[Row]:
    rows = cube()
    spoil(rows, {"a": "a3"}, 0.3)
    spoil(rows, {"b": "b7", "c": "c1"}, 0.9)
    return rows


CAUSES = [{"a": "a3"}, {"b": "b7", "c": "c1"}]


@pytest.mark.parametrize("kind", ["csv", "parquet", "delta"])
def test_csv_parquet_and_delta_give_the_same_answer(desk: Desk, kind: str) -> None:
    rows = spoiled()
    found = desk.causes(getattr(desk, kind)(rows))
    assert [json.loads(row["conditions"]) for row in found] == CAUSES
    first, second = found
    assert set(first) == {
        "rank", "cause", "conditions", "depth", "anomalous", "total", "rate", "expected", "lift", "support",
        "coverage", "past_rate", "score",
    }  # fmt: skip
    assert (first["rank"], first["depth"], first["cause"]) == (1, 1, "a = a3")
    assert second["cause"] == "b = b7 and c = c1"
    all_bad, all_total = summed(rows, {}), summed(rows, {}, "total")
    assert first["anomalous"] == summed(rows, {"a": "a3"})
    assert first["support"] == pytest.approx(summed(rows, {"a": "a3"}, "total") / all_total)
    # The row that both hold is the narrower one's: its rate is higher.
    held = summed(rows, {"a": "a3"}) - summed(rows, {"a": "a3", "b": "b7", "c": "c1"})
    assert first["coverage"] == pytest.approx(held / all_bad)
    assert first["rate"] == pytest.approx(first["anomalous"] / first["total"])
    assert first["lift"] == pytest.approx(first["anomalous"] / first["expected"])
    assert first["past_rate"] is None


def test_the_order_of_rows_and_of_count_columns_does_not_matter(desk: Desk) -> None:
    rows = spoiled()
    turned = [dict(reversed(row.items())) for row in reversed(rows)]
    names = ["a", "b", "c"]
    turned = [{"total": row["total"], **{name: row[name] for name in names}, "bad": row["bad"]} for row in turned]
    assert desk.causes(desk.csv(rows)) == desk.causes(desk.csv(turned, "turned.csv"))


def test_no_more_causes_than_asked_for(desk: Desk) -> None:
    table = desk.csv(spoiled())
    assert desk.named(table, "--top", 1) == CAUSES[:1]
    assert desk.named(table, "--top", 50) == CAUSES


def test_a_table_for_people_names_places_and_shares(desk: Desk) -> None:
    result = run(desk.folder, desk.project, desk.csv(spoiled()), *COUNTS)
    assert "What explains bad of" in result.output
    assert "b = b7 and c = c1" in result.output
    assert "%" in result.output


def test_columns_may_be_called_anything(desk: Desk) -> None:
    rows = [{'my "host"': row["a"], "select": row["b"], "机房": row["c"], "bad": row["bad"], "total": row["total"]}
            for row in spoiled()]  # fmt: skip
    assert desk.named(desk.csv(rows)) == [{'my "host"': "a3"}, {"select": "b7", "机房": "c1"}]


def test_values_may_be_numbers_and_days(desk: Desk) -> None:
    rows = [row | {"a": int(row["a"][1:]), "b": f"2026-11-0{int(row['b'][1:]) + 1}"[:10]} for row in spoiled()]
    assert desk.named(desk.parquet(rows)) == [{"a": "3"}, {"b": "2026-11-08", "c": "c1"}]


# Tables of an unusual shape


def test_one_attribute_is_enough(desk: Desk) -> None:
    rows = [{"host": f"h{number}", "bad": 60 if number == 4 else 1, "total": 100} for number in range(50)]
    assert desk.named(desk.csv(rows)) == [{"host": "h4"}]


def test_no_attribute_is_refused(desk: Desk) -> None:
    assert "no column beside bad and total" in desk.refused(desk.csv([{"bad": 1, "total": 2}]))


def test_ten_thousand_members_of_an_attribute_hide_nothing(desk: Desk) -> None:
    rows = [
        {"instance": f"i{number}", "rack": f"r{number % 50}", "bad": int(number % 97 == 0), "total": 10}
        for number in range(10_000)
    ]
    rows[1234] |= {"bad": 10}
    for row in within(rows, {"rack": "r7"}):
        row["bad"] = 5
    assert desk.named(desk.parquet(rows)) == [{"rack": "r7"}, {"instance": "i1234"}]


def test_rows_that_count_nothing_change_nothing(desk: Desk) -> None:
    rows = spoiled()
    empty = [row | {"bad": 0, "total": 0, "a": f"z{number}"} for number, row in enumerate(rows)]
    assert desk.causes(desk.csv(rows + empty)) == desk.causes(desk.csv(rows, "alone.csv"))
    assert desk.named(desk.csv(empty, "empty.csv")) == []


def test_a_missing_attribute_is_a_value_like_others(desk: Desk) -> None:
    rows: list[Row] = [row | ({"a": None} if row["a"] == "a3" else {}) for row in spoiled()]
    (first, _) = desk.causes(desk.csv(rows))
    assert json.loads(first["conditions"]) == {"a": None}
    assert first["cause"] == "a = (none)"
    assert desk.named(desk.parquet([row | {"a": None} for row in rows])) == [CAUSES[1]]


def test_where_all_are_anomalous_or_none_is_nothing_stands_out(desk: Desk) -> None:
    every = [row | {"bad": row["total"]} for row in cube(values=5)]
    none = [row | {"bad": 0} for row in cube(values=5)]
    assert desk.named(desk.csv(every)) == []
    assert desk.named(desk.csv(none, "none.csv")) == []
    result = run(desk.folder, desk.project, desk.csv(none, "none.csv"), *COUNTS)
    assert "no combination of attributes explains them" in result.output


def test_a_table_without_rows_has_no_cause(desk: Desk) -> None:
    schema = pa.schema([("a", pa.string()), ("bad", pa.int64()), ("total", pa.int64())])
    pq.write_table(schema.empty_table(), desk.folder / "empty.parquet")  # type: ignore[no-untyped-call]
    assert desk.named(desk.folder / "empty.parquet") == []


# The past


def test_a_history_takes_away_what_always_was_so(desk: Desk) -> None:
    past = cube(seed=2)
    spoil(past, {"a": "a3"}, 0.3)
    table, history = desk.csv(spoiled()), desk.csv(past, "past.csv")
    (cause,) = desk.causes(table, "--history", history)
    assert json.loads(cause["conditions"]) == CAUSES[1]
    assert cause["past_rate"] == pytest.approx(0.04, abs=0.02)
    # A history may know columns more, and lie in another format.
    wider = desk.parquet([row | {"shift": "night"} for row in past], "past.parquet")
    assert desk.named(table, "--history", wider) == [CAUSES[1]]


def test_a_history_of_other_columns_is_refused(desk: Desk) -> None:
    table = desk.csv(spoiled())
    other = desk.csv([{"a": "a1", "host": "h", "bad": 1, "total": 2}], "other.csv")
    said = desk.refused(table, *COUNTS, "--history", other)
    assert "other.csv lacks b, c" in said
    assert "leave these out of the table" in said
    uncounted = desk.csv([{"a": "a1", "b": "b1", "c": "c1", "total": 2}], "uncounted.csv")
    assert "uncounted.csv has no column 'bad'" in desk.refused(table, *COUNTS, "--history", uncounted)


# Counts that are none


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bad": -1}, "1 rows have a count below 0 (bad, total)"),
        ({"total": 3, "bad": 4}, "1 rows have more anomalous than total"),
        ({"bad": None}, "1 rows lack a count"),
        ({"total": float("inf")}, "1 rows have a count that is no finite number"),
        ({"total": float("nan")}, "1 rows have a count that is no finite number"),
    ],
)
def test_counts_that_are_none_are_refused(desk: Desk, change: Row, said: str) -> None:
    rows = [row | {"total": float(row["total"])} for row in cube(values=3)]
    rows[5] |= change
    assert said in desk.refused(desk.parquet(rows))


def test_columns_that_do_not_count_are_refused(desk: Desk) -> None:
    table = desk.csv(spoiled())
    assert "has no column 'worse'; it has a, b, c, total, bad" in desk.refused(
        table, "--anomalous", "worse", "--total", "total"
    )
    assert "a is of type VARCHAR, not a number" in desk.refused(table, "--anomalous", "bad", "--total", "a")
    assert "bad cannot be both" in desk.refused(table, "--anomalous", "bad", "--total", "bad")


def test_half_a_question_is_refused(desk: Desk) -> None:
    table = desk.csv(spoiled())
    assert "needs --anomalous COL and --total COL" in desk.refused(table, "--anomalous", "bad")
    result = run(desk.folder, desk.project, *COUNTS)
    assert (result.exit_code, "describe a TABLE" in result.stderr) == (1, True)
    assert "no such file or folder" in desk.refused(desk.folder / "nowhere.csv")


def test_the_firms_own_evidence_is_obeyed(desk: Desk, tmp_path: Path) -> None:
    strict = tmp_path / "project"
    (strict / "governance").mkdir(parents=True)
    (strict / "governance" / "root_causes.yaml").write_text("evidence: {deepest: 1}\n", encoding="utf-8")
    table = desk.csv(spoiled())
    desk.project = strict
    assert all(len(conditions) == 1 for conditions in desk.named(table))
    (strict / "governance" / "root_causes.yaml").write_text("evidence: {deepest: 9}\n", encoding="utf-8")
    assert "evidence.deepest" in desk.refused(table)
