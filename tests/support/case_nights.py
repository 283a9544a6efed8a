"""Nights of cases on a small lake: what is wrong each day is said by a test, the rooms below do the rest.

Also the invariants that hold after any night and any act.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from lower_rooms import RULES, Rooms, Row, instance, violation

from omgov_assets.exception_management.events import case_events_of, register_log
from omgov_assets.exception_management.lifecycle import BEGINNINGS, NIGHT, WORKED_ON, after, begun_by
from omgov_assets.exception_management.night import CasesSummary, update_cases
from omgov_assets.exception_management.rules import CaseRules
from omgov_assets.model_management.exception_rules import ExceptionRules
from omgov_assets.quality_analysis.anomalies import ANOMALIES, identify_anomalies
from omgov_assets.quality_analysis.case_tables import CASE_EVENTS, CASE_MEMBERS, CASES
from omgov_assets.quality_analysis.root_causes import ANOMALY_CAUSES, ROOT_CAUSES
from omgov_assets.quality_policy.violations import CHECK_RESULTS, VIOLATIONS

FIRST = date(2026, 11, 9)  # a Monday
DAYS = [FIRST + timedelta(days=n) for n in range(20)]

CASE_RULES = CaseRules(
    data_engineers={"securities": "engineer@example.com"},
    exceptions=ExceptionRules(
        governance_office="office@example.com",
        reopening_days=3,
        due_business_days={
            "critical": {1: 1, "default": 2},
            "warning": {"default": 4},
            "info": {"default": 9},
        },
        escalation_business_days=2,
    ),
    calendar=RULES.calendar,
    zone=RULES.zone,
)


@dataclass
class Wrong:
    """What is wrong on a day.

    Attributes:
        anomalies: instance to its anomaly types.
        gone: instances that are not in the inventory; without effect on instances that are anomalous.
        unjudged: anomaly types whose policy is not evaluated.
        causes: anomaly type to the cause that explains all its anomalies.
        fields: further fields of the violations of an instance.
        without_cmdb: whether no CMDB was delivered.
    """

    anomalies: Mapping[str, Collection[str]] = field(default_factory=dict)
    gone: Collection[str] = ()
    unjudged: Collection[str] = ()
    causes: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    without_cmdb: bool = False


@dataclass
class Nights:
    """A lake whose cases are brought up to a day, night by night."""

    rooms: Rooms
    instances: Collection[str]
    types: Collection[str] = ("flat_line", "stale_instance")
    rules: CaseRules = CASE_RULES

    def govern(self, day: date, wrong: Wrong) -> CasesSummary:
        """Write what the rooms below would have written for a day, and update its cases."""
        self.write(day, wrong)
        return update_cases(self.rooms.lake, day, self.rules)

    def write(self, day: date, wrong: Wrong) -> None:
        """Write what the rooms below would have written for a day."""
        if not wrong.without_cmdb:
            self.rooms.write_cmdb(day)
        present = [instance(name) for name in self.instances if name not in wrong.gone]
        self.rooms.write("securities/metric_instances", day, present)
        self.rooms.write(
            CHECK_RESULTS,
            day,
            [
                {
                    "system": "securities",
                    "dataset": "metric_instances",
                    "policy_id": f"metric_instances.{kind}",
                    "anomaly_type": kind,
                    "verdict": "not_evaluated" if kind in wrong.unjudged else "failed",
                }
                for kind in self.types
            ],
        )
        rows = [
            violation(name, kind, **wrong.fields.get(name, {}))
            for name, kinds in wrong.anomalies.items()
            for kind in kinds
        ]
        self.rooms.write(VIOLATIONS, day, rows)
        identify_anomalies(self.rooms.lake, day, RULES)
        self.rooms.write(
            ANOMALY_CAUSES,
            day,
            [
                {"anomaly_id": row["anomaly_id"], "cause_id": wrong.causes.get(row["anomaly_type"])}
                for row in self.rooms.rows(ANOMALIES, day)
            ],
        )
        self.rooms.write(
            ROOT_CAUSES,
            day,
            [
                {"cause_id": cause, "conditions": f'{{"rack":"{cause}"}}', "anomaly_types": [], "since": day,
                 "first_found_day": day, "support_group_ids": [], "owner_ids": []}
                for cause in sorted(set(wrong.causes.values()))
            ],
        )  # fmt: skip

    def cases(self, day: date | None = None) -> list[Row]:
        """Cases of a day, default the last."""
        return self.rooms.rows(CASES, day or self.rooms.lake.days(CASES)[-1], order="case_id")

    def members(self, day: date | None = None) -> list[Row]:
        """Members of a day, default the last that has any."""
        return self.rooms.rows(CASE_MEMBERS, day or self.rooms.lake.days(CASES)[-1], order="case_id, subject_key")

    def states(self, day: date | None = None) -> dict[tuple[str, str], str]:
        """State of each subject and anomaly type: that of its open membership, else of the last that ended."""
        found: dict[tuple[str, str], str] = {}
        for row in sorted(self.members(day), key=lambda row: (row["state"] == "open", row["state_day"])):
            found[row["subject_key"], row["anomaly_type"]] = row["state"]
        return found

    def kinds(self, day: date | None = None) -> Counter[str]:
        """How many events of each kind count, of a day or of all days."""
        with self.rooms.lake.connect() as con:
            register_log(self.rooms.lake, con, day)
            return Counter(dict(con.execute("SELECT kind, count(*) FROM effective GROUP BY 1").fetchall()))

    def log(self) -> list[Row]:
        """All rows of the log, retractions and what they take back as well."""
        if self.rooms.lake.open(CASE_EVENTS) is None:
            return []
        return self.rooms.rows(CASE_EVENTS, order="day, seq")


def assert_invariants(nights: Nights, acts_without_effect: int = 0) -> None:
    """What holds on every day, whatever happened."""
    for day in nights.rooms.lake.days(CASES):
        cases = {row["case_id"]: row for row in nights.cases(day)}
        members = nights.members(day)
        open_in = Counter(row["anomaly_id"] for row in members if row["state"] == "open")
        assert max(open_in.values(), default=0) <= 1, "an anomaly is an open member of two cases"
        for row in members:
            assert row["case_id"] in cases, "a member of no case"
            if row["state"] == "open":
                assert cases[row["case_id"]]["status"] in WORKED_ON, "a closed case with an open member"
        for case in cases.values():
            mine = Counter(row["state"] for row in members if row["case_id"] == case["case_id"])
            assert case["members"] == sum(mine.values())
            assert (case["open_members"], case["resolved_members"], case["withdrawn_members"]) == (
                mine["open"], mine["resolved"], mine["withdrawn"],
            )  # fmt: skip
    log = nights.log()
    ids = [row["event_id"] for row in log]
    assert len(set(ids)) == len(ids)
    assert len({(row["day"], row["seq"]) for row in log}) == len(log)
    assert_the_log_is_legal_and_tells_all(nights, acts_without_effect)


def assert_the_log_is_legal_and_tells_all(nights: Nights, acts_without_effect: int) -> None:
    """Going through the log from its first day gives the cases of the last."""
    with nights.rooms.lake.connect() as con:
        register_log(nights.rooms.lake, con)
        events = case_events_of(con)
    cases: dict[str, Any] = {}
    illegal = 0
    for event in events:
        try:
            cases[event.case_id] = begun_by(event) if event.kind in BEGINNINGS else after(cases[event.case_id], event)
        except (KeyError, ValueError):
            assert event.acted_by != NIGHT
            illegal += 1
    assert illegal <= acts_without_effect
    for row in nights.cases():
        told = dataclasses.asdict(cases[row["case_id"]])
        del told["last_seq"]  # of its day
        assert {name: row[name] for name in told} == told
