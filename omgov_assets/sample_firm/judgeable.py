"""What can be judged on a day on which a delivery is missing, and what is then found instead.

Belongs here: which deliveries each anomaly type needs, as a person at the firm would say it. Does not belong here:
which deliveries are missing (``incidents``).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from omgov_assets.sample_firm.dialects import DIALECTS

SYSTEMS = tuple(dialect.system for dialect in DIALECTS)
NOT_DELIVERED, DERIVATION_BLOCKED, REFUSED = "not_delivered", "derivation_blocked", "refused_record"
DERIVED = "derived"

# Metrics that the firm derives from what all systems deliver: a number over a part of the firm would be wrong. The
# inventory says in which unit points are.
DERIVED_FROM = {
    "db.transaction.rollback.utilization": ("metric_instances",),
    "system.saturation": ("metric_samples", "metric_instances"),
    "trading.order.latency.p99": ("metric_samples", "metric_instances"),
}

_ITEMS, _OWNERS, _GROUPS = "cmdb/configuration_items", "cmdb/owners", "cmdb/support_groups"
_OWN_DEFINITIONS, _ALL_INSTANCES = "own/metric_definitions", "all/metric_instances"
# Beside the delivery that the subject is in. Whether systems agree is known only where all of them say something.
_NEEDS: dict[tuple[str, str], tuple[str, ...]] = {
    ("metric_definitions", "definition_type_conflict"): ("all/metric_definitions",),
    ("metric_instances", "undefined_metric"): (_OWN_DEFINITIONS,),
    ("metric_instances", "interval_mismatch"): (_OWN_DEFINITIONS,),
    ("metric_instances", "unit_mismatch"): (_OWN_DEFINITIONS,),
    ("metric_instances", "unknown_ci"): (_ITEMS,),
    ("metric_instances", "decommissioned_ci"): (_ITEMS,),
    ("metric_instances", "ci_class_mismatch"): (_ITEMS,),
    ("metric_instances", "owner_missing"): (_ITEMS,),
    ("metric_instances", "owner_inactive"): (_ITEMS, _OWNERS),
    ("metric_instances", "unit_conflict"): (_ALL_INSTANCES,),
    ("metric_instances", "interval_conflict"): (_ALL_INSTANCES,),
    ("metric_instances", "attribute_conflict"): (_ALL_INSTANCES,),
    # Any system may report what another one lacks.
    ("metric_instances", "missing_baseline_metric"): (_ITEMS, _ALL_INSTANCES),
    ("configuration_items", "missing_baseline_metric"): (_ALL_INSTANCES,),
    ("configuration_items", "ci_decommissioned_reporting"): (_ALL_INSTANCES,),
    ("configuration_items", "ci_group_unknown"): (_GROUPS,),
    ("configuration_items", "ci_owner_unknown"): (_OWNERS,),
    ("configuration_items", "ci_owner_inactive"): (_OWNERS,),
    ("configuration_items", "ci_unrelated"): ("cmdb/ci_relations",),
    ("ci_relations", "relation_ci_unknown"): (_ITEMS,),
    ("ci_relations", "relation_class_mismatch"): (_ITEMS,),
}
# What one defect needs and others of the same anomaly type do not.
_NEEDS_OF_DEFECT = {"owner_moved": (_OWNERS, _GROUPS)}
# Of deliveries and models themselves something can be said on every day.
_ALWAYS = (NOT_DELIVERED, DERIVATION_BLOCKED)


@dataclass(frozen=True)
class Deliveries:
    """The deliveries of a day: all but those that are ``missing`` (system, dataset)."""

    missing: frozenset[tuple[str, str]] = field(default_factory=frozenset)

    def has(self, system: str, dataset: str) -> bool:
        """Whether a system delivered a dataset."""
        return (system, dataset) not in self.missing

    def can_judge(self, system: str, dataset: str, anomaly_type: str, defect: str = "") -> bool:
        """Whether all is there that tells whether a subject of a dataset has an anomaly."""
        if anomaly_type in _ALWAYS or not self.missing:
            return True
        needed = (*_NEEDS.get((dataset, anomaly_type), ()), *_NEEDS_OF_DEFECT.get(defect, ()))
        return self.has(system, dataset) and all(
            self.has(each, name)
            for owner, name in (need.split("/") for need in needed)
            for each in {"own": (system,), "all": SYSTEMS}.get(owner, (owner,))
        )

    def blocked_metrics(self) -> tuple[tuple[str, str], ...]:
        """Metrics that cannot be derived, each with the dataset that it would be a part of."""
        lacking = {dataset for system, dataset in self.missing if system in SYSTEMS}
        return tuple((name, needed[0]) for name, needed in DERIVED_FROM.items() if lacking & set(needed))
