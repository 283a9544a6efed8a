"""A case as a document: its row, what happened to it, and what may be done; as the principal sees them.

Does not belong here: doing it (``case_acts``), the list of cases (``resources``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import quote

from omgov_assets.access_control.governed_query import AccessDeniedError, Condition
from omgov_assets.data_lake.schemas import platform_tables
from omgov_assets.exception_management.events import create_effective
from omgov_assets.exception_management.lifecycle import OF_PEOPLE
from omgov_assets.exception_management.reading import place_of
from omgov_assets.interface_service.asking import Asking
from omgov_assets.interface_service.formats.texts import objects
from omgov_assets.interface_service.rest.documents import closed, row_of
from omgov_assets.interface_service.rest.rows import one_row
from omgov_assets.quality_analysis.case_tables import CASE_EVENTS, CASE_MEMBERS, CASES

# The act of REST for each event of people that it makes; a merge is asked of the case that takes the members.
ACTS = {
    "acknowledged": "acknowledge",
    "taken_on": "assign",
    "reassigned": "assign",
    "fix_claimed": "claim-fix",
    "waived": "waive",
    "commented": "comment",
    "split": "split",
    "took_over": "merge",
}
_HISTORY_SQL = """
SELECT day, happened_at, acted_by, kind, payload, event_id
FROM effective
WHERE anomaly_id IS NULL
ORDER BY day, acted_by <> 'night', seq
"""

_EVENT = closed(
    {
        "day": {"type": ["string", "null"]},
        "happened_at": {"type": ["string", "null"]},
        "acted_by": {"type": ["string", "null"]},
        "kind": {"type": ["string", "null"]},
        "payload": {"type": ["object", "null"]},
        "event_id": {"type": ["string", "null"]},
    }
)
CASE_SCHEMA = closed(
    {
        "case": row_of(platform_tables()[CASES]) | {"description": f"Its row of `{CASES}`."},
        "place": {"type": "string", "description": "Where its anomalies are, in words."},
        "acts": {
            "type": "array",
            "items": {"type": "string", "enum": sorted(set(ACTS.values()))},
            "description": "What its status allows.",
        },
        "history": {
            "type": ["array", "null"],
            "items": _EVENT,
            "description": f"What happened to it, in order; null where you may not read `{CASE_EVENTS}`.",
        },
        "links": closed({"self": {"type": "string"}, "members": {"type": "string"}}),
    }
)


@dataclass(frozen=True)
class CaseSeen:
    """A case as a principal sees it.

    Attributes:
        row: its row, as JSON says it.
        day: the day that it stands on.
    """

    row: dict[str, Any]
    day: date

    @property
    def tag(self) -> str | None:
        """Its entity tag: the last event; None where the principal does not see it."""
        event = self.row.get("last_event_id")
        return f'"{event}"' if event else None


def seen_case(asking: Asking, case_id: str) -> CaseSeen:
    """A case of the last day that has cases for the principal.

    Raises:
        Problem: 404; there is none such for the principal.
        AccessDeniedError: it may not read cases.
    """
    days = asking.door.describe(asking.principal, CASES).days
    day = max(days, default=None)
    row = one_row(asking, CASES, day, Condition("case_id", "=", case_id))
    return CaseSeen(row, day or date.min)


def document_of(asking: Asking, seen: CaseSeen, here: str) -> dict[str, Any]:
    """The document of a case; ``here`` is the address of what is below /v1."""
    row = seen.row
    case_id = str(row.get("case_id"))
    members = f"datasets/{CASE_MEMBERS}/rows?day={seen.day}&where={quote(f'case_id:eq:{case_id}', safe=':')}"
    return {
        "case": row,
        "place": place_of(row.get("cause"), row.get("scope")),
        "acts": legal_acts(row.get("status")),
        "history": _history(asking, case_id),
        "links": {"self": f"{here}/cases/{quote(case_id)}", "members": f"{here}/{members}"},
    }


def legal_acts(status: str | None) -> list[str]:
    """Acts that a status allows."""
    return sorted({act for kind, act in ACTS.items() if status in OF_PEOPLE[kind].legal_in})


def _history(asking: Asking, case_id: str) -> list[dict[str, Any]] | None:
    with asking.lake.connect() as con:
        try:
            of_case = (Condition("case_id", "=", case_id),)
            asking.door.load(con, "logged", asking.principal, CASE_EVENTS, [None], of_case)
        except AccessDeniedError:
            return None
        create_effective(con)
        events = objects(con.sql(_HISTORY_SQL).to_arrow_table())
    return [event | {"payload": json.loads(event["payload"]) if event["payload"] else None} for event in events]
