"""What the archives of real time series hold, and what of it is to be found on which day of the Wikimedia estate.

A series is named by where it is from and by which part of that it is: ``<archive>/<file>#<machine or column>``. Where a
series begins is said by another rule than the example's: on the first day of October 2024 that is of the same weekday.
"""

from __future__ import annotations

import csv
import io
import tarfile
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path

from oracle import Findings
from oracle.series_faults import clock_steps, counter_resets_of_day, flat_lines_of_day, gaps_of_day

ESTATE_BEGINS = date(2024, 10, 1)
NAB, MICROSOFT = "nab_MIT.tar.xz", "ms_cloud_monitoring_MIT.tar.xz"
JUMPSTARTER, DONUT, AZURE = "jumpstarter_MIT.tar.xz", "donut_kpi_MIT.tar.xz", "azure_vm_noise_CC-BY-4.0.tar.xz"
DATASET = ("monitoring", "metric_samples")


@dataclass(frozen=True)
class Recorded:
    """A point on the estate's days; an empty field is no value."""

    at: datetime
    value: float | None


@cache
def archive_texts(real_data: Path, archive: str) -> dict[str, str]:
    """The CSV files of an archive by their path in it."""
    texts = {}
    with tarfile.open(real_data / "timeseries" / archive) as tar:
        for name in tar.getnames():
            if name.endswith(".csv"):
                content = tar.extractfile(name)
                assert content is not None, name
                texts[name] = content.read().decode()
    return texts


@cache
def series_on_estate_days(real_data: Path) -> dict[str, tuple[Recorded, ...]]:
    """Every series that has points, in the order of its records."""
    series: dict[str, list[Recorded]] = {}
    for archive in (NAB, MICROSOFT, DONUT, AZURE):
        series |= _with_times(real_data, archive)
    series |= _without_times(real_data)
    return {name: tuple(points) for name, points in series.items()}


def points_per_day(real_data: Path) -> Counter[tuple[str, date]]:
    """Number of points of each series on each day."""
    return Counter(
        (name, point.at.date()) for name, points in series_on_estate_days(real_data).items() for point in points
    )


def gaps(real_data: Path, until: date) -> Counter[str]:
    """For each series with gaps before a day: how often more than 1.5 of its usual steps lie between two points."""
    found: Counter[str] = Counter()
    for name, points in series_on_estate_days(real_data).items():
        times = sorted({point.at for point in points if point.at.date() < until})
        steps = [after - before for before, after in pairwise(times)]
        if steps:
            often = Counter(steps).most_common()
            usual = min(step for step, count in often if count == often[0][1])
            found[name] = sum(step > 1.5 * usual for step in steps)
    return +found


def series_findings(real_data: Path, day: date) -> Findings:
    """All findings in the series on a day before which nothing was learned; a subject is series and time."""
    # A point is delivered on the day that it was moved to, and without a band no value lies beyond it.
    kinds = ("value_missing", "duplicate", "outside_day", "out_of_band", "level_shift", "unit_jump")
    kinds += ("flat_line", "counter_reset", "gap", "clock_step")
    findings: Findings = {(*DATASET, f"sample_{kind}"): [] for kind in kinds}
    for name, points in points_of_day(real_data, day).items():
        times = Counter(at for at, _ in points)
        found = {
            "duplicate": {at for at, count in times.items() if count > 1},
            "flat_line": flat_lines_of_day(points),
            "counter_reset": counter_resets_of_day(points),
            "gap": gaps_of_day(points),
            "clock_step": clock_steps(points),
        }
        for at, value in points:
            failed = ["value_missing"] if value is None else []
            # What is said of a value is said of none that is missing.
            failed += [
                kind
                for kind, where in found.items()
                if at in where and (value is not None or kind not in ("flat_line", "counter_reset"))
            ]
            for kind in failed:
                findings[*DATASET, f"sample_{kind}"].append(subject_key(name, at))
    return findings


def points_of_day(real_data: Path, day: date) -> dict[str, list[tuple[datetime, float | None]]]:
    """Each series' points of a day, in the order of its records."""
    of_day = {
        name: [(point.at, point.value) for point in points if point.at.date() == day]
        for name, points in series_on_estate_days(real_data).items()
    }
    return {name: points for name, points in of_day.items() if points}


def subject_key(series: str, at: datetime) -> str:
    """A point as violations name it, with the oracle's name of the series."""
    return f"{series}|{f'{at:%Y-%m-%d %H:%M:%S.%f}'.rstrip('0').rstrip('.')}+00"


def _with_times(real_data: Path, archive: str) -> dict[str, list[Recorded]]:
    recorded: dict[str, list[Recorded]] = defaultdict(list)
    for file, text in archive_texts(real_data, archive).items():
        for row in csv.reader(text.splitlines()[1:]):
            if archive == AZURE:
                value, _, time, machine = row
            else:
                time, value, machine = row[0], row[1], ""
            if archive == DONUT:
                at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(time))
            else:
                at = datetime.fromisoformat(time.rstrip("Z").replace(" ", "T") + "+00:00")
            recorded[f"{archive}/{file}#{machine}"].append(Recorded(at, float(value) if value else None))
    # The benchmarks of one machine keep their distance from each other.
    begins: dict[str, date] = {}
    for name, points in recorded.items():
        for point in points:
            begins[_together(archive, name)] = min(begins.get(_together(archive, name), date.max), point.at.date())
    return {
        name: [Recorded(point.at + _move(begins[_together(archive, name)]), point.value) for point in points]
        for name, points in recorded.items()
    }


def _together(archive: str, name: str) -> str:
    return name.rpartition("#")[2] if archive == AZURE else name


def _move(first: date) -> timedelta:
    week = [ESTATE_BEGINS + timedelta(days=n) for n in range(7)]
    return next(day for day in week if day.weekday() == first.weekday()) - first


def _without_times(real_data: Path) -> dict[str, list[Recorded]]:
    texts = archive_texts(real_data, JUMPSTARTER)
    begins = datetime(ESTATE_BEGINS.year, ESTATE_BEGINS.month, ESTATE_BEGINS.day, tzinfo=UTC)
    series = {}
    for dataset, service in (("Dataset2", 0), ("Dataset2", 1), ("Dataset3", 0)):
        files = [f"dataset/{dataset}/{part}/service{service}.csv" for part in ("train", "test")]
        files = [file for file in files if file in texts]
        rows = [row for file in files for row in csv.reader(io.StringIO(texts[file]))]
        for column in range(19):
            series[f"{JUMPSTARTER}/{', '.join(files)}#{column:02}"] = [
                Recorded(begins + timedelta(minutes=5 * n), float(row[column])) for n, row in enumerate(rows)
            ]
    return series
