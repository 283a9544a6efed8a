"""The standard metrics that the firm plays with, and the series a CI of each class can carry.

The catalogue is the sample firm's own copy of what it needs of the metric standard and of the baseline; a test
holds them together.
Does not belong here: how a business system names or spells a metric (``dialects``).
"""

from __future__ import annotations

import csv
import itertools
import json
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path

CI_CLASSES = ("application", "host", "database", "network_device")
# Metrics that business systems invented for themselves: no standard metric stands behind them.
CUSTOM_METRICS = (
    ("custom.app.queue.backlog", "{request}", "application"),
    ("custom.host.agent.heap", "By", "host"),
    ("custom.host.patch.share", "%", "host"),
    ("custom.db.ledger.gap", "ms", "database"),
    ("custom.net.policy.hits", "{packet}", "network_device"),
)

# What every CI of a class must report; the second one of applications binds those of tier 1 only.
BASELINE = {
    "application": ("app.availability", "http.server.request.rate"),
    "host": ("system.cpu.utilization", "system.memory.utilization", "system.uptime"),
    "database": ("db.connection.utilization", "db.uptime"),
    "network_device": ("network.device.cpu.utilization", "network.device.memory.utilization"),
}

_VALUES: dict[str, tuple[str, ...]] = {
    "account_type": ("cash", "margin", "option"),
    "bank": ("ICBC", "CCB", "ABC", "BOC", "CMB"),
    "collector": ("g1-young", "g1-old"),
    "cpu": ("0", "1", "2", "3"),
    "destination": ("orders", "trades", "quotes", "transfers", "risk"),
    "device": ("sda", "sdb", "nvme0n1"),
    "direction": ("read", "write"),
    "fan": ("fan1", "fan2"),
    "group": ("clearing", "reporting"),
    "interface": ("eth0", "eth1"),
    "job": ("reconcile", "end-of-day", "report"),
    "market": ("SSE", "SZSE", "BSE", "HKEX"),
    "mode": ("shared", "exclusive"),
    "mountpoint": ("/", "/data", "/var/log"),
    "operation": ("publish", "settle"),
    "peer": ("core-1", "core-2", "exchange-gw"),
    "period": ("1m", "5m", "15m"),
    "pool": ("main", "batch"),
    "portfolio": ("alpha", "balanced", "index"),
    "replica": ("standby-1", "standby-2"),
    "route": ("/login", "/order", "/cancel", "/position", "/quote"),
    "rule": ("price-limit", "position-limit", "self-trade"),
    "sensor": ("cpu", "inlet", "board"),
    "state": ("active", "idle"),
    "status": ("running", "sleeping", "zombie"),
    "status_class": ("4xx", "5xx"),
    "table": ("t_order", "t_trade", "t_fund", "t_account", "t_quote", "t_margin", "t_audit", "t_batch"),
    "tablespace": ("users", "ledger", "temp", "index", "undo", "history", "archive", "report"),
    "type": ("major", "minor"),
    "unit": ("psu1", "psu2"),
}
_VALUES_BY_METRIC: dict[tuple[str, str], tuple[str, ...]] = {
    ("system.cpu.time", "mode"): ("user", "system", "idle", "iowait"),
    ("system.network", "direction"): ("receive", "transmit"),
    ("network.interface", "direction"): ("receive", "transmit"),
    ("network.interface", "interface"): tuple(f"Gi1/0/{port}" for port in range(1, 13)),
}


@dataclass(frozen=True)
class Metric:
    """A standard metric (or a custom one: ``standard=False``); limits and usual values are in its unit.

    ``retired`` is ``deprecated`` or ``withdrawn`` where the metric is so since ``since``, else empty.
    """

    name: str
    unit: str
    instrument: str
    value_type: str
    interval_s: int
    valid_min: float | None
    valid_max: float | None
    ci_classes: tuple[str, ...]
    required_attributes: tuple[str, ...]
    varies: bool
    typical_min: float
    typical_max: float
    standard: bool = True
    retired: str = ""
    since: date = date.max
    grace_days: int = 0

    def is_retired(self, day: date) -> bool:
        """Whether the metric is deprecated or withdrawn on the day."""
        return bool(self.retired) and day >= self.since

    def is_over(self, day: date) -> bool:
        """Whether the days of grace of a retired metric are over."""
        return self.is_retired(day) and day > self.since + timedelta(days=self.grace_days)


@dataclass(frozen=True)
class Slot:
    """A series that a CI may carry: a metric (position in the catalogue) and its attributes."""

    metric: int
    attributes: tuple[tuple[str, str], ...]


@cache
def load_catalogue() -> tuple[Metric, ...]:
    """All standard metrics in the order of their names, then the custom metrics."""
    path = Path(__file__).with_name("catalogue.csv")
    with path.open(encoding="utf-8", newline="") as file:
        standard = [_metric(row) for row in csv.DictReader(file)]
    custom = [
        Metric(name, unit, "gauge", "double", 60, None, None, (ci_class,), (), False, 5.0, 80.0, standard=False)
        for name, unit, ci_class in CUSTOM_METRICS
    ]
    return (*standard, *custom)


@cache
def slots_of_class(ci_class: str) -> tuple[Slot, ...]:
    """Every series that a CI of the class may carry: those of the baseline first, of retired metrics last."""
    catalogue = load_catalogue()
    slots = []
    for position, metric in enumerate(catalogue):
        if ci_class in metric.ci_classes:
            pools = [_values(metric.name, key) for key in metric.required_attributes]
            for values in itertools.product(*pools):
                slots.append(Slot(position, tuple(zip(metric.required_attributes, values, strict=True))))
    rank = {name: number for number, name in enumerate(BASELINE[ci_class])}

    def order(slot: Slot) -> tuple[bool, int]:
        metric = catalogue[slot.metric]
        return bool(metric.retired), rank.get(metric.name, len(rank))

    return tuple(sorted(slots, key=order))


@cache
def current_slots(ci_class: str) -> int:
    """Number of slots of the class whose metrics are not retired; they come first."""
    catalogue = load_catalogue()
    return sum(not catalogue[slot.metric].retired for slot in slots_of_class(ci_class))


def canonical(attributes: tuple[tuple[str, str], ...]) -> str:
    """Attributes as JSON text: keys sorted, no spaces."""
    return json.dumps(dict(attributes), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _values(metric: str, key: str) -> tuple[str, ...]:
    for (prefix, special_key), values in _VALUES_BY_METRIC.items():
        if key == special_key and metric.startswith(prefix):
            return values
    return _VALUES[key]


def _metric(row: dict[str, str]) -> Metric:
    return Metric(
        name=row["metric"],
        unit=row["unit"],
        instrument=row["instrument"],
        value_type=row["value_type"],
        interval_s=int(row["interval_s"]),
        valid_min=float(row["valid_min"]) if row["valid_min"] else None,
        valid_max=float(row["valid_max"]) if row["valid_max"] else None,
        ci_classes=tuple(row["ci_classes"].split(";")),
        required_attributes=tuple(filter(None, row["required_attributes"].split(";"))),
        varies=row["varies"] == "true",
        typical_min=float(row["typical_min"]),
        typical_max=float(row["typical_max"]),
        retired=row["retired"],
        since=date.fromisoformat(row["since"]) if row["since"] else date.max,
        grace_days=int(row["grace_days"] or 0),
    )
