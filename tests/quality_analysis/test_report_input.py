"""The report stays right and calm whatever a night or a name is like, in every language, on every screen."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from contrast import colours_beside, contrast, palettes
from lower_rooms import DAY, NEXT_DAY, RULES, Rooms, instance, violation

from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.wording import Wording, load_wording
from omgov_assets.quality_analysis import report
from omgov_assets.quality_analysis.anomalies import identify_anomalies
from omgov_assets.quality_analysis.rankings import rank_anomalies
from omgov_assets.quality_analysis.report import Edition, read_morning, write_report
from omgov_assets.quality_analysis.report.languages import CHART_WORDS, MODEL_FAULT, NOUNS, TERMS, breakable, language
from omgov_assets.quality_analysis.report.pages import MOST_PAGES, file_name
from omgov_assets.quality_analysis.scorecards import compute_scorecards
from omgov_assets.quality_analysis.statistics import compute_statistics
from omgov_assets.quality_policy.violations import VIOLATIONS

BOTH = Edition(("en", "zh"))
PACKAGE = Path(report.__file__).parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def govern(rooms: Rooms, day: object = DAY) -> None:
    identify_anomalies(rooms.lake, day, RULES)  # type: ignore[arg-type]
    compute_statistics(rooms.lake, day, RULES)  # type: ignore[arg-type]
    rank_anomalies(rooms.lake, day)  # type: ignore[arg-type]
    compute_scorecards(rooms.lake, day, RULES)  # type: ignore[arg-type]


def text_of(path: Path) -> str:
    html = re.sub(r"<style>.*?</style>", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


# --- nights ----------------------------------------------------------------------------------------------------------


def test_an_empty_night_is_a_calm_page(rooms: Rooms, tmp_path: Path) -> None:
    govern(rooms)
    written = write_report(rooms.lake, DAY, tmp_path, BOTH)
    assert written.pages == 2
    text = text_of(written.path)
    for sentence in (
        "No anomaly was found.",
        "no score",
        "The ledger holds no delivery of this day.",
        "No policy was run",
    ):
        assert sentence in text
    assert "未发现异常。" in text_of(written.path.parent / "zh" / "index.html")


def test_a_night_with_one_anomaly_speaks_of_one(rooms: Rooms, tmp_path: Path) -> None:
    rooms.write_cmdb(DAY)
    rooms.write("securities/metric_instances", DAY, [instance(f"i{n}") for n in range(3)])
    rooms.write(VIOLATIONS, DAY, [violation("i1")])
    govern(rooms)
    written = write_report(rooms.lake, DAY, tmp_path, BOTH)
    # The system, its site, its group and its owner have a page, in two languages.
    assert written.pages == 2 * 5
    assert "33.3 % of 3 metric instances are anomalous." in re.sub(r" (?=[.])", "", text_of(written.path))


def test_a_night_on_which_everything_is_anomalous(rooms: Rooms, tmp_path: Path) -> None:
    rooms.write_cmdb(DAY)
    rooms.write("securities/metric_instances", DAY, [instance(f"i{n}") for n in range(200)])
    rooms.write(VIOLATIONS, DAY, [violation(f"i{n}", severity="critical") for n in range(200)])
    govern(rooms)
    text = text_of(write_report(rooms.lake, DAY, tmp_path, BOTH).path)
    assert "100.0 % of 200 metric instances are anomalous." in re.sub(r" (?=[.])", "", text)


def test_a_dimension_with_a_hundred_thousand_members(rooms: Rooms, tmp_path: Path) -> None:
    size = 100_000
    rooms.write_cmdb(DAY)
    people = [{"owner_id": f"P-{n}", "name": f"某人{n}"} for n in range(size)]
    rooms.write("cmdb/owners", DAY, people)
    items = [{"ci_id": f"C-{n}", "ci_class": "host", "name": f"c{n}", "owner_id": f"P-{n}"} for n in range(size)]
    rooms.write("cmdb/configuration_items", DAY, items)
    rooms.write("securities/metric_instances", DAY, [instance(f"i{n}", ci_id=f"C-{n}") for n in range(size)])
    rooms.write(VIOLATIONS, DAY, [violation(f"i{n}", ci_id=f"C-{n}") for n in range(size)])
    began = time.perf_counter()
    govern(rooms)
    written = write_report(rooms.lake, DAY, tmp_path)
    # A generous bound: what grows with the square of the members would take hours.
    assert time.perf_counter() - began < 120
    assert len(list((written.path.parent / "owner").iterdir())) == MOST_PAGES
    text = text_of(written.path)
    assert "10 of 100,000." in re.sub(r" (?=[.])", "", text)
    assert f"Of {size} owners the first {MOST_PAGES} have a page." in text


def test_days_written_before_a_column_came_are_calm(rooms: Rooms, tmp_path: Path) -> None:
    rooms.write("quality/anomaly_statistics", DAY, [{"dimension_set": "all", "instances": 10, "anomalies": 1}])
    written = write_report(rooms.lake, DAY, tmp_path, BOTH)
    assert "No scorecards of this day." in text_of(written.path)


def test_fewer_anomalies_are_no_improvement_where_part_was_not_judged(rooms: Rooms, tmp_path: Path) -> None:
    rooms.write_cmdb(DAY)
    rooms.write_cmdb(NEXT_DAY)
    policy = {"system": "securities", "dataset": "metric_instances", "policy_id": "metric_instances.flat_line"}
    policy |= {"quality_dimension": "accuracy"}
    rooms.write("securities/metric_instances", DAY, [instance(f"i{n}") for n in range(50)])
    rooms.write(VIOLATIONS, DAY, [violation(f"i{n}") for n in range(20)])
    rooms.write("quality/check_results", DAY, [policy | {"verdict": "failed"}])
    rooms.write("quality/check_results", NEXT_DAY, [policy | {"verdict": "not_evaluated", "reason": "no delivery"}])
    govern(rooms)
    govern(rooms, NEXT_DAY)
    morning = read_morning(rooms.lake, NEXT_DAY)
    assert (morning.better, morning.risen, morning.is_judged_whole) == ({}, {}, False)
    text = text_of(write_report(rooms.lake, NEXT_DAY, tmp_path).path)
    assert "Nothing: nowhere was more resolved than came anew." in text
    assert "not judged again 20" in re.sub(r" +", " ", text)
    assert "no data" in text


# --- names -----------------------------------------------------------------------------------------------------------

NAMES = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "../../etc/passwd",
    "a/b\\c",
    "..",
    ".",
    "con",
    "NUL",
    "行情 采集器\n第二行",
    "\u202egnirts desrever",
    "x" * 1000,
    "%2e%2e%2f",
    "名" * 300,
    "{{ 7 * 7 }}",
    "'; DROP TABLE anomalies; --",
    " ",
]


def test_names_of_any_kind_are_shown_as_they_are_and_stay_in_their_folder(rooms: Rooms, tmp_path: Path) -> None:
    rooms.write_cmdb(DAY)
    items = [
        {
            "ci_id": f"C{n}",
            "ci_class": "host",
            "name": name,
            "owner_id": name,
            "support_group_id": name,
            "site_id": name,
        }
        for n, name in enumerate(NAMES)
    ]
    rooms.write("cmdb/configuration_items", DAY, items)
    rooms.write("securities/metric_instances", DAY, [instance(name, ci_id=f"C{n}") for n, name in enumerate(NAMES)])
    evil = NAMES[0]
    rooms.write(
        VIOLATIONS,
        DAY,
        [
            violation(name, evil, ci_id=f"C{n}", collector=name, metric=name, severity="critical")
            for n, name in enumerate(NAMES)
        ],
    )
    govern(rooms)
    out = tmp_path / "report"
    written = write_report(rooms.lake, DAY, out, BOTH)
    assert {path.name for path in tmp_path.iterdir()} >= {"report"}
    assert [path.name for path in out.iterdir()] == [DAY.isoformat()]
    folder = written.path.parent
    for kind in ("owner", "support_group", "site"):
        assert {path.name for path in (folder / kind).iterdir()} == {file_name(name) for name in NAMES} | (
            {file_name("SITE-1")} & {path.name for path in (folder / kind).iterdir()}
        )
    for path in folder.rglob("*.html"):
        html = path.read_text(encoding="utf-8")
        assert not re.search(r"<script|<img", html)
        assert path.resolve().is_relative_to(folder.resolve())


def test_a_name_that_is_a_template_is_a_name(rooms: Rooms, tmp_path: Path) -> None:
    rooms.write_cmdb(DAY)
    rooms.write(
        "cmdb/configuration_items", DAY, [{"ci_id": "C", "ci_class": "host", "name": "c", "owner_id": "{{ 7 * 7 }}"}]
    )
    rooms.write(VIOLATIONS, DAY, [violation("i", ci_id="C")])
    govern(rooms)
    written = write_report(rooms.lake, DAY, tmp_path)
    page = next((written.path.parent / "owner").iterdir())
    assert "<h1>{{ 7 * 7 }}</h1>" in page.read_text(encoding="utf-8")


def test_file_names_are_told_apart_and_fit_every_file_system() -> None:
    names = [file_name(name) for name in NAMES]
    assert len(set(names)) == len(NAMES)
    for name in names:
        assert re.fullmatch(r"[A-Za-z0-9_~%-]+\.html", name)
        assert len(name) <= 110
    assert file_name("OWN-0001") == "OWN-0001.html"


def test_names_break_behind_their_separators() -> None:
    assert str(breakable("system.cpu_time-x/y")) == "system.<wbr>cpu_<wbr>time-<wbr>x/<wbr>y"
    assert str(breakable("<b>.x")) == "&lt;b&gt;.<wbr>x"


# --- words -----------------------------------------------------------------------------------------------------------


def test_every_message_is_translated_and_every_translation_is_used() -> None:
    options = {"newstyle_gettext": "true", "silent": "false", "trim_blocks": "true", "lstrip_blocks": "true"}
    found = extract_from_dir(PACKAGE / "templates", [("**.j2", "jinja2")], {"**.j2": options})
    used = {message if isinstance(message, str) else message[0] for _, _, message, _, _ in found}
    used |= {word for pair in NOUNS.values() for word in pair} | set(TERMS.values()) | {MODEL_FAULT, *CHART_WORDS}
    assert len(used) > 150
    with (PACKAGE / "locale" / "zh_CN" / "LC_MESSAGES" / "report.po").open("rb") as file:
        catalogue = {
            message.id if isinstance(message.id, str) else message.id[0]: message
            for message in read_po(file, abort_invalid=True)
            if message.id
        }
    assert used - set(catalogue) == set()
    assert set(catalogue) - used == set()
    for name, message in catalogue.items():
        texts = [message.string] if isinstance(message.string, str) else list(message.string)
        assert all(texts), name
        for text in texts:
            assert set(re.findall(r"%\(\w+\)s", text)) == set(re.findall(r"%\(\w+\)s", name)), name
            assert re.search(r"[\u4e00-\u9fff，。：]", text) or name in ("CMDB",), name


def test_every_anomaly_type_of_the_firm_has_a_title_in_both_languages(project_root: Path) -> None:
    suites = [json.loads(path.read_text(encoding="utf-8")) for path in (project_root / "expectations").rglob("*.json")]
    types = {expectation["meta"]["anomaly_type"] for suite in suites for expectation in suite["expectations"]}
    wording = load_wording(project_root)
    assert types - set(wording.anomaly_types) == set()
    assert {name for name, titles in wording.anomaly_types.items() if set(titles) != {"en", "zh"}} == set()
    assert wording.title("never_heard_of", "zh") == "never heard of"


def test_faulty_wording_names_file_and_key(tmp_path: Path) -> None:
    (tmp_path / "governance").mkdir()
    (tmp_path / "governance" / "wording.yaml").write_text("anomaly_types: {a: b}", encoding="utf-8")
    with pytest.raises(GovernanceError, match=r"wording\.yaml.*anomaly_types"):
        load_wording(tmp_path)
    assert load_wording(tmp_path / "elsewhere") == Wording()


def test_a_message_without_translation_is_shown_as_it_is() -> None:
    assert language("zh").text("never heard of") == "never heard of"
    assert language("en").counted("one", "many", 2) == "many"


# --- looks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_by_wcag_aa(scheme: str) -> None:
    style = (PACKAGE / "style.css").read_text(encoding="utf-8")
    named = palettes(style)[scheme]
    assert set(named) == set(palettes(style)["light"])
    pairs = [(ink, ground) for ink in ("ink", "soft", "link", "bad", "good", "none") for ground in ("paper", "wash")]
    pairs += [(kind, f"{kind}-wash") for kind in ("bad", "warn", "good", "none", "info", "error")]
    pairs += [("ink", ground) for ground in ("warn-wash", "bad-wash", "good-wash", "info-wash", "target")]
    pairs += [("quiet", f"{kind}-wash") for kind in ("bad", "warn", "good", "info")]
    pairs += [("soft", "target"), *((ink, f"s{n}") for n in range(1, 7) for ink in ("ink", "quiet"))]
    for ink, ground in pairs:
        assert contrast(named[ink], named[ground]) >= 4.5, (ink, ground)
    # Charts are drawn for white, whatever is around them.
    assert set(colours_beside(style)) == {"#fff"}
    from omgov_assets.quality_analysis.report import charts

    for colour in (charts.STANDING, charts.NEW, charts.RESOLVED, *charts._LINES):
        assert contrast(colour, "#ffffff") >= 3, colour


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed to look at the page with")
def test_nothing_is_wider_than_a_phone(rooms: Rooms, tmp_path: Path) -> None:
    rooms.write_cmdb(DAY)
    rooms.write("securities/metric_instances", DAY, [instance(f"i{n}") for n in range(30)])
    rooms.write(
        VIOLATIONS, DAY, [violation(f"i{n}", collector="collector-with-a-very-long-name" * 4) for n in range(9)]
    )
    govern(rooms)
    written = write_report(rooms.lake, DAY, tmp_path, BOTH)
    measure = (
        "<script>addEventListener('load',()=>{document.title='width='+document.documentElement.scrollWidth})</script>"
    )
    for path in (written.path, next((written.path.parent / "zh" / "owner").iterdir())):
        # Measured by a script in a copy: the page itself runs none.
        html = re.sub(r"<meta http-equiv=[^>]+>", "", path.read_text(encoding="utf-8")).replace(
            "</body>", measure + "</body>"
        )
        copy = tmp_path / "copy.html"
        frame = tmp_path / "frame.html"
        copy.write_text(html, encoding="utf-8")
        # Headless windows have a least width: a frame can be as narrow as a phone.
        frame.write_text(
            "<iframe id=f src=copy.html style='width:390px;height:800px;border:0'></iframe><script>"
            "document.getElementById('f').onload=e=>{document.title="
            "'width='+e.target.contentDocument.documentElement.scrollWidth}</script>",
            encoding="utf-8",
        )
        done = subprocess.run(
            [
                str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files",
                f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=8000", "--dump-dom", frame.as_uri(),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )  # fmt: skip
        width = re.search(r"width=(\d+)", done.stdout)
        assert width is not None
        assert int(width.group(1)) <= 390
