"""`omgov mappings`: a metric is proposed, accepted, and mapped from then on; what is in doubt is left to a person."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import Result
from small_firm import DAY, REPOSITORY, SYSTEM, SmallFirm, build_small_firm
from typer.testing import CliRunner

from omgov_assets.cli.mappings import mappings_app
from omgov_assets.data_lake.lake import Lake

DEFINITIONS = [
    ("cpu", "%", None, None),
    ("os_mem_util", "%", None, None),
    ("os_swap_used", "bytes", None, None),
    ("ST0001", "%", "内存使用率", None),
    ("disk_read_or_write", "By/s", None, None),
    ("zzz", None, None, None),
]

Command = Callable[..., Result]


@pytest.fixture
def firm(tmp_path: Path) -> SmallFirm:
    firm = build_small_firm(tmp_path)
    glossary = "governance/standard/glossary.yaml"
    shutil.copy(REPOSITORY / glossary, firm.settings.project / glossary)
    lake = Lake(firm.settings.lake, firm.settings.dataset_contracts)
    table = f"{SYSTEM}/metric_definitions"
    rows = [
        {
            "day": DAY,
            "system": SYSTEM,
            "source_metric": name,
            "source_unit": unit,
            "display_name": title,
            "description": description,
            "_batch_id": "b",
            "_record_no": number,
            "status": "active",
            "unit_status": "ok",
        }
        for number, (name, unit, title, description) in enumerate([*DEFINITIONS, DEFINITIONS[0]])
    ]
    lake.replace(table, DAY, pa.Table.from_pylist(rows, schema=lake.schema(table).arrow))
    return firm


@pytest.fixture
def omgov_mappings(firm: SmallFirm) -> Command:
    def run(*arguments: str) -> Result:
        where = ["--home", str(firm.settings.home), "--project", str(firm.settings.project)]
        return CliRunner().invoke(mappings_app, [*arguments, *where])

    return run


def rules(firm: SmallFirm) -> str:
    return (firm.settings.project / "governance" / "systems" / SYSTEM / "metric_mappings.yaml").read_text()


def rows(result: Result) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def test_the_unmapped_get_suggestions_with_score_and_reason(omgov_mappings: Command) -> None:
    result = omgov_mappings("suggest", SYSTEM, "--top", "1", "--format", "json")
    assert result.exit_code == 0, result.output
    found = {row["source_metric"]: row for row in rows(result)}
    assert set(found) == {name for name, *_ in DEFINITIONS} - {"cpu", "zzz"}
    assert found["os_mem_util"]["metric"] == found["ST0001"]["metric"] == "system.memory.utilization"
    assert found["os_mem_util"]["score"] > 0.9
    assert "memory" in found["os_mem_util"]["reason"]


def test_suggestions_of_one_metric_and_above_a_score(omgov_mappings: Command) -> None:
    of_one = rows(omgov_mappings("suggest", SYSTEM, "--metric", "cpu", "--top", "3", "--format", "json"))
    assert [row["rank"] for row in of_one] == [1, 2, 3]
    good = rows(omgov_mappings("suggest", SYSTEM, "--min-score", "0.9", "--format", "json"))
    assert {row["source_metric"] for row in good} == {"os_mem_util", "os_swap_used"}


def test_an_accepted_suggestion_is_a_rule(omgov_mappings: Command, firm: SmallFirm) -> None:
    before = rules(firm)
    result = omgov_mappings("accept", SYSTEM, "os_mem_util")
    assert result.exit_code == 0, result.output
    assert rules(firm) == before + '  - {match: "os_mem_util", metric: system.memory.utilization}\n'
    left = {row["source_metric"] for row in rows(omgov_mappings("suggest", SYSTEM, "--format", "json"))}
    assert "os_mem_util" not in left


def test_a_person_names_what_no_suggestion_tells(omgov_mappings: Command, firm: SmallFirm) -> None:
    refused = omgov_mappings("accept", SYSTEM, "zzz")
    assert refused.exit_code == 2
    assert "there is no suggestion" in refused.stderr
    assert omgov_mappings("accept", SYSTEM, "zzz", "system.uptime").exit_code == 0
    assert '{match: "zzz", metric: system.uptime}' in rules(firm)


def test_all_good_suggestions_at_once(omgov_mappings: Command, firm: SmallFirm) -> None:
    result = omgov_mappings("accept", SYSTEM, "--all", "--format", "json")
    assert result.exit_code == 0, result.output
    assert rows(result) == [
        {"source_metric": "os_mem_util", "metric": "system.memory.utilization"},
        {"source_metric": "os_swap_used", "metric": "system.paging.usage"},
    ]
    assert omgov_mappings("accept", SYSTEM, "--all").stdout.strip() == "no suggestion scores 0.9"


def test_two_equal_suggestions_are_left_to_a_person(
    omgov_mappings: Command, firm: SmallFirm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("omgov_assets.model_management.mapping_suggestions.PRACTICALLY_EQUAL", 0.5)
    before = rules(firm)
    one = omgov_mappings("accept", SYSTEM, "os_mem_util")
    assert one.exit_code == 2
    assert "fit equally well; name the STANDARD_METRIC" in one.stderr
    every = omgov_mappings("accept", SYSTEM, "--all")
    assert every.exit_code == 2
    assert "not accepted: os_mem_util may be system.memory.utilization" in every.stderr
    assert rules(firm) == before
    assert omgov_mappings("accept", SYSTEM, "os_mem_util", "system.memory.utilization").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("accept", SYSTEM, "cpu", "system.memory.utilization"), 2, "rule 1, 'cpu' → system.cpu.utilization, takes"),
        (("accept", SYSTEM, "nothing"), 2, "not among the 6 metrics"),
        (("accept", SYSTEM, "zzz", "no.such.metric"), 2, "not a standard metric"),
        (("accept", SYSTEM, "os_swap_used", "system.swap.utilization"), 2, "use system.paging.utilization"),
        (("accept", SYSTEM), 1, "name one SOURCE_METRIC, or say --all"),
        (("accept", SYSTEM, "cpu", "--all"), 1, "name one SOURCE_METRIC, or say --all"),
        (("suggest", "no_system"), 1, "no such business system"),
        (("suggest", "cmdb"), 1, "no metric definitions of cmdb yet"),
        (("check", "no_system"), 1, "no such business system"),
    ],
)
def test_what_cannot_be_done_says_why(
    omgov_mappings: Command, firm: SmallFirm, arguments: tuple[str, ...], code: int, words: str
) -> None:
    before = rules(firm)
    result = omgov_mappings(*arguments)
    assert result.exit_code == code, result.output
    assert words in result.stderr
    assert rules(firm) == before


def test_the_check_finds_what_is_wrong(omgov_mappings: Command, firm: SmallFirm) -> None:
    clean = omgov_mappings("check", "--format", "json")
    assert clean.exit_code == 0, clean.output
    assert [(row["system"], row["kind"], row["metrics"]) for row in rows(clean)] == [(SYSTEM, "unmapped", 5)]
    path = firm.settings.project / "governance" / "systems" / SYSTEM / "metric_mappings.yaml"
    path.write_text(
        path.read_text() + "  - {match: 'os_*', metric: system.cpu.utilization}\n"
        "  - {match: '*_util', metric: system.memory.utilization}\n"
        "  - {match: os_swap_used, metric: system.paging.usage}\n"
        "  - {match: prepared, metric: system.uptime}\n"
        "  - {regex: '(?P<all>ST.*)', metric: '{all}'}\n",
        encoding="utf-8",
    )
    broken = omgov_mappings("check", SYSTEM, "--format", "json")
    assert broken.exit_code == 2
    assert [(row["kind"], row["rule"], row["other_rule"], row["example"]) for row in rows(broken)] == [
        ("ambiguous", 2, 3, "os_mem_util"),
        ("refused", 6, None, "ST0001"),
        ("shadowed", 3, 2, ""),
        ("shadowed", 4, 2, ""),
        ("unused", 5, None, ""),
        ("overlap", 2, 4, "os_swap_used"),
        ("unmapped", None, None, "disk_read_or_write"),
    ]


def test_a_rule_that_matches_nothing_so_far_is_no_failure(omgov_mappings: Command, firm: SmallFirm) -> None:
    path = firm.settings.project / "governance" / "systems" / SYSTEM / "metric_mappings.yaml"
    path.write_text(path.read_text() + "  - {match: prepared, metric: system.uptime}\n")
    result = omgov_mappings("check", "--format", "json")
    assert result.exit_code == 0
    assert {row["kind"] for row in rows(result)} == {"unused", "unmapped"}
