"""The checks of processing models, put together: each model by itself, and all of them with each other.

Does not belong here: any single check.
"""

from __future__ import annotations

import atexit
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from threading import Lock

from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.governance import Governance, load_governance
from omgov_assets.model_management.model_check.binding import Binder, Bound, named_by_alias
from omgov_assets.model_management.model_check.cost import Reading, cost_faults, rows_scanned
from omgov_assets.model_management.model_check.derivations import cycle_faults, duplicate_faults, ordered
from omgov_assets.model_management.model_check.facts import Relation
from omgov_assets.model_management.model_check.faults import Fault, finding_of, header_place
from omgov_assets.model_management.model_check.inputs import METRIC_TABLES, SOURCE, input_tables, output_columns
from omgov_assets.model_management.model_check.metric_references import reference_faults
from omgov_assets.model_management.model_check.outputs import (
    declared_unit_faults,
    shape_faults,
    value_faults,
)
from omgov_assets.model_management.model_check.places import Place
from omgov_assets.model_management.model_check.record_wise import record_faults, row_faults
from omgov_assets.model_management.model_check.report import ModelReport, ModelSummary
from omgov_assets.model_management.model_check.scopes import Scopes
from omgov_assets.model_management.model_check.structure import Structure, read_structure
from omgov_assets.model_management.model_check.study import NamedMetric, Study
from omgov_assets.model_management.model_findings import ModelFinding
from omgov_assets.model_management.processing_models import DERIVED, ProcessingModel, header_lines

# One connection for all checks of a process, hence one check at a time.
_one_at_a_time = Lock()
_LINE = re.compile(r"line (\d+)(?:, column (\d+))?")


@dataclass(frozen=True)
class _Checked:
    """A model after it was looked at by itself."""

    model: ProcessingModel
    name: str
    columns: tuple[tuple[str, str], ...]
    reading: Reading
    named: tuple[NamedMetric, ...]
    faults: tuple[Fault, ...]

    @property
    def reads(self) -> frozenset[str]:
        """Metrics whose rows the model reads."""
        return frozenset(reference.metric for reference in self.named if reference.is_read)


def check_models(
    governance: Governance,
    *,
    only: Collection[str] | None = None,
    owners: Mapping[str, bool] | None = None,
    rows: Mapping[str, int] | None = None,
    rows_limit: int = 1_000_000_000,
) -> ModelReport:
    """Check processing models without running them.

    Args:
        governance: all control information; the models are among it.
        only: names of the models to report on, such as ``securities_trading/metric_samples`` or a derived metric.
        owners: e-mail of each owner and support group of the CMDB, and whether it is active; None = not judged.
        rows: rows of a day by dataset, those of a system's source by ``<system>/<dataset>``; None = not judged.
        rows_limit: how many rows a model may scan.

    Returns:
        One summary for each model, and the findings sorted by path, line, column and code.
    """
    models = _models(governance)
    wanted = {name: model for name, model in models.items() if only is None or name in only}
    # Cycles go through models that nobody asked for, too.
    looked_at = {
        name: model
        for name, model in models.items()
        if name in wanted or (model.header.kind == "derive" and any(one in wanted for one in _derived(governance)))
    }
    with _one_at_a_time:
        checked = {name: _checked(governance, name, model) for name, model in looked_at.items()}
    reads = {name: one.reads for name, one in checked.items() if one.model.header.kind == "derive"}
    summaries, findings = [], []
    for name in wanted:
        one = checked[name]
        counts = _rows_of(one, rows or {})
        path = _relative(one.model.path, governance.project)
        faults = [
            *one.faults,
            *_owner_faults(one.model, owners),
            *(_derivation_faults(one, governance, reads) if one.model.header.kind == "derive" else ()),
            *cost_faults(one.reading, counts, rows_limit),
        ]
        findings += [finding_of(fault, one.model, name, path) for fault in dict.fromkeys(faults)]
        summaries.append(_summary(one, path, rows_scanned(one.reading.scans, counts)))
    return ModelReport(tuple(summaries), _sorted(findings))


def check_project(
    project: Path,
    *,
    only: Collection[str] | None = None,
    owners: Mapping[str, bool] | None = None,
    rows: Mapping[str, int] | None = None,
    rows_limit: int = 1_000_000_000,
) -> ModelReport:
    """As ``check_models`` on a project's folder; a model that cannot be read is a finding, and all others are checked.

    Raises:
        GovernanceError: a fault in any other file of ``governance/``.
    """
    faulty: list[GovernanceError] = []
    governance = load_governance(project, faulty)
    unread = {_name_of(error.path): error for error in faulty}
    names = [name for name in model_names(governance) if name not in unread and (only is None or name in only)]
    report = check_models(governance, only=names, owners=owners, rows=rows, rows_limit=rows_limit)
    invalid = [_header_finding(error, name, project) for name, error in unread.items() if only is None or name in only]
    return ModelReport(report.models, _sorted([*report.findings, *invalid]))


def model_names(governance: Governance) -> tuple[str, ...]:
    """Names of all models: ``<system>/<dataset>``, and the metrics of derive models."""
    return tuple(_models(governance))


def derive_order(governance: Governance) -> tuple[ProcessingModel, ...]:
    """The derive models so that each comes after those whose metrics it reads.

    Models that read each other in a circle, which a check says of them, come in the order of their names.
    """
    models = _derived(governance)
    with _one_at_a_time:
        reads = {name: _checked(governance, name, model).reads for name, model in models.items()}
    return tuple(models[name] for name in ordered(reads))


def _models(governance: Governance) -> dict[str, ProcessingModel]:
    conform = {
        f"{system.name}/{dataset.name}": dataset.model
        for system in governance.systems.values()
        for dataset in system.datasets.values()
    }
    return conform | _derived(governance)


def _derived(governance: Governance) -> dict[str, ProcessingModel]:
    return {model.path.stem: model for model in governance.derived}


@cache
def _binder() -> Binder:
    binder = Binder()
    # DuckDB's bindings complain of connections that outlive the interpreter.
    atexit.register(_binder.cache_clear)
    return binder


def _checked(governance: Governance, name: str, model: ProcessingModel) -> _Checked:
    """Look at one model by itself."""
    if model.header.kind == "derive" and model.header.dataset not in METRIC_TABLES:
        problem = f"a derive model gives rows of {' or '.join(METRIC_TABLES)}, not of {model.header.dataset}"
        fault = Fault("header_invalid", header_place(model, "dataset"), problem, f"say {METRIC_TABLES[1]}")
        return _Checked(model, name, (), Reading(), (), (fault,))
    required = {column.name for column in output_columns(governance, model) if column.required}
    if strangers := [column for column in model.header.quarantine_without if column not in required]:
        problem = f"quarantine_without names {', '.join(strangers)}, which the output contract does not require"
        fault = Fault(
            "header_invalid", header_place(model, "quarantine_without"), problem, "name required columns alone"
        )
        return _Checked(model, name, (), Reading(), (), (fault,))
    binder = _binder()
    structure = read_structure(model, binder)
    select = structure.text.place(structure.text.first_outer_word("SELECT", "FROM") or 0)
    if structure.faults:
        return _Checked(model, name, (), Reading(), (), structure.faults)
    bound = binder.bind(structure.text, input_tables(governance, model))
    if bound.fault is not None and structure.tree is not None and bound.fault.code == "unknown_table":
        bound = replace(bound, fault=named_by_alias(bound.fault, structure.tree, structure.text))
    if bound.fault is not None:
        return _Checked(model, name, (), Reading(), (), (bound.fault,))
    study, relation = _analysed(governance, model, structure, binder)
    faults = list(_faults(governance, model, structure, bound, study, relation, select))
    reading = Reading()
    if study is not None:
        reading = Reading(tuple(study.scans.values()), tuple(study.crossings), structure.text.place(0))
    named = tuple(study.named_metrics) if study is not None else ()
    return _Checked(model, name, bound.columns, reading, named, tuple(faults))


def _analysed(
    governance: Governance, model: ProcessingModel, structure: Structure, binder: Binder
) -> tuple[Study | None, Relation | None]:
    if structure.tree is None:
        return None, None
    header = model.header
    study = Study(
        text=structure.text,
        tables={table.name.lower(): table for table in input_tables(governance, model)},
        standard={metric.metric: metric for metric in governance.metrics},
        aggregates=binder.aggregates,
        seconds=frozenset(seconds for seconds in (header.interval_s, header.window_s) if seconds),
        record_wise=header.kind == "conform",
    )
    try:
        return study, Scopes(study).read(structure.tree)
    except RecursionError:
        return None, None


def _faults(
    governance: Governance,
    model: ProcessingModel,
    structure: Structure,
    bound: Bound,
    study: Study | None,
    relation: Relation | None,
    select: Place,
) -> Iterator[Fault]:
    """What is wrong with a model that DuckDB binds."""
    expected = output_columns(governance, model)
    if study is None or relation is None or structure.tree is None or not _agrees(relation, bound):
        yield from shape_faults(bound.columns, expected, {}, select)
        problem = "the SQL is valid, but keys, units, grades and nulls could not be followed through it"
        yield Fault("not_analysed", select, problem, "write it with plainer SQL if they are to be checked")
        return
    places: dict[str, Place] = {}
    for name, _, node in relation.branches[0].columns if relation.branches else ():
        places[name.lower()] = study.text.place_of(node)
    yield from shape_faults(bound.columns, expected, places, select)
    yield from declared_unit_faults(study, model, expected)
    found = [*study.faults, *value_faults(study, model, expected, relation)]
    if study.record_wise:
        rows = row_faults(study, relation)
        if rows:
            # They follow from rows that are not those of source.
            silent = {"order_not_determined", "nullable_output"}
            yield from (*rows, *(fault for fault in found if fault.code not in silent))
            return
        records = record_faults(study, relation)
        yield from records
        lines = {fault.place[0] for fault in records}
        found = [fault for fault in found if fault.code != "order_not_determined" or fault.place[0] not in lines]
    yield from found


def _agrees(relation: Relation, bound: Bound) -> bool:
    """Whether the analysis has seen the columns that DuckDB sees; else it has misunderstood something."""
    if not relation.complete:
        return bool(relation.branches)
    return len(relation.branches[0].columns if relation.branches else relation.columns) == len(bound.columns)


def _owner_faults(model: ProcessingModel, owners: Mapping[str, bool] | None) -> Iterator[Fault]:
    if owners is None:
        return
    owner, place = model.header.owner, header_place(model, "owner")
    known = {email.lower(): active for email, active in owners.items()}
    if owner.lower() not in known:
        problem = f"{owner} is not an owner or support group of the CMDB"
        yield Fault("owner_unknown", place, problem, "name a person or group that answers for the model")
    elif not known[owner.lower()]:
        yield Fault("owner_inactive", place, f"{owner} no longer works for the firm", "name who answers for it now")


def _derivation_faults(one: _Checked, governance: Governance, reads: Mapping[str, Collection[str]]) -> Iterator[Fault]:
    if any(fault.code == "header_invalid" for fault in one.faults):
        return
    standard = {metric.metric: metric for metric in governance.metrics}
    intervals = {model.path.stem: model.header.interval_s or 0 for model in governance.derived}
    yield from reference_faults(one.model, list(one.named), standard, intervals)
    yield from cycle_faults(one.name, one.named, reads)
    yield from duplicate_faults(one.model, governance)


def _rows_of(one: _Checked, rows: Mapping[str, int]) -> Mapping[str, int]:
    """Rows by table as the model calls it: its source is one dataset of one system."""
    return {SOURCE: rows[one.name]} if one.name in rows and one.model.header.kind == "conform" else rows


def _summary(one: _Checked, path: str, scanned: int | None) -> ModelSummary:
    header = one.model.header
    return ModelSummary(
        name=one.name,
        kind=header.kind,
        path=path,
        version=header.version,
        owner=header.owner,
        inputs=tuple(sorted(set(one.reading.scans))),
        metrics=tuple(sorted(one.reads)),
        columns=one.columns,
        rows_scanned=scanned,
    )


def _header_finding(error: GovernanceError, name: str, project: Path) -> ModelFinding:
    text = error.path.read_text(encoding="utf-8", errors="replace") if error.path.is_file() else ""
    lines = header_lines(text)
    at = _LINE.search(error.key)
    line = int(at[1]) if at else lines.get(error.key.removeprefix("header."), 1)
    column = int(at[2] or 1) if at else 1
    owner = text.split("\n")[lines["owner"] - 1].partition(":")[2].strip().strip("'\"") if "owner" in lines else ""
    problem = f"{error.key}: {error.problem}" if error.key and not at else error.problem
    return ModelFinding(
        path=_relative(error.path, project),
        line=line,
        column=column,
        code="header_invalid",
        severity="critical",
        problem=" ".join(problem.split()),
        remedy=error.remedy,
        model=name,
        owner=owner,
    )


def _name_of(path: Path) -> str:
    return path.stem if path.parent.name == DERIVED else f"{path.parent.name}/{path.stem}"


def _relative(path: Path, project: Path) -> str:
    return path.relative_to(project).as_posix() if path.is_relative_to(project) else path.as_posix()


def _sorted(findings: list[ModelFinding]) -> tuple[ModelFinding, ...]:
    return tuple(sorted(findings, key=lambda one: (one.path, one.line, one.column, one.code, one.problem)))
