"""What follows from the planted defects: the anomalies of a system's instances on a day, and the look-alikes.

Belongs here: for each defect the anomaly types it brings about, given what else holds for the instance. Does
not belong
here: files of the truth (``truth``).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from omgov_assets.sample_firm.business_day import Bools, BusinessDay, Ints
from omgov_assets.sample_firm.catalogue import CI_CLASSES, load_catalogue
from omgov_assets.sample_firm.definitions import COPIED_UNIT, NO_INTERVAL, NO_UNIT, NOT_DELIVERED, SOUND
from omgov_assets.sample_firm.estate import CONTRADICTIONS, RACK_DEFECT, Estate
from omgov_assets.sample_firm.inventory import SECOND_OF_TWO, TRAIT, Inventory
from omgov_assets.sample_firm.profiles import (
    CONVERTIBLE_UNITS,
    INCOMPATIBLE,
    KILO,
    MISSING,
    OTHER,
    UNKNOWN,
    USUAL,
    Profiles,
)

Anomalous = tuple[str, str, Bools]
_RETIRED = ("deprecated", "withdrawn")


def refused(profiles: Profiles) -> Bools:
    """Instances whose record no contract admits: nothing else can be said of them."""
    where: Bools = profiles.trait == TRAIT["unusable_record"]
    return where


def exported_twice(profiles: Profiles) -> Ints:
    """Positions of the instances whose records stand in the delivery a second time, behind all others."""
    return np.flatnonzero((profiles.rack_defect == RACK_DEFECT["slice_exported_twice"]) & ~refused(profiles))


def anomalies_of_instances(
    estate: Estate, inventory: Inventory, profiles: Profiles, day: BusinessDay
) -> Iterator[Anomalous]:
    """Anomaly type, defect, and which instances; an instance comes up once per anomaly type."""
    admitted = ~refused(profiles)
    for anomaly_type, defect, where in (
        *_of_values(inventory, profiles),
        *_of_units(inventory, profiles),
        *_of_names(estate, inventory),
        *_of_retired_metrics(inventory, day),
        *_of_cis(estate, inventory, day),
        *_of_contradictions(inventory),
        *_of_times(profiles, day),
    ):
        yield anomaly_type, defect, where & admitted
    twice = np.zeros(len(inventory), dtype=bool)
    twice[exported_twice(profiles)] = True
    yield "duplicate_instance", "slice_exported_twice", twice


def look_alikes_of_instances(
    inventory: Inventory, profiles: Profiles, day: BusinessDay, sound: Bools
) -> Iterator[Anomalous]:
    """Kind, the anomaly type it looks like, and which of the ``sound`` instances."""
    catalogue = load_catalogue()
    trait = profiles.trait
    one = np.array([metric.unit == "1" for metric in catalogue])[inventory.metric]
    may_be_negative = np.array(
        [metric.standard and (metric.valid_min is None or metric.valid_min < 0) for metric in catalogue]
    )[inventory.metric]
    alike = (inventory.sharing == SECOND_OF_TWO) & (inventory.contradicts == 0) & ~_custom(inventory)
    few = inventory.created_s % 97 == 0
    yield (
        "idle_weekend_host",
        "flat_line",
        sound & (trait == TRAIT["idle_weekend_host"]) & (profiles.distinct > 1),
    )
    yield (
        "value_at_the_bound",
        "value_out_of_range",
        (sound & (trait == TRAIT["value_at_the_bound"]) & (profiles.maximum == 100) & (profiles.unit == USUAL)),
    )
    yield "small_clock_skew", "future_timestamp", sound & (trait == TRAIT["small_clock_skew"])
    yield (
        "other_spelling_of_the_unit",
        "unit_mismatch",
        sound & (trait == TRAIT["other_spelling_of_the_unit"]),
    )
    yield "counter_reset", "value_out_of_range", sound & (trait == TRAIT["counter_reset"])
    yield "created_this_afternoon", "low_sample_count", sound & (trait == TRAIT["created_this_afternoon"])
    yield "constant_gauge", "flat_line", sound & few & (profiles.distinct == 1) & (profiles.count >= 24)
    yield "negative_value", "value_out_of_range", sound & few & may_be_negative & (profiles.minimum < 0)
    yield "shared_host_alike", "unit_conflict", sound & few & alike
    yield "dimensionless_without_unit", "unit_missing", sound & few & one & (profiles.spelling == 0)
    yield "slow_daily_metric", "stale_instance", sound & few & _is_slow(profiles)
    for retired in _RETIRED:
        in_grace = np.array(
            [m.retired == retired and m.is_retired(day.day) and not m.is_over(day.day) for m in catalogue]
        )
        yield f"{retired}_within_grace", f"{retired}_metric_in_use", sound & in_grace[inventory.metric]


def _is_slow(profiles: Profiles) -> Bools:
    where: Bools = (profiles.interval_s == 86400) & (profiles.last_s >= 0) & (profiles.expected < 0.25)
    return where


def _of_values(inventory: Inventory, profiles: Profiles) -> Iterator[Anomalous]:
    convertible = np.isin(profiles.unit, CONVERTIBLE_UNITS) & ~_custom(inventory)
    beyond = profiles.out_of_range & convertible
    yield "value_out_of_range", "team_reports_nanoseconds", beyond & profiles.wrong_scale
    yield "value_out_of_range", "sensor_glitch", beyond & ~profiles.wrong_scale
    yield "flat_line", "stuck_sensor", profiles.stuck
    yield "profile_inconsistent", "broken_aggregation", profiles.wrong_mean
    dropped = profiles.trait == TRAIT["parser_drops_attribute"]
    yield "attribute_missing", "parser_drops_attribute", dropped
    lossy = (profiles.rack_defect == RACK_DEFECT["lossy_link"]) & (np.nan_to_num(profiles.expected) >= 12)
    yield "low_sample_count", "lossy_link", lossy


def _of_units(inventory: Inventory, profiles: Profiles) -> Iterator[Anomalous]:
    kind = inventory.definitions.kind[inventory.definition]
    dimensionless = np.array([metric.unit == "1" for metric in load_catalogue()])[inventory.metric]
    missing = (profiles.unit == MISSING) & ~dimensionless & ~_custom(inventory)
    yield "unit_missing", "template_without_unit", missing & (kind == NO_UNIT)
    yield "unit_missing", "agent_drops_unit", missing & (kind != NO_UNIT)
    yield "unit_unknown", "ambiguous_unit_spelling", profiles.unit == UNKNOWN
    yield "unit_incompatible", "agent_mixes_units_up", profiles.unit == INCOMPATIBLE
    # The unit is sound in itself and so is the definition's, yet they are two.
    convertible = np.isin(profiles.unit, CONVERTIBLE_UNITS) & (profiles.spelling > 0)
    yield "unit_mismatch", "copied_definition_unit", convertible & (kind == COPIED_UNIT)
    # KB is reported only where the definition would have it otherwise.
    delivered = kind != NOT_DELIVERED
    yield "unit_mismatch", "collector_reports_kilobytes", (profiles.unit == KILO) & delivered
    contradicts = (profiles.unit == OTHER) & (inventory.contradicts == CONTRADICTIONS.index("unit"))
    yield "unit_mismatch", "second_tool_reports_another_unit", contradicts & (kind == SOUND)
    overridden = profiles.interval_overridden & delivered & (kind != NO_INTERVAL)
    by_collector = profiles.rack_defect == RACK_DEFECT["polling_interval_overridden"]
    yield "interval_mismatch", "polling_interval_overridden", overridden & by_collector
    yield "interval_mismatch", "second_tool_polls_differently", overridden & ~by_collector


def _of_names(estate: Estate, inventory: Inventory) -> Iterator[Anomalous]:
    kind = inventory.definitions.kind[inventory.definition]
    yield "undefined_metric", "definition_not_delivered", kind == NOT_DELIVERED
    fits = np.array([[name in metric.ci_classes for metric in load_catalogue()] for name in CI_CLASSES])
    known = ~estate.never_registered[inventory.ci] & ~_custom(inventory)
    misplaced = known & ~fits[estate.ci_class[inventory.ci], inventory.metric]
    yield "ci_class_mismatch", "agent_reports_host_as_database", misplaced


def _of_retired_metrics(inventory: Inventory, day: BusinessDay) -> Iterator[Anomalous]:
    for retired in _RETIRED:
        over = np.array([m.retired == retired and m.is_over(day.day) for m in load_catalogue()])
        yield f"{retired}_metric_in_use", f"{retired}_metric_still_collected", over[inventory.metric]


def _of_cis(estate: Estate, inventory: Inventory, day: BusinessDay) -> Iterator[Anomalous]:
    ci = inventory.ci
    unknown = estate.never_registered[ci]
    yield "unknown_ci", "rack_never_registered", unknown
    in_group = estate.owner[ci] < 0
    forgotten = estate.forgotten_owner[ci]
    yield "owner_missing", "group_without_owners", in_group & ~unknown
    yield "owner_missing", "forgotten_owner", forgotten & ~in_group & ~unknown
    yield "owner_inactive", "departed_owner", estate.owner_left[ci] & ~forgotten & ~unknown
    yield "decommissioned_ci", "retired_rack_still_reporting", estate.retired(day)[ci]


def _of_contradictions(inventory: Inventory) -> Iterator[Anomalous]:
    for code, name in enumerate(CONTRADICTIONS):
        if code > 0:
            anomaly_type = {"unit": "unit_conflict", "interval": "interval_conflict"}.get(name, "attribute_conflict")
            sides = (inventory.contradicts == code) | (inventory.contradicted == code)
            yield anomaly_type, "two_systems_disagree", sides


def _of_times(profiles: Profiles, day: BusinessDay) -> Iterator[Anomalous]:
    reported = profiles.last_s >= 0
    dead = profiles.rack_defect == RACK_DEFECT["dead_collector"]
    yield (
        "stale_instance",
        "dead_collector",
        (dead & reported & (profiles.last_s < day.end_s - 2 * profiles.interval_s)),
    )
    skewed = profiles.rack_defect == RACK_DEFECT["skewed_collector_clock"]
    yield (
        "future_timestamp",
        "skewed_collector_clock",
        (skewed & reported & (profiles.last_s > day.end_s + profiles.interval_s)),
    )
    yield "never_reported", "registered_but_silent", ~reported


def _custom(inventory: Inventory) -> Bools:
    return inventory.definitions.custom[inventory.definition]
