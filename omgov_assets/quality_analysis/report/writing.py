"""Writing a report: all pages in all languages, put in place at once.

Does not belong here: what the pages show (``morning``, ``pages``) or how (``templates``).
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from omgov_assets.data_lake.lake import Lake
from omgov_assets.model_management.governance import Governance
from omgov_assets.model_management.score_rules import ScoreRules
from omgov_assets.model_management.trading_calendar import TradingCalendar
from omgov_assets.model_management.wording import Wording
from omgov_assets.quality_analysis.drill_down import OPTION_OF, drill_down_command
from omgov_assets.quality_analysis.report import charts, morning
from omgov_assets.quality_analysis.report.languages import environment, language, titles
from omgov_assets.quality_analysis.report.morning import Morning, morning_of, register_day
from omgov_assets.quality_analysis.report.pages import KINDS, MOST_PAGES, Page, PagesOfKind, file_name, read_pages

_STYLE = Path(__file__).with_name("style.css")
_VERDICT_CLASSES = {"failed": "critical", "not_evaluated": "warning", "passed": "passed"}


@dataclass(frozen=True)
class Edition:
    """What the firm has decided of its report.

    Attributes:
        languages: codes (en, zh); the first is the one that opens.
        firm: name of the firm.
        scores: weights and the length of trends.
        calendar: trading days.
        wording: titles of anomaly types.
    """

    languages: Sequence[str] = ("en",)
    firm: str = ""
    scores: ScoreRules = field(default_factory=ScoreRules)
    calendar: TradingCalendar = field(default_factory=TradingCalendar)
    wording: Wording = field(default_factory=Wording)

    @classmethod
    def of(cls, governance: Governance) -> Edition:
        """The edition of a firm."""
        firm = governance.firm
        return cls(firm.languages, firm.name, governance.scores, governance.calendar, governance.wording)


@dataclass(frozen=True)
class WrittenReport:
    """A report on disk.

    Attributes:
        path: its first page in the first language.
        pages: pages of all languages.
        bytes: their size.
        morning: what the first page shows.
    """

    path: Path
    pages: int
    bytes: int
    morning: Morning


def write_report(lake: Lake, day: date, out_folder: Path, edition: Edition | None = None) -> WrittenReport:
    """Write the report of a day to ``<out_folder>/<day>/``, in place of an earlier one.

    ``index.html`` is the first page in the first language; further languages have folders of their own. Beside each
    first page stand the folders system, site, support_group and owner with a page for each key, and ``compliance.html``
    where the firm has compliance rules. The report is a function of the lake's content and of the edition alone. A
    reader never sees half of it.

    Raises:
        NotRankedError: the day was never analysed.
    """
    edition = edition or Edition()
    with lake.connect() as con:
        register_day(lake, con, day, edition.scores.trend_days)
        shown = morning_of(lake, con, day)
        pages = [read_pages(con, kind) for kind in KINDS]
    out_folder.mkdir(parents=True, exist_ok=True)
    unfinished = out_folder / f".{day.isoformat()}.part"
    shutil.rmtree(unfinished, ignore_errors=True)
    written, size = 0, 0
    for code in edition.languages:
        for relative, text in _render(shown, pages, edition, code):
            path = unfinished / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            content = text.encode("utf-8")
            path.write_bytes(content)
            written, size = written + 1, size + len(content)
    target = out_folder / day.isoformat()
    _put_in_place(unfinished, target)
    return WrittenReport(target / "index.html", written, size, shown)


def _render(shown: Morning, pages: list[PagesOfKind], edition: Edition, code: str) -> Iterator[tuple[Path, str]]:
    """Every page in a language, with its path below the day's folder."""
    made = environment(code)
    folder = Path() if code == edition.languages[0] else Path(code)
    links = {of_kind.kind: {page.key: file_name(page.key) for page in of_kind.pages} for of_kind in pages}
    common = {
        "morning": shown,
        "edition": edition,
        "code": code,
        "tag": language(code).tag,
        "style": Markup(_STYLE.read_text(encoding="utf-8")),  # noqa: S704 - the package's own file
        "title_of": titles(edition.wording, code),
        "quality_dimensions": morning.QUALITY_DIMENSIONS,
        "is_trading_day": edition.calendar.is_trading_day(shown.day),
        "limits": morning,
        "most_pages": MOST_PAGES,
        "pages": pages,
    }
    if shown.compliance:
        relative = Path("compliance.html")
        yield (
            folder / relative,
            made.get_template("compliance.html.j2").render(
                common | {"twins": _twins(edition, code, relative, 0), "verdict_class": _VERDICT_CLASSES}
            ),
        )
    yield (
        folder / "index.html",
        made.get_template("index.html.j2").render(
            common
            | {
                "twins": _twins(edition, code, Path("index.html"), 0),
                "home": "",
                "href": lambda kind, key: _href("", links, kind, key),
                "command": lambda **values: _command(shown.day, values),
                "charts": _charts(shown, code),
            }
        ),
    )
    template = made.get_template("page.html.j2")
    for of_kind in pages:
        for page in of_kind.pages:
            relative = Path(of_kind.kind) / links[of_kind.kind][page.key]
            yield (
                folder / relative,
                template.render(
                    common
                    | {
                        "page": page,
                        "twins": _twins(edition, code, relative, 1),
                        "home": "../index.html",
                        "cases_command": _cases_command(shown.day, page),
                        "href": lambda kind, key: _href("../", links, kind, key),
                        "command": lambda page=page, **values: _command(
                            shown.day, {KINDS[page.kind][1]: page.key} | values
                        ),
                    }
                ),
            )


def _charts(shown: Morning, code: str) -> dict[str, Markup]:
    """The charts of the first page; a trend needs two days."""
    spoken = language(code)
    drawn = {}
    if len(shown.firm_trend) > 1:
        drawn["anomalies"] = charts.anomalies_chart(shown.firm_trend, spoken)
    if len({row["day"] for row in shown.system_trend if row["score"] is not None}) > 1:
        drawn["scores"] = charts.scores_chart(shown.system_trend, spoken)
    return drawn


def _href(root: str, links: dict[Any, dict[str, str]], kind: str, key: str) -> str | None:
    """The link to a key's page, or None where it has none."""
    name = links.get(kind, {}).get(key)
    return f"{root}{kind}/{quote(name)}" if name else None


def _twins(edition: Edition, code: str, relative: Path, depth: int) -> dict[str, str]:
    """The same page in the other languages."""
    up = "../" * (depth + (code != edition.languages[0]))
    return {
        other: quote(f"{up}{'' if other == edition.languages[0] else f'{other}/'}{relative.as_posix()}", safe="/.")
        for other in edition.languages
        if other != code
    }


def _command(day: date, values: dict[str, str]) -> str:
    """The command that lists the anomalies of a cell, by dimensions or options."""
    return drill_down_command({OPTION_OF.get(name, name): value for name, value in values.items()}, day)


def _cases_command(day: date, page: Page) -> str:
    """The command that lists the cases in which a page's key has open members."""
    return shlex.join(["omgov", "cases", "list", f"--{KINDS[page.kind][1]}", page.key, "--day", day.isoformat()])


def _put_in_place(unfinished: Path, target: Path) -> None:
    """Swap the finished folder with the one that is there; folders cannot replace each other in one step."""
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.replace(old)
    unfinished.replace(target)
    shutil.rmtree(old, ignore_errors=True)
