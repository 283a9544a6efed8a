"""Languages of the report: the platform's words by gettext catalogue, the firm's by its wording.

Does not belong here: what is shown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args

from babel.messages.pofile import read_po
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from omgov_assets.model_management.compliance_rules import CheckName
from omgov_assets.model_management.score_rules import QualityDimension, Severity
from omgov_assets.model_management.wording import Wording
from omgov_assets.quality_analysis.report import figures

_HERE = Path(__file__).parent
_CATALOGUES = {"zh": _HERE / "locale" / "zh_CN" / "LC_MESSAGES" / "report.po"}
_SEPARATORS = re.compile(r"(?<=[._/:-])(?=\w)")
_TAGS = {"en": "en", "zh": "zh-Hans"}
NAMES = {"en": "English", "zh": "中文"}


# What dimensions and kinds of pages are called, one of them and several.
NOUNS: dict[str, tuple[str, str]] = {
    "anomaly_type": ("anomaly type", "anomaly types"),
    "application": ("application", "applications"),
    "agent_version": ("agent version", "agent versions"),
    "collector": ("collector", "collectors"),
    "host": ("host", "hosts"),
    "metric": ("metric", "metrics"),
    "network_device": ("network device", "network devices"),
    "owner": ("owner", "owners"),
    "severity": ("severity", "severities"),
    "rack": ("rack", "racks"),
    "site": ("site", "sites"),
    "subnet": ("subnet", "subnets"),
    "support_group": ("support group", "support groups"),
    "system": ("business system", "business systems"),
}

# Words of the platform's tables that are shown as they stand there.
TERMS: dict[str, str] = {
    name: name.replace("_", " ")
    for name in (
        *get_args(QualityDimension),
        *get_args(Severity),
        *get_args(CheckName),
        "passed",
        "failed",
        "error",
        "not_evaluated",
        "admitted",
        "partial",
        "refused",
        "not_delivered",
        "repeated",
        "superseded",
        # Statuses of cases, and who answers for them.
        "open",
        "acknowledged",
        "in_progress",
        "fix_claimed",
        "reopened",
        "reassigned",
        "waived",
        "application_group",
        "data_engineer",
        "governance_office",
        "assigned",
    )
}
MODEL_FAULT = "model: %(fault)s"
CHART_WORDS = ("standing", "new", "resolved", "Anomalies by day", "Overall score by business system")


@dataclass(frozen=True)
class Language:
    """A language: its code, its tag in HTML, and its words."""

    code: str
    tag: str
    words: dict[Any, str | tuple[str, ...]]

    def text(self, message: str) -> str:
        """A message in the language; as it is where it is not translated."""
        return str(self.words.get(message) or message)

    def counted(self, one: str, many: str, number: int) -> str:
        """A message that depends on a number. The catalogue's languages have one form for all numbers."""
        forms = self.words.get(one)
        if forms:
            return str(forms[0] if isinstance(forms, tuple | list) else forms)
        return one if number == 1 else many


@cache
def language(code: str) -> Language:
    """A language by its code (en, zh)."""
    path = _CATALOGUES.get(code)
    return Language(code, _TAGS[code], catalogue_words(path) if path else {})


def catalogue_words(path: Path) -> dict[Any, str | tuple[str, ...]]:
    """Translations of a gettext catalogue by message, one that depends on a number by its singular."""
    words: dict[Any, Any] = {}
    with path.open("rb") as file:
        for message in read_po(file):
            if message.id:
                key = message.id[0] if isinstance(message.id, tuple | list) else message.id
                words[key] = message.string
    return words


def templates_in(spoken: Language, folder: Path) -> Environment:
    """Templates of a folder in a language; everything is escaped, and an unknown name is an error."""
    made = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.install_gettext_callables(spoken.text, spoken.counted, newstyle=True)  # type: ignore[attr-defined]
    made.filters["breakable"] = breakable
    return made


@cache
def environment(code: str) -> Environment:
    """The report's templates in a language, with its words and figures."""
    spoken = language(code)
    made = templates_in(spoken, _HERE / "templates")
    made.globals |= {
        "count": figures.count,
        "percent": figures.percent,
        "change": figures.change,
        "score": figures.score,
        "score_change": figures.score_change,
        "decimal": figures.decimal,
        "times": figures.times,
        "language_names": NAMES,
        "word": lambda name: spoken.text(NOUNS[name][0] if name in NOUNS else TERMS.get(name, str(name))),
        "words": lambda name: spoken.text(NOUNS[name][1]),
    }
    made.filters |= {
        "percent_text": figures.percent_text,
        "apply_title": lambda kind, title: title(kind),
    }
    return made


def breakable(name: str) -> Markup:
    """A name that may be broken behind its separators rather than within a word."""
    parts = _SEPARATORS.split(str(name))
    return Markup("<wbr>").join(parts)


def titles(wording: Wording, code: str) -> Any:
    """A function from an anomaly type to its title. Types of processing models are the platform's."""
    spoken = language(code)

    @cache
    def title(anomaly_type: str) -> str:
        if anomaly_type.startswith("model_") and anomaly_type not in wording.anomaly_types:
            return spoken.text(MODEL_FAULT) % {"fault": anomaly_type.removeprefix("model_").replace("_", " ")}
        return wording.title(anomaly_type, code)

    return title
