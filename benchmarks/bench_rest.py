"""REST: pages of 100 governed rows a second, beside a bare FastAPI route over the same Parquet file.

`make bench` runs it. ROWS in the environment changes the size, SECONDS how long each is measured. Both run as one
process and are asked by connections that are kept, over real sockets. The governed one proves the token,
decides, puts the page durably on record, and reads the rows of a snapshot that was made before; the bare one reads the
same file on a connection that it keeps and answers with its rows, and that is all. One JSON object for each:

- ``pages``: a page after the other, by 1 and by 4 connections: pages a second of both, the ratio, and milliseconds of
  the processor for a page, which say more on a busy machine. ``plain`` is the bare route as it is written first,
  returning the rows as a list; ``orjson`` one that writes them itself by orjson, by the column, which is the least that
  such a route can cost.
- ``download``: all rows at once, by format: seconds, rows a second, and the memory of the service before and after.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

import psutil
from drawn_inventory import INVENTORY, write_inventory

from omgov_assets.access_control.token_rates import Rate
from omgov_assets.access_control.tokens import TokenStore
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings

ROWS = int(os.environ.get("ROWS", "500000"))
SECONDS = float(os.environ.get("SECONDS", "5"))
PROJECT = Path(__file__).resolve().parents[1]
DAY = date(2026, 11, 20)
SIZE = 100
PATH = f"/v1/datasets/{INVENTORY}/rows?day={DAY}&limit={SIZE}"
BARE = """
import sys, duckdb, orjson, uvicorn
from fastapi import FastAPI, Response
app, con = FastAPI(), duckdb.connect()
con.execute("SET TimeZone = 'UTC'; SET parquet_metadata_cache = true")
SQL = f"SELECT * EXCLUDE (file_row_number) FROM read_parquet('{sys.argv[2]}', file_row_number = true) " \\
    "WHERE file_row_number BETWEEN ? AND ?"
def table(first, limit):
    return con.cursor().execute(SQL, [first, first + limit - 1]).to_arrow_table()
@app.get("/plain")
def plain(first: int = 0, limit: int = 100):
    return {"rows": table(first, limit).to_pylist()}
@app.get("/orjson")
def fast(first: int = 0, limit: int = 100):
    rows = table(first, limit)
    columns = [column.to_pylist() for column in rows.columns]
    found = [dict(zip(rows.column_names, row)) for row in zip(*columns)]
    return Response(orjson.dumps({"rows": found}), media_type="application/json")
uvicorn.run(app, port=int(sys.argv[1]), log_level="error", access_log=False)
"""

# Where a service is, and its process.
Asked: TypeAlias = "tuple[int, psutil.Process]"


def main() -> None:
    """Measure both."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(Path(folder), PROJECT)
        write_inventory(Lake(settings.lake, settings.dataset_contracts), DAY, ROWS)
        with TokenStore(settings.tokens) as tokens:
            fast = Rate(per_minute=6_000_000, burst=6_000_000)
            token, _ = tokens.create("steward", ("read",), datetime.now(UTC), timedelta(days=1), fast)
        proof = {"Authorization": f"Bearer {token}"}
        with running([sys.executable, "-c", "from omgov_assets.cli import main; main()", "serve", "--port"],
                     settings) as (port, process):  # fmt: skip
            first = ask(http.client.HTTPConnection("127.0.0.1", port), PATH, proof)
            (snapshot,) = settings.governed.rglob("*.parquet")
            with running([sys.executable, "-c", BARE], settings, str(snapshot)) as (bare_port, bare_process):
                measure_pages((port, process), proof, json.loads(first)["next"], (bare_port, bare_process))
            measure_downloads(port, proof, process)


def measure_pages(governed: Asked, proof: dict[str, str], after: str, bare: Asked) -> None:
    """Ask both for one page after the other, in turns so that both have the same load beside them."""
    ways: dict[str, tuple[Asked, dict[str, str], Callable[[], Generator[str, bytes, None]]]] = {
        "governed": (governed, proof, lambda: following(after)),
        "plain": (bare, {}, lambda: numbered("plain")),
        "orjson": (bare, {}, lambda: numbered("orjson")),
    }
    for connections in (1, 4):
        rates: dict[str, list[float]] = {name: [] for name in ways}
        costs: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(3):
            for name, (asked, headers, paths) in ways.items():
                rate, cost = pages_a_second(asked, headers, paths, connections)
                rates[name].append(rate)
                costs[name].append(cost)
        best = {name: max(found) for name, found in rates.items()}
        least = {name: min(found) for name, found in costs.items()}
        report(
            "pages",
            connections=connections,
            **{f"{name}_a_second": round(rate, 1) for name, rate in best.items()},
            ratio_to_plain=round(best["governed"] / best["plain"], 2),
            ratio_to_orjson=round(best["governed"] / best["orjson"], 2),
            **{f"{name}_processor_ms": round(cost, 2) for name, cost in least.items()},
        )


def following(after: str) -> Generator[str, bytes, None]:
    """The addresses of governed pages, each from the answer before."""
    path = after
    while True:
        told = json.loads((yield path))["next"]
        path = told if told is not None else after


def numbered(way: str) -> Generator[str, bytes, None]:
    """The addresses of bare pages."""
    for first in range(SIZE, ROWS, SIZE):
        yield f"/{way}?first={first}&limit={SIZE}"


def pages_a_second(
    asked: Asked, headers: dict[str, str], paths: Callable[[], Generator[str, bytes, None]], connections: int
) -> tuple[float, float]:
    """How many pages connections get in a third of ``SECONDS``, and milliseconds of the processor for each."""
    port, process = asked
    counts = [0] * connections
    until = time.perf_counter() + SECONDS / 3

    def follow(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        way = paths()
        path = next(way)
        while time.perf_counter() < until:
            told = ask(connection, path, headers)
            counts[number] += 1
            path = way.send(told)

    before, started = process.cpu_times(), time.perf_counter()
    threads = [threading.Thread(target=follow, args=(number,)) for number in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after, seconds = process.cpu_times(), time.perf_counter() - started
    cost = after.user + after.system - before.user - before.system
    return sum(counts) / seconds, cost * 1000 / max(sum(counts), 1)


def measure_downloads(port: int, proof: dict[str, str], process: psutil.Process) -> None:
    """Take all rows in each format that is written as it is read."""
    for form in ("ndjson", "csv", "arrow"):
        before = process.memory_info().rss
        started = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", f"/v1/datasets/{INVENTORY}/rows?day={DAY}&limit=all&format={form}", headers=proof)
        answer = connection.getresponse()
        taken = most = 0
        while piece := answer.read(1 << 20):
            taken += len(piece)
            most = max(most, process.memory_info().rss)
        seconds = time.perf_counter() - started
        report(
            "download",
            format=form,
            rows=ROWS,
            mb=taken >> 20,
            seconds=round(seconds, 2),
            rows_a_second=round(ROWS / seconds),
            memory_before_mb=before >> 20,
            memory_most_mb=most >> 20,
        )


def ask(connection: http.client.HTTPConnection, path: str, headers: dict[str, str]) -> bytes:
    """The body of an answer."""
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 200, body  # noqa: S101
    return body


@contextmanager
def running(command: list[str], settings: Settings, *more: str) -> Iterator[tuple[int, psutil.Process]]:
    """A process that listens on a port of its own, which follows the command."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {**os.environ, "OMGOV_HOME": str(settings.home), "OMGOV_PROJECT": str(settings.project)}
    started = subprocess.Popen([*command, str(port), *more], env=environment, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield port, psutil.Process(started.pid)
    finally:
        started.terminate()
        started.wait()


def report(stage: str, **measured: object) -> None:
    """Print one measurement."""
    print(json.dumps({"stage": stage, **measured}), flush=True)


if __name__ == "__main__":
    main()
