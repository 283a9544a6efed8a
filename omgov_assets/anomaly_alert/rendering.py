"""What a message says: a title and a plain text, in both languages.

Does not belong here: what alerts say (``digests``, ``immediate``). Text only: whatever shows it need not trust it.
"""

from __future__ import annotations

from collections.abc import Sequence

from omgov_assets.anomaly_alert.alerts import LANGUAGES, Alert

# A message that lists more is read by nobody, and mail servers refuse very long ones.
MOST_ALERTS = 25
LONGEST_TITLE = 160

_RESOLVED = {"en": "Resolved", "zh": "已恢复"}
_MORE = {"en": "… and {more} further alerts: omgov alerts outbox", "zh": "……另有 {more} 条告警：omgov alerts outbox"}
# What several alerts of a kind are called; kinds that always come alone go by their name.
_KINDS: dict[str, dict[str, tuple[str, str]]] = {
    "en": {
        "overdue_case": ("overdue case", "overdue cases"),
        "escalated_case": ("escalated case", "escalated cases"),
        "refused_batch": ("dataset with refused batches", "datasets with refused batches"),
        "blocking_check": ("check without a verdict", "checks without a verdict"),
        "failed_run": ("failed run", "failed runs"),
        "digest": ("digest", "digests"),
    },
    "zh": {
        "overdue_case": ("个逾期工单",) * 2,
        "escalated_case": ("个升级工单",) * 2,
        "refused_batch": ("个数据集有批次被拒收",) * 2,
        "blocking_check": ("项检查没有结论",) * 2,
        "failed_run": ("次运行失败",) * 2,
        "digest": ("份摘要",) * 2,
    },
}
_PLACES = {"report": "Report / 报告", "command": "Details / 详情"}


def title_of(alerts: Sequence[Alert]) -> str:
    """One line: of a single alert its summary in both languages, of several how many there are of each kind."""
    if len(alerts) == 1:
        (alert,) = alerts
        text = " / ".join(_summary(alert, language) for language in LANGUAGES)
    else:
        text = " / ".join(_kinds(alerts, language) for language in LANGUAGES)
    # A line break would end a mail's header.
    line = " ".join(f"[omgov] {text}".split())
    return line if len(line) <= LONGEST_TITLE else f"{line[: LONGEST_TITLE - 1]}…"


def text_of(alerts: Sequence[Alert], key: str) -> str:
    """The text: all alerts in one language after the other, then links, commands and the key of the message.

    Args:
        alerts: what it says.
        key: the message's key, by which somebody who gets it twice sees that it is one.
    """
    shown = alerts[:MOST_ALERTS]
    parts = []
    for language in LANGUAGES:
        paragraphs = [f"{_summary(alert, language)}\n{alert.text('description', language)}" for alert in shown]
        if len(alerts) > len(shown):
            paragraphs.append(_MORE[language].format(more=len(alerts) - len(shown)))
        parts.append("\n\n".join(paragraphs))
    places = dict.fromkeys(
        f"{label}: {alert.annotations[name]}"
        for alert in shown
        for name, label in _PLACES.items()
        if name in alert.annotations
    )
    if places:
        parts.append("\n".join(places))
    parts.append(f"omgov {key}")
    return "\n\n".join(parts) + "\n"


def _kinds(alerts: Sequence[Alert], language: str) -> str:
    """How many alerts there are of each kind, those that hold first."""
    kinds = sorted({(alert.status, alert.name) for alert in alerts})
    said = []
    for status, name in kinds:
        number = sum((alert.status, alert.name) == (status, name) for alert in alerts)
        over = f"{_RESOLVED[language]}: " if status == "resolved" else ""
        one, several = _KINDS[language].get(name, (name, name))
        said.append(f"{over}{number} {one if number == 1 else several}")
    return ", ".join(said)


def _summary(alert: Alert, language: str) -> str:
    text = alert.text("summary", language)
    return f"{_RESOLVED[language]}: {text}" if alert.status == "resolved" else text
