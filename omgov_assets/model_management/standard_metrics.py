"""The firm's standard metrics: what is measured, in which unit, in which range, on which class of CI.

Belongs here: `governance/standard/metric_definitions/*.yaml` as checked objects. Does not belong here: how
the metrics of a business system map to them (`metric_mappings.py`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from omgov_assets.model_management.documents import parse, read_yaml
from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.units import UnitTable

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*(\.[a-z][a-z0-9]*(_[a-z0-9]+)*)+")
_ATTRIBUTE = re.compile(r"[a-z][a-z0-9]*([._][a-z0-9]+)*")
# The unit is a field of its own: a metric must keep its name when the unit changes.
# fmt: off
_UNIT_WORDS = frozenset({
    "percent", "pct", "percentage", "bytes", "byte", "octets", "kb", "mb", "gb", "tb", "kib", "mib", "gib",
    "tib", "bits", "bit", "bps", "kbps", "mbps", "gbps", "s", "sec", "secs", "second", "seconds", "ms",
    "msec", "millis", "millisecond", "milliseconds", "us", "usec", "micros", "microsecond", "microseconds",
    "ns", "nsec", "nanos", "nanosecond", "nanoseconds", "minute", "minutes", "hour", "hours", "days", "hz",
    "khz", "mhz", "ghz", "rpm", "celsius", "fahrenheit", "kelvin", "watt", "watts", "volt", "volts",
    "ampere", "amperes", "qps", "tps", "iops", "pps",
})
# fmt: on

CiClass = Literal["application", "host", "database", "network_device"]


class StandardMetric(BaseModel):
    """One metric of the firm's standard.

    Attributes:
        metric: dotted lower-case name without a unit, unique in the firm.
        brief: one sentence.
        unit: UCUM code; valid_min and valid_max are in it.
        interval_s: interval at which the metric is collected, in seconds.
        valid_min: least possible value; None = unbounded.
        valid_max: greatest possible value; None = unbounded.
        ci_classes: classes of CI that may carry the metric.
        required_attributes: attributes that tell the series of one CI apart.
        varies: False where a value that stays the same all day is legitimate (sizes, limits, error counts).
        grade: classification level, 1 is public within the firm.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    metric: str
    brief: str = Field(min_length=1)
    unit: str
    instrument: Literal["gauge", "counter", "updowncounter", "histogram"]
    value_type: Literal["int", "double"]
    interval_s: int = Field(gt=0, le=86400)
    valid_min: float | None = None
    valid_max: float | None = None
    # YAML knows lists only, hence not strict.
    ci_classes: Annotated[tuple[CiClass, ...], Field(min_length=1, strict=False)]
    required_attributes: Annotated[tuple[str, ...], Field(strict=False)] = ()
    varies: bool = True
    grade: int = Field(default=1, ge=1, le=5)
    stability: Literal["stable", "development", "deprecated"] = "stable"


def load_standard_metrics(folder: Path, units: UnitTable) -> tuple[StandardMetric, ...]:
    """Read all definitions of a folder, sorted by name.

    Args:
        folder: holds `*.yaml` files, each with one list `metrics`.
        units: says which units are valid.

    Raises:
        GovernanceError: the first mistake, files in the order of their names.
    """
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise GovernanceError(folder, "", "holds no *.yaml file", "add one with a list `metrics`")
    defined: dict[str, tuple[Path, StandardMetric]] = {}
    for path in files:
        for key, metric in _read_file(path):
            _check(path, key, metric, units)
            if metric.metric in defined:
                raise GovernanceError(
                    path,
                    f"{key}.metric",
                    f"{metric.metric} is defined in {defined[metric.metric][0].name} already",
                    "remove one of the two or rename it",
                )
            defined[metric.metric] = (path, metric)
    return tuple(defined[name][1] for name in sorted(defined))


def _read_file(path: Path) -> list[tuple[str, StandardMetric]]:
    document = read_yaml(path)
    if not isinstance(document, dict) or not isinstance(document.get("metrics"), list):
        raise GovernanceError(path, "metrics", "is not a list", "write `metrics:` and one item per metric")
    for key in document:
        if key != "metrics":
            raise GovernanceError(path, str(key), "the key is not known", "remove it; a file holds `metrics` only")
    return [
        (f"metrics[{number}]", parse(StandardMetric, item, path, f"metrics[{number}]"))
        for number, item in enumerate(document["metrics"])
    ]


def _check(path: Path, key: str, metric: StandardMetric, units: UnitTable) -> None:
    """What a single field cannot tell."""
    if not _NAME.fullmatch(metric.metric):
        raise GovernanceError(
            path,
            f"{key}.metric",
            f"{metric.metric!r} is not a metric name",
            "write lower-case words joined by dots and underscores, such as system.cpu.utilization",
        )
    unit_words = [word for word in re.split(r"[._]", metric.metric) if word in _UNIT_WORDS]
    if unit_words:
        raise GovernanceError(
            path,
            f"{key}.metric",
            f"{metric.metric} carries the unit {unit_words[0]!r} in its name",
            "leave it out; `unit` says it",
        )
    if units.ucum(metric.unit) != metric.unit:
        code = units.ucum(metric.unit)
        raise GovernanceError(
            path,
            f"{key}.unit",
            f"{metric.unit!r} is not a canonical UCUM code",
            f'write "{code}"' if code else "write a UCUM code, such as By, ms, 1/s or {request}",
        )
    if metric.valid_min is not None and metric.valid_max is not None and metric.valid_min > metric.valid_max:
        raise GovernanceError(
            path,
            f"{key}.valid_min",
            f"{metric.valid_min:g} is greater than valid_max {metric.valid_max:g}",
            "exchange the two or correct them",
        )
    for field, words in (
        ("ci_classes", metric.ci_classes),
        ("required_attributes", metric.required_attributes),
    ):
        if len(set(words)) < len(words):
            raise GovernanceError(path, f"{key}.{field}", "names an entry twice", "remove one of the two")
    for number, attribute in enumerate(metric.required_attributes):
        if not _ATTRIBUTE.fullmatch(attribute):
            raise GovernanceError(
                path,
                f"{key}.required_attributes[{number}]",
                f"{attribute!r} is not an attribute name",
                "write it in lower case, such as mountpoint or network.interface",
            )
