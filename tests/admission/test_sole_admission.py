"""Two that take a dataset's deliveries at one time take them one after the other: no row is admitted twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from small_firm import COLUMNS, DAY, SYSTEM, SmallFirm, csv_text, instance

DATASET = "metric_instances"
TABLE = f"{SYSTEM}/{DATASET}"
LINES = 100_000
COLLECT = f"""
import sys
from pathlib import Path
from small_firm import DAY, SmallFirm
from omgov_assets.data_lake.settings import Settings
SmallFirm(Settings(*map(Path, sys.argv[1:])), {{}}).collect({SYSTEM!r}, DAY, {DATASET!r})
"""


def test_who_began_before_another_file_came_does_not_decide_without_it(firm: SmallFirm) -> None:
    """One process is stopped while it judges; an earlier file comes, and another process takes both."""
    header, line = csv_text(COLUMNS[SYSTEM, DATASET], [instance(ci="H@")]).splitlines()
    lines = (line.replace("H@", f"H{number}") for number in range(LINES))
    large = firm.deliver(SYSTEM, DATASET, "\n".join([header, *lines]) + "\n", name="large.csv")
    child = subprocess.Popen(
        [sys.executable, "-c", COLLECT, firm.settings.home, firm.settings.project],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    stop_while_reading(child.pid, large)
    # Of two that bring a row, the file that came first has it.
    small = firm.deliver(SYSTEM, DATASET, [instance(ci="H1", sample_max=91.0)], name="small.csv")
    os.utime(small, (large.stat().st_mtime - 10,) * 2)
    other = threading.Thread(target=lambda: firm.collect(SYSTEM, DAY, DATASET))
    other.start()
    other.join(3)
    child.send_signal(signal.SIGCONT)
    assert child.wait(60) == 0
    other.join()
    firm.collect(SYSTEM, DAY, DATASET)
    assert firm.rows(TABLE, "count(*), count(DISTINCT ci_id)") == [(LINES, LINES)]
    assert firm.rows(f"{TABLE}_quarantine", "reasons") == [(["contradicts_earlier_batch"],)]


def stop_while_reading(process: int, path: Path) -> None:
    """Stop a process that reads a file, after it has hashed it."""
    seen, until = None, time.monotonic() + 60
    while seen is None or time.monotonic() - seen < 0.15:
        assert time.monotonic() < until
        if seen is None and is_open(process, path):
            seen = time.monotonic()
        time.sleep(0.002)
    os.kill(process, signal.SIGSTOP)


def is_open(process: int, path: Path) -> bool:
    try:
        return any(fd.readlink() == path for fd in Path(f"/proc/{process}/fd").iterdir())
    except FileNotFoundError:
        # It was closed meanwhile.
        return False
