"""Cases in words, in both languages: what is wrong, since when, by when, and what to do next.

Counts, keys, names of groups and places only; neither a person's name nor any value of a record. Does not belong here:
who is told (``digests``, ``overdue``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from omgov_assets.model_management.wording import Wording
from omgov_assets.quality_analysis.report.languages import NOUNS, language, titles
from omgov_assets.quality_analysis.root_causes.night import ANOMALY_TYPE

GOVERNANCE_OFFICE = "governance_office"

# More of them make a line that nobody reads.
MOST_TYPES = 3
MOST_CASES = 3

_NUMBERED: dict[str, dict[str, tuple[str, str]]] = {
    "en": {
        "cases": ("{n:,} case", "{n:,} cases"),
        "open": ("{n:,} open case", "{n:,} open cases"),
        "more_cases": ("{n:,} more case", "{n:,} more cases"),
        "anomalies": ("{n:,} anomaly", "{n:,} anomalies"),
        "waivers": ("1 waiver ends", "{n:,} waivers end"),
    },
    "zh": {
        "cases": ("{n:,} 个工单",) * 2,
        "open": ("{n:,} 个未关闭工单",) * 2,
        "more_cases": ("另有 {n:,} 个工单",) * 2,
        "anomalies": ("{n:,} 条异常",) * 2,
        "waivers": ("{n:,} 个豁免",) * 2,
    },
}
_WORDS: dict[str, dict[str, str]] = {
    "en": {
        "owner": "Owner {name}",
        "support_group": "Support group {name}",
        GOVERNANCE_OFFICE: "Governance office",
        "summary": "{parts} – {who}, {day}",
        "overdue": "{n:,} overdue",
        "waived": "{n:,} waived",
        "escalated": "{n:,} escalated",
        "next_due": "next due {day}",
        "new": "{n:,} new",
        "all_new": "all new",
        "nothing_open": "nothing open",
        "closed": "{cases} verified and closed",
        "and": ", ",
        "part": "; ",
        "good_news": "Good news: {cases} verified and closed since yesterday.",
        "firm": "Whole firm: {parts}.",
        "rest": "In no digest of an owner or a support group: {cases} with {anomalies}.",
        "title": "{number}. {severity}: {what}",
        "place": "{what}, at {place}",
        "yours": "{anomalies} of yours",
        "of_all": " (of {n:,} in all)",
        "since": "since {day}",
        "unverified": "{n:,} could not be judged tonight",
        "is_overdue": "OVERDUE since {day}",
        "is_escalated": "escalated to the governance office",
        "due": "due {day}",
        "refuted": "claimed as fixed, but found again tonight",
        "back": "closed before, and come back",
        "is_claimed": "fix claimed: the next nights verify it, nothing to do",
        "is_waived": "waived until {day}: nothing to do before",
        "is_waived_always": "waived: nothing to do",
        "some_waived": "{n:,} of them waived",
        "show": "omgov cases show {case}",
        "show_more": " (and {cases} of this cause: {names})",
        "more": "{cases} with {anomalies}",
        "no_cause": "{what}, in {scope} without a common cause",
        "waivers": "{waivers} soon:",
        "waiver": "- {day}: {what}; omgov cases show {case}",
        "more_waivers": "- {n:,} more: omgov cases list --status waived",
        "standing_waiver": "- {day}: whatever comes of {what}; omgov cases waivers",
        "more_standing_waivers": "- {n:,} more: omgov cases waivers",
        "what_to_do": (
            "What to do:\n"
            "- see what is wrong: omgov cases show CASE\n"
            "- list the records with their place in the source: "
            "omgov cases export CASE{whose} --as YOU --out FILE.xlsx\n"
            "- once the source is fixed: omgov cases claim-fix CASE --as YOU; a night verifies it and closes the case\n"
            "- not yours: omgov cases assign CASE --to-group GROUP --as YOU"
        ),
    },
    "zh": {
        "owner": "责任人 {name}",
        "support_group": "运维组 {name}",
        GOVERNANCE_OFFICE: "数据治理办公室",
        "summary": "{parts}——{who}，{day}",
        "overdue": "{n:,} 个逾期",
        "waived": "{n:,} 个已豁免",
        "escalated": "{n:,} 个已升级",
        "next_due": "最近到期日 {day}",
        "new": "新增 {n:,} 条",
        "all_new": "均为新增",
        "nothing_open": "没有未关闭的工单",
        "closed": "{cases}已验证关闭",
        "and": "，",
        "part": "；",
        "good_news": "好消息：自昨日以来 {cases}已验证关闭。",
        "firm": "全公司：{parts}。",
        "rest": "不在任何责任人或运维组摘要中的：{cases}，共 {anomalies}。",
        "title": "{number}. {severity}：{what}",
        "place": "{what}，位于{place}",
        "yours": "与您相关 {anomalies}",
        "of_all": "（全部 {n:,} 条）",
        "since": "始于 {day}",
        "unverified": "今夜有 {n:,} 条无法评估",
        "is_overdue": "已逾期，到期日 {day}",
        "is_escalated": "已升级至数据治理办公室",
        "due": "到期日 {day}",
        "refuted": "曾声明已修复，但今夜仍被发现",
        "back": "曾经关闭，再次出现",
        "is_claimed": "已声明修复：等待夜间验证，无需处理",
        "is_waived": "已豁免至 {day}：此前无需处理",
        "is_waived_always": "已豁免：无需处理",
        "some_waived": "其中 {n:,} 条已豁免",
        "show": "omgov cases show {case}",
        "show_more": "（同一根因{cases}：{names}）",
        "more": "{cases}，共 {anomalies}",
        "no_cause": "{what}，位于 {scope}，无共同根因",
        "waivers": "{waivers}即将到期：",
        "waiver": "- {day}：{what}；omgov cases show {case}",
        "more_waivers": "- 另有 {n:,} 个：omgov cases list --status waived",
        "standing_waiver": "- {day}：{what} 的所有异常；omgov cases waivers",
        "more_standing_waivers": "- 另有 {n:,} 个：omgov cases waivers",
        "what_to_do": (
            "下一步：\n"
            "- 查看问题：omgov cases show CASE\n"
            "- 导出记录及其在源系统中的位置：omgov cases export CASE{whose} --as 您的账号 --out FILE.xlsx\n"
            "- 源头修复后：omgov cases claim-fix CASE --as 您的账号；夜间验证通过即关闭工单\n"
            "- 不属于您：omgov cases assign CASE --to-group 运维组 --as 您的账号"
        ),
    },
}  # fmt: skip


def words(code: str, phrase: str, /, **values: Any) -> str:
    """A phrase in a language."""
    return _WORDS[code][phrase].format(**values)


def numbered(code: str, name: str, number: int) -> str:
    """A number of things in a language: ``1 case``, ``2 cases``."""
    one, several = _NUMBERED[code][name]
    return (one if number == 1 else several).format(n=number)


def joined(code: str, parts: Iterable[str], separator: str = "and") -> str:
    """Phrases in a row, empty ones left out."""
    return _WORDS[code][separator].join(part for part in parts if part)


def new_of(code: str, counts: Mapping[str, Any]) -> str:
    """How many of ``anomalies`` are ``new_anomalies``; empty where none is."""
    new = counts["new_anomalies"]
    if not new:
        return ""
    return words(code, "all_new") if new == counts["anomalies"] else words(code, "new", n=new)


def what_is_wrong(code: str, wording: Wording, case: Mapping[str, Any], anomaly_types: Sequence[str]) -> str:
    """Titles of anomaly types, and the place of their cause, or whose they are without one.

    Args:
        code: language.
        wording: what anomaly types are called.
        case: with cause, the conditions of the root cause as a JSON object of attribute to key, and scope.
        anomaly_types: anomaly types; of many the first few are named.
    """
    title = titles(wording, code)
    named = [title(name) for name in anomaly_types[:MOST_TYPES]]
    kinds = joined(code, [*named, *(["…"] if len(anomaly_types) > MOST_TYPES else [])])
    if case["cause"] is None:
        return words(code, "no_cause", what=kinds, scope=case["scope"]) if case["scope"] else kinds
    conditions: Mapping[str, Any] = json.loads(case["cause"])
    place = joined(
        code,
        (
            f"{language(code).text(NOUNS.get(name, (name.replace('_', ' '),))[0])} {key}"
            for name, key in conditions.items()
            if name != ANOMALY_TYPE
        ),
    )
    return words(code, "place", what=kinds, place=place) if place else kinds


def line_of(code: str, wording: Wording, number: int, line: Mapping[str, Any], of_recipient: bool) -> list[str]:
    """One line of a digest as three lines of text: what is wrong, how much since when, by when and where to look.

    Args:
        code: language.
        wording: what anomaly types are called.
        number: its number in the digest.
        line: a row of ``digest_lines.sql``.
        of_recipient: whether the anomalies are the recipient's own.
    """
    severity = language(code).text(line["severity"]).upper()
    what = what_is_wrong(code, wording, line, line["anomaly_types"])
    counted = numbered(code, "anomalies", line["anomalies"])
    if of_recipient:
        counted = words(code, "yours", anomalies=counted)
    if line["anomalies_of_cases"] > line["anomalies"]:
        counted += words(code, "of_all", n=line["anomalies_of_cases"])
    some_waived = 0 < line["waived_anomalies"] < line["anomalies"]
    amount = joined(
        code,
        [
            counted,
            new_of(code, line),
            words(code, "since", day=line["since_day"]),
            words(code, "some_waived", n=line["waived_anomalies"]) if some_waived else "",
            words(code, "unverified", n=line["unverified_anomalies"]) if line["unverified_anomalies"] else "",
        ],
    )
    first, *others = line["case_ids"]
    show = words(code, "show", case=first)
    if others:
        names = ", ".join(others[: MOST_CASES - 1]) + (", …" if len(others) >= MOST_CASES else "")
        show += words(code, "show_more", cases=numbered(code, "more_cases", len(others)), names=names)
    state = joined(code, _state_of(code, line), "part")
    return [
        words(code, "title", number=number, severity=severity, what=what),
        f"   {amount}",
        f"   {joined(code, [state, show], 'part')}",
    ]


def _state_of(code: str, line: Mapping[str, Any]) -> list[str]:
    """By when it is due, and what is special about it."""
    if line["is_waived"]:
        until: date | None = line["waived_until"]
        return [words(code, "is_waived", day=until) if until else words(code, "is_waived_always")]
    due = words(code, "is_overdue" if line["is_overdue"] else "due", day=line["due_day"])
    return [
        due,
        words(code, "is_escalated") if line["is_escalated"] else "",
        words(code, "refuted") if line["is_refuted"] else "",
        words(code, "back") if line["is_back"] and not line["is_refuted"] else "",
        words(code, "is_claimed") if line["is_claimed"] else "",
    ]
