"""Localisation names the combinations that anomalies were put into, and no others."""

from __future__ import annotations

import numpy as np
import pytest
from count_rows import ATTRIBUTES, Conditions, Row, counts_of, cube, found_in, spoil, summed, within

from omgov_assets.model_management.root_cause_rules import Evidence
from omgov_assets.quality_analysis.root_causes import combinations
from omgov_assets.quality_analysis.root_causes.localisation import UNEXPLAINED, Explanation, localise

EVIDENCE = Evidence()


def found(rows: list[Row], attributes: tuple[str, ...] = ATTRIBUTES, **evidence: float) -> list[Conditions]:
    explanation = localise(counts_of(rows, attributes), EVIDENCE.model_copy(update=evidence))
    return found_in(rows, explanation, attributes)


def assigned(rows: list[Row], explanation: Explanation, conditions: Conditions) -> set[int]:
    """Positions of the causes of the anomalies that meet conditions."""
    counts = counts_of(rows)
    meeting = {id(row) for row in within(rows, conditions)}
    return {
        int(cause)
        for row, cause in zip(counts.row.tolist(), explanation.cause_of_fact.tolist(), strict=True)
        if id(rows[row]) in meeting
    }


@pytest.mark.parametrize(
    "conditions",
    [{"a": "a3"}, {"c": "c0"}, {"a": "a3", "c": "c9"}, {"b": "b0", "c": "c1"}, {"a": "a3", "b": "b0", "c": "c5"}],
)
def test_one_cause_is_named_with_its_naive_counts(conditions: Conditions) -> None:
    rows = cube()
    spoil(rows, conditions, 0.8)
    explanation = localise(counts_of(rows), EVIDENCE)
    (cause,) = explanation.causes
    assert found_in(rows, explanation) == [conditions]
    assert (cause.anomalous, cause.total) == (summed(rows, conditions), summed(rows, conditions, "total"))
    # Elsewhere one of a hundred is anomalous.
    assert cause.expected == pytest.approx(cause.total / 100, rel=0.05)
    assert cause.past_rate is None
    assert assigned(rows, explanation, conditions) == {0}
    outside = [row for row in rows if row not in within(rows, conditions)]
    assert assigned(rows, explanation, {}) == {0, UNEXPLAINED}
    assert (explanation.cause_of_fact == UNEXPLAINED).sum() == sum(row["bad"] > 0 for row in outside)


def test_a_cause_as_wide_as_half_of_everything_is_seen_against_the_other_half() -> None:
    rows = cube(values=2, total=5000)
    spoil(rows, {"a": "a1"}, 0.02)
    # Against all of it its lift would be 4 / 3.
    assert found(rows) == [{"a": "a1"}]


@pytest.mark.parametrize(("wide", "narrow"), [(0.3, 0.9), (0.05, 0.95)])
def test_a_part_that_is_worse_still_is_a_cause_beside_the_whole(wide: float, narrow: float) -> None:
    rows = cube()
    spoil(rows, {"a": "a3"}, wide)
    spoil(rows, {"a": "a3", "b": "b7"}, narrow)
    explanation = localise(counts_of(rows), EVIDENCE)
    causes = found_in(rows, explanation)
    assert sorted(map(len, causes)) == [1, 2]
    assert {"a": "a3"} in causes
    assert {"a": "a3", "b": "b7"} in causes
    # An anomaly in both belongs to the one with the higher rate.
    assert assigned(rows, explanation, {"a": "a3", "b": "b7"}) == {causes.index({"a": "a3", "b": "b7"})}
    assert assigned(rows, explanation, {"a": "a3", "b": "b6"}) == {causes.index({"a": "a3"})}


@pytest.mark.parametrize("in_both", [0.3, 0.5])
def test_the_overlap_of_two_causes_is_no_third(in_both: float) -> None:
    rows = cube()
    spoil(rows, {"a": "a3"}, 0.3)
    spoil(rows, {"b": "b4"}, 0.3)
    # As bad as either, or as bad as two that are at work side by side: 1 - 0.7 * 0.7.
    spoil(rows, {"a": "a3", "b": "b4"}, in_both)
    explanation = localise(counts_of(rows), EVIDENCE)
    assert sorted(map(str, found_in(rows, explanation))) == ["{'a': 'a3'}", "{'b': 'b4'}"]


def test_a_wide_cause_and_a_narrow_one_across_it_leave_no_third() -> None:
    rows = cube(total=50)
    spoil(rows, {"a": "a1"}, 0.2)
    spoil(rows, {"b": "b4", "c": "c2"}, 0.96)
    assert sorted(found(rows), key=len) == [{"a": "a1"}, {"b": "b4", "c": "c2"}]


def test_a_combination_that_owes_all_to_a_part_of_it_is_not_named() -> None:
    rows = cube()
    part = {"a": "a3", "b": "b7"}
    spoil(rows, part, 0.9)
    # Where each attribute costs so much, one of them alone has the higher score.
    assert found(rows, depth_penalty=5.0) == [part]
    assert part not in found(rows, depth_penalty=5.0, faint_rest=0.999)[:1]


def test_what_is_spread_evenly_has_no_cause() -> None:
    assert found(cube()) == []
    every = cube(values=4)
    spoil(every, {}, 1)
    assert found(every) == []
    nothing = [row | {"bad": 0} for row in cube(values=4)]
    explanation = localise(counts_of(nothing), EVIDENCE)
    assert (explanation.causes, len(explanation.cause_of_fact)) == ((), 0)


def test_no_attribute_gives_no_cause_and_leaves_all_unexplained() -> None:
    rows = cube(values=4)
    spoil(rows, {"a": "a1"}, 1)
    explanation = localise(counts_of(rows, ()), EVIDENCE)
    assert explanation.causes == ()
    assert set(explanation.cause_of_fact.tolist()) == {UNEXPLAINED}


# Functional dependency: hosts stand in racks of a site.


def hosts(bad_hosts: set[str]) -> list[Row]:
    rows = cube(values=40, total=40, attributes=("host", "metric"))
    for row in rows:
        number = int(row["host"].removeprefix("host"))
        row |= {"rack": f"rack{number // 5}", "site": f"site{number // 20}", "serial": f"s{99 - number}"}
        if row["host"] in bad_hosts:
            row["bad"] = 30
    return rows


def test_of_dependent_attributes_the_one_that_fits_is_named_alone() -> None:
    names = ("host", "rack", "site", "metric")
    assert found(hosts({"host12"}), names) == [{"host": "host12"}]
    assert found(hosts({f"host{number}" for number in range(10, 15)}), names) == [{"rack": "rack2"}]
    assert found(hosts({f"host{number}" for number in range(20)}), names) == [{"site": "site0"}]


def test_of_equal_names_the_attribute_that_stands_first_is_taken() -> None:
    rows = hosts({"host12"})
    assert found(rows, ("host", "serial", "rack")) == [{"host": "host12"}]
    assert found(rows, ("rack", "serial", "host")) == [{"serial": "s87"}]


def test_a_value_that_is_missing_is_no_condition() -> None:
    rows = cube()
    for row in within(rows, {"a": "a3"}):
        row |= {"a": None, "bad": 10}
    assert found(rows) == []


# Evidence


def test_too_few_anomalies_are_no_evidence() -> None:
    rows = [row | {"bad": 0} for row in cube()]
    for row in within(rows, {"a": "a3", "b": "b7"})[:7]:
        row["bad"] = 1
    for row in within(rows, {"a": "a8", "b": "b1"})[:8]:
        row["bad"] = 1
    assert found(rows) == [{"a": "a8", "b": "b1"}]
    assert found(rows, minimum_anomalies=9) == []
    # 8 of 15 anomalies are not 60 % of them.
    assert found(rows, minimum_coverage=0.6) == []


def test_every_constant_of_the_evidence_is_obeyed() -> None:
    rows = cube()
    for number, share in enumerate((0.1, 0.2, 0.4)):
        spoil(rows, {"a": f"a{number}", "b": f"b{number}"}, share)
    assert len(found(rows)) == 3
    assert len(found(rows, most_causes=2)) == 2
    assert found(rows, minimum_lift=30) == [{"a": "a2", "b": "b2"}]
    assert len(found(rows, minimum_score=50)) == 2
    assert all(len(cause) == 1 for cause in found(rows, deepest=1))


def test_depth_costs_what_the_penalty_says() -> None:
    rows = cube()
    spoil(rows, {"a": "a1", "b": "b1"}, 0.5)
    (cheap,) = localise(counts_of(rows), EVIDENCE.model_copy(update={"depth_penalty": 1.0})).causes
    (dear,) = localise(counts_of(rows), EVIDENCE.model_copy(update={"depth_penalty": 1.4})).causes
    assert cheap.score == pytest.approx(dear.score * 1.4)


# Kinds and weights


def test_each_kind_has_its_own_causes() -> None:
    rows = cube()
    for row in rows:
        flat = 12 if row["a"] == "a1" else row["bad"]
        late = 12 if row["b"] == "b2" else row["bad"]
        row["bad"] = {"flat": flat, "late": late}
    counts = counts_of(rows)
    explanation = localise(counts, EVIDENCE)
    named = [(counts.kinds[cause.kind], conditions) for cause, conditions in
             zip(explanation.causes, found_in(rows, explanation), strict=True)]  # fmt: skip
    assert named == [("flat", {"a": "a1"}), ("late", {"b": "b2"})]
    explained = explanation.cause_of_fact != UNEXPLAINED
    assert (counts.kind[explained] == explanation.cause_of_fact[explained]).all()


def test_things_in_parts_count_as_their_parts() -> None:
    """A host of two applications is half a thing for either."""
    rows: list[Row] = []
    for host in range(400):
        pair = (f"a{host % 20}", f"a{(host + 1 + host // 20) % 20}")
        bad = 0.5 if "a7" in pair or host % 50 == 0 else 0.0
        rows += [{"a": name, "b": f"b{host % 3}", "total": 0.5, "bad": bad} for name in pair]
    explanation = localise(counts_of(rows, ("a", "b")), EVIDENCE)
    assert found_in(rows, explanation, ("a", "b")) == [{"a": "a7"}]
    (cause,) = explanation.causes
    assert cause.anomalous == cause.total == summed(rows, {"a": "a7"}, "total")


# The past


def test_what_always_was_bad_is_no_cause_and_what_became_bad_is() -> None:
    past, rows = cube(seed=2), cube(seed=3)
    spoil(past, {"a": "a1"}, 0.4)
    spoil(rows, {"a": "a1"}, 0.4)
    spoil(rows, {"b": "b2"}, 0.4)
    assert sorted(map(str, found(rows))) == ["{'a': 'a1'}", "{'b': 'b2'}"]
    explanation = localise(counts_of(rows, past=past), EVIDENCE)
    assert found_in(rows, explanation, past=past) == [{"b": "b2"}]
    assert explanation.causes[0].past_rate == pytest.approx(summed(past, {"b": "b2"}) / 2000, rel=0.1)


def test_what_was_bad_and_became_worse_is_expected_to_be_as_bad_as_it_was() -> None:
    past, rows = cube(seed=2), cube(seed=3)
    spoil(past, {"a": "a1"}, 0.2)
    spoil(rows, {"a": "a1"}, 0.6)
    (cause,) = localise(counts_of(rows, past=past), EVIDENCE).causes
    assert cause.expected == pytest.approx(0.2 * 2000, rel=0.02)
    assert cause.lift == pytest.approx(3, rel=0.05)


def test_what_the_past_does_not_know_is_seen_against_the_rest() -> None:
    past, rows = cube(seed=2), cube(seed=3)
    past = [row for row in past if row["a"] != "a1"]
    spoil(rows, {"a": "a1"}, 0.4)
    explanation = localise(counts_of(rows, past=past), EVIDENCE)
    assert found_in(rows, explanation, past=past) == [{"a": "a1"}]


# Order and size


def several_causes() -> list[Row]:
    rows = cube(values=14)
    spoil(rows, {"a": "a1"}, 0.25)
    spoil(rows, {"b": "b2", "c": "c3"}, 0.6)
    spoil(rows, {"a": "a5", "b": "b6", "c": "c7"}, 1)
    spoil(rows, {"a": "a1", "c": "c9"}, 0.8)
    return rows


def test_the_order_of_rows_does_not_matter() -> None:
    rows = several_causes()
    explanation = localise(counts_of(rows), EVIDENCE)
    assert len(explanation.causes) == 4
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(rows))
        shuffled = [rows[number] for number in order]
        again = localise(counts_of(shuffled), EVIDENCE)
        assert again.causes == explanation.causes
        by_row = {id(shuffled[row]): cause for row, cause in
                  zip(counts_of(shuffled).row.tolist(), again.cause_of_fact.tolist(), strict=True)}  # fmt: skip
        assert [by_row[id(rows[row])] for row in counts_of(rows).row.tolist()] == explanation.cause_of_fact.tolist()


def test_rows_alike_are_one_however_they_are_cut() -> None:
    rows = several_causes()
    cut = [row | {"total": 1, "bad": int(number < row["bad"])} for row in rows for number in range(row["total"])]
    whole, single = localise(counts_of(rows), EVIDENCE), localise(counts_of(cut), EVIDENCE)
    assert whole.causes == single.causes


def test_a_part_of_the_rows_is_enough_to_find_the_same_causes_with_the_same_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = several_causes()
    whole = localise(counts_of(rows), EVIDENCE)
    monkeypatch.setattr(combinations, "COUNTED_ROWS", 700)
    part = localise(counts_of(rows), EVIDENCE)
    assert sorted(map(str, found_in(rows, part))) == sorted(map(str, found_in(rows, whole)))
    # What is found is counted on all rows.
    by_conditions = {cause.conditions: cause for cause in whole.causes}
    for cause in part.causes:
        other = by_conditions[cause.conditions]
        assert (cause.anomalous, cause.total) == pytest.approx((other.anomalous, other.total))
    assert (part.cause_of_fact != UNEXPLAINED).sum() == (whole.cause_of_fact != UNEXPLAINED).sum()


def test_a_heavy_row_is_never_left_out_of_the_part(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = cube(values=14)
    (heavy,) = within(rows, {"a": "a5", "b": "b6", "c": "c7"})
    heavy |= {"total": 9000, "bad": 90}
    monkeypatch.setattr(combinations, "COUNTED_ROWS", 300)
    # 90 of 9,000 are usual; were the row missed, they would be 90 of nothing.
    assert found(rows) == []
