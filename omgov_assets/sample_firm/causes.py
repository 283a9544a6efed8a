"""The causes that anomalies of a day have in common: planted ones, and those that lie in the firm's structure.

Belongs here: which cause each anomaly has, and how frequent the anomalies of a cause are in its cell and outside. Does
not belong here: how causes are planted (``planted_causes``), files of the truth (``truth``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from omgov_assets.sample_firm.business_day import Bools, Ints
from omgov_assets.sample_firm.catalogue import load_catalogue
from omgov_assets.sample_firm.cells import Cells, Conditions, as_json
from omgov_assets.sample_firm.ci_attributes import NO_VALUE, OF_CIS, CiAttributes
from omgov_assets.sample_firm.consequences import Anomalous
from omgov_assets.sample_firm.estate import APPLICATION, NETWORK_DEVICE, Estate
from omgov_assets.sample_firm.inventory import NO_CAUSE, Inventory
from omgov_assets.sample_firm.planted_causes import PlantedCause

PLANTED, STRUCTURAL = "planted", "structural"
# The CI itself, by whichever attribute it has.
_ITSELF = "itself"
_COLLECTOR, _DEFINITION, _METRIC, _HOST = ("collector",), ("system", "metric"), ("metric",), ("host",)

# Defects of more than single series: the attributes that describe where they are. A defect of a definition is one of
# all series of its system and standard metric, since no attribute tells definitions of the same metric apart.
_ATTRIBUTES_OF_DEFECT: dict[str, tuple[str, ...]] = {
    "dead_collector": _COLLECTOR,
    "skewed_collector_clock": _COLLECTOR,
    "collector_reports_kilobytes": _COLLECTOR,
    "polling_interval_overridden": _COLLECTOR,
    "rack_never_registered": _COLLECTOR,
    "lossy_link": _COLLECTOR,
    "slice_exported_twice": _COLLECTOR,
    "retired_rack_still_reporting": ("rack",),
    "team_reports_nanoseconds": ("application",),
    "group_without_owners": ("support_group",),
    "departed_owner": ("owner",),
    "forgotten_owner": (_ITSELF,),
    "two_systems_disagree": _HOST,
    "agent_reports_host_as_database": _HOST,
    "template_without_unit": _DEFINITION,
    "ambiguous_unit_spelling": _DEFINITION,
    "copied_definition_unit": _DEFINITION,
    "definition_not_delivered": _DEFINITION,
    "deprecated_metric_still_collected": _METRIC,
    "withdrawn_metric_still_collected": _METRIC,
}
# The same by another name: what the CMDB calls it, or what follows from it.
_SAME_DEFECT = {
    "owner_left": "departed_owner",
    "second_tool_reports_another_unit": "two_systems_disagree",
    "second_tool_polls_differently": "two_systems_disagree",
}
# Fewer anomalies have no cause in common, and a cell in which they are hardly more frequent does not describe it.
_FEWEST_MEMBERS = 2
_LEAST_LIFT = 2.0

_SCHEMA = pa.schema(
    [
        ("cause_id", pa.string()),
        ("kind", pa.string()),
        ("defect", pa.string()),
        ("conditions", pa.string()),
        ("anomaly_type", pa.string()),
        ("instances", pa.int64()),
        ("support", pa.float64()),
        ("rate", pa.float64()),
        ("lift", pa.float64()),
        ("anomalies", pa.int64()),
    ]
)


@dataclass
class _Cause:
    kind: str
    defect: str
    conditions: Conditions
    anomaly_types: set[str] = field(default_factory=set)
    members: int = 0


@dataclass(frozen=True)
class _Delivered:
    """What a system delivered: its cells, which instances were admitted, and the positions of each anomaly type."""

    cells: Cells
    admitted: Bools
    anomalous: dict[str, Ints]
    _any_of: dict[frozenset[str], Bools] = field(default_factory=dict)

    def any_of(self, anomaly_types: frozenset[str]) -> Bools:
        """Which instances have an anomaly of one of the types."""
        if anomaly_types not in self._any_of:
            where = np.zeros(len(self.admitted), dtype=bool)
            for name in anomaly_types & self.anomalous.keys():
                where[self.anomalous[name]] = True
            self._any_of[anomaly_types] = where
        return self._any_of[anomaly_types]


class CausesOfDay:
    """Names the cause of each anomaly of a day and counts what the causes explain."""

    def __init__(
        self,
        estate: Estate,
        ids: Sequence[str],
        inventories: Sequence[Inventory],
        attributes: CiAttributes,
        planted: Sequence[PlantedCause],
    ) -> None:
        """Attributes of the CIs as the CMDB has them on the day."""
        self._estate = estate
        self._attributes = attributes
        self._planted = planted
        self._position = {name: number for number, name in enumerate(ids)}
        self._metric = {
            (inventory.definitions.dialect.system, name): load_catalogue()[metric].name
            for inventory in inventories
            for name, metric in zip(inventory.definitions.names, inventory.definitions.metric.tolist(), strict=True)
        }
        self._causes: dict[str, _Cause] = {}
        self._delivered: list[_Delivered] = []

    def of_instances(self, inventory: Inventory, admitted: Bools, wrong: Sequence[Anomalous]) -> list[np.ndarray]:
        """For each of the anomalies of a system the causes of its instances, ascending; None where there is none."""
        cells = Cells(inventory, self._attributes)
        anomalous: dict[str, list[Ints]] = {}
        causes = []
        for anomaly_type, defect, where in wrong:
            positions = np.flatnonzero(where)
            anomalous.setdefault(anomaly_type, []).append(positions)
            found = np.full(len(positions), None, dtype=object)
            for cause_id, members in (
                *self._planted_in(inventory, cells, anomaly_type, defect, positions),
                *self._structural_in(inventory, cells, defect, positions),
            ):
                found[members] = cause_id
                self._count(cause_id, anomaly_type, len(members))
            causes.append(found)
        together = {anomaly_type: np.concatenate(found) for anomaly_type, found in anomalous.items()}
        self._delivered.append(_Delivered(cells, admitted, together))
        return causes

    def of_subject(self, system: str, dataset: str, anomaly_type: str, key: str, defect: str) -> str | None:
        """The cause of an anomaly of a definition, a CI or an expected instance."""
        attributes = _ATTRIBUTES_OF_DEFECT.get(_SAME_DEFECT.get(defect, defect), ())
        ci = self._position.get(key.split("|")[0])
        if dataset == "metric_definitions" and attributes == _DEFINITION:
            conditions: Conditions = (("system", system), ("metric", self._metric[system, key]))
        elif ci is not None and attributes and dataset in ("configuration_items", "metric_instances"):
            attribute = self._own_attribute(ci) if attributes == (_ITSELF,) else attributes[0]
            value = self._attributes.value(attribute, ci) if attribute in OF_CIS else None
            if value is None or not self._is_described(defect, np.array([ci]))[0]:
                return None
            conditions = ((attribute, value),)
        else:
            return None
        cause_id = self._structural(defect, conditions)
        self._count(cause_id, anomaly_type, 1)
        return cause_id

    def table(self) -> pa.Table:
        """The causes in the order of their identifiers.

        Columns: cause_id; kind (planted, structural); defect; conditions (JSON object of attribute and value);
        anomaly_type (null where several); instances (admitted ones in the cell); support (their part of all); rate (of
        the cell's instances that have the anomaly type, or one of several); lift (rate over the rate outside, null
        where there is none outside); anomalies (of the day with this cause, those of definitions and CIs included).
        """
        total = sum(int(delivered.admitted.sum()) for delivered in self._delivered)
        rows = []
        for cause_id, cause in sorted(self._causes.items()):
            instances, inside, overall = self._occurrences(cause)
            outside = overall - inside
            rate = inside / instances if instances else 0.0
            lift = rate * (total - instances) / outside if outside else None
            if cause.kind == STRUCTURAL and (cause.members < _FEWEST_MEMBERS or not _is_lifted(rate, lift)):
                continue
            (only, *others) = sorted(cause.anomaly_types)
            rows.append(
                {
                    "cause_id": cause_id,
                    "kind": cause.kind,
                    "defect": cause.defect,
                    "conditions": as_json(cause.conditions),
                    "anomaly_type": None if others else only,
                    "instances": instances,
                    "support": instances / total,
                    "rate": rate,
                    "lift": lift,
                    "anomalies": cause.members,
                }
            )
        return pa.Table.from_pylist(rows, _SCHEMA)

    def _planted_in(
        self, inventory: Inventory, cells: Cells, anomaly_type: str, defect: str, positions: Ints
    ) -> Iterator[tuple[str, Ints]]:
        """Planted causes of the anomalies at ``positions``: the cause, and whose (positions in ``positions``)."""
        numbers = inventory.cause[positions]
        for number in np.unique(numbers[numbers != NO_CAUSE]).tolist():
            cause = self._planted[number]
            if (cause.defect, cause.anomaly_type) == (defect, anomaly_type):
                # The CMDB may have moved a CI out of the cell since.
                still = np.isin(positions, cells.positions(cause.conditions))
                members = np.flatnonzero((numbers == number) & still)
                if len(members):
                    self._causes.setdefault(cause.cause_id, _Cause(PLANTED, defect, cause.conditions))
                    yield cause.cause_id, members

    def _structural_in(
        self, inventory: Inventory, cells: Cells, defect: str, positions: Ints
    ) -> Iterator[tuple[str, Ints]]:
        """Structural causes, likewise."""
        attributes = _ATTRIBUTES_OF_DEFECT.get(_SAME_DEFECT.get(defect, defect), ())
        if not attributes or not len(positions):
            return
        ci = inventory.ci[positions]
        described = self._is_described(defect, ci)
        if attributes != (_ITSELF,):
            yield from self._grouped(cells, defect, attributes, positions, described)
            return
        own = np.array([self._own_attribute(int(number)) for number in ci])
        for attribute in np.unique(own).tolist():
            yield from self._grouped(cells, defect, (attribute,), positions, described & (own == attribute))

    def _grouped(
        self, cells: Cells, defect: str, attributes: tuple[str, ...], positions: Ints, described: Bools
    ) -> Iterator[tuple[str, Ints]]:
        """One cause for each combination of values."""
        codes = np.column_stack([cells.codes(attribute, positions)[:, 0] for attribute in attributes])
        members = np.flatnonzero(described & (codes != NO_VALUE).all(axis=1))
        found, which = np.unique(codes[members], axis=0, return_inverse=True)
        order = np.argsort(which, kind="stable")
        ends = np.cumsum(np.bincount(which, minlength=len(found)))
        for values, of_cause in zip(found.tolist(), np.split(members[order], ends[:-1]), strict=False):
            named = zip(attributes, values, strict=True)
            yield self._structural(defect, tuple((name, cells.value(name, code)) for name, code in named)), of_cause

    def _structural(self, defect: str, conditions: Conditions) -> str:
        root = _SAME_DEFECT.get(defect, defect)
        cause_id = f"{root}:{'|'.join(value for _, value in conditions)}"
        self._causes.setdefault(cause_id, _Cause(STRUCTURAL, root, conditions))
        return cause_id

    def _count(self, cause_id: str, anomaly_type: str, members: int) -> None:
        self._causes[cause_id].anomaly_types.add(anomaly_type)
        self._causes[cause_id].members += members

    def _is_described(self, defect: str, ci: Ints) -> Bools:
        """CIs whose attributes say what is behind a defect: a group that does not exist says nothing of its owners."""
        return ~self._estate.unknown_group[ci] if defect == "group_without_owners" else np.ones(len(ci), dtype=bool)

    def _own_attribute(self, ci: int) -> str:
        return {APPLICATION: "application", NETWORK_DEVICE: "network_device"}.get(
            int(self._estate.ci_class[ci]), "host"
        )

    def _occurrences(self, cause: _Cause) -> tuple[int, int, int]:
        """Instances in the cell, those of them with an anomaly of the cause's types, and those of all instances."""
        instances, inside, overall = 0, 0, 0
        for delivered in self._delivered:
            anomalous = delivered.any_of(frozenset(cause.anomaly_types))
            cell = delivered.cells.positions(cause.conditions)
            cell = cell[delivered.admitted[cell]]
            instances += len(cell)
            inside += int(anomalous[cell].sum())
            overall += int(anomalous.sum())
        return instances, inside, overall


def _is_lifted(rate: float, lift: float | None) -> bool:
    return rate > 0 if lift is None else lift >= _LEAST_LIFT
