"""Languages of the pages: which one a request is answered in, and templates in it.

The words of the report are used as they are; what pages say beyond it lies in a catalogue of their own. Does not
belong here: what is shown.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from functools import cache

from fastapi import Request
from jinja2 import Environment

from omgov_assets.interface_service.pages import HERE
from omgov_assets.interface_service.pages.addresses import part
from omgov_assets.interface_service.pages.refusals import refusal
from omgov_assets.quality_analysis.report import figures
from omgov_assets.quality_analysis.report.languages import NOUNS, TERMS, Language, catalogue_words, templates_in
from omgov_assets.quality_analysis.report.languages import language as language_of_report

LANGUAGE_COOKIE = "omgov_language"
CATALOGUES = {"zh": HERE / "locale" / "zh_CN" / "LC_MESSAGES" / "pages.po"}

# What pages call things that the report does not name, one of them and several.
NOUNS_OF_PAGES = NOUNS | {
    "ci": ("CI", "CIs"),
    "dataset": ("dataset", "datasets"),
    "policy": ("policy", "policies"),
    "cause": ("root cause", "root causes"),
    "case": ("case", "cases"),
    "responsible": ("who answers", "who answer"),
    "quality_dimension": ("quality dimension", "quality dimensions"),
    "subject_kind": ("kind of subject", "kinds of subjects"),
}
# What happened to a case, as its history says it.
EVENTS = (
    "opened", "updated", "closed", "reopened", "claim_refuted", "waiver_ended", "owner_inactive", "owner_active",
    "overdue", "escalated", "acknowledged", "taken_on", "reassigned", "fix_claimed", "waived", "split", "split_off",
    "merged", "took_over", "commented", "linked", "resolved", "withdrawn",
)  # fmt: skip
TERMS_OF_PAGES = (
    TERMS
    | {name: name.replace("_", " ") for name in EVENTS}
    | {name: name.replace("_", " ") for name in ("row", "expected_instance", "batch", "dataset", "processing_model")}
)


def chosen_language(request: Request, offered: Sequence[str]) -> str:
    """The language of a request out of those offered: its address names it, a cookie, else the browser's wish."""
    for chosen in (request.query_params.get("lang"), request.cookies.get(LANGUAGE_COOKIE)):
        if chosen in offered:
            return str(chosen)
    for wish in request.headers.get("Accept-Language", "").split(","):
        code = wish.partition(";")[0].strip().partition("-")[0].lower()
        if code in offered:
            return code
    return offered[0]


@cache
def language(code: str) -> Language:
    """A language by its code (en, zh): the report's words and those of the pages."""
    of_report = language_of_report(code)
    words = catalogue_words(CATALOGUES[code]) if code in CATALOGUES else {}
    return Language(code, of_report.tag, of_report.words | words)


@cache
def environment(code: str) -> Environment:
    """The pages' templates in a language, with their words and figures."""
    spoken = language(code)
    made = templates_in(spoken, HERE / "templates")
    made.globals |= {
        "word": lambda name: spoken.text(_noun(name) or TERMS_OF_PAGES.get(name, str(name))),
        "refusal": lambda code: refusal(code, spoken.text),
        "words": lambda name: spoken.text(NOUNS_OF_PAGES[name][1]),
    }
    made.filters |= {
        "number": lambda value: "–" if value is None else f"{value:,}",
        "decimal": lambda value: "–" if value is None else f"{value:,.1f}",
        "percent": figures.percent_text,
        "change": figures.change_text,
        "score": figures.score_text,
        "score_change": figures.score_change_text,
        "part": part,
        "from_json": lambda text: json.loads(text) if text else {},
        "moment": _moment,
        "utc": lambda at: f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
    }
    return made


def _noun(name: str) -> str:
    return NOUNS_OF_PAGES[name][0] if name in NOUNS_OF_PAGES else ""


def _moment(at: datetime, zone: tzinfo = UTC) -> str:
    """A time in the firm's zone, to the minute."""
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M}"
