"""Ten nights of a firm with incidents, governed in one process: nothing of what is tested depends on starting anew.

Run as a script it governs nights (``YYYY-MM-DD``), people working on cases after each, and then some of them again
(``again:YYYY-MM-DD``); it prints a line of JSON per night: day, exit code, seconds, and the rows it added to the log
of cases and to the outbox.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from nights import Home

FIRST = date(2026, 11, 9)
DAYS = [FIRST + timedelta(days=n) for n in range(10)]
INSTANCES = 20_000
SEED = 5

# What the incidents of this seed are; the fixture holds them against the landing folder.
SILENT, SILENT_SYSTEM = DAYS[1], "asset_management"
MISSING = {
    SILENT: (SILENT_SYSTEM, "metric_instances"),
    DAYS[2]: ("cmdb", "owners"),
    DAYS[5]: ("cmdb", "configuration_items"),
    DAYS[6]: ("institutional_trading", "metric_samples"),
    DAYS[7]: ("investment_banking", "metric_definitions"),
}
# Nights that are run again when all is over: the first, one with a missing delivery, the last.
AGAIN = (DAYS[0], DAYS[5], DAYS[9])


@dataclass(frozen=True)
class GovernedNights:
    """The home after all of it, and what the process said of each night: first runs, then those that ran again."""

    home: Home
    told: list[dict[str, Any]]


def govern_ten_nights(home: Home) -> GovernedNights:
    """Make the firm and govern it."""
    home.omgov(
        "sample-firm", "--out", str(home.path), "--instances", str(INSTANCES), "--definitions", "2000",
        "--days", str(len(DAYS)), "--day", FIRST.isoformat(), "--seed", str(SEED), "--incidents",
    )  # fmt: skip
    landing = home.path / "landing"
    missing = {
        (day, system.name, dataset.name)
        for system in landing.iterdir()
        for dataset in system.iterdir()
        for day in DAYS
        if not (dataset / day.isoformat()).exists()
    }
    assert missing == {(day, *delivery) for day, delivery in MISSING.items()}
    nights = [*(day.isoformat() for day in DAYS), *(f"again:{day}" for day in AGAIN)]
    done = subprocess.run(
        [sys.executable, str(Path(__file__)), *nights],
        env=home.environment,
        capture_output=True,
        text=True,
        timeout=2400,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    told = [json.loads(line) for line in done.stdout.splitlines()]
    for night in told:
        print(night)
    return GovernedNights(home, told)


def _govern(nights: list[str]) -> None:
    from people_at_work import Morning

    from omgov_assets.anomaly_alert.outbox import Outbox
    from omgov_assets.cli.night import govern
    from omgov_assets.data_lake.lake import Lake
    from omgov_assets.data_lake.settings import Settings
    from omgov_assets.exception_management.rules import CaseRules
    from omgov_assets.model_management.governance import load_governance
    from omgov_assets.quality_analysis.case_tables import CASE_EVENTS

    settings = Settings.from_environment()
    lake = Lake(settings.lake, settings.dataset_contracts)
    rules = CaseRules.of(load_governance(settings.project))

    def rows() -> Counter[str]:
        with Outbox(settings.outbox) as outbox:
            counted = Counter(messages=len(outbox.messages()))
        if lake.open(CASE_EVENTS) is not None:
            with lake.connect() as con:
                lake.register(con, "log", CASE_EVENTS, None)
                ((counted["events"],),) = con.execute("SELECT count(*) FROM log").fetchall()
        return counted

    for night in nights:
        day = date.fromisoformat(night.removeprefix("again:"))
        before, started = rows(), time.monotonic()
        with contextlib.redirect_stdout(sys.stderr):
            code = govern(settings, day, inventory=False)
        told = {"day": day.isoformat(), "code": code, "seconds": round(time.monotonic() - started, 1)}
        after = rows()
        print(json.dumps(told | {name: after[name] - before[name] for name in ("events", "messages")}), flush=True)
        if night == day.isoformat():
            Morning(lake, rules, day).work()


if __name__ == "__main__":
    _govern(sys.argv[1:])
