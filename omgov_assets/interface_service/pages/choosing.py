"""Choosing anomalies by their dimensions, as the addresses of pages name them: the options of ``omgov anomalies``.

Belongs here: what an address means, as conditions with bound values. Does not belong here: listing what is chosen
(``anomalies_page``), counting it (``rankings_page``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from starlette.datastructures import QueryParams

from omgov_assets.access_control.governed_query import Condition
from omgov_assets.data_lake.lake import create_view
from omgov_assets.interface_service.pages.labels import labels_of
from omgov_assets.interface_service.pages.page import OPTION_WORDS
from omgov_assets.interface_service.pages.seen import Seen
from omgov_assets.interface_service.problems import Problem
from omgov_assets.quality_analysis.case_tables import CASE_MEMBERS, CASES
from omgov_assets.quality_analysis.drill_down import COLUMNS, NONE, dimension_condition
from omgov_assets.quality_analysis.root_causes.night import ANOMALY_CAUSES

ALL = "true"
CASE, CAUSE, RESPONSIBLE = "case", "cause", "responsible"
NEW = "new"
TEXT = "q"
# Options that name members of cases, each with its column.
_OF_MEMBERS = {CASE: "case_id", RESPONSIBLE: "responsible"}
_MOST_VALUES = 50
_LONGEST = 500

# The kind of names that keys of an option have, where they have any.
_KIND_OF = {
    option: word for option, word in OPTION_WORDS.items() if option not in ("type", "severity", "system", "metric")
} | {RESPONSIBLE: "support_group"}


@dataclass(frozen=True)
class Chosen:
    """Which anomalies an address names: all conditions hold, and of one with several values any.

    Attributes:
        values: by option of ``omgov anomalies``, keys; ``none`` for what has no such dimension. So are ``case``
            and, of who answers for members of cases, ``responsible``.
        new: only those that were not there the day before.
        text: only those in whose subject, CI or metric it stands.
    """

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    new: bool = False
    text: str = ""

    @property
    def query(self) -> dict[str, Any]:
        """The choice as values of an address."""
        return {
            **self.values,
            **({NEW: "1"} if self.new else {}),
            **({TEXT: self.text} if self.text else {}),
        }

    @property
    def is_of_its_day(self) -> bool:
        """Whether it says nothing of another day: what is new, a case's or a cause's is so on its day alone."""
        return self.new or bool({CASE, CAUSE, RESPONSIBLE} & set(self.values))

    @property
    def is_all(self) -> bool:
        """Whether all anomalies of the day are meant."""
        return not self.query

    def without(self, name: str) -> dict[str, Any]:
        """The address without one of its conditions."""
        return {other: value for other, value in self.query.items() if other != name}

    def having(self, **values: Any) -> dict[str, Any]:
        """The address with further conditions."""
        return {**self.query, **{name.replace("_", "-"): value for name, value in values.items()}}


def chosen_by(params: QueryParams) -> Chosen:
    """The choice of an address; what it does not know it leaves alone.

    Raises:
        Problem: a value is longer than any key, or there are more than anybody asks for.
    """
    values: dict[str, tuple[str, ...]] = {}
    for name in (*COLUMNS, CASE, RESPONSIBLE):
        given = tuple(dict.fromkeys(value for value in params.getlist(name) if value))
        if len(given) > _MOST_VALUES or any(len(value) > _LONGEST for value in given):
            raise Problem(400, "bad_question", "The address asks for more than a page can choose by.")
        if given:
            values[name] = given
    text = params.get(TEXT, "").strip()[:_LONGEST]
    return Chosen(values, params.get(NEW) == "1", text)


def conditions_of(seen: Seen, chosen: Chosen, day: date) -> tuple[str, dict[str, Any]]:
    """A choice as a condition over the view ``anomalies``, with the values that it binds.

    Makes tables of members and cases where members of cases are chosen.
    """
    conditions, params = list[str](), dict[str, Any]()
    for option, values in chosen.values.items():
        if option in _OF_MEMBERS:
            conditions.append(_members(seen, day, option, values))
            continue
        if option == CAUSE:
            params[CAUSE] = list(values)
            seen.whole("anomaly_causes", ANOMALY_CAUSES, day)
            of_causes = "SELECT anomaly_id FROM anomaly_causes WHERE list_contains($cause::VARCHAR[], cause_id)"
            conditions.append(f"anomaly_id IN ({of_causes})")
            continue
        condition, bound = dimension_condition(option, [value for value in values if value != NONE], NONE in values)
        conditions.append(condition)
        params |= bound
    if chosen.new:
        conditions.append("first_seen_day = day" if seen.day_before(day) else "false")
    if chosen.text:
        params["text"] = chosen.text.lower()
        sought = " OR ".join(
            f"contains(lower({column}), $text)" for column in ("subject_key", "ci_id", "metric", "source_metric")
        )
        conditions.append(f"({sought})")
    return " AND ".join(conditions) or ALL, params


def create_chosen(seen: Seen, chosen: Chosen, day: date) -> None:
    """Make the chosen anomalies the view ``of_key``; the view ``anomalies`` is there by then.

    A view cannot bind values, so that which they are is a table.
    """
    condition, params = conditions_of(seen, chosen, day)
    among = "true"
    if condition != ALL:
        statement = f"CREATE TEMP TABLE chosen AS SELECT anomaly_id FROM anomalies WHERE {condition}"  # noqa: S608 - own
        seen.con.execute(statement, params)
        among = "anomaly_id IN (SELECT anomaly_id FROM chosen)"
    create_view(seen.con, "of_key", seen.statement("chosen", condition=among))


def _members(seen: Seen, day: date, option: str, values: tuple[str, ...]) -> str:
    """The condition of being an open member of cases that are named, or for which somebody answers."""
    wanted = Condition(_OF_MEMBERS[option], "in", values)
    seen.matching(f"members_{option}", CASE_MEMBERS, [day], wanted, Condition("state", "=", "open"))
    # A member of a case that is not the reader's is not told by its number.
    seen.matching(f"cases_{option}", CASES, [day], *([wanted] if option == CASE else ()))
    members = f"SELECT anomaly_id FROM members_{option} SEMI JOIN cases_{option} USING (case_id)"  # noqa: S608 - own
    return f"anomaly_id IN ({members})"


def labelled(seen: Seen, chosen: Chosen) -> list[tuple[str, str, str]]:
    """The conditions of a choice as a reader reads them: name in the address, key, name for people."""
    names = labels_of(seen, (key for values in chosen.values.values() for key in values))
    return [
        (option, key, names.get((_KIND_OF.get(option, ""), key), key))
        for option, values in chosen.values.items()
        for key in values
    ]
