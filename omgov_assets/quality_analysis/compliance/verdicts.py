"""What a check says of one subject, and what checks look at.

Does not belong here: any check.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Literal

from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.schemas import TableSchema
from omgov_assets.model_management.access_rules import readable_tables
from omgov_assets.model_management.governance import Governance

Outcome = Literal["passed", "failed", "not_evaluated"]
# The subject of a clause that nothing there is to be checked by.
EVERYTHING = "all"
_NAMED = 8


@dataclass(frozen=True)
class Verdict:
    """What a check says of one subject.

    Attributes:
        subject: dataset, business system, or ``audit/access``.
        outcome: passed, failed or not_evaluated.
        observed: what is the case; None where nothing could be looked at.
        required: what the clause asks for.
        explanation: why the outcome is what it is, as a sentence.
        versions: Delta versions that were looked at, by table.
    """

    subject: str
    outcome: Outcome
    observed: str | None
    required: str
    explanation: str
    versions: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Evidence:
    """What checks look at.

    Attributes:
        lake: the home's lake.
        governance: the firm's control information.
        day: the day that is checked; later ones are not looked at.
        audit: ``OMGOV_HOME/audit``.
        environment: names the file of the audit's anchors and holds their key, where there are any.
        tables: schemas of all tables of the lake that can be asked for.
    """

    lake: Lake
    governance: Governance
    day: date
    audit: Path
    environment: Mapping[str, str]
    tables: Mapping[str, TableSchema]

    @classmethod
    def of(cls, lake: Lake, governance: Governance, day: date, audit: Path, environment: Mapping[str, str]) -> Evidence:
        """Evidence of a home and a project."""
        folder = governance.project / "governance" / "standard" / "data_contracts"
        tables = readable_tables(governance.contracts, governance.systems, folder)
        return cls(lake, governance, day, audit, environment, tables)


def listed(names: list[str]) -> str:
    """Names as a list for people, the first of many."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def counted(number: int, noun: str) -> str:
    """A number of things, for people."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
