"""The example of a real estate runs end to end, and what it finds is what an oracle counts in the raw files.

The oracle imports nothing of omgov (`tests/oracle`). Compared are not only counts but the very subjects: each
failing row in `quality/violations`, and each subject in `quality/anomalies`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from deltalake import DeltaTable
from oracle import Findings
from oracle.metric_catalogues import catalogue_findings
from oracle.time_series import series_findings
from oracle.wikimedia_estate import estate_findings
from wikimedia_series import SERIES_NAME

DAY = date(2024, 10, 24)
# An account has expired, and points of series are repeated.
LATER_DAY = date(2024, 11, 16)
DELIVERED = 19

# The tests share one night, so they belong to one worker.
pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.xdist_group("wikimedia")]


@dataclass(frozen=True)
class Estate:
    """A home in which the example was governed."""

    home: Path
    environment: dict[str, str]

    def omgov(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the installed command line as a user would."""
        command = Path(sys.executable).with_name("omgov")
        return subprocess.run(
            [command, *arguments],
            env=self.environment,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def govern(self, day: date) -> None:
        done = self.omgov("run", "--day", day.isoformat())
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"

    def query(self, table: str, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a query over a table of the lake, read without omgov; the table is named `rows`."""
        rows = DeltaTable(self.home / "lake" / table).to_pyarrow_table()
        with duckdb.connect() as con:
            con.register("rows", rows)
            return con.execute(sql).fetchall()

    def found(self, table: str, day: date) -> Findings:
        """Subject keys of a day by system, dataset and anomaly type; a series is called what the oracle calls it."""
        series = dict(
            self.query(
                "monitoring/metric_samples",
                f"SELECT DISTINCT instance_id, {SERIES_NAME} FROM rows WHERE day = DATE '{day}'",
            )
        )
        found: Findings = defaultdict(list)
        for system, dataset, anomaly_type, subject in self.query(
            table,
            f"SELECT system, dataset, anomaly_type, subject_key FROM rows WHERE day = DATE '{day}' ORDER BY ALL",
        ):
            instance, _, time = subject.partition("|")
            named = f"{series[instance]}|{time}" if dataset == "metric_samples" else subject
            found[system, dataset, anomaly_type].append(named)
        return {key: sorted(subjects) for key, subjects in found.items()}


def expected_on(real_data: Path, day: date) -> Findings:
    return {**estate_findings(real_data, day), **catalogue_findings(real_data), **series_findings(real_data, day)}


@pytest.fixture(scope="module")
def estate(
    tmp_path_factory: pytest.TempPathFactory, project_root: Path, real_data: Path, prepared_home: Path
) -> Estate:
    home = tmp_path_factory.mktemp("wikimedia")
    shutil.copytree(prepared_home / "landing", home / "landing")
    environment = {
        **os.environ,
        "OMGOV_HOME": str(home),
        "OMGOV_PROJECT": str(project_root / "examples" / "wikimedia"),
        "OMGOV_REAL_DATA": str(real_data.resolve()),
    }
    estate = Estate(home, environment)
    estate.govern(DAY)
    return estate


@pytest.fixture(scope="module")
def expected(real_data: Path) -> Findings:
    return expected_on(real_data, DAY)


def test_everything_is_admitted_and_nothing_quarantined(estate: Estate) -> None:
    decisions = estate.query(
        "admission/ledger",
        f"SELECT decision, count(*), sum(rows_quarantined), sum(rows_in - rows_admitted) FROM rows "
        f"WHERE day = DATE '{DAY}' GROUP BY decision",
    )
    assert decisions == [("admitted", DELIVERED, 0, 0)]


def test_every_failing_row_is_one_that_the_oracle_names(estate: Estate, expected: Findings) -> None:
    found = estate.found("quality/violations", DAY)
    assert {key: Counter(subjects) for key, subjects in found.items()} == {
        key: Counter(subjects) for key, subjects in expected.items() if subjects
    }


def test_every_anomaly_is_one_subject_of_the_oracle(estate: Estate, expected: Findings) -> None:
    found = estate.found("quality/anomalies", DAY)
    assert found == {key: sorted(set(subjects)) for key, subjects in expected.items() if subjects}


def test_every_finding_is_a_policy_that_was_evaluated(estate: Estate, expected: Findings) -> None:
    verdicts = {
        (system, dataset, anomaly_type): (verdict, failed)
        for system, dataset, anomaly_type, verdict, failed in estate.query(
            "quality/check_results",
            f"SELECT system, dataset, anomaly_type, verdict, failed FROM rows WHERE day = DATE '{DAY}'",
        )
    }
    assert verdicts == {key: ("failed" if subjects else "passed", len(subjects)) for key, subjects in expected.items()}


def test_the_ranking_by_anomaly_type_adds_up_to_the_oracle(estate: Estate, expected: Findings) -> None:
    done = estate.omgov(
        "rankings", "--by", "anomaly_type", "--top", "100", "--day", DAY.isoformat(), "--format", "json"
    )
    assert done.returncode == 0, done.stderr
    counted: Counter[str] = Counter()
    for (_, _, anomaly_type), subjects in expected.items():
        counted[anomaly_type] += len(set(subjects))
    assert {row["key"]: row["anomalies"] for row in json.loads(done.stdout)} == +counted


def test_anomalies_of_a_host_are_ranked_under_the_team_that_owns_it(estate: Estate) -> None:
    done = estate.omgov("rankings", "--by", "owner", "--top", "100", "--day", DAY.isoformat(), "--format", "json")
    assert done.returncode == 0, done.stderr
    owners = {row["key"] for row in json.loads(done.stdout)}
    assert {"Data Persistence", "Search Platform", "WMCS"} <= owners


@pytest.mark.long
def test_the_same_sources_on_another_day_are_judged_by_its_calendar(estate: Estate, real_data: Path) -> None:
    estate.govern(LATER_DAY)
    expected = expected_on(real_data, LATER_DAY)
    assert len(expected["cmdb", "persons", "account_expired"]) == 1
    assert len(expected["monitoring", "metric_samples", "sample_duplicate"]) == 20
    found = estate.found("quality/anomalies", LATER_DAY)
    assert found == {key: sorted(set(subjects)) for key, subjects in expected.items() if subjects}
