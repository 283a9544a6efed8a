"""Dynamic baselines over two weeks of the Wikimedia example's series: what they find is where the archives have it.

Bands are learned night by night as `omgov run` does. What a band is cannot be recounted, so of what needs one is held
that it lies beyond the band that its violation names; all else is compared with the oracle.
"""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from deltalake import DeltaTable
from oracle.time_series import DATASET, JUMPSTARTER, NAB, points_of_day, series_findings
from wikimedia_series import SERIES_NAME

from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings
from omgov_assets.data_management.collection import collect_system
from omgov_assets.model_management.governance import load_governance
from omgov_assets.quality_policy.dynamic_baselines.learning import learn_baselines
from omgov_assets.quality_policy.evaluation import evaluate_dataset
from omgov_assets.quality_policy.policies import load_policy_set
from omgov_assets.quality_policy.violations import VIOLATIONS

SYSTEM, SAMPLES = DATASET
FIRST, DAYS = date(2024, 10, 1), 14
LEARNED = [FIRST + timedelta(days=n) for n in range(DAYS)]
# By then what was learned is too old to judge by.
CLOCK_PUT_BACK = date(2024, 11, 12)
BEYOND_A_BAND = {"sample_out_of_band", "sample_level_shift", "sample_unit_jump"}
OUT_AT_ZERO = ("sample_out_of_band", "0.0")
MACHINE = "data/realKnownCause/machine_temperature_system_failure.csv"
AS_COUNTED = ("sample_clock_step", "sample_duplicate", "sample_outside_day", "sample_value_missing")

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("wikimedia")]


@dataclass(frozen=True)
class Violation:
    """A violation with the oracle's name of its series, and the columns that it shows."""

    day: date
    anomaly_type: str
    series: str
    at: datetime
    observed: dict[str, str]

    @property
    def subject(self) -> str:
        return f"{self.series}|{self.at:%Y-%m-%d %H:%M:%S}+00"


@pytest.fixture(scope="module")
def violations(tmp_path_factory: pytest.TempPathFactory, project_root: Path, prepared_home: Path) -> list[Violation]:
    home = tmp_path_factory.mktemp("baselines")
    shutil.copytree(prepared_home / "landing", home / "landing")
    settings = Settings(home, project_root / "examples" / "wikimedia")
    governance = load_governance(settings.project)
    lake = Lake(settings.lake, settings.dataset_contracts)
    policies = load_policy_set(settings.project, SYSTEM, SAMPLES)
    for day in (*LEARNED, CLOCK_PUT_BACK):
        collect_system(settings, lake, governance, governance.systems[SYSTEM], day)
        results = evaluate_dataset(lake, governance, policies, day)
        assert {result.verdict for result in results} <= {"passed", "failed"}
        learn_baselines(lake, governance, day)
    return _read(home / "lake")


def _read(lake: Path) -> list[Violation]:
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        con.register("violations", DeltaTable(lake / VIOLATIONS).to_pyarrow_table())
        con.register("samples", DeltaTable(lake / SYSTEM / SAMPLES).to_pyarrow_table())
        rows = con.execute(
            f"WITH names AS (SELECT DISTINCT instance_id, {SERIES_NAME} AS series FROM samples) "
            "SELECT day, anomaly_type, series, split_part(subject_key, '|', 2), observed FROM violations "
            "JOIN names ON names.instance_id = split_part(subject_key, '|', 1) ORDER BY ALL"
        ).fetchall()
    return [
        Violation(day, anomaly_type, series, datetime.fromisoformat(at), _shown(observed))
        for day, anomaly_type, series, at, observed in rows
    ]


def _shown(observed: str) -> dict[str, str]:
    """The columns of an observed text; the attributes, which hold commas, come last."""
    columns, _, attributes = observed.partition("attributes=")
    shown = dict(column.split("=", 1) for column in columns.removesuffix(", ").split(", ") if column)
    return {**shown, "attributes": attributes}


def test_what_lies_beyond_a_band_does_so_with_the_archives_value(violations: list[Violation], real_data: Path) -> None:
    beyond = [violation for violation in violations if violation.anomaly_type in BEYOND_A_BAND]
    assert Counter(violation.anomaly_type for violation in beyond) == {
        "sample_out_of_band": 222,
        "sample_level_shift": 8,
    }
    for violation in beyond:
        low, high = (float(violation.observed[bound]) for bound in ("band_low", "band_high"))
        value = dict(points_of_day(real_data, violation.day)[violation.series])[violation.at]
        assert value is not None
        assert float(violation.observed["value"]) == value
        assert low < high
        assert not low <= value <= high, violation
        # Of the first days there is too little to learn from.
        assert FIRST + timedelta(days=3) <= violation.day <= LEARNED[-1]


def test_a_level_shift_is_the_begin_of_an_hour_beyond_one_side(violations: list[Violation], real_data: Path) -> None:
    for violation in violations:
        if violation.anomaly_type == "sample_level_shift":
            low, high = (float(violation.observed[bound]) for bound in ("band_low", "band_high"))
            points = sorted(points_of_day(real_data, violation.day)[violation.series])
            run = [value for at, value in points if violation.at <= at <= violation.at + timedelta(hours=1)]
            assert violation.observed["band_learned_from"] == "flat"
            assert len(run) >= 2
            assert all(value is not None and value > high for value in run) or all(
                value is not None and value < low for value in run
            ), violation


def test_before_a_gap_several_usual_steps_are_without_a_point(violations: list[Violation], real_data: Path) -> None:
    found = [violation for violation in violations if violation.anomaly_type == "sample_gap"]
    assert Counter(violation.day in LEARNED for violation in found) == {True: 40, False: 1}
    for violation in found:
        earlier = [at for at, _ in points_of_day(real_data, violation.day)[violation.series] if at < violation.at]
        # On a series' first day the usual step is the day's own, which the band does not show.
        usual_s = float(violation.observed.get("usual_step_s") or 0)
        assert (violation.at - max(earlier)).total_seconds() > max(4 * usual_s, 600), violation


def test_a_flat_line_is_a_dozen_equal_values(violations: list[Violation], real_data: Path) -> None:
    found = [violation for violation in violations if violation.anomaly_type == "sample_flat_line"]
    assert len(found) == 9
    for violation in found:
        points = sorted(points_of_day(real_data, violation.day)[violation.series])
        before = [value for at, value in points if at < violation.at]
        run = [value for at, value in points if at >= violation.at][:12]
        assert len(run) == 12
        assert set(run) == {float(violation.observed["value"])}
        assert before[-1:] != run[:1]


@pytest.mark.parametrize("day", [*LEARNED, CLOCK_PUT_BACK], ids=str)
def test_what_needs_no_band_is_what_the_oracle_counts(violations: list[Violation], real_data: Path, day: date) -> None:
    expected = series_findings(real_data, day)
    for anomaly_type in AS_COUNTED:
        found = [v.subject for v in violations if (v.day, v.anomaly_type) == (day, anomaly_type)]
        assert sorted(found) == sorted(expected[SYSTEM, SAMPLES, anomaly_type]), anomaly_type


def test_the_one_clock_that_was_put_back_is_found_on_its_day(violations: list[Violation]) -> None:
    # After 02:55 the machine's clock shows 02:00 again: both points of that time fail, and are one subject.
    found = [violation for violation in violations if violation.anomaly_type == "sample_clock_step"]
    assert [violation.series for violation in found] == [f"{NAB}/{MACHINE}#"] * 2
    assert {violation.at for violation in found} == {datetime(2024, 11, 12, 2, 0, tzinfo=UTC)}


def test_every_finding_says_that_its_host_is_made_up(violations: list[Violation]) -> None:
    assert all('"assignment":"synthetic"' in violation.observed["attributes"] for violation in violations)


def test_an_outage_of_a_service_is_found_in_all_that_it_silenced(violations: list[Violation], real_data: Path) -> None:
    # From 15:55 ten columns of one service are zero for fifty minutes; the publisher labels the time as anomalous.
    day, begins, columns = date(2024, 10, 13), datetime(2024, 10, 13, 15, 55, tzinfo=UTC), 10
    points = points_of_day(real_data, day)
    outage = [begins + timedelta(minutes=5 * n) for n in range(10)]
    found: dict[str, list[datetime]] = defaultdict(list)
    for violation in violations:
        if violation.day == day and (violation.anomaly_type, violation.observed.get("value")) == OUT_AT_ZERO:
            found[violation.series].append(violation.at)
    silenced = {series: sorted(times) for series, times in found.items() if JUMPSTARTER in series}
    assert silenced == {series: outage for series in silenced}
    assert len(silenced) == columns
    for series in silenced:
        assert [at for at, value in points[series] if value == 0] == outage
