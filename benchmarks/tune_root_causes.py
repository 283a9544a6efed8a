"""Choosing the constants of root cause localisation, on tables that ``bench_root_causes`` does not report.

`python benchmarks/tune_root_causes.py` runs it; `make bench` does not. One JSON object for each setting, and the best.
A setting is worth the mean, over the tables, of the share of anomalies rightly assigned, of the precision of the first
ten, and of the recall of what must be found. TABLES in the environment changes how many tables of each shape there are.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import product

import numpy as np
from bench_root_causes import as_counts, found_by_omgov
from cause_tables import CauseTable, Shape, judge, make_table

from omgov_assets.model_management.root_cause_rules import Evidence
from omgov_assets.quality_analysis.root_causes.combinations import Combinations, combine
from omgov_assets.quality_analysis.root_causes.counts import Counts, fewest_anomalies, fold
from omgov_assets.quality_analysis.root_causes.localisation import search

TABLES = int(os.environ.get("TABLES", "3"))
FIRST_SEED = 1
SHAPES = (
    Shape(500_000, rows_per_host=40, metrics=120, rate=0.02, spread=0.2),
    Shape(500_000, rows_per_host=150, hosts_per_rack=12, metrics=400, agent_versions=15, related=0.5),
    Shape(2_000_000, rows_per_host=80, hosts_per_application=25, rate=0.005, spread=0.15, causes=16),
)
# One after the other, each around the best of those before it.
GRIDS: tuple[dict[str, tuple[float, ...]], ...] = (
    {"depth_penalty": (1.1, 1.15, 1.25, 1.4), "minimum_lift": (1.5, 1.7, 2.0)},
    {"minimum_score": (12, 15, 20)},
    {"faint_score": (3, 5, 8), "faint_rest": (0.05, 0.1)},
)

Prepared = tuple[CauseTable, Counts, Combinations]


def main() -> None:
    """Measure the settings of each grid, with the best of the grids before."""
    tables = list(_prepared())
    best: dict[str, float] = {}
    for grid in GRIDS:
        measured = []
        for values in product(*grid.values()):
            setting = best | dict(zip(grid, values, strict=True))
            worth = _worth(tables, setting)
            measured.append((worth["worth"], setting))
            print(json.dumps(setting | worth), flush=True)
        best = max(measured, key=lambda entry: entry[0])[1]
    print(json.dumps({"best": best}))


def _prepared() -> Iterator[Prepared]:
    for number, shape in enumerate(SHAPES):
        for seed in range(TABLES):
            table = make_table(shape, FIRST_SEED + number * 100 + seed)
            counts = as_counts(table)
            fewest = fewest_anomalies(counts, Evidence())
            yield table, counts, combine(fold(counts, fewest), Evidence().deepest, fewest)


def _worth(tables: list[Prepared], setting: dict[str, float]) -> dict[str, float]:
    assigned, precision, recall = [], [], []
    for table, counts, found in tables:
        explanation = search(counts, found, Evidence.model_validate(setting))
        judgement = judge(table, *found_by_omgov(table, counts, explanation))
        assigned.append(judgement.assigned)
        precision.append(float(np.mean(judgement.right[:10])) if judgement.right else 0.0)
        recall += [rank > 0 for rank, planted in zip(judgement.rank, table.planted, strict=True) if planted.is_wanted]
    measures = {
        "assigned": float(np.mean(assigned)),
        "precision_of_10": float(np.mean(precision)),
        "recall_of_wanted": float(np.mean(recall)),
    }
    return {name: round(value, 4) for name, value in ({"worth": sum(measures.values()) / 3} | measures).items()}


if __name__ == "__main__":
    main()
