"""One night of governance of a whole firm, by the command line: what it finds, and that it can be trusted to run
again.
"""

from __future__ import annotations

import csv
import io
import json
import random
import signal
import subprocess
import time
from pathlib import Path

import duckdb
import pytest
from lake_content import lake_content, rows_of
from nights import DAY, OMGOV, Home

pytestmark = pytest.mark.xdist_group("night")


def test_every_planted_anomaly_is_found_and_nothing_else(night: Home) -> None:
    result = json.loads(night.omgov("evaluate", "--format", "json").stdout)
    assert len(result) >= 15
    assert set(result[0]) == {"anomaly_type", "planted", "found", "precision", "recall", "f1"}
    assert [row for row in result if row["f1"] < 0.99] == []


def test_no_look_alike_is_taken_for_an_anomaly(night: Home) -> None:
    import duckdb

    found = set(rows_of(night.path / "lake", "quality/anomalies", "system, dataset, anomaly_type, subject_key"))
    with duckdb.connect() as con:
        look_alikes = con.execute(
            f"SELECT system, dataset, resembles, subject_key, kind FROM '{night.path}/truth/look_alikes/{DAY}.parquet'"
        ).fetchall()
    assert len({kind for *_, kind in look_alikes}) >= 10
    assert [row for row in look_alikes if row[:4] in found] == []


def test_rows_in_are_rows_admitted_and_rows_quarantined_for_every_batch(night: Home) -> None:
    lake = night.path / "lake"
    for system, dataset, batch, rows_in in rows_of(lake, "admission/ledger", "system, dataset, batch_id, rows_in"):
        where = f"_batch_id = '{batch}'"
        admitted = {n for (n,) in rows_of(lake, f"{system}/{dataset}", "_record_no", where)}
        quarantine = lake / system / f"{dataset}_quarantine"
        refused = set()
        if quarantine.is_dir():
            refused = {n for (n,) in rows_of(lake, f"{system}/{dataset}_quarantine", "_record_no", where)}
        assert not admitted & refused
        assert admitted | refused == set(range(1, rows_in + 1))


@pytest.mark.long
def test_running_the_same_day_again_changes_no_table(night: Home) -> None:
    before = lake_content(night.path / "lake")
    night.omgov("run", "--day", DAY, expected=(2,))
    assert lake_content(night.path / "lake") == before


@pytest.mark.slow
@pytest.mark.long
def test_a_killed_night_run_again_leaves_the_lake_of_an_undisturbed_one(night: Home, tmp_path: Path) -> None:
    home = night.copy_landing(tmp_path / "killed")
    drawn = random.SystemRandom()
    for _ in range(3):
        process = subprocess.Popen([*OMGOV, "run", "--day", DAY], env=home.environment, stderr=subprocess.DEVNULL)
        # Past the imports, anywhere in the run.
        time.sleep(drawn.uniform(4, 14))
        process.send_signal(signal.SIGKILL)
        process.wait()
    home.omgov("run", "--day", DAY, expected=(2,))
    assert lake_content(home.path / "lake") == lake_content(night.path / "lake")
    assert home.omgov("lake", "doctor").stdout.strip() == "the lake is sound"


def test_rankings_come_as_a_table_as_json_and_as_csv(night: Home) -> None:
    rows = json.loads(night.omgov("rankings", "--by", "owner", "--top", "3", "--format", "json").stdout)
    assert [row["rank"] for row in rows] == [1, 2, 3]
    counted = rows_of(night.path / "lake", "quality/anomalies", "count(*)", f"owner_id = '{rows[0]['key']}'")
    assert counted == [(rows[0]["anomalies"],)]
    text = night.omgov("rankings", "--by", "owner", "--top", "3", "--format", "csv").stdout
    assert [row["key"] for row in csv.DictReader(io.StringIO(text))] == [row["key"] for row in rows]
    assert rows[0]["label"] in night.omgov("rankings", "--by", "owner", "--top", "3").stdout


def test_names_of_owners_are_in_the_cmdb_alone(night: Home) -> None:
    lake = night.path / "lake"
    names = dict(rows_of(lake, "cmdb/owners", "owner_id, name", "name IS NOT NULL"))
    (first,) = json.loads(night.omgov("rankings", "--by", "owner", "--top", "1", "--format", "json").stdout)
    (lowest,) = json.loads(night.omgov("scorecards", "--by", "owner", "--top", "1", "--format", "json").stdout)
    assert first["label"] == names[first["key"]]
    assert lowest["label"] == names[lowest["subject_key"]]
    # 沈阳 is a person or a city.
    places = "\n".join(row for (row,) in rows_of(lake, "cmdb/configuration_items", "to_json(held)::VARCHAR"))
    telling = [name for name in names.values() if name not in places]
    assert len(telling) > 10
    for log in sorted(lake.glob("*/*/_delta_log")):
        table = log.parent.relative_to(lake).as_posix()
        if table not in ("cmdb/owners", "cmdb/owners_quarantine"):
            text = "\n".join(row for (row,) in rows_of(lake, table, "to_json(held)::VARCHAR"))
            assert [name for name in telling if name in text] == [], table


@pytest.mark.parametrize(
    "dimension",
    ["anomaly_type", "metric", "application", "host", "support_group", "owner", "business_system", "network_device",
     "site", "collector", "severity"],
)  # fmt: skip
def test_every_dimension_is_ranked(night: Home, dimension: str) -> None:
    rows = json.loads(night.omgov("rankings", "--by", dimension, "--top", "100000", "--format", "json").stdout)
    assert rows
    assert [row["anomalies"] for row in rows] == sorted((row["anomalies"] for row in rows), reverse=True)


def test_explain_names_policy_observed_expected_file_and_record(night: Home) -> None:
    lake = night.path / "lake"
    subject, batch, record = rows_of(
        lake, "quality/anomalies", "subject_key, batch_id, record_no", "anomaly_type = 'unit_unknown'"
    )[0]
    rows = json.loads(night.omgov("explain", subject, "--format", "json").stdout)
    row = next(row for row in rows if row["anomaly_type"] == "unit_unknown")
    assert row["policy_id"] == "metric_instances.unit_known"
    assert row["observed"]
    assert row["expected"] == "a unit that the firm's spelling table knows"
    assert row["source_record"] == record
    (file_name,) = {name for (name,) in rows_of(lake, "admission/ledger", "file_name", f"batch_id = '{batch}'")}
    assert row["source_file"] == file_name
    assert (night.path / "landing" / file_name).is_file()


def test_explaining_what_is_not_flagged_says_so(night: Home) -> None:
    done = night.omgov("explain", "no-such-subject", expected=(1,))
    assert done.stderr == f"omgov: no-such-subject: no violation of that subject on {DAY}; try another --day\n"


def test_a_file_can_be_tried_without_touching_the_lake(night: Home) -> None:
    before = lake_content(night.path / "lake")
    folder = night.path / "landing" / "securities_trading" / "metric_instances" / DAY
    (file,) = folder.iterdir()
    done = night.omgov("try", "securities_trading", "metric_instances", str(file), expected=(2,))
    assert "partial" in done.stdout
    assert "metric_instances.fresh" in done.stdout
    assert lake_content(night.path / "lake") == before


def test_the_report_of_the_day_is_one_page_without_script(night: Home) -> None:
    page = (night.path / "report" / DAY / "index.html").read_text(encoding="utf-8")
    assert "<script" not in page
    worst = json.loads(night.omgov("rankings", "--top", "1", "--format", "json").stdout)[0]
    assert f"{worst['anomalies']:,}" in page


def test_what_analysis_found_can_be_asked_for_on_the_command_line(night: Home) -> None:
    total = int(night.omgov("anomalies", "--count").stdout)
    as_json = json.loads(night.omgov("anomalies", "--format", "json").stdout)
    as_csv = list(csv.DictReader(io.StringIO(night.omgov("anomalies", "--format", "csv").stdout)))
    assert total == len(as_json) == len(as_csv) > 1000
    assert [row["anomaly_id"] for row in as_json] == [row["anomaly_id"] for row in as_csv]
    (owner,) = json.loads(night.omgov("rankings", "--by", "owner", "--top", "1", "--format", "json").stdout)
    assert int(night.omgov("anomalies", "--owner", owner["key"], "--count").stdout) == owner["anomalies"]
    assert f"3 of {total:,}" in night.omgov("anomalies", "--limit", "3").stdout
    refused = night.omgov("anomalies", "--owner", "OWN-000l", expected=(1,))
    assert "nothing in the CMDB; there are OWN-0" in refused.stderr


def test_scorecards_and_impact_can_be_asked_for_on_the_command_line(night: Home) -> None:
    firm = json.loads(night.omgov("scorecards", "--by", "firm", "--format", "json").stdout)
    assert [(row["subject_key"], row["status"]) for row in firm] == [("all", "scored")]
    systems = json.loads(night.omgov("scorecards", "--by", "system", "--format", "json").stdout)
    scores = [row["score"] for row in systems if row["score"] is not None]
    assert scores == sorted(scores)
    assert len(scores) == 6
    device = json.loads(night.omgov("rankings", "--by", "network_device", "--top", "1", "--format", "json").stdout)[0]
    rows = json.loads(night.omgov("impact", device["key"], "--format", "json").stdout)
    assert rows[0]["ci_id"] == device["key"]
    assert {row["direction"] for row in rows} >= {"itself", "dependent"}
    table = night.omgov("impact", device["key"], "--top", "2").stdout
    assert "application" in table
    assert f"and {len(rows) - 2:,} more" in table


def test_bi_tools_open_the_nights_views(night: Home) -> None:
    total = int(night.omgov("anomalies", "--count").stdout)
    with duckdb.connect(str(night.path / "omgov.duckdb"), read_only=True) as con:
        assert con.execute("SELECT count(*) FROM anomalies").fetchone() == (total,)


def test_nothing_is_written_outside_the_home(night: Home) -> None:
    folders = {"landing", "truth", "lake", "report", "alerts", "dagster", "tmp"}
    assert {path.name for path in night.path.iterdir()} == folders | {"omgov.duckdb"}
