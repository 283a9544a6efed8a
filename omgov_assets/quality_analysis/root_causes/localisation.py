"""Localisation: the few combinations of attribute values that explain where anomalies are.

A combination is a cause where it holds more anomalies than the rest and, where the past is known, than it held then.
What is found is explained away, greedily: what a cause leads to expect in its rows is expected from then on, so that
what only shares these rows with it stands out no more, while a part of it that is worse still does.

Belongs here: the search over one table. Does not belong here: where the table comes from (``count_table``, ``night``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from omgov_assets.model_management.root_cause_rules import Evidence
from omgov_assets.quality_analysis.root_causes.combinations import Bools, Combinations, Family, combine, found_among
from omgov_assets.quality_analysis.root_causes.counts import Counts, Floats, Ints, fewest_anomalies, fold

_ALMOST_ALL = 0.98
_NOTHING = 1e-9
# The past of a combination, and the rest, are taken to have one anomaly more, in as many things as have one at the
# usual rate.
_PRIOR_ANOMALIES = 1.0

UNEXPLAINED = -1


@dataclass(frozen=True)
class Cause:
    """A combination that explains anomalies of one kind.

    Attributes:
        kind: position of the kind in the table's ``kinds``.
        conditions: position of each attribute, and the code of its value in the table.
        anomalous, total: anomalies of the kind and things in the combination, those aside that a cause found before it
            holds already and explains.
        expected: anomalies that were to be expected there without it.
        score: log-likelihood ratio, in nats, divided by the depth's penalty.
        past_rate: rate in the past; None where none is known.
    """

    kind: int
    conditions: tuple[tuple[int, int], ...]
    anomalous: float
    total: float
    expected: float
    score: float
    past_rate: float | None = None

    @property
    def lift(self) -> float:
        """Times that its anomalies are as many as expected."""
        return self.anomalous / max(self.expected, _NOTHING)


@dataclass(frozen=True)
class Explanation:
    """What was found.

    Attributes:
        causes: in the order of being found, kind by kind.
        cause_of_fact: for each fact of the table the position of its cause, or ``UNEXPLAINED``.
        rows: for each cause, numbers of the folded rows that lie in it, ascending.
        row_totals: things that each folded row stands for.
    """

    causes: tuple[Cause, ...]
    cause_of_fact: Ints
    rows: tuple[Ints, ...]
    row_totals: Floats

    def ranked(self, anomalous: Floats) -> list[tuple[int, float]]:
        """Positions of the causes with the anomalies assigned to each, that which explains most beyond what was
        expected first; causes that nothing is assigned to are left out.

        Args:
            anomalous: how many things each fact of the table stands for.
        """
        explained = self.cause_of_fact != UNEXPLAINED
        held = np.bincount(self.cause_of_fact[explained], anomalous[explained], len(self.causes)).tolist()
        found = [position for position in range(len(self.causes)) if held[position]]
        found.sort(
            key=lambda position: (
                -held[position] * (1 - 1 / self.causes[position].lift),
                -self.causes[position].score,
            )
        )
        return [(position, held[position]) for position in found]


def localise(counts: Counts, evidence: Evidence, deepest: int | None = None) -> Explanation:
    """Find the causes of each kind of anomaly in a table.

    Args:
        counts: the table.
        evidence: what a cause must show.
        deepest: attributes that a combination has at most; default the evidence's.
    """
    if not len(counts.row) or not counts.attributes:
        return Explanation((), np.full(len(counts.row), UNEXPLAINED), (), np.zeros(0))
    fewest = fewest_anomalies(counts, evidence)
    return search(counts, combine(fold(counts, fewest), deepest or evidence.deepest, fewest), evidence)


def search(counts: Counts, found: Combinations, evidence: Evidence) -> Explanation:
    """The same, among combinations that are counted already."""
    folded, fewest = found.counts, fewest_anomalies(counts, evidence)
    causes: list[Cause] = []
    rows: list[Ints] = []
    cause_of_fact = np.full(len(counts.row), UNEXPLAINED)
    row_of_fact = folded.row_of[counts.row]
    for kind in range(len(counts.kinds)):
        of_kind = _Search(found, kind, evidence)
        of_kind.run()
        if not of_kind.causes:
            continue
        mine = np.flatnonzero(counts.kind == kind)
        of_row = of_kind.assign(fewest)[row_of_fact[mine]]
        cause_of_fact[mine] = np.where(of_row >= 0, of_row + len(causes), UNEXPLAINED)
        causes.extend(of_kind.causes)
        rows.extend(of_kind.rows)
    return Explanation(tuple(causes), cause_of_fact, tuple(rows), folded.total)


class _Search:
    """The greedy search for the causes of one kind.

    Candidates are arrays in the order of the families. ``open_*`` is the part of a candidate in rows that no cause
    holds yet; ``held`` is what causes lead to expect in the other part.
    """

    def __init__(self, found: Combinations, kind: int, evidence: Evidence) -> None:
        counts = found.counts
        self.found, self.kind, self.evidence = found, kind, evidence
        self.causes: list[Cause] = []
        self.rows: list[Ints] = []
        self._anomalous_rows = np.zeros(len(counts.total))
        of_kind = counts.kind == kind
        self._anomalous_rows[counts.row[of_kind]] = counts.anomalous[of_kind]
        self._sum = float(self._anomalous_rows.sum())
        # Of the rows that no cause holds yet.
        self._open_anomalous, self._open_total = self._sum, float(counts.total.sum())
        self._expected_rows = np.zeros(len(counts.total))
        self._is_held = np.zeros(len(counts.total), dtype=bool)
        self._weight = np.zeros(len(counts.total))
        self._weight[found.counted] = found.weight
        self._gather(found.families)

    def _gather(self, families: list[Family]) -> None:
        chosen = [np.flatnonzero(family.kind == self.kind) for family in families]
        mine = [(family, places) for family, places in zip(families, chosen, strict=True) if len(places)]
        self._families = [family for family, _ in mine]
        self._starts = np.cumsum([0, *(len(places) for _, places in mine)])
        self._cells = [family.cells[family.cell[places]] for family, places in mine]

        def gathered(name: str) -> Floats:
            columns = [getattr(family, name)[family.cell[places]] for family, places in mine]
            return np.concatenate([np.zeros(0), *columns])

        self.anomalous = np.concatenate([np.zeros(0), *(family.anomalous[places] for family, places in mine)])
        self.total = gathered("total")
        self.depth = np.repeat(
            [len(family.attributes) for family in self._families], np.diff(self._starts).astype(np.int64)
        ).astype(np.int64)
        self.open_anomalous, self.open_total = self.anomalous.copy(), self.total.copy()
        self.held = np.zeros(len(self.anomalous))
        self.past_rate = self._past_rates(gathered)
        self._is_exact = np.full(len(self.anomalous), self.found.is_exact)
        self._is_found = np.zeros(len(self.anomalous), dtype=bool)

    def _past_rates(self, gathered: Callable[[str], Floats]) -> Floats | None:
        counts = self.found.counts
        if counts.past_total is None or counts.past_anomalous is None:
            return None
        usual = float(counts.past_anomalous.sum()) / max(float(counts.past_total.sum()), _NOTHING)
        prior = _PRIOR_ANOMALIES / max(usual, _NOTHING)
        rates: Floats = (gathered("past_anomalous") + _PRIOR_ANOMALIES) / (gathered("past_total") + prior)
        return rates

    def run(self) -> None:
        """Find causes until none is left that shows the evidence."""
        evidence = self.evidence
        if not len(self.anomalous):
            return
        penalty = evidence.depth_penalty ** (self.depth - 1)
        while len(self.causes) < evidence.most_causes:
            of_all, of_open = self._ratios()
            scores = np.where(self._is_found, 0.0, np.maximum(of_all, of_open) / penalty)
            best = int(np.argmax(scores))
            if scores[best] < evidence.minimum_score:
                return
            if not self._is_exact[best]:
                self._count_exactly(best)
                continue
            better = self._part_that_matters(best, whole=bool(of_all[best] >= of_open[best]))
            if better is not None:
                if not self._is_exact[better]:
                    self._count_exactly(better)
                of_all, of_open = self._ratios()
                if max(of_all[better], of_open[better]) / penalty[better] < evidence.minimum_score:
                    # By the exact count it is none: the next round chooses without it.
                    self._is_found[better] = True
                    continue
                best = better
            self._explain(
                best, bool(of_all[best] >= of_open[best]), float(max(of_all[best], of_open[best]) / penalty[best])
            )

    def assign(self, fewest: float) -> Ints:
        """For each folded row the cause that holds it, of several the one with the highest rate; -1 for none.

        A cause that is left with fewer anomalies than ``fewest`` explains nothing that others do not, and is dropped.
        """
        dropped: set[int] = set()
        while True:
            cause = np.full(len(self._is_held), UNEXPLAINED)
            highest = np.zeros(len(self._is_held))
            for position, (found, rows) in enumerate(zip(self.causes, self.rows, strict=True)):
                rate = found.anomalous / max(found.total, _NOTHING)
                mine = rows[rate > highest[rows]] if position not in dropped else rows[:0]
                cause[mine], highest[mine] = position, rate
            explained = cause != UNEXPLAINED
            held = np.bincount(cause[explained], self._anomalous_rows[explained], len(self.causes))
            left = [position for position in range(len(self.causes)) if position not in dropped]
            least = min(left, key=lambda position: held[position], default=None)
            if least is None or held[least] >= fewest:
                return cause
            dropped.add(least)

    @property
    def _rate(self) -> float:
        """What is usual where no cause is."""
        return max(self._open_anomalous, 0.0) / max(self._open_total, 1.0)

    def _rest_rates(self) -> Floats:
        """What is usual where neither a cause nor the candidate is."""
        anomalous = np.maximum(self._open_anomalous - self.open_anomalous, 0.0) + _PRIOR_ANOMALIES
        total = np.maximum(self._open_total - self.open_total, 0.0) + _PRIOR_ANOMALIES / max(self._rate, _NOTHING)
        rates: Floats = anomalous / total
        return rates

    def _expected(self, rate: Floats | float) -> tuple[Floats, Floats]:
        """What is expected of each candidate as a whole, and of the part of it that no cause holds, at a rate there."""
        of_open = np.maximum(rate * self.open_total, _NOTHING)
        of_all = of_open + self.held
        if self.past_rate is not None:
            of_all = np.maximum(of_all, self.past_rate * self.total)
            of_open = np.maximum(of_open, self.past_rate * self.open_total)
        return of_all, of_open

    def _ratios(self) -> tuple[Floats, Floats]:
        """Log-likelihood ratios of each candidate as a whole and of its open part; 0 below the least lift."""
        expected, expected_open = self._expected(self._rate)
        # A wide candidate is much of what is usual: its lift is seen against the rest alone.
        by_rest, open_by_rest = self._expected(self._rest_rates())
        return (
            self._ratio_of_lifted(self.anomalous, by_rest, expected),
            self._ratio_of_lifted(self.open_anomalous, open_by_rest, expected_open),
        )

    def _ratio_of_lifted(self, anomalous: Floats, by_rest: Floats, expected: Floats) -> Floats:
        ratios = np.zeros(len(anomalous))
        lifted = np.flatnonzero(anomalous >= self.evidence.minimum_lift * by_rest)
        ratios[lifted] = self._ratio(anomalous[lifted], expected[lifted])
        return ratios

    def _ratio(self, anomalous: Floats, expected: Floats) -> Floats:
        """Of so many anomalies inside and the others outside against what was expected in both."""
        inside, expected_inside = np.maximum(anomalous, _NOTHING), np.minimum(expected, self._sum)
        outside = np.maximum(self._sum - anomalous, _NOTHING)
        expected_outside = np.maximum(self._sum - expected_inside, _NOTHING)
        ratio: Floats = inside * np.log(inside / expected_inside) + outside * np.log(outside / expected_outside)
        return ratio

    def _family_of(self, candidate: int) -> tuple[Family, tuple[int, ...], Ints]:
        """A candidate's family, its values, and its rows."""
        place = int(np.searchsorted(self._starts, candidate, side="right")) - 1
        family = self._families[place]
        cell = int(self._cells[place][candidate - self._starts[place]])
        values = self.found.values_of(family.attributes, cell)
        return family, values, self.found.rows_of(family.attributes, values)

    def _count_exactly(self, candidate: int) -> None:
        """Replace what a part of the rows said of a candidate by what all of them say."""
        _, _, rows = self._family_of(candidate)
        held = self._is_held[rows]
        totals = self.found.counts.total[rows]
        self.total[candidate] = totals.sum()
        self.open_total[candidate] = totals[~held].sum()
        self.held[candidate] = self._expected_rows[rows][held].sum()
        self._is_exact[candidate] = True

    def _part_that_matters(self, candidate: int, whole: bool) -> int | None:
        """A narrower combination that leaves out a rest which is like everything else; None where there is none.

        The penalty of depth alone would let a wide combination win that owes all it has to a part of it.
        """
        evidence = self.evidence
        if self.depth[candidate] >= self.depth.max():
            return None
        _, _, rows = self._family_of(candidate)
        rows = rows[self._weight[rows] > 0]
        (shared,) = self._shares(rows, [self.found.counts.total[rows] * self._weight[rows]])
        is_part = (shared >= _ALMOST_ALL * self.total) & (self.depth > self.depth[candidate]) & ~self._is_found
        all_expected, open_expected = self._expected(float(self._rest_rates()[candidate]))
        anomalous, expected = (self.anomalous, all_expected) if whole else (self.open_anomalous, open_expected)
        rest, rest_expected = anomalous[candidate] - anomalous, expected[candidate] - expected
        rest_open = self.open_total[candidate] - self.open_total
        is_rest = (rest_expected >= evidence.faint_rest * expected[candidate]) | (
            rest_open >= evidence.faint_rest * (self.total if whole else self.open_total)[candidate]
        )
        is_faint = (rest <= evidence.minimum_lift * rest_expected) | (
            self._ratio(np.maximum(rest, _NOTHING), np.maximum(rest_expected, _NOTHING)) < evidence.faint_score
        )
        chosen = is_part & is_rest & is_faint & (rest <= anomalous[candidate] / 2)
        if not chosen.any():
            return None
        worth = self._ratio(anomalous, np.maximum(expected, _NOTHING)) - evidence.faint_score * self.depth
        best = int(np.argmax(np.where(chosen, worth, -np.inf)))
        return best if worth[best] > worth[candidate] else None

    def _explain(self, candidate: int, whole: bool, score: float) -> None:
        """Take a candidate as a cause, and expect from now on what it brings about."""
        counts = self.found.counts
        family, values, rows = self._family_of(candidate)
        rate = float(self._rest_rates()[candidate])
        totals, is_held = counts.total[rows], self._is_held[rows]
        before = np.where(is_held, self._expected_rows[rows], np.minimum(rate * totals, totals))
        mine = np.ones(len(rows), dtype=bool) if whole else ~is_held
        anomalous, total, expected = self._sums(rows, before, mine)
        share = _brought_about(anomalous, total, expected)
        shares = np.full(len(rows), share)
        if not whole:
            # Where another cause holds it, too, it does no more than in its open part, and no more than is to be seen.
            shares[is_held] = min(share, _brought_about(*self._sums(rows, before, is_held)))
        after = before + shares * (totals - before)
        if self.past_rate is not None:
            expected = max(expected, float(self.past_rate[candidate]) * total)
        self.causes.append(
            Cause(
                kind=self.kind,
                conditions=tuple(
                    (attribute, int(counts.values[attribute][value - 1]))
                    for attribute, value in zip(family.attributes, values, strict=True)
                ),
                anomalous=anomalous,
                total=total,
                expected=expected,
                score=score,
                past_rate=None if self.past_rate is None else float(self.past_rate[candidate]),
            )
        )
        self.rows.append(np.sort(rows))
        self._update(rows, is_held, before, after)
        self._is_held[rows] = True
        self._expected_rows[rows] = after
        self._is_found[candidate] = True
        self._open_anomalous -= float(self._anomalous_rows[rows[~is_held]].sum())
        self._open_total -= float(totals[~is_held].sum())

    def _sums(self, rows: Ints, expected: Floats, chosen: Bools) -> tuple[float, float, float]:
        """Anomalies, things and expected anomalies of some of the rows."""
        return (
            float(self._anomalous_rows[rows[chosen]].sum()),
            float(self.found.counts.total[rows[chosen]].sum()),
            float(expected[chosen].sum()),
        )

    def _update(self, rows: Ints, held: Bools, before: Floats, after: Floats) -> None:
        """Tell every candidate that shares rows with a new cause what is expected of it now."""
        counted = self._weight[rows] > 0
        weight = self._weight[rows][counted]
        more_held, less_open = self._shares(
            rows[counted],
            [
                np.where(held, after - before, after)[counted] * weight,
                np.where(held, 0.0, self.found.counts.total[rows])[counted] * weight,
            ],
        )
        anomalous = np.where(held, 0.0, self._anomalous_rows[rows])
        (less_anomalous,) = self._shares(rows[anomalous > 0], [anomalous[anomalous > 0]])
        self.held += more_held
        self.open_total = np.maximum(self.open_total - less_open, 0.0)
        self.open_anomalous = np.maximum(self.open_anomalous - less_anomalous, 0.0)
        if not self.found.is_exact:
            self._is_exact[(more_held != 0) | (less_open != 0)] = False

    def _shares(self, rows: Ints, values: list[Floats]) -> list[Floats]:
        """For each candidate the sums of the values over those of the rows that lie in it."""
        columns = [column[rows] for column in self.found.counts.codes]
        sums = [np.zeros(len(self.anomalous)) for _ in values]
        for place, family in enumerate(self._families):
            start, end = self._starts[place], self._starts[place + 1]
            number, valid = self.found.key(family.attributes, columns)
            position, hit = found_among(number, valid, self._cells[place])
            if hit.any():
                for total, value in zip(sums, values, strict=True):
                    total[start:end] += np.bincount(position[hit], value[hit], end - start)
        return sums


def _brought_about(anomalous: float, total: float, expected: float) -> float:
    """Share of what would be in order that is made anomalous, so that there are as many anomalies as there are."""
    return min(max((anomalous - expected) / max(total - expected, _NOTHING), 0.0), 1.0)
