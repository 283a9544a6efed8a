"""Shared files over HTTP: a governed snapshot behind its signed link, whole and in ranges, by `omgov serve`.

Beside it stands Starlette's ``StaticFiles`` on the same server (uvicorn) with the same file, which asks nobody who may
have it: each request of ours proves its link anew. `make bench` runs it; MEGABYTES in the environment changes the size.
One JSON object for each way of reading, of 1 client and of 8 at a time: requests and megabytes a second of both, the
better of three runs that take turns, and the ratio of ours to Starlette's; the same for requests per second of the
server's processor. Also how long a client waits for the list of a table's files (180 days), the first time and again.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pyarrow as pa

from omgov_assets.access_control.token_rates import Rate
from omgov_assets.access_control.tokens import TokenStore
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.schemas import Column
from omgov_assets.data_lake.settings import Settings
from omgov_assets.data_lake.sql import identifier
from omgov_assets.interface_service.sharing.shares import ShareStore

MEGABYTES = int(os.environ.get("MEGABYTES", "64"))
SECONDS = float(os.environ.get("SECONDS_EACH", "4"))
RUNS = 3
DAYS = 180
PROJECT = Path(__file__).resolve().parents[1]
TABLE, FEW = "quality/violations", "quality/anomalies"
FIRST_DAY = date(2026, 1, 1)
RANGE_BYTES = 256 * 1024

_STATIC = """
import sys, uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
app = Starlette(routes=[Mount("/files", StaticFiles(directory=sys.argv[1]))])
uvicorn.run(app, port=int(sys.argv[2]), access_log=False, log_level="warning")
"""
_OURS = "import sys; from omgov_assets.cli import main; sys.exit(main())"


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="omgov-bench-") as name:
        home = Settings(Path(name) / "home", PROJECT)
        token = shared_home(home)
        with running(_OURS, "serve", "--home", str(home.home), "--project", str(PROJECT), "--port") as (ours, port):
            measure_lists(port, token)
            (path,) = addresses(port, token, TABLE.replace("/", "/tables/"))
            folder = next(home.governed.rglob(f"{Path(urlsplit(path).path).stem}.parquet")).parent
            with running(_STATIC, str(folder)) as (theirs, their_port):
                their_path = f"/files/{Path(urlsplit(path).path).name}"
                size = len(body(port, path))
                print(
                    json.dumps(
                        {"what": "file", "bytes": size, "same": body(their_port, their_path) == body(port, path)}
                    )
                )
                for clients in (1, 8):
                    for what, range_of in ways(size).items():
                        compare(what, clients, (ours, port, path), (theirs, their_port, their_path), range_of)


def ways(size: int) -> dict[str, Callable[[random.Random], str | None]]:
    """Ways of reading by name: the header Range of a request."""

    def within(drawn: random.Random) -> str:
        first = drawn.randrange(size - RANGE_BYTES)
        return f"bytes={first}-{first + RANGE_BYTES - 1}"

    return {
        "whole": lambda _: None,
        "ranges of 256 KiB": within,
        "last 64 KiB": lambda _: f"bytes=-{64 * 1024}",
    }


def compare(
    what: str,
    clients: int,
    ours: tuple[psutil.Process, int, str],
    theirs: tuple[psutil.Process, int, str],
    range_of: Callable[[random.Random], str | None],
) -> None:
    """Let both serve in turns."""
    best: dict[str, tuple[float, float, float]] = {}
    for _ in range(RUNS):
        for name, (process, port, path) in (("omgov", ours), ("starlette", theirs)):
            found = served_per_second(process, port, path, clients, range_of)
            best[name] = max(best.get(name, found), found)
    (our_rate, our_mb, our_cpu), (their_rate, their_mb, their_cpu) = best["omgov"], best["starlette"]
    line = {
        "what": what,
        "clients": clients,
        "omgov_per_s": round(our_rate, 1),
        "starlette_per_s": round(their_rate, 1),
        "omgov_mb_per_s": round(our_mb),
        "starlette_mb_per_s": round(their_mb),
        "ratio": round(our_rate / their_rate, 2),
        "ratio_by_processor": round(our_cpu / their_cpu, 2),
    }
    print(json.dumps(line), flush=True)


def served_per_second(
    process: psutil.Process, port: int, path: str, clients: int, range_of: Callable[[random.Random], str | None]
) -> tuple[float, float, float]:
    """Requests a second, megabytes a second, and requests per second of the server's processor."""
    done: list[tuple[int, int]] = []
    used = processor_s(process)
    began = time.monotonic()

    def work(seed: int) -> None:
        drawn, requests, taken = random.Random(seed), 0, 0  # noqa: S311
        connection = http.client.HTTPConnection("127.0.0.1", port)
        buffer = bytearray(1 << 20)
        while time.monotonic() - began < SECONDS:
            wanted = range_of(drawn)
            connection.request("GET", path, headers={"Range": wanted} if wanted else {})
            answer = connection.getresponse()
            if answer.status not in (200, 206):
                raise SystemExit(f"{path}: {answer.status}")
            while got := answer.readinto(buffer):
                taken += got
            requests += 1
        connection.close()
        done.append((requests, taken))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed, used = time.monotonic() - began, processor_s(process) - used
    requests, taken = (sum(part) for part in zip(*done, strict=True))
    return requests / elapsed, taken / elapsed / 1e6, requests / max(used, 0.01)


def measure_lists(port: int, token: str) -> None:
    """Ask for the files of a table of many days."""
    for what in ("list of 180 files, made for it", "list of 180 files, again"):
        began = time.monotonic()
        files = len(addresses(port, token, FEW.replace("/", "/tables/")))
        print(json.dumps({"what": what, "files": files, "seconds": round(time.monotonic() - began, 2)}), flush=True)


def addresses(port: int, token: str, table: str) -> list[str]:
    """Addresses of a table's files, without host and port."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection.request("POST", f"/sharing/shares/bench/schemas/{table}/query", "{}", headers)
    answer = connection.getresponse()
    lines = answer.read().splitlines()
    connection.close()
    if answer.status != 200:
        raise SystemExit(f"{table}: {answer.status} {lines}")
    urls = [urlsplit(json.loads(line)["file"]["url"]) for line in lines[2:]]
    return [f"{url.path}?{url.query}" for url in urls]


def body(port: int, path: str) -> bytes:
    """What is served there."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", path)
    content = connection.getresponse().read()
    connection.close()
    return content


def shared_home(settings: Settings) -> str:
    """A home with a table of one large day and one of many days, shared; returns a token that reads them."""
    lake = Lake(settings.lake, settings.dataset_contracts)
    schema = lake.schema(TABLE)
    rows = MEGABYTES * 1_000_000 // 36
    with lake.connect() as con:
        values = ", ".join(f"({value(one)})::{one.sql_type} AS {identifier(one.name)}" for one in schema.columns)
        lake.replace(TABLE, FIRST_DAY, con.sql(f"SELECT {values} FROM range({rows}) AS numbers(i)"))
    few = lake.schema(FEW)
    for number in range(DAYS):
        day = FIRST_DAY + timedelta(days=number)
        content = {
            one.name: day if one.sql_type == "DATE" else ("x" if one.sql_type == "VARCHAR" else None)
            for one in few.columns
        }
        lake.replace(FEW, day, pa.Table.from_pylist([content] * 10, schema=few.arrow))
    with ShareStore(settings.shares) as shares:
        shares.create("bench", datetime.now(UTC))
        shares.grant("bench", "steward")
        for table in (TABLE, FEW):
            shares.add("bench", table)
    with TokenStore(settings.tokens) as tokens:
        return tokens.create("steward", ["share"], datetime.now(UTC), timedelta(days=1), Rate(10**6, 10**6))[0]


def value(column: Column) -> str:
    """What a column of the large day holds; keys do not compress, so that the file is as large as it says."""
    if column.name == "subject_key":
        return "md5(i::VARCHAR)"
    if not column.required:
        return "NULL"
    return {"VARCHAR": "'x'", "DATE": f"DATE {FIRST_DAY.isoformat()!r}"}.get(column.sql_type, "0")


@contextmanager
def running(program: str, *arguments: str) -> Iterator[tuple[psutil.Process, int]]:
    """A server of a process of its own, with its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-c", program, *arguments, str(port)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + 60
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    if time.monotonic() > until or process.poll() is not None:
                        raise SystemExit("a server did not start") from None
                    time.sleep(0.1)
            yield psutil.Process(process.pid), port
        finally:
            process.terminate()


def processor_s(process: psutil.Process) -> float:
    """Seconds of the processor that it has used."""
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
