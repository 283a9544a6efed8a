"""The main job at full scale: wall time and peak memory of `omgov run` over a fresh sample firm.

`make bench` runs it. DEFINITIONS and INSTANCES in the environment change the size; the home is a temporary
folder. One JSON object per stage; memory is the largest sum over the process and its children.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

DAY = "2026-11-20"
SAMPLE_EVERY_S = 0.05


def main() -> None:
    """Generate the firm, govern its day twice, print what each took."""
    definitions = os.environ.get("DEFINITIONS", "20000")
    instances = os.environ.get("INSTANCES", "2000000")
    with tempfile.TemporaryDirectory(prefix="omgov-bench-") as home:
        size = ["--definitions", definitions, "--instances", instances, "--day", DAY, "--seed", "7"]
        measure("sample-firm", ["sample-firm", "--out", home, *size], home)
        measure("night", ["run", "--day", DAY], home)
        measure("night again", ["run", "--day", DAY], home)


def measure(stage: str, arguments: list[str], home: str) -> None:
    """Run one `omgov` command and print its wall time, peak RSS and exit code; 1 ends the benchmark."""
    started = time.monotonic()
    command = [str(Path(sys.executable).with_name("omgov")), *arguments]
    process = subprocess.Popen(command, env=os.environ | {"OMGOV_HOME": home}, stdout=subprocess.DEVNULL)
    watched, peak_bytes = psutil.Process(process.pid), 0
    while process.poll() is None:
        peak_bytes = max(peak_bytes, _resident_bytes(watched))
        time.sleep(SAMPLE_EVERY_S)
    result = {
        "stage": stage,
        "seconds": round(time.monotonic() - started, 1),
        "peak_rss_mb": round(peak_bytes / 1e6),
        "exit_code": process.returncode,
    }
    print(json.dumps(result), flush=True)
    if process.returncode not in (0, 2):
        sys.exit(f"{stage} failed with {process.returncode}")


def _resident_bytes(process: psutil.Process) -> int:
    total = 0
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for member in family:
        try:
            total += member.memory_info().rss
        except psutil.NoSuchProcess:  # ended between the list and the look
            continue
    return total


if __name__ == "__main__":
    main()
