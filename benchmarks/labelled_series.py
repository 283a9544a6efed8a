"""Public labelled series of operations data, read from their archives, in one shape and split in two.

Belongs here: where the series lie, what their labels mean and which set each is in. Does not belong here: detectors
(``detectors``) or measuring them (``bench_baselines``). The series are never copied into the project.
"""

from __future__ import annotations

import csv
import io
import json
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

ARCHIVES = {
    "Microsoft": "ms_cloud_monitoring_MIT.tar.xz",
    "NAB": "nab_MIT.tar.xz",
    "JumpStarter": "jumpstarter_MIT.tar.xz",
    "Donut": "donut_kpi_MIT.tar.xz",
}
Split = Literal["tuning", "reported"]

_DAY_S = 86_400
# JumpStarter's rows have no times: one every five minutes, by its authors' word.
_JUMPSTARTER_STEP_S = 300
_JUMPSTARTER_BEGINS_S = 1_577_836_800


@dataclass(frozen=True)
class LabelledSeries:
    """One series.

    Attributes:
        name: archive and file. source: archive. split: set that it is in.
        group: series whose labels are common to all of the group are judged together; else the name.
        seconds: times as UTC epoch seconds, ascending, one point each. values: NaN where there is none.
        labels: whether the point is anomalous. step_s: median distance of two points.
    """

    name: str
    source: str
    split: Split
    group: str
    seconds: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    labels: npt.NDArray[np.bool_]

    @property
    def step_s(self) -> float:
        """Median distance of two points, in seconds."""
        return float(np.median(np.diff(self.seconds)))

    @property
    def points_per_day(self) -> int:
        """Points of a day, by the median distance."""
        return max(1, round(_DAY_S / self.step_s))


def data_folder() -> Path | None:
    """The folder of the archives; None where it is absent."""
    named = os.environ.get("OMGOV_REAL_DATA")
    root = Path(named) if named else Path(__file__).resolve().parents[1].parent / "shared" / "data"
    folder = root / "timeseries"
    return folder if folder.is_dir() else None


def load_series(folder: Path) -> list[LabelledSeries]:
    """All series. Tuning: Microsoft, and every second file of NAB by name. Reported: the others."""
    return [
        *_microsoft(_texts(folder / ARCHIVES["Microsoft"])),
        *_nab(_texts(folder / ARCHIVES["NAB"])),
        *_jumpstarter(_texts(folder / ARCHIVES["JumpStarter"])),
        *_donut(_texts(folder / ARCHIVES["Donut"])),
    ]


def _texts(archive: Path) -> dict[str, str]:
    """Files of an archive by path, sorted."""
    with tarfile.open(archive, "r:xz") as opened:
        members = [member for member in opened.getmembers() if member.isfile()]
        texts = {}
        for member in sorted(members, key=lambda found: found.name):
            handle = opened.extractfile(member)
            if handle is not None:
                texts[member.name] = handle.read().decode("utf-8", errors="replace")
    return texts


def _microsoft(texts: dict[str, str]) -> Iterator[LabelledSeries]:
    for name, text in texts.items():
        if name.endswith(".csv"):
            rows = list(csv.DictReader(io.StringIO(text)))
            seconds = [_epoch(row["TimeStamp"]) for row in rows]
            yield _series(
                f"Microsoft/{name.removeprefix('data/')}", "Microsoft", "tuning", seconds,
                [float(row["Value"] or "nan") for row in rows], [int(row["Label"] or 0) > 0 for row in rows],
            )  # fmt: skip


def _nab(texts: dict[str, str]) -> Iterator[LabelledSeries]:
    windows: dict[str, list[list[str]]] = json.loads(texts["labels/combined_windows.json"])
    names = [name for name in texts if name.startswith("data/") and name.endswith(".csv")]
    for position, name in enumerate(names):
        rows = list(csv.DictReader(io.StringIO(texts[name])))
        seconds = [_epoch(row["timestamp"]) for row in rows]
        bounds = [(_epoch(begin), _epoch(end)) for begin, end in windows[name.removeprefix("data/")]]
        labels = [any(begin <= second <= end for begin, end in bounds) for second in seconds]
        values = [float(row["value"]) for row in rows]
        split: Split = "reported" if position % 2 else "tuning"
        yield _series(f"NAB/{name.removeprefix('data/')}", "NAB", split, seconds, values, labels)


def _jumpstarter(texts: dict[str, str]) -> Iterator[LabelledSeries]:
    """Labels are of a service: its metrics are judged together. What precedes is there to learn from, unlabelled."""
    for name in [name for name in texts if "/test/" in name]:
        test = np.genfromtxt(io.StringIO(texts[name]), delimiter=",")
        before = texts.get(name.replace("/test/", "/train/"))
        train = np.genfromtxt(io.StringIO(before), delimiter=",") if before else np.empty((0, test.shape[1]))
        labels = np.genfromtxt(io.StringIO(texts[name.replace("/test/", "/test_label/")])) > 0
        values = np.vstack([train, test])
        marked = [False] * len(train) + labels.tolist()
        seconds = [_JUMPSTARTER_BEGINS_S + number * _JUMPSTARTER_STEP_S for number in range(len(values))]
        service = f"JumpStarter/{name.split('/')[1]}/{Path(name).stem}"
        for column in range(values.shape[1]):
            yield _series(
                f"{service}/{column:02d}", "JumpStarter", "reported", seconds, values[:, column].tolist(), marked,
                group=service,
            )  # fmt: skip


def _donut(texts: dict[str, str]) -> Iterator[LabelledSeries]:
    for name, text in texts.items():
        if name.endswith(".csv"):
            rows = list(csv.DictReader(io.StringIO(text)))
            values = [float(row["value"]) if row["value"] else float("nan") for row in rows]
            labels = [float(row["label"] or 0) > 0 for row in rows]
            yield _series(
                f"Donut/{name}", "Donut", "reported", [int(float(row["timestamp"])) for row in rows], values, labels
            )


def _series(
    name: str, source: str, split: Split, seconds: list[int], values: list[float], labels: list[bool],
    group: str | None = None,
) -> LabelledSeries:  # fmt: skip
    """In the order of time; of two points at one time the first."""
    times, first = np.unique(np.array(seconds, dtype=np.int64), return_index=True)
    return LabelledSeries(
        name, source, split, group or name, times, np.array(values, dtype=np.float64)[first], np.array(labels)[first]
    )


def _epoch(text: str) -> int:
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
