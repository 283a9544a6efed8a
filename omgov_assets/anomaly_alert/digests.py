"""Digests: what each owner and support group is told of a night, in one message however many anomalies there are.

Made of cases: a line is an open case with anomalies of theirs, or all cases of one cause. Belongs here: what each
recipient's digest counts and which digests are sent. Does not belong here: words (``case_words``, ``digest_text``), who
gets the message (``routing``), alerts that do not wait for the morning (``immediate``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from omgov_assets.anomaly_alert.alerts import DIGEST, Alert
from omgov_assets.anomaly_alert.budget import cost_of, most_messages
from omgov_assets.anomaly_alert.case_words import GOVERNANCE_OFFICE
from omgov_assets.anomaly_alert.digest_text import Author, Office
from omgov_assets.data_lake.lake import Lake, create_view, one_row
from omgov_assets.data_lake.sql import read_sql
from omgov_assets.exception_management.events import register_log
from omgov_assets.exception_management.waivers import Waiver, waivers_in_force
from omgov_assets.model_management.alert_routes import AlertRoutes
from omgov_assets.model_management.documents import content_hash
from omgov_assets.model_management.governance import Governance
from omgov_assets.quality_analysis.anomalies import ANOMALIES
from omgov_assets.quality_analysis.case_tables import CASE_MEMBERS, CASES
from omgov_assets.quality_analysis.cmdb import create_labels, register_cmdb

DIGESTS = "alerts/digests"

# Names of higher grade are not told.
HIGHEST_GRADE = 2

_HERE = Path(__file__).parent
_RECIPIENTS_SQL, _RANKING_SQL, _ADDRESSED_SQL, _COUNTS_SQL, _LINES_SQL, _OFFICE_SQL, _WAIVERS_SQL = (
    read_sql(_HERE / f"digest_{name}.sql")
    for name in ("recipients", "ranking", "addressed", "counts", "lines", "office", "waivers")
)
_MEMBERS = """
SELECT
    case_id, anomaly_id, state, state_day, added_day, is_unverified, anomaly_type, severity, ci_id, owner_id, waiver_id
FROM all_members
"""
_JUDGED_VERSIONS = """
SELECT system || '/' || dataset, max(data_version) FROM identified WHERE data_version IS NOT NULL GROUP BY 1 ORDER BY 1
"""
_WITHOUT_CASE = """
SELECT count(*)
FROM identified
ANTI JOIN (
    SELECT anomaly_id
    FROM members
    JOIN cases USING (case_id)
    WHERE state = 'open' AND status NOT IN ('closed', 'merged')
) AS held USING (anomaly_id)
"""
_RECIPIENT_COLUMNS = pa.schema([("recipient_kind", pa.string()), ("recipient", pa.string())])
_NOTHING = dict.fromkeys(
    ("cases", "overdue_cases", "waived_cases", "closed_cases", "anomalies", "new_anomalies", "unverified_anomalies",
     "critical", "warning", "info"), 0,
) | {"recipient_kind": GOVERNANCE_OFFICE, "recipient": GOVERNANCE_OFFICE, "next_due_day": None}  # fmt: skip


class NoCasesError(Exception):
    """The day's anomalies are not in cases yet; says what to do."""


@dataclass(frozen=True)
class NightDigests:
    """The digests of a night.

    Attributes:
        day: business day.
        anomalies: anomalies of the day.
        new_anomalies: of them those that were not there the day before.
        rows: rows of ``alerts/digests`` but for day, rules_hash and data_versions, by kind and recipient.
        data_versions: Delta versions that were judged, by dataset.
    """

    day: date
    anomalies: int
    new_anomalies: int
    rows: list[dict[str, Any]]
    data_versions: dict[str, int]

    @property
    def told(self) -> list[dict[str, Any]]:
        """The digests that are sent; other recipients are told of in a wider one."""
        return [row for row in self.rows if row["told"]]

    @property
    def alerts(self) -> list[Alert]:
        """An alert for each digest that is sent. What varies is no label: a night run again has the same alerts."""
        return [
            Alert(
                labels=_labels(self.day, row["recipient_kind"], row["recipient"]),
                annotations={
                    name: row[name]
                    for name in ("summary_en", "summary_zh", "description_en", "description_zh", "report", "command")
                },
                starts_at=self.day,
                ends_at=self.day,
            )
            for row in self.told
        ]


def read_digests(lake: Lake, governance: Governance, report: Path, day: date, other_messages: int = 0) -> NightDigests:
    """Make the digests of a night from its cases.

    Digests go to those for whom there is most to do, as many as the firm's share of messages leaves room for.

    Args:
        lake: the lake; the cases of the day have been brought up.
        governance: how many digests there may be, where the report is served, what anomaly types are called.
        report: folder of the reports, for links to pages that there are.
        day: business day.
        other_messages: messages of the night besides digests of owners and groups.

    Raises:
        NoCasesError: anomalies of the day are in no open case.
    """
    routes, top = governance.alerts, governance.alerts.digests.cases
    with lake.connect() as con:
        versions = _register(lake, con, day)
        versions |= dict(con.execute(_JUDGED_VERSIONS).fetchall())
        anomalies, new = one_row(con, "SELECT count(*), count(*) FILTER (first_seen_day = day) FROM identified")
        con.execute(_RECIPIENTS_SQL, {"day": day})
        ranked = _with_the_same_first(con.execute(_RANKING_SQL).fetchall(), _told_before(lake, con, day))
        room = most_messages(anomalies, routes.digests.most_messages_share) - other_messages
        told = {*_within(room, ranked, routes, day), (GOVERNANCE_OFFICE, GOVERNANCE_OFFICE)}
        _register_told(con, told)
        con.execute(_ADDRESSED_SQL)
        counts = con.sql(_COUNTS_SQL).to_arrow_table().to_pylist()
        lines: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for line in con.sql(_LINES_SQL, params={"top": top}).to_arrow_table().to_pylist():
            lines.setdefault((line["recipient_kind"], line["recipient"]), []).append(line)
        ends = day + timedelta(days=governance.exceptions.waiver_warning_days)
        standing = [waiver for waiver in waivers_in_force(lake, con, day) if waiver.until <= ends]
        office = _office(con, day, ends, standing)
        names = _group_names(lake, con)
    if (office.waivers or office.standing) and not any(row["recipient_kind"] == GOVERNANCE_OFFICE for row in counts):
        counts.append(dict(_NOTHING))
    author = Author(day, routes, governance.wording, report, names, office)
    rows = [
        author.row({**row, "told": key in told}, lines.get(key, []))
        for row in sorted(counts, key=lambda row: (row["recipient_kind"], row["recipient"]))
        for key in [(row["recipient_kind"], row["recipient"])]
    ]
    return NightDigests(day, anomalies, new, rows, versions)


def write_digests(lake: Lake, digests: NightDigests, routes: AlertRoutes) -> int:
    """Write ``alerts/digests`` of a night; returns the Delta version."""
    common = {
        "day": digests.day,
        "rules_hash": content_hash(routes.model_dump_json()),
        "data_versions": json.dumps(digests.data_versions, sort_keys=True, separators=(",", ":")),
    }
    rows = [row | common for row in digests.rows]
    return lake.replace(DIGESTS, digests.day, pa.Table.from_pylist(rows, schema=lake.schema(DIGESTS).arrow))


def register_people(lake: Lake, con: duckdb.DuckDBPyConnection, day: date) -> dict[str, int]:
    """The CMDB by which people are told: of the day, or of the last one before with owners; returns Delta versions."""
    owners = "cmdb/owners"
    return register_cmdb(lake, con, day if lake.has_day(owners, day) else lake.previous_day(owners, day) or day)


def _register(lake: Lake, con: duckdb.DuckDBPyConnection, day: date) -> dict[str, int]:
    """Views of the day; returns Delta versions of the CMDB. Raises ``NoCasesError``."""
    versions = register_people(lake, con, day)
    create_labels(con)
    lake.register(con, "identified", ANOMALIES, day)
    lake.register(con, "cases", CASES, day)
    lake.register(con, "all_members", CASE_MEMBERS, day)
    create_view(con, "members", _MEMBERS)
    (without,) = one_row(con, _WITHOUT_CASE)
    if without:
        raise NoCasesError(
            f"{without:,} anomalies of {day} are in no open case: materialise exceptions/cases of the day first "
            f"(omgov run --day {day})"
        )
    register_log(lake, con, day)
    for view, kind in (("refuted", "claim_refuted"), ("come_back", "reopened")):
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE {view} AS SELECT DISTINCT case_id FROM effective "  # noqa: S608 - own names
            "WHERE anomaly_id IS NULL AND kind = $kind",
            {"kind": kind},
        )
    return versions


def _told_before(lake: Lake, con: duckdb.DuckDBPyConnection, day: date) -> dict[tuple[str, str], bool]:
    """Recipients of an earlier run of the night, and whether they were told."""
    lake.register(con, "digests_before", DIGESTS, day)
    rows = con.execute("SELECT recipient_kind, recipient, told FROM digests_before").fetchall()
    return {(kind, recipient): told for kind, recipient, told in rows}


def _with_the_same_first(
    ranked: Sequence[tuple[str, str]], before: Mapping[tuple[str, str], bool]
) -> list[tuple[str, str]]:
    """Recipients in the order in which they are told; a night that is run again tells the same ones.

    Whoever was told of in the office's digest stays there, whatever people have done since; whoever had nothing before
    is new.
    """
    return sorted((each for each in ranked if before.get(each, True)), key=lambda each: each not in before)


def _within(room: int, ranked: Sequence[tuple[str, str]], routes: AlertRoutes, day: date) -> list[tuple[str, str]]:
    """The first recipients whose digests there is room for."""
    told: list[tuple[str, str]] = []
    for kind, recipient in ranked:
        room -= cost_of(routes, _labels(day, kind, recipient))
        if room < 0:
            break
        told.append((kind, recipient))
    return told


def _labels(day: date, kind: str, recipient: str) -> dict[str, str]:
    return {"alertname": DIGEST, "day": day.isoformat(), "recipient_kind": kind, "recipient": recipient}


def _register_told(con: duckdb.DuckDBPyConnection, told: set[tuple[str, str]]) -> None:
    rows = [{"recipient_kind": kind, "recipient": recipient} for kind, recipient in sorted(told)]
    con.register("told", pa.Table.from_pylist(rows, _RECIPIENT_COLUMNS))


def _office(con: duckdb.DuckDBPyConnection, day: date, ends: date, standing: Sequence[Waiver]) -> Office:
    """What the governance office is told besides cases of nobody's, with the waivers that end by a day."""
    (firm,) = con.sql(_OFFICE_SQL, params={"day": day}).to_arrow_table().to_pylist()
    return Office(firm, con.sql(_WAIVERS_SQL, params={"until": ends}).to_arrow_table().to_pylist(), standing)


def _group_names(lake: Lake, con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Names of support groups, where their grade permits it."""
    grades = {column.name: column.grade for column in lake.schema("cmdb/support_groups").columns}
    if grades.get("name", HIGHEST_GRADE + 1) > HIGHEST_GRADE:
        return {}
    rows = con.execute("SELECT key, label FROM labels WHERE kind = 'support_group' AND label IS NOT NULL").fetchall()
    return dict(rows)
