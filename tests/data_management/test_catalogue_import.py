"""A catalogue comes into the lake through the gate: exactly once, under a system of its own, with a report."""

from __future__ import annotations

import csv
import json
import shutil
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
import typer
from lake_content import rows_of
from typer.testing import CliRunner

from omgov_assets.cli.catalogues import catalogue_app, import_catalogue
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings
from omgov_assets.data_management.catalogues import importing
from omgov_assets.data_management.catalogues.formats import CatalogueFormat
from omgov_assets.data_management.catalogues.importing import ImportResult, count_findings
from omgov_assets.data_management.catalogues.scaffolding import RefusedImportError
from omgov_assets.data_management.collection import collect_system
from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.governance import Governance, load_governance

DAY = date(2026, 11, 20)
HEADER = "metric_name,metric_type,interval,unit_name,per_unit_name,description,orientation,integration,short_name\n"
SOUND = "a.b,gauge,10,byte,second,What a.b is,0,a,short\n"
DROP = "'; DROP TABLE metric_definitions; --"


class Firm:
    """A project and a home of its own, and imports into them."""

    def __init__(self, folder: Path, project_root: Path) -> None:
        self.settings = Settings(home=folder / "home", project=folder / "project")
        shutil.copytree(project_root / "governance", self.settings.project / "governance")
        self.lake = Lake(self.settings.lake, self.settings.dataset_contracts)
        self.folder = folder

    @property
    def governance(self) -> Governance:
        return load_governance(self.settings.project)

    def catalogue(self, rows: str) -> Path:
        path = self.folder / "metadata.csv"
        path.write_text(HEADER + rows, encoding="utf-8")
        return path

    def take(self, path: Path, system: str = "datadog", day: date = DAY, **more: str) -> ImportResult:
        return importing.import_catalogue(
            self.settings, self.lake, self.governance, path, CatalogueFormat.DATADOG, system, day, **more
        )

    def rows(self, columns: str, system: str = "datadog") -> list[tuple]:
        return rows_of(self.settings.lake, f"{system}/metric_definitions", columns)


@pytest.fixture
def firm(tmp_path: Path, project_root: Path) -> Firm:
    return Firm(tmp_path, project_root)


def test_a_catalogue_becomes_the_definitions_of_a_system(firm: Firm) -> None:
    result = firm.take(firm.catalogue(SOUND + "c.d,count,,,,,0,a,\n"))
    assert result.definitions == 2
    assert result.batch is not None
    assert (result.batch["decision"], result.batch["rows_in"], result.batch["rows_admitted"]) == ("admitted", 2, 2)
    columns = "day, system, source_metric, display_name, source_unit, unit, unit_status, instrument, interval_s, status"
    assert firm.rows(columns) == [
        (DAY, "datadog", "a.b", "short", "byte/second", "By/s", "ok", "gauge", 10, "active"),
        (DAY, "datadog", "c.d", None, None, None, "missing", "counter", None, "active"),
    ]


def test_the_parquet_file_has_exactly_the_columns_that_a_model_produces(firm: Firm) -> None:
    firm.take(firm.catalogue(SOUND))
    path = firm.settings.landing / "datadog" / "metric_definitions" / "2026-11-20" / "datadog.parquet"
    contract = firm.governance.contracts["metric_definitions"]
    assert pq.read_schema(path).names == [column.name for column in contract.conform_columns]


def test_a_catalogue_imported_twice_is_there_once_and_its_file_has_the_same_bytes(firm: Firm) -> None:
    path = firm.catalogue(SOUND)
    first = firm.take(path)
    landed = firm.settings.landing / "datadog" / "metric_definitions" / "2026-11-20" / "datadog.parquet"
    content = landed.read_bytes()
    second = firm.take(path)
    assert landed.read_bytes() == content
    assert first.batch == second.batch
    assert firm.rows("source_metric") == [("a.b",)]
    assert second.scaffolded is None


def test_another_catalogue_of_the_day_replaces_the_first(firm: Firm) -> None:
    firm.take(firm.catalogue(SOUND))
    firm.take(firm.catalogue("x.y,gauge,10,byte,,What x.y is,0,a,short\n"))
    assert firm.rows("source_metric") == [("x.y",)]


def test_a_catalogue_that_did_not_change_is_the_next_day_s_delivery_as_well(firm: Firm) -> None:
    path = firm.catalogue(SOUND)
    firm.take(path)
    result = firm.take(path, day=date(2026, 11, 21))
    assert result.clean
    assert firm.rows("day") == [(DAY,), (date(2026, 11, 21),)]


def test_duplicates_are_admitted_for_the_policy_of_uniqueness_to_judge(firm: Firm) -> None:
    result = firm.take(firm.catalogue(SOUND + SOUND.replace("byte", "message")))
    assert firm.rows("source_metric, source_unit") == [("a.b", "byte/second"), ("a.b", "message/second")]
    assert {"name_duplicate", "unit_conflict"} <= {finding.kind for finding in result.findings}
    assert result.clean


def test_the_report_names_kind_file_and_line_of_all_that_is_wrong(firm: Firm) -> None:
    result = firm.take(
        firm.catalogue(SOUND + "c.d,gauge\n" + "\x1b[1m,gauge,10,byte,,text,0,a,x\n" + ",gauge,,,,,0,,\n")
    )
    assert result.report == firm.settings.home / "report" / "catalogues" / "datadog-2026-11-20.csv"
    with result.report.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["kind"], row["file"], row["line"], row["refused"]) for row in rows] == [
        ("malformed_record", "metadata.csv", "3", "true"),
        ("name_invalid", "metadata.csv", "4", "true"),
        ("name_missing", "metadata.csv", "5", "true"),
    ]
    assert rows[1]["source_metric"] == "\\x1b[1m"
    assert not result.clean


def test_counts_by_kind_come_with_one_example_of_each(firm: Firm) -> None:
    result = firm.take(firm.catalogue(SOUND + "c.d,gauge\nc.e,gauge\n"))
    assert count_findings(result.findings) == [
        {
            "kind": "malformed_record",
            "findings": 2,
            "refused": 2,
            "example_file": "metadata.csv",
            "example_line": 3,
            "example_metric": "c.d",
            "example": "2 fields where the header has 9",
        }
    ]


def test_a_counter_in_a_rate_a_share_or_a_temperature_contradicts_itself(firm: Firm) -> None:
    units = ["byte,second", "percent,", "degree celsius,", "hertz,"]
    rows = "".join(f"a.{n},count,10,{unit},text,0,a,short\n" for n, unit in enumerate(units))
    result = firm.take(firm.catalogue(rows + "b,count,10,byte,,text,0,a,short\nc,gauge,10,percent,,text,0,a,short\n"))
    against = [finding.source_metric for finding in result.findings if finding.kind == "type_against_unit"]
    assert against == ["a.0", "a.1", "a.2", "a.3"]


def test_nothing_that_a_catalogue_says_is_executed(firm: Firm) -> None:
    name = f"a.{DROP}"
    firm.take(firm.catalogue(f'"{name}",gauge,10,"{DROP}",,"{DROP}",0,a,"{DROP}"\n'))
    assert firm.rows("source_metric, display_name, description, source_unit, unit_status") == [
        (name, DROP, DROP, DROP, "unknown")
    ]


def test_a_description_with_a_zero_character_comes_through(firm: Firm) -> None:
    firm.take(firm.catalogue("a.b,gauge,10,byte,,one\x00two,0,a,short\n"))
    assert firm.rows("description") == [("one\x00two",)]


def test_a_catalogue_without_one_sound_definition_imports_nothing_and_makes_no_system(firm: Firm) -> None:
    result = firm.take(firm.catalogue("c.d,gauge\n"))
    assert result.batch is None
    assert not result.clean
    assert result.report.is_file()
    assert not (firm.settings.governance / "systems" / "datadog").exists()


# --- the system's folder ---------------------------------------------------------------------------------------------


def test_a_new_system_gets_a_folder_that_the_firm_can_edit(firm: Firm) -> None:
    result = firm.take(firm.catalogue(SOUND), owner="platform@example.com", title="平台 (platform)")
    folder = firm.settings.governance / "systems" / "datadog"
    assert result.scaffolded == folder
    assert sorted(path.name for path in folder.iterdir()) == [
        "defs.yaml",
        "metric_definitions.odcs.yaml",
        "metric_definitions.sql",
        "metric_mappings.yaml",
    ]
    system = firm.governance.systems["datadog"]
    assert (system.owner, system.title) == ("platform@example.com", "平台 (platform)")
    assert system.datasets["metric_definitions"].transport.format == "parquet"
    assert not [path for path in firm.settings.governance.iterdir() if path.name.startswith(".")]


def test_what_the_firm_changed_in_the_folder_is_left_as_it_is(firm: Firm) -> None:
    firm.take(firm.catalogue(SOUND))
    path = firm.settings.governance / "systems" / "datadog" / "defs.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "# ours\n", encoding="utf-8")
    firm.take(firm.catalogue(SOUND), owner="else@example.com")
    assert path.read_text(encoding="utf-8").endswith("# ours\n")
    assert "else@example.com" not in path.read_text(encoding="utf-8")


def test_a_system_that_delivers_in_its_own_way_is_left_alone(firm: Firm) -> None:
    with pytest.raises(RefusedImportError, match=r"delivers metric_definitions in its own way \(csv\); import under"):
        firm.take(firm.catalogue(SOUND), system="securities_trading")
    with pytest.raises(
        RefusedImportError, match=r"delivers metric_definitions in its own way \(parquet\); import under"
    ):
        firm.take(firm.catalogue(SOUND), system="investment_banking")
    with pytest.raises(RefusedImportError, match="cmdb delivers no metric_definitions"):
        firm.take(firm.catalogue(SOUND), system="cmdb")
    assert not (firm.settings.landing).exists()


@pytest.mark.parametrize("name", ["../x", "Datadog", "", "a b", "1a", "x" * 64, "a\n"])
def test_a_name_that_no_system_can_have_is_refused(firm: Firm, name: str) -> None:
    with pytest.raises(RefusedImportError, match="no name for a business system"):
        firm.take(firm.catalogue(SOUND), system=name)


def test_a_folder_that_is_no_system_is_not_written_into(firm: Firm) -> None:
    (firm.settings.governance / "systems" / "datadog").mkdir()
    with pytest.raises(RefusedImportError, match=r"has no defs\.yaml"):
        firm.take(firm.catalogue(SOUND))


def test_governance_that_cannot_be_loaded_again_is_left_as_it_was(firm: Firm) -> None:
    governance = firm.governance
    (firm.settings.governance / "firm.yaml").write_text("nonsense", encoding="utf-8")
    with pytest.raises(GovernanceError):
        importing.import_catalogue(
            firm.settings, firm.lake, governance, firm.catalogue(SOUND), CatalogueFormat.DATADOG, "datadog", DAY
        )
    assert not (firm.settings.governance / "systems" / "datadog").exists()


def test_a_system_whose_contract_has_left_the_standards_columns_is_told_so(firm: Firm) -> None:
    firm.take(firm.catalogue(SOUND))
    contract = firm.settings.governance / "systems" / "datadog" / "metric_definitions.odcs.yaml"
    contract.write_text(contract.read_text(encoding="utf-8").replace("name: source_unit", "name: their_unit"))
    with pytest.raises(RefusedImportError, match=r"differs from the standard contract in source_unit, their_unit"):
        firm.take(firm.catalogue(SOUND))


def test_the_last_import_stands_for_the_days_after_it(firm: Firm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMGOV_HOME", str(firm.settings.home))
    firm.take(firm.catalogue(SOUND))
    governance = firm.governance
    for later in (1, 2):
        day = DAY + timedelta(days=later)
        collected = collect_system(firm.settings, firm.lake, governance, governance.systems["datadog"], day)
        assert [entry["decision"] for entry in collected["metric_definitions"]] == ["admitted"]
    assert [day for day, _ in firm.rows("day, source_metric")] == [DAY + timedelta(days=n) for n in range(3)]


# --- the command line ------------------------------------------------------------------------------------------------


@pytest.fixture
def run(firm: Firm):
    app = typer.Typer()
    app.command("import-catalogue")(import_catalogue)
    app.add_typer(catalogue_app, name="catalogue")

    def invoke(*arguments: str):
        home = ("--home", str(firm.settings.home)) if arguments[0] == "import-catalogue" else ()
        return CliRunner().invoke(app, [*arguments, *home, "--project", str(firm.settings.project)])

    return invoke


def test_the_command_ends_with_0_where_nothing_was_refused_and_with_2_where_something_was(firm: Firm, run) -> None:
    sound = str(firm.catalogue(SOUND))
    arguments = ("--format", "datadog", "--system", "datadog", "--day", "2026-11-20")
    result = run("import-catalogue", sound, *arguments)
    assert result.exit_code == 0, result.output
    assert "1 of 1 definitions admitted" in result.stderr
    assert "nothing is wrong" in result.stdout
    result = run("import-catalogue", str(firm.catalogue(SOUND + "c.d,gauge\n")), *arguments, "--output", "json")
    assert result.exit_code == 2
    assert [(row["kind"], row["refused"]) for row in json.loads(result.stdout)] == [("malformed_record", 1)]


def test_the_command_ends_with_1_and_a_sentence_where_it_cannot_work(firm: Firm, run) -> None:
    sound = str(firm.catalogue(SOUND))
    for path, system, day, sentence in (
        ("/nowhere", "datadog", "2026-11-20", "no such file or folder"),
        (sound, "cmdb", "2026-11-20", "delivers no metric_definitions"),
        (sound, "datadog", "tomorrow", "is not a day"),
        (sound, "datadog", "1999-01-01", "the firm's first day is"),
    ):
        result = run("import-catalogue", path, "--format", "datadog", "--system", system, "--day", day)
        assert result.exit_code == 1
        assert sentence in result.stderr


def test_the_difference_of_two_catalogues_is_printed_for_people_and_for_machines(firm: Firm, run) -> None:
    before = firm.catalogue(SOUND).rename(firm.folder / "before.csv")
    after = firm.catalogue(SOUND.replace("byte", "message") + "c.d,gauge,,,,,0,a,\n")
    result = run("catalogue", "diff", str(before), str(after), "--format", "datadog")
    assert result.exit_code == 0, result.output
    assert "Added, 1 of 1" in result.stdout
    result = run("catalogue", "diff", str(before), str(after), "--format", "datadog", "--output", "json")
    assert [(row["change"], row["source_metric"]) for row in json.loads(result.stdout)] == [
        ("added", "c.d"),
        ("unit_changed", "a.b"),
    ]
    result = run("catalogue", "diff", str(before), str(after))
    assert result.exit_code == 1
    assert "give the tool's --format" in result.stderr


# --- real catalogues -------------------------------------------------------------------------------------------------


def test_the_real_datadog_catalogue_comes_into_the_lake_whole(firm: Firm, real_data: Path) -> None:
    result = firm.take(real_data / "datadog" / "datadog_core_2025-09-16.tar.xz")
    assert result.clean
    assert result.definitions == 14_165
    with duckdb.connect() as con:
        rows = con.execute(
            "SELECT count(*), count(DISTINCT source_metric) FROM read_parquet(?)",
            [str(firm.settings.lake / "datadog" / "metric_definitions" / "**" / "*.parquet")],
        ).fetchall()
    assert rows == [(14_165, 14_148)]
