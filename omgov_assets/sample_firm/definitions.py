"""The metric definitions of a business system, and what is wrong with them.

A system defines each metric once per product that it comes from (a *variant*). Variant 0 is always sound:
hosts that two systems watch use it, so that they contradict each other only where that is planted. Does not
belong here: the series of a definition (``inventory``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from omgov_assets.sample_firm.business_day import Bools, Ints
from omgov_assets.sample_firm.catalogue import Metric, load_catalogue
from omgov_assets.sample_firm.dialects import DIALECTS, Dialect, incompatible_unit, unknown_spelling
from omgov_assets.sample_firm.wording import display_name

SOUND = 0
OTHER_UNIT = 1
OTHER_INTERVAL = 2
NO_UNIT = 3
UNKNOWN_UNIT = 4
COPIED_UNIT = 5
NO_INTERVAL = 6
NOT_DELIVERED = 7
DELIVERED_TWICE = 8
COPIED_TYPE = 9

# Share of a system's definitions; the first two are legitimate.
_SHARES = {
    OTHER_UNIT: 0.08,
    OTHER_INTERVAL: 0.05,
    NO_UNIT: 0.0025,
    UNKNOWN_UNIT: 0.0025,
    COPIED_UNIT: 0.0022,
    NO_INTERVAL: 0.003,
    NOT_DELIVERED: 0.0032,
    DELIVERED_TWICE: 0.003,
    COPIED_TYPE: 0.002,
}
_SHARE_CUSTOM = 0.015
_OTHER_INTERVAL_S = {15: 30, 60: 30, 300: 600, 3600: 1800, 86400: 43200}

FAULTS = {
    NO_UNIT: (("definition_unit_missing", "template_without_unit"),),
    UNKNOWN_UNIT: (("definition_unit_unknown", "ambiguous_unit_spelling"),),
    COPIED_UNIT: (("definition_unit_incompatible", "copied_definition_unit"),),
    NO_INTERVAL: (("definition_interval_missing", "interval_not_entered"),),
    DELIVERED_TWICE: (("definition_duplicate", "definition_entered_twice"),),
    # Variant 0 of every other system has the standard's types.
    COPIED_TYPE: (("definition_type_conflict", "copied_type"),),
}


@dataclass(frozen=True)
class Definitions:
    """Definitions of one system, as arrays; metric ``m`` has ``variants[m]`` of them from ``first[m]`` on."""

    dialect: Dialect
    metric: Ints
    variant: Ints
    kind: Ints
    first: Ints
    variants: Ints
    names: list[str]

    @property
    def interval_s(self) -> Ints:
        """Interval that holds for the series of each definition."""
        catalogue = load_catalogue()
        usual = np.array([metric.interval_s for metric in catalogue])[self.metric]
        other = np.array([_OTHER_INTERVAL_S[metric.interval_s] for metric in catalogue])[self.metric]
        return np.where(self.kind == OTHER_INTERVAL, other, usual)

    @property
    def custom(self) -> Bools:
        """Definitions that no standard metric stands behind."""
        return np.array([not metric.standard for metric in load_catalogue()])[self.metric]


def define_metrics(rng: np.random.Generator, dialect: Dialect, definitions: int) -> Definitions:
    """About ``share * definitions`` definitions; never fewer than one per metric.

    The largest system has each fault at least once; in a small firm the others do without the rare ones.
    """
    catalogue = load_catalogue()
    standard = [position for position, metric in enumerate(catalogue) if metric.standard]
    custom = [position for position, metric in enumerate(catalogue) if not metric.standard]
    wanted = round(dialect.share * definitions)
    custom_count = max(len(custom), round(wanted * _SHARE_CUSTOM))
    extra = max(2 * len(_SHARES), wanted - len(standard) - custom_count)

    variants = np.zeros(len(catalogue), dtype=np.int64)
    variants[standard] = 1
    variants[custom] = np.bincount(np.arange(custom_count) % len(custom), minlength=len(custom))
    for _ in range(extra // len(standard)):
        variants[standard] += 1
    variants[rng.permutation(standard)[: extra % len(standard)]] += 1

    metric = np.repeat(np.arange(len(catalogue)), variants)
    first = np.cumsum(variants) - variants
    variant = np.arange(len(metric)) - first[metric]
    kind = _spread_kinds(rng, dialect, metric, variant)
    names = [dialect.source_metric(catalogue[m], int(v)) for m, v in zip(metric, variant, strict=True)]
    return Definitions(dialect, metric, variant, kind, first, variants, names)


def definition_rows(definitions: Definitions) -> pa.Table:
    """The definitions as delivered, in neutral terms; ``exports`` turn them into the system's own."""
    intervals = definitions.interval_s
    rows = [
        _row(definitions, position, int(intervals[position]))
        for position, kind in enumerate(definitions.kind)
        for _ in range(2 if kind == DELIVERED_TWICE else 1)
        if kind != NOT_DELIVERED
    ]
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


def definition_faults(definitions: Definitions) -> Iterator[tuple[str, str, str]]:
    """Anomaly type, source metric and defect of everything wrong with the delivered definitions."""
    custom = definitions.custom
    for position, name in enumerate(definitions.names):
        for anomaly_type, defect in FAULTS.get(int(definitions.kind[position]), ()):
            yield anomaly_type, name, defect
        if custom[position]:
            yield "unmapped_metric", name, "metric_outside_the_standard"


def definition_look_alikes(definitions: Definitions) -> Iterator[tuple[str, str, str]]:
    """Kind, anomaly type resembled and source metric of definitions that only look wrong."""
    catalogue = load_catalogue()
    dialect = definitions.dialect
    for position in np.flatnonzero(definitions.kind == SOUND):
        metric = catalogue[definitions.metric[position]]
        name = definitions.names[position]
        if metric.unit == "1" and dialect.writes_one is None:
            yield "dimensionless_without_unit", "definition_unit_missing", name
        elif name in dialect.same_names.values():
            yield "same_name_in_two_systems", "definition_duplicate", name


def _spread_kinds(rng: np.random.Generator, dialect: Dialect, metric: Ints, variant: Ints) -> Ints:
    catalogue = load_catalogue()
    kind = np.zeros(len(metric), dtype=np.int64)
    fewest = 1 if dialect is DIALECTS[0] else 0
    free = [int(p) for p in rng.permutation(len(metric)) if variant[p] > 0 and catalogue[metric[p]].standard]
    for code, share in sorted(_SHARES.items(), key=lambda item: item[1]):
        eligible = [p for p in free if _can_be(code, dialect, catalogue[metric[p]])]
        chosen = eligible[: max(fewest, round(len(metric) * share))]
        kind[chosen] = code
        free = [position for position in free if kind[position] == SOUND]
    return kind


def _can_be(code: int, dialect: Dialect, metric: Metric) -> bool:
    if code == OTHER_UNIT:
        return metric.unit in dialect.others
    return code in _OF_ANY_UNIT or metric.unit != "1"


_OF_ANY_UNIT = (OTHER_INTERVAL, NOT_DELIVERED, DELIVERED_TWICE, NO_INTERVAL, COPIED_TYPE)
_OTHER_INSTRUMENT = {"gauge": "counter", "counter": "gauge"}
_OTHER_VALUE_TYPE = {"int": "double", "double": "int"}


def _types(metric: Metric, position: int, kind: int) -> tuple[str, str]:
    """Instrument and value type; a definition copied from another metric's has one of them wrong."""
    if kind != COPIED_TYPE:
        return metric.instrument, metric.value_type
    if position % 2 and metric.instrument in _OTHER_INSTRUMENT:
        return _OTHER_INSTRUMENT[metric.instrument], metric.value_type
    return metric.instrument, _OTHER_VALUE_TYPE[metric.value_type]


_SCHEMA = pa.schema(
    [
        ("source_metric", pa.string()),
        ("display_name", pa.string()),
        ("description", pa.string()),
        ("source_unit", pa.string()),
        ("instrument", pa.string()),
        ("value_type", pa.string()),
        ("interval_s", pa.int64()),
        ("valid_min", pa.float64()),
        ("valid_max", pa.float64()),
        ("ci_class", pa.string()),
        ("status", pa.string()),
    ]
)


def _row(definitions: Definitions, position: int, interval_s: int) -> dict[str, object]:
    metric = load_catalogue()[definitions.metric[position]]
    dialect = definitions.dialect
    kind = int(definitions.kind[position])
    component = dialect.component(int(definitions.variant[position]))
    unit, factor = dialect.spelling(metric.unit), 1.0
    if kind == OTHER_UNIT:
        unit, factor = dialect.others[metric.unit].spelling, dialect.others[metric.unit].factor
    elif kind == NO_UNIT:
        unit = None
    elif kind == UNKNOWN_UNIT:
        unit = unknown_spelling(metric.unit)
    elif kind == COPIED_UNIT:
        unit = dialect.spelling(incompatible_unit(metric.unit))
    instrument, value_type = _types(metric, position, kind)
    return {
        "source_metric": definitions.names[position],
        "display_name": display_name(component, metric.name),
        "description": f"{metric.name.replace('.', ' ').replace('_', ' ')} of {component}",
        "source_unit": unit,
        "instrument": instrument,
        "value_type": value_type,
        "interval_s": None if kind == NO_INTERVAL else interval_s,
        "valid_min": None if metric.valid_min is None else metric.valid_min / factor,
        "valid_max": None if metric.valid_max is None else metric.valid_max / factor,
        "ci_class": metric.ci_classes[0],
        "status": "active",
    }
