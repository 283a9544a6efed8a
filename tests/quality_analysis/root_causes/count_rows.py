"""Small tables of counts, written row by row, and what was found in them in words.

A row is a dictionary: each attribute's value, ``total`` things, and how many of them are anomalous: ``bad``, a number
or one for each kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from omgov_assets.quality_analysis.root_causes.counts import Counts
from omgov_assets.quality_analysis.root_causes.localisation import Explanation

Row = dict[str, Any]
Conditions = dict[str, str]

ATTRIBUTES = ("a", "b", "c")
# Anomalies in this many things, at the usual rate, are one.
USUAL = 100


def cube(values: int = 10, total: int = 20, seed: int = 1, attributes: Sequence[str] = ATTRIBUTES) -> list[Row]:
    """A row for each combination of values (a0, a1, …) of some attributes, with anomalies at the usual rate."""
    rng = np.random.Generator(np.random.PCG64(seed))
    cells = list(product(range(values), repeat=len(attributes)))
    # Spread without a place of their own: any so many things in random order hold one.
    bad = rng.permutation(np.arange(len(cells) * total) % USUAL == 0).reshape(len(cells), total).sum(axis=1)
    return [
        {name: f"{name}{value}" for name, value in zip(attributes, cell, strict=True)} | {"total": total, "bad": count}
        for cell, count in zip(cells, bad.tolist(), strict=True)
    ]


def spoil(rows: list[Row], conditions: Conditions, share: float) -> None:
    """Make a share of the things anomalous where the conditions are met; what is worse already stays."""
    for row in within(rows, conditions):
        row["bad"] = max(row["bad"], round(share * row["total"]))


def within(rows: Sequence[Row], conditions: Conditions) -> list[Row]:
    """The rows that meet conditions."""
    return [row for row in rows if all(row[name] == value for name, value in conditions.items())]


def summed(rows: Sequence[Row], conditions: Conditions, measure: str = "bad") -> float:
    """Sum of a number over the rows that meet conditions."""
    return float(sum(row[measure] for row in within(rows, conditions)))


def values_of(rows: Sequence[Row], name: str) -> list[str]:
    """The values of an attribute, by code; the first stands for none."""
    return ["", *sorted({row[name] for row in rows if row[name] is not None})]


def counts_of(rows: Sequence[Row], attributes: Sequence[str] = ATTRIBUTES, past: Sequence[Row] | None = None) -> Counts:
    """The rows as the search takes them, with those of the past behind."""
    every = [*rows, *(past or ())]
    codes = []
    for name in attributes:
        code_of = {value: code for code, value in enumerate(values_of(every, name))}
        codes.append(np.array([code_of.get(row[name], 0) for row in every], np.int32))
    facts = [
        (number, kind, count)
        for number, row in enumerate(rows)
        for kind, count in (row["bad"] if isinstance(row["bad"], dict) else {"": row["bad"]}).items()
        if count
    ]
    kinds = sorted({kind for _, kind, _ in facts}) or [""]
    now = np.arange(len(every)) < len(rows)
    total = np.array([float(row["total"]) for row in every])
    return Counts(
        attributes=tuple(attributes),
        codes=tuple(codes),
        total=np.where(now, total, 0),
        row=np.array([number for number, _, _ in facts], np.int64),
        kind=np.array([kinds.index(kind) for _, kind, _ in facts], np.int64),
        anomalous=np.array([float(count) for _, _, count in facts]),
        kinds=tuple(kinds),
        past_total=None if past is None else np.where(now, 0, total),
        past_anomalous=None if past is None else np.where(now, 0, [float(row["bad"]) for row in every]),
    )


def found_in(
    rows: Sequence[Row],
    explanation: Explanation,
    attributes: Sequence[str] = ATTRIBUTES,
    past: Sequence[Row] | None = None,
) -> list[Conditions]:
    """The conditions of each cause, in the order of being found."""
    every = [*rows, *(past or ())]
    return [
        {attributes[position]: values_of(every, attributes[position])[code] for position, code in cause.conditions}
        for cause in explanation.causes
    ]
