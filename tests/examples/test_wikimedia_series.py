"""The series of the Wikimedia example arrive whole, say that their hosts are made up, and are judged as counted.

Whole nights are `test_wikimedia.py`'s; here the deliveries of three weeks pass the gate, and policies judge some days.
"""

from __future__ import annotations

import shutil
import tarfile
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from deltalake import DeltaTable
from oracle import Findings
from oracle.time_series import AZURE, JUMPSTARTER, gaps, points_per_day, series_findings, series_on_estate_days
from oracle.wikimedia_estate import estate_table
from wikimedia_series import SERIES_NAME, prepare_series

from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings
from omgov_assets.data_management.collection import collect_system
from omgov_assets.model_management.governance import Governance, load_governance
from omgov_assets.quality_policy.evaluation import evaluate_dataset
from omgov_assets.quality_policy.policies import load_policy_set

SYSTEM, DATASET = "monitoring", "metric_samples"
FIRST, DAYS = date(2024, 10, 1), 21
AFTER = FIRST + timedelta(days=DAYS)
# Days on which points are repeated, lack a value, do both or neither.
JUDGED = [date(2024, 10, day) for day in (4, 5, 6, 17, 20)]

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.xdist_group("wikimedia")]


@dataclass(frozen=True)
class Weeks:
    """Three weeks of deliveries in the lake, and what the gate made of each."""

    home: Path
    lake: Lake
    governance: Governance
    decisions: dict[date, list[dict[str, Any]]]

    def query(self, sql: str, table: str = f"{SYSTEM}/{DATASET}") -> list[tuple[Any, ...]]:
        """Rows of a query, read without omgov; the table is `rows` with the oracle's name of a series as `series`."""
        stored = DeltaTable(self.home / "lake" / table).to_pyarrow_table()
        columns = f"*, {SERIES_NAME} AS series" if table == f"{SYSTEM}/{DATASET}" else "*"
        with duckdb.connect() as con:
            con.execute("SET TimeZone = 'UTC'")
            con.register("stored", stored)
            return con.execute(f"WITH rows AS (SELECT {columns} FROM stored) {sql}").fetchall()


@pytest.fixture(scope="module")
def weeks(tmp_path_factory: pytest.TempPathFactory, project_root: Path, prepared_home: Path) -> Weeks:
    home = tmp_path_factory.mktemp("series")
    shutil.copytree(prepared_home / "landing", home / "landing")
    settings = Settings(home, project_root / "examples" / "wikimedia")
    governance = load_governance(settings.project)
    lake = Lake(settings.lake, settings.dataset_contracts)
    system = governance.systems[SYSTEM]
    days = [FIRST + timedelta(days=n) for n in range(DAYS)]
    return Weeks(
        home,
        lake,
        governance,
        {day: collect_system(settings, lake, governance, system, day)[DATASET] for day in days},
    )


def test_every_day_is_admitted_whole(weeks: Weeks, real_data: Path) -> None:
    delivered: Counter[date] = Counter()
    for (_, day), points in points_per_day(real_data).items():
        delivered[day] += points
    for day, entries in weeks.decisions.items():
        [entry] = entries
        counts = [entry[name] for name in ("rows_in", "rows_admitted", "rows_quarantined")]
        assert (entry["decision"], counts) == ("admitted", [delivered[day], delivered[day], 0]), day


def test_each_series_has_the_points_of_each_day_that_the_archives_have(weeks: Weeks, real_data: Path) -> None:
    stored = {(series, day): n for series, day, n in weeks.query("SELECT series, day, count(*) FROM rows GROUP BY ALL")}
    assert stored == {key: n for key, n in points_per_day(real_data).items() if key[1] < AFTER}


def test_values_and_their_order_are_those_of_the_archives(weeks: Weeks, real_data: Path) -> None:
    stored: dict[str, list[tuple[datetime, float | None]]] = defaultdict(list)
    for series, at, value in weeks.query(
        "SELECT series, observed_at AT TIME ZONE 'UTC', value FROM rows ORDER BY day, _record_no"
    ):
        stored[series].append((at, value))
    for series, points in series_on_estate_days(real_data).items():
        # Within a day the order is that of the records; a clock that was set back is still seen to be.
        delivered = [(p.at.replace(tzinfo=None), p.value) for p in points if p.at.date() < AFTER]
        assert stored.get(series, []) == sorted(delivered, key=lambda point: point[0].date()), series


def test_gaps_are_neither_filled_nor_made(weeks: Weeks, real_data: Path) -> None:
    found = weeks.query(
        """
        , points AS (SELECT DISTINCT series, observed_at FROM rows),
        steps AS (
            SELECT series, observed_at - lag(observed_at) OVER (PARTITION BY series ORDER BY observed_at) AS step
            FROM points
        ),
        counted AS (SELECT series, step, count(*) AS n FROM steps WHERE step IS NOT NULL GROUP BY ALL),
        usual AS (
            SELECT series, step FROM counted
            QUALIFY row_number() OVER (PARTITION BY series ORDER BY n DESC, step) = 1
        )
        SELECT s.series, count(*) FROM steps AS s JOIN usual AS u USING (series)
        WHERE epoch(s.step) > 1.5 * epoch(u.step) GROUP BY ALL
        """
    )
    assert Counter(dict(found)) == gaps(real_data, AFTER)


def test_every_series_says_that_its_host_is_made_up_and_where_it_is_from(weeks: Weeks, real_data: Path) -> None:
    series = weeks.query(
        "SELECT DISTINCT attributes ->> 'assignment', attributes ->> 'series_source', attributes ->> 'licence', "
        "attributes ->> 'time', (attributes ->> 'time_shift') IS NULL FROM rows"
    )
    assert {assignment for assignment, *_ in series} == {"synthetic"}
    for _, source, licence, time, unmoved in series:
        archive, _, files = source.partition("/")
        assert (real_data / "timeseries" / archive).is_file()
        assert files
        assert licence == ("CC-BY-4.0" if archive == AZURE else "MIT")
        assert (time, unmoved) == (("implied", True) if archive == JUMPSTARTER else ("recorded", False))


def test_hosts_are_of_the_estate_and_have_an_owner(weeks: Weeks, real_data: Path) -> None:
    owned = {row["host"] for row in estate_table(real_data, "known_hosts") if row["owner_teams"]}
    hosts = weeks.query("SELECT ci_id, attributes ->> 'machine', list(DISTINCT series) FROM rows GROUP BY ALL")
    assert {host for host, *_ in hosts} <= owned
    # One host never stands for two machines: what shares a host is a file, or the benchmarks of a virtual machine.
    for host, machine, series in hosts:
        assert len({name.rpartition("#")[0] for name in series}) == 1 or machine is not None, host
    assert len(hosts) == len({host for host, *_ in hosts})


def test_weekday_and_time_of_day_are_the_recorded_ones(weeks: Weeks) -> None:
    with duckdb.connect() as con:
        landed = con.execute(
            f"SELECT source_time, (observed_at AT TIME ZONE 'UTC') FROM "
            f"read_parquet('{weeks.home}/landing/{SYSTEM}/{DATASET}/2024-10-0*/series.parquet') "
            "WHERE source_time IS NOT NULL AND source_time NOT SIMILAR TO '[0-9]+'"
        ).fetchall()
    assert len(landed) > 10_000
    for written, moved in landed:
        recorded = datetime.fromisoformat(written).replace(tzinfo=None)
        assert (moved.weekday(), moved.time()) == (recorded.weekday(), recorded.time())


def test_units_come_from_the_standard_metric_and_the_mapping(weeks: Weeks) -> None:
    units = {metric.metric: metric.unit for metric in weeks.governance.metrics}
    mapped = {
        source: (metric, units.get(metric))
        for source, metric in weeks.query("SELECT DISTINCT source_metric, metric FROM rows")
    }
    assert mapped["nab.ec2_cpu_utilization"] == ("system.cpu.utilization", "%")
    assert mapped["nab.ec2_network_in"] == ("system.network.received", "By")
    # What nobody described is not given a meaning.
    unmapped = {source.partition(".")[0] for source, (metric, _) in mapped.items() if metric is None}
    assert unmapped == {"donut", "jumpstarter", "microsoft", "nab"}


@pytest.mark.parametrize("day", JUDGED, ids=str)
def test_policies_find_what_the_oracle_counts(weeks: Weeks, real_data: Path, project_root: Path, day: date) -> None:
    policies = load_policy_set(project_root / "examples" / "wikimedia", SYSTEM, DATASET)
    results = evaluate_dataset(weeks.lake, weeks.governance, policies, day)
    expected = series_findings(real_data, day)
    assert {(r.policy.meta.anomaly_type, r.verdict, r.failed) for r in results} == {
        (anomaly_type, "failed" if subjects else "passed", len(subjects))
        for (_, _, anomaly_type), subjects in expected.items()
    }
    names = dict(weeks.query("SELECT DISTINCT instance_id, series FROM rows"))
    found: Findings = defaultdict(list)
    flagged = f"SELECT anomaly_type, subject_key, observed FROM rows WHERE day = DATE '{day}'"
    # Before the first finding there is no table.
    table = "quality/violations"
    for anomaly_type, subject, observed in weeks.query(flagged, table) if weeks.lake.has_day(table, day) else []:
        instance, _, at = subject.partition("|")
        found[SYSTEM, DATASET, anomaly_type].append(f"{names[instance]}|{at}")
        assert '"assignment":"synthetic"' in observed
    assert {key: sorted(subjects) for key, subjects in found.items()} == {
        key: sorted(subjects) for key, subjects in expected.items() if subjects
    }


def test_preparing_again_changes_nothing(
    tmp_path: Path, project_root: Path, real_data: Path, prepared_home: Path
) -> None:
    folder = Path("landing") / SYSTEM / DATASET / "2024-10-24"
    shutil.copytree(prepared_home / folder, tmp_path / folder)
    before = (tmp_path / folder / "series.parquet").stat()
    done = prepare_series(project_root, real_data, tmp_path, "2024-10-24", "2024-10-24")
    assert done.stdout.startswith("2024-10-24: 18,707 points of 117 series"), done.stderr
    # Other bytes, or a younger file, would count as another delivery.
    after = (tmp_path / folder / "series.parquet").stat()
    assert [path.name for path in (tmp_path / folder).iterdir()] == ["series.parquet"]
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_without_the_archives_the_command_says_what_is_missing(tmp_path: Path, project_root: Path) -> None:
    done = prepare_series(project_root, tmp_path / "nowhere", tmp_path, "2024-10-24", "2024-10-24")
    assert done.returncode == 1
    assert "nab_MIT.tar.xz" in done.stderr
    assert "OMGOV_REAL_DATA" in done.stderr
    assert not (tmp_path / "landing").exists()


def test_a_series_that_no_rule_takes_is_not_passed_over(tmp_path: Path, project_root: Path, real_data: Path) -> None:
    archives = tmp_path / "data" / "timeseries"
    archives.mkdir(parents=True)
    with tarfile.open(real_data / "timeseries" / "nab_MIT.tar.xz") as packed:
        packed.extractall(tmp_path / "unpacked", filter="data")
    (tmp_path / "unpacked" / "data" / "realTweets").mkdir()
    (tmp_path / "unpacked" / "data" / "realTweets" / "mentions.csv").write_text("timestamp,value\n")
    with tarfile.open(archives / "nab_MIT.tar.xz", "w:xz", preset=0) as repacked:
        repacked.add(tmp_path / "unpacked" / "data", "data")
    done = prepare_series(project_root, tmp_path / "data", tmp_path, "2024-10-24", "2024-10-24")
    assert done.returncode == 1
    assert "no rule takes data/realTweets/mentions.csv" in done.stderr
