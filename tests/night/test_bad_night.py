"""A night on which much of what was delivered cannot be used: it goes on for the rest, and says what is wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from lake_content import rows_of
from nights import DAY, Home

# What is refused and why is shown of single deliveries in tests/admission, and of a run in tests/defs.
pytestmark = [pytest.mark.xdist_group("night"), pytest.mark.long]


@pytest.fixture(scope="module")
def bad_night(night: Home, tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, str]:
    """The firm's night with five deliveries spoilt, and what the command line said of it."""
    home = night.copy_landing(tmp_path_factory.mktemp("bad"))

    def delivered(system: str, dataset: str) -> Path:
        (file,) = (home.path / "landing" / system / dataset / DAY).iterdir()
        return file

    cut = delivered("securities_trading", "metric_instances")
    cut.write_bytes(cut.read_bytes()[:-40])
    shutil.rmtree(delivered("asset_management", "metric_samples").parent)
    delivered("wealth_management", "metric_definitions").write_bytes(b"")
    wider = delivered("investment_banking", "metric_samples")
    table = pq.read_table(wider)
    pq.write_table(table.append_column("surprise", table.column(0)), wider)
    foreign = delivered("institutional_trading", "metric_definitions")
    foreign.write_bytes(foreign.read_text(encoding="utf-8").encode("utf-16"))
    return home, home.omgov("run", "--day", DAY, expected=(2,)).stderr


@pytest.mark.parametrize(
    ("dataset", "sentence"),
    [
        ("securities_trading/metric_instances", "does not end with a line end: its last record is cut off"),
        ("wealth_management/metric_definitions", "is empty (0 bytes)"),
        ("investment_banking/metric_samples", "column surprise is not in the source contract"),
        ("institutional_trading/metric_definitions", "UTF-16"),
    ],
)
def test_the_terminal_says_which_batch_was_refused_and_why(
    bad_night: tuple[Home, str], dataset: str, sentence: str
) -> None:
    home, said = bad_night
    (line,) = [line for line in said.splitlines() if line.startswith(f"{dataset}: refused: ")]
    assert sentence in line
    system, name = dataset.split("/")
    where = f"system = '{system}' AND dataset = '{name}'"
    ((decision, reason),) = rows_of(home.path / "lake", "admission/ledger", "decision, reason", where)
    assert decision == "refused"
    assert line.endswith(reason)


def test_the_terminal_says_what_was_not_delivered(bad_night: tuple[Home, str]) -> None:
    home, said = bad_night
    assert f"asset_management/metric_samples: nothing was delivered for {DAY}" in said.splitlines()
    where = "anomaly_type = 'not_delivered'"
    found = rows_of(home.path / "lake", "quality/anomalies", "system, subject_key", where)
    assert found == [("asset_management", "metric_samples")]


def test_what_was_delivered_well_is_governed_as_ever(bad_night: tuple[Home, str], night: Home) -> None:
    home, _ = bad_night
    for system, dataset in (("asset_management", "metric_instances"), ("cmdb", "configuration_items")):
        lakes = [rows_of(lake.path / "lake", f"{system}/{dataset}", "* EXCLUDE (day)") for lake in (home, night)]
        assert lakes[0] == lakes[1]
    # What is judged by the row alone does not depend on what other systems delivered.
    of_rows = "system = 'asset_management' AND dataset = 'metric_instances' AND quality_dimension = 'accuracy'"
    columns = "anomaly_type, subject_key, observed"
    anomalies = [rows_of(lake.path / "lake", "quality/anomalies", columns, of_rows) for lake in (home, night)]
    assert anomalies[0]
    assert anomalies[0] == anomalies[1]


def test_policies_without_their_data_are_not_evaluated_rather_than_passed(bad_night: tuple[Home, str]) -> None:
    home, _ = bad_night
    lake = home.path / "lake"
    refused = "system = 'securities_trading' AND dataset = 'metric_instances'"
    assert {v for (v,) in rows_of(lake, "quality/check_results", "verdict", refused)} == {"not_evaluated"}
    needs_definitions = "system = 'wealth_management' AND policy_id = 'metric_instances.metric_defined'"
    ((verdict, reason),) = rows_of(lake, "quality/check_results", "verdict, reason", needs_definitions)
    assert verdict == "not_evaluated"
    assert reason == f"wealth_management/metric_definitions holds nothing for {DAY}"


def test_the_report_says_what_is_missing(bad_night: tuple[Home, str]) -> None:
    home, _ = bad_night
    page = (home.path / "report" / DAY / "index.html").read_text(encoding="utf-8")
    assert "is empty (0 bytes)" in page
    assert "not evaluated" in page
