"""Digests: what each owner and support group is told of a night, in one message however many anomalies there are.

A cause stands for its symptoms: anomalies with a root cause are one line. Counts, keys and causes only; neither a
person's name nor any value of a record. Does not belong here: who gets the message (``routing``), alerts that do not
wait for the morning (``immediate``).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import pyarrow as pa

from omgov_assets.anomaly_alert.alerts import DIGEST, LANGUAGES, Alert
from omgov_assets.data_lake.lake import Lake, one_row
from omgov_assets.data_lake.sql import read_sql
from omgov_assets.model_management.alert_routes import AlertRoutes
from omgov_assets.model_management.documents import content_hash
from omgov_assets.model_management.wording import Wording
from omgov_assets.quality_analysis.cmdb import create_labels, register_cmdb
from omgov_assets.quality_analysis.drill_down import drill_down_command
from omgov_assets.quality_analysis.report.languages import NOUNS, language, titles
from omgov_assets.quality_analysis.report.pages import file_name
from omgov_assets.quality_analysis.root_causes.night import ANOMALY_TYPE, ROOT_CAUSES
from omgov_assets.quality_analysis.root_causes.reading import causes_of, register_explained

DIGESTS = "alerts/digests"
GOVERNANCE_OFFICE = "governance_office"

# Messages of a night besides digests of owners and groups: that of the office, the heartbeat, refused batches, checks
# without a verdict, a failed run, an unfinished night.
OTHER_MESSAGES = 6
# Names of higher grade are not told.
HIGHEST_GRADE = 2

_HERE = Path(__file__).parent
_RECIPIENTS_SQL = read_sql(_HERE / "digest_recipients.sql")
_COUNTS_SQL = read_sql(_HERE / "digest_counts.sql")
_LINES_SQL = read_sql(_HERE / "digest_lines.sql")
_JUDGED_VERSIONS = """
SELECT system || '/' || dataset, max(data_version) FROM anomalies WHERE data_version IS NOT NULL GROUP BY 1 ORDER BY 1
"""
_OPTIONS = {"owner": "owner", "support_group": "group"}

_WORDS: dict[str, dict[str, str]] = {
    "en": {
        "owner": "Owner {name}",
        "support_group": "Support group {name}",
        GOVERNANCE_OFFICE: "Governance office",
        "summary": "{who}: {anomalies:,} anomalies on {day}, {new_anomalies:,} of them new",
        "rest": "These have no digest of an owner or a support group.",
        "severities": "By severity: {critical:,} critical, {warning:,} warning, {info:,} info.",
        "causes": "{explained:,} come from root causes ({causes:,}):",
        "without": "{unexplained:,} without a common cause:",
        "line": "- {anomalies:,} ({new_anomalies:,} new): {what}",
        "more": "- {anomalies:,} more",
    },
    "zh": {
        "owner": "责任人 {name}",
        "support_group": "运维组 {name}",
        GOVERNANCE_OFFICE: "数据治理办公室",
        "summary": "{who}：{day} 共 {anomalies:,} 条异常，其中新增 {new_anomalies:,} 条",
        "rest": "这些异常不属于任何责任人或运维组的摘要。",
        "severities": "按严重程度：严重 {critical:,}，警告 {warning:,}，提示 {info:,}。",
        "causes": "{explained:,} 条源于根因（{causes:,} 个）：",
        "without": "{unexplained:,} 条没有共同根因：",
        "line": "- {anomalies:,} 条（新增 {new_anomalies:,}）：{what}",
        "more": "- 另有 {anomalies:,} 条",
    },
}


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
                labels={
                    "alertname": DIGEST,
                    "day": self.day.isoformat(),
                    "recipient_kind": row["recipient_kind"],
                    "recipient": row["recipient"],
                },
                annotations={
                    name: row[name]
                    for name in ("summary_en", "summary_zh", "description_en", "description_zh", "report", "command")
                },
                starts_at=self.day,
                ends_at=self.day,
            )
            for row in self.told
        ]


def most_digests(anomalies: int, share: float) -> int:
    """Digests of owners and support groups at most, so that all messages are no more than a share of the anomalies."""
    return max(0, math.floor(share * anomalies) - OTHER_MESSAGES)


def read_digests(lake: Lake, day: date, routes: AlertRoutes, wording: Wording, report: Path) -> NightDigests:
    """Make the digests of a night from its anomalies and their causes.

    Args:
        lake: the lake; the day's anomalies and root causes have been found.
        day: business day.
        routes: how many digests there may be, and where the report is served.
        wording: what anomaly types are called.
        report: folder of the reports, for links to pages that there are.
    """
    with lake.connect() as con:
        versions = register_cmdb(lake, con, day)
        create_labels(con)
        register_explained(lake, con, day)
        lake.register(con, "root_causes", ROOT_CAUSES, day)
        # Tables of analysis are written anew by each run of a night: what they were computed from stays the same.
        versions |= dict(con.execute(_JUDGED_VERSIONS).fetchall())
        anomalies, new = one_row(con, "SELECT count(*), count(*) FILTER (first_seen_day = day) FROM anomalies")
        most = most_digests(anomalies, routes.digests.most_messages_share)
        con.execute(_RECIPIENTS_SQL, {"most": most})
        counts = con.sql(_COUNTS_SQL).to_arrow_table().to_pylist()
        lines: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for line in con.sql(_LINES_SQL, params={"top": routes.digests.causes}).to_arrow_table().to_pylist():
            lines.setdefault((line["recipient_kind"], line["recipient"]), []).append(line)
        names = _group_names(lake, con)
        causes = {cause["cause_id"]: cause for cause in causes_of(con)}
    author = _Author(day, routes, wording, report, names, causes)
    rows = [author.row(row, lines.get((row["recipient_kind"], row["recipient"]), [])) for row in counts]
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


@dataclass(frozen=True)
class _Author:
    """Puts counts into words."""

    day: date
    routes: AlertRoutes
    wording: Wording
    report: Path
    names: Mapping[str, str]
    causes: Mapping[str, dict[str, Any]]

    def row(self, counts: dict[str, Any], lines: list[dict[str, Any]]) -> dict[str, Any]:
        kind, key = counts["recipient_kind"], counts["recipient"]
        if not counts["told"]:
            nothing = dict.fromkeys(f"{name}_{code}" for name in ("summary", "description") for code in LANGUAGES)
            return counts | nothing | {"report": None, "command": None}
        said = {}
        for code in LANGUAGES:
            words = _WORDS[code]
            # A group has a name; of a person the key must do.
            name = f"{self.names[key]} ({key})" if kind == "support_group" and key in self.names else key
            who = words[kind].format(name=name)
            said[f"summary_{code}"] = words["summary"].format(who=who, day=self.day, **_numbers(counts))
            said[f"description_{code}"] = "\n".join(self._description(code, counts, lines))
        option = _OPTIONS.get(kind)
        return (
            counts
            | said
            | {
                "report": self._page(kind, key),
                "command": drill_down_command({option: key} if option else {}, self.day),
            }
        )

    def _description(self, code: str, counts: dict[str, Any], lines: list[dict[str, Any]]) -> list[str]:
        words = _WORDS[code]
        text = [words["rest"]] if counts["recipient_kind"] == GOVERNANCE_OFFICE else []
        text.append(words["severities"].format(**_numbers(counts)))
        unexplained = counts["anomalies"] - counts["explained"]
        for heading, number, part in (
            ("causes", counts["explained"], [line for line in lines if line["cause_id"] is not None]),
            ("without", unexplained, [line for line in lines if line["cause_id"] is None]),
        ):
            if not number:
                continue
            text.append(words[heading].format(unexplained=unexplained, **_numbers(counts)))
            text += [words["line"].format(what=self._what(line, code), **_numbers(line)) for line in part]
            more = number - sum(line["anomalies"] for line in part)
            if more:
                text.append(words["more"].format(anomalies=more))
        return text

    def _what(self, line: dict[str, Any], code: str) -> str:
        """A cause by its place and key, or an anomaly type by its title."""
        title = titles(self.wording, code)
        if line["cause_id"] is None:
            return str(title(line["anomaly_type"]))
        cause = self.causes.get(line["cause_id"])
        if cause is None:
            return str(line["cause_id"])
        conditions = cause["conditions"]
        types = ", ".join(title(name) for name in cause["anomaly_types"][:3])
        place = ", ".join(
            f"{language(code).text(NOUNS.get(name, (name.replace('_', ' '),))[0])} {key}"
            for name, key in conditions.items()
            if name != ANOMALY_TYPE
        )
        return f"{place}: {types} [{line['cause_id']}]"

    def _page(self, kind: str, key: str) -> str:
        """The page of the report: of the recipient where there is one, else the first page."""
        base = self.routes.report_url or self.report.name
        page = Path(kind) / file_name(key)
        if not (self.report / self.day.isoformat() / page).is_file():
            page = Path("index.html")
        return f"{base}/{self.day}/{quote(page.as_posix())}"


def _numbers(row: Mapping[str, Any]) -> dict[str, int]:
    return {name: value for name, value in row.items() if isinstance(value, int) and not isinstance(value, bool)}


def _group_names(lake: Lake, con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Names of support groups, where their grade permits it."""
    grades = {column.name: column.grade for column in lake.schema("cmdb/support_groups").columns}
    if grades.get("name", HIGHEST_GRADE + 1) > HIGHEST_GRADE:
        return {}
    rows = con.execute("SELECT key, label FROM labels WHERE kind = 'support_group' AND label IS NOT NULL").fetchall()
    return dict(rows)
