"""The page of compliance: each clause with its verdict, its source, and whether a person stands for it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from lower_rooms import DAY, RULES, Rooms

from omgov_assets.quality_analysis.anomalies import identify_anomalies
from omgov_assets.quality_analysis.compliance import COMPLIANCE
from omgov_assets.quality_analysis.rankings import rank_anomalies
from omgov_assets.quality_analysis.report import Edition, write_report
from omgov_assets.quality_analysis.scorecards import compute_scorecards
from omgov_assets.quality_analysis.statistics import compute_statistics

ATTACK = "<script>alert('owned')</script>"


def verdict(clause_id: str, subject: str, outcome: str, **changes: Any) -> dict[str, Any]:
    return {
        "clause_id": clause_id,
        "check_name": "records_are_kept",
        "subject": subject,
        "verdict": outcome,
        "title": f"Title of {clause_id}",
        "title_zh": f"{clause_id}的标题",
        "source": "A law, article 7",
        "source_zh": "某法 第7条",
        "source_url": "https://law.example.com/1?a=1&b=2",
        "verified": False,
    } | changes


def report(rooms: Rooms, tmp_path: Path, *rows: dict[str, Any]) -> Path:
    identify_anomalies(rooms.lake, DAY, RULES)
    compute_statistics(rooms.lake, DAY, RULES)
    rank_anomalies(rooms.lake, DAY)
    compute_scorecards(rooms.lake, DAY, RULES)
    if rows:
        rooms.write(COMPLIANCE, DAY, rows)
    return write_report(rooms.lake, DAY, tmp_path / "report", Edition(("en", "zh"))).path.parent


def text_of(path: Path) -> str:
    html = re.sub(r"<style>.*?</style>", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_what_fails_comes_first_with_its_subjects_and_its_source(rooms: Rooms, tmp_path: Path) -> None:
    folder = report(
        rooms,
        tmp_path,
        verdict("a", "audit/access", "passed", verified=True, verified_on=DAY),
        verdict("b", "audit/access", "passed"),
        verdict("b", "admission/ledger", "failed", explanation=ATTACK, observed="2 days"),
        verdict("c", "cmdb/owners", "not_evaluated"),
    )
    html = (folder / "compliance.html").read_text(encoding="utf-8")
    text = text_of(folder / "compliance.html")
    assert re.search(
        r"failed Title of b not verified by a person .* not evaluated Title of c .* passed Title of a", text
    )
    assert "verified on 2026-11-20" in text
    assert "1 passed, 1 failed, 0 not evaluated." in re.sub(r" (?=[,.])", "", text)
    assert "2 clauses were never compared with their sources by a person" in text
    assert 'href="https://law.example.com/1?a=1&amp;b=2"' in html
    assert "admission/ <wbr>ledger".replace(" ", "") in html.replace(" ", "")
    assert "audit/" not in html, "what passed is counted only"
    assert "<script" not in html
    assert "&lt;script&gt;" in html


def test_the_first_page_has_a_line_and_a_link_in_each_language(rooms: Rooms, tmp_path: Path) -> None:
    folder = report(rooms, tmp_path, verdict("a", "audit/access", "failed"), verdict("b", "x/y", "passed"))
    english, chinese = (text_of(folder / name).replace(" ", "") for name in ("index.html", "zh/index.html"))
    assert "2clauseschecked,1failed,0notevaluated,2notverifiedbyaperson." in english
    assert "已核查2条条款，1条未通过，0条未评估，2条未经人工核实。" in chinese
    for page in ("index.html", "zh/index.html"):
        assert 'href="compliance.html"' in (folder / page).read_text(encoding="utf-8")
    page = text_of(folder / "zh" / "compliance.html")
    for words in ("a的标题", "某法 第7条", "未经人工核实", "记录已留存", "未通过"):
        assert words in page
    assert 'href="zh/compliance.html"' in (folder / "compliance.html").read_text(encoding="utf-8")
    assert 'href="../compliance.html"' in (folder / "zh" / "compliance.html").read_text(encoding="utf-8")


def test_a_clause_without_chinese_is_shown_in_english(rooms: Rooms, tmp_path: Path) -> None:
    folder = report(rooms, tmp_path, verdict("a", "x/y", "passed", title_zh=None, source_zh=None))
    page = text_of(folder / "zh" / "compliance.html")
    assert "Title of a" in page
    assert "A law, article 7" in page


def test_a_firm_without_clauses_has_no_such_page(rooms: Rooms, tmp_path: Path) -> None:
    folder = report(rooms, tmp_path)
    assert not (folder / "compliance.html").exists()
    assert "compliance.html" not in (folder / "index.html").read_text(encoding="utf-8")
