"""Expected series that no business system reports, CIs that only look as if some were missing, and CIs out of service
of which some are reported.

Belongs here: the baseline against what the systems report on a day, over all systems. Does not belong here: which
agents lack what (``estate``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from omgov_assets.sample_firm.business_day import Bools, BusinessDay
from omgov_assets.sample_firm.catalogue import BASELINE, CI_CLASSES
from omgov_assets.sample_firm.consequences import refused
from omgov_assets.sample_firm.dialects import DIALECTS
from omgov_assets.sample_firm.estate import APPLICATION, Estate
from omgov_assets.sample_firm.inventory import Inventory
from omgov_assets.sample_firm.profiles import Profiles
from omgov_assets.sample_firm.truth import Truth

_ANOMALY_TYPE = "missing_baseline_metric"
_KIND = "expected_instance"
_RETIRED = "retired_rack_still_reporting"
_MOST = max(len(metrics) for metrics in BASELINE.values())


class BaselineDay:
    """Collects what the systems report of the baseline on a day.

    The series of a class's baseline are the first of its slots; the arrays are over systems, CIs and these slots.
    """

    def __init__(self, estate: Estate, ids: list[str], day: BusinessDay) -> None:
        """Nothing is reported yet."""
        size = len(ids)
        self._estate = estate
        self._ids = ids
        self._day = day
        self._monitored = np.zeros((len(DIALECTS), size), dtype=bool)
        self._reported = np.zeros((len(DIALECTS), size, _MOST), dtype=bool)
        slot = np.arange(_MOST)
        required = np.where(estate.reports_as == estate.ci_class, estate.required, _sizes(estate))
        bound = ~estate.retired(day) & ~estate.never_registered
        self._expected: Bools = bound[:, None] & (slot < required[:, None])

    def add(self, number: int, inventory: Inventory, profiles: Profiles) -> None:
        """Take in what the ``number``-th system reports; records that no contract admits report nothing."""
        estate, admitted = self._estate, ~refused(profiles)
        ci, slot = inventory.ci[admitted], inventory.slot[admitted]
        self._monitored[number, ci] = True
        # An agent of another class reports the series of that class.
        of_baseline = (slot < _MOST) & (estate.reports_as[ci] == estate.ci_class[ci])
        self._reported[number, ci[of_baseline], slot[of_baseline]] = True

    def tell(self, truth: Truth, not_in_use: Sequence[tuple[str, str]]) -> None:
        """Add what is missing, and what only seems to be; ``not_in_use`` are silent hosts with their status."""
        missing = self._expected & ~self._reported.any(axis=0)
        for number, dialect in enumerate(DIALECTS):
            where = missing & self._monitored[number, :, None]
            truth.add(dialect.system, "metric_instances", self._rows(where), _KIND)
        anybody = self._monitored.any(axis=0, keepdims=True).T
        truth.add("cmdb", "configuration_items", self._rows(missing & ~anybody), _KIND)
        retired = self._estate.retired(self._day) & ~self._estate.never_registered & self._monitored.any(axis=0)
        truth.add(
            "cmdb",
            "configuration_items",
            (("ci_decommissioned_reporting", self._ids[ci], _RETIRED) for ci in np.flatnonzero(retired).tolist()),
        )
        self._tell_look_alikes(truth, not_in_use)

    def _tell_look_alikes(self, truth: Truth, not_in_use: Sequence[tuple[str, str]]) -> None:
        by_any = self._reported.any(axis=0)
        tier_1_only = np.arange(_MOST) == 1
        lower_tier = (self._estate.ci_class == APPLICATION) & (self._estate.tier > 1)
        for number, dialect in enumerate(DIALECTS):
            here = self._monitored[number, :, None]
            elsewhere = self._expected & here & ~self._reported[number] & by_any
            exempt = lower_tier[:, None] & tier_1_only & here & ~by_any
            alike = [
                *(("baseline_reported_elsewhere", _ANOMALY_TYPE, key) for key, _, _ in self._keys(elsewhere)),
                *(("application_of_a_lower_tier", _ANOMALY_TYPE, key) for key, _, _ in self._keys(exempt)),
            ]
            truth.add_look_alikes(dialect.system, "metric_instances", alike, _KIND)
        idle = [
            (f"{status}_without_baseline", _ANOMALY_TYPE, f"{ci_id}|{metric}")
            for ci_id, status in not_in_use
            for metric in BASELINE["host"]
        ]
        truth.add_look_alikes("cmdb", "configuration_items", idle, _KIND)

    def _rows(self, where: Bools) -> Iterator[tuple[str, str, str]]:
        estate = self._estate
        for key, ci, slot in self._keys(where):
            if estate.never_onboarded[ci]:
                defect = "ci_never_onboarded"
            elif estate.reports_as[ci] != estate.ci_class[ci]:
                defect = "agent_reports_host_as_database"
            elif slot >= estate.required[ci] - estate.lacking[ci]:
                defect = "agent_without_baseline"
            else:
                defect = "unusable_record"
            yield _ANOMALY_TYPE, key, defect

    def _keys(self, where: Bools) -> Iterator[tuple[str, int, int]]:
        """Subject key, CI and slot of each of the chosen series."""
        for ci, slot in np.argwhere(where).tolist():
            metric = BASELINE[CI_CLASSES[self._estate.ci_class[ci]]][slot]
            yield f"{self._ids[ci]}|{metric}", ci, slot


def _sizes(estate: Estate) -> np.ndarray:
    return np.array([len(BASELINE[name]) for name in CI_CLASSES])[estate.ci_class]
