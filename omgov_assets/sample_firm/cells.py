"""Cells: the metric instances of a system that have the same values of a few attributes.

Belongs here: attributes of instances as codes, and which instances lie in a cell. Does not belong here: attributes of
CIs (``ci_attributes``), what is wrong in a cell (``planted_causes``, ``causes``).
"""

from __future__ import annotations

import json
from functools import cached_property, reduce

import numpy as np

from omgov_assets.sample_firm.business_day import Ints
from omgov_assets.sample_firm.catalogue import load_catalogue
from omgov_assets.sample_firm.ci_attributes import NO_VALUE, OF_CIS, CiAttributes
from omgov_assets.sample_firm.dialects import DIALECTS
from omgov_assets.sample_firm.inventory import Inventory

ATTRIBUTES = ("system", "metric", "collector", *OF_CIS)

# Attribute and value, at most three, in the order of ``ATTRIBUTES``.
Conditions = tuple[tuple[str, str], ...]


def as_json(conditions: Conditions) -> str:
    """Conditions as a JSON object: attribute to value, keys sorted, no spaces."""
    return json.dumps(dict(conditions), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


class Cells:
    """The instances of a system by their attributes, which for CIs are those that the CMDB has on a day."""

    def __init__(self, inventory: Inventory, attributes: CiAttributes) -> None:
        """Attributes of all CIs."""
        self._inventory = inventory
        self._attributes = attributes
        self._values = {
            "system": [dialect.system for dialect in DIALECTS],
            "metric": [metric.name for metric in load_catalogue() if metric.standard],
            "collector": inventory.collector_names,
            **attributes.values,
        }
        self._system = self._values["system"].index(inventory.definitions.dialect.system)

    def codes(self, attribute: str, positions: Ints) -> Ints:
        """Codes of some instances as an array of instances × values; ``NO_VALUE`` where there is none.

        Codes of collectors are the system's own, all others the firm's.
        """
        inventory = self._inventory
        if attribute == "system":
            return np.full((len(positions), 1), self._system)
        if attribute == "collector":
            return inventory.collector[positions, None]
        if attribute == "metric":
            # Custom metrics stand behind the standard ones.
            metric = inventory.metric[positions, None]
            return np.where(metric < len(self._values["metric"]), metric, NO_VALUE)
        return self._attributes.codes[attribute][inventory.ci[positions]]

    def value(self, attribute: str, code: int) -> str:
        """Text of a code."""
        return self._values[attribute][code]

    def positions(self, conditions: Conditions) -> Ints:
        """The instances of this system in a cell, ascending."""
        of_cis = [self._attributes.cis(*condition) for condition in conditions if condition[0] in OF_CIS]
        inside = self._of_cis(reduce(np.intersect1d, of_cis)) if of_cis else np.arange(len(self._inventory))
        for attribute, value in conditions:
            if attribute not in OF_CIS:
                code = self._values[attribute].index(value) if value in self._values[attribute] else None
                inside = inside[self.codes(attribute, inside)[:, 0] == code] if code is not None else inside[:0]
        return inside

    @cached_property
    def _by_ci(self) -> tuple[Ints, Ints]:
        """The instances in the order of their CIs, and where those of each CI begin."""
        order = np.argsort(self._inventory.ci, kind="stable")
        cis = len(self._attributes.codes["rack"])
        return order, np.searchsorted(self._inventory.ci[order], np.arange(cis + 1))

    def _of_cis(self, cis: Ints) -> Ints:
        order, starts = self._by_ci
        sizes = starts[cis + 1] - starts[cis]
        offsets = np.repeat(starts[cis] - np.cumsum(sizes) + sizes, sizes)
        return np.sort(order[offsets + np.arange(int(sizes.sum()))])
