"""The text of a digest, as its recipient reads it in the morning: what is wrong, since when, by when, what to do next.

Does not belong here: what is counted (``digests``), single phrases (``case_words``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from shlex import quote as quote_for_shell
from typing import Any
from urllib.parse import quote

from omgov_assets.anomaly_alert.alerts import LANGUAGES
from omgov_assets.anomaly_alert.case_words import (
    GOVERNANCE_OFFICE,
    joined,
    line_of,
    new_of,
    numbered,
    what_is_wrong,
    words,
)
from omgov_assets.exception_management.waivers import Waiver
from omgov_assets.model_management.alert_routes import AlertRoutes
from omgov_assets.model_management.wording import Wording
from omgov_assets.quality_analysis.drill_down import drill_down_command
from omgov_assets.quality_analysis.report.pages import file_name

_OPTIONS = {"owner": "owner", "support_group": "group"}


@dataclass(frozen=True)
class Office:
    """What the governance office is told besides cases of nobody's.

    Attributes:
        firm: the row of ``digest_office.sql``.
        waivers: rows of ``digest_waivers.sql``.
        standing: standing waivers that end soon.
    """

    firm: Mapping[str, Any]
    waivers: Sequence[Mapping[str, Any]]
    standing: Sequence[Waiver] = ()


@dataclass(frozen=True)
class Author:
    """Puts a digest into words.

    Attributes:
        day: business day.
        routes: how many cases a digest names, and where the report is served.
        wording: what anomaly types are called.
        report: folder of the reports.
        names: names of support groups.
        office: what only the governance office is told.
    """

    day: date
    routes: AlertRoutes
    wording: Wording
    report: Path
    names: Mapping[str, str]
    office: Office

    def row(self, counts: dict[str, Any], lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """A row of ``alerts/digests``, its texts null where it is not told.

        Args:
            counts: a row of ``digest_counts.sql``, and whether it is told.
            lines: rows of ``digest_lines.sql`` of the same recipient.
        """
        kind, key = counts["recipient_kind"], counts["recipient"]
        if not counts["told"]:
            nothing = dict.fromkeys(f"{name}_{code}" for name in ("summary", "description") for code in LANGUAGES)
            return counts | nothing | {"report": None, "command": None}
        said = {}
        for code in LANGUAGES:
            said[f"summary_{code}"] = self._summary(code, counts)
            said[f"description_{code}"] = "\n".join(self._description(code, counts, lines))
        option = _OPTIONS.get(kind)
        command = drill_down_command({option: key} if option else {}, self.day)
        return counts | said | {"report": self._page(kind, key), "command": command}

    def _summary(self, code: str, counts: Mapping[str, Any]) -> str:
        kind, key = counts["recipient_kind"], counts["recipient"]
        # A group has a name; of a person the key must do.
        name = f"{self.names[key]} ({key})" if kind == "support_group" and key in self.names else key
        # What the office is told of is the whole firm. The first words are all that a mailbox shows.
        told: Mapping[str, Any] = self.office.firm if kind == GOVERNANCE_OFFICE else counts
        due = told["next_due_day"]
        parts = [
            _cases_in_short(code, told),
            joined(code, [numbered(code, "anomalies", told["anomalies"]), new_of(code, told)])
            if told["anomalies"]
            else "",
            words(code, "next_due", day=due) if due and not told["overdue_cases"] else "",
            "" if told["cases"] else _closed(code, told),
        ]
        who = words(code, kind, name=name)
        return words(code, "summary", who=who, day=self.day, parts=joined(code, parts, "part"))

    def _description(self, code: str, counts: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> list[str]:
        is_office = counts["recipient_kind"] == GOVERNANCE_OFFICE
        text = self._of_firm(code, counts) if is_office else []
        if counts["closed_cases"] and not is_office:
            text += [words(code, "good_news", cases=numbered(code, "cases", counts["closed_cases"])), ""]
        for number, line in enumerate(lines, 1):
            text += line_of(code, self.wording, number, line, of_recipient=not is_office)
        named = sum(len(line["case_ids"]) for line in lines)
        if counts["cases"] > named:
            rest = counts["anomalies"] - sum(line["anomalies"] for line in lines)
            cases = numbered(code, "more_cases", counts["cases"] - named)
            text.append(words(code, "more", cases=cases, anomalies=numbered(code, "anomalies", rest)))
        if any(not line["is_waived"] and not line["is_claimed"] for line in lines):
            option = _OPTIONS.get(counts["recipient_kind"])
            whose = f" --{option} {quote_for_shell(counts['recipient'])}" if option else ""
            text += ["", words(code, "what_to_do", whose=whose)]
        return text or [words(code, "nothing_open")]

    def _of_firm(self, code: str, counts: Mapping[str, Any]) -> list[str]:
        firm = self.office.firm
        escalated = firm["escalated_cases"]
        parts = [
            _cases_in_short(code, firm),
            words(code, "escalated", n=escalated) if escalated else "",
            numbered(code, "anomalies", firm["anomalies"]),
            _closed(code, firm),
        ]
        text = [words(code, "firm", parts=joined(code, parts))]
        text += self._waivers(code)
        if counts["cases"]:
            cases, anomalies = (numbered(code, name, counts[name]) for name in ("cases", "anomalies"))
            text += ["", words(code, "rest", cases=cases, anomalies=anomalies)]
        return text

    def _waivers(self, code: str) -> list[str]:
        waivers, standing, top = self.office.waivers, self.office.standing, self.routes.digests.cases
        ending = len(waivers) + len(standing)
        if not ending:
            return []
        text = ["", words(code, "waivers", waivers=numbered(code, "waivers", ending))]
        for one in standing[:top]:
            what = ", ".join(one.conditions.values())
            text.append(words(code, "standing_waiver", day=one.until, what=what))
        if len(standing) > top:
            text.append(words(code, "more_standing_waivers", n=len(standing) - top))
        for waiver in waivers[:top]:
            what = what_is_wrong(code, self.wording, waiver, [waiver["anomaly_type"]])
            text.append(words(code, "waiver", day=waiver["waived_until"], what=what, case=waiver["case_id"]))
        if len(waivers) > top:
            text.append(words(code, "more_waivers", n=len(waivers) - top))
        return text

    def _page(self, kind: str, key: str) -> str:
        """The page of the report: of the recipient where there is one, else the first page."""
        base = self.routes.report_url or self.report.name
        page = Path(kind) / file_name(key)
        if not (self.report / self.day.isoformat() / page).is_file():
            page = Path("index.html")
        return f"{base}/{self.day}/{quote(page.as_posix())}"


def _cases_in_short(code: str, counts: Mapping[str, Any]) -> str:
    if not counts["cases"]:
        return words(code, "nothing_open")
    return joined(
        code,
        [
            numbered(code, "open", counts["cases"]),
            words(code, "overdue", n=counts["overdue_cases"]) if counts["overdue_cases"] else "",
            words(code, "waived", n=counts["waived_cases"]) if counts["waived_cases"] else "",
        ],
    )


def _closed(code: str, counts: Mapping[str, Any]) -> str:
    closed = counts["closed_cases"]
    return words(code, "closed", cases=numbered(code, "cases", closed)) if closed else ""
