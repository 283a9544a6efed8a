"""The metric instances of the firm: which series each system collects, and what is wrong with single series.

Belongs here: what stays from day to day, as arrays over instances. Does not belong here: what a series did on
a day (``profiles``), defects of racks and CIs (``estate``) or of definitions (``definitions``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from omgov_assets.sample_firm.business_day import Bools, Ints, Schedule
from omgov_assets.sample_firm.catalogue import CI_CLASSES, current_slots, load_catalogue, slots_of_class
from omgov_assets.sample_firm.definitions import COPIED_TYPE, OTHER_UNIT, SOUND, Definitions
from omgov_assets.sample_firm.dialects import DIALECTS
from omgov_assets.sample_firm.estate import APPLICATION, CONTRADICTIONS, HOST, NO_OLD_SERIES, Estate, Floats

NOTHING = 0
NO_CAUSE = -1
# Single defects and look-alikes of series: share of all instances. An instance has at most one.
SERIES_DEFECTS = {
    "stuck_sensor": 0.0060,
    "broken_aggregation": 0.0032,
    "sensor_glitch": 0.0036,
    "registered_but_silent": 0.0032,
    "parser_drops_attribute": 0.0050,
    "agent_drops_unit": 0.0026,
    "agent_mixes_units_up": 0.0026,
    "unusable_record": 0.0003,
}
SERIES_LOOK_ALIKES = {
    "idle_weekend_host": 0.0010,
    "value_at_the_bound": 0.0010,
    "small_clock_skew": 0.0010,
    "other_spelling_of_the_unit": 0.0020,
    "counter_reset": 0.0010,
    "created_this_afternoon": 0.0020,
}
TRAIT = {name: code for code, name in enumerate((*SERIES_DEFECTS, *SERIES_LOOK_ALIKES), start=1)}
# Two systems write times and numbers as text, so that they can write nonsense.
SYSTEMS_WITH_UNUSABLE_RECORDS = ("securities_trading", "asset_management")

ALONE, FIRST_OF_TWO, SECOND_OF_TWO = range(3)
_SHARE_OF_SECOND_SYSTEM = 0.6
_MORE_THAN_SLOTS = 1 << 12
# One of them at least is prime to the number of slots, so that a walk by it comes back only after all of them.
_STEPS = (37, 41, 43, 47)


@dataclass(frozen=True)
class Inventory:
    """Instances of one system, in the order of delivery.

    Attributes:
        ci: position in the estate. slot: position in the slots of the class that the CI reports as.
        metric: position in the catalogue. definition: position in the system's definitions.
        sharing: whether another system watches the same series.
        trait: single defect or look-alike by ``TRAIT``, 0 if none; ``schedule`` says on which days.
        cause: position among the planted causes of the one that the trait comes from, else -1.
        collector: number of the collector within the system; ``collector_names`` has its name.
        contradicts: position in ``CONTRADICTIONS`` of what this instance does differently from the other
            system's.
        contradicted: the same for the other side of it.
        level: where within its usual range the series lives, 0 to 1. created_s: age of the series in seconds.
    """

    definitions: Definitions
    ci: Ints
    slot: Ints
    metric: Ints
    definition: Ints
    sharing: Ints
    trait: Ints
    schedule: Schedule
    cause: Ints
    collector: Ints
    collector_names: list[str]
    contradicts: Ints
    contradicted: Ints
    level: Floats
    created_s: Ints

    def __len__(self) -> int:
        return len(self.ci)


def build_inventories(
    rng: np.random.Generator, estate: Estate, definitions: list[Definitions], instances: int
) -> list[Inventory]:
    """One inventory per system, ``instances`` in all."""
    first_counts, second_counts = _series_per_ci(estate, instances)
    inventories = [
        _build_inventory(rng, estate, definitions[number], number, first_counts, second_counts)
        for number in range(len(DIALECTS))
    ]
    return _mark_contradicted(estate, inventories)


def _series_per_ci(estate: Estate, instances: int) -> tuple[Ints, Ints]:
    """How many series each CI has in its system and in the second one of shared hosts."""
    old = estate.old_series != NO_OLD_SERIES
    onboarded = ~estate.never_onboarded
    room = np.where(onboarded, _current_slots(estate.reports_as) - estate.lacking, 0)
    fewest = np.where(onboarded, estate.required + old, 0)
    shared = estate.second_system >= 0
    load = estate.weight * (1 + _SHARE_OF_SECOND_SYSTEM * shared)
    exact = estate.weight / load.sum() * instances
    first = np.clip(np.floor(exact).astype(np.int64), fewest, room)
    second = np.where(shared, np.maximum(fewest, (first * _SHARE_OF_SECOND_SYSTEM).astype(np.int64)), 0)
    while (missing := instances - int(first.sum() + second.sum())) != 0:
        step = 1 if missing > 0 else -1
        adjustable = np.flatnonzero(~shared & ((first < room) if step > 0 else (first > fewest)))
        if len(adjustable) == 0:
            raise ValueError(f"{instances} instances do not fit this estate: its CIs hold {int(first.sum())}")
        first[adjustable[: abs(missing)]] += step
    return first, second


def _build_inventory(
    rng: np.random.Generator,
    estate: Estate,
    definitions: Definitions,
    system: int,
    first_counts: Ints,
    second_counts: Ints,
) -> Inventory:
    own = np.flatnonzero(estate.system == system)
    own = own[np.lexsort((own, estate.rack[own]))]
    visited = np.flatnonzero(estate.second_system == system)
    cis = np.concatenate([own, visited])
    counts = np.concatenate([first_counts[own], second_counts[visited]])
    ci = np.repeat(cis, counts)
    position = np.arange(len(ci)) - np.repeat(np.cumsum(counts) - counts, counts)
    second = np.repeat(np.arange(len(cis)) >= len(own), counts)
    delivered = estate.required[ci] - np.where(second & estate.second_complete[ci], 0, estate.lacking[ci])
    slot = _slots(estate, ci, position, delivered)
    last = position == np.repeat(counts, counts) - 1
    old = last & (estate.old_series[ci] != NO_OLD_SERIES)
    slot = np.where(old, _current_slots(estate.reports_as[ci]) + estate.old_series[ci], slot)
    metric = _metric_of_slot()[estate.reports_as[ci], slot]

    sharing = np.where(second, SECOND_OF_TWO, ALONE)
    walked_by_second = (
        second_counts[ci] - estate.required[ci] + np.where(estate.second_complete[ci], 0, estate.lacking[ci])
    )
    in_second = np.where(position < delivered, position < second_counts[ci], position - delivered < walked_by_second)
    twin = ~second & (estate.second_system[ci] >= 0) & in_second
    sharing[twin] = FIRST_OF_TWO
    on_shared_host = estate.second_system[ci] >= 0
    variants = definitions.variants[metric]
    custom = ~np.array([m.standard for m in load_catalogue()])[metric]
    choice = (estate.offset[ci] // 7919) % variants
    definition = definitions.first[metric] + np.where(on_shared_host & ~custom, 0, choice)

    collector, names = _collectors(estate, definitions, cis, counts, len(own))
    inventory = Inventory(
        definitions=definitions,
        ci=ci,
        slot=slot,
        metric=metric,
        definition=definition,
        sharing=sharing,
        trait=_draw_traits(rng, estate, definitions, ci, metric, definition, on_shared_host),
        schedule=Schedule.draw(rng, len(ci), first_is_permanent=False),
        cause=np.full(len(ci), NO_CAUSE),
        collector=collector,
        collector_names=names,
        contradicts=np.where(second, _contradiction(estate, ci, metric), 0),
        contradicted=np.zeros(len(ci), dtype=np.int64),
        level=rng.random(len(ci)),
        created_s=rng.integers(0, 300 * 86400, len(ci)),
    )
    return _keep_first_of_each_trait(inventory)


def _keep_first_of_each_trait(inventory: Inventory) -> Inventory:
    for code in TRAIT.values():
        inventory.schedule.transient[np.flatnonzero(inventory.trait == code)[:2]] = False
    return inventory


def _slots(estate: Estate, ci: Ints, position: Ints, delivered: Ints) -> Ints:
    """A CI's slots: the delivered ones of the baseline, then a walk through the others of its class.

    The walk has a start of its own for each CI, and no repetition.
    """
    required = estate.required[ci]
    size = _current_slots(estate.reports_as[ci]) - required
    step = np.select([size % prime > 0 for prime in _STEPS], _STEPS)
    walked = required + (estate.offset[ci] + (position - delivered) * step) % size
    slot: Ints = np.where(position < delivered, position, walked)
    return slot


def _current_slots(reports_as: Ints) -> Ints:
    return np.array([current_slots(name) for name in CI_CLASSES])[reports_as]


def _metric_of_slot() -> Ints:
    """Metric by class and slot."""
    slots = [slots_of_class(name) for name in CI_CLASSES]
    table = np.zeros((len(slots), max(map(len, slots))), dtype=np.int64)
    for row, of_class in enumerate(slots):
        table[row, : len(of_class)] = [slot.metric for slot in of_class]
    return table


def _collectors(estate: Estate, definitions: Definitions, cis: Ints, counts: Ints, own: int) -> tuple[Ints, list[str]]:
    """One collector per rack, per five applications, and per ten hosts of other systems."""
    rank = np.arange(len(cis))
    application = estate.ci_class[cis] == APPLICATION
    key = np.where(
        rank >= own,
        2_000_000_000 + (rank - own) // 10,
        np.where(application, 1_000_000_000 + rank // 5, estate.rack[cis]),
    )
    keys, number = np.unique(key, return_inverse=True)
    code = definitions.dialect.code
    names = [
        f"{code}-prx-{k + 1:04d}" if k < 1_000_000_000 else f"{code}-{'apm' if k < 2_000_000_000 else 'ext'}-{i:04d}"
        for i, k in enumerate(keys)
    ]
    return np.repeat(number, counts), names


def _draw_traits(
    rng: np.random.Generator,
    estate: Estate,
    definitions: Definitions,
    ci: Ints,
    metric: Ints,
    definition: Ints,
    on_shared_host: Bools,
) -> Ints:
    shares = np.array(list({**SERIES_DEFECTS, **SERIES_LOOK_ALIKES}.values()))
    drawn = rng.random(len(ci))
    trait = np.searchsorted(np.cumsum(shares), drawn, side="right") + 1
    trait = np.where(trait > len(shares), NOTHING, trait)
    allowed = allowed_traits(definitions)[metric, np.where(trait == NOTHING, 0, trait)]
    sound_unit = np.isin(definitions.kind[definition], [SOUND, OTHER_UNIT, COPIED_TYPE])
    alters = np.isin(trait, [TRAIT[name] for name in _ALTERING])
    allowed &= ~alters | (sound_unit & ~on_shared_host)
    application_only = trait == TRAIT["created_this_afternoon"]
    allowed &= ~application_only | (estate.ci_class[ci] == APPLICATION)
    host_only = trait == TRAIT["idle_weekend_host"]
    allowed &= ~host_only | (estate.reports_as[ci] == HOST)
    trait = np.where(allowed, trait, NOTHING)
    if definitions.dialect.system in SYSTEMS_WITH_UNUSABLE_RECORDS:
        trait[rng.permutation(np.flatnonzero((trait == NOTHING) & ~on_shared_host))[:3]] = TRAIT["unusable_record"]
    return trait


# What changes unit, attributes or identity stays off shared hosts, and off definitions without a sound unit.
_ALTERING = (
    "parser_drops_attribute",
    "agent_drops_unit",
    "agent_mixes_units_up",
    "unusable_record",
    "other_spelling_of_the_unit",
    "created_this_afternoon",
    "value_at_the_bound",
)


def allowed_traits(definitions: Definitions) -> Bools:
    """Which trait makes sense for which metric, as an array of metrics × traits."""
    catalogue = load_catalogue()
    table = np.zeros((len(catalogue), len(TRAIT) + 1), dtype=bool)
    for row, metric in enumerate(catalogue):
        bounded = metric.unit != "1" and (metric.valid_min is not None or metric.valid_max is not None)
        allowed = {
            "stuck_sensor": metric.varies,
            "broken_aggregation": True,
            "sensor_glitch": bounded,
            "registered_but_silent": True,
            "parser_drops_attribute": bool(metric.required_attributes),
            "agent_drops_unit": metric.unit != "1",
            "agent_mixes_units_up": True,
            "unusable_record": definitions.dialect.system in SYSTEMS_WITH_UNUSABLE_RECORDS,
            "idle_weekend_host": metric.unit == "%" and metric.varies,
            "value_at_the_bound": metric.unit == "%" and metric.valid_max == 100,
            "small_clock_skew": metric.interval_s in (60, 300),
            "other_spelling_of_the_unit": definitions.dialect.second_spelling(metric.unit) is not None,
            "counter_reset": metric.instrument == "counter" and metric.varies,
            "created_this_afternoon": bool(metric.required_attributes),
        }
        for name, code in TRAIT.items():
            table[row, code] = allowed[name] and metric.standard
    return table


def _contradiction(estate: Estate, ci: Ints, metric: Ints) -> Ints:
    """What the second system of a shared host does differently, where the metric allows it."""
    catalogue = load_catalogue()
    standard = np.array([m.standard for m in catalogue])[metric]
    convertible = np.array([m.unit in {"By", "By/s", "bit/s", "ms", "%"} for m in catalogue])[metric]
    has_attributes = np.array([bool(m.required_attributes) for m in catalogue])[metric]
    kind = estate.contradiction[ci]
    fits = np.where(
        kind == CONTRADICTIONS.index("unit"),
        convertible,
        np.where(kind == CONTRADICTIONS.index("attributes"), has_attributes, True),
    )
    return np.where(standard & fits & (kind > 0), kind, 0)


def _mark_contradicted(estate: Estate, inventories: list[Inventory]) -> list[Inventory]:
    """Find, for each contradicting instance, the other system's side of it."""
    attributes = CONTRADICTIONS.index("attributes")
    marked = [inventory.contradicted.copy() for inventory in inventories]
    metrics = len(load_catalogue())
    for inventory in inventories:
        chosen = np.flatnonzero(inventory.contradicts > 0)
        for number, other in enumerate(inventories):
            mine = chosen[estate.system[inventory.ci[chosen]] == number]
            if len(mine) == 0:
                continue
            theirs = np.flatnonzero(np.isin(other.ci, inventory.ci[mine]) & (other.sharing != SECOND_OF_TWO))
            series = mine[inventory.contradicts[mine] != attributes]
            kinds = dict(zip(_key(inventory, series), inventory.contradicts[series], strict=True))
            keys = _key(other, theirs)
            hit = np.isin(keys, list(kinds))
            marked[number][theirs[hit]] = [kinds[key] for key in keys[hit]]
            # Another set of attributes contradicts every series of the metric on the CI.
            series = mine[inventory.contradicts[mine] == attributes]
            pairs = np.unique(inventory.ci[series] * metrics + inventory.metric[series])
            marked[number][theirs[np.isin(other.ci[theirs] * metrics + other.metric[theirs], pairs)]] = attributes
    return [replace(inventory, contradicted=flags) for inventory, flags in zip(inventories, marked, strict=True)]


def _key(inventory: Inventory, positions: Ints) -> Ints:
    return inventory.ci[positions] * _MORE_THAN_SLOTS + inventory.slot[positions]
