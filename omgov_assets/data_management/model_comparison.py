"""What a new version of a processing model changes: its columns, its rows on a sample, and what hangs on it.

Does not belong here: whether the new version is right (``model_trial`` and ``model_management.model_check``).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from omgov_assets.admission import contract_check
from omgov_assets.admission.conform import shown_error
from omgov_assets.admission.deliveries import read_delivery
from omgov_assets.admission.gate import judge_of
from omgov_assets.admission.judgement import Judge
from omgov_assets.admission.refusal import RefusedBatchError
from omgov_assets.data_lake.lake import Lake, create_view, one_row
from omgov_assets.data_lake.sql import identifier
from omgov_assets.data_management.model_trial import last_batch
from omgov_assets.model_management.control import PROCESSING_MODELS
from omgov_assets.model_management.governance import Governance
from omgov_assets.model_management.model_check import check_models
from omgov_assets.quality_policy.policies import load_policy_set, policy_text

SAMPLE_RECORDS = 10_000
# Of each column that differs so many records are named.
NAMED_RECORDS = 3


@dataclass(frozen=True)
class ColumnChange:
    """A column of the output that differs.

    Attributes:
        column: its name.
        change: ``added``, ``removed``, ``retyped``, or ``values`` where the values of some records differ.
        before: type before; None where it was not there.
        after: type now; None where it is gone.
        records: records of the sample whose value differs; None where that was not compared.
        examples: numbers of some of these records.
    """

    column: str
    change: str
    before: str | None
    after: str | None
    records: int | None = None
    examples: tuple[int, ...] = ()


@dataclass(frozen=True)
class ModelComparison:
    """How a model differs from the version that was published before it.

    Attributes:
        model: ``<system>/<dataset>``, or the metric of a derive model.
        before: version and day of publication before.
        after: version now.
        columns: columns that differ.
        sampled: records that both versions were run on; 0 where there was no batch to run them on.
        same: records that both make the same of.
        only_before: records that only the version before made a row of.
        only_after: records that only the version now makes a row of.
        assets: assets that are made from its rows.
        policies: policies that judge a column that differs.
        consumers: models and policy views that read its dataset.
        remark: why versions could not be run, in a sentence.
    """

    model: str
    before: str
    after: str
    columns: tuple[ColumnChange, ...]
    sampled: int
    same: int
    only_before: int
    only_after: int
    assets: tuple[str, ...]
    policies: tuple[str, ...]
    consumers: tuple[str, ...]
    remark: str | None = None


def compare_models(
    lake: Lake, governance: Governance, landing: Path, names: Collection[str] | None = None
) -> list[ModelComparison]:
    """Compare models with the last version that was published and is another; those that never changed are left out.

    Args:
        lake: the lake, with ``control/processing_models``.
        governance: control information with the models as they are now.
        landing: landing folder, for a sample of the last batch.
        names: models to compare; default all.
    """
    published = _published(lake)
    summaries = check_models(governance).models
    found = []
    for system in governance.systems.values():
        for name, dataset in system.datasets.items():
            table = f"{system.name}/{name}"
            earlier = _last_other(published, table, dataset.model.content_hash)
            if earlier is not None and (names is None or table in names):
                judge = judge_of(governance, system, dataset)
                derived = [summary.name for summary in summaries if name in summary.inputs]
                found.append(_compare(lake, judge, landing, earlier, derived))
    for model in governance.derived:
        metric = str(model.header.metric)
        earlier = _last_other(published, metric, model.content_hash)
        if earlier is not None and (names is None or metric in names):
            consumers = tuple(summary.name for summary in summaries if metric in summary.metrics)
            found.append(_derived(metric, earlier, model.header.version, consumers))
    return found


def _derived(metric: str, earlier: dict[str, Any], version: str, consumers: tuple[str, ...]) -> ModelComparison:
    asset = f"derived/{metric.replace('.', '_')}"
    remark = "rows of derive models are compared by running the day again"
    return ModelComparison(metric, _version(earlier), version, (), 0, 0, 0, 0, (asset,), (), consumers, remark)


def _compare(
    lake: Lake, judge: Judge, landing: Path, earlier: dict[str, Any], derived: Collection[str]
) -> ModelComparison:
    columns: tuple[ColumnChange, ...] = ()
    sampled = same = only_before = only_after = 0
    remark = None
    with last_batch(lake, judge, landing) as (con, entry):
        if entry is None:
            remark = "no batch of it is in the landing folder to compare rows on"
        else:
            path = landing / entry["file_name"]
            try:
                delivery = read_delivery(con, path, judge.dataset)
                contract_check.create_source_view(con, delivery, judge.dataset, entry["batch_id"], path.name)
                sampled = _sample(con)
                columns = _column_changes(con, earlier["sql"], judge.dataset.model.sql)
                same, only_before, only_after, values = _row_changes(con, columns)
                columns += values
            except RefusedBatchError as refusal:
                remark = refusal.sentence
            except duckdb.Error as error:
                remark = f"one of the versions does not run: {shown_error(error, judge.dataset, earlier['sql'])}"
    changed = [change.column for change in columns]
    return ModelComparison(
        judge.table,
        _version(earlier),
        judge.dataset.model.header.version,
        columns,
        sampled,
        same,
        only_before,
        only_after,
        (judge.table, "quality/violations", "quality/anomalies"),
        _policies(judge, changed),
        _consumers(judge, derived),
        remark,
    )


def _sample(con: duckdb.DuckDBPyConnection) -> int:
    """Let ``source`` hold the first records alone; how many there are."""
    con.execute(f"CREATE OR REPLACE TEMP TABLE sampled AS FROM source ORDER BY _record_no LIMIT {SAMPLE_RECORDS}")
    create_view(con, "source", "FROM sampled")
    return int(one_row(con, "SELECT count(*) FROM sampled")[0])


def _column_changes(con: duckdb.DuckDBPyConnection, before: str, after: str) -> tuple[ColumnChange, ...]:
    """Run both versions into tables ``rows_before`` and ``rows_after``; the columns that are not the same in both."""
    types: list[dict[str, str]] = []
    for table, query in (("rows_before", before), ("rows_after", after)):
        con.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT * FROM ({query}\n)")  # noqa: S608 - the firm's own
        types.append({name: sql_type for name, sql_type, *_ in con.execute(f"DESCRIBE {table}").fetchall()})
    old, new = types
    found = [ColumnChange(name, "removed", kind, None) for name, kind in old.items() if name not in new]
    found += [ColumnChange(name, "added", None, kind) for name, kind in new.items() if name not in old]
    kept = [name for name in old if name in new]
    found += [ColumnChange(name, "retyped", old[name], new[name]) for name in kept if old[name] != new[name]]
    return tuple(found)


def _row_changes(
    con: duckdb.DuckDBPyConnection, changed: Collection[ColumnChange]
) -> tuple[int, int, int, tuple[ColumnChange, ...]]:
    """Records with the same row, with one before alone, with one now alone; columns in which values differ."""
    types = {name: kind for name, kind, *_ in con.execute("DESCRIBE rows_after").fetchall()}
    skipped = {change.column for change in changed} | {"_batch_id", "_record_no"}
    compared = [name for name in types if name not in skipped]
    differs = {name: f"b.{identifier(name)} IS DISTINCT FROM a.{identifier(name)}" for name in compared}
    any_differs = " OR ".join(differs.values()) or "false"
    flags = ", ".join(f"{condition} AS {identifier(name)}" for name, condition in differs.items())
    con.execute(
        "CREATE OR REPLACE TEMP TABLE compared AS SELECT coalesce(b._record_no, a._record_no) AS record, "  # noqa: S608
        f"a._record_no IS NULL AS is_gone, b._record_no IS NULL AS is_new, ({any_differs}) AS is_changed"
        f"{', ' + flags if flags else ''} "
        "FROM rows_before AS b FULL JOIN rows_after AS a ON b._record_no = a._record_no"
    )
    same, gone, new = one_row(
        con,
        "SELECT count(*) FILTER (NOT (is_gone OR is_new OR is_changed)), count(*) FILTER (is_gone), "
        "count(*) FILTER (is_new) FROM compared",
    )
    values = []
    for name in compared:
        records, examples = one_row(
            con,
            f"SELECT count(*), list(record ORDER BY record)[:{NAMED_RECORDS}] FROM compared "  # noqa: S608 - quoted
            f"WHERE NOT is_gone AND NOT is_new AND {identifier(name)}",
        )
        if records:
            values.append(ColumnChange(name, "values", types[name], types[name], records, tuple(examples)))
    return same, gone, new, tuple(values)


def _policies(judge: Judge, changed: Collection[str]) -> tuple[str, ...]:
    """Policies of the dataset that name a column that differs, or one that the policy view makes of such a column."""
    policy_set = load_policy_set(judge.governance.project, judge.system.name, judge.dataset.name)
    own = {column.name for column in judge.dataset.standard_contract.columns}
    view = policy_set.view_sql or ""
    in_view = any(re.search(rf"\b{re.escape(column)}\b", view) for column in changed)
    touched = []
    for policy in policy_set.policies:
        named = {*policy.columns, *re.findall(r"\w+", policy_text(policy))}
        through_view = in_view and any(column not in own for column in policy.columns)
        if named & set(changed) or through_view:
            touched.append(policy.policy_id)
    return tuple(touched)


def _consumers(judge: Judge, derived: Collection[str]) -> tuple[str, ...]:
    """Derive models that read the dataset, and policy views that join it."""
    name = judge.dataset.name
    views = judge.governance.project / "governance" / "standard" / "policy_views"
    marks = (f"own.{name}", f"firm.{name}", f"{judge.system.name}.{name}")
    joined = [
        path.relative_to(judge.governance.project).as_posix()
        for path in sorted(views.rglob("*.sql"))
        if any(mark in path.read_text(encoding="utf-8") for mark in marks)
    ]
    return (*derived, *joined)


def _published(lake: Lake) -> list[dict[str, Any]]:
    """All versions of models that were ever published, latest day first."""
    with lake.connect() as con:
        lake.register(con, "models", PROCESSING_MODELS, None)
        rows = con.sql(
            "SELECT day, coalesce(metric, system || '/' || dataset) AS model, version, content_hash, sql FROM models "
            "WHERE sql IS NOT NULL ORDER BY day DESC, model"
        )
        return list(rows.to_arrow_table().to_pylist())


def _last_other(published: Collection[dict[str, Any]], model: str, content_hash: str) -> dict[str, Any] | None:
    return next((row for row in published if row["model"] == model and row["content_hash"] != content_hash), None)


def _version(row: dict[str, Any]) -> str:
    day: date = row["day"]
    return f"{row['version']} of {day}"
