"""The records of a system's deliveries in neutral terms, as Arrow tables; ``exports`` turn them into the
system's own.

Belongs here: texts for the codes of ``inventory`` and ``profiles``. Does not belong here: formats
(``landing``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from omgov_assets.sample_firm.business_day import BusinessDay, Ints
from omgov_assets.sample_firm.catalogue import CI_CLASSES, canonical, slots_of_class
from omgov_assets.sample_firm.consequences import exported_twice, refused
from omgov_assets.sample_firm.estate import CONTRADICTIONS, Estate
from omgov_assets.sample_firm.inventory import TRAIT, Inventory
from omgov_assets.sample_firm.profiles import Profiles

_AS_IS, _RENAMED, _EXTENDED, _OF_TODAY = range(4)
_CI_PREFIXES = ("APP", "HOST", "DB", "NET")

Attributes = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Identities:
    """What identifies each instance of a system today: dictionary columns over the instances."""

    source_metric: pa.Array
    ci_id: pa.Array
    attributes: pa.Array
    attributes_text: pa.Array

    def columns(self) -> dict[str, pa.Array]:
        """The columns by name."""
        return dict(vars(self))


def ci_ids(estate: Estate) -> list[str]:
    """Identifier of each CI."""
    return [
        f"{_CI_PREFIXES[ci_class]}-{number:06d}"
        for ci_class, number in zip(estate.ci_class, estate.number, strict=True)
    ]


def identify(estate: Estate, ids: pa.Array, inventory: Inventory, profiles: Profiles, day: BusinessDay) -> Identities:
    """Names, CIs and attributes of the day's instances."""
    sets, position = _attribute_sets(estate, inventory, profiles, day)
    texts = [";".join(f"{key}={value}" for key, value in attributes) or None for attributes in sets]
    return Identities(
        source_metric=_dictionary(inventory.definition, pa.array(inventory.definitions.names)),
        ci_id=_dictionary(inventory.ci, ids),
        attributes=_dictionary(position, pa.array([canonical(attributes) for attributes in sets])),
        attributes_text=_dictionary(position, pa.array(texts)),
    )


def instance_records(inventory: Inventory, profiles: Profiles, identities: Identities) -> pa.Table:
    """The records of ``metric_instances`` as delivered; the second export of a slice comes last."""
    never = profiles.last_s < 0
    table = pa.table(
        {
            **identities.columns(),
            "source_unit": _dictionary(profiles.spelling, pa.array(profiles.spellings, pa.string())),
            "interval_s": pa.array(profiles.interval_s),
            "collector": _dictionary(inventory.collector, pa.array(inventory.collector_names)),
            "first_s": pa.array(profiles.first_s, mask=never),
            "last_s": pa.array(profiles.last_s, mask=never),
            "sample_count": pa.array(profiles.count, mask=never),
            "sample_min": pa.array(profiles.minimum, from_pandas=True),
            "sample_max": pa.array(profiles.maximum, from_pandas=True),
            "sample_mean": pa.array(profiles.mean, from_pandas=True),
            "sample_distinct": pa.array(profiles.distinct, mask=never),
            "unusable": pa.array(refused(profiles)),
        }
    )
    again = exported_twice(profiles)
    return pa.concat_tables([table, table.take(pa.array(again))]) if len(again) else table


def _attribute_sets(
    estate: Estate, inventory: Inventory, profiles: Profiles, day: BusinessDay
) -> tuple[list[Attributes], Ints]:
    """The distinct attribute sets, and each instance's position among them."""
    slots = [slot.attributes for name in CI_CLASSES for slot in slots_of_class(name)]
    sizes = np.array([len(slots_of_class(name)) for name in CI_CLASSES])
    starts = np.cumsum(sizes) - sizes
    variant = np.select(
        [
            profiles.trait == TRAIT["parser_drops_attribute"],
            inventory.contradicts == CONTRADICTIONS.index("attributes"),
            profiles.trait == TRAIT["created_this_afternoon"],
        ],
        [_RENAMED, _EXTENDED, _OF_TODAY],
        _AS_IS,
    )
    sets = [_varied(attributes, code, day) for code in range(4) for attributes in slots]
    return sets, variant * len(slots) + starts[estate.reports_as[inventory.ci]] + inventory.slot


def _varied(attributes: Attributes, variant: int, day: BusinessDay) -> Attributes:
    if not attributes or variant == _AS_IS:
        return attributes
    (key, value), *rest = attributes
    if variant == _RENAMED:
        return ((f"{key}_name", value), *rest)
    if variant == _EXTENDED:
        return (*attributes, ("tool", "second"))
    return ((key, f"{value}-{day.day:%m%d}"), *rest)


def _dictionary(positions: Ints, values: pa.Array) -> pa.Array:
    """A dictionary column; a null among ``values`` stays a null."""
    indices = positions.astype(np.int32)
    if values.null_count:
        return pa.DictionaryArray.from_arrays(pa.array(indices, mask=np.array(values.is_null())[indices]), values)
    return pa.DictionaryArray.from_arrays(pa.array(indices), values)
