"""How a catalogue changed from one snapshot to the next: added, removed, renamed, another type, another unit.

A metric may be stated more than once in a catalogue; what is compared is all that is stated of it. Does not belong
here: what a change means for the firm's mappings.

A rename is either stated by the tool (``renamed_to``) or inferred: a removed and an added metric with the same unit
and types, and with the same words in name or description. Inferred renames are one to one, best first.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from omgov_assets.data_management.catalogues.entries import CatalogueEntry
from omgov_assets.data_management.catalogues.formats import CatalogueFormat
from omgov_assets.data_management.catalogues.importing import read_catalogue
from omgov_assets.data_management.catalogues.sources import MissingCatalogueError
from omgov_assets.model_management.units import UnitTable

ChangeKind = Literal["added", "removed", "renamed", "type_changed", "unit_changed"]
CHANGE_KINDS: tuple[ChangeKind, ...] = ("added", "removed", "renamed", "type_changed", "unit_changed")

# A description of fewer words (`Number of errors`) says too little to tell one metric from another.
TELLING_WORDS = 4
SAME_DESCRIPTION = 0.8
# With the same description, names may differ by this much; with a like description they must be closer.
LIKE_NAME = 0.5
CLOSE_NAME = 0.75
# A word that more metrics share than this leads to no candidates.
COMMON_WORD = 50

# What of an imported file is compared; a stated successor is not among the standard's columns.
_COLUMNS = {name: pa.string() for name in ("source_metric", "description", "source_unit", "instrument", "value_type")}

_WORD = re.compile(r"[^\W_]+")
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_a-zA-Z]+")


@dataclass(frozen=True)
class Change:
    """One change of one metric.

    Attributes:
        change: what changed.
        source_metric: the metric; its former name where it was renamed.
        before: former unit, type or name.
        after: present unit, type or name.
        reason: how a rename is known, and what else there is to say.
    """

    change: ChangeKind
    source_metric: str
    before: str | None = None
    after: str | None = None
    reason: str = ""


def compare_catalogues(
    before: Iterable[CatalogueEntry], after: Iterable[CatalogueEntry], units: UnitTable | None = None
) -> list[Change]:
    """Changes from one snapshot to the next, ordered by kind and name.

    Args:
        before: definitions of the former snapshot.
        after: definitions of the latter.
        units: spellings of the firm, by which a unit that is only spelled otherwise is told from another one.
    """
    old, new = _by_name(before), _by_name(after)
    removed, added = old.keys() - new.keys(), new.keys() - old.keys()
    renames = list(_stated_renames(old, new, removed, added))
    told, taken = {change.source_metric for change in renames}, {change.after for change in renames}
    renames += _inferred_renames(
        {name: old[name] for name in removed - told}, {name: new[name] for name in added - taken}
    )
    told, taken = {change.source_metric for change in renames}, {change.after for change in renames}
    changes = [*renames]
    changes += [Change("removed", name) for name in removed - told]
    changes += [Change("added", name) for name in added - taken]
    for name in old.keys() & new.keys():
        changes += _differences(name, old[name], new[name], units)
    for rename in renames:
        if rename.after is not None:
            changes += _differences(rename.after, old[rename.source_metric], new[rename.after], units)
    order = {kind: position for position, kind in enumerate(CHANGE_KINDS)}
    return sorted(changes, key=lambda change: (order[change.change], change.source_metric, change.after or ""))


def count_changes(changes: Iterable[Change]) -> dict[ChangeKind, int]:
    """Number of changes of each kind, zero included."""
    counts = Counter(change.change for change in changes)
    return {kind: counts[kind] for kind in CHANGE_KINDS}


def read_snapshot(path: Path, catalogue_format: CatalogueFormat | None) -> list[CatalogueEntry]:
    """Definitions of a raw catalogue, or of the Parquet file that an import of one wrote.

    Raises:
        MissingCatalogueError: there is nothing, no format is given for a raw catalogue, or the Parquet file does not
            hold definitions.
    """
    if path.suffix.lower() == ".parquet":
        return _read_parquet(path)
    if catalogue_format is None:
        raise MissingCatalogueError(f"{path}: give the tool's --format, or an imported .parquet file")
    entries, _ = read_catalogue(path, catalogue_format)
    return entries


def _read_parquet(path: Path) -> list[CatalogueEntry]:
    try:
        table = pq.read_table(path, columns=list(_COLUMNS), partitioning=None)
        table = pa.table({name: table[name].cast(_COLUMNS[name]) for name in _COLUMNS})
    except (OSError, KeyError, pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise MissingCatalogueError(f"{path}: no Parquet file of definitions; give one that an import wrote") from error
    return [
        CatalogueEntry(file=path.name, line=number, **row)
        for number, row in enumerate(table.to_pylist(), start=1)
        if row["source_metric"]
    ]


@dataclass(slots=True)
class _Metric:
    """All that a catalogue states of one metric."""

    units: set[str]
    types: set[str]
    descriptions: list[str]
    successors: list[str]

    @property
    def unit(self) -> str | None:
        return " | ".join(sorted(self.units)) or None

    @property
    def type(self) -> str | None:
        return " | ".join(sorted(self.types)) or None

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(_WORD.findall(self.descriptions[0].lower())) if self.descriptions else ()


def _by_name(entries: Iterable[CatalogueEntry]) -> dict[str, _Metric]:
    metrics: dict[str, _Metric] = {}
    for entry in entries:
        metric = metrics.setdefault(entry.source_metric, _Metric(set(), set(), [], []))
        if entry.source_unit:
            metric.units.add(entry.source_unit.strip())
        types = " ".join(part for part in (entry.instrument, entry.value_type) if part)
        if types:
            metric.types.add(types)
        if entry.description:
            metric.descriptions.append(entry.description)
        if entry.renamed_to:
            metric.successors.append(entry.renamed_to)
    return metrics


def _differences(name: str, old: _Metric, new: _Metric, units: UnitTable | None) -> Iterator[Change]:
    if old.types != new.types:
        yield Change("type_changed", name, old.type, new.type)
    if old.units != new.units:
        same = units is not None and _codes(old.units, units) == _codes(new.units, units)
        yield Change("unit_changed", name, old.unit, new.unit, "the same unit, spelled otherwise" if same else "")


def _codes(spellings: set[str], units: UnitTable) -> set[str]:
    """UCUM codes; an unknown spelling stands for itself."""
    return {units.ucum(spelling) or spelling for spelling in spellings}


def _stated_renames(
    old: dict[str, _Metric], new: dict[str, _Metric], removed: set[str], added: set[str]
) -> Iterator[Change]:
    """Renames that the tool states: of a metric that is gone, or of one that is kept as deprecated since."""
    for name in sorted(old):
        before = old[name].successors
        stated = new[name].successors if name in new else before
        for successor in stated[:1]:
            if name in removed and successor in new:
                yield Change("renamed", name, name, successor, "stated by the tool")
            elif name in new and not before and successor in added:
                yield Change("renamed", name, name, successor, "stated by the tool, which keeps the former name")


def _inferred_renames(removed: dict[str, _Metric], added: dict[str, _Metric]) -> list[Change]:
    """Pairs of a removed and an added metric that are one metric, the best first, each metric once."""
    candidates: list[tuple[float, str, str, str]] = []
    index = _Index(added)
    for name, metric in removed.items():
        for other in index.candidates(name, metric):
            found = _likeness(name, metric, other, added[other])
            if found:
                candidates.append((-found[0], name, other, found[1]))
    changes = []
    used: set[tuple[str, str]] = set()
    for _, name, other, reason in sorted(candidates):
        if ("old", name) not in used and ("new", other) not in used:
            used |= {("old", name), ("new", other)}
            changes.append(Change("renamed", name, name, other, reason))
    return changes


class _Index:
    """Finds metrics of the same unit and types that share an unusual word, without comparing all with all."""

    def __init__(self, metrics: dict[str, _Metric]) -> None:
        self._names: dict[tuple[object, ...], list[str]] = defaultdict(list)
        for name in sorted(metrics):
            for key in self._keys(name, metrics[name]):
                self._names[key].append(name)

    def candidates(self, name: str, metric: _Metric) -> list[str]:
        found: set[str] = set()
        for key in self._keys(name, metric):
            names = self._names.get(key, [])
            if len(names) <= COMMON_WORD:
                found.update(names)
        return sorted(found)

    def _keys(self, name: str, metric: _Metric) -> set[tuple[object, ...]]:
        kind = (metric.unit, metric.type)
        keys: set[tuple[object, ...]] = {(kind, "name", _normal(name))}
        keys |= {(kind, "part", part) for part in _parts(name)}
        if len(metric.words) >= TELLING_WORDS:
            keys.add((kind, "description", metric.words))
            keys |= {(kind, "word", word) for word in metric.words}
        return keys


def _likeness(name: str, metric: _Metric, other: str, candidate: _Metric) -> tuple[float, str] | None:
    """How surely two metrics of the same unit and types are one, and why; None where they are not."""
    if _normal(name) == _normal(other):
        return 3.0, "the same name but for case and separators"
    telling = min(len(metric.words), len(candidate.words)) >= TELLING_WORDS
    if not telling:
        return None
    names = SequenceMatcher(None, name, other, autojunk=False).ratio()
    if metric.words == candidate.words:
        return (2.0 + names, "the same description") if names >= LIKE_NAME else None
    shared = Counter(metric.words) & Counter(candidate.words)
    descriptions = 2 * shared.total() / (len(metric.words) + len(candidate.words))
    if descriptions >= SAME_DESCRIPTION and names >= CLOSE_NAME and _same_numbers(name, other):
        return descriptions * names, "nearly the same description and name"
    return None


def _normal(name: str) -> str:
    return "".join(_WORD.findall(name)).lower()


def _parts(name: str) -> set[str]:
    return {part.lower() for part in _PARTS.findall(name)}


def _same_numbers(name: str, other: str) -> bool:
    """`…p95` and `…p99`, `…if.1` and `…if.2` are alike in all but what tells them apart."""
    return re.findall(r"[0-9]+", name) == re.findall(r"[0-9]+", other)
