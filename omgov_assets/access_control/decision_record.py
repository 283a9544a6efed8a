"""What is on record of a decision, and what whoever was denied is told: the record everything, the caller nothing.

Does not belong here: the record itself (``audit_chain``, ``audit_log``), handing out (``enforcement``).
"""

from __future__ import annotations

from datetime import datetime

from omgov_assets.access_control import audit_chain
from omgov_assets.access_control.decision import Decision
from omgov_assets.access_control.governed_query import AccessDeniedError


def on_record(
    decision: Decision,
    at: datetime,
    version: int | None = None,
    rows: int | None = 0,
    columns: tuple[str, ...] = (),
    reason: str | None = None,
) -> audit_chain.Decision:
    """A decision as the audit keeps it.

    Args:
        decision: the decision.
        at: when it was made.
        version: Delta version that was read.
        rows: how many rows left; None where that is not known beforehand.
        columns: columns that left.
        reason: what to say instead of the deciding policies, or of why it was denied.
    """
    masked = [column for column in decision.shown if column.shown == "masked" and column.name in columns]
    said = reason if reason is not None else (", ".join(decision.deciding) if decision.allowed else decision.reason)
    return audit_chain.Decision(
        at=at,
        principal=decision.principal,
        dataset=decision.dataset,
        decision="allow" if decision.allowed else "deny",
        reason=said,
        policy_hash=decision.policy_hash,
        purpose=decision.purpose,
        version=version,
        columns=columns,
        masks={column.name: column.mask or "by metric" for column in masked},
        rows=decision.rows_in_words,
        row_count=rows if decision.allowed else None,
    )


def denied(decision: Decision, deed: str = "read") -> AccessDeniedError:
    """What whoever is denied is told: the same whether there is such a dataset or not."""
    return denied_to(decision.principal, decision.dataset, decision.purpose, deed)


def denied_to(principal: str, dataset: str, purpose: str | None, deed: str = "read") -> AccessDeniedError:
    """As ``denied``, where there is no decision."""
    for_purpose = f" for purpose {purpose}" if purpose is not None else ""
    return AccessDeniedError(
        f"{principal} may not {deed} {dataset}{for_purpose}, or there is no such dataset; `omgov access explain "
        f"{principal} {dataset}` says why to those who look after it"
    )
