"""Counts to be localised: rows with attributes, how many things each stands for, and how many of them are anomalous.

Belongs here: coding attributes as numbers, and folding rows together that no cause could tell apart. Does not belong
here: finding combinations (``combinations``, ``localisation``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from omgov_assets.model_management.root_cause_rules import Evidence

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]

# A code that never is a condition: the value is missing, or has too few anomalies.
NO_CONDITION = 0


@dataclass(frozen=True)
class Counts:
    """What is counted, row by row, and the facts that are anomalous.

    Attributes:
        attributes: names, in the order of preference.
        codes: for each attribute the code of its value in each row; 0 is a value that cannot be a condition.
        total: things that each row stands for.
        row, kind, anomalous: of each fact the row that it lies in, the position of its kind (anomaly type) in
            ``kinds``, and how many things it stands for.
        kinds: names of the kinds; things that are not told apart have one.
        past_total, past_anomalous: of each row in the past; None where no past is known.
    """

    attributes: tuple[str, ...]
    codes: tuple[Codes, ...]
    total: Floats
    row: Ints
    kind: Ints
    anomalous: Floats
    kinds: tuple[str, ...]
    past_total: Floats | None = None
    past_anomalous: Floats | None = None


@dataclass(frozen=True)
class FoldedCounts:
    """Counts in which only values with enough anomalies are told apart, and rows alike in these are one.

    Attributes:
        codes: for each attribute the value's position in ``values`` plus 1 in each row; 0 for all others.
        values: for each attribute the codes, in ``Counts``, of the values told apart.
        row: of each fact of ``facts`` the folded row; facts of one row and kind are one.
        row_of: folded row of each row of ``Counts``.
    """

    attributes: tuple[str, ...]
    codes: tuple[Codes, ...]
    values: tuple[Ints, ...]
    total: Floats
    row: Ints
    kind: Ints
    anomalous: Floats
    kinds: int
    row_of: Ints
    past_total: Floats | None
    past_anomalous: Floats | None

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """For each attribute the number of codes."""
        return tuple(len(values) + 1 for values in self.values)


def fewest_anomalies(counts: Counts, evidence: Evidence) -> float:
    """Anomalies that a combination needs to be worth a look."""
    return max(evidence.minimum_anomalies, evidence.minimum_coverage * float(counts.anomalous.sum()))


def fold(counts: Counts, fewest: float) -> FoldedCounts:
    """Keep apart only the values that hold at least ``fewest`` anomalies of one kind, and fold rows that are alike."""
    kinds = len(counts.kinds)
    codes: list[Codes] = []
    values: list[Ints] = []
    for column in counts.codes:
        size = int(column.max(initial=0)) + 1
        cell = column[counts.row].astype(np.int64) * kinds + counts.kind
        held = np.bincount(cell, counts.anomalous, size * kinds).reshape(size, kinds).max(axis=1)
        held[NO_CONDITION] = 0
        enough = np.flatnonzero(held >= fewest)
        renumbered = np.zeros(size, np.int32)
        renumbered[enough] = np.arange(1, len(enough) + 1)
        codes.append(renumbered[column])
        values.append(enough)
    row_of, first = _alike(codes, len(counts.total))
    size = len(first)
    facts, fact_of = np.unique(row_of[counts.row] * kinds + counts.kind, return_inverse=True)
    anomalous = np.bincount(fact_of, counts.anomalous, len(facts)).astype(np.float64)
    row = facts // kinds
    total = np.bincount(row_of, counts.total, size).astype(np.float64)
    # A fact that lies in nothing counted counts itself.
    np.maximum.at(total, row, anomalous)
    return FoldedCounts(
        attributes=counts.attributes,
        codes=tuple(np.ascontiguousarray(column[first]) for column in codes),
        values=tuple(values),
        total=total,
        row=row,
        kind=facts % kinds,
        anomalous=anomalous,
        kinds=kinds,
        row_of=row_of,
        past_total=_summed(row_of, counts.past_total, size),
        past_anomalous=_summed(row_of, counts.past_anomalous, size),
    )


def _alike(codes: Sequence[Codes], rows: int) -> tuple[Ints, Ints]:
    """For each row the number of its class of rows with equal codes, and for each class its first row."""
    # One number for each combination of codes. Two combinations of a million that fall on the same of 2^64 numbers
    # are less likely than a flipped bit.
    mixed = np.zeros(rows, np.uint64)
    for position, column in enumerate(codes):
        factor = np.random.Generator(np.random.PCG64(position)).integers(1, 1 << 63, dtype=np.uint64) | np.uint64(1)
        mixed += column.astype(np.uint64) * factor
    _, first, row_of = np.unique(mixed, return_index=True, return_inverse=True)
    return row_of.astype(np.int64), first.astype(np.int64)


def _summed(row_of: Ints, values: Floats | None, size: int) -> Floats | None:
    return None if values is None else np.bincount(row_of, values, size).astype(np.float64)
