"""Series of days written into a lake as one business system's samples, learned and scored as a night does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from omgov_assets.data_lake.lake import Lake
from omgov_assets.model_management.baseline_rules import BaselineRules
from omgov_assets.model_management.business_day import day_bounds
from omgov_assets.model_management.governance import Governance, load_governance
from omgov_assets.model_management.trading_calendar import TradingCalendar
from omgov_assets.quality_policy.dynamic_baselines.bands_in_force import register_bands_in_force
from omgov_assets.quality_policy.dynamic_baselines.learning import DYNAMIC_BASELINES, LearningSummary, learn_baselines
from omgov_assets.quality_policy.dynamic_baselines.scoring import faults_query

PROJECT = Path(__file__).resolve().parents[2]
SYSTEM = "securities_trading"
MONDAY = date(2026, 11, 2)

# Seconds after the begin of the day, value.
Point = tuple[float, float | None]
Shape = Callable[[date], Iterable[Point]]


@dataclass(frozen=True)
class SampledSeries:
    """A lake with one business system that delivers samples alone."""

    lake: Lake
    governance: Governance

    @classmethod
    def at(
        cls, home: Path, zone: str = "Asia/Shanghai", calendar: TradingCalendar | None = None, **rules: Any
    ) -> SampledSeries:
        """An empty lake; ``rules`` replace those of the repository's document."""
        governance = load_governance(PROJECT)
        changed: dict[str, Any] = {
            "systems": {SYSTEM: governance.systems[SYSTEM]},
            "firm": governance.firm.model_copy(update={"timezone": zone}),
            "dynamic_baselines": BaselineRules.model_validate(governance.dynamic_baselines.model_dump() | rules),
        }
        if calendar is not None:
            changed["calendar"] = calendar
        return cls(Lake(home / "lake"), governance.model_copy(update=changed))

    def deliver(self, day: date, series: dict[str, Iterable[Point]], metric: str | None = None) -> None:
        """Write the samples of a day, series by series in the order given; without ``metric`` each has its own."""
        begin = day_bounds(day, self.governance.firm.zone)[0].astimezone(UTC)
        rows = [
            {
                "day": day, "system": SYSTEM, "instance_id": name, "source_metric": metric or name, "metric": None,
                "ci_id": "H1", "attributes": "{}", "observed_at": begin + timedelta(seconds=second), "value": value,
                "_batch_id": "b", "_record_no": 0,
            }
            for name, points in series.items()
            for second, value in points
        ]  # fmt: skip
        for number, row in enumerate(rows, 1):
            row["_record_no"] = number
        table = f"{SYSTEM}/metric_samples"
        self.lake.replace(table, day, pa.Table.from_pylist(rows, schema=self.lake.schema(table).arrow))

    def learn(self, day: date) -> LearningSummary:
        """Write the day's partition."""
        return learn_baselines(self.lake, self.governance, day)

    def learn_days(self, first: date, days: int, shapes: dict[str, Shape], metric: str | None = None) -> date:
        """Deliver and learn consecutive days; returns the day after them."""
        for number in range(days):
            day = first + timedelta(days=number)
            self.deliver(day, {name: shape(day) for name, shape in shapes.items()}, metric)
            self.learn(day)
        return first + timedelta(days=days)

    def faults(
        self, day: date, series: dict[str, Iterable[Point]], metric: str | None = None
    ) -> list[tuple[str, float, str]]:
        """Deliver a day and score it: (series, seconds after the begin of the day, fault), sorted."""
        self.deliver(day, series, metric)
        begin = day_bounds(day, self.governance.firm.zone)[0].astimezone(UTC)
        with self.lake.connect() as con:
            self.lake.register(con, "samples", f"{SYSTEM}/metric_samples", day)
            register_bands_in_force(con, self.lake, self.governance, "samples", day)
            con.execute(
                "CREATE VIEW scored AS SELECT instance_id AS series, observed_at, value, _batch_id AS batch, "
                "_record_no AS position FROM samples"
            )
            found: Sequence[tuple[str, datetime, str]] = con.execute(faults_query("scored")).fetchall()
        return sorted((name, (moment - begin).total_seconds(), fault) for name, moment, fault in found)

    def bands(self, day: date) -> dict[tuple[str, str], tuple[str | None, float | None, float | None]]:
        """Origin, low and high of the bands in force on a day that was delivered, by series and slot."""
        with self.lake.connect() as con:
            self.lake.register(con, "samples", f"{SYSTEM}/metric_samples", day)
            register_bands_in_force(con, self.lake, self.governance, "samples", day)
            rows = con.execute(
                "SELECT instance_id, slot, learned_from, band_low, band_high FROM dynamic_baselines.bands"
            ).fetchall()
        return {(name, slot): (origin, low, high) for name, slot, origin, low, high in rows}

    def learned(self, day: date, columns: str, where: str = "subject_kind = 'instance' AND slot = 'day'") -> list[Any]:
        """Rows of the partition of a day, sorted."""
        with self.lake.connect() as con:
            self.lake.register(con, "learned", DYNAMIC_BASELINES, day)
            return con.execute(f"SELECT {columns} FROM learned WHERE {where} ORDER BY ALL").fetchall()


def wave(
    points: int = 96, level: float = 100.0, swing: float = 20.0, noise: float = 2.0, seed: int = 0, per_day: float = 0.0
) -> Shape:
    """A daily season with noise; ``per_day`` is a trend."""

    def of_day(day: date) -> list[Point]:
        rng = np.random.default_rng([seed, day.toordinal()])
        seconds = np.arange(points) * 86_400 / points
        base = level + per_day * (day - MONDAY).days + swing * np.sin(2 * np.pi * seconds / 86_400)
        return list(zip(seconds.tolist(), (base + noise * rng.uniform(-1, 1, points)).tolist(), strict=True))

    return of_day


def constant(value: float | None, points: int = 96) -> Shape:
    """The same value all day."""
    return lambda day: [(number * 86_400 / points, value) for number in range(points)]
