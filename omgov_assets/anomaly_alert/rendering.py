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
_MANY = "{number} × {name}"


def title_of(alerts: Sequence[Alert]) -> str:
    """One line: of a single alert its summary in both languages, of several how many there are of each kind."""
    if len(alerts) == 1:
        (alert,) = alerts
        text = " / ".join(_summary(alert, language) for language in LANGUAGES)
    else:
        kinds = sorted({(alert.status, alert.name) for alert in alerts})
        text = ", ".join(
            _MANY.format(number=sum((alert.status, alert.name) == kind for alert in alerts), name=kind[1])
            + (" (resolved)" if kind[0] == "resolved" else "")
            for kind in kinds
        )
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
        alert.annotations[name] for alert in shown for name in ("report", "command") if name in alert.annotations
    )
    if places:
        parts.append("\n".join(places))
    parts.append(f"omgov {key}")
    return "\n\n".join(parts) + "\n"


def _summary(alert: Alert, language: str) -> str:
    text = alert.text("summary", language)
    return f"{_RESOLVED[language]}: {text}" if alert.status == "resolved" else text
