"""``/admission``: what the gate decided of a day's deliveries, why records were refused, and replaying a batch.

Does not belong here: deciding (``admission``).
"""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from omgov_assets.access_control.governed_query import AccessDeniedError, Condition
from omgov_assets.admission.ledger import LEDGER, in_force
from omgov_assets.admission.replay import Selection, replay
from omgov_assets.data_lake.locks import sole_holder
from omgov_assets.interface_service.pages.addresses import part
from omgov_assets.interface_service.pages.page import FormHere, Page, PageHere, PageRoute
from omgov_assets.interface_service.pages.seen import Row, Seen
from omgov_assets.interface_service.problems import Problem, not_there
from omgov_assets.quality_analysis.anomalies import ANOMALIES
from omgov_assets.quality_analysis.report.queries import rows_of
from omgov_assets.quality_policy.violations import NOT_DELIVERED

RECORDS_SHOWN = 20
# What the gate let in, by business system and in all.
COUNTED = ("batches", "rows_in", "rows_admitted", "rows_quarantined")
DECISIONS = ("not_delivered", "refused", "partial", "admitted", "repeated", "superseded")

router = APIRouter(route_class=PageRoute)


@router.get("/admission")
def admission(page: PageHere) -> Response:
    """The deliveries of a day, what needs a person first."""
    params = page.frame.request.query_params
    asked = {name: params[name] for name in ("decision", "system", "dataset") if params.get(name)}
    with page.reading("admission", LEDGER, ANOMALIES) as seen:
        if page.day is None:
            return page.answer("admission.html.j2", "admission", rows=[], totals=None, asked=asked)
        seen.whole("ledger", LEDGER, page.day)
        # Of what did not come the ledger holds nothing.
        seen.matching("anomalies", ANOMALIES, [page.day], Condition("subject_kind", "=", "dataset"))
        rows = rows_of(seen.con, "deliveries", {"not_delivered": NOT_DELIVERED})
        by_system = rows_of(seen.con, "admission")
        counts = {decision: sum(row["decision"] == decision for row in rows) for decision in DECISIONS}
        return page.answer(
            "admission.html.j2",
            "admission",
            rows=[with_reasons(row) for row in rows if all(row[name] == value for name, value in asked.items())],
            counts=counts,
            totals={name: sum(row[name] for row in by_system) for name in COUNTED},
            by_system=by_system,
            systems=sorted({row["system"] for row in rows}),
            asked=asked,
        )


@router.get("/admission/{batch_id}")
def batch(page: PageHere, batch_id: str, replayed: str = "", still: str = "") -> Response:
    """One delivery: its decision, what it was judged by, and what was refused of it."""
    are_counts = all(count.isdecimal() and len(count) < 10 for count in (replayed, still))
    said = {"replayed": int(replayed), "still": int(still)} if are_counts else None
    return show(page, batch_id, said=said)


@router.post("/admission/{batch_id}/replay")
def replay_batch(page: PageHere, form: FormHere, batch_id: str) -> Response:
    """Judge what was refused of a batch by today's contract, model and policies; what passes is admitted."""
    with page.reading("admission", LEDGER, ANOMALIES) as seen:
        entry = _entries(seen, page, batch_id, form.get("system", ""), form.get("dataset", ""))[0]
    governance = page.asking.rules.governance
    if governance is None:
        raise Problem(503, "rules_unreadable", "The firm's rules cannot be read at present. Nothing was done.")
    try:
        page.asking.door.permit(page.principal, LEDGER, "act", f"replay of batch {batch_id}")
    except AccessDeniedError as error:
        raise Problem(403, "not_yours_to_do", "You may look at this batch, not replay it. Nothing was done.") from error
    system = governance.systems.get(entry["system"])
    dataset = system.datasets.get(entry["dataset"]) if system else None
    if system is None or dataset is None:
        raise Problem(
            409, "not_delivered_any_more", "The firm's rules name no such dataset any more. Nothing was done."
        )
    lake, landing = page.asking.lake, page.asking.service.settings.landing
    with sole_holder(lake.root.parent, "replay"):
        found = replay(lake, governance, system, dataset, landing, Selection(entry["day"], batch_id))
    remarks = [one.remark for one in found if one.remark]
    if remarks:
        return show(page, batch_id, 409, remark=remarks[0])
    values = {"replayed": sum(one.admitted for one in found), "still": sum(one.refused for one in found)}
    address = page.frame.url(
        f"/admission/{part(batch_id)}", day=entry["day"], system=entry["system"], dataset=entry["dataset"], **values
    )
    return RedirectResponse(address + "#said", 303)


def show(
    page: Page, batch_id: str, status: int = 200, said: dict[str, int] | None = None, remark: str = ""
) -> Response:
    """The page of a batch.

    Args:
        page: the page.
        batch_id: the batch.
        status: of the answer.
        said: what a replay just made of it: records admitted, and those still refused.
        remark: why a replay made nothing of it.
    """
    params = page.frame.request.query_params
    with page.reading("admission", LEDGER, ANOMALIES) as seen:
        entries = _entries(seen, page, batch_id, params.get("system", ""), params.get("dataset", ""))
        first = entries[0]
        quarantine = f"{first['system']}/{first['dataset']}_quarantine"
        of_batch = Condition("_batch_id", "=", batch_id)
        may_look = quarantine in seen.datasets and seen.matching("quarantine", quarantine, [first["day"]], of_batch)
        return page.answer(
            "batch.html.j2",
            "admission",
            status,
            entries=[with_reasons(entry) for entry in entries],
            may_look=may_look,
            records=seen.ask("refused_records", {"top": RECORDS_SHOWN}) if may_look else [],
            records_shown=RECORDS_SHOWN,
            can_replay=_can_replay(page, entries, batch_id),
            said=said,
            remark=remark,
        )


def _entries(seen: Seen, page: Page, batch_id: str, system: str, dataset: str) -> list[Row]:
    """Entries of a batch on the page's day, the one in force first; raises ``Problem`` (404) where there is none."""
    conditions = [Condition("batch_id", "=", batch_id)]
    # The same bytes may be delivered as two datasets.
    conditions += [Condition(name, "=", value) for name, value in (("system", system), ("dataset", dataset)) if value]
    seen.matching("ledger", LEDGER, [page.day] if page.day else [], *conditions)
    entries = seen.ask("entries")
    if not entries:
        raise not_there()
    return entries


def _can_replay(page: Page, entries: list[Row], batch_id: str) -> bool:
    """Whether a replay is to be offered."""
    first = entries[0]
    would_help = first["decision"] == "refused" or (in_force(first) and first["rows_quarantined"])
    return bool(would_help) and page.may_act(LEDGER, f"a replay of {batch_id} is")


def with_reasons(row: Row) -> dict[str, Any]:
    """A delivery with ``reasons``: why records were quarantined, and how many for each, most first."""
    reasons = json.loads(row["quarantine_reasons"] or "{}")
    return row | {"reasons": sorted(reasons.items(), key=lambda one: (-one[1], one[0]))}
