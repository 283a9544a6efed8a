"""Derived metrics of a day: runs the models of kind ``derive`` and keeps what they give beside what systems deliver.

A metric is derived whole or not at all: where its model or an input is at fault, its rows of the day are taken away and
a violation says why. Does not belong here: what stands in the way (``derivation_obstacles``), what a model is given
(``derivation_inputs``), running it (``derivation_run``).
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Literal

import duckdb
import pyarrow as pa

from omgov_assets.admission.ledger import ledger_entries
from omgov_assets.admission.model_fitness import static_findings
from omgov_assets.data_lake.lake import Lake, one_row
from omgov_assets.data_lake.sql import OneOf
from omgov_assets.data_lake.syntax import NotOneSelectError
from omgov_assets.data_management.derivation_inputs import load_inputs
from omgov_assets.data_management.derivation_obstacles import obstacle_in_inputs, obstacle_in_model, obstacle_upstream
from omgov_assets.data_management.derivation_reads import METRIC_TABLES, ModelReads, reads_of
from omgov_assets.data_management.derivation_run import DerivationError, out_of_range, rows_of, run_model
from omgov_assets.model_management.business_day import day_bounds
from omgov_assets.model_management.documents import content_hash
from omgov_assets.model_management.governance import Governance
from omgov_assets.model_management.model_check import derive_order
from omgov_assets.model_management.model_findings import ModelFinding
from omgov_assets.model_management.processing_models import DERIVED_SYSTEM, ProcessingModel
from omgov_assets.quality_policy.violations import (
    DERIVATION_BLOCKED,
    DERIVED_OUT_OF_RANGE,
    VIOLATIONS,
    replace_violations,
)


@dataclass(frozen=True)
class DerivationResult:
    """What became of a derived metric of a day.

    Attributes:
        metric: metric of the standard.
        dataset: dataset that its model gives rows of.
        decision: ``derived``, or ``blocked`` with the reason.
        rows: rows of ``derived/<dataset>``.
        instances: rows of ``derived/metric_instances``.
        reason: what blocks it, where, and what to do.
        points_left_out: number of input points that could not be taken, by reason.
        version: Delta version that last changed the day of ``derived/<dataset>``; None where it was never written.
        model_version: version that the model's header declares.
        model_hash: hash of the model.
        input_versions: Delta version by table that was read.
        seconds: how long it took.
    """

    metric: str
    dataset: str
    decision: Literal["derived", "blocked"]
    rows: int
    instances: int
    reason: str | None
    points_left_out: Mapping[str, int]
    version: int | None
    model_version: str
    model_hash: str
    input_versions: Mapping[str, int | None]
    seconds: float


@dataclass
class _Day:
    """What the derivation of a day knows and has found so far."""

    lake: Lake
    governance: Governance
    day: date
    con: duckdb.DuckDBPyConnection
    findings: tuple[ModelFinding, ...]
    ledger: list[dict[str, Any]]
    derived: dict[str, int]
    blocked: list[tuple[ProcessingModel, str]] = field(default_factory=list)
    out_of_range: list[pa.Table] = field(default_factory=list)


def derive_metrics(
    lake: Lake, governance: Governance, day: date, metrics: Collection[str] | None = None
) -> list[DerivationResult]:
    """Derive metrics of a day, each after those that it reads.

    A run again with the same models and inputs commits nothing.

    Args:
        lake: the lake.
        governance: control information.
        day: business day.
        metrics: metrics to derive; by default all, and what metrics without a model left behind is taken away.

    Returns:
        One result for each metric, in the order in which they were derived.

    Raises:
        ValueError: a metric that no model derives.
    """
    order = derivation_order(governance)
    chosen = [model for model in order if metrics is None or model.header.metric in metrics]
    strangers = set(metrics or ()) - {_metric(model) for model in order}
    if strangers:
        raise ValueError(f"no model derives {', '.join(sorted(strangers))}: see governance/derived_metrics")
    with lake.connect() as con:
        work = _Day(
            lake=lake,
            governance=governance,
            day=day,
            con=con,
            # What the gate has asked already is not asked again.
            findings=static_findings(governance),
            ledger=ledger_entries(con, lake, day),
            derived={_metric(model): lake.transaction(*_transaction(model, day)) or 0 for model in order},
        )
        results = []
        for position, model in enumerate(order):
            if model in chosen:
                results.append(_derive(work, model, {_metric(earlier) for earlier in order[:position]}))
        if metrics is None:
            _take_away_others(work, {_metric(model) for model in order})
        _write_violations(work, {_metric(model) for model in chosen})
        # Each metric's rows were written to the same two tables.
        written = {
            dataset: _day_version(work, f"{DERIVED_SYSTEM}/{dataset}")
            for dataset in METRIC_TABLES
            if dataset in governance.contracts
        }
    return [replace(result, version=written.get(result.dataset)) for result in results]


def derivation_order(governance: Governance) -> list[ProcessingModel]:
    """All derive models, each after those whose metrics it reads; those of a circle stand last."""
    ordered = list(derive_order(governance))
    return ordered + [model for model in governance.derived if model not in ordered]


def model_reads(governance: Governance, model: ProcessingModel) -> ModelReads:
    """What a derive model reads. Raises ``NotOneSelectError``."""
    metrics = {metric.metric for metric in governance.metrics} - {_metric(model)}
    return reads_of(model.sql, governance.contracts, metrics)


def _derive(work: _Day, model: ProcessingModel, earlier: set[str]) -> DerivationResult:
    """Derive one metric, or take its rows away and note why."""
    started = time.perf_counter()
    left_out: Mapping[str, int] = {}
    versions: Mapping[str, int | None] = {}
    reason = obstacle_in_model(work.governance, model, work.findings)
    written = (0, 0)
    if reason is None:
        try:
            reads = model_reads(work.governance, model)
            upstream = {metric: work.derived[metric] for metric in sorted(reads.metrics & earlier)}
            reason = obstacle_upstream(upstream, work.derived) or obstacle_in_inputs(
                work.lake, work.governance, model, reads, upstream, work.ledger, work.day
            )
            if reason is None:
                written, left_out, versions = _run(work, model, reads, upstream)
        except NotOneSelectError as error:
            reason = f"{model.path.name} cannot be run: {error}; its owner {model.header.owner} corrects it"
        except DerivationError as error:
            reason = str(error)
    if reason is not None:
        work.derived[_metric(model)] = 0
        work.blocked.append((model, reason))
        _take_away(work, _metric(model))
    return DerivationResult(
        metric=_metric(model),
        dataset=model.header.dataset,
        decision="derived" if reason is None else "blocked",
        rows=written[0],
        instances=written[1],
        reason=reason,
        points_left_out=left_out,
        version=None,
        model_version=model.header.version,
        model_hash=model.content_hash,
        input_versions=versions,
        seconds=time.perf_counter() - started,
    )


def _run(
    work: _Day, model: ProcessingModel, reads: ModelReads, upstream: Mapping[str, int]
) -> tuple[tuple[int, int], Mapping[str, int], Mapping[str, int | None]]:
    """Run a model and write its rows: rows and series, points left out, versions read. Raises ``DerivationError``."""
    governance, day, metric = work.governance, work.day, _metric(model)
    standard = next(one for one in governance.metrics if one.metric == metric)
    with work.lake.connect() as con:
        inputs = load_inputs(con, work.lake, governance, day, reads, upstream)
        digest = content_hash(
            model.content_hash,
            json.dumps([inputs.versions, upstream], sort_keys=True),
            inputs.conversions,
            standard.unit,
            governance.firm.timezone,
        )
        batch_id, fingerprint = digest[:16], int(digest[:15], 16)
        run_model(con, governance, model, day_bounds(day, governance.firm.zone))
        relations = {
            dataset: rows_of(con, work.lake, model, standard.unit, dataset, day, batch_id)
            for dataset in METRIC_TABLES
            if dataset in governance.contracts and dataset in {model.header.dataset, "metric_instances"}
        }
        points, series = (
            int(one_row(con, f"SELECT count(*) FROM {table}")[0])  # noqa: S608 - two names of this room
            for table in ("derived_rows", "derived_series")
        )
        for dataset in METRIC_TABLES:
            number = series if dataset == "metric_instances" else points
            if dataset in relations:
                _write(work, f"{DERIVED_SYSTEM}/{dataset}", metric, relations[dataset], number, fingerprint)
            elif dataset in governance.contracts:
                _write(work, f"{DERIVED_SYSTEM}/{dataset}", metric, None, 0, 0)
        values = {
            "day": day,
            "system": DERIVED_SYSTEM,
            "dataset": "metric_instances",
            "policy_id": DERIVED_OUT_OF_RANGE,
            "anomaly_type": "derived_value_out_of_range",
            "metric": metric,
            "batch_id": batch_id,
            "policy_hash": model.content_hash,
            "data_version": _day_version(work, _table(model)),
        }
        if standard.valid_min is not None or standard.valid_max is not None:
            work.out_of_range.append(out_of_range(con, standard, values).to_arrow_table())
    work.derived[metric] = fingerprint
    return (points, series), inputs.left_out, inputs.versions


def _write(
    work: _Day, table: str, metric: str, rows: duckdb.DuckDBPyRelation | None, number: int, fingerprint: int
) -> None:
    """Make the day hold exactly these rows of the metric; no commit where the same were committed already."""
    key = _key(metric, work.day)
    if (work.lake.transaction(table, key) or 0) == fingerprint and _held(work, table, metric) == number:
        return
    none = work.lake.schema(table).arrow.empty_table()
    work.lake.replace(
        table, work.day, none if rows is None else rows, where={"metric": metric}, transactions={key: fingerprint}
    )


def _take_away(work: _Day, metric: str) -> None:
    for dataset in METRIC_TABLES:
        if dataset in work.governance.contracts:
            _write(work, f"{DERIVED_SYSTEM}/{dataset}", metric, None, 0, 0)


def _take_away_others(work: _Day, metrics: set[str]) -> None:
    """Take away the rows of metrics whose models are gone."""
    gone: set[str] = set()
    for dataset in METRIC_TABLES:
        if dataset in work.governance.contracts:
            work.lake.register(work.con, "held", f"{DERIVED_SYSTEM}/{dataset}", work.day)
            gone |= {metric for (metric,) in work.con.execute("SELECT DISTINCT metric FROM held").fetchall()}
    for metric in sorted(gone - metrics):
        _take_away(work, metric)


def _held(work: _Day, table: str, metric: str) -> int:
    if not work.lake.has_day(table, work.day):
        return 0
    work.lake.register(work.con, "held", table, work.day)
    return int(one_row(work.con, "SELECT count(*) FROM held WHERE metric = ?", [metric])[0])


def _day_version(work: _Day, table: str) -> int | None:
    """The version that last changed the day: it stays when other days are written."""
    return work.lake.register(work.con, "held", table, work.day)


def _write_violations(work: _Day, metrics: set[str]) -> None:
    """Replace what an earlier run said of these metrics, and of metrics that are derived no longer."""
    schema = work.lake.schema(VIOLATIONS).arrow
    for dataset in METRIC_TABLES:
        rows = [_blocked_row(work, *each) for each in work.blocked if _dataset(each[0]) == dataset]
        _replace(work, dataset, DERIVATION_BLOCKED, metrics, pa.Table.from_pylist(rows, schema=schema))
    found = [table.cast(schema) for table in work.out_of_range]
    _replace(work, "metric_instances", DERIVED_OUT_OF_RANGE, metrics, pa.concat_tables([schema.empty_table(), *found]))


def _replace(work: _Day, dataset: str, policy_id: str, metrics: set[str], rows: pa.Table) -> None:
    work.lake.register(work.con, "held", VIOLATIONS, work.day)
    of_policy = work.con.sql(
        "FROM held WHERE system = $system AND dataset = $dataset AND policy_id = $policy ORDER BY subject_key",
        params={"system": DERIVED_SYSTEM, "dataset": dataset, "policy": policy_id},
    )
    held = of_policy.to_arrow_table().cast(rows.schema)
    others = {_metric(model) for model in work.governance.derived} - metrics
    kept = held.filter(pa.array([metric in others for metric in held["metric"].to_pylist()], pa.bool_()))
    wanted = pa.concat_tables([kept, rows]).sort_by("subject_key")
    if not wanted.equals(held):
        replace_violations(work.con, work.lake, work.day, DERIVED_SYSTEM, dataset, OneOf((policy_id,)), wanted)


def _blocked_row(work: _Day, model: ProcessingModel, reason: str) -> dict[str, Any]:
    return {
        "day": work.day,
        "system": DERIVED_SYSTEM,
        "dataset": _dataset(model),
        "policy_id": DERIVATION_BLOCKED,
        "anomaly_type": "derivation_blocked",
        "quality_dimension": "completeness",
        "severity": "critical",
        "subject_kind": "processing_model",
        "subject_key": _metric(model),
        "observed": reason,
        "expected": "a sound model whose inputs are all there, so that the metric is derived every day",
        "source_metric": _metric(model),
        "metric": _metric(model),
        "policy_hash": model.content_hash,
    }


def _dataset(model: ProcessingModel) -> str:
    """The dataset under which a metric's violations stand, whatever its header says."""
    return model.header.dataset if model.header.dataset in METRIC_TABLES else "metric_instances"


def _table(model: ProcessingModel) -> str:
    return f"{DERIVED_SYSTEM}/{_dataset(model)}"


def _transaction(model: ProcessingModel, day: date) -> tuple[str, str]:
    return _table(model), _key(_metric(model), day)


def _key(metric: str, day: date) -> str:
    return f"{DERIVED_SYSTEM}:{day}:{metric}"


def _metric(model: ProcessingModel) -> str:
    """The metric that a derive model computes; its header always says one."""
    return str(model.header.metric)
