"""Root cause localisation: what it finds of causes planted in 2,000,000 × 10, how long it takes, and what others do.

`make bench` runs it. ROWS and TABLES in the environment change the size. One JSON object for each method and measure:
recall by support and lift, precision of the first ten, share of the anomalies rightly assigned, seconds. Beside
``omgov`` stands the usual way: every combination that holds enough anomalies, ranked by the ratio of its rate to that
of the rest (as MacroBase explains), or by weighted relative accuracy (as subgroup discovery does), as SQL.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from cause_tables import (
    ATTRIBUTES,
    LIFTS,
    SUPPORTS,
    Bools,
    CauseTable,
    Ints,
    Judgement,
    Shape,
    judge,
    make_table,
    rows_in,
)

from omgov_assets.model_management.root_cause_rules import Evidence
from omgov_assets.quality_analysis.root_causes.counts import Counts
from omgov_assets.quality_analysis.root_causes.localisation import Explanation, localise

ROWS = int(os.environ.get("ROWS", "2000000"))
TABLES = int(os.environ.get("TABLES", "12"))
# The others take longer.
COMPARED = 3
# Far from the seeds that the constants were chosen on.
FIRST_SEED = 20_001
PROJECT = Path(__file__).resolve().parent.parent
DEEPEST = 3
FIRST = (5, 10, 20)
# MacroBase's own defaults are 0.1 % of the anomalies and a ratio of 3.
LEAST_COVERAGE, LEAST_RATIO = 0.001, 3.0
ORDERS = {
    "ratio": "(anomalous / total) / ((all_anomalous - anomalous) / (all_total - total))",
    "accuracy": "(anomalous - total * all_anomalous / all_total) / all_total",
}


# A table, what a method is worth on it, and its seconds: by the clock, and of one processor.
Measured = tuple[CauseTable, Judgement, float, float]


def main() -> None:
    """Measure omgov on every table, the others on the first ones."""
    measured: dict[str, list[Measured]] = defaultdict(list)
    for number in range(TABLES):
        table = make_table(Shape(ROWS), FIRST_SEED + number)
        if not number:
            print(json.dumps({"stage": f"omgov root-cause, {ROWS} x 10, Parquet", **command(table)}), flush=True)
        measured["omgov"].append((table, *by_omgov(table)))
        if number < COMPARED:
            for order, found in exhaustively(table).items():
                measured[f"every combination by {order}"].append((table, *found))
        if number == COMPARED - 1:
            for method in measured:
                report(f"{method}, {COMPARED} tables", measured[method])
    report(f"omgov, {TABLES} tables", measured["omgov"])
    by_support_and_lift(measured["omgov"])


def as_counts(table: CauseTable) -> Counts:
    """The table as the search takes it: each row is one thing."""
    row = np.flatnonzero(table.anomalous)
    return Counts(
        attributes=ATTRIBUTES,
        codes=tuple(table.codes[name] for name in ATTRIBUTES),
        total=np.ones(len(table.anomalous)),
        row=row,
        kind=np.zeros(len(row), np.int64),
        anomalous=np.ones(len(row)),
        kinds=("anomalous",),
    )


def found_by_omgov(table: CauseTable, counts: Counts, explanation: Explanation) -> tuple[list[Bools], Ints]:
    """The rows of each cause in the order of rank, and for each anomaly the position of its cause."""
    order = [position for position, _ in explanation.ranked(counts.anomalous)]
    place = np.full(len(explanation.causes) + 1, -1)
    place[order] = np.arange(len(order))
    named = [
        {ATTRIBUTES[attribute]: code for attribute, code in explanation.causes[position].conditions}
        for position in order
    ]
    return [rows_in(table, conditions) for conditions in named], place[explanation.cause_of_fact]


def by_omgov(table: CauseTable) -> tuple[Judgement, float, float]:
    """What the search finds, and its seconds."""
    counts = as_counts(table)
    started, used = time.perf_counter(), time.process_time()
    explanation = localise(counts, Evidence())
    seconds, used = time.perf_counter() - started, time.process_time() - used
    return judge(table, *found_by_omgov(table, counts, explanation)), seconds, used


def exhaustively(table: CauseTable) -> dict[str, tuple[Judgement, float, float]]:
    """The first twenty of all combinations with enough anomalies, in several orders, and their seconds."""
    con = duckdb.connect()
    columns = {name: pa.array(table.codes[name]) for name in ATTRIBUTES}
    con.register("given", pa.table({**columns, "is_anomalous": pa.array(table.anomalous)}))
    con.execute("CREATE TABLE instances AS FROM given")
    started, used = time.perf_counter(), time.process_time()
    con.execute("CREATE TABLE anomalies AS FROM instances WHERE is_anomalous")
    all_anomalous = int(table.anomalous.sum())
    schema = ", ".join(f"{name} INTEGER" for name in ATTRIBUTES)
    con.execute(f"CREATE TABLE found ({schema}, anomalous DOUBLE, total DOUBLE)")
    for depth in range(1, DEEPEST + 1):
        for chosen in combinations(ATTRIBUTES, depth):
            names = ", ".join(chosen)
            con.execute(
                f"""
                INSERT INTO found BY NAME
                WITH often AS (
                    SELECT {names}, count(*) AS anomalous FROM anomalies GROUP BY ALL HAVING count(*) >= $least
                )
                SELECT {names}, any_value(anomalous) AS anomalous, count(*) AS total
                FROM instances JOIN often USING ({names}) GROUP BY {names}
                """,
                {"least": LEAST_COVERAGE * all_anomalous},
            )
    seconds, used = time.perf_counter() - started, time.process_time() - used
    results = {}
    for order, measure in ORDERS.items():
        rows = con.execute(
            f"""
            SELECT {", ".join(ATTRIBUTES)}
            FROM (SELECT *, $anomalous::DOUBLE AS all_anomalous, $total::DOUBLE AS all_total FROM found)
            WHERE {ORDERS["ratio"]} >= $least
            ORDER BY {measure} DESC, anomalous DESC, {", ".join(ATTRIBUTES)}
            LIMIT {max(FIRST)}
            """,
            {"anomalous": all_anomalous, "total": len(table.anomalous), "least": LEAST_RATIO},
        ).fetchall()
        named = [{name: code for name, code in zip(ATTRIBUTES, row, strict=True) if code is not None} for row in rows]
        results[order] = judge(table, [rows_in(table, conditions) for conditions in named]), seconds, used
    con.close()
    return results


def command(table: CauseTable) -> dict[str, float]:
    """Seconds of the command on the table as a file, reading and starting included; and the causes that it names."""
    with tempfile.TemporaryDirectory(prefix="omgov-bench-") as folder:
        columns = {name: pa.array(np.char.add(name[0], table.codes[name].astype(str))) for name in ATTRIBUTES}
        anomalous = pa.array(table.anomalous.astype(np.int64))
        file = Path(folder) / "counts.parquet"
        pq.write_table(pa.table({**columns, "anomalous": anomalous, "total": pa.array(np.ones(len(anomalous)))}), file)
        del columns
        omgov = [str(Path(sys.executable).with_name("omgov")), "root-cause", str(file)]
        counts = ["--anomalous", "anomalous", "--total", "total", "--format", "json"]
        environment = os.environ | {"OMGOV_HOME": folder, "OMGOV_PROJECT": str(PROJECT)}
        started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([*omgov, *counts], env=environment, check=True, capture_output=True)
        seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": round(seconds, 1), "processor_seconds": round(used, 1), "causes": len(json.loads(done.stdout))}


def report(name: str, measured: Sequence[Measured]) -> None:
    """Print one method's measures over tables."""
    ranks = [
        (rank, planted.is_wanted)
        for table, judgement, *_ in measured
        for rank, planted in zip(judgement.rank, table.planted, strict=True)
    ]
    result: dict[str, object] = {"stage": name}
    for first in FIRST:
        result[f"recall_at_{first}"] = _mean(0 < rank <= first for rank, _ in ranks)
    result["wanted"] = sum(wanted for _, wanted in ranks)
    result["recall_of_wanted"] = _mean(rank > 0 for rank, wanted in ranks if wanted)
    result["precision_of_10"] = _mean(np.mean(judgement.right[:10]) for _, judgement, *_ in measured if judgement.right)
    for measure in ("assigned", "inside", "outside", "unassigned"):
        result[measure] = _mean(getattr(judgement, measure) for _, judgement, *_ in measured)
    for measure, column in (("seconds", -2), ("processor_seconds", -1)):
        result[measure] = round(float(np.mean([entry[column] for entry in measured])), 1)  # type: ignore[arg-type]
    print(json.dumps(result), flush=True)


def by_support_and_lift(measured: Sequence[Measured]) -> None:
    """Print recall at each rank for each support and lift that causes were planted with."""
    ranks: dict[tuple[tuple[float, float], int], list[int]] = defaultdict(list)
    for table, judgement, *_ in measured:
        for rank, planted in zip(judgement.rank, table.planted, strict=True):
            (band,) = (band for band in SUPPORTS if band[0] <= planted.support < band[1])
            ranks[band, planted.lift].append(rank)
    for band in SUPPORTS:
        for lift in LIFTS:
            if found := ranks[band, lift]:
                result = {"support": f"{band[0]:.2%} to {band[1]:.2%}", "lift": lift, "planted": len(found)}
                recall = {f"recall_at_{first}": _mean(0 < rank <= first for rank in found) for first in FIRST}
                print(json.dumps(result | recall), flush=True)


def _mean(values: object) -> float:
    return round(float(np.mean(list(values))), 3)  # type: ignore[call-overload]


if __name__ == "__main__":
    main()
