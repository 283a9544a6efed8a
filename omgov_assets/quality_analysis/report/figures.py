"""Figures: every number on a page says in the page's source what it is, so that each can be recomputed.

A figure is ``<data value="RAW" data-figure="ID">shown</data>``. RAW is the number as the lake holds it; ID is a path
whose segments are percent-quoted. What IDs mean, with D the report's day:

=========================================  ============================================================================
ID                                         what it is
=========================================  ============================================================================
total/MEASURE                              the firm's cell of the cube: instances, anomalous_instances, rate,
                                           anomalies, new, resolved, withdrawn, unverified, not_evaluated_share
total/score, total/score_change            the firm's overall score, and its change since the day before
deliveries/DECISION                        deliveries of D in the ledger by decision; not_delivered: datasets that
                                           brought none; all: deliveries that are neither superseded nor repeated,
                                           with the datasets that brought none
policies/VERDICT                           policies of D whose verdict is not_evaluated or error; unjudged: both
causes/MEASURE                             causes: how many root causes there are; explained_share: share of the
                                           anomalies that are assigned to one
cause/ID/MEASURE                           of a cause: anomalies assigned to it, coverage (share of all), new, cis,
                                           applications; rate and lift as it was found
cases/MEASURE                              cases of D that are open, and of them overdue, escalated, waived; those that
                                           are new, and closed on D
case/ID/open_members                       open members of a case
finding/TYPE/SYSTEM/DATASET/MEASURE        anomalies of the type in the dataset: anomalies, new
finding/…/DIMENSION/KEY/share              share of them that has the key in the dimension
finding/…/DIMENSION/keys                   keys of the dimension that they have
score/KIND/KEY/DIMENSION                   a subject's score by quality dimension or overall; …/change since yesterday
lowest/KIND/KEY/MEASURE                    of a scorecard: anomalies, backlog, new, mean_days_to_repair,
                                           baseline_covered_share
better/DIMENSION/KEY/MEASURE               a key's resolved and new anomalies
risen/KIND/KEY/MEASURE                     score and change of the overall score
trend/KIND/KEY/DAY/MEASURE                 of the overall scorecard of an earlier day: score, anomalies, backlog, new,
                                           resolved, new_defect_rate
ranking/DIMENSION/KEY/MEASURE              a key's anomalies, rate, severity_score, change
ranking/DIMENSION/keys, …/without          keys that have anomalies; anomalies that have no key
admission/SYSTEM/MEASURE                   batches judged, and rows_in, rows_admitted, rows_quarantined of them
delivery/SYSTEM/DATASET/BATCH/MEASURE      rows_in, rows_admitted, rows_quarantined, and records by reason
check/SYSTEM/DATASET/DIMENSION/MEASURE     policies, policies_failed, policies_not_evaluated, policies_in_error, rows
                                           (that failed, summed over the policies)
unjudged/VERDICT/SYSTEM/DATASET/REASON     policies without a verdict for one reason
models/findings, models/critical           anomalies of processing models
compliance/MEASURE                         clauses of the compliance rules; those that failed or are not_evaluated;
                                           those that are unverified, which no person has compared with the source
compliance/CLAUSE/MEASURE                  subjects of a clause that passed, failed, are not_evaluated; not_passed: the
                                           latter two
cmdb/TYPE/DATASET/MEASURE                  anomalies of the CMDB's own rows: anomalies, new
=========================================  ============================================================================

On a page of a system, site, support group or owner, ``data-page="KIND/KEY"`` of its ``main`` element goes before:

=========================================  ============================================================================
MEASURE                                    of the subject's overall scorecard: score, score_change, subjects, instances,
                                           anomalies, backlog, new, resolved, withdrawn, unverified,
                                           burn_down_rate, new_defect_rate, mean_days_to_repair,
                                           baseline_covered_share, not_evaluated_share
score/DIMENSION, score/DIMENSION/change    its score by quality dimension
subjects/DIMENSION                         what was judged by it
type/TYPE/MEASURE                          its anomalies of a type: anomalies, new
by/DIMENSION/KEY                           its anomalies that have a key in another dimension
by/DIMENSION/keys                          keys of that dimension that they have
case/ID                                    its anomalies that are open members of a case
cases                                      how many cases it has anomalies in
shown, all                                 single anomalies that the page lists, and all that there are
=========================================  ============================================================================

*new* is short for new_anomalies, and so with resolved, withdrawn and unverified.
"""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import quote

from markupsafe import Markup, escape

NOT_KNOWN = Markup('<span class="none">–</span>')


def count(value: int | None, *path: str | tuple[str, ...]) -> Markup:
    """A whole number."""
    return _figure(value, path, f"{value:,}" if value is not None else "")


def percent(value: float | None, *path: str | tuple[str, ...]) -> Markup:
    """A share."""
    return _figure(value, path, percent_text(value))


def change(value: int | None, *path: str | tuple[str, ...]) -> Markup:
    """A difference of whole numbers, with its sign."""
    return _figure(value, path, change_text(value))


def score(value: float | None, *path: str | tuple[str, ...]) -> Markup:
    """A score of 100."""
    return _figure(value, path, score_text(value))


def score_change(value: float | None, *path: str | tuple[str, ...]) -> Markup:
    """A difference of scores."""
    return _figure(value, path, score_change_text(value))


def decimal(value: float | None, *path: str | tuple[str, ...]) -> Markup:
    """A number with one decimal, such as days."""
    return _figure(value, path, f"{value:,.1f}" if value is not None else "")


def times(value: float | None, *path: str | tuple[str, ...]) -> Markup:
    """How many times as much as usual."""
    # Where hardly anything is usual, how many times it is says nothing.
    text = "" if value is None else f"{value:.1f}" if value < 9.95 else f"{value:,.0f}" if value < 1000 else ">1,000"
    return _figure(value, path, text)


def percent_text(share: float | None) -> str:
    """A share as text."""
    if share is None:
        return "–"
    if 0 < share < 0.0005:
        return "<0.1 %"
    if 0.9995 <= share < 1:
        return ">99.9 %"
    return f"{100 * share:.1f} %"


def change_text(number: int | None) -> str:
    """A difference as text."""
    if number is None:
        return "–"
    return f"+{number:,}" if number > 0 else f"−{-number:,}" if number < 0 else "±0"


def score_text(value: float | None) -> str:
    """A score as text."""
    if value is None:
        return "–"
    text = f"{value:.1f}" if value < 99.95 else f"{value:.2f}"
    # 100 is for nothing wrong at all.
    return ">99.99" if text == "100.00" and value != 100 else text


def score_change_text(value: float | None) -> str:
    """A difference of scores as text."""
    if value is None:
        return "–"
    return "±0" if abs(value) < 0.005 else f"{'+' if value > 0 else '−'}{abs(value):.2f}"


@lru_cache(maxsize=100_000)
def quoted(segment: str) -> str:
    """A segment of an ID, fit for an attribute as it is."""
    return quote(segment, safe="")


def _figure(value: float | None, path: tuple[str | tuple[str, ...], ...], shown: str) -> Markup:
    if value is None:
        return NOT_KNOWN
    segments = (segment for part in path for segment in ((part,) if isinstance(part, str) else part))
    identifier = "/".join(map(quoted, segments))
    return Markup(f'<data value="{value!r}" data-figure="{identifier}">{escape(shown)}</data>')  # noqa: S704 - a number, a quoted path, escaped text
