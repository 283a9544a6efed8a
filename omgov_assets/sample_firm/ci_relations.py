"""The relations that the CMDB keeps between CIs, and what is wrong with them.

Belongs here: relations as rows, and their anomalies. Does not belong here: the CIs themselves (``cmdb``, ``estate``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from omgov_assets.sample_firm.business_day import Bools
from omgov_assets.sample_firm.estate import APPLICATION, DATABASE, HOST, NETWORK_DEVICE, Estate

Relation = tuple[str, str, str]

# Of so many eligible CIs one has the defect; the smallest firm has each once.
_ONE_IN = {
    "scrapped_host": 600,
    "deleted_application": 2_000,
    "circle": 40,
    "wrong_kind": 400,
    "entered_twice": 800,
}
_SECOND_UPLINK = 8


@dataclass
class Relations:
    """Rows (source, relation, target); anomalies as (anomaly type, key, defect), look-alikes as (kind, type, key)."""

    rows: list[Relation] = field(default_factory=list)
    anomalies: list[tuple[str, str, str]] = field(default_factory=list)
    look_alikes: list[tuple[str, str, str]] = field(default_factory=list)

    def plant(self, anomaly_type: str, defect: str, rows: list[Relation]) -> None:
        """Add rows that are wrong."""
        self.rows += rows
        self.anomalies += [(anomaly_type, "|".join(row), defect) for row in rows]

    def resemble(self, kind: str, anomaly_type: str, rows: list[Relation]) -> None:
        """Add rows that only seem to be wrong."""
        self.rows += rows
        self.look_alikes += [(kind, anomaly_type, "|".join(row)) for row in rows]


def one_in(number: int, estate: Estate, eligible: Bools) -> Bools:
    """About one in so many of the eligible CIs, and one at least where there is any; the same on every day."""
    order = np.argsort(estate.offset, kind="stable")
    ordered = order[eligible[order]]
    chosen = np.zeros(len(eligible), dtype=bool)
    chosen[ordered[: max(1, round(len(ordered) / number))]] = True
    return chosen


def relate(estate: Estate, names: np.ndarray) -> Relations:
    """All relations: runs_on, depends_on and connected_to between CIs that the CMDB knows; some hosts are left out."""
    found = Relations(list(_sound(estate, names)))
    found.look_alikes += list(_second_uplinks(found.rows))[:50]
    registered = ~estate.never_registered
    applications = registered & (estate.ci_class == APPLICATION)
    hosts = registered & ~estate.unrelated & (estate.ci_class == HOST)
    databases = registered & (estate.ci_class == DATABASE)

    scrapped = [str(name) for name in names[one_in(_ONE_IN["scrapped_host"], estate, hosts)]]
    owners = [str(name) for name in names[applications]]
    found.plant(
        "relation_ci_unknown",
        "scrapped_host",
        [(owners[i % len(owners)], "runs_on", name.replace("HOST-", "HOST-X")) for i, name in enumerate(scrapped)],
    )
    deleted = names[one_in(_ONE_IN["deleted_application"], estate, hosts)]
    found.plant(
        "relation_ci_unknown",
        "deleted_application",
        [(f"APP-X{i:05d}", "runs_on", str(name)) for i, name in enumerate(deleted, 1)],
    )
    _plant_circles(found, owners)
    devices = names[estate.ci_class == NETWORK_DEVICE]
    wrong = np.flatnonzero(one_in(_ONE_IN["wrong_kind"], estate, databases))
    found.plant(
        "relation_class_mismatch",
        "wrong_kind",
        [(str(names[i]), "connected_to", str(devices[i % len(devices)])) for i in wrong],
    )
    hosted = {row[2]: row for row in found.rows if row[1] == "runs_on"}
    twice = [
        hosted[str(name)] for name in names[one_in(_ONE_IN["entered_twice"], estate, hosts)] if str(name) in hosted
    ]
    found.plant("relation_duplicate", "entered_twice", twice)
    return found


def _plant_circles(found: Relations, applications: list[str]) -> None:
    """Applications that depend on each other in circles of two and three, and on themselves; and some that do not."""
    circles = max(1, len(applications) // (6 * _ONE_IN["circle"]))
    rest = iter(applications)
    for _ in range(circles):
        a, b, c, d, e, f = (next(rest) for _ in range(6))
        found.plant("relation_cycle", "circle", [(a, "depends_on", b), (b, "depends_on", a)])
        found.plant("relation_cycle", "circle", [(c, "depends_on", d), (d, "depends_on", e), (e, "depends_on", c)])
        found.plant("relation_cycle", "circle", [(f, "depends_on", f)])
        # What leads into a circle, and a diamond, are none.
        g, h, i, j = (next(rest) for _ in range(4))
        found.resemble("leads_into_a_circle", "relation_cycle", [(g, "depends_on", a)])
        diamond = [(g, "depends_on", h), (g, "depends_on", i), (h, "depends_on", j), (i, "depends_on", j)]
        found.resemble("diamond", "relation_cycle", diamond)


def _second_uplinks(rows: list[Relation]) -> Iterator[tuple[str, str, str]]:
    """Two relations of a host, to two devices, are no relation listed twice."""
    connected = set()
    for source, relation, target in rows:
        if relation == "connected_to" and source in connected:
            yield "second_uplink", "relation_duplicate", f"{source}|{relation}|{target}"
        elif relation == "connected_to":
            connected.add(source)


def _sound(estate: Estate, names: np.ndarray) -> Iterator[Relation]:
    hosts, databases, devices = (np.flatnonzero(estate.ci_class == c) for c in (HOST, DATABASE, NETWORK_DEVICE))
    first, second = estate.application[hosts], estate.application[np.roll(hosts, 7)]
    also = estate.offset[hosts] % 5 == 0
    # Some hosts are connected twice, to be reached when one device fails.
    double = estate.offset[hosts] % _SECOND_UPLINK == 3
    uplink = estate.rack[hosts] % len(devices)
    pairs = [
        ("runs_on", first, hosts),
        ("runs_on", second[also & (first != second)], hosts[also & (first != second)]),
        ("runs_on", databases, estate.host_of[databases]),
        ("depends_on", estate.application[databases], databases),
        ("connected_to", hosts, devices[uplink]),
        ("connected_to", hosts[double], devices[(uplink[double] + 1) % len(devices)]),
    ]
    left_out = estate.never_registered | estate.unrelated
    for kind, sources, targets in pairs:
        keep = ~left_out[sources] & ~left_out[targets]
        for source, target in zip(names[sources[keep]].tolist(), names[targets[keep]].tolist(), strict=True):
            yield source, kind, target
