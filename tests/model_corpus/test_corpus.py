"""The corpus itself is right: its sound models run and give what their contracts ask, each faulty one has its fault.

Everything is judged by DuckDB, the contracts and the loader alone; no check of models takes part, for the corpus is
what such a check is measured by.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from firm_models import Model, create_tables, models_of
from small_data import fill

from omgov_assets.data_lake.lake import Lake
from omgov_assets.model_management.contracts import DataContract
from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.governance import load_governance
from omgov_assets.model_management.processing_models import ProcessingModel, load_processing_model

CORPUS = Path(__file__).parent
FIRM = CORPUS / "firm"
FAULTY = CORPUS / "faulty"

SEVERITY = {
    "critical": """
        header_invalid not_parsable not_one_select outside_access not_deterministic unknown_table unknown_column
        ambiguous_column unknown_function type_mismatch missing_output_column unexpected_output_column
        duplicate_output_column output_type_differs record_not_handed_on not_record_wise grade_lowered unknown_unit
        unit_differs unit_mixed unknown_metric derivation_cycle duplicate_output
    """,
    "warning": """
        retired_metric window_too_short fan_out nullable_output order_not_determined owner_unknown owner_inactive
    """,
    "info": "costly",
}
CODES = {code for codes in SEVERITY.values() for code in codes.split()}

# What DuckDB says of a model with the fault; of every other code it binds and gives the contract's columns.
REFUSED_BY_DUCKDB = {
    "not_parsable": "Parser Error: ",
    "unknown_table": "Catalog Error: Table with name",
    "unknown_column": "Binder Error: .*(column|table)",
    "ambiguous_column": "Binder Error: Ambiguous reference",
    "unknown_function": "Catalog Error: .*Function with name",
    "type_mismatch": "Binder Error: ",
}
OTHER_OUTPUT = {
    "missing_output_column",
    "unexpected_output_column",
    "duplicate_output_column",
    "output_type_differs",
}
# Not judged by binding: there is no model, no single statement, or what is outside is not there.
PARSED_ALONE = {"not_one_select", "outside_access"}
NOT_BOUND = {"header_invalid", *PARSED_ALONE}


@pytest.fixture
def con(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with Lake(tmp_path / "lake", FIRM / "governance" / "standard" / "data_contracts").connect() as connection:
        yield connection


def _output(con: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in con.execute(f"DESCRIBE {sql}").fetchall()]


# --- Sound models --------------------------------------------------------------------------------------------------


FIRM_GOVERNANCE = load_governance(FIRM)
FIRM_MODELS = models_of(FIRM_GOVERNANCE)
METRICS = {metric.metric: metric for metric in FIRM_GOVERNANCE.metrics}


def test_there_are_enough_sound_models() -> None:
    kinds = Counter(model.processing_model.header.kind for model in FIRM_MODELS)
    assert kinds.total() >= 30
    assert kinds["derive"] >= 12


@pytest.mark.parametrize("model", FIRM_MODELS, ids=lambda model: model.name)
def test_a_sound_model_gives_exactly_the_columns_of_its_contract(model: Model, con: duckdb.DuckDBPyConnection) -> None:
    create_tables(con, model)
    output = _output(con, model.processing_model.sql)
    assert dict(output) == model.output
    assert len(output) == len(model.output)


@pytest.mark.parametrize("model", FIRM_MODELS, ids=lambda model: model.name)
def test_a_sound_model_runs_on_data_of_its_contract(model: Model, con: duckdb.DuckDBPyConnection) -> None:
    create_tables(con, model)
    for table, contract in _contracts_of(model).items():
        if re.search(rf"\b{table}\b", model.processing_model.sql):
            fill(con, table, model.inputs[table], contract, [*METRICS])
    con.execute(f"CREATE TABLE output AS {model.processing_model.sql}")
    assert _count(con, "SELECT count(*) FROM output") > 0
    for column in model.required:
        assert _count(con, f'SELECT count(*) FROM output WHERE "{column}" IS NULL') == 0, column
    if model.processing_model.header.kind == "conform":
        assert _count(con, "SELECT count(*) FROM output ANTI JOIN source USING (_batch_id, _record_no)") == 0
        assert _count(con, "SELECT count(*) - count(DISTINCT _record_no) FROM output") == 0


@pytest.mark.parametrize("model", FIRM_MODELS, ids=lambda model: model.name)
def test_the_owner_of_a_sound_model_is_known_and_active(model: Model) -> None:
    assert _yaml("owners.yaml")[model.processing_model.header.owner] is True


@pytest.mark.parametrize("model", FIRM_GOVERNANCE.derived, ids=lambda model: str(model.header.metric))
def test_a_sound_derive_model_keeps_to_the_metric_standard(model: ProcessingModel) -> None:
    derived = {other.header.metric for other in FIRM_GOVERNANCE.derived}
    mapped = {mapping.metric for system in FIRM_GOVERNANCE.systems.values() for mapping in system.mappings}
    assert model.header.metric in METRICS.keys() - mapped
    assert not METRICS[str(model.header.metric)].retired
    for name in set(re.findall(r"'([a-z0-9_.]+)'", model.sql)) & METRICS.keys():
        assert not METRICS[name].retired, name
        assert name in mapped | derived, name
        assert (model.header.window_s or 0) >= 2 * METRICS[name].interval_s, name


def test_no_sound_derive_model_is_costly() -> None:
    rows = _yaml("rows.yaml")
    for model in FIRM_GOVERNANCE.derived:
        scanned = sum(count * len(re.findall(rf"\b{table}\b", model.sql)) for table, count in rows["rows"].items())
        assert scanned < rows["limit"], model.header.metric


# --- Faulty models -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """An entry of `cases.yaml`; see the README."""

    case: str
    code: str
    model: str
    path: str
    line: int
    token: str
    sentence: str
    also: tuple[dict[str, Any], ...] = field(default=(), hash=False)

    @property
    def folder(self) -> Path:
        return FAULTY / self.case


@cache
def _yaml(name: str) -> Any:
    return yaml.safe_load((CORPUS / name).read_text(encoding="utf-8"))


CASES = [Case(**{**entry, "also": tuple(entry.get("also", ()))}) for entry in _yaml("faulty/cases.yaml")]


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Case], Path]:
    """The firm with a case laid over it, made once for each case."""
    folder = tmp_path_factory.mktemp("projects")

    @cache
    def overlaid(case: Case) -> Path:
        project = folder / case.case
        shutil.copytree(FIRM, project)
        shutil.copytree(case.folder, project, dirs_exist_ok=True)
        return project

    return overlaid


@pytest.fixture
def project(case: Case, projects: Callable[[Case], Path]) -> Path:
    return projects(case)


def test_every_code_has_cases() -> None:
    cases = Counter(case.code for case in CASES)
    assert cases.keys() == CODES
    assert min(cases.values()) >= 2
    assert cases.total() >= 60


def test_cases_and_folders_agree() -> None:
    named = [case.case for case in CASES]
    assert sorted(named) == sorted(str(path.relative_to(FAULTY)) for path in FAULTY.glob("*/*"))
    assert len(named) == len(set(named))
    assert all(case.case.startswith(f"{case.code}/") for case in CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.case)
def test_a_case_changes_the_firm_and_points_at_its_token(case: Case, project: Path) -> None:
    changed = [path.relative_to(case.folder) for path in case.folder.rglob("*") if path.is_file()]
    assert changed
    for path in changed:
        before = FIRM / path
        assert not before.is_file() or before.read_bytes() != (case.folder / path).read_bytes(), path
    assert case.sentence
    for place in ({"path": case.path, "line": case.line, "token": case.token}, *case.also):
        lines = (project / place["path"]).read_text(encoding="utf-8").splitlines()
        assert 1 <= place["line"] <= len(lines)
        assert place.get("token", "") in lines[place["line"] - 1]


@pytest.mark.parametrize("case", [c for c in CASES if c.code == "header_invalid"], ids=lambda case: case.case)
def test_an_invalid_header_is_refused_by_the_loader(case: Case, project: Path) -> None:
    with pytest.raises(GovernanceError) as refusal:
        load_governance(project)
    assert refusal.value.path == project / case.path


@pytest.mark.parametrize("case", [c for c in CASES if c.code in PARSED_ALONE], ids=lambda case: case.case)
def test_a_case_is_one_select_unless_that_is_its_fault(case: Case, project: Path) -> None:
    with duckdb.connect() as con:
        statements = con.extract_statements(load_processing_model(project / case.path).sql)
    is_one_select = [statement.type for statement in statements] == [duckdb.StatementType.SELECT]
    assert is_one_select == (case.code == "outside_access")


@pytest.mark.parametrize("case", [c for c in CASES if c.code not in NOT_BOUND], ids=lambda case: case.case)
def test_a_case_has_no_other_fault_that_duckdb_sees(case: Case, project: Path, con: duckdb.DuckDBPyConnection) -> None:
    model = next(model for model in models_of(load_governance(project)) if model.name == case.model)
    create_tables(con, model)
    if case.code in REFUSED_BY_DUCKDB:
        with pytest.raises(duckdb.Error, match=REFUSED_BY_DUCKDB[case.code]):
            _output(con, model.processing_model.sql)
        return
    output = _output(con, model.processing_model.sql)
    if case.code not in OTHER_OUTPUT:
        assert sorted(output) == sorted(model.output.items())
        return
    # Names of columns do not tell capitals from small letters.
    names = Counter(name.lower() for name, _ in output)
    missing, unexpected = model.output.keys() - names.keys(), names.keys() - model.output.keys()
    repeated = {name for name, times in names.items() if times > 1}
    differing = {name for name, kind in output if model.output.get(name.lower(), kind) != kind}
    assert {
        "missing_output_column": len(missing),
        "unexpected_output_column": len(unexpected),
        "duplicate_output_column": len(repeated),
        "output_type_differs": len(differing),
    } == {code: int(code == case.code) for code in sorted(OTHER_OUTPUT)}


@pytest.mark.parametrize("case", [c for c in CASES if c.code != "header_invalid"], ids=lambda case: case.case)
def test_the_rest_of_the_project_stays_sound(case: Case, project: Path) -> None:
    changed = {path.relative_to(case.folder) for path in case.folder.rglob("*.sql")}
    for path in changed:
        load_processing_model(project / path)
    owners = _yaml("owners.yaml")
    owner = load_processing_model(project / case.path).header.owner if case.path.endswith(".sql") else None
    match case.code:
        case "owner_unknown":
            assert owner not in owners
        case "owner_inactive":
            assert owners[owner] is False
        case _:
            assert owner is None or owners[owner] is True


def _contracts_of(model: Model) -> Mapping[str, DataContract]:
    if model.processing_model.header.kind == "derive":
        return {table: FIRM_GOVERNANCE.contracts[table] for table in model.inputs}
    system, _, dataset = model.name.partition("/")
    return {"source": FIRM_GOVERNANCE.systems[system].datasets[dataset].source_contract}


def _count(con: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = con.execute(sql).fetchone()
    assert row is not None
    return int(row[0])
