"""Pushing metric instances until they are acknowledged, beside delta-rs writing the same rows.

`make bench` runs it. ROWS in the environment changes the size, RUNS how often the two take turns (the best run counts,
since others may use the machine as well). The body is the NDJSON that a system of the sample firm delivers, as it is
and packed; the client is a process of its own, the service the real command on an empty home, ended once it has
answered, so that judging what came before is not measured. What is acknowledged is on disk. delta-rs writes the rows
from memory into an empty table and forces nothing to disk. One JSON object per form; `ratio` is the push's rate over
that of delta-rs.
"""

from __future__ import annotations

import gzip
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import yaml
import zstandard
from deltalake import write_deltalake

from omgov_assets.access_control.tokens import TokenStore
from omgov_assets.data_lake.settings import Settings
from omgov_assets.data_lake.sql import literal
from omgov_assets.sample_firm.generate import generate_firm

REPOSITORY = Path(__file__).resolve().parents[1]
SYSTEM, DATASET = "asset_management", "metric_instances"
AGENT = "benchmark_agent"
BLOCK_BYTES = 1 << 20
CODINGS = (None, "gzip", "zstd")


def main() -> None:
    """Write the bodies, let delta-rs and the service take turns on each, print what each took."""
    rows = int(os.environ.get("ROWS", "500000"))
    runs = int(os.environ.get("RUNS", "3"))
    with tempfile.TemporaryDirectory(prefix="omgov-bench-") as folder:
        root = Path(folder)
        project = _project(root)
        bodies = _bodies(root, rows)
        table = root / "table"
        delta: list[float] = []
        pushed: dict[str | None, list[float]] = {coding: [] for coding in CODINGS}
        for _ in range(runs):
            delta.append(float(_child("delta", str(bodies[None]), str(table))))
            for coding in CODINGS:
                with _serving(root / "home", project) as (port, token):
                    arguments = (str(port), token, str(bodies[coding]), coding or "")
                    pushed[coding].append(float(_child("push", *arguments)))
        rate = rows / min(delta)
        print(json.dumps({"contender": "delta_rs", "rows": rows, "rows_per_s": round(rate)}), flush=True)
        for coding, seconds in pushed.items():
            line = {
                "contender": "push",
                "coding": coding or "none",
                "rows": rows,
                "body_mb": round(bodies[coding].stat().st_size / 1e6),
                "landed_mb": round(bodies[None].stat().st_size / 1e6),
                "seconds": round(min(seconds), 2),
                "rows_per_s": round(rows / min(seconds)),
                "ratio": round(rows / min(seconds) / rate, 2),
            }
            print(json.dumps(line), flush=True)


def _project(root: Path) -> Path:
    """The repository's project with an agent that may push the benchmark's dataset."""
    project = root / "project"
    for folder in ("governance", "expectations"):
        shutil.copytree(REPOSITORY / folder, project / folder)
    path = project / "governance" / "access" / "access.yaml"
    access = yaml.safe_load(path.read_text(encoding="utf-8"))
    access["principals"].append(
        {
            "id": AGENT,
            "roles": ["data_source"],
            "clearance": 1,
            "purposes": ["operations"],
            "systems": [SYSTEM],
            "valid_until": date.today() + timedelta(days=300),
        }
    )
    path.write_text(yaml.safe_dump(access, sort_keys=False, allow_unicode=True), encoding="utf-8")
    firm = project / "governance" / "firm.yaml"
    settings = yaml.safe_load(firm.read_text(encoding="utf-8"))
    settings["first_day"] = date.today() - timedelta(days=30)
    firm.write_text(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return project


def _bodies(root: Path, rows: int) -> dict[str | None, Path]:
    """The body as it is and packed."""
    generate_firm(root / "firm", definitions=2_000, instances=6 * rows, days=1, first_day=date(2026, 11, 20), seed=7)
    [delivered] = (root / "firm" / "landing" / SYSTEM / DATASET).rglob("*.ndjson")
    body = root / "body"
    with delivered.open("rb") as source, body.open("wb") as target:
        lines = 0
        while lines < rows:
            line = source.readline()
            if not line:
                source.seek(0)
                continue
            target.write(line)
            lines += 1
    content = body.read_bytes()
    packed = {"gzip": root / "body.gz", "zstd": root / "body.zst"}
    packed["gzip"].write_bytes(gzip.compress(content, 6))
    packed["zstd"].write_bytes(zstandard.ZstdCompressor().compress(content))
    shutil.rmtree(root / "firm")
    return {None: body, **packed}


@contextmanager
def _serving(home: Path, project: Path) -> Iterator[tuple[int, str]]:
    """The service on an empty home; its port, and a token for the agent."""
    settings = Settings(home=home, project=project)
    with TokenStore(settings.tokens) as tokens:
        token, _ = tokens.create(AGENT, ("write",), datetime.now(UTC), timedelta(days=1))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from omgov_assets.cli import main; main()", "serve", "--port", str(port)]
    environment = {**os.environ, "OMGOV_HOME": str(home), "OMGOV_PROJECT": str(project)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            while not _answers(port):
                if process.poll() is not None:
                    sys.exit("the service did not start")
                time.sleep(0.1)
            yield port, token
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
            shutil.rmtree(home)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _child(*arguments: str) -> str:
    done = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout.splitlines()[-1]


def delta(body: Path, table: Path) -> float:
    """Seconds in which delta-rs writes the rows of a body."""
    with duckdb.connect() as con:
        rows = con.sql(f"FROM read_json({literal(str(body))}, format = 'newline_delimited')").to_arrow_table()
    shutil.rmtree(table, ignore_errors=True)
    started = time.monotonic()
    write_deltalake(str(table), rows)
    return time.monotonic() - started


def push(port: int, token: str, body: Path, coding: str) -> float:
    """Seconds from the first byte of a push to its being acknowledged."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600, blocksize=BLOCK_BYTES)
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/x-ndjson",
        "Content-Length": str(body.stat().st_size),
        **({"Content-Encoding": coding} if coding else {}),
    }
    started = time.monotonic()
    with body.open("rb") as content:
        connection.request("POST", f"/v1/ingest/{SYSTEM}/{DATASET}", content, headers)
        answer = connection.getresponse()
        said = answer.read()
    seconds = time.monotonic() - started
    if answer.status != 202:
        sys.exit(f"{answer.status}: {said.decode()}")
    return seconds


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    elif sys.argv[1] == "delta":
        print(delta(Path(sys.argv[2]), Path(sys.argv[3])))
    else:
        print(push(int(sys.argv[2]), sys.argv[3], Path(sys.argv[4]), sys.argv[5]))
