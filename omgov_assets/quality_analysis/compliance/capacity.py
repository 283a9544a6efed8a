"""Check of capacity: that a business system carries so many times the highest load it ever had.

Capacity is what people declare of a load test; the peak is what the lake holds. Does not belong here: deriving loads
(``data_management.derivation``).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omgov_assets.data_lake.sql import read_sql
from omgov_assets.model_management.compliance_rules import CapacityClause, CapacityParameters
from omgov_assets.model_management.standard_metrics import StandardMetric
from omgov_assets.quality_analysis.compliance.verdicts import EVERYTHING, Evidence, Verdict, counted

INSTANCES = "metric_instances"
_PEAK_SQL = read_sql(Path(__file__).with_name("peak.sql"))
_PEAK_COLUMNS = ("days", "unusable", "day", "instances", "of_instance", "of_system")


def capacity_headroom(clause: CapacityClause, evidence: Evidence) -> Iterator[Verdict]:
    """A verdict for each business system that the clause names, or that delivers metric instances."""
    wanted = clause.parameters
    metric = next(one for one in evidence.governance.metrics if one.metric == wanted.metric)
    required = f"capacity of at least {wanted.factor:g} times the highest {metric.metric} there was"
    systems = clause.applies_to or tuple(
        name for name, system in sorted(evidence.governance.systems.items()) if INSTANCES in system.datasets
    )
    if not systems:
        said = "no business system delivers metric instances"
        yield Verdict(EVERYTHING, "not_evaluated", None, required, said)
    for system in systems:
        yield _judged(system, wanted, metric, required, evidence)


def _judged(
    system: str, wanted: CapacityParameters, metric: StandardMetric, required: str, evidence: Evidence
) -> Verdict:
    peak, version = _peak(system, wanted, metric, evidence)
    versions = {} if version is None else {f"{system}/{INSTANCES}": version}
    value = peak[f"of_{wanted.peak_of}"]
    left_out = ""
    if peak["unusable"]:
        left_out = f"; {counted(peak['unusable'], 'value')} without a unit or outside the valid range left out"
    if value is None:
        said = f"no value of {metric.metric} is in the lake{left_out}"
        return Verdict(system, "not_evaluated", None, required, said, versions)
    observed = f"peak {value:,.10g} {metric.unit} on {peak['day']}"
    over = (
        f"sum of the day's highest values of {counted(peak['instances'], 'instance')}, which the load never exceeded"
        if wanted.peak_of == "system"
        else f"highest of {counted(peak['instances'], 'instance')}"
    )
    basis = f"peak over {counted(peak['days'], 'day')}: {over}{left_out}"
    declared = wanted.capacity_of(system)
    if declared is None:
        return Verdict(system, "not_evaluated", observed, required, f"no capacity is declared; {basis}", versions)
    if declared.tested_on > evidence.day:
        said = f"the capacity was tested on {declared.tested_on} only; {basis}"
        return Verdict(system, "not_evaluated", observed, required, said, versions)
    conversion = evidence.governance.units.conversion(
        evidence.governance.units.ucum(declared.unit) or declared.unit, metric.unit
    )
    if conversion is None:
        said = f"{declared.unit} cannot be compared with {metric.unit}"
        return Verdict(system, "not_evaluated", observed, required, said, versions)
    capacity = declared.value * conversion.factor + conversion.offset
    tested = f"tested on {declared.tested_on}: {declared.how}"
    observed = f"capacity {capacity:,.10g} {metric.unit}, {observed}"
    if capacity >= wanted.factor * value:
        times = f"{capacity / value:.2f} times the peak" if value > 0 else "any number of times a peak of 0"
        return Verdict(system, "passed", observed, required, f"{times}; {basis}; {tested}", versions)
    missing = wanted.factor * value - capacity
    said = f"only {capacity / value:.2f} times the peak: {missing:,.10g} {metric.unit} are missing; {basis}; {tested}"
    return Verdict(system, "failed", observed, required, said, versions)


def _peak(
    system: str, wanted: CapacityParameters, metric: StandardMetric, evidence: Evidence
) -> tuple[dict[str, Any], int | None]:
    """The highest load up to the day, and the version it was read at."""
    with evidence.lake.connect() as con:
        version = evidence.lake.register(con, "instances", f"{system}/{INSTANCES}", None)
        values = {
            "metric": metric.metric,
            "day": evidence.day,
            "valid_min": metric.valid_min,
            "valid_max": metric.valid_max,
            "peak_of": wanted.peak_of,
        }
        row = con.execute(_PEAK_SQL, values).fetchall()[0]
    return dict(zip(_PEAK_COLUMNS, row, strict=True)), version
