"""What holds of every table: counts add up, names and order change nothing, and the first cause is the best of all."""

from __future__ import annotations

from itertools import combinations, product
from math import log

import numpy as np
import pytest
from count_rows import ATTRIBUTES, Conditions, Row, counts_of, found_in, summed, within
from hypothesis import given, settings
from hypothesis import strategies as st

from omgov_assets.model_management.root_cause_rules import Evidence
from omgov_assets.quality_analysis.root_causes.localisation import UNEXPLAINED, localise

EVIDENCE = Evidence(minimum_score=5, minimum_anomalies=3)
SIZES = (6, 4, 3)


@st.composite
def tables(draw: st.DrawFn) -> list[Row]:
    """Rows for some of the combinations of few values, with up to three causes in them."""
    rng = np.random.Generator(np.random.PCG64(draw(st.integers(0, 2**32))))
    causes = [
        ({name: f"{name}{draw(st.integers(0, size - 1))}" for name, size in chosen}, draw(st.floats(0.05, 1)))
        for chosen in draw(
            st.lists(
                st.lists(
                    st.sampled_from(list(zip(ATTRIBUTES, SIZES, strict=True))), min_size=1, max_size=3, unique=True
                ),
                max_size=3,
            )
        )
    ]
    rows: list[Row] = []
    for cell in product(*(range(size) for size in SIZES)):
        if rng.random() < 0.2:
            continue
        values = {name: f"{name}{value}" for name, value in zip(ATTRIBUTES, cell, strict=True)}
        if rng.random() < 0.05:
            values["b"] = None  # type: ignore[assignment]
        total = int(rng.integers(1, 400))
        rate = max([0.01, *(rate for conditions, rate in causes if all(values[k] == v for k, v in conditions.items()))])
        rows.append(values | {"total": total, "bad": int(rng.binomial(total, rate))})
    return rows


@settings(max_examples=60, deadline=None)
@given(tables())
def test_every_fact_has_one_cause_at_most_and_meets_its_conditions(rows: list[Row]) -> None:
    counts = counts_of(rows)
    explanation = localise(counts, EVIDENCE)
    causes = found_in(rows, explanation)
    assert len(explanation.cause_of_fact) == len(counts.row)
    for row, cause in zip(counts.row.tolist(), explanation.cause_of_fact.tolist(), strict=True):
        holding = [number for number, conditions in enumerate(causes) if within([rows[row]], conditions)]
        if cause == UNEXPLAINED:
            # Only causes to which nothing was left hold it.
            assert not set(holding) & set(explanation.cause_of_fact.tolist())
        else:
            assert cause in holding


@settings(max_examples=60, deadline=None)
@given(tables())
def test_counts_add_up(rows: list[Row]) -> None:
    explanation = localise(counts_of(rows), EVIDENCE)
    causes = found_in(rows, explanation)
    for number, (cause, conditions) in enumerate(zip(explanation.causes, causes, strict=True)):
        naive = summed(rows, conditions), summed(rows, conditions, "total")
        # What earlier causes hold and explain is left out of later ones.
        assert cause.anomalous <= naive[0]
        assert cause.total <= naive[1]
        assert number > 0 or (cause.anomalous, cause.total) == naive
        assert explanation.row_totals[explanation.rows[number]].sum() == naive[1]
        assert 0 < cause.expected <= cause.total
        assert cause.lift >= EVIDENCE.minimum_lift
        assert cause.score >= EVIDENCE.minimum_score
    assert explanation.row_totals.sum() == sum(row["total"] for row in rows) or not causes
    ranked = explanation.ranked(counts_of(rows).anomalous)
    assert sum(held for _, held in ranked) == sum(
        row["bad"]
        for row, cause in zip([row for row in rows if row["bad"]], explanation.cause_of_fact.tolist(), strict=True)
        if cause != UNEXPLAINED
    )


@settings(max_examples=40, deadline=None)
@given(tables(), st.randoms(use_true_random=False))
def test_neither_the_order_of_rows_nor_names_of_values_matter(rows: list[Row], random: object) -> None:
    causes = sorted(sorted(cause.items()) for cause in found_in(rows, localise(counts_of(rows), EVIDENCE)))
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    names = {f"{name}{value}": f"{name}{(value * 7 + 3) % 11}" for name in ATTRIBUTES for value in range(8)}
    back = {new: old for old, new in names.items()}
    renamed = [row | {name: row[name] and names[row[name]] for name in ATTRIBUTES} for row in shuffled]
    again = found_in(renamed, localise(counts_of(renamed), EVIDENCE))
    assert sorted(sorted((name, back[value]) for name, value in cause.items()) for cause in again) == causes


@settings(max_examples=60, deadline=None)
@given(tables())
def test_the_first_cause_is_the_best_of_all_combinations(rows: list[Row]) -> None:
    """Against every combination counted one by one; the search may only narrow it to a part that matters."""
    best, score = _best(rows)
    explanation = localise(counts_of(rows), EVIDENCE)
    if best is None:
        assert explanation.causes == ()
        return
    (first, *_) = found_in(rows, explanation)
    if len(first) == len(best):
        assert explanation.causes[0].score == pytest.approx(score)
    else:
        members, of_first = within(rows, best), within(rows, first)
        shared = sum(row["total"] for row in of_first if row in members)
        assert shared >= 0.98 * sum(row["total"] for row in of_first)
        assert len(first) > len(best)


def _best(rows: list[Row]) -> tuple[Conditions | None, float]:
    """The combination with the highest score, by the formula in plain numbers."""
    all_bad, all_total = summed(rows, {}), summed(rows, {}, "total")
    best, highest = None, EVIDENCE.minimum_score
    fewest = max(EVIDENCE.minimum_anomalies, EVIDENCE.minimum_coverage * all_bad)
    for depth in (1, 2, 3):
        for names in combinations(ATTRIBUTES, depth):
            for values in {tuple(row[name] for name in names) for row in rows}:
                if None in values:
                    continue
                conditions = dict(zip(names, values, strict=True))
                bad, total = summed(rows, conditions), summed(rows, conditions, "total")
                usual = all_bad / all_total
                rest = (all_bad - bad + 1) / (all_total - total + 1 / usual) if usual else 0
                if bad < fewest or bad < EVIDENCE.minimum_lift * rest * total:
                    continue
                expected, outside = usual * total, all_bad - bad
                score = bad * log(bad / expected)
                if outside:
                    score += outside * log(outside / (all_bad - expected))
                score /= EVIDENCE.depth_penalty ** (depth - 1)
                if score > highest:
                    best, highest = conditions, score
    return best, highest
