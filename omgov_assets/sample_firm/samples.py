"""Points of a few series, and what is wrong with single points.

Belongs here: series that follow the time of day and the trading sessions, each within the profile that its instance
reports, and which faults they have. Does not belong here: the series themselves (``inventory``) or formats
(``landing``).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from omgov_assets.sample_firm.business_day import DAY_S, Bools, BusinessDay, Ints
from omgov_assets.sample_firm.catalogue import load_catalogue
from omgov_assets.sample_firm.inventory import NOTHING, Inventory
from omgov_assets.sample_firm.profiles import SECOND_SPELLING, USUAL, Profiles
from omgov_assets.sample_firm.records import Identities

_POINTS = 96
_STEP_S = 900
_SHARE_OF_INSTANCES = 0.0005
_FEWEST_INSTANCES = 56
# Every profile reaches from its minimum over a tenth of what is left of the metric's usual range, at least.
_PART_OF_RANGE = 0.1
_FAULTS = {"sample_value_missing": 0.01, "sample_duplicate": 0.005, "sample_outside_day": 0.005}
DEFECTS = {
    "sample_value_missing": "gap_written_as_empty",
    "sample_duplicate": "point_sent_twice",
    "sample_outside_day": "point_of_the_next_day",
    "sample_flat_line": "probe_repeats_its_last_value",
    "sample_gap": "collector_was_down",
    "sample_clock_step": "clock_put_back",
    "sample_counter_reset": "process_restarted",
    "sample_out_of_band": "single_value_far_off",
    "sample_level_shift": "level_doubled_for_hours",
    "sample_unit_jump": "probe_reports_thousandths",
}
# What befalls series. Each befalls a few of them in turn, one a day: what a series does every day is no fault. They are
# the first of the chosen ones; those after them have points that are wrong one by one.
_BEFALLS = (
    "sample_flat_line",
    "sample_gap",
    "sample_clock_step",
    "sample_counter_reset",
    "sample_out_of_band",
    "sample_level_shift",
    "sample_unit_jump",
    "missing_point",
    "short_plateau",
    "delivered_last_first",
    "batch_every_night",
)
_IN_TURN = 4
# These can be told only from the days before, so they come on one day of the week, to a firm that has as much history.
_NEED_HISTORY = ("sample_out_of_band", "sample_level_shift", "sample_unit_jump")
_WEEKDAY_OF_THEM = 3
_DAYS_OF_HISTORY = 5
# What only looks like a fault, by the fault it resembles.
_LOOK_ALIKES = {
    "missing_point": "sample_gap",
    "short_plateau": "sample_flat_line",
    "delivered_last_first": "sample_clock_step",
    "batch_every_night": "sample_out_of_band",
}
_SESSIONS_S = ((9.5 * 3600, 11.5 * 3600), (13 * 3600, 15 * 3600))
_BEGINS, _ENDS = 40, 70
_BATCH_BEGINS, _BATCH_ENDS = 8, 12
# Where a fault is told elsewhere than where things begin.
_TOLD_AT = {"sample_gap": _ENDS, "missing_point": _BEGINS + 1, "batch_every_night": _BATCH_BEGINS}

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Samples:
    """Points in the order of delivery.

    Attributes:
        instance: position of each point's instance in the inventory.
        observed_s: epoch seconds. records: the points in neutral terms.
        faults: anomaly type to the points that have it (positions among the points sent once).
        look_alikes: kind to the points that only look like a fault; ``resembled`` says which.
    """

    instance: Ints
    observed_s: Ints
    records: pa.Table
    faults: dict[str, Ints]
    look_alikes: dict[str, Ints] = field(default_factory=dict)

    @staticmethod
    def resembled(kind: str) -> str:
        """Anomaly type that a look-alike resembles."""
        return _LOOK_ALIKES[kind]


def sample_day(
    rng: np.random.Generator,
    inventory: Inventory,
    profiles: Profiles,
    identities: Identities,
    day: BusinessDay,
    days_before: int = 0,
) -> Samples:
    """A point every 15 minutes of a few series that have nothing else wrong with them.

    ``days_before`` says how many days of the firm there are before this one. The points do not depend on it, but only
    with enough of them is what needs history a fault that can be told.
    """
    chosen, place = _choose_instances(inventory)
    there = _reports_as_usual(profiles, chosen)
    chosen, place = chosen[there], place[there]
    instance = np.repeat(chosen, _POINTS)
    step = np.tile(np.arange(_POINTS), len(chosen))
    observed = day.start_s + step * _STEP_S + np.repeat(inventory.created_s[chosen] % 600, _POINTS)
    value = _values(rng, inventory, profiles, instance, observed - day.start_s, day)
    spared = np.repeat(place >= len(_BEFALLS) * _IN_TURN, _POINTS)
    kind = np.repeat(np.array([_BEFALLS[n // _IN_TURN % len(_BEFALLS)] for n in place]), _POINTS)
    counters = np.flatnonzero(~spared & (kind == "sample_counter_reset")).reshape(-1, _POINTS)
    value[counters] = np.abs(value[counters]).cumsum(axis=1)
    value[~spared & (kind == "batch_every_night") & (step >= _BATCH_BEGINS) & (step < _BATCH_ENDS)] *= 1.3
    befalls = np.where(~spared & (np.repeat(place % _IN_TURN, _POINTS) == day.ordinal % _IN_TURN), kind, "")
    struck = _befall(befalls, step, value, observed, day)

    keep = ~_lost(befalls, step)
    kept_at = np.cumsum(keep) - 1
    instance, observed, value, befalls = instance[keep], observed[keep], value[keep], befalls[keep]
    told = {name: kept_at[at] for name, at in struck.items()}
    look_alikes = {name: at for name, at in told.items() if name in _LOOK_ALIKES}
    hidden = _NEED_HISTORY if days_before < _DAYS_OF_HISTORY else ()
    faults = {name: at for name, at in told.items() if name not in _LOOK_ALIKES and name not in hidden}
    faults |= _choose_faults(rng, np.flatnonzero(spared[keep]))
    observed[faults["sample_outside_day"]] += DAY_S
    missing = np.zeros(len(instance), dtype=bool)
    missing[faults["sample_value_missing"]] = True
    columns = {name: column.take(pa.array(instance)) for name, column in identities.columns().items()}
    once = pa.table({**columns, "observed_s": pa.array(observed), "value": pa.array(value, mask=missing)})
    order = _order_of_delivery(befalls)
    records = pa.concat_tables([once.take(pa.array(order)), once.take(pa.array(faults["sample_duplicate"]))])
    return Samples(instance, observed, records, faults, look_alikes)


def _choose_instances(inventory: Inventory) -> tuple[Ints, Ints]:
    """The same series every day, and their places: they vary, and nothing single is wrong with them.

    What befalls a series may lead far up: those come first, of metrics that have no upper limit.
    """
    count = max(_FEWEST_INSTANCES, round(len(inventory) * _SHARE_OF_INSTANCES))
    often = inventory.definitions.interval_s[inventory.definition] <= _STEP_S
    catalogue = load_catalogue()
    varied = np.array([metric.varies and metric.typical_min >= 0 for metric in catalogue])[inventory.metric]
    unlimited = np.array([metric.valid_max is None for metric in catalogue])[inventory.metric]
    # Far enough from zero that values of another unit are no usual ones.
    sound = (inventory.trait == NOTHING) & often & varied & (inventory.level > 0.3)
    befallen = _spaced(np.flatnonzero(sound & unlimited), len(_BEFALLS) * _IN_TURN)
    others = _spaced(np.setdiff1d(np.flatnonzero(sound), befallen), count - len(befallen))
    first = len(_BEFALLS) * _IN_TURN
    return np.concatenate([befallen, others]), np.concatenate(
        [np.arange(len(befallen)), first + np.arange(len(others))]
    )


def _spaced(positions: Ints, count: int) -> Ints:
    """So many of some positions, evenly spaced; all of fewer."""
    return positions[np.unique(np.linspace(0, len(positions) - 1, count).astype(np.int64))]


def _reports_as_usual(profiles: Profiles, chosen: Ints) -> Bools:
    """Which of the chosen series report today, in the unit of their metric, what can be."""
    usual = np.isin(profiles.unit[chosen], [USUAL, SECOND_SPELLING])
    possible = ~(profiles.out_of_range[chosen] | profiles.stuck[chosen] | np.isnan(profiles.minimum[chosen]))
    return usual & possible


def _values(
    rng: np.random.Generator,
    inventory: Inventory,
    profiles: Profiles,
    instance: Ints,
    second: Ints,
    day: BusinessDay,
) -> Floats:
    """A quiet night, a busier day, the trading sessions of weekdays above it, and noise."""
    highest = np.array([metric.typical_max for metric in load_catalogue()])[inventory.metric[instance]]
    low = profiles.minimum[instance]
    reach = (highest - low) * _PART_OF_RANGE
    daily = 0.25 + 0.12 * np.sin(2 * np.pi * (second / DAY_S - 0.375))
    trades = day.day.weekday() < 5
    in_session = np.logical_or.reduce([(second >= begin) & (second < end) for begin, end in _SESSIONS_S])
    share = daily + 0.35 * (in_session & trades) + rng.uniform(-0.1, 0.1, len(second))
    return np.asarray(np.round(low + reach * share, 6))


def _befall(
    befalls: npt.NDArray[np.str_], step: Ints, value: Floats, observed: Ints, day: BusinessDay
) -> dict[str, Ints]:
    """Change points in place; returns the points at which each thing is told."""
    struck: dict[str, Ints] = {}
    for name in _BEFALLS:
        own = befalls == name
        first = np.flatnonzero(own & (step == _BEGINS))
        if not len(first) or (name in _NEED_HISTORY and day.ordinal % 7 != _WEEKDAY_OF_THEM):
            continue
        within = own & (step >= _BEGINS) & (step < _ENDS)
        of_series = np.flatnonzero(own).reshape(-1, _POINTS)
        if name == "sample_flat_line":
            value[within] = np.repeat(value[first], _ENDS - _BEGINS)
        elif name == "short_plateau":
            plateau = own & (step >= _BEGINS) & (step < _BEGINS + 5)
            value[plateau] = np.repeat(value[first], 5)
        elif name == "sample_clock_step":
            observed[own & (step >= _BEGINS)] -= 2400
        elif name == "sample_counter_reset":
            value[of_series[:, _BEGINS:]] -= value[of_series[:, _BEGINS - 1]][:, None]
        elif name == "sample_out_of_band":
            value[first] *= 40
        elif name == "sample_level_shift":
            value[within] *= 25
        elif name == "sample_unit_jump":
            value[within] *= 1000
        struck[name] = np.flatnonzero(own & (step == _TOLD_AT.get(name, _BEGINS)))
    return struck


def _lost(befalls: npt.NDArray[np.str_], step: Ints) -> Bools:
    """Points that were never sent."""
    outage = (befalls == "sample_gap") & (step >= _BEGINS) & (step < _ENDS)
    return np.asarray(outage | ((befalls == "missing_point") & (step == _BEGINS)))


def _order_of_delivery(befalls: npt.NDArray[np.str_]) -> Ints:
    """Points by time, series by series; one series comes last point first."""
    order = np.arange(len(befalls))
    turned = np.flatnonzero(befalls == "delivered_last_first")
    order[turned] = turned[::-1]
    return order


def _choose_faults(rng: np.random.Generator, points: Ints) -> dict[str, Ints]:
    """Disjoint points per fault, at least two each."""
    order = rng.permutation(points)
    faults: dict[str, Ints] = {}
    start = 0
    for anomaly_type, share in _FAULTS.items():
        count = max(2, round(len(points) * share))
        faults[anomaly_type] = np.sort(order[start : start + count])
        start += count
    return faults
