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

Row = tuple[Any, ...]


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
    interval_s: int = Field(default=0, ge=0)
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
    interval_s: int = 0
    points: list[Point] = field(default_factory=list)


class PreparationError(Exception):
    """The archives or ``series.yaml`` are not as expected; the message says where and what to do."""


def main(arguments: list[str] | None = None) -> int:
    """Write the deliveries of a range of days; 0 when they are written, 1 with a message when they cannot be."""
    parser = argparse.ArgumentParser(description="Deliver real time series to the Wikimedia estate.")
    shown = "(default %(default)s)"
    parser.add_argument("--first-day", type=date.fromisoformat, default=date(2024, 10, 1), help=f"YYYY-MM-DD {shown}")
    parser.add_argument("--last-day", type=date.fromisoformat, default=date(2024, 10, 31), help=f"YYYY-MM-DD {shown}")
    options = parser.parse_args(arguments)
    if options.last_day < options.first_day:
        parser.error(f"--last-day {options.last_day} lies before --first-day {options.first_day}")
    real_data = Path(os.environ.get("OMGOV_REAL_DATA") or HERE.parents[1].parent / "shared" / "data")
    try:
        series = read_series(real_data / "timeseries")
        hosts = assigned_hosts(real_data / ESTATE, series)
    except (OSError, tarfile.TarError, PreparationError) as error:
        print(f"{error}; OMGOV_REAL_DATA names the folder of real data", file=sys.stderr)
        return 1
    landing = Settings.from_environment().landing / SYSTEM / DATASET
    for day, rows in deliveries(series, hosts, options.first_day, options.last_day):
        write_delivery(landing / day.isoformat() / FILE, rows)
        print(f"{day}: {len(rows):,} points of {len({(row[0], str(row[2])) for row in rows})} series")
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
            try:
                found += read(archive, rule, {file: texts[file] for file in files})
            except (KeyError, ValueError) as error:
                where = f"{archive.archive}/{files[0]}"
                raise PreparationError(f"{where} is not laid out as series.yaml says: {error}") from error
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
    machines = sorted({one.machine for one in series}, key=_digest)
    if len(hosts) < len(machines):
        raise PreparationError(f"{estate}: {len(hosts)} hosts with an owner are too few for {len(machines)} machines")
    return dict(zip(machines, hosts, strict=False))


def deliveries(
    series: list[Series], hosts: dict[str, str], first_day: date, last_day: date
) -> Iterator[tuple[date, list[Row]]]:
    """The rows of each day of a range on which there are points, day by day; their fields are those of ``SCHEMA``."""
    firm = yaml.safe_load((HERE / "governance" / "firm.yaml").read_text(encoding="utf-8"))
    estate_begins: date = firm["first_day"]
    implied = datetime.combine(estate_begins, datetime.min.time(), UTC)
    begins: dict[str, date] = {}
    for one in series:
        recorded = [point.time for point in one.points if point.time is not None]
        if recorded:
            begins[one.machine] = min(begins.get(one.machine, date.max), min(recorded).date())
    days: dict[date, list[Row]] = defaultdict(list)
    for one in series:
        weeks = math.ceil((estate_begins - begins[one.machine]).days / 7) if one.machine in begins else None
        attributes = {
            "assignment": "synthetic",
            "licence": one.licence,
            "series_source": one.source,
            **({"time": "implied"} if weeks is None else {"time": "recorded", "time_shift": f"P{weeks}W"}),
            **one.attributes,
        }
        items = list(attributes.items())
        shift = timedelta(weeks=weeks or 0)
        for place, point in enumerate(one.points):
            moved = implied + timedelta(seconds=place * one.interval_s) if point.time is None else point.time + shift
            day = moved.date()
            if first_day <= day <= last_day:
                where_from = (point.file, point.record, point.written_time)
                days[day].append((one.metric, hosts[one.machine], items, moved, point.value, *where_from))
    yield from sorted(days.items())


def write_delivery(path: Path, rows: list[Row]) -> None:
    """Write a day's file whole or not at all; one that holds the same already is left alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = zip(*rows, strict=True)
    table = pa.table([pa.array(column, kind.type) for column, kind in zip(columns, SCHEMA, strict=True)], SCHEMA)
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
        raise ValueError("a table needs `time`")
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
        value = _number(number, row[archive.value_column])
        series[name].points.append(Point(file, number, _time(written, archive.time), written, value))
    return list(series.values()) or [Series(source, rule.metric, source, archive.licence)]


def _read_matrix(archive: Archive, rule: SeriesRule, texts: dict[str, str]) -> list[Series]:
    """Files that follow each other, without header and times: one series for each column."""
    if not archive.interval_s:
        raise ValueError("a matrix needs `interval_s`")
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
                one.points.append(Point(file, number, None, None, _number(number, value)))
    return series


def _time(written: str, column: TimeColumn) -> datetime:
    if column.notation == "epoch_s":
        return datetime.fromtimestamp(int(written), UTC)
    time = datetime.fromisoformat(written)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _number(record: int, written: str) -> float | None:
    """An empty field stays empty; what else is no finite number would be another kind of data."""
    if written == "":
        return None
    value = float(written)
    if not math.isfinite(value):
        raise ValueError(f"record {record}: {written!r} is not a finite number")
    return value


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
