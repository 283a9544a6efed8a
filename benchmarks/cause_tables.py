"""Tables of metric instances with planted root causes, and what a method that localises them should find.

Belongs here: making such tables, and judging causes found against those planted. Does not belong here: running methods
(``bench_root_causes``, ``tune_root_causes``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]

# Shares of the rows, from and below, that planted causes hold; and times that their rate is the usual one.
SUPPORTS = ((0.0005, 0.001), (0.001, 0.002), (0.002, 0.005), (0.005, 0.02), (0.02, 0.1), (0.1, 0.4))
LIFTS = (2, 5, 10, 50)
# What must be found: from this support and lift on.
WANTED_SUPPORT, WANTED_LIFT = 0.002, 5

# A found cause is a planted one where their rows' Jaccard index is at least this, whatever the names.
SAME = 0.8
# Share of its rows in which a planted cause has the highest rate, at least: of less, none could tell that it is there.
_OWN = 0.6
_MOST_RATE = 0.95
_WIDE, _WIDE_LIFT = 0.1, 10
_TRIES = 20_000
_SAMPLE = 100_000

ATTRIBUTES = (
    "system",
    "metric",
    "application",
    "host",
    "network_device",
    "rack",
    "subnet",
    "support_group",
    "owner",
    "agent_version",
)


@dataclass(frozen=True)
class Shape:
    """What an estate looks like.

    Attributes:
        rows: metric instances.
        rows_per_host, hosts_per_rack, racks_per_subnet, hosts_per_application, applications_per_group: how much of one
            lies in the other.
        metrics, agent_versions: how many there are; few of either have most rows.
        rate: usual share of anomalous instances.
        spread: standard deviation of the logarithm of that share from metric to metric.
        causes: planted in a table.
        related: share of the causes that are made to overlap an earlier one or to lie in it.
    """

    rows: int
    rows_per_host: int = 55
    hosts_per_rack: int = 20
    racks_per_subnet: int = 6
    hosts_per_application: int = 42
    applications_per_group: int = 12
    metrics: int = 200
    agent_versions: int = 8
    rate: float = 0.01
    spread: float = 0.1
    causes: int = 12
    related: float = 0.25


@dataclass(frozen=True)
class Planted:
    """A planted cause: its conditions (attribute to code), rows, share of all rows, and lift."""

    conditions: dict[str, int]
    rows: Bools
    support: float
    lift: int

    @property
    def is_wanted(self) -> bool:
        """Whether it is large and strong enough that it must be found."""
        return self.support >= WANTED_SUPPORT and self.lift >= WANTED_LIFT


@dataclass(frozen=True)
class CauseTable:
    """A table with planted causes.

    Attributes:
        codes: for each of ``ATTRIBUTES`` the code of its value in each row, from 1.
        anomalous: for each row whether it is.
        planted: the causes.
        cause: for each row the position of the planted cause with the highest rate in it; -1 for none.
    """

    codes: dict[str, Codes]
    anomalous: Bools
    planted: tuple[Planted, ...]
    cause: Ints


@dataclass(frozen=True)
class Judgement:
    """What causes found in a table are worth.

    Attributes:
        rank: for each planted cause the rank, from 1, of the first found cause that is it; 0 for none.
        right: for each found cause, in order, whether it is a planted one.
        inside: share of the anomalies in planted causes that are assigned to the found cause that is theirs.
        outside: share of the anomalies in no planted cause that are assigned to none.
        assigned: share of all anomalies that are assigned rightly.
        unassigned: what that would be if nothing were found.
    """

    rank: tuple[int, ...]
    right: tuple[bool, ...]
    inside: float
    outside: float
    assigned: float
    unassigned: float


def make_table(shape: Shape, seed: int) -> CauseTable:
    """A table; the same for the same shape and seed."""
    rng = np.random.Generator(np.random.PCG64(seed))
    codes = _estate(shape, rng)
    planted = _planted(shape, codes, rng)
    rates = shape.rate * np.exp(rng.normal(0, shape.spread, shape.metrics + 1))
    rate = rates[codes["metric"]]
    cause = np.full(shape.rows, -1)
    for position in sorted(range(len(planted)), key=lambda position: planted[position].lift):
        rows = planted[position].rows
        rate[rows] = np.maximum(rate[rows], min(_MOST_RATE, shape.rate * planted[position].lift))
        cause[rows] = position
    return CauseTable(codes, rng.random(shape.rows) < rate, planted, cause)


def rows_in(table: CauseTable, conditions: dict[str, int]) -> Bools:
    """The rows that meet conditions."""
    return _meet(table.codes, conditions)


def judge(table: CauseTable, found: Sequence[Bools], assigned: Ints | None = None) -> Judgement:
    """Compare found causes with those planted.

    Args:
        table: the table.
        found: the rows of each found cause, in the order of rank.
        assigned: for each anomalous row the position in ``found``; -1 for none. A method that assigns nothing itself
            has each anomaly in the first found cause that holds it.
    """
    rank, mine = [0] * len(table.planted), np.full(len(found) + 1, -1)
    sizes = [int(rows.sum()) for rows in found]
    for position, planted in enumerate(table.planted):
        size = int(planted.rows.sum())
        for place, rows in enumerate(found):
            if min(sizes[place], size) < SAME * max(sizes[place], size):
                continue
            both = int((rows & planted.rows).sum())
            if both >= SAME * (size + sizes[place] - both):
                rank[position] = rank[position] or place + 1
                mine[place] = position
    anomalous = np.flatnonzero(table.anomalous)
    if assigned is None:
        assigned = np.full(len(anomalous), -1)
        for place in reversed(range(len(found))):
            assigned[found[place][anomalous]] = place
    truth, is_right = table.cause[anomalous], np.zeros(len(anomalous), dtype=bool)
    inside = truth >= 0
    is_right[inside] = mine[assigned[inside]] == truth[inside]
    is_right[~inside] = assigned[~inside] < 0
    return Judgement(
        rank=tuple(rank),
        right=tuple(bool(mine[place] >= 0) for place in range(len(found))),
        inside=float(is_right[inside].mean()),
        outside=float(is_right[~inside].mean()),
        assigned=float(is_right.mean()),
        unassigned=float((~inside).mean()),
    )


def _estate(shape: Shape, rng: np.random.Generator) -> dict[str, Codes]:
    """Instances on hosts; a host stands in a rack of a subnet and serves an application of a group."""
    hosts = shape.rows // shape.rows_per_host
    racks = max(8, hosts // shape.hosts_per_rack)
    subnets = max(4, racks // shape.racks_per_subnet)
    applications = max(20, hosts // shape.hosts_per_application)
    groups = max(6, min(60, applications // shape.applications_per_group))
    rack_of = np.arange(hosts) * racks // hosts
    application_of = np.arange(hosts) * applications // hosts
    subnet_of = np.sort(rng.integers(0, subnets, racks))
    system_of = rng.choice(5, racks, p=(0.3, 0.22, 0.2, 0.15, 0.13))
    device_of = rng.integers(0, max(4, racks // 2), racks)
    group_of = rng.integers(0, groups, applications)
    owner_of = group_of * 12 + rng.integers(0, 12, applications)
    version_of = rng.choice(shape.agent_versions, hosts, p=_few_have_most(shape.agent_versions, 1.3))
    host = rng.integers(0, hosts, shape.rows)
    rack, application = rack_of[host], application_of[host]
    columns = {
        "system": system_of[rack],
        "metric": rng.choice(shape.metrics, shape.rows, p=_few_have_most(shape.metrics, 0.7)),
        "application": application,
        "host": host,
        "network_device": device_of[rack],
        "rack": rack,
        "subnet": subnet_of[rack],
        "support_group": group_of[application],
        "owner": owner_of[application],
        "agent_version": version_of[host],
    }
    return {name: (columns[name] + 1).astype(np.int32) for name in ATTRIBUTES}


def _few_have_most(number: int, exponent: float) -> npt.NDArray[np.float64]:
    weights = 1.0 / np.arange(1, number + 1) ** exponent
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def _planted(shape: Shape, codes: dict[str, Codes], rng: np.random.Generator) -> tuple[Planted, ...]:
    """Causes of every support and lift alike; none is hidden by others."""
    planted: list[Planted] = []
    sample = {name: column[:_SAMPLE] for name, column in codes.items()}
    wanted = SUPPORTS[int(rng.integers(len(SUPPORTS)))]
    for _ in range(_TRIES):
        if len(planted) == shape.causes:
            break
        conditions = _drawn(shape, codes, planted, rng)
        estimate = float(_meet(sample, conditions).mean())
        if not wanted[0] / 2 <= estimate <= wanted[1] * 2:
            continue
        rows = _meet(codes, conditions)
        support = float(rows.mean())
        lift = int(rng.choice(LIFTS))
        if not wanted[0] <= support < wanted[1] or (support >= _WIDE and lift > _WIDE_LIFT):
            continue
        cause = Planted(conditions, rows, support, lift)
        if all(_are_told_apart(cause, other) for other in planted) and _is_none_hidden([*planted, cause]):
            planted.append(cause)
        wanted = SUPPORTS[int(rng.integers(len(SUPPORTS)))]
    return tuple(planted)


def _drawn(
    shape: Shape, codes: dict[str, Codes], planted: Sequence[Planted], rng: np.random.Generator
) -> dict[str, int]:
    """The values that a row has in one to three attributes; some of the rows and attributes are an earlier cause's."""
    row = int(rng.integers(shape.rows))
    names = [ATTRIBUTES[number] for number in rng.choice(len(ATTRIBUTES), int(rng.integers(1, 4)), replace=False)]
    if planted and rng.random() < shape.related:
        other = planted[int(rng.integers(len(planted)))]
        row = int(rng.choice(np.flatnonzero(other.rows)))
        if rng.random() < 1 / 2 and len(other.conditions) < 3:
            names = [*other.conditions, names[0]]
    return {name: int(codes[name][row]) for name in ATTRIBUTES if name in names}


def _meet(codes: dict[str, Codes], conditions: dict[str, int]) -> Bools:
    met = [codes[name] == code for name, code in conditions.items()]
    return np.logical_and.reduce(met)


def _are_told_apart(one: Planted, other: Planted) -> bool:
    both = int((one.rows & other.rows).sum())
    return both <= (int(one.rows.sum()) + int(other.rows.sum()) - both) / 2


def _is_none_hidden(planted: Sequence[Planted]) -> bool:
    """Whether each cause has the highest rate in most of its rows."""
    for cause in planted:
        own = cause.rows.copy()
        for other in planted:
            if other is not cause and other.lift >= cause.lift:
                own &= ~other.rows
        if own.sum() < _OWN * cause.rows.sum():
            return False
    return True
