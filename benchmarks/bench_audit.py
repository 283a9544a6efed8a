"""Decisions a second that are durable, moved into the lake and verified; and tokens checked a second.

Beside it stands the disk itself: how often a second it makes 4 KB durable (write and fsync), which no log with one
commit for each decision can exceed. `make bench` runs it; one JSON object for each thing measured.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from omgov_assets.access_control.audit_chain import Decision
from omgov_assets.access_control.audit_lake import AUDIT, open_log, store_entries
from omgov_assets.access_control.audit_log import AuditLog
from omgov_assets.access_control.audit_verify import verify
from omgov_assets.access_control.token_rates import Rate
from omgov_assets.access_control.tokens import TokenStore
from omgov_assets.data_lake.lake import Lake

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECONDS = 5.0
COLUMNS = tuple(f"column_{number}" for number in range(100))
ENTRIES = 200_000


def decision(number: int) -> Decision:
    """A permission to read a table of 100 columns, three of them masked."""
    return Decision(
        at=NOON + timedelta(milliseconds=number),
        principal=f"consumer-{number % 100}",
        dataset="quality/anomalies",
        decision="allow",
        reason="permit: readers_of_quality",
        policy_hash="0123456789abcdef",
        purpose="capacity planning",
        version=17,
        columns=COLUMNS,
        masks={"column_1": "hmac", "column_2": "partial", "column_3": "null"},
        rows="support_group_id IN ('G-1', 'G-2')",
        row_count=123_456,
    )


def per_second(act: Callable[[], object]) -> float:
    """How often an act is done a second."""
    done, began = 0, time.monotonic()
    while time.monotonic() - began < SECONDS:
        act()
        done += 1
    return done / (time.monotonic() - began)


def recorded_per_second(folder: Path, threads: int) -> float:
    """Decisions a second that threads of one process record, each waiting for its own."""
    with AuditLog(folder) as log:
        rates: list[float] = []

        def work() -> None:
            rates.append(per_second(lambda: log.record(decision(0))))

        workers = [threading.Thread(target=work) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    return sum(rates)


def main() -> None:
    """Measure and print."""
    if len(sys.argv) > 1:
        print(recorded_per_second(Path(sys.argv[1]), int(sys.argv[2])))
        return
    with tempfile.TemporaryDirectory(prefix="omgov-bench-") as name:
        folder = Path(name)
        with (folder / "plain").open("wb") as file:

            def write() -> None:
                file.write(bytes(4096))
                file.flush()
                os.fsync(file.fileno())

            tell("4 KB made durable", per_second(write))
        for threads in (1, 8, 32):
            tell(f"decisions recorded by {threads} threads", recorded_per_second(folder / f"t{threads}", threads))
        command = [sys.executable, __file__, str(folder / "p"), "4"]
        AuditLog(folder / "p").close()
        children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        tell("decisions recorded by 2 processes of 4 threads", sum(float(c.communicate()[0]) for c in children))
        measure_lake(folder)
        with TokenStore(folder / "tokens.db") as store:
            text, _ = store.create("consumer", ["read"], NOON, timedelta(days=1), Rate(10**9, 10**9))
            tell("tokens checked", per_second(lambda: store.authenticate(text, NOON)))


def measure_lake(folder: Path) -> None:
    """Move entries into the lake, and verify them there."""
    lake = Lake(folder / "home" / "lake", folder)
    with open_log(lake, folder / "home" / "audit") as log:
        # Many threads' worth of decisions in each commit: only what comes afterwards is measured.
        log.con.execute("PRAGMA synchronous = OFF")
        for number in range(ENTRIES):
            log.record(decision(number))
        log.con.execute("PRAGMA synchronous = FULL")
        began = time.monotonic()
        moved = store_entries(lake, log)
        tell("entries moved into the lake", moved / (time.monotonic() - began))
    size = sum(file.stat().st_size for file in lake.files(AUDIT))
    began = time.monotonic()
    verification = verify(lake, folder / "home" / "audit")
    if verification.findings or verification.in_lake != ENTRIES:
        raise SystemExit(f"the chain is not whole: {verification.findings[:3]}")
    tell("entries verified", ENTRIES / (time.monotonic() - began))
    print(json.dumps({"what": "bytes an entry takes in the lake", "bytes": round(size / ENTRIES)}), flush=True)


def tell(what: str, rate: float) -> None:
    """Print one figure."""
    print(json.dumps({"what": what, "per_s": round(rate)}), flush=True)


if __name__ == "__main__":
    main()
