"""What the page of a business system, site, support group or owner shows, for all keys of a kind in a few passes.

Does not belong here: laying it out (``templates``).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote

import duckdb

from omgov_assets.quality_analysis.report.cases import read_cases_of_pages
from omgov_assets.quality_analysis.report.queries import rows_of

PageKind = Literal["system", "site", "support_group", "owner"]

# Each kind's column of the anomalies, its option of `omgov anomalies`, and the dimensions it is broken down by.
KINDS: dict[PageKind, tuple[str, str, tuple[str, ...]]] = {
    "system": ("system", "system", ("support_group", "site", "metric", "collector")),
    "support_group": ("support_group_id", "group", ("owner", "application", "system", "site", "host", "metric")),
    "owner": ("owner_id", "owner", ("application", "system", "site", "host", "metric")),
    "site": ("site_id", "site", ("support_group", "system", "application", "network_device", "host", "metric")),
}

# More keys than this get no page of their own: their anomalies are one command away.
MOST_PAGES = 1_000
TOP_VALUES = 6
TOP_SUBJECTS = 12
TOP_CASES = 8

_LONGEST_NAME = 100
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}


@dataclass(frozen=True)
class Page:
    """Everything a page shows of one key."""

    kind: PageKind
    key: str
    scores: dict[str, dict[str, Any]]
    types: list[dict[str, Any]] = field(default_factory=list)
    breakdowns: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    subjects: list[dict[str, Any]] = field(default_factory=list)
    cases: list[dict[str, Any]] = field(default_factory=list)
    trend: list[float] = field(default_factory=list)

    @property
    def card(self) -> dict[str, Any]:
        """The overall scorecard."""
        return self.scores["overall"]

    @property
    def label(self) -> str:
        """Name for people."""
        return str(self.card["label"])


@dataclass(frozen=True)
class PagesOfKind:
    """The pages of a kind, and how many keys could have one."""

    kind: PageKind
    pages: list[Page]
    keys: int


def read_pages(con: duckdb.DuckDBPyConnection, kind: PageKind) -> PagesOfKind:
    """Read the pages of all keys of a kind that have anomalies, or had some resolved, most anomalies first.

    Args:
        con: a connection with the views of ``register_day``.
        kind: which pages.
    """
    column, _, dimensions = KINDS[kind]
    keys = rows_of(con, "page_keys", {"kind": kind, "most": MOST_PAGES})
    con.execute(
        "CREATE OR REPLACE TEMP TABLE keys AS SELECT unnest($keys::VARCHAR[]) AS key",
        {"keys": [row["key"] for row in keys]},
    )
    con.execute(
        f"CREATE OR REPLACE TEMP VIEW of_key AS SELECT {column} AS key, * FROM anomalies "  # noqa: S608 - a column of this module
        "WHERE key IN (SELECT keys.key FROM keys)"
    )
    pages = {row["key"]: Page(kind, row["key"], {}) for row in keys}
    for row in rows_of(con, "page_scores", {"kind": kind}):
        pages[row["subject_key"]].scores[row["quality_dimension"]] = row
    for row in rows_of(con, "page_types"):
        pages[row["key"]].types.append(row)
    for row in rows_of(con, "page_breakdowns", {"dimensions": list(dimensions), "top": TOP_VALUES}):
        pages[row["key"]].breakdowns.setdefault(row["dimension"], []).append(row)
    for row in rows_of(con, "page_subjects", {"top": TOP_SUBJECTS}):
        pages[row["key"]].subjects.append(row)
    for row in read_cases_of_pages(con, TOP_CASES):
        pages[row["key"]].cases.append(row)
    for row in rows_of(con, "page_trends", {"kind": kind}):
        pages[row["key"]].trend.extend(row["scores"])
    return PagesOfKind(kind, list(pages.values()), keys[0]["keys"] if keys else 0)


def file_name(key: str) -> str:
    """The name of a key's page: readable where it can be, never outside its folder, the same on every run."""
    name = quote(key, safe="").replace(".", "%2E")
    if not name or len(name) > _LONGEST_NAME or name.lower() in _RESERVED:
        name = f"{name[:40]}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    return f"{name}.html"
