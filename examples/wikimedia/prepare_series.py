"""Writes what the system ``monitoring`` delivers: real time series, day by day, on hosts that they never ran on.

    python examples/wikimedia/prepare_series.py --first-day 2024-10-01 --last-day 2024-10-31

Reads the archives that ``series.yaml`` names and the hosts of the estate, and writes one Parquet file per day to
``$OMGOV_HOME/landing/monitoring/metric_samples/<day>/``. Values are those of the archives, all of them, in their
order, with their gaps and repetitions. Three things are made up, and each series says so in its attributes:

- its host (``assignment: synthetic``): the hosts that have an owner are dealt out to the files, both in the order of
  the digests of their names; the series of one file, or of one machine of several files, share a host.
- its place in time: moved by whole weeks (``time_shift``, an ISO 8601 duration) to begin in the estate's first week, so
  that weekday and hour of the day stay. Times without a zone are taken as UTC.
- its time altogether where the archive has none (``time: implied``): evenly spaced from the first day on.

Does not belong here: what the metrics are in the standard (``metric_mappings.yaml``) and any judgement.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import math
import os
import sys
import tarfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from pydantic import BaseModel, ConfigDict, Field

from omgov_assets.data_lake.settings import Settings

HERE = Path(__file__).resolve().parent
ESTATE = "cmdb/wikimedia_puppet_2024-10-24.tar.xz"
SYSTEM, DATASET, FILE = "monitoring", "metric_samples", "series.parquet"

SCHEMA = pa.schema(
    [
        ("metric", pa.string()),
        ("host", pa.string()),
        ("attributes", pa.map_(pa.string(), pa.string())),
        ("observed_at", pa.timestamp("us", tz="UTC")),
        ("value", pa.float64()),
        ("source_file", pa.string()),
        ("source_record", pa.int64()),
        ("source_time", pa.string()),
    ]
)


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TimeColumn(_Document):
    """Where a table has its times, and how they are written."""

    column: str
    notation: Literal["iso", "epoch_s"]


class SeriesRule(_Document):
    """What files measure: a glob of files that are a series each, or a list of files that follow each other."""

    files: str | list[str]
    metric: str


class Archive(_Document):
    """One archive of series: ``table`` has a header and times, ``matrix`` neither, and a series in each column."""

    archive: str
    licence: str
    layout: Literal["table", "matrix"]
    time: TimeColumn | None = None
    value_column: str = "value"
    machine_column: str | None = None
    interval_s: int | None = Field(default=None, ge=1)
    ignored: list[str] = []
    series: list[SeriesRule]


class Point(NamedTuple):
    """A point as the archive has it; ``time`` is the recorded one, or None where it is implied by the place."""

    file: str
    record: int
    time: datetime | None
    written_time: str | None
    value: float | None


@dataclass
class Series:
    """One series: ``machine`` is what it ran on as far as the archive tells, and decides on the host."""

    machine: str
    metric: str
    source: str
    licence: str
    attributes: dict[str, str] = field(default_factory=dict)
    interval_s: int | None = None
    points: list[Point] = field(default_factory=list)


class PreparationError(Exception):
    """The archives or ``series.yaml`` are not as expected; the message says where and what to do."""


def main(arguments: list[str] | None = None) -> int:
    """Write the deliveries of a range of days; 0 when they are written, 1 with a message when they cannot be."""
    parser = argparse.ArgumentParser(description="Deliver real time series to the Wikimedia estate.")
    parser.add_argument("--first-day", type=date.fromisoformat, default=date(2024, 10, 1))
    parser.add_argument("--last-day", type=date.fromisoformat, default=date(2024, 10, 31))
    options = parser.parse_args(arguments)
    real_data = Path(os.environ.get("OMGOV_REAL_DATA") or HERE.parents[1].parent / "shared" / "data")
    try:
        series = read_series(real_data / "timeseries")
        hosts = assigned_hosts(real_data / ESTATE, series)
    except (OSError, tarfile.TarError, PreparationError) as error:
        print(f"{error}; OMGOV_REAL_DATA names the folder of real data", file=sys.stderr)
        return 1
    landing = Settings.from_environment().landing / SYSTEM / DATASET
    for day, columns in deliveries(series, hosts, options.first_day, options.last_day):
        write_delivery(landing / day.isoformat() / FILE, columns)
        print(f"{day}: {len(columns['value']):,} points of {len(set(map(id, columns['attributes'])))} series")
    for empty in sorted(one.source for one in series if not one.points):
        print(f"no points: {empty}")
    return 0


def read_series(folder: Path) -> list[Series]:
    """All series of the archives in a folder, by source and metric; also those without a point.

    Raises:
        PreparationError: a file that no rule of ``series.yaml`` takes, or that is not as its rule says.
    """
    document = yaml.safe_load((HERE / "series.yaml").read_text(encoding="utf-8"))
    found: list[Series] = []
    for item in document["archives"]:
        archive = Archive.model_validate(item)
        texts = _csv_members(folder / archive.archive)
        for rule, files in _files_by_rule(archive, sorted(texts)):
            read = _read_matrix if archive.layout == "matrix" else _read_table
            found += read(archive, rule, {file: texts[file] for file in files})
    return sorted(found, key=lambda one: (one.source, one.metric, one.machine))


def assigned_hosts(estate: Path, series: list[Series]) -> dict[str, str]:
    """A host of the estate for each machine. Synthetic: nothing but the order of digests decides."""
    with tarfile.open(estate) as archive:
        member = archive.extractfile("normalised/known_hosts.csv")
        if member is None:
            raise PreparationError(f"{estate}: normalised/known_hosts.csv is not a file")
        rows = csv.DictReader(io.TextIOWrapper(member, encoding="utf-8", newline=""))
        # Somebody must answer for what is found in a series.
        hosts = sorted((row["host"] for row in rows if row["owner_teams"]), key=_digest)
    return dict(zip(sorted({one.machine for one in series}, key=_digest), hosts, strict=False))


def deliveries(
    series: list[Series], hosts: dict[str, str], first_day: date, last_day: date
) -> Iterator[tuple[date, dict[str, list[Any]]]]:
    """The columns of ``SCHEMA`` for each day of a range on which there are points."""
    estate_begins = yaml.safe_load((HERE / "governance" / "firm.yaml").read_text(encoding="utf-8"))["first_day"]
    begins: dict[str, date] = {}
    for one in series:
        for point in one.points:
            if point.time is not None:
                begins[one.machine] = min(begins.get(one.machine, date.max), point.time.date())
    days: dict[date, dict[str, list[Any]]] = defaultdict(lambda: {name: [] for name in SCHEMA.names})
    for one in series:
        weeks = math.ceil((estate_begins - begins[one.machine]).days / 7) if one.machine in begins else None
        attributes = {
            "assignment": "synthetic",
            "licence": one.licence,
            "series_source": one.source,
            **({"time": "implied"} if weeks is None else {"time": "recorded", "time_shift": f"P{weeks}W"}),
            **one.attributes,
        }
        implied = datetime.combine(estate_begins, datetime.min.time(), UTC)
        for place, point in enumerate(one.points):
            if point.time is None or weeks is None:
                moved = implied + timedelta(seconds=place * (one.interval_s or 0))
            else:
                moved = point.time + timedelta(weeks=weeks)
            if first_day <= moved.date() <= last_day:
                row = (one.metric, hosts[one.machine], attributes, moved, point.value)
                columns = days[moved.date()]
                for name, value in zip(SCHEMA.names, (*row, point.file, point.record, point.written_time), strict=True):
                    columns[name].append(value)
    yield from sorted(days.items())


def write_delivery(path: Path, columns: dict[str, list[Any]]) -> None:
    """Write a day's file whole or not at all; one that holds the same already is left alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    maps = pa.array([list(one.items()) for one in columns["attributes"]], SCHEMA.field("attributes").type)
    table = pa.table(
        {name: maps if name == "attributes" else pa.array(columns[name], SCHEMA.field(name).type) for name in columns}
    )
    partial = path.with_name(f".{path.name}.part")
    pq.write_table(table, partial, compression="zstd")
    if path.is_file() and path.read_bytes() == partial.read_bytes():
        partial.unlink()
    else:
        partial.replace(path)


def _csv_members(path: Path) -> dict[str, str]:
    with tarfile.open(path) as archive:
        return {
            member.name: content.read().decode("utf-8")
            for member in archive
            if member.name.endswith(".csv") and (content := archive.extractfile(member)) is not None
        }


def _files_by_rule(archive: Archive, files: list[str]) -> Iterator[tuple[SeriesRule, list[str]]]:
    """The files that each rule takes: one yield per series of files, every file of the archive exactly once."""
    left = {file for file in files if not any(fnmatchcase(file, pattern) for pattern in archive.ignored)}
    for rule in archive.series:
        if isinstance(rule.files, list):
            groups = [rule.files]
        else:
            groups = [[file] for file in files if fnmatchcase(file, rule.files)]
        if not groups or any(file not in left for group in groups for file in group):
            raise PreparationError(f"series.yaml: {rule.files} of {archive.archive} takes no file, or one taken before")
        for group in groups:
            left -= set(group)
            yield rule, group
    if left:
        raise PreparationError(f"series.yaml: no rule takes {sorted(left)[0]} of {archive.archive}; add one")


def _read_table(archive: Archive, rule: SeriesRule, texts: dict[str, str]) -> list[Series]:
    """A file with header and times: one series, or one for each machine in it."""
    ((file, text),) = texts.items()
    if archive.time is None:
        raise PreparationError(f"series.yaml: {archive.archive} is a table without `time`")
    source = f"{archive.archive}/{file}"
    machine = archive.machine_column
    # A file without records is a series without points.
    series: dict[str, Series] = {} if machine else {"": Series(source, rule.metric, source, archive.licence)}
    for number, row in enumerate(csv.DictReader(io.StringIO(text)), 1):
        name = row[machine] if machine else ""
        if name not in series:
            named = {"machine": name}
            series[name] = Series(f"{archive.archive}/{name}", rule.metric, source, archive.licence, named)
        written = row[archive.time.column]
        point = Point(
            file, number, _time(written, archive.time), written, _number(source, number, row[archive.value_column])
        )
        series[name].points.append(point)
    return list(series.values()) or [Series(source, rule.metric, source, archive.licence)]


def _read_matrix(archive: Archive, rule: SeriesRule, texts: dict[str, str]) -> list[Series]:
    """Files that follow each other, without header and times: one series for each column."""
    source = f"{archive.archive}/{', '.join(texts)}"
    series: list[Series] = []
    for file, text in texts.items():
        for number, row in enumerate(csv.reader(io.StringIO(text)), 1):
            if not series:
                series = [
                    Series(source, f"{rule.metric}_{n:02}", source, archive.licence, {}, archive.interval_s)
                    for n in range(len(row))
                ]
            for one, value in zip(series, row, strict=True):
                one.points.append(Point(file, number, None, None, _number(source, number, value)))
    return series


def _time(written: str, column: TimeColumn) -> datetime:
    if column.notation == "epoch_s":
        return datetime.fromtimestamp(int(written), UTC)
    time = datetime.fromisoformat(written)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _number(source: str, number: int, written: str) -> float | None:
    """An empty field stays empty; what else is no finite number would be another kind of data."""
    if written == "":
        return None
    try:
        value = float(written)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise PreparationError(f"{source}: record {number}: {written!r} is no number")
    return value


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
