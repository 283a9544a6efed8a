"""Scorecards are what a naive computation over all rows gives; without data there is no score, never a better one."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lower_rooms import CI_RELATIONS, CONFIGURATION_ITEMS, DAY, NEXT_DAY, RULES, Rooms, Row, instance, violation

from omgov_assets.data_lake.lake import Lake
from omgov_assets.quality_analysis.anomalies import identify_anomalies
from omgov_assets.quality_analysis.changes import recompute_changes
from omgov_assets.quality_analysis.rankings import rank_anomalies
from omgov_assets.quality_analysis.rules import AnalysisRules
from omgov_assets.quality_analysis.scorecards import (
    SCORECARDS,
    NotScoredError,
    compute_scorecards,
    read_scorecards,
    score_trend,
)
from omgov_assets.quality_analysis.statistics import compute_statistics
from omgov_assets.quality_policy.violations import CHECK_RESULTS, VIOLATIONS

SYSTEMS = ("asset_management", "securities")
DIMENSIONS = ("accuracy", "completeness", "conformity", "consistency", "coverage", "timeliness", "uniqueness")
WEIGHTS = {"critical": 1.0, "warning": 0.3, "info": 0.05}
# Uneven, and one that counts for nothing.
DIMENSION_WEIGHTS = dict(zip(DIMENSIONS, (3, 2, 1, 1, 2, 0, 1), strict=True))
WEIGHED = AnalysisRules(
    RULES.systems, RULES.scores.model_copy(update={"quality_dimension_weights": DIMENSION_WEIGHTS}), zone=RULES.zone
)
UNJUDGED = ("not_evaluated", "error")
GONE = ("resolved", "withdrawn", "unverified")

# Policies: dataset, name, quality dimension.
POLICIES = [
    ("metric_instances", "flat", "accuracy"),
    ("metric_instances", "stale", "timeliness"),
    ("metric_instances", "reported", "coverage"),
    ("metric_definitions", "unit", "completeness"),
    ("metric_definitions", "mapped", "coverage"),
]
CMDB_POLICIES = [("configuration_items", "owner", "completeness"), ("configuration_items", "monitored", "coverage")]
BASELINE = [("host", None, "cpu"), ("host", None, "memory"), ("application", 1, "up")]

ITEMS = {row["ci_id"]: row for row in reversed(CONFIGURATION_ITEMS)}
EXPECTED = {
    (ci, metric)
    for ci, item in ITEMS.items()
    for ci_class, tier, metric in BASELINE
    if item["ci_class"] == ci_class and tier in (None, item["tier"])
}


def keys_of(ci_id: str | None) -> dict[str, set[str]]:
    """The subjects that whatever is on a CI counts for, looked up record by record."""
    item = ITEMS.get(ci_id or "", {})
    ci_class = item.get("ci_class")
    relation = {"host": "runs_on", "database": "depends_on"}.get(ci_class or "")
    applications = {
        s
        for s, r, t in CI_RELATIONS
        if (r, t) == (relation, ci_id) and s in ITEMS and ITEMS[s]["ci_class"] == "application"
    }
    found = {
        "support_group": {item.get("support_group_id")},
        "owner": {item.get("owner_id")},
        "site": {ci_id if ci_class == "site" else item.get("site_id")},
        "application": {ci_id} if ci_class == "application" else applications,
    }
    return {kind: {key for key in keys if key} for kind, keys in found.items()}  # type: ignore[misc]


@dataclass(frozen=True)
class Firm:
    """A day and the one before: instances, definitions by system, violations, verdicts by (system, dataset, policy)."""

    instances: list[Row]
    last_instances: list[Row]
    definitions: dict[str, int]
    violations: list[Row]
    before: list[Row]
    verdicts: dict[tuple[str, str, str], str]


def policies() -> list[tuple[str, str, str, str]]:
    of_systems = [(system, *policy) for system in SYSTEMS for policy in POLICIES]
    return [*of_systems, *(("cmdb", *policy) for policy in CMDB_POLICIES)]


def subject(row: Row) -> tuple[str, ...]:
    if row["subject_kind"] == "expected_instance":
        return ("expected", row["subject_key"])
    return (row["system"], row["dataset"], row["subject_key"])


def identity(row: Row) -> tuple[str, ...]:
    return tuple(row[name] for name in ("system", "dataset", "anomaly_type", "subject_kind", "subject_key"))


def is_missing_known(kind: str, key: str, ci: str, judged: set[tuple[str, str]], reporting: set[str]) -> bool:
    """Whether anybody judged if what is expected of a CI is missing, as far as it concerns a subject."""
    of_cmdb = ("cmdb", "configuration_items") in judged
    if kind == "system":
        return of_cmdb if key == "cmdb" else (key, "metric_instances") in judged
    return any((system, "metric_instances") in judged for system in reporting) if reporting else of_cmdb


def share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def naive(firm: Firm) -> dict[tuple[str, str, str], Row]:  # noqa: C901 - one walk over everything is its point
    """Every scorecard, by walking over everything."""
    delivered = {row["system"] for row in firm.instances}
    # Rows: (system, dataset, keys by kind, is of the day), each once.
    units: list[tuple[str, str, dict[str, set[str]], bool]] = []
    for rows, is_today in ((firm.instances, True), (firm.last_instances, False)):
        once = {(row["system"], row["instance_id"]): row for row in rows if is_today or row["system"] not in delivered}
        units += [(system, "metric_instances", keys_of(row["ci_id"]), is_today) for (system, _), row in once.items()]
    units += [("cmdb", "configuration_items", keys_of(ci), True) for ci in ITEMS]
    units += [
        (system, "metric_definitions", {}, True)
        for system, count in firm.definitions.items()
        # How many there are is known from the policies that looked at them.
        if {firm.verdicts[system, "metric_definitions", p] for p in ("unit", "mapped")} - set(UNJUDGED)
        for _ in range(count)
    ]
    reporting = defaultdict(set)
    for row in [*firm.instances, *(row for row in firm.last_instances if row["system"] not in delivered)]:
        reporting[row["ci_id"]].add(row["system"])

    def is_of(kind: str, key: str, system: str, keys: dict[str, set[str]]) -> bool:
        return kind == "firm" or (kind == "system" and key == system) or key in keys.get(kind, ())

    before = {identity(row): row for row in firm.before}
    now = {identity(row): row for row in firm.violations}
    inventory = {(row["system"], row["instance_id"]) for row in firm.instances}

    def outcome(row: Row) -> str:
        verdict = firm.verdicts.get((row["system"], row["dataset"], row["policy_id"].partition(".")[2]))
        of_dataset = {v for (s, d, _), v in firm.verdicts.items() if (s, d) == (row["system"], row["dataset"])}
        if verdict in UNJUDGED or (row["subject_kind"] == "row" and of_dataset == {"not_evaluated"}):
            return "unverified"
        is_instance = row["dataset"] == "metric_instances" and row["subject_kind"] == "row"
        return "withdrawn" if is_instance and (row["system"], row["subject_key"]) not in inventory else "resolved"

    subjects = {("firm", "all"), *(("system", s) for s in (*SYSTEMS, "cmdb"))}
    for _, _, keys, _ in units:
        subjects |= {(kind, key) for kind, found in keys.items() for key in found}
    for row in [*firm.violations, *firm.before]:
        subjects |= {(kind, key) for kind, found in keys_of(row["ci_id"]).items() for key in found}
    cards: dict[tuple[str, str, str], Row] = {}
    for kind, key in subjects:
        mine = [(s, d, is_today) for s, d, keys, is_today in units if is_of(kind, key, s, keys)]
        wrong = [row for row in firm.violations if is_of(kind, key, row["system"], keys_of(row["ci_id"]))]
        gone = [
            row
            for name, row in before.items()
            if name not in now and is_of(kind, key, row["system"], keys_of(row["ci_id"]))
        ]
        expected = {
            pair
            for pair in EXPECTED
            if is_of(kind, key, "cmdb", keys_of(pair[0])) or (kind == "system" and key in reporting[pair[0]])
        }
        counted: set[tuple[str, ...]] = set()
        for dimension in DIMENSIONS:
            asked = [(s, d, p) for s, d, p, q in policies() if q == dimension]
            judged = {(s, d) for s, d, p in asked if firm.verdicts[s, d, p] in ("passed", "failed")}
            rows = [(s, d) for s, d, is_today in mine if is_today and (s, d) in judged]
            with_ci = ("metric_instances", "configuration_items")
            pairs = [firm.verdicts[s, d, p] for s, d, _ in mine for a, b, p in asked if (a, b) == (s, d)]
            known = {(s, d) for s, d, _ in mine}
            is_known = any((s, d) in known for s, d, _ in asked)
            is_judged = bool(judged & known)
            if kind in ("firm", "system"):
                own = [(s, d) for s, d, _ in asked if kind == "firm" or s == key]
                is_known, is_judged = bool(own), any(pair in judged for pair in own)
            expected_here, is_expected = 0, False
            if dimension == "coverage":
                rows = [(s, d) for s, d in rows if d not in with_ci]
                if any(d in with_ci for _, d in judged & (known | set(own if kind in ("firm", "system") else ()))):
                    is_expected = True
                    expected_here = sum(is_missing_known(kind, key, ci, judged, reporting[ci]) for ci, _ in expected)
            penalty: dict[tuple[str, ...], float] = {}
            for row in wrong:
                if row["quality_dimension"] == dimension and row["subject_kind"] in ("row", "expected_instance"):
                    name = subject(row)
                    penalty[name] = max(penalty.get(name, 0), WEIGHTS[row["severity"]])
            counted |= set(penalty)
            size = len(rows) + expected_here
            status = (
                "not_evaluated"
                if is_known and not is_judged
                else "no_subjects"
                if not size
                else "too_few"
                if size < RULES.scores.minimum_subjects
                else "scored"
            )
            cards[kind, key, dimension] = {
                "status": status,
                "score": max(0.0, 100 * (1 - sum(penalty.values()) / size)) if status == "scored" else None,
                "subjects": size,
                "anomalous_subjects": len(penalty),
                "not_evaluated_share": sum(v in ("not_evaluated", "error") for v in pairs) / len(pairs)
                if pairs
                else None,
                "baseline_expected": expected_here if is_expected else None,
                "baseline_missing": sum(name[0] == "expected" for name in penalty) if is_expected else None,
                "new_anomalies": sum(
                    row["quality_dimension"] == dimension and identity(row) not in before for row in wrong
                ),
                "burn_down_rate": share(
                    sum(r["quality_dimension"] == dimension and outcome(r) == "resolved" for r in gone),
                    sum(
                        r["quality_dimension"] == dimension and is_of(kind, key, r["system"], keys_of(r["ci_id"]))
                        for r in firm.before
                    ),
                ),
                "anomalies": sum(row["quality_dimension"] == dimension for row in wrong),
                "backlog": sum(row["quality_dimension"] == dimension and identity(row) in before for row in wrong),
            } | {
                f"{name}_anomalies": sum(r["quality_dimension"] == dimension and outcome(r) == name for r in gone)
                for name in GONE
            }
        own_cards = [cards[kind, key, dimension] for dimension in DIMENSIONS]
        weighed = [(cards[kind, key, d]["score"], DIMENSION_WEIGHTS[d]) for d in DIMENSIONS]
        scores = [(score, weight) for score, weight in weighed if score is not None and weight]
        total = sum(weight for _, weight in scores)
        cards[kind, key, "overall"] = {
            "status": min(
                (
                    "no_subjects" if card["status"] == "scored" and not DIMENSION_WEIGHTS[d] else card["status"]
                    for d, card in zip(DIMENSIONS, own_cards, strict=True)
                ),
                key=["scored", "not_evaluated", "too_few", "no_subjects"].index,
            ),
            "score": sum(score * weight for score, weight in scores) / total if total else None,
            "subjects": max(c["subjects"] for c in own_cards if c["baseline_expected"] is None or c is not own_cards[4])
            + (own_cards[4]["baseline_expected"] or 0),
            "anomalous_subjects": len(counted),
            "anomalies": len(wrong),
            "backlog": sum(identity(row) in before for row in wrong),
        } | {f"{name}_anomalies": sum(outcome(r) == name for r in gone) for name in GONE}
    return cards


ci_ids = st.sampled_from(["HOST-1", "HOST-2", "DB-1", "APP-1", "APP-2", "NET-1", "SITE-2", "HOST-GHOST"])
severities = st.sampled_from(list(WEIGHTS))
verdicts = st.sampled_from(["passed", "failed", "failed", "not_evaluated", "error"])


@st.composite
def firms(draw: st.DrawFn) -> Firm:
    def inventory() -> list[Row]:
        rows = []
        for number in range(draw(st.integers(0, 7))):
            row = instance(f"i{number}", system=draw(st.sampled_from(SYSTEMS)), ci_id=draw(ci_ids))
            rows += [row] * draw(st.integers(1, 2))
        return rows

    last, today = inventory(), inventory()
    # An instance keeps its system and CI from day to day.
    fixed = {row["instance_id"]: row for row in last}
    today = [fixed.get(row["instance_id"], row) for row in today]
    missing = draw(st.sampled_from([*SYSTEMS, None, None]))
    today = [row for row in today if row["system"] != missing]

    def of_a_day(rows: list[Row]) -> list[Row]:
        found = []
        for row in {r["instance_id"]: r for r in rows}.values():
            for name, dimension in (("flat", "accuracy"), ("stale", "timeliness")):
                if draw(st.booleans()):
                    place = {key: row[key] for key in ("system", "ci_id")}
                    found.append(wrong(row["instance_id"], name, dimension, draw(severities), **place))
        for ci, metric in sorted(EXPECTED):
            if draw(st.integers(0, 3)) == 0:
                system, dataset, name = draw(
                    st.sampled_from(
                        [("securities", "metric_instances", "reported"), ("cmdb", "configuration_items", "monitored")]
                    )
                )
                place = {"system": system, "dataset": dataset, "ci_id": ci, "subject_kind": "expected_instance"}
                found.append(wrong(f"{ci}|{metric}", name, "coverage", "critical", **place))
        for ci in draw(st.sets(st.sampled_from(["HOST-1", "APP-1", "NET-2"]))):
            place = {"system": "cmdb", "dataset": "configuration_items", "ci_id": ci}
            found.append(wrong(ci, "owner", "completeness", draw(severities), **place))
        # What is wrong with a batch is no subject of a score.
        nothing = {"ci_id": None, "subject_kind": "batch"}
        if draw(st.booleans()):
            found.append(wrong("b", "admission", "conformity", "critical", **nothing))
        return found

    judged = {(s, d, p): "not_evaluated" if s == missing else draw(verdicts) for s, d, p, _ in policies()}
    return Firm(
        today,
        last,
        {s: draw(st.integers(0, 3)) for s in SYSTEMS if s != missing},
        of_a_day(today),
        of_a_day(last),
        judged,
    )


def wrong(key: str, name: str, dimension: str, severity: str, **fields: Any) -> Row:
    dataset = fields.get("dataset", "metric_instances")
    return violation(
        key, f"{name}_wrong", policy_id=f"{dataset}.{name}", quality_dimension=dimension, severity=severity, **fields
    )


def write(rooms: Rooms, day: date, firm: Firm, *, first: bool) -> None:
    rooms.write_cmdb(day)
    items = [{"status": "in_use", "_batch_id": "b", "_record_no": n} | row for n, row in enumerate(CONFIGURATION_ITEMS)]
    rooms.write("cmdb/configuration_items", day, items)
    baseline = [{"ci_class": c, "tier": t, "metric": m} for c, t, m in BASELINE]
    rooms.write("control/baseline_metrics", day, baseline)
    for system in SYSTEMS:
        rows = firm.last_instances if first else firm.instances
        rooms.write(f"{system}/metric_instances", day, [row for row in rows if row["system"] == system])
    rooms.write(VIOLATIONS, day, firm.before if first else firm.violations)
    rooms.write(
        CHECK_RESULTS,
        day,
        [
            {
                "system": s,
                "dataset": d,
                "policy_id": f"{d}.{p}",
                "quality_dimension": q,
                "verdict": "passed" if first else firm.verdicts[s, d, p],
                "evaluated": firm.definitions.get(s, 0) if d == "metric_definitions" else 0,
            }
            for s, d, p, q in policies()
        ],
    )


def analyse(rooms: Rooms, day: date, rules: AnalysisRules = RULES) -> None:
    identify_anomalies(rooms.lake, day, rules)
    compute_statistics(rooms.lake, day, rules)
    rank_anomalies(rooms.lake, day)
    compute_scorecards(rooms.lake, day, rules)


def cards_of(rooms: Rooms, day: date) -> dict[tuple[str, str, str], Row]:
    rows = rooms.rows(SCORECARDS, day)
    found = {(row["subject_kind"], row["subject_key"], row["quality_dimension"]): row for row in rows}
    assert len(found) == len(rows)
    return found


def test_every_scorecard_is_what_a_naive_computation_gives(
    tmp_path_factory: pytest.TempPathFactory, project_root: Path
) -> None:
    contracts = project_root / "governance" / "standard" / "data_contracts"
    rooms = Rooms(Lake(tmp_path_factory.mktemp("cards") / "lake", dataset_contracts=contracts))

    @settings(max_examples=15, deadline=None)
    @given(firms())
    def holds(firm: Firm) -> None:
        write(rooms, DAY, firm, first=True)
        write(rooms, NEXT_DAY, firm, first=False)
        identify_anomalies(rooms.lake, DAY, RULES)
        identify_anomalies(rooms.lake, NEXT_DAY, RULES)
        compute_scorecards(rooms.lake, NEXT_DAY, WEIGHED)
        stored, expected = cards_of(rooms, NEXT_DAY), naive(firm)
        assert set(stored) == set(expected)
        for name, card in expected.items():
            for measure, value in card.items():
                assert stored[name][measure] == pytest.approx(value), (name, measure)

    holds()


# --- single rules
# ------------------------------------------------------------------------------------------------------


def simple(rooms: Rooms, day: date, wrong_ones: dict[str, str], instances: int = 100, verdict: str = "failed") -> None:
    """A day of one system on HOST-2 with so many instances, these of which are flat, by severity."""
    rooms.write_cmdb(day)
    rooms.write("securities/metric_instances", day, [instance(f"i{n}", ci_id="HOST-2") for n in range(instances)])
    rows = [violation(key, ci_id="HOST-2", severity=severity) for key, severity in wrong_ones.items()]
    rooms.write(VIOLATIONS, day, rows)
    policy = {"system": "securities", "dataset": "metric_instances", "policy_id": "metric_instances.flat_line"}
    rooms.write(CHECK_RESULTS, day, [policy | {"quality_dimension": "accuracy", "verdict": verdict}])
    analyse(rooms, day)


def card(rooms: Rooms, day: date, kind: str = "system", key: str = "securities", dimension: str = "accuracy") -> Row:
    return cards_of(rooms, day)[kind, key, dimension]


def test_a_score_is_the_share_without_anomaly_weighted_by_severity(rooms: Rooms) -> None:
    simple(rooms, DAY, {"i1": "critical", "i2": "warning", "i3": "info"})
    assert card(rooms, DAY)["score"] == pytest.approx(100 * (1 - 1.35 / 100))
    assert card(rooms, DAY, "support_group", "SG-2")["score"] == card(rooms, DAY)["score"]
    assert card(rooms, DAY, "application", "APP-2")["score"] == card(rooms, DAY)["score"]
    assert card(rooms, DAY, "firm", "all", "overall")["score"] == card(rooms, DAY)["score"]


@pytest.mark.parametrize(("severity", "score"), [("critical", 0.0), ("warning", 70.0)])
def test_with_everything_anomalous_a_score_is_its_lowest(rooms: Rooms, severity: str, score: float) -> None:
    simple(rooms, DAY, {f"i{n}": severity for n in range(100)})
    assert card(rooms, DAY)["score"] == pytest.approx(score)


def test_what_is_not_judged_has_no_score_and_never_a_better_one(rooms: Rooms) -> None:
    simple(rooms, DAY, {"i1": "critical"})
    simple(rooms, NEXT_DAY, {}, instances=0, verdict="not_evaluated")
    found = card(rooms, NEXT_DAY)
    assert (found["status"], found["score"], found["change"]) == ("not_evaluated", None, None)
    assert (found["not_evaluated_share"], found["unverified_anomalies"], found["resolved_anomalies"]) == (1, 1, 0)
    assert card(rooms, NEXT_DAY, "owner", "OWN-1", "overall")["status"] in ("no_subjects", "not_evaluated")


def test_a_part_that_was_not_judged_makes_no_score_better(rooms: Rooms) -> None:
    """100 instances, all wrong, and 100 sound definitions; on the second day the instances do not arrive."""
    definitions = {"system": "securities", "dataset": "metric_definitions", "policy_id": "metric_definitions.unit"}
    instances = {"system": "securities", "dataset": "metric_instances", "policy_id": "metric_instances.flat_line"}
    simple(rooms, DAY, {f"i{n}": "critical" for n in range(100)})
    simple(rooms, NEXT_DAY, {}, instances=0)
    for day, verdict in ((DAY, "failed"), (NEXT_DAY, "not_evaluated")):
        checks = [definitions | {"verdict": "passed", "evaluated": 100}, instances | {"verdict": verdict}]
        rooms.write(CHECK_RESULTS, day, [{"quality_dimension": "accuracy"} | row for row in checks])
        analyse(rooms, day)
    first, second = card(rooms, DAY), card(rooms, NEXT_DAY)
    assert (first["score"], second["score"], second["previous_score"]) == (50, 100, 50)
    assert (second["change"], card(rooms, NEXT_DAY, dimension="overall")["change"]) == (None, None)
    assert second["not_evaluated_share"] == 0.5


def test_without_a_cmdb_its_subjects_are_not_evaluated_and_do_not_vanish(rooms: Rooms) -> None:
    simple(rooms, DAY, {"i1": "critical"})
    simple(rooms, NEXT_DAY, {"i1": "critical"})
    rooms.write("cmdb/configuration_items", NEXT_DAY, [])
    analyse(rooms, NEXT_DAY)
    found = card(rooms, NEXT_DAY, "support_group", "SG-2")
    assert (found["status"], found["score"], found["burn_down_rate"]) == ("not_evaluated", None, 0)
    assert card(rooms, NEXT_DAY, "support_group", "SG-2", "overall")["status"] == "not_evaluated"


def test_weights_may_leave_dimensions_out(rooms: Rooms) -> None:
    only = {"quality_dimension_weights": {"coverage": 1}}
    simple(rooms, DAY, {"i1": "critical"})
    compute_scorecards(rooms.lake, DAY, AnalysisRules(RULES.systems, RULES.scores.model_copy(update=only)))
    assert card(rooms, DAY)["score"] == 99
    # Nothing that counts was scored: no overall score, and a reason that says so.
    overall = card(rooms, DAY, dimension="overall")
    assert (overall["status"], overall["score"]) == ("no_subjects", None)


def test_what_was_repaired_is_set_against_what_there_was(rooms: Rooms) -> None:
    simple(rooms, DAY, {f"i{n}": "info" for n in range(10)})
    simple(rooms, NEXT_DAY, {f"i{n}": "info" for n in range(1, 10)})
    moved = [row | {"support_group_id": "SG-1"} if row["ci_id"] == "HOST-2" else row for row in CONFIGURATION_ITEMS]
    rooms.write("cmdb/configuration_items", NEXT_DAY, moved)
    analyse(rooms, NEXT_DAY)
    # The host is SG-1's now: of SG-2's ten one was resolved, and SG-1 had none.
    rates = {group: card(rooms, NEXT_DAY, "support_group", group)["burn_down_rate"] for group in ("SG-1", "SG-2")}
    assert rates == {"SG-1": None, "SG-2": 0.1}


def test_few_subjects_get_no_score(rooms: Rooms) -> None:
    strict = AnalysisRules(RULES.systems, RULES.scores.model_copy(update={"minimum_subjects": 101}))
    simple(rooms, DAY, {"i1": "critical"})
    compute_scorecards(rooms.lake, DAY, strict)
    assert (card(rooms, DAY)["status"], card(rooms, DAY)["score"]) == ("too_few", None)


def test_an_empty_night_has_scorecards_without_scores(rooms: Rooms) -> None:
    analyse(rooms, DAY)
    found = cards_of(rooms, DAY)
    assert {row["status"] for row in found.values()} == {"no_subjects"}
    assert {row["score"] for row in found.values()} == {None}
    assert ("firm", "all", "overall") in found


def test_changes_backlog_and_time_to_repair_follow_the_days(rooms: Rooms) -> None:
    simple(rooms, DAY, {"i1": "critical", "i2": "critical"})
    simple(rooms, DAY + timedelta(days=1), {"i1": "critical", "i3": "critical"})
    simple(rooms, DAY + timedelta(days=2), {"i3": "critical"})
    second, third = (card(rooms, DAY + timedelta(days=n)) for n in (1, 2))
    assert (second["backlog"], second["new_anomalies"], second["resolved_anomalies"]) == (1, 1, 1)
    assert (second["burn_down_rate"], second["new_defect_rate"]) == (0.5, 0.01)
    assert (second["change"], third["change"]) == pytest.approx((0, 1))
    # i2 took one day; i1 took two.
    assert (second["mean_days_to_repair"], third["days_to_repair"], third["mean_days_to_repair"]) == (1, 2, 1.5)
    trend = score_trend(rooms.lake, DAY + timedelta(days=2), "system", 30)
    scores = {row["day"]: row["score"] for row in trend if row["subject_key"] == "securities"}
    assert scores == pytest.approx({DAY: 98, DAY + timedelta(days=1): 98, DAY + timedelta(days=2): 99})
    last_two = score_trend(rooms.lake, DAY + timedelta(days=2), "system", 2)
    assert {row["day"] for row in last_two} == {DAY + timedelta(days=1), DAY + timedelta(days=2)}


def test_a_rerun_day_brings_the_next_days_scores_into_line(rooms: Rooms) -> None:
    simple(rooms, DAY, {"i1": "critical"})
    simple(rooms, NEXT_DAY, {"i1": "critical"})
    assert card(rooms, NEXT_DAY)["change"] == 0
    simple(rooms, DAY, {})
    assert recompute_changes(rooms.lake, DAY, RULES) == [NEXT_DAY]
    found = card(rooms, NEXT_DAY)
    assert (found["previous_score"], found["change"], found["new_anomalies"]) == pytest.approx((100, -1, 1))


def test_scorecards_are_read_lowest_first(rooms: Rooms) -> None:
    simple(rooms, DAY, {"i1": "critical"})
    rows = read_scorecards(rooms.lake, "support_group", DAY)
    assert rows[0]["label"] == "数据库组"
    assert all(value is None or isinstance(value, str | int | float) for row in rows for value in row.values())
    assert read_scorecards(rooms.lake, "support_group", DAY, top=1, best_first=True)[0]["score"] is not None
    assert read_scorecards(rooms.lake, "support_group", DAY, key="数据库组") == rows[:1]
    assert read_scorecards(rooms.lake, "support_group", DAY, key="nobody") == []
    with pytest.raises(NotScoredError, match=r"2026-11-21 has no scorecards: govern it first"):
        read_scorecards(rooms.lake, "system", NEXT_DAY)


def test_a_second_run_changes_nothing(rooms: Rooms) -> None:
    simple(rooms, DAY, {"i1": "critical", "i2": "info"})
    first = rooms.rows(SCORECARDS)
    compute_scorecards(rooms.lake, DAY, RULES)
    assert rooms.rows(SCORECARDS) == first
