"""What each series did on a day: unit, interval, times and values as the system reports them.

Belongs here: the day's arrays over the instances of one system, defects worked in. Does not belong here: what
follows from the defects (``consequences``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from omgov_assets.sample_firm.business_day import HISTORY_BEGINS, Bools, BusinessDay, Ints
from omgov_assets.sample_firm.catalogue import load_catalogue
from omgov_assets.sample_firm.definitions import COPIED_UNIT, NO_UNIT, OTHER_UNIT, UNKNOWN_UNIT
from omgov_assets.sample_firm.dialects import KILOBYTES, Dialect, incompatible_unit, unknown_spelling
from omgov_assets.sample_firm.estate import (
    CONTRADICTIONS,
    NO_RACK_DEFECT,
    RACK_DEFECT,
    Estate,
    Floats,
)
from omgov_assets.sample_firm.inventory import NOTHING, SECOND_OF_TWO, TRAIT, Inventory
from omgov_assets.sample_firm.racks import NO_RACK

# How the unit of an instance relates to its metric's unit.
USUAL, SECOND_SPELLING, OTHER, KILO, MISSING, UNKNOWN, INCOMPATIBLE = range(7)
CONVERTIBLE_UNITS = (USUAL, SECOND_SPELLING, OTHER, KILO)

FASTER_OR_SLOWER_S = {
    15: 30,
    30: 60,
    60: 120,
    300: 900,
    600: 300,
    1800: 3600,
    3600: 1800,
    43200: 86400,
    86400: 43200,
}
# Times of day at which collectors die, well off any multiple of an interval.
_DEATH_S = np.array([9 * 3600 + 1051, 13 * 3600 + 2533, 16 * 3600 + 347])
_CLOCK_SKEW_S = 3 * 3600


@dataclass(frozen=True)
class Profiles:
    """Arrays over the instances of a system on a day. Values are in the unit reported; NaN where there is
    none.

    Attributes:
        rack_defect: defect of the collector's rack that shows today. trait: single defect that shows today.
        unit: how the unit relates to the metric's. spelling: position in ``spellings``; the first one is
            None.
        out_of_range, wrong_mean, stuck: where the profile was falsified so.
        last_s, first_s: epoch seconds; -1 if the series never reported.
    """

    rack_defect: Ints
    trait: Ints
    unit: Ints
    spelling: Ints
    spellings: list[str | None]
    interval_s: Ints
    interval_overridden: Bools
    first_s: Ints
    last_s: Ints
    expected: Floats
    count: Ints
    minimum: Floats
    maximum: Floats
    mean: Floats
    distinct: Ints
    out_of_range: Bools
    wrong_scale: Bools
    wrong_mean: Bools
    stuck: Bools


def profile_day(rng: np.random.Generator, estate: Estate, inventory: Inventory, day: BusinessDay) -> Profiles:
    """What the system reports of each instance on the day."""
    trait = np.where(inventory.schedule.shows(day), inventory.trait, NOTHING)
    rack_defect = _rack_defects_today(estate, inventory, day)
    unit = _units(inventory, trait, rack_defect)
    spelling, spellings, factor = _spell(inventory.definitions.dialect, inventory.metric, unit)
    interval_s, overridden = _intervals(inventory, rack_defect)
    first_s, last_s = _times(rng, estate, inventory, day, trait, rack_defect, interval_s)
    window_s = np.minimum(last_s, day.end_s) - np.maximum(first_s, day.start_s)
    expected = np.where(last_s < 0, np.nan, window_s / interval_s)
    count = _counts(rng, expected, last_s, day, rack_defect)
    values = _values(rng, estate, inventory, trait, unit, factor, count)
    silent = last_s < 0
    return Profiles(
        rack_defect=rack_defect,
        trait=trait,
        unit=unit,
        spelling=spelling,
        spellings=spellings,
        interval_s=interval_s,
        interval_overridden=overridden,
        first_s=np.where(silent, -1, first_s),
        last_s=last_s,
        expected=expected,
        count=count,
        **values,
    )


def _rack_defects_today(estate: Estate, inventory: Inventory, day: BusinessDay) -> Ints:
    """Defects sit in the rack's own collector; a second system brings its own."""
    today = np.where(estate.rack_schedule.shows(day), estate.rack_defect, NO_RACK_DEFECT)
    rack = estate.rack[inventory.ci]
    return np.where((rack == NO_RACK) | (inventory.sharing == SECOND_OF_TWO), NO_RACK_DEFECT, today[rack])


def _units(inventory: Inventory, trait: Ints, rack_defect: Ints) -> Ints:
    kind = inventory.definitions.kind[inventory.definition]
    in_bytes = np.array([metric.unit == "By" and metric.standard for metric in load_catalogue()])[inventory.metric]
    kilobytes = (rack_defect == RACK_DEFECT["collector_reports_kilobytes"]) & in_bytes
    plain = ~np.isin(kind, [OTHER_UNIT, NO_UNIT, UNKNOWN_UNIT])
    return np.select(
        [
            trait == TRAIT["agent_drops_unit"],
            trait == TRAIT["agent_mixes_units_up"],
            inventory.contradicts == CONTRADICTIONS.index("unit"),
            kind == NO_UNIT,
            kind == UNKNOWN_UNIT,
            kilobytes & plain & (kind != COPIED_UNIT),
            kind == OTHER_UNIT,
            trait == TRAIT["other_spelling_of_the_unit"],
        ],
        [MISSING, INCOMPATIBLE, OTHER, MISSING, UNKNOWN, KILO, OTHER, SECOND_SPELLING],
        USUAL,
    )


def _spell(dialect: Dialect, metric: Ints, unit: Ints) -> tuple[Ints, list[str | None], Floats]:
    """Spelling of each unit, and the factor by which a reported value is the value in the metric's unit."""
    catalogue = load_catalogue()
    spellings: list[str | None] = [None]
    number = np.zeros((len(catalogue), INCOMPATIBLE + 1), dtype=np.int64)
    factor = np.ones((len(catalogue), INCOMPATIBLE + 1))
    for row, known in enumerate(catalogue):
        other = dialect.others.get(known.unit)
        written = {
            USUAL: dialect.spelling(known.unit),
            SECOND_SPELLING: dialect.second_spelling(known.unit),
            OTHER: other.spelling if other else None,
            KILO: KILOBYTES.spelling,
            MISSING: None,
            UNKNOWN: unknown_spelling(known.unit),
            INCOMPATIBLE: dialect.spelling(incompatible_unit(known.unit)),
        }
        for code, text in written.items():
            if text not in spellings:
                spellings.append(text)
            number[row, code] = spellings.index(text)
        factor[row, KILO] = KILOBYTES.factor
        factor[row, OTHER] = other.factor if other else 1.0
    return number[metric, unit], spellings, factor[metric, unit]


def _intervals(inventory: Inventory, rack_defect: Ints) -> tuple[Ints, Bools]:
    usual = inventory.definitions.interval_s[inventory.definition]
    known, position = np.unique(usual, return_inverse=True)
    other = np.array([FASTER_OR_SLOWER_S[int(seconds)] for seconds in known])[position]
    overridden = (rack_defect == RACK_DEFECT["polling_interval_overridden"]) | (
        inventory.contradicts == CONTRADICTIONS.index("interval")
    )
    return np.where(overridden, other, usual), overridden


def _times(
    rng: np.random.Generator,
    estate: Estate,
    inventory: Inventory,
    day: BusinessDay,
    trait: Ints,
    rack_defect: Ints,
    interval_s: Ints,
) -> tuple[Ints, Ints]:
    size = len(inventory)
    lag = (rng.random(size) * interval_s).astype(np.int64)
    last = day.end_s - lag
    last = np.where(trait == TRAIT["small_clock_skew"], day.end_s + interval_s // 2, last)
    last = np.where(rack_defect == RACK_DEFECT["skewed_collector_clock"], day.end_s + _CLOCK_SKEW_S - lag, last)
    racks = np.arange(len(estate.rack_site))
    died = estate.rack_schedule.began_s(day) + _DEATH_S[racks % len(_DEATH_S)]
    dead = rack_defect == RACK_DEFECT["dead_collector"]
    last = np.where(dead, died[estate.rack[inventory.ci]] - np.minimum(lag, 600), last)
    first = BusinessDay(HISTORY_BEGINS).start_s + inventory.created_s
    afternoon = day.start_s + 13 * 3600 + inventory.created_s % (4 * 3600)
    first = np.where((trait == TRAIT["created_this_afternoon"]) & ~dead, afternoon, first)
    return first, np.where(trait == TRAIT["registered_but_silent"], -1, last)


def _counts(rng: np.random.Generator, expected: Floats, last_s: Ints, day: BusinessDay, rack_defect: Ints) -> Ints:
    wanted = np.nan_to_num(np.maximum(expected, 0.0))
    count = np.floor(wanted * rng.uniform(0.965, 1.0, len(wanted))).astype(np.int64)
    count = np.maximum(count, (last_s >= day.start_s).astype(np.int64))
    lossy = (rack_defect == RACK_DEFECT["lossy_link"]) & (wanted >= 12)
    return np.where(lossy, np.floor(wanted * 0.2).astype(np.int64), count)


def _values(
    rng: np.random.Generator,
    estate: Estate,
    inventory: Inventory,
    trait: Ints,
    unit: Ints,
    factor: Floats,
    count: Ints,
) -> dict[str, np.ndarray]:
    catalogue = load_catalogue()
    size = len(inventory)

    def of_metric(values: list[float] | list[bool]) -> np.ndarray:
        return np.array(values)[inventory.metric]

    lowest, highest = (
        of_metric([m.typical_min for m in catalogue]),
        of_metric([m.typical_max for m in catalogue]),
    )
    upper = of_metric([np.nan if m.valid_max is None else m.valid_max for m in catalogue])
    lower = of_metric([np.nan if m.valid_min is None else m.valid_min for m in catalogue])
    varies = of_metric([m.varies for m in catalogue])
    whole = of_metric([m.value_type == "int" for m in catalogue])

    span = highest - lowest
    minimum = lowest + span * inventory.level * 0.6
    maximum = minimum + (highest - minimum) * rng.uniform(0.1, 0.9, size)
    share = rng.uniform(0.3, 0.6, size)

    idle = trait == TRAIT["idle_weekend_host"]
    minimum, maximum = np.where(idle, 0.0, minimum), np.where(idle, 0.4, maximum)
    minimum = np.where(trait == TRAIT["counter_reset"], 0.0, minimum)
    maximum = np.where((trait == TRAIT["value_at_the_bound"]) & (unit == USUAL), 100.0, maximum)
    glitch = trait == TRAIT["sensor_glitch"]
    nanoseconds = of_metric([m.unit == "ms" and m.standard for m in catalogue]) & estate.nanosecond_team[inventory.ci]
    wrong_scale = nanoseconds & (trait == NOTHING)
    too_high = (glitch | wrong_scale) & ~np.isnan(upper)
    with np.errstate(invalid="ignore"):
        maximum = np.where(too_high, np.where(wrong_scale, maximum * 1e6 + upper * 2, upper * 1.4), maximum)
        too_low = glitch & np.isnan(upper)
        minimum = np.where(too_low, lower - (0.05 * highest + 1), minimum)
    mean = minimum + (maximum - minimum) * share

    distinct = np.minimum(count, 2 + (rng.random(size) * np.maximum(count - 1, 0)).astype(np.int64))
    steady = ~varies & (rng.random(size) < 0.6) & ~too_low & ~too_high & (trait == NOTHING)
    stuck = (trait == TRAIT["stuck_sensor"]) & (count >= 24)
    distinct = np.where((steady | stuck) & (count > 0), 1, distinct)
    one = distinct == 1
    # A single value cannot be both usual and impossible: it is the impossible one where there is one.
    single = np.where(too_high, maximum, np.where(too_low, minimum, mean))
    minimum, maximum, mean = (np.where(one, single, v) for v in (minimum, maximum, mean))

    usual = np.isin(unit, [USUAL, SECOND_SPELLING])
    reported = [_round(value / factor, usual, whole) for value in (minimum, maximum, mean)]
    wrong_mean = (trait == TRAIT["broken_aggregation"]) & (count > 0)
    reported[2] = np.where(wrong_mean, np.round(np.abs(reported[1]) * 1.25 + 1, 3), reported[2])
    empty = count == 0
    minimum, maximum, mean = (np.where(empty, np.nan, value) for value in reported)
    return {
        "minimum": minimum,
        "maximum": maximum,
        "mean": mean,
        "distinct": distinct,
        "out_of_range": (too_high | too_low) & ~empty,
        "wrong_scale": wrong_scale,
        "wrong_mean": wrong_mean,
        "stuck": stuck,
    }


def _round(values: Floats, usual: Bools, whole: Bools) -> Floats:
    """Digits as tools write them; a greater unit needs more of them, or small values would vanish."""
    return np.where(whole & usual, np.rint(values), np.where(usual, np.round(values, 3), np.round(values, 9)))
