"""Metric mappings: which standard metric a metric of a business system is.

Belongs here: `governance/systems/<system>/metric_mappings.yaml` and the rule by which it is applied (first
match wins). Does not belong here: converting values (`units.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from omgov_assets.model_management.documents import parse, read_yaml
from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.units import UnitTable

_WILDCARDS = re.compile(r"[*?]")


class MetricMapping(BaseModel):
    """One line of a system's mappings.

    Attributes:
        match: name of the source metric; a glob where it holds `*` (any text, dots too) or `?` (one
            character). Case counts, and nothing else is special.
        metric: the standard metric.
        unit: overrides the unit that the system gives, where the system is known to be wrong or silent.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    match: str = Field(min_length=1)
    metric: str
    unit: str | None = Field(default=None, min_length=1)


def load_metric_mappings(
    path: Path, metric_names: Collection[str], units: UnitTable | None = None
) -> tuple[MetricMapping, ...]:
    """Read the mappings of a business system, in their order.

    Args:
        path: YAML file with one list `mappings`.
        metric_names: the standard metrics.
        units: if given, an overriding unit that it does not know is an error.

    Raises:
        GovernanceError: the first mistake, among them a metric that is not in the standard and a `match` that
            stands there twice.
    """
    document = read_yaml(path)
    if not isinstance(document, dict) or not isinstance(document.get("mappings"), list):
        raise GovernanceError(path, "mappings", "is not a list", "write `mappings:` and one item per line, or []")
    for key in document:
        if key != "mappings":
            raise GovernanceError(path, str(key), "the key is not known", "remove it; the file holds `mappings` only")
    mappings: list[MetricMapping] = []
    lines: dict[str, int] = {}
    known = frozenset(metric_names)
    for number, item in enumerate(document["mappings"]):
        key = f"mappings[{number}]"
        mapping = parse(MetricMapping, item, path, key)
        if mapping.metric not in known:
            raise GovernanceError(
                path,
                f"{key}.metric",
                f"{mapping.metric!r} is not a standard metric",
                "name one of governance/standard/metric_definitions or define it there",
            )
        if mapping.match in lines:
            raise GovernanceError(
                path,
                f"{key}.match",
                f"{mapping.match!r} stands in mappings[{lines[mapping.match]}] already and wins",
                "remove one of the two",
            )
        if mapping.unit is not None and units is not None and units.ucum(mapping.unit) is None:
            raise GovernanceError(
                path,
                f"{key}.unit",
                f"{mapping.unit!r} is not a known unit",
                "write a UCUM code, such as By or {order}",
            )
        lines[mapping.match] = number
        mappings.append(mapping)
    return tuple(mappings)


def resolve(mappings: Iterable[MetricMapping], source_metrics: Iterable[str]) -> dict[str, MetricMapping]:
    """The first mapping that matches each source metric; metrics without one are left out."""
    exact: dict[str, tuple[int, MetricMapping]] = {}
    globs: list[_Glob] = []
    position = 0
    for position, mapping in enumerate(mappings, start=1):
        if _WILDCARDS.search(mapping.match):
            globs.append(_glob(position, mapping))
        else:
            exact.setdefault(mapping.match, (position, mapping))
    # Only the globs that begin with a metric's first character, or with a wildcard, can match it.
    by_initial = {
        initial: [glob for glob in globs if glob.initial in ("", initial)] for initial in {g.initial for g in globs}
    }
    anywhere = by_initial.get("", [])
    resolved: dict[str, MetricMapping] = {}
    for name in dict.fromkeys(source_metrics):
        limit, found = exact.get(name, (position, None))
        for glob in by_initial.get(name[:1], anywhere):
            if glob.position > limit:
                break
            if glob.fragment in name and glob.matches(name):
                found = glob.mapping
                break
        if found is not None:
            resolved[name] = found
    return resolved


class _Glob(NamedTuple):
    """A glob ready to match; `initial` and `fragment` rule most names out without the regex."""

    position: int
    initial: str
    fragment: str
    matches: Callable[[str], Any]
    mapping: MetricMapping


def _glob(position: int, mapping: MetricMapping) -> _Glob:
    literals = _WILDCARDS.split(mapping.match)
    return _Glob(position, literals[0][:1], max(literals, key=len), _regex(mapping.match).fullmatch, mapping)


def _regex(glob: str) -> re.Pattern[str]:
    """The glob as a regex. Atomic groups never go back over a name: no pattern can hang the night."""
    first, *rest = (
        "".join("." if char == "?" else re.escape(char) for char in part) for part in re.split(r"\*+", glob)
    )
    if not rest:
        return re.compile(first, re.DOTALL)
    *middle, last = rest
    return re.compile(first + "".join(f"(?>.*?{part})" for part in middle) + ".*" + last, re.DOTALL)
