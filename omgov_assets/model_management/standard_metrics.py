"""The firm's standard metrics: what is measured, in which unit, in which range, on which class of CI.

Belongs here: `governance/standard/metric_definitions/*.yaml` as checked objects. Does not belong here: how
the metrics of a business system map to them (`metric_mappings.py`).

A metric is never deleted: it becomes `deprecated`, with its successor or the reason, and later `withdrawn`. What is
still reported of it is an anomaly once the days of grace are over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
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
        grade: classification level 1 to 4; 1 is public within the firm.
        owner: who answers for the definition (e-mail); its file's `owner` where it names none.
        stability: `deprecated` is not to be used anew, `withdrawn` no longer at all.
        since: the day on which it became deprecated or withdrawn.
        renamed_to: the standard metric that replaces it.
        reason: why it is deprecated or withdrawn, where nothing replaces it.
        grace_days: days after `since` in which instances of it are no anomalies yet.
        document: file that defines it, relative to the folder of the definitions.
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
    grade: int = Field(default=1, ge=1, le=4)
    owner: str = Field(min_length=1)
    stability: Literal["stable", "development", "deprecated", "withdrawn"] = "stable"
    since: date | None = None
    renamed_to: str | None = None
    reason: str | None = Field(default=None, min_length=1)
    grace_days: int = Field(default=90, ge=0, le=3650)
    document: str

    @property
    def retired(self) -> bool:
        """Whether the metric is deprecated or withdrawn."""
        return self.stability in {"deprecated", "withdrawn"}


def load_standard_metrics(folder: Path, units: UnitTable) -> tuple[StandardMetric, ...]:
    """Read all definitions of a folder, sorted by name.

    Args:
        folder: holds `*.yaml` files, each with one list `metrics`, and the `owner` of those that name none.
        units: says which units are valid.

    Raises:
        GovernanceError: the first mistake, files in the order of their names.
    """
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise GovernanceError(folder, "", "holds no *.yaml file", "add one with a list `metrics`")
    defined: dict[str, StandardMetric] = {}
    keys: dict[str, tuple[Path, str]] = {}
    for path in files:
        for key, metric in _read_file(path):
            _check(path, key, metric, units)
            if metric.metric in defined:
                raise GovernanceError(
                    path,
                    f"{key}.metric",
                    f"{metric.metric} is defined in {keys[metric.metric][0].name} already",
                    "remove one of the two or rename it",
                )
            defined[metric.metric] = metric
            keys[metric.metric] = (path, key)
    _check_renames(defined, keys, units)
    return tuple(defined[name] for name in sorted(defined))


def _read_file(path: Path) -> list[tuple[str, StandardMetric]]:
    document = read_yaml(path)
    if not isinstance(document, dict) or not isinstance(document.get("metrics"), list):
        raise GovernanceError(path, "metrics", "is not a list", "write `metrics:` and one item per metric")
    for key in document:
        if key not in {"metrics", "owner"}:
            raise GovernanceError(
                path, str(key), "the key is not known", "remove it; a file holds `owner` and `metrics` only"
            )
    # What stands in the file goes before what is implied by it.
    implied = {"document": path.name, **({"owner": document["owner"]} if "owner" in document else {})}
    items = []
    for number, item in enumerate(document["metrics"]):
        key = f"metrics[{number}]"
        if isinstance(item, dict) and "document" in item:
            raise GovernanceError(path, f"{key}.document", "the key is not known and not permitted", "remove it")
        given = {**implied, **item} if isinstance(item, dict) else item
        items.append((key, parse(StandardMetric, given, path, key)))
    return items


def _check(path: Path, key: str, metric: StandardMetric, units: UnitTable) -> None:
    """What a single field cannot tell."""
    for field, problem, remedy in (*_name_faults(metric), *_unit_faults(metric, units), *_retirement_faults(metric)):
        raise GovernanceError(path, f"{key}.{field}", problem, remedy)
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


def _name_faults(metric: StandardMetric) -> Iterable[tuple[str, str, str]]:
    if not _NAME.fullmatch(metric.metric):
        yield (
            "metric",
            f"{metric.metric!r} is not a metric name",
            "write lower-case words joined by dots and underscores, such as system.cpu.utilization",
        )
    unit_words = [word for word in re.split(r"[._]", metric.metric) if word in _UNIT_WORDS]
    if unit_words:
        problem = f"{metric.metric} carries the unit {unit_words[0]!r} in its name"
        yield "metric", problem, "leave it out; `unit` says it"


def _unit_faults(metric: StandardMetric, units: UnitTable) -> Iterable[tuple[str, str, str]]:
    code = units.ucum(metric.unit)
    if code != metric.unit:
        remedy = f'write "{code}"' if code else "write a UCUM code, such as By, ms, 1/s or {request}"
        yield "unit", f"{metric.unit!r} is not a canonical UCUM code", remedy


def _retirement_faults(metric: StandardMetric) -> Iterable[tuple[str, str, str]]:
    if metric.retired:
        if metric.renamed_to is None and metric.reason is None:
            problem = f"{metric.metric} is {metric.stability} without a successor or a reason"
            yield "stability", problem, "say renamed_to or reason"
        if metric.since is None:
            yield "since", f"{metric.metric} is {metric.stability} since no day", "write the day, as YYYY-MM-DD"
        return
    for field, value in (("renamed_to", metric.renamed_to), ("reason", metric.reason), ("since", metric.since)):
        if value is not None:
            yield field, f"{metric.metric} is {metric.stability}", f"remove {field}, or make the metric deprecated"


def _check_renames(
    defined: Mapping[str, StandardMetric], keys: Mapping[str, tuple[Path, str]], units: UnitTable
) -> None:
    """Every rename ends, without a circle, at a metric that measures the same and may be used."""
    for metric in defined.values():
        path, key = keys[metric.metric]
        chain = [metric.metric]
        while (successor := defined[chain[-1]].renamed_to) is not None:
            if successor not in defined:
                raise GovernanceError(
                    *_successor_key(keys, chain[-1]),
                    f"{successor!r} is not a standard metric",
                    "name one, or define it",
                )
            if successor in chain:
                circle = " -> ".join([*chain, successor])
                raise GovernanceError(path, f"{key}.renamed_to", f"renames go in a circle: {circle}", "break it")
            chain.append(successor)
        last = defined[chain[-1]]
        if len(chain) > 1 and last.retired:
            problem = f"ends at {last.metric}, which is {last.stability}"
            raise GovernanceError(path, f"{key}.renamed_to", problem, "name a metric that may be used")
        if len(chain) > 1 and units.conversion(metric.unit, last.unit) is None:
            problem = f"{last.metric} is in {last.unit!r}, which {metric.unit!r} does not convert to"
            raise GovernanceError(path, f"{key}.renamed_to", problem, "name a metric that measures the same")


def _successor_key(keys: Mapping[str, tuple[Path, str]], metric: str) -> tuple[Path, str]:
    """File and key of the successor that a metric names."""
    path, key = keys[metric]
    return path, f"{key}.renamed_to"
