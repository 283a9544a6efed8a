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
from omgov_assets.interface_service.pages.labels import labels_of
from omgov_assets.interface_service.pages.page import OPTION_WORDS
from omgov_assets.interface_service.pages.seen import Seen
from omgov_assets.interface_service.problems import Problem
from omgov_assets.quality_analysis.case_tables import CASE_MEMBERS, CASES
from omgov_assets.quality_analysis.drill_down import COLUMNS, NONE, dimension_condition
from omgov_assets.quality_analysis.root_causes.night import ANOMALY_CAUSES

ALL = "true"
CASE, CAUSE = "case", "cause"
NEW = "new"
TEXT = "q"
_MOST_VALUES = 50
_LONGEST = 500

# The kind of names that keys of an option have, where they have any.
_KIND_OF = {
    option: word for option, word in OPTION_WORDS.items() if option not in ("type", "severity", "system", "metric")
}


@dataclass(frozen=True)
class Chosen:
    """Which anomalies an address names: all conditions hold, and of one with several values any.

    Attributes:
        values: by option of ``omgov anomalies``, keys; ``none`` for what has no such dimension. So is ``case``.
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
        """Whether it says nothing of another day: what is new, of a case or of a cause is so on its day alone."""
        return self.new or bool({CASE, CAUSE} & set(self.values))

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
    for name in (*COLUMNS, CASE):
        given = tuple(dict.fromkeys(value for value in params.getlist(name) if value))
        if len(given) > _MOST_VALUES or any(len(value) > _LONGEST for value in given):
            raise Problem(400, "bad_question", "The address asks for more than a page can choose by.")
        if given:
            values[name] = given
    text = params.get(TEXT, "").strip()[:_LONGEST]
    return Chosen(values, params.get(NEW) == "1", text)


def conditions_of(seen: Seen, chosen: Chosen, day: date) -> tuple[str, dict[str, Any]]:
    """A choice as a condition over the view ``anomalies``, with the values that it binds.

    Makes the view ``of_cases`` (anomaly_id) where members of cases are chosen.
    """
    conditions, params = list[str](), dict[str, Any]()
    for option, values in chosen.values.items():
        if option == CASE:
            wanted = Condition("case_id", "in", values)
            seen.matching("of_cases", CASE_MEMBERS, [day], wanted, Condition("state", "=", "open"))
            # A member of a case that is not the reader's is not told by its number.
            seen.matching("cases_chosen", CASES, [day], wanted)
            conditions.append(
                "anomaly_id IN (SELECT anomaly_id FROM of_cases WHERE case_id IN (SELECT case_id FROM cases_chosen))"
            )
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
        conditions.append("first_seen_day = day")
    if chosen.text:
        params["text"] = chosen.text.lower()
        sought = " OR ".join(
            f"contains(lower({column}), $text)" for column in ("subject_key", "ci_id", "metric", "source_metric")
        )
        conditions.append(f"({sought})")
    return " AND ".join(conditions) or ALL, params


def labelled(seen: Seen, chosen: Chosen) -> list[tuple[str, str, str]]:
    """The conditions of a choice as a reader reads them: name in the address, key, name for people."""
    names = labels_of(seen, (key for values in chosen.values.values() for key in values))
    return [
        (option, key, names.get((_KIND_OF.get(option, ""), key), key))
        for option, values in chosen.values.items()
        for key in values
    ]
