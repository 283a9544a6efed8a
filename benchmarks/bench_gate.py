"""The gate on two million records of each of the sample firm's formats, beside plain DuckDB: rows a second, memory.

`make bench` runs it. ROWS in the environment changes the size, FORMATS names some of the formats, RUNS how often the
two take turns (the best run counts, since others may use the machine as well), KEEP a folder in which the files are
left for the next time. The records are those of the sample firm's metric instances; where a system has
fewer, they come again under other CIs. The gate does all of it: hash, contract, conform, batch policies, decision,
rows, quarantine and ledger, forced to disk. DuckDB copies the same file into Parquet and judges nothing; what it cannot
read itself (GBK, SQLite) reaches it through Python's codec or the SQLite driver. Each contender runs in a process of
its own; imports and control information are not counted. One JSON object per format and contender; `ratio` is the
gate's time over DuckDB's.
"""

from __future__ import annotations

import codecs
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import adbc_driver_sqlite.dbapi as sqlite
import duckdb

from omgov_assets.admission.gate import admit_deliveries, judge_of
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings
from omgov_assets.data_lake.sql import identifier, literal
from omgov_assets.model_management.governance import load_governance
from omgov_assets.sample_firm.generate import generate_firm

REPOSITORY = Path(__file__).resolve().parents[1]
DAY = date(2026, 11, 20)
DATASET = "metric_instances"
BLOCK_BYTES = 8 << 20


@dataclass(frozen=True)
class Format:
    """A format of the sample firm: the system that delivers in it, its column of CIs, its encoding if it is text."""

    system: str
    ci: str
    suffix: str
    encoding: str = "utf-8"


FORMATS = {
    "parquet": Format("investment_banking", "ci_code", "parquet"),
    "csv-gbk": Format("securities_trading", "对象编号", "csv", "gbk"),
    "csv-utf-8": Format("securities_trading", "对象编号", "csv"),
    "ndjson": Format("asset_management", "ci", "ndjson"),
    "json": Format("institutional_trading", "ci", "json"),
    "sqlite": Format("wealth_management", "CI_NO", "db"),
}


def main() -> None:
    """Write the files, let DuckDB and the gate take turns on each, print what each took."""
    rows = int(os.environ.get("ROWS", "2000000"))
    runs = int(os.environ.get("RUNS", "3"))
    chosen = os.environ.get("FORMATS", ",".join(FORMATS)).split(",")
    with _home() as home:
        if not all(delivery(home, name).is_file() for name in chosen):
            _child("prepare", str(home), str(rows), *chosen)
        for name in chosen:
            results: dict[str, list[dict[str, Any]]] = {"duckdb_copy": [], "gate": []}
            for _ in range(runs):
                for contender, found in results.items():
                    found.append(_child(contender, str(home), name))
            best = {contender: min(found, key=lambda one: one["seconds"]) for contender, found in results.items()}
            for contender, result in best.items():
                rate = round(result["rows"] / result["seconds"])
                line = {"format": name, "contender": contender, **result, "rows_per_s": rate}
                if contender == "gate":
                    line["ratio"] = round(result["seconds"] / best["duckdb_copy"]["seconds"], 2)
                print(json.dumps(line), flush=True)


@contextmanager
def _home() -> Iterator[Path]:
    kept = os.environ.get("KEEP")
    if kept:
        Path(kept).mkdir(parents=True, exist_ok=True)
        yield Path(kept)
    else:
        with tempfile.TemporaryDirectory(prefix="omgov-bench-") as home:
            yield Path(home)


def _child(*arguments: str) -> dict[str, Any]:
    done = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def prepare(home: Path, rows: int, chosen: list[str]) -> dict[str, Any]:
    """Write ``rows`` metric instances in each of the formats."""
    shutil.rmtree(home / "firm", ignore_errors=True)
    generate_firm(home / "firm", definitions=20_000, instances=2 * rows, days=1, first_day=DAY, seed=7)
    for name in chosen:
        target = delivery(home, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            continue
        with duckdb.connect() as con:
            con.execute("SET preserve_insertion_order = true")
            _write(con, FORMATS[name], _more(con, home, FORMATS[name], rows), target)
    return {}


def delivery(home: Path, name: str) -> Path:
    """The file of a format."""
    return home / "landing" / name / f"a.{FORMATS[name].suffix}"


def _more(con: duckdb.DuckDBPyConnection, home: Path, source: Format, rows: int) -> str:
    """SQL of the sample firm's records, which come again under other CIs until there are enough."""
    [path] = (home / "firm" / "landing" / source.system / DATASET).rglob(f"*.{source.suffix}")
    encoding = "gbk" if source.suffix == "csv" else "utf-8"
    con.execute(f"CREATE TABLE sample AS FROM {_readable(con, path, encoding, as_delivered=True)}")
    ci = identifier(source.ci)
    # Within JSON a text ends with its quote.
    renamed = f"{ci}::VARCHAR || '-' || time"
    if source.suffix in {"ndjson", "json"}:
        renamed = f"""(rtrim({ci}::VARCHAR, '"') || '-' || time || '"')::JSON"""
    times = f"(SELECT ceil({rows} / count(*))::BIGINT FROM sample)"
    return (
        f"SELECT * EXCLUDE (time, place) REPLACE (if(time = 0, {ci}, {renamed}) AS {ci}) "
        f"FROM (SELECT *, rowid AS place FROM sample) CROSS JOIN range({times}) AS t(time) "
        f"ORDER BY time, place LIMIT {rows}"
    )


def _write(con: duckdb.DuckDBPyConnection, target: Format, query: str, path: Path) -> None:
    match target.suffix:
        case "csv":
            plain = path.with_suffix(".plain")
            con.sql(query).write_csv(str(plain), header=True)
            _recode(plain, "utf-8", path, target.encoding)
            plain.unlink()
        case "parquet":
            con.execute(f"COPY ({query}) TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd)")
        case "db":
            with sqlite.connect(str(path), autocommit=True) as database, database.cursor() as cursor:
                cursor.adbc_ingest(DATASET, con.sql(query).to_arrow_reader(), mode="create")
        case suffix:
            array = "true" if suffix == "json" else "false"
            con.execute(f"COPY ({query}) TO {literal(str(path))} (FORMAT json, ARRAY {array})")


def _recode(source: Path, encoding: str, target: Path, other: str) -> None:
    decoder, encoder = codecs.getincrementaldecoder(encoding)(), codecs.getincrementalencoder(other)()
    with source.open("rb") as incoming, target.open("wb") as outgoing:
        while block := incoming.read(BLOCK_BYTES):
            outgoing.write(encoder.encode(decoder.decode(block)))


def _readable(con: duckdb.DuckDBPyConnection, path: Path, encoding: str, *, as_delivered: bool) -> str:
    """What stands behind FROM to read a file; JSON values and texts as they are where ``as_delivered``."""
    if encoding != "utf-8":
        plain = path.with_suffix(".utf-8")
        _recode(path, encoding, plain, "utf-8")
        path = plain
    file = literal(str(path))
    match path.suffix:
        case ".csv" | ".utf-8":
            return f"read_csv({file}, all_varchar = {as_delivered})"
        case ".parquet":
            return f"read_parquet({file})"
        case ".ndjson" | ".json":
            kind = "newline_delimited" if path.suffix == ".ndjson" else "array"
            depth = ", maximum_depth = 1" if as_delivered else ""
            return f"read_json({file}, format = {literal(kind)}{depth})"
        case _:
            with (
                sqlite.connect(f"{path.absolute().as_uri()}?mode=ro") as database,
                database.cursor() as cursor,
            ):
                cursor.execute(f"SELECT * FROM {identifier(DATASET)}")
                con.register("exported", cursor.fetch_arrow_table())
            return "exported"


def duckdb_copy(home: Path, name: str) -> Callable[[], int]:
    """DuckDB copies the file into Parquet."""

    def run() -> int:
        with duckdb.connect() as con, tempfile.TemporaryDirectory(dir=home) as folder:
            source = _readable(con, delivery(home, name), FORMATS[name].encoding, as_delivered=False)
            target = Path(folder) / "copy.parquet"
            [(rows,)] = con.execute(f"COPY (FROM {source}) TO {literal(str(target))}").fetchall()
            return int(rows)

    return run


def gate(home: Path, name: str) -> Callable[[], int]:
    """The gate takes the file into an empty lake."""
    governance = load_governance(REPOSITORY)
    system = governance.systems[FORMATS[name].system]
    dataset = system.datasets[DATASET]
    transport = dataset.transport.model_copy(update={"encoding": FORMATS[name].encoding})
    judge = judge_of(governance, system, dataset.model_copy(update={"transport": transport}))

    def run() -> int:
        with tempfile.TemporaryDirectory(dir=home) as folder:
            settings = Settings(home=Path(folder), project=REPOSITORY)
            lake = Lake(settings.lake, settings.dataset_contracts)
            with lake.connect() as con:
                [entry] = admit_deliveries(con, lake, judge, DAY, [delivery(home, name)], home / "landing")
            if entry["decision"] == "refused":
                sys.exit(entry["reason"])
            return int(entry["rows_in"])

    return run


CONTENDERS: dict[str, Callable[[Path, str], Callable[[], int]]] = {"duckdb_copy": duckdb_copy, "gate": gate}


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    elif sys.argv[1] == "prepare":
        print(json.dumps(prepare(Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])))
    else:
        contender = CONTENDERS[sys.argv[1]](Path(sys.argv[2]), sys.argv[3])
        started = time.monotonic()
        count = contender()
        seconds = time.monotonic() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps({"rows": count, "seconds": round(seconds, 2), "peak_rss_mb": round(peak / 1000)}))
