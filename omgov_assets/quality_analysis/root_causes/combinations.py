"""Combinations: every combination of attribute values that holds enough anomalies, with what it holds.

Belongs here: counting. Does not belong here: which combinations are causes (``localisation``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import numpy.typing as npt

from omgov_assets.quality_analysis.root_causes.counts import Codes, Floats, FoldedCounts, Ints

# Above so many folded rows, totals are counted on a part of them until a combination is looked at closely.
COUNTED_ROWS = 400_000
# A row that stands for so many times the mean is never left out of the part.
_HEAVY = 4
# Combinations are counted in an array of all that are possible where these are no more, else by sorting.
_DENSE_FACTS = 1 << 22
_DENSE_ROWS = 1 << 24

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Family:
    """Combinations of values of the same attributes.

    Attributes:
        attributes: positions of the attributes.
        cells: number of each combination of values, ascending.
        total: things in each of ``cells``, by the part of the rows that is counted.
        past_total, past_anomalous: the same of the past, if known.
        cell, kind, anomalous: of each candidate the position in ``cells``, its kind, and its anomalies.
    """

    attributes: tuple[int, ...]
    cells: Ints
    total: Floats
    past_total: Floats | None
    past_anomalous: Floats | None
    cell: Ints
    kind: Ints
    anomalous: Floats


@dataclass
class Combinations:
    """All families of a table, and the rows of any combination."""

    counts: FoldedCounts
    families: list[Family]
    counted: Ints
    weight: Floats
    is_exact: bool
    _orders: dict[int, tuple[Ints, Ints]] = field(default_factory=dict)

    def key(self, attributes: tuple[int, ...], columns: list[Codes] | tuple[Codes, ...]) -> tuple[Ints, Bools]:
        """The number of each row's combination, and whether all of its values are told apart."""
        sizes = self.counts.sizes
        number = columns[attributes[0]].astype(np.int64)
        valid = columns[attributes[0]] > 0
        for attribute in attributes[1:]:
            number = number * sizes[attribute] + columns[attribute]
            valid &= columns[attribute] > 0
        return number, valid

    def values_of(self, attributes: tuple[int, ...], cell: int) -> tuple[int, ...]:
        """The codes that a combination's number stands for."""
        values = []
        for attribute in reversed(attributes[1:]):
            cell, value = divmod(cell, self.counts.sizes[attribute])
            values.append(value)
        return (cell, *reversed(values))

    def rows_of(self, attributes: tuple[int, ...], values: tuple[int, ...]) -> Ints:
        """The folded rows that lie in a combination."""
        lists = [self._rows_with(attribute, value) for attribute, value in zip(attributes, values, strict=True)]
        shortest = min(range(len(lists)), key=lambda position: len(lists[position]))
        rows = lists[shortest]
        for position, (attribute, value) in enumerate(zip(attributes, values, strict=True)):
            if position != shortest:
                rows = rows[self.counts.codes[attribute][rows] == value]
        return rows

    def _rows_with(self, attribute: int, value: int) -> Ints:
        if attribute not in self._orders:
            column = self.counts.codes[attribute]
            order = np.argsort(column, kind="stable")
            starts = np.searchsorted(column[order], np.arange(self.counts.sizes[attribute] + 1))
            self._orders[attribute] = (order, starts)
        order, starts = self._orders[attribute]
        return order[starts[value] : starts[value + 1]]


def combine(counts: FoldedCounts, deepest: int, fewest: float) -> Combinations:
    """Count every combination of at most ``deepest`` values that holds at least ``fewest`` anomalies of one kind."""
    counted, weight = _counted_rows(counts)
    found = Combinations(counts, [], counted, weight, len(counted) == len(counts.total))
    row_columns = [column[counted] for column in counts.codes]
    fact_columns = [column[counts.row] for column in counts.codes]
    for depth in range(1, min(deepest, len(counts.attributes)) + 1):
        for attributes in combinations(range(len(counts.attributes)), depth):
            family = _family(found, attributes, row_columns, fact_columns, fewest)
            if family is not None:
                found.families.append(family)
    return found


def _counted_rows(counts: FoldedCounts) -> tuple[Ints, Floats]:
    """The rows whose totals are counted, and for how many rows each stands."""
    rows = len(counts.total)
    if rows <= COUNTED_ROWS:
        return np.arange(rows), np.ones(rows)
    heavy = counts.total > counts.total.mean() * _HEAVY
    step = -(-int((~heavy).sum()) // COUNTED_ROWS)
    # Folded rows lie in no meaningful order, so that every so-many-th is a fair part of them.
    light = np.flatnonzero(~heavy)[::step]
    counted = np.concatenate([np.flatnonzero(heavy), light])
    return counted, np.concatenate([np.ones(int(heavy.sum())), np.full(len(light), float(step))])


def _family(
    found: Combinations,
    attributes: tuple[int, ...],
    row_columns: list[Codes],
    fact_columns: list[Codes],
    fewest: float,
) -> Family | None:
    counts = found.counts
    number, valid = found.key(attributes, fact_columns)
    possible = int(np.prod([float(counts.sizes[attribute]) for attribute in attributes]))
    keys, anomalous = _sums(
        number[valid] * counts.kinds + counts.kind[valid], counts.anomalous[valid], possible * counts.kinds
    )
    enough = anomalous >= fewest
    if not enough.any():
        return None
    keys, anomalous = keys[enough], anomalous[enough]
    cells, cell = np.unique(keys // counts.kinds, return_inverse=True)
    number, valid = found.key(attributes, row_columns)
    place, valid = _places(number, valid, cells, possible)

    def summed(values: Floats) -> Floats:
        weighted = values[found.counted[valid]] * found.weight[valid]
        return np.bincount(place[valid], weighted, len(cells)).astype(np.float64)

    return Family(
        attributes=attributes,
        cells=cells,
        total=summed(counts.total),
        past_total=None if counts.past_total is None else summed(counts.past_total),
        past_anomalous=None if counts.past_anomalous is None else summed(counts.past_anomalous),
        cell=cell.astype(np.int64),
        kind=keys % counts.kinds,
        anomalous=anomalous,
    )


def _sums(keys: Ints, values: Floats, possible: int) -> tuple[Ints, Floats]:
    """The distinct keys, ascending, and the sum of the values of each."""
    if possible <= _DENSE_FACTS:
        sums = np.bincount(keys, values, possible)
        there = np.flatnonzero(sums).astype(np.int64)
        return there, sums[there].astype(np.float64)
    distinct, place = np.unique(keys, return_inverse=True)
    return distinct.astype(np.int64), np.bincount(place, values, len(distinct)).astype(np.float64)


def _places(number: Ints, valid: Bools, cells: Ints, possible: int) -> tuple[Ints, Bools]:
    """The position of each row's combination in ``cells``, and whether it is there."""
    if possible <= _DENSE_ROWS:
        table = np.full(possible, -1, np.int32)
        table[cells] = np.arange(len(cells), dtype=np.int32)
        place = table[number].astype(np.int64)
        return place, valid & (place >= 0)
    return found_among(number, valid, cells)


def found_among(number: Ints, valid: Bools, cells: Ints) -> tuple[Ints, Bools]:
    """The position of each number in ``cells``, which is sorted, and whether it is there at all."""
    place = np.searchsorted(cells, number)
    place[place == len(cells)] = 0
    return place, valid & (cells[place] == number)
