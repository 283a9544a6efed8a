"""The morning page shows what the tables hold, escapes what they hold, and needs nothing but itself."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from lower_rooms import DAY, NEXT_DAY, RULES, Rooms, Row, instance, violation

from omgov_assets.quality_analysis.anomalies import identify_anomalies
from omgov_assets.quality_analysis.rankings import NotRankedError, rank_anomalies
from omgov_assets.quality_analysis.report import Edition, read_morning, write_report
from omgov_assets.quality_analysis.scorecards import compute_scorecards
from omgov_assets.quality_analysis.statistics import compute_statistics
from omgov_assets.quality_policy.violations import CHECK_RESULTS, NOT_DELIVERED, VIOLATIONS

ATTACK = "<script>alert('owned')</script>"


class Page(HTMLParser):
    """Tags with their attributes, and the text as a person reads it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._words: list[str] = []
        self._hidden = False
        self.feed(path.read_text(encoding="utf-8"))
        words = re.sub(r"\s+", " ", " ".join(self._words))
        # Figures and names are elements of their own: what follows them stands close.
        self.text = re.sub(r" (?=[,.:])", "", words)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._hidden = tag == "style"

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self._words.append(data)


def batch(system: str, dataset: str, decision: str, **fields: object) -> Row:
    row = {
        "system": system,
        "dataset": dataset,
        "decision": decision,
        "batch_id": "b",
        "quarantine_reasons": "{}",
    }
    return row | {"file_name": f"{system}/{dataset}/day/{dataset}.csv"} | fields


def check(policy_id: str, verdict: str, **fields: object) -> Row:
    row = {"system": "securities", "dataset": "metric_instances", "policy_id": policy_id, "verdict": verdict}
    return row | {"quality_dimension": "accuracy", "severity": "warning", "failed": 0} | fields


def govern_bad_day(rooms: Rooms) -> None:
    rooms.write_cmdb(DAY)
    rooms.write("securities/metric_instances", DAY, [instance(f"i{n}", ci_id="HOST-1") for n in range(1000)])
    missing = violation("metric_samples", "not_delivered", policy_id=NOT_DELIVERED, dataset="metric_samples")
    missing |= {
        "subject_kind": "dataset",
        "ci_id": None,
        "metric": None,
        "collector": None,
        "severity": "critical",
    }
    rooms.write(VIOLATIONS, DAY, [missing, *[violation(f"i{n}", observed="secret-value") for n in range(37)]])
    rooms.write(
        "admission/ledger",
        DAY,
        [
            batch(
                "securities",
                "metric_instances",
                "partial",
                rows_in=1005,
                rows_admitted=1000,
                rows_quarantined=5,
                quarantine_reasons=json.dumps({"required_missing:ci_id": 5}),
            ),
            batch("cmdb", "owners", "refused", rows_in=3, reason=f"owners.csv, column name: {ATTACK}"),
            batch("cmdb", "ci_relations", "admitted", rows_in=9, rows_admitted=9),
        ],
    )
    rooms.write(
        CHECK_RESULTS,
        DAY,
        [
            check("p1", "failed", failed=37, severity="critical"),
            check("p2", "error", quality_dimension="coverage", reason="the policy broke"),
            check("p3", "not_evaluated", quality_dimension="timeliness", reason="nothing was delivered"),
            check("p4", "passed", quality_dimension="uniqueness"),
        ],
    )
    analyse(rooms)


def analyse(rooms: Rooms) -> None:
    identify_anomalies(rooms.lake, DAY, RULES)
    compute_statistics(rooms.lake, DAY, RULES)
    rank_anomalies(rooms.lake, DAY)
    compute_scorecards(rooms.lake, DAY, RULES)


def test_the_page_answers_what_where_since_when_and_whose(rooms: Rooms, tmp_path: Path) -> None:
    govern_bad_day(rooms)
    path = write_report(rooms.lake, DAY, tmp_path / "report").path
    assert path == tmp_path / "report" / "2026-11-20" / "index.html"
    text = Page(path).text
    for sentence in (
        "3.7 % of 1,000 metric instances are anomalous.",
        "1 dataset not delivered, 1 batch refused, 1 batch admitted in part.",
        "2 policies gave no verdict: the figures below say nothing about what they judge.",
        "5 required_missing:ci_id",
        "the policy broke",
    ):
        assert sentence in text, sentence
    # The finding: its place, owner and group.
    assert re.search(r"flat line flat_line securities metric_instances 37 .* 王伟 100\.0 % 主机组", text)
    for heading in ("support groups", "owners", "applications", "hosts", "collectors", "severities"):
        assert heading in text


def test_every_quality_dimension_has_its_verdict(rooms: Rooms) -> None:
    govern_bad_day(rooms)
    row = read_morning(rooms.lake, DAY).checks[0]
    verdicts = [cell and cell["verdict"] for cell in row["cells"]]
    assert verdicts == ["failed", None, None, None, "error", "not_evaluated", "passed"]
    assert row["cells"][0]["failed_severity"] == "critical"


def test_what_the_tables_hold_is_escaped_and_the_page_runs_nothing(rooms: Rooms, tmp_path: Path) -> None:
    govern_bad_day(rooms)
    page = Page(write_report(rooms.lake, DAY, tmp_path).path)
    assert ATTACK in page.text, "the attack is shown as text"
    names = {name for name, _ in page.tags}
    assert not names & {"script", "iframe", "object", "embed", "form", "link", "img"}
    policy = next(a["content"] for name, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    for name, attributes in page.tags:
        assert not [key for key in attributes if key.startswith("on")]
        assert name != "a" or not re.match(r"[a-z]+:|//", attributes["href"] or "")


def test_names_are_shown_but_no_address_and_no_value_of_a_record(rooms: Rooms, tmp_path: Path) -> None:
    govern_bad_day(rooms)
    html = write_report(rooms.lake, DAY, tmp_path).path.read_text(encoding="utf-8")
    assert "王伟" in html
    for private in ("13800000001", "wang@example.com", "secret-value"):
        assert private not in html


def test_the_same_lake_gives_the_same_report(rooms: Rooms, tmp_path: Path) -> None:
    govern_bad_day(rooms)
    edition = Edition(("en", "zh"))
    first, second = (write_report(rooms.lake, DAY, tmp_path / name, edition) for name in ("a", "b"))
    stale = tmp_path / "a" / "2026-11-20" / "owner" / "stale.html"
    stale.write_text("of an earlier run")
    assert write_report(rooms.lake, DAY, tmp_path / "a", edition).pages == first.pages
    assert not stale.exists()
    contents = [
        {path.relative_to(one.path.parent): path.read_bytes() for path in one.path.parent.rglob("*.html")}
        for one in (first, second)
    ]
    assert contents[0] == contents[1]
    assert len(contents[0]) == first.pages
    assert sum(map(len, contents[0].values())) == first.bytes
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["2026-11-20"], "nothing unfinished is left"


def test_every_link_leads_to_a_page_and_each_page_to_its_twin(rooms: Rooms, tmp_path: Path) -> None:
    govern_bad_day(rooms)
    written = write_report(rooms.lake, DAY, tmp_path, Edition(("zh", "en")))
    pages = sorted(written.path.parent.rglob("*.html"))
    assert {path.parent.name for path in pages} >= {"2026-11-20", "en", "owner", "site", "system", "support_group"}
    for path in pages:
        page = Page(path)
        links = [str(a["href"]) for name, a in page.tags if name == "a"]
        for link in links:
            target, _, fragment = link.partition("#")
            there = (path.parent / unquote(target)).resolve() if target else path
            assert there.is_file(), (path, link)
            if fragment:
                assert fragment in {a.get("id") for _, a in Page(there).tags}
        twins = [str(a["href"]) for name, a in page.tags if name == "a" and "hreflang" in a]
        assert len(twins) == 1
        tags = {
            next(a["lang"] for name, a in Page(one).tags if name == "html")
            for one in (path, path.parent / unquote(twins[0]))
        }
        assert tags == {"en", "zh-Hans"}


def test_a_clean_day_says_so(rooms: Rooms, tmp_path: Path) -> None:
    rooms.write("securities/metric_instances", DAY, [instance("i1")])
    analyse(rooms)
    text = Page(write_report(rooms.lake, DAY, tmp_path).path).text
    assert "No anomaly was found." in text
    assert "the day before was not governed" in text


def test_a_day_never_analysed_has_no_page(rooms: Rooms, tmp_path: Path) -> None:
    govern_bad_day(rooms)
    with pytest.raises(NotRankedError, match="2026-11-21 is not analysed"):
        write_report(rooms.lake, NEXT_DAY, tmp_path)
    assert not (tmp_path / "2026-11-21").exists()
