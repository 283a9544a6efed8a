"""What the CMDB says of each CI: the attributes by which anomalies can have a cause in common.

Belongs here: the delivered items and relations as arrays over the CIs of the estate. Does not belong here: attributes
of the series themselves, and which series lie in a cell (``cells``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from omgov_assets.sample_firm.business_day import Bools, Ints
from omgov_assets.sample_firm.ci_relations import Relation

NO_VALUE = -1
_COLUMNS = {
    "rack": "rack",
    "subnet": "subnet",
    "site": "site_id",
    "support_group": "support_group_id",
    "owner": "owner_id",
    "agent_version": "agent_version",
}
OF_CIS = ("application", "host", "network_device", *_COLUMNS)


@dataclass(frozen=True)
class CiAttributes:
    """Attributes of CIs.

    Attributes:
        codes: by attribute of ``OF_CIS``, an array of CIs × values; ``NO_VALUE`` where there is none. A host may run
            two applications and hang on two network devices; all else has one value at most.
        values: by attribute, the text of each code as the CMDB writes it.
    """

    codes: dict[str, Ints]
    values: dict[str, list[str]]

    def value(self, attribute: str, ci: int) -> str | None:
        """The first value of a CI's attribute."""
        code = int(self.codes[attribute][ci, 0])
        return None if code == NO_VALUE else self.values[attribute][code]

    def cis(self, attribute: str, value: str) -> Ints:
        """The CIs that have a value, ascending."""
        rows, starts, codes = self._sorted[attribute]
        code = codes.get(value)
        return np.empty(0, dtype=np.int64) if code is None else np.sort(rows[starts[code] : starts[code + 1]])

    @cached_property
    def _sorted(self) -> dict[str, tuple[Ints, Ints, dict[str, int]]]:
        """By attribute: the CIs in the order of their values, where each value begins, and the codes."""
        found = {}
        for attribute, codes in self.codes.items():
            rows, columns = np.nonzero(codes != NO_VALUE)
            order = np.argsort(codes[rows, columns], kind="stable")
            ascending = codes[rows, columns][order]
            starts = np.searchsorted(ascending, np.arange(len(self.values[attribute]) + 1))
            found[attribute] = (rows[order], starts, {text: code for code, text in enumerate(self.values[attribute])})
        return found


def ci_attributes(items: pa.Table, listed: Bools, relations: Iterable[Relation]) -> CiAttributes:
    """Attributes of the CIs from their first entries and the relations.

    Args:
        items: configuration items in the order of the estate, one row for each CI.
        listed: which of them the CMDB has; nothing is known of the others.
        relations: rows of ``ci_relations``; those that name a CI that is not there say nothing.
    """
    ids = items["ci_id"].to_pylist()
    classes = dict(zip(ids, items["ci_class"].to_pylist(), strict=True))
    known = {name: number for number, name in enumerate(ids) if listed[number]}
    applications, hosts, devices = _related(known, classes, relations)
    codes = {"application": applications, "host": hosts, "network_device": devices}
    values = dict.fromkeys(codes, ids)
    for attribute, column in _COLUMNS.items():
        texts = np.array([text or "" for text in items[column].to_pylist()])
        distinct, position = np.unique(np.where(listed, texts, ""), return_inverse=True)
        none = distinct[0] == ""
        codes[attribute] = (position - int(none))[:, None].astype(np.int64)
        values[attribute] = distinct[int(none) :].tolist()
    return CiAttributes(codes, values)


def _related(known: dict[str, int], classes: dict[str, str], relations: Iterable[Relation]) -> tuple[Ints, Ints, Ints]:
    """Application, host and network device that each CI belongs to, as positions of CIs."""
    runs_on, hangs_on, applications = defaultdict(set), defaultdict(set), defaultdict(set)
    for source, relation, target in relations:
        if source not in known or target not in known:
            continue
        kinds = (classes[source], relation, classes[target])
        if kinds in {("application", "runs_on", "host"), ("application", "depends_on", "database")}:
            applications[known[target]].add(known[source])
        if kinds[1:] == ("runs_on", "host"):
            runs_on[known[source]].add(known[target])
        if kinds == ("host", "connected_to", "network_device"):
            hangs_on[known[source]].add(known[target])
    # What runs on several hosts stands for none of them.
    host_of = {ci: next(iter(found)) for ci, found in runs_on.items() if len(found) == 1}
    for name, ci in known.items():
        if classes[name] == "application":
            applications[ci] = {ci}
        elif classes[name] == "host":
            host_of[ci] = ci
        elif classes[name] == "network_device":
            hangs_on[ci] = {ci}
        if classes[name] == "database" and ci in host_of:
            hangs_on[ci] = hangs_on.get(host_of[ci], set())
    size = len(classes)
    hosts = {ci: {host} for ci, host in host_of.items()}
    return _positions(applications, size), _positions(hosts, size), _positions(hangs_on, size)


def _positions(found: dict[int, set[int]], size: int) -> Ints:
    width = max((len(numbers) for numbers in found.values()), default=1)
    array = np.full((size, max(1, width)), NO_VALUE, dtype=np.int64)
    for ci, numbers in found.items():
        array[ci, : len(numbers)] = sorted(numbers)
    return array
