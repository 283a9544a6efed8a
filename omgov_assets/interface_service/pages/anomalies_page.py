"""``/anomalies``: the single anomalies behind any figure, and why each of them is flagged.

Does not belong here: choosing them (``choosing``).
"""

from __future__ import annotations

import base64
import binascii
import json
from datetime import date
from typing import Any

from fastapi import APIRouter, Response

from omgov_assets.access_control.governed_query import Condition
from omgov_assets.admission.ledger import LEDGER
from omgov_assets.interface_service.pages.anomalies_download import FORMATS
from omgov_assets.interface_service.pages.choosing import chosen_by, create_chosen, labelled
from omgov_assets.interface_service.pages.labels import create_labels, labels_of
from omgov_assets.interface_service.pages.page import OPTION_WORDS, Page, PageHere, PageRoute
from omgov_assets.interface_service.pages.seen import Row, Seen
from omgov_assets.interface_service.problems import Problem, not_there
from omgov_assets.quality_analysis.anomalies import ANOMALIES
from omgov_assets.quality_analysis.case_tables import CASE_MEMBERS, CASES
from omgov_assets.quality_analysis.root_causes import ROOT_CAUSES
from omgov_assets.quality_analysis.root_causes.night import ANOMALY_CAUSES
from omgov_assets.quality_analysis.root_causes.reading import causes_of
from omgov_assets.quality_policy.publication import QUALITY_POLICIES
from omgov_assets.quality_policy.violations import CHECK_RESULTS, VIOLATIONS

ROWS = 50
VALUES_SHOWN = 5
# What a choice can be narrowed by on the page itself.
NARROWED_BY = ("system", "support_group", "owner", "application", "site", "metric")
_ORDERED_BY = ("severity_no", "first_seen_day", "system", "anomaly_type", "subject_key", "anomaly_id")

router = APIRouter(route_class=PageRoute)


@router.get("/anomalies")
def anomalies(page: PageHere, after: str = "") -> Response:
    """The anomalies that an address chooses, the gravest and oldest first, fifty at a time."""
    chosen = chosen_by(page.frame.request.query_params)
    with page.reading("anomalies", ANOMALIES, CHECK_RESULTS) as seen:
        if page.day is None:
            return page.answer("anomalies.html.j2", "anomalies", chosen=chosen, rows=[], total=None)
        seen.whole("anomalies", ANOMALIES, page.day)
        create_labels(seen, page.day)
        create_chosen(seen, chosen, page.day)
        compared_with = seen.day_before(page.day)
        first, place = _place(after)
        found = seen.ask("anomalies", place | {"rows": ROWS + 1}, after=_AFTER if place else "true")
        rows = found[:ROWS]
        breakdowns: dict[str, list[Row]] = {}
        narrowed = [name for name in NARROWED_BY if name not in {OPTION_WORDS[one] for one in chosen.values}]
        for row in seen.ask("breakdowns", {"dimensions": narrowed, "top": VALUES_SHOWN}):
            breakdowns.setdefault(row["dimension"], []).append(row)
        return page.answer(
            "anomalies.html.j2",
            "anomalies",
            chosen=chosen,
            chips=labelled(seen, chosen),
            compared_with=compared_with,
            total=seen.ask("chosen_total", {"is_compared": compared_with is not None})[0],
            types=seen.ask("chosen_types"),
            all_types=seen.rows("SELECT DISTINCT anomaly_type FROM anomalies ORDER BY 1"),
            all_systems=seen.rows("SELECT DISTINCT system FROM anomalies ORDER BY 1"),
            breakdowns=breakdowns,
            rows=rows,
            first=first,
            formats=list(FORMATS),
            following=_cursor(first + ROWS, rows[-1]) if len(found) > ROWS else "",
        )


@router.get("/anomalies/{anomaly_id}")
def anomaly(page: PageHere, anomaly_id: str) -> Response:
    """Why one is flagged."""
    with page.reading("anomalies", ANOMALIES, CHECK_RESULTS) as seen:
        shown = read_anomaly(seen, page, anomaly_id) if page.day else None
        if shown is None:
            raise not_there()
        return page.answer("anomaly.html.j2", "anomalies", **shown)


def read_anomaly(seen: Seen, page: Page, anomaly_id: str) -> dict[str, Any] | None:
    """An anomaly as it was on the page's day, or on the last day before that has it; None where there is none."""
    seen.matching("known", ANOMALIES, [None], Condition("anomaly_id", "=", anomaly_id))
    known = seen.rows("FROM known ORDER BY day")
    if not known or page.day is None:
        return None
    one = next((row for row in reversed(known) if row["day"] <= page.day), known[-1])
    day: date = one["day"]
    create_labels(seen, day)
    of_subject = [Condition(name, "=", one[name]) for name in ("system", "dataset", "subject_kind", "subject_key")]
    seen.matching("violations", VIOLATIONS, [day], *of_subject)
    seen.matching("of_subject", ANOMALIES, [day], *of_subject)
    seen.matching("members", CASE_MEMBERS, [day], Condition("anomaly_id", "=", anomaly_id))
    member = next(iter(seen.rows("FROM members ORDER BY added_day DESC, case_id LIMIT 1")), None)
    case = None
    if member is not None:
        seen.matching("cases", CASES, [day], Condition("case_id", "=", member["case_id"]))
        case = next(iter(seen.rows("FROM cases")), None)
    seen.matching("anomaly_causes", ANOMALY_CAUSES, [day], Condition("anomaly_id", "=", anomaly_id))
    seen.whole("root_causes", ROOT_CAUSES, day)
    cause_id = next((row["cause_id"] for row in seen.rows("FROM anomaly_causes")), None)
    violations = seen.ask("violations", {"type": one["anomaly_type"]})
    batches = sorted({row["batch_id"] for row in violations if row["batch_id"]} | {one["batch_id"] or ""} - {""})
    seen.matching("ledger", LEDGER, [day], Condition("batch_id", "in", tuple(batches)))
    seen.whole("policies", QUALITY_POLICIES, day)
    return {
        "one": one,
        "known": known,
        "compared_with": seen.day_before(day),
        "violations": violations,
        "others": seen.rows("FROM of_subject WHERE anomaly_id <> $id ORDER BY anomaly_type", {"id": anomaly_id}),
        "member": member,
        "case": case,
        "cause": next((row for row in causes_of(seen.con) if row["cause_id"] == cause_id), None),
        "batches": seen.ask("batches", {"system": one["system"], "dataset": one["dataset"]}),
        "policies": {
            row["policy_id"]: row
            for row in seen.ask("policies_of", {"system": one["system"], "dataset": one["dataset"]})
        },
        "labels": labels_of(seen, _keys(one)),
    }


def _keys(one: Row) -> list[str | None]:
    many = [*(one["application_ids"] or ()), *(one["network_device_ids"] or ())]
    return [*many, *(one[name] for name in ("ci_id", "host_id", "site_id", "support_group_id", "owner_id"))]


_MOST = 10**9
_TYPES = {"severity_no": "BIGINT", "first_seen_day": "DATE"}
_AFTER = "({}) > ({})".format(
    ", ".join(_ORDERED_BY), ", ".join(f"${name}::{_TYPES.get(name, 'VARCHAR')}" for name in _ORDERED_BY)
)


def _cursor(first: int, row: Row) -> str:
    """Where the next rows begin: how many were before, and the last one's place in the order."""
    content = [first, *(str(row[name]) for name in _ORDERED_BY)]
    return base64.urlsafe_b64encode(json.dumps(content, ensure_ascii=False).encode()).decode().rstrip("=")


def _place(cursor: str) -> tuple[int, dict[str, Any]]:
    """The content of a cursor; raises ``Problem`` where it is none of ours."""
    if not cursor:
        return 0, {}
    try:
        content = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        first, severity_no, first_seen, *texts = content
        system, kind, subject, anomaly_id = map(str, texts)
        if not -_MOST <= int(severity_no) <= _MOST or int(first) > _MOST:
            raise ValueError("a number that no list has")
        # JSON can say halves of characters, which are no text.
        "".join(map(str, texts)).encode()
        place = {
            "severity_no": int(severity_no),
            "first_seen_day": date.fromisoformat(first_seen),
            "system": system,
            "anomaly_type": kind,
            "subject_key": subject,
            "anomaly_id": anomaly_id,
        }
        return max(int(first), 0), place
    except (ValueError, TypeError, OverflowError, RecursionError, binascii.Error) as error:
        raise Problem(
            400, "no_cursor", "The address does not say where the list goes on. Begin at its start."
        ) from error
