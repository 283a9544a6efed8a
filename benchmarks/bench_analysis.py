"""Analysis of a night: what each step takes, beside one hand-written GROUP BY, with one day of history and with thirty.

`make bench` runs it. HOME_TO_ANALYSE names a governed home to copy; without it a fresh sample firm (DEFINITIONS,
INSTANCES) is governed first. History is the day's own analysis, copied to the days before. One JSON object per stage.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from omgov_assets.data_lake.lake import Lake
from omgov_assets.model_management.governance import load_governance
from omgov_assets.quality_analysis.anomalies import ANOMALIES, identify_anomalies
from omgov_assets.quality_analysis.drill_down import Choice, chosen_anomalies
from omgov_assets.quality_analysis.impact import impact_of
from omgov_assets.quality_analysis.rankings import RANKINGS, rank_anomalies
from omgov_assets.quality_analysis.report import Edition, write_report
from omgov_assets.quality_analysis.rules import AnalysisRules
from omgov_assets.quality_analysis.scorecards import SCORECARDS, compute_scorecards
from omgov_assets.quality_analysis.statistics import STATISTICS, compute_statistics
from omgov_assets.quality_analysis.views import write_views
from omgov_assets.quality_policy.violations import CHECK_RESULTS, VIOLATIONS

DAY = date(2026, 11, 20)
HISTORY = 30
PROJECT = Path(__file__).resolve().parent.parent

# What a person would write who only wants to know whose anomalies there are.
BY_HAND = """
SELECT c.support_group_id, v.anomaly_type, count(DISTINCT (v.system, v.dataset, v.subject_key)) AS anomalies
FROM violations AS v LEFT JOIN configuration_items AS c ON c.ci_id = v.ci_id
GROUP BY ALL
"""


def main() -> None:
    """Time every step twice: with no history, and with thirty days of it."""
    with tempfile.TemporaryDirectory(prefix="omgov-bench-") as folder:
        home = Path(folder) / "home"
        prepare_home(home)
        governance = load_governance(PROJECT)
        lake = Lake(home / "lake", PROJECT / "governance" / "standard" / "data_contracts")
        rules, edition = AnalysisRules.of(governance), Edition.of(governance)
        by_hand = _timed(lambda: _by_hand(lake))
        print(json.dumps({"stage": "one GROUP BY by hand", "seconds": round(by_hand, 2)}), flush=True)
        steps: dict[str, Callable[[], Any]] = {
            "anomalies": lambda: identify_anomalies(lake, DAY, rules),
            "statistics": lambda: compute_statistics(lake, DAY, rules),
            "rankings": lambda: rank_anomalies(lake, DAY),
            "scorecards": lambda: compute_scorecards(lake, DAY, rules),
            "report": lambda: write_report(lake, DAY, home / "report", edition),
            "views": lambda: write_views(lake, home / "omgov.duckdb"),
            "all anomalies as a stream": lambda: _stream(lake),
            "impact of the CI with most dependents": lambda: impact_of(lake, DAY, _busiest(lake)),
        }
        alone = {name: _timed(step) for name, step in steps.items()}
        _copy_history(lake)
        later = {name: _timed(step) for name, step in steps.items()}
        for name in steps:
            result = {
                "stage": name,
                "seconds": round(alone[name], 2),
                "by_hand_ratio": round(alone[name] / by_hand, 1),
                f"with_{HISTORY}_days_ratio": round(later[name] / alone[name], 2),
            }
            print(json.dumps(result), flush=True)
        night = ("anomalies", "statistics", "rankings", "scorecards", "report", "views")
        totals = [round(sum(seconds[name] for name in night), 1) for seconds in (alone, later)]
        print(json.dumps({"stage": "all of a night", "seconds": totals[0], f"with_{HISTORY}_days": totals[1]}))


def prepare_home(home: Path) -> None:
    """A home with one governed night: the lake of HOME_TO_ANALYSE, else a fresh sample firm's."""
    given = os.environ.get("HOME_TO_ANALYSE")
    if given:
        shutil.copytree(Path(given) / "lake", home / "lake")
        return
    omgov = [str(Path(sys.executable).with_name("omgov"))]
    environment = os.environ | {"OMGOV_HOME": str(home), "OMGOV_PROJECT": str(PROJECT)}
    size = [
        "--definitions",
        os.environ.get("DEFINITIONS", "20000"),
        "--instances",
        os.environ.get("INSTANCES", "2000000"),
    ]
    day = ["--day", DAY.isoformat()]
    subprocess.run([*omgov, "sample-firm", "--out", str(home), *size, *day], env=environment, check=True)
    code = subprocess.run([*omgov, "run", *day], env=environment, check=False, stdout=subprocess.DEVNULL).returncode
    if code not in (0, 2):
        sys.exit(f"the night failed with {code}")


def _copy_history(lake: Lake) -> None:
    """Each table's day, once for each of the days before."""
    for table in (VIOLATIONS, CHECK_RESULTS, ANOMALIES, STATISTICS, RANKINGS, SCORECARDS):
        for number in range(1, HISTORY + 1):
            copy_day(lake, table, DAY - timedelta(days=number))


def copy_day(lake: Lake, table: str, day: date, which: str = "true") -> None:
    """Write a table's rows of ``DAY`` that meet a condition as those of another day."""
    columns = ", ".join(lake.schema(table).names)
    with lake.connect() as con:
        lake.register(con, "copied", table, DAY)
        systems: list[str | None] = [None]
        if "system" in lake.schema(table).partition_by:
            systems = [system for (system,) in con.execute("SELECT DISTINCT system FROM copied ORDER BY 1").fetchall()]
        for system in systems:
            rows = con.sql(
                f"SELECT {columns} FROM (SELECT * REPLACE ($day::DATE AS day) FROM copied WHERE ({which})"
                + (" AND system = $system)" if system else ")"),
                params={"day": day} | ({"system": system} if system else {}),
            )
            lake.replace(table, day, rows, {"system": system} if system else None)


def _by_hand(lake: Lake) -> None:
    with lake.connect() as con:
        lake.register(con, "violations", VIOLATIONS, DAY)
        lake.register(con, "configuration_items", "cmdb/configuration_items", DAY)
        con.sql(BY_HAND).fetchall()


def _stream(lake: Lake) -> None:
    with chosen_anomalies(lake, DAY, Choice()) as found:
        for _ in found.to_arrow_reader(10_000):
            pass


def _busiest(lake: Lake) -> str:
    with lake.connect() as con:
        lake.register(con, "relations", "cmdb/ci_relations", DAY)
        query = "SELECT target_ci_id FROM relations GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1"
        return str(con.execute(query).fetchall()[0][0])


def _timed(step: Callable[[], Any]) -> float:
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
