"""``/anomalies/download``: all anomalies that an address chooses, as a file; the page's list without its end.

Whoever reads pages in a browser has a cookie and no other way to a file. Does not belong here: choosing
(``choosing``), writing a format (``formats``).
"""

from __future__ import annotations

from contextlib import ExitStack
from itertools import chain

from fastapi import APIRouter, Response

from omgov_assets.data_lake.sql import identifier
from omgov_assets.interface_service.formats.formats import CSV, XLSX
from omgov_assets.interface_service.pages.choosing import chosen_by, create_chosen
from omgov_assets.interface_service.pages.labels import create_labels
from omgov_assets.interface_service.pages.page import PageHere, PageRoute
from omgov_assets.interface_service.problems import Problem, not_there
from omgov_assets.interface_service.whole_answers import BATCH_ROWS, HeldAnswer, disposition, pieces_of
from omgov_assets.quality_analysis.anomalies import ANOMALIES
from omgov_assets.quality_policy.violations import CHECK_RESULTS

FORMATS = {one.name: one for one in (CSV, XLSX)}
# Columns of the file, each with that of an anomaly which it depends on: a column that the reader does not have is left
# out rather than empty.
COLUMNS = {
    **{
        name: name
        for name in (
            "day", "anomaly_id", "anomaly_type", "severity", "quality_dimension", "system", "dataset", "subject_kind",
            "subject_key", "source_metric", "metric", "ci_id", "ci_class", "application_ids", "host_id",
            "network_device_ids", "site_id", "support_group_id",
        )
    },
    "support_group": "support_group_id",
    "owner_id": "owner_id",
    "owner": "owner_id",
    **{
        name: name
        for name in (
            "collector", "observed", "expected", "first_seen_day", "policy_ids", "batch_id", "record_no",
        )
    },
}  # fmt: skip

router = APIRouter(route_class=PageRoute)


@router.get("/anomalies/download")
def download(page: PageHere) -> Response:
    """The anomalies that the page with the same parameters shows and counts, in its order."""
    params = page.frame.request.query_params
    form = FORMATS.get(params.get("format", CSV.name))
    if form is None:
        raise Problem(400, "unknown_format", f"format: there are {', '.join(FORMATS)}.")
    chosen = chosen_by(params)
    with ExitStack() as opened:
        opened.enter_context(page.asking.service.whole_answers.taken(page.principal.name))
        seen = opened.enter_context(page.reading("anomalies", ANOMALIES, CHECK_RESULTS))
        if page.day is None:
            raise not_there()
        seen.whole("anomalies", ANOMALIES, page.day)
        create_labels(seen, page.day)
        create_chosen(seen, chosen, page.day)
        theirs = page.asking.door.column_types(page.principal, ANOMALIES)
        columns = ", ".join(identifier(name) for name, of in COLUMNS.items() if of in theirs)
        rows = seen.con.sql(seen.statement("download", columns=columns))
        pieces = pieces_of(form, rows.to_arrow_reader(BATCH_ROWS), page.asking.service.settings.tmp)
        # What cannot be written is told as a page, before an answer has begun.
        first = next(pieces, b"")
        held = opened.pop_all()
    headers = disposition(form, "anomalies", page.day.isoformat()) | {"Content-Type": form.media_type}
    return HeldAnswer(held, chain([first], pieces), headers)
