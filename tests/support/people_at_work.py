"""What people do with cases in the morning after a night: every kind of act, on cases that a rule picks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from omgov_assets.data_lake.lake import Lake
from omgov_assets.exception_management import acts
from omgov_assets.exception_management.acts import Person
from omgov_assets.exception_management.lifecycle import OF_PEOPLE
from omgov_assets.exception_management.reading import CaseFilter, list_cases
from omgov_assets.exception_management.rules import CaseRules
from omgov_assets.exception_management.waivers import grant_waiver
from omgov_assets.quality_analysis.case_tables import CASE_MEMBERS

Case = dict[str, Any]


class Morning:
    """The morning after a governed day."""

    def __init__(self, lake: Lake, rules: CaseRules, day: date) -> None:
        self.lake, self.rules, self.day = lake, rules, day
        self.minute = 0

    def work(self) -> None:
        """A few acts of each kind; cases are taken in turn, so that small and large ones are worked on."""
        until = self.day + timedelta(days=2)
        for act, many in (
            (lambda who, seen: acts.acknowledge(self.lake, self.rules, seen, who), 4),
            (lambda who, seen: acts.assign(self.lake, self.rules, seen, who, "li@example.com", None, "knows it"), 3),
            (lambda who, seen: acts.assign(self.lake, self.rules, seen, who, None, "SG-07", "theirs"), 2),
            (lambda who, seen: acts.claim_fix(self.lake, self.rules, seen, who, "agent restarted"), 6),
            (lambda who, seen: acts.waive(self.lake, self.rules, seen, who, "replaced next month", until), 3),
            (lambda who, seen: acts.comment(self.lake, self.rules, seen, who, "asked the vendor", "OPS-1"), 2),
        ):
            self._do(act, many)
        self._split()
        self._merge()
        self._waive_whatever_comes(until)

    def _do(self, act: Callable[[Person, dict[str, str]], None], many: int) -> None:
        """Let an act happen to some cases, one after the other; others than the act allows are left alone."""
        done = 0
        for case in self._in_turn():
            try:
                act(self._person(), _seen(case))
            except acts.IllegalActError:
                continue
            done += 1
            if done == many:
                return

    def _split(self) -> None:
        """Make the members of one CI a case of their own, in the largest case that has members of several."""
        for case in sorted(self._legal("split"), key=lambda case: (-case["open_members"], case["case_id"])):
            cis = self._of_members(case["case_id"], "ci_id")
            if len(cis) > 1:
                which = {"ci_id": [min(cis, key=lambda ci: (-cis[ci], ci))]}
                acts.split(self.lake, self.rules, _seen(case), self._person(), which, "another team's")
                return

    def _merge(self) -> None:
        """Move the smallest case of the anomaly type that has most cases into the next one."""
        cases = self._legal("merged")
        (kind, number), *_ = sorted(Counter(case["anomaly_type"] for case in cases).items(), key=lambda n: (-n[1], n))
        alike = [case for case in cases if case["anomaly_type"] == kind] if number > 1 else cases
        small, large = sorted(alike, key=lambda case: (case["open_members"], case["case_id"]))[:2]
        acts.merge(self.lake, self.rules, _seen(small) | _seen(large), self._person(), large["case_id"], "the same")

    def _waive_whatever_comes(self, until: date) -> None:
        """A standing waiver for the policy of a case that is worked on."""
        (policy, *_) = self._of_members(self._in_turn()[0]["case_id"], "unnest(policy_ids::JSON::VARCHAR[])")
        grant_waiver(self.lake, self.rules, self._person(), {"policy_id": policy}, "replaced next month", until)

    def _in_turn(self) -> list[Case]:
        """Cases that are worked on, from another place each time."""
        cases = sorted(list_cases(self.lake, self.day, CaseFilter()), key=lambda case: case["case_id"])
        begin = (self.day.toordinal() * 7 + self.minute * 13) % len(cases)
        return cases[begin:] + cases[:begin]

    def _legal(self, kind: str) -> list[Case]:
        return [case for case in self._in_turn() if case["status"] in OF_PEOPLE[kind].legal_in]

    def _of_members(self, case_id: str, what: str) -> dict[str, int]:
        """How many open members of a case have each value of an expression."""
        with self.lake.connect() as con:
            self.lake.register(con, "members", CASE_MEMBERS, self.day)
            rows = con.execute(
                f"SELECT * FROM (SELECT {what} AS value FROM members WHERE case_id = ? AND state = 'open') "
                "WHERE value IS NOT NULL ORDER BY 1",
                [case_id],
            ).fetchall()
        return Counter(value for (value,) in rows)

    def _person(self) -> Person:
        self.minute += 1
        morning = datetime.combine(self.day + timedelta(days=1), time(1), UTC)
        return Person("wang@example.com", morning + timedelta(minutes=self.minute))


def _seen(case: Case) -> dict[str, str]:
    return {case["case_id"]: case["last_event_id"]}
