"""Dynamic baselines on public labelled series, beside three kept libraries and two trivial detectors; and their
throughput.

`make bench` runs it. One JSON object per detector and set: mean average precision over points (of the series that have
an anomaly), F1, precision and recall over events at one threshold, seconds per 1,000,000 points. Thresholds of the
other detectors are the best ones on the tuning set; that of the shipped baselines is the shipped band width. README.md
says what is in which set. The series are read from ../shared/data/timeseries or OMGOV_REAL_DATA; without them only the
throughput is measured. POINTS in the environment sets how many points that is.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
from detection_measures import Events, Labels, Scores, average_precision, best_threshold, events_of
from detectors import DETECTORS
from labelled_series import LabelledSeries, Split, data_folder, load_series
from shipped_baselines import POINTS_QUERY, SYSTEM, as_samples, score_as_shipped, shipped_governance

from omgov_assets.data_lake.lake import Lake
from omgov_assets.quality_policy.dynamic_baselines.bands_in_force import register_bands_in_force
from omgov_assets.quality_policy.dynamic_baselines.learning import learn_baselines
from omgov_assets.quality_policy.dynamic_baselines.scoring import faults_query

POINTS = int(os.environ.get("POINTS", "2000000"))
# Nobody is judged on the first days of a series: there is nothing to learn from before them.
_DAYS_TO_LEARN = 3
_THRESHOLDS_TRIED = np.linspace(0.9, 0.9999, 60)
_SHIPPED = "dynamic baselines (shipped)"


def main() -> None:
    """Measure each detector on both sets, then throughput."""
    folder = data_folder()
    if folder is None:
        print(
            "no labelled series: ../shared/data/timeseries is absent and OMGOV_REAL_DATA names no folder",
            file=sys.stderr,
        )
    else:
        measure_detection(load_series(folder))
    measure_throughput()


def measure_detection(series: Sequence[LabelledSeries]) -> None:
    """Print what each detector finds in each set."""
    for name in (_SHIPPED, *DETECTORS):
        of_split: dict[Split, tuple[list[tuple[Scores, Labels]], float]] = {}
        threshold = shipped_governance().dynamic_baselines.band_width
        for split in ("tuning", "reported"):
            chosen = [one for one in series if one.split == split]
            started = time.monotonic()
            if name == _SHIPPED:
                with tempfile.TemporaryDirectory() as home:
                    shipped = score_as_shipped(chosen, Path(home))
                scores, seconds = shipped.distances, shipped.learning_s + shipped.scoring_s
            else:
                scores = [DETECTORS[name](one) for one in chosen]
                seconds = time.monotonic() - started
            points = sum(len(one.values) for one in chosen)
            of_split[split] = list(_judged(chosen, scores)), seconds / points * 1e6
        if name != _SHIPPED:
            pooled = np.concatenate([scores for scores, _ in of_split["tuning"][0]])
            threshold = best_threshold(of_split["tuning"][0], np.quantile(pooled, _THRESHOLDS_TRIED).tolist())
        for split, (judged, seconds) in of_split.items():
            _report(name, split, judged, threshold, seconds)


def measure_throughput() -> None:
    """Print points per second of scoring and of learning, by bands of some days, on two threads."""
    series, per_day, first = max(1, POINTS // 1440), 1440, date(2026, 3, 2)
    governance = shipped_governance()
    with tempfile.TemporaryDirectory() as home:
        lake = Lake(Path(home) / "lake")
        for number in range(5):
            day = first + timedelta(days=number)
            lake.replace(f"{SYSTEM}/metric_samples", day, as_samples(_minutes(day, series, per_day), day, lake))
            with lake.connect() as con:
                con.execute("SET threads = 2")
                lake.register(con, "samples", f"{SYSTEM}/metric_samples", day)
                started = time.monotonic()
                register_bands_in_force(con, lake, governance, "samples", day)
                con.execute(f"CREATE VIEW scored AS {POINTS_QUERY}")
                con.execute(f"SELECT count(*) FROM ({faults_query('scored')})").fetchall()
                scoring_s = time.monotonic() - started
            started = time.monotonic()
            summary = learn_baselines(lake, governance, day)
            learning_s = time.monotonic() - started
    figures = {
        "stage": "throughput",
        "points": series * per_day,
        "series": series,
        "bands": summary.bands,
        "points_scored_per_s": round(series * per_day / scoring_s),
        "points_learned_per_s": round(series * per_day / learning_s),
    }
    print(json.dumps(figures), flush=True)


def _judged(series: Sequence[LabelledSeries], scores: Sequence[Scores]) -> Iterator[tuple[Scores, Labels]]:
    """Scores and labels of what is judged together: of a group, the greatest score at each time."""
    groups: dict[str, list[tuple[LabelledSeries, Scores]]] = {}
    for one, own in zip(series, scores, strict=True):
        groups.setdefault(one.group, []).append((one, own))
    for members in groups.values():
        first = members[0][0]
        late = first.seconds >= first.seconds[0] // 86_400 * 86_400 + _DAYS_TO_LEARN * 86_400
        yield np.max([own for _, own in members], axis=0)[late], first.labels[late]


def _report(name: str, split: Split, judged: list[tuple[Scores, Labels]], threshold: float, seconds: float) -> None:
    precisions = [average_precision(scores, labels) for scores, labels in judged]
    known = [precision for precision in precisions if precision is not None]
    events = sum((events_of(scores, labels, threshold) for scores, labels in judged), Events(0, 0, 0, 0))
    figures = {
        "detector": name,
        "set": split,
        "series": len(judged),
        "auc_pr": round(float(np.mean(known)), 3),
        "threshold": round(threshold, 3),
        "event_f1": round(events.f1, 3),
        "event_precision": round(events.precision, 3),
        "event_recall": round(events.recall, 3),
        "alarms": events.alarms,
        "seconds_per_1000000_points": round(seconds, 1),
    }
    print(json.dumps(figures), flush=True)


def _minutes(day: date, series: int, per_day: int) -> pa.Table:
    """A daily season with noise, a point a minute."""
    begin = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    seconds = np.tile(begin + np.arange(per_day) * (86_400 // per_day), series)
    noise = np.random.default_rng(day.toordinal()).normal(size=len(seconds))
    values = 50 + 10 * np.sin(2 * np.pi * (seconds % 86_400) / 86_400) + noise
    names = np.repeat(np.array([f"{number:016x}" for number in range(series)]), per_day)
    return pa.table({"instance_id": names, "second": seconds, "value": values})


if __name__ == "__main__":
    main()
