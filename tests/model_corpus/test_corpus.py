"""The corpus itself is right: its sound models run and give what their contracts ask, its faulty ones are what they say.

Everything is judged by DuckDB, the contracts and the loader alone; no check of models takes part, for the corpus is what
such a check is measured by.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from omgov_assets.data_lake.lake import Lake
from omgov_assets.model_management.contracts import DataContract
from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.governance import Governance, load_governance
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
NOT_BOUND = {"header_invalid", "not_one_select", "outside_access"}

TIMESTAMPTZ = "TIMESTAMP WITH TIME ZONE"
NORMALISED = {
    "metric_samples": {
        "system": "VARCHAR",
        "instance_id": "VARCHAR",
        "metric": "VARCHAR",
        "ci_id": "VARCHAR",
        "attributes": "MAP(VARCHAR, VARCHAR)",
        "observed_at": TIMESTAMPTZ,
        "value": "DOUBLE",
    },
    "metric_instances": {
        "system": "VARCHAR",
        "instance_id": "VARCHAR",
        "metric": "VARCHAR",
        "ci_id": "VARCHAR",
        "attributes": "MAP(VARCHAR, VARCHAR)",
        "interval_s": "BIGINT",
        "sample_count": "BIGINT",
        "value_min": "DOUBLE",
        "value_max": "DOUBLE",
        "value_mean": "DOUBLE",
    },
}
DERIVED_COLUMNS = {
    "metric_samples": ("ci_id", "attributes", "observed_at", "value"),
    "metric_instances": ("ci_id", "attributes", "sample_count", "value_min", "value_max", "value_mean"),
}
MAY_BE_NULL = {"sample_count", "value_min", "value_max"}
HANDED_ON = {"_batch_id": "VARCHAR", "_record_no": "BIGINT"}


@dataclass(frozen=True)
class Model:
    """A model, the tables that it reads, and the columns that it must give.

    Attributes:
        name: `<system>/<dataset>` or the metric.
        processing_model: header and SQL.
        inputs: columns and their types by table.
        output: columns and their types.
        required: columns of the output that must not be null.
    """

    name: str
    processing_model: ProcessingModel
    inputs: Mapping[str, Mapping[str, str]]
    output: Mapping[str, str]
    required: tuple[str, ...]


def _models(governance: Governance) -> list[Model]:
    conform = [
        Model(
            name=f"{system.name}/{dataset.name}",
            processing_model=dataset.model,
            inputs={"source": {c.name: _type(c.sql_type) for c in dataset.source_contract.columns} | HANDED_ON},
            output={c.name: _type(c.sql_type) for c in dataset.standard_contract.conform_columns} | HANDED_ON,
            required=(*(c.name for c in dataset.standard_contract.conform_columns if c.required), *HANDED_ON),
        )
        for system in governance.systems.values()
        for dataset in system.datasets.values()
    ]
    tables = _derive_tables(governance)
    derived = []
    for model in governance.derived:
        columns = DERIVED_COLUMNS[model.header.dataset]
        types = NORMALISED[model.header.dataset]
        derived.append(
            Model(
                name=str(model.header.metric),
                processing_model=model,
                inputs=tables,
                output={column: types[column] for column in columns},
                required=tuple(column for column in columns if column not in MAY_BE_NULL),
            )
        )
    return conform + derived


def _derive_tables(governance: Governance) -> dict[str, dict[str, str]]:
    """What a derive model may read: every standard dataset that a system delivers."""
    delivered = {dataset for system in governance.systems.values() for dataset in system.datasets}
    return {
        name: NORMALISED.get(name) or {c.name: _type(c.sql_type) for c in contract.columns if c.name not in HANDED_ON}
        for name, contract in governance.contracts.items()
        if name in delivered
    }


def _type(sql_type: str) -> str:
    return TIMESTAMPTZ if sql_type == "TIMESTAMPTZ" else sql_type


@pytest.fixture
def con(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with Lake(tmp_path / "lake", FIRM / "governance" / "standard" / "data_contracts").connect() as connection:
        yield connection


def _create_tables(con: duckdb.DuckDBPyConnection, model: Model) -> None:
    for table, columns in model.inputs.items():
        listed = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
        con.execute(f"CREATE TABLE {table} ({listed})")


def _output(con: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in con.execute(f"DESCRIBE {sql}").fetchall()]


# --- Sound models --------------------------------------------------------------------------------------------------


FIRM_GOVERNANCE = load_governance(FIRM)
FIRM_MODELS = _models(FIRM_GOVERNANCE)
METRICS = {metric.metric: metric for metric in FIRM_GOVERNANCE.metrics}


def test_there_are_enough_sound_models() -> None:
    kinds = Counter(model.processing_model.header.kind for model in FIRM_MODELS)
    assert kinds.total() >= 30
    assert kinds["derive"] >= 12


@pytest.mark.parametrize("model", FIRM_MODELS, ids=lambda model: model.name)
def test_a_sound_model_gives_exactly_the_columns_of_its_contract(model: Model, con: duckdb.DuckDBPyConnection) -> None:
    _create_tables(con, model)
    output = _output(con, model.processing_model.sql)
    assert dict(output) == model.output
    assert len(output) == len(model.output)


@pytest.mark.parametrize("model", FIRM_MODELS, ids=lambda model: model.name)
def test_a_sound_model_runs_on_data_of_its_contract(model: Model, con: duckdb.DuckDBPyConnection) -> None:
    _create_tables(con, model)
    for table, contract in _contracts_of(model).items():
        if re.search(rf"\b{table}\b", model.processing_model.sql):
            _fill(con, table, model.inputs[table], contract)
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


@pytest.mark.parametrize("case", [c for c in CASES if c.code not in NOT_BOUND], ids=lambda case: case.case)
def test_a_case_has_no_other_fault_that_duckdb_sees(case: Case, project: Path, con: duckdb.DuckDBPyConnection) -> None:
    model = next(model for model in _models(load_governance(project)) if model.name == case.model)
    _create_tables(con, model)
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


# --- Small data ----------------------------------------------------------------------------------------------------

BEGIN = datetime(2026, 11, 3, 1, 30, tzinfo=UTC)
# Forty points of each standard metric on two applications, the day's profile of each, and nine CIs.
MADE_ROWS = {
    "metric_samples": """
        SELECT
            'market_data' AS system,
            metric || '@' || ci_id AS instance_id,
            metric,
            ci_id,
            MAP {'device': 'sda'} AS attributes,
            TIMESTAMPTZ '2026-11-03 01:30:00+00' + to_seconds(30 * point) AS observed_at,
            60.0 + point AS value
        FROM unnest($metrics) AS m(metric), (VALUES ('APP-0001'), ('APP-0002')) AS c(ci_id), range(40) AS p(point)
    """,
    "metric_instances": """
        SELECT
            'market_data' AS system,
            metric || '@' || ci_id AS instance_id,
            metric,
            ci_id,
            MAP {'device': 'sda'} AS attributes,
            60 AS interval_s,
            1440 AS sample_count,
            1.0 AS value_min,
            90.0 AS value_max,
            40.0 AS value_mean
        FROM unnest($metrics) AS m(metric), (VALUES ('APP-0001'), ('APP-0002')) AS c(ci_id)
    """,
    "configuration_items": """
        SELECT
            DATE '2026-11-03' AS day,
            'cmdb' AS system,
            prefix || '-000' || number AS ci_id,
            ci_class,
            ci_id AS name,
            'in_use' AS status,
            number AS tier
        FROM
            (VALUES ('APP', 'application'), ('HOST', 'host'), ('DB', 'database')) AS c(prefix, ci_class),
            range(1, 4) AS n(number)
        WHERE len($metrics) > 0
    """,
}
DEFAULTS: dict[str, tuple[Any, ...]] = {
    "VARCHAR": ("a", "b"),
    "BIGINT": (1, 2, 3),
    "DOUBLE": (1.5, 2.5),
    "BOOLEAN": (True, False),
    "DATE": (date(2026, 11, 3),),
    "TIMESTAMP": (datetime(2026, 11, 3, 9, 30), datetime(2026, 11, 3, 9, 31)),  # noqa: DTZ001 - it has no zone
    TIMESTAMPTZ: (BEGIN, BEGIN + timedelta(minutes=1)),
    # DuckDB reads maps from text; a dict would be a struct.
    "MAP(VARCHAR, VARCHAR)": ("{device=sda, direction=RX}", "{}"),
}


def _fill(con: duckdb.DuckDBPyConnection, table: str, columns: Mapping[str, str], contract: DataContract) -> None:
    """Rows by the examples of the contract; where it gives none for the day's data of metrics and CIs, made ones."""
    if table in MADE_ROWS:
        con.execute(f"INSERT INTO {table} BY NAME {MADE_ROWS[table]}", {"metrics": [*METRICS]})
        return
    rows = _rows_by_examples(contract, columns)
    if table == "source":
        rows = [{**row, "_batch_id": "batch", "_record_no": number} for number, row in enumerate(rows, 1)]
    placeholders = ", ".join(f"?::{kind}" for kind in columns.values())
    con.executemany(f"INSERT INTO {table} VALUES ({placeholders})", [[row.get(c) for c in columns] for row in rows])


def _contracts_of(model: Model) -> Mapping[str, DataContract]:
    if model.processing_model.header.kind == "derive":
        return {table: FIRM_GOVERNANCE.contracts[table] for table in model.inputs}
    system, _, dataset = model.name.partition("/")
    return {"source": FIRM_GOVERNANCE.systems[system].datasets[dataset].source_contract}


def _rows_by_examples(contract: DataContract, columns: Mapping[str, str]) -> list[dict[str, Any]]:
    document = yaml.safe_load(contract.path.read_text(encoding="utf-8"))
    examples = {column["name"]: column.get("examples") for column in document["schema"][0]["properties"]}
    keys = [column.name for column in contract.columns if column.key]
    count = 12
    rows: dict[Any, dict[str, Any]] = {}
    for number in range(count):
        row: dict[str, Any] = {}
        for column in contract.columns:
            if number < count - 1 or column.required:
                values = examples[column.name] or DEFAULTS[columns.get(column.name, "VARCHAR")]
                row[column.name] = values[number % len(values)]
        rows.setdefault(tuple(row[key] for key in keys) or number, row)
    return list(rows.values())


def _count(con: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = con.execute(sql).fetchone()
    assert row is not None
    return int(row[0])
