"""Reading the verdicts of a day, single and by clause.

Does not belong here: checking (``evaluation``).
"""

from __future__ import annotations

from datetime import date
from typing import Any

from omgov_assets.data_lake.lake import Lake
from omgov_assets.quality_analysis.compliance.evaluation import COMPLIANCE

NEVER = "not_evaluated"
# The gravest first.
_VERDICTS = ("failed", NEVER, "passed")
_OF_CLAUSE = (
    "clause_id", "check_name", "title", "title_zh", "requirement", "requirement_zh", "required", "verified",
    "verified_on", "source", "source_zh", "source_url", "document",
)  # fmt: skip
_QUERY = "SELECT * FROM compliance"


def read_compliance(lake: Lake, day: date) -> list[dict[str, Any]]:
    """Verdicts of a day: the columns of ``quality/compliance``, the gravest of each clause first."""
    with lake.connect() as con:
        lake.register(con, "compliance", COMPLIANCE, day)
        rows: list[dict[str, Any]] = con.sql(_QUERY).to_arrow_table().to_pylist()
    return sorted(rows, key=lambda row: (row["clause_id"], _VERDICTS.index(row["verdict"]), row["subject"]))


def clauses_of(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Verdicts of ``read_compliance`` by clause, those that fail first.

    Returns:
        One dictionary per clause: what it says (clause_id, check_name, title, requirement, source and so on), its
        ``verdict`` (failed where any subject fails, else not_evaluated where any is not, else passed), how many
        subjects have each verdict (passed, failed, not_evaluated), and the ``rows`` that did not pass.
    """
    of_clause: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        of_clause.setdefault(row["clause_id"], []).append(row)
    clauses = []
    for found in of_clause.values():
        counts = {verdict: sum(row["verdict"] == verdict for row in found) for verdict in _VERDICTS}
        clauses.append(
            {name: found[0][name] for name in _OF_CLAUSE}
            | counts
            | {
                "verdict": next(verdict for verdict in _VERDICTS if counts[verdict]),
                "rows": [row for row in found if row["verdict"] != "passed"],
            }
        )
    return sorted(clauses, key=lambda clause: (_VERDICTS.index(clause["verdict"]), clause["clause_id"]))
