"""Points of a few series, and what is wrong with single points.

Does not belong here: the series themselves (``inventory``) or formats (``landing``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from omgov_assets.sample_firm.business_day import DAY_S, BusinessDay, Ints
from omgov_assets.sample_firm.inventory import NOTHING, Inventory
from omgov_assets.sample_firm.profiles import Profiles
from omgov_assets.sample_firm.records import Identities

_POINTS = 96
_STEP_S = 900
_SHARE_OF_INSTANCES = 0.0005
_FEWEST_INSTANCES = 4
_FAULTS = {"sample_value_missing": 0.01, "sample_duplicate": 0.005, "sample_outside_day": 0.005}
DEFECTS = {
    "sample_value_missing": "gap_written_as_empty",
    "sample_duplicate": "point_sent_twice",
    "sample_outside_day": "point_of_the_next_day",
}


@dataclass(frozen=True)
class Samples:
    """Points in the order of delivery.

    Attributes:
        instance: position of each point's instance in the inventory.
        observed_s: epoch seconds. records: the points in neutral terms.
        faults: anomaly type to the points that have it (positions among the points sent once).
    """

    instance: Ints
    observed_s: Ints
    records: pa.Table
    faults: dict[str, Ints]


def sample_day(
    rng: np.random.Generator,
    inventory: Inventory,
    profiles: Profiles,
    identities: Identities,
    day: BusinessDay,
) -> Samples:
    """A point every 15 minutes of a few series that have nothing else wrong with them."""
    chosen = _choose_instances(inventory, profiles)
    instance = np.repeat(chosen, _POINTS)
    step = np.tile(np.arange(_POINTS), len(chosen))
    observed = day.start_s + step * _STEP_S + np.repeat(inventory.created_s[chosen] % 600, _POINTS)
    low, high = profiles.minimum[instance], profiles.maximum[instance]
    value = np.round(low + (high - low) * rng.random(len(instance)), 3)

    faults = _choose_faults(rng, len(instance))
    observed[faults["sample_outside_day"]] += DAY_S
    missing = np.zeros(len(instance), dtype=bool)
    missing[faults["sample_value_missing"]] = True
    columns = {name: column.take(pa.array(instance)) for name, column in identities.columns().items()}
    once = pa.table({**columns, "observed_s": pa.array(observed), "value": pa.array(value, mask=missing)})
    records = pa.concat_tables([once, once.take(pa.array(faults["sample_duplicate"]))])
    return Samples(instance, observed, records, faults)


def _choose_instances(inventory: Inventory, profiles: Profiles) -> Ints:
    """The same series every day, those aside that report nothing."""
    count = max(_FEWEST_INSTANCES, round(len(inventory) * _SHARE_OF_INSTANCES))
    often = inventory.definitions.interval_s[inventory.definition] <= _STEP_S
    sound = np.flatnonzero((inventory.trait == NOTHING) & often & ~np.isnan(profiles.minimum))
    return sound[np.linspace(0, len(sound) - 1, count).astype(np.int64)]


def _choose_faults(rng: np.random.Generator, points: int) -> dict[str, Ints]:
    """Disjoint points per fault, at least two each."""
    order = rng.permutation(points)
    faults: dict[str, Ints] = {}
    start = 0
    for anomaly_type, share in _FAULTS.items():
        count = max(2, round(points * share))
        faults[anomaly_type] = np.sort(order[start : start + count])
        start += count
    return faults
