"""``omgov check``: any Great Expectations suite on any data, outside the lake and without the firm's governance.

Belongs here: reading suites that know nothing of omgov's ``meta``, and the failing rows with the key the caller names.
Does not belong here: a dataset's own policies on a day of the lake (``evaluation``), nor GX itself
(``great_expectations_run``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import duckdb
import pyarrow.parquet as pq

from omgov_assets.data_lake.external import ExternalData, UnreadableDataError
from omgov_assets.data_lake.lake import one_row
from omgov_assets.data_lake.masks import OPEN_GRADE, masked_error, masked_text, partial_mask
from omgov_assets.data_lake.sql import identifier, literal
from omgov_assets.model_management.documents import content_hash, parse, read_json
from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.quality_policy.checked_rows import CHECKED, PopulationError, named_columns, population_of
from omgov_assets.quality_policy.failing_rows import FailedPolicy, failing_rows
from omgov_assets.quality_policy.great_expectations_run import Verdict, evaluate_policies
from omgov_assets.quality_policy.policies import Policy, QualityDimension, policy_arguments, policy_text

ROW_NUMBER = "row_no"
ACTED_ON = frozenset({"critical", "warning"})

_BATCH_ROWS = 65_536
_FIXED_COLUMNS = ("policy_id", "type", "severity", "column", "observed", "expected")
_KEPT_KEYS = ("type", "kwargs", "severity", "meta", "id", "notes", "description")
# Key types that Arrow or Parquet would round or not take.
_AS_TEXT = {"HUGEINT": "VARCHAR", "INTERVAL": "VARCHAR", "BIT": "VARCHAR"}
# These judge the columns of a table, not its rows: they must see all columns, and only those that are there.
_JUDGES_COLUMNS = re.compile(r"expect_(table_column|column_to_exist)")
# Words of an expectation's type that tell its quality dimension, the telling ones first.
_DIMENSIONS: tuple[tuple[str, QualityDimension], ...] = (
    ("null", "completeness"), ("unique", "uniqueness"), ("row_count", "coverage"), ("exist", "coverage"),
    ("pair", "consistency"), ("multicolumn", "consistency"), ("query", "consistency"), ("regex", "conformity"),
    ("pattern", "conformity"), ("type", "conformity"), ("format", "conformity"), ("parseable", "conformity"),
    ("schema", "conformity"), ("lengths", "conformity"), ("set", "conformity"), ("table_column", "conformity"),
    ("last_seen", "timeliness"),
)  # fmt: skip

FreeVerdict = Literal["passed", "failed", "error"]


class UnknownKeyError(Exception):
    """A key column that the data does not have."""


@dataclass(frozen=True)
class FreeResult:
    """What came of one expectation; ``reason`` says why it broke, ``engine`` who judged it."""

    policy: Policy
    verdict: FreeVerdict
    evaluated: int | None
    failed: int | None
    observed: str | None
    reason: str | None
    engine: str


def read_suite(path: Path) -> list[Policy]:
    """The expectations of any GX suite as policies.

    What of ``meta`` is not given is derived: the policy id from type and columns, the anomaly type and the quality
    dimension from the type. Severity is GX's default, critical. Suite parameters are filled in by name.

    Raises:
        GovernanceError: not a suite, or a policy id that is given twice.
    """
    document = read_json(path)
    entries = document.get("expectations") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise GovernanceError(path, "expectations", "is no list", "give a suite in the JSON of Great Expectations 1.x")
    parameters = document.get("suite_parameters") or {}
    policies: list[Policy] = []
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        where = f"expectations[{index}]"
        if not isinstance(entry, dict):
            raise GovernanceError(path, where, "is no object", "give it type and kwargs")
        kept = {key: entry[key] for key in _KEPT_KEYS if entry.get(key) is not None}
        if not isinstance(kept.get("kwargs", {}), dict) or not isinstance(kept.get("meta", {}), dict):
            raise GovernanceError(path, where, "kwargs or meta is no object", "give objects")
        kept["kwargs"] = _filled_in(kept.get("kwargs", {}), parameters)
        policy = parse(Policy, {"severity": "critical", **kept, "meta": _complete_meta(kept, seen)}, path, where)
        if policy.policy_id in seen:
            raise GovernanceError(
                path, f"{where}.meta.policy_id", f"{policy.policy_id!r} stands twice", "give each an id of its own"
            )
        seen.add(policy.policy_id)
        policies.append(policy)
    return policies


def check_data(
    con: duckdb.DuckDBPyConnection,
    data: ExternalData,
    policies: Sequence[Policy],
    key: Sequence[str] = (),
    violations: Path | None = None,
    grades: Mapping[str, int] | None = None,
) -> list[FreeResult]:
    """Judge data by policies, one result for each, in their order; a policy that breaks disturbs no other.

    Args:
        con: a connection for this alone: the queries of a suite may touch nothing outside it, so it is locked.
        data: the data, readable on the connection.
        policies: what it is judged by.
        key: columns that tell a row; its number (``row_no``, from 1) where none is given.
        violations: Parquet file that gets the failing rows: policy_id, type, severity, the key, column, observed,
            expected. An expectation on the data as a whole fails once, without a key.
        grades: classification level by column, where it is known; observed values of higher columns are masked.

    Raises:
        UnknownKeyError: the data has no such key column.
        UnreadableDataError: a row of the data cannot be read.
    """
    absent = [name for name in key if name not in data.columns]
    if absent:
        raise UnknownKeyError(f"{data.path} has no column {', '.join(absent)}; it has {', '.join(data.columns)}")
    graded = [name for name, grade in (grades or {}).items() if grade > OPEN_GRADE]
    numbered = _keep_rows(con, data, policies, key)
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")
    verdicts = _judge(con, policies)
    rows = int(one_row(con, f"SELECT count(*) FROM {CHECKED}")[0])  # noqa: S608 - a name of this room
    results = {policy.policy_id: _result(con, verdicts[policy.policy_id], rows, graded) for policy in policies}
    if violations is not None:
        columns = _key_columns(con, data, key, numbered)
        failing = [
            (number, verdicts[policy_id], result)
            for number, (policy_id, result) in enumerate(results.items())
            if result.failed and result.verdict != "error"
        ]
        results |= _harvested(con, failing, columns, graded)
        _write(con, list(columns), violations)
    return list(results.values())


def _complete_meta(entry: Mapping[str, Any], seen: set[str]) -> dict[str, Any]:
    kind = str(entry.get("type", ""))
    short = kind.removeprefix("expect_").removesuffix("_expectation") or "expectation"
    kwargs = entry["kwargs"]
    named = [kwargs.get(name) for name in ("column", "column_A", "column_B")]
    listed = kwargs.get("column_list")
    columns = [str(name) for name in [*named, *(listed if isinstance(listed, list) else [])] if name is not None]
    stem = ".".join([short, *map(_id_part, columns)])[:110]
    policy_id, copies = stem, 1
    while policy_id in seen:
        copies += 1
        policy_id = f"{stem}-{copies}"
    words = [f"{key} {value}" for key, value in kwargs.items() if key not in {"column", "column_A", "column_B"}]
    derived = {
        "policy_id": policy_id,
        "anomaly_type": re.sub(r"[^a-z0-9_]", "_", short)[:63],
        "quality_dimension": next((dimension for word, dimension in _DIMENSIONS if word in kind), "accuracy"),
        "expected": " ".join([short.replace("_", " "), *words])[:500],
    }
    return derived | {key: value for key, value in entry.get("meta", {}).items() if value is not None}


def _id_part(name: str) -> str:
    """A column's name as part of an id; a short hash tells apart those that had to change."""
    plain = re.sub(r"[^A-Za-z0-9_\-]+", "_", name)[:40]
    return plain if plain == name else f"{plain}_{content_hash(name)[:6]}".lstrip("_")


def _filled_in(value: Any, parameters: Mapping[str, Any]) -> Any:
    """Arguments with the suite parameters that they refer to by name; GX says what it thinks of any other."""
    if isinstance(value, dict):
        name = value.get("$PARAMETER")
        if len(value) == 1 and isinstance(name, str) and name in parameters:
            return parameters[name]
        return {key: _filled_in(part, parameters) for key, part in value.items()}
    return [_filled_in(part, parameters) for part in value] if isinstance(value, list) else value


def _keep_rows(
    con: duckdb.DuckDBPyConnection, data: ExternalData, policies: Sequence[Policy], key: Sequence[str]
) -> str | None:
    """Read the data once into table ``checked_rows``; returns the column with the row numbers where there is no key."""
    needed = {*named_columns(data.columns, policies), *key}
    wanted = [identifier(name) for name in data.columns if name in needed]
    number = None
    if not key:
        number = ROW_NUMBER
        while any(name.casefold() == number for name in data.columns):
            number = f"_{number}"
        wanted.append(f"row_number() OVER () AS {identifier(number)}")
    if not wanted:
        wanted = [identifier(name) for name in data.columns]
    source = identifier(data.view)
    try:
        con.execute(f"CREATE TABLE checked_rows AS SELECT {', '.join(wanted)} FROM {source}")  # noqa: S608 - quoted
        con.execute(f"CREATE TABLE checked_columns AS SELECT * FROM {source} LIMIT 0")  # noqa: S608 - quoted
    except duckdb.Error as error:
        raise UnreadableDataError(f"{data.path}: {' '.join(str(error).splitlines()[:2])}") from error
    return number


def _judge(con: duckdb.DuckDBPyConnection, policies: Sequence[Policy]) -> dict[str, Verdict]:
    on_columns = [policy for policy in policies if _JUDGES_COLUMNS.match(policy.type)]
    on_rows = [policy for policy in policies if not _JUDGES_COLUMNS.match(policy.type)]
    con.execute(f"CREATE VIEW {CHECKED} AS SELECT * FROM checked_columns")  # noqa: S608 - names of this module
    verdicts = evaluate_policies(con, on_columns)
    con.execute(f"DROP VIEW {CHECKED}")
    con.execute(f"ALTER TABLE checked_rows RENAME TO {CHECKED}")
    verdicts += evaluate_policies(con, on_rows)
    return {verdict.policy.policy_id: verdict for verdict in verdicts}


def _judges(policy: Policy, names: Sequence[str]) -> bool:
    """Whether a policy reads one of these columns, so far as its arguments tell."""
    arguments = policy_arguments(policy)
    return bool(names) and ("{batch}" in arguments or any(name in arguments for name in names))


def _result(con: duckdb.DuckDBPyConnection, verdict: Verdict, rows: int, graded: Sequence[str]) -> FreeResult:
    policy, engine = verdict.policy, verdict.engine
    reason, observed = verdict.error, verdict.observed
    if graded and reason:
        reason = masked_error(reason, policy_text(policy))
    if observed and _judges(policy, graded):
        observed = masked_text(observed)
    if verdict.success is None:
        reason = reason or "Great Expectations gave no reason"
        return FreeResult(policy, "error", verdict.evaluated, verdict.failed, observed, reason, engine)
    evaluated = rows if verdict.evaluated is None else verdict.evaluated
    try:
        population = population_of(con, policy)
    except PopulationError as error:
        said = masked_error(error, policy_text(policy)) if graded else str(error).splitlines()[0]
        return FreeResult(policy, "error", None, verdict.failed, observed, said, engine)
    evaluated = evaluated if population is None else population
    return FreeResult(
        policy, "passed" if verdict.success else "failed", evaluated, verdict.failed, observed, None, engine
    )


def _key_columns(
    con: duckdb.DuckDBPyConnection, data: ExternalData, key: Sequence[str], number: str | None
) -> dict[str, str]:
    """Columns of the violations that tell the row, with the columns of the data they come from; table ``harvested``."""
    if number is not None:
        columns, types = {ROW_NUMBER: number}, {number: "BIGINT"}
    else:
        columns = {f"{name}_key" if name.casefold() in _FIXED_COLUMNS else name: name for name in key}
        types = data.columns
    before, after = _FIXED_COLUMNS[:3], _FIXED_COLUMNS[3:]
    declared = [
        "policy_no BIGINT",
        *(f"{identifier(name)} VARCHAR" for name in before),
        *(f"{identifier(target)} {_AS_TEXT.get(types[source], types[source])}" for target, source in columns.items()),
        *(f"{identifier(name)} VARCHAR" for name in after),
    ]
    con.execute(f"CREATE TABLE harvested ({', '.join(declared)})")
    return columns


def _harvested(
    con: duckdb.DuckDBPyConnection,
    failing: Sequence[tuple[int, Verdict, FreeResult]],
    key: Mapping[str, str],
    graded: Sequence[str],
) -> dict[str, FreeResult]:
    """Insert the failing rows into ``harvested``, which must be as many as GX counted: else the policy is an error."""
    together = [item for item in failing if item[1].row_condition]
    alone = [item for item in failing if item not in together]
    problems: dict[int, str] = {}
    if together:
        try:
            con.execute(_insert_in_one_pass(con, together, key, graded))
        except duckdb.Error:
            # Each for itself, to show which one it is.
            alone = list(failing)
    for number, verdict, result in alone:
        try:
            con.execute(_insert(con, number, verdict, result, key, graded))
        except duckdb.Error as error:
            problems[number] = f"the failing rows cannot be read: {masked_error(error, policy_text(verdict.policy))}"
    counted = dict(con.execute("SELECT policy_no, count(*) FROM harvested GROUP BY ALL").fetchall())
    results = {}
    for number, verdict, result in failing:
        found = counted.get(number, 0)
        problem = problems.get(number)
        if problem is None and found != result.failed:
            problem = f"{found} failing rows were found where Great Expectations counted {result.failed}"
        if problem is not None:
            con.execute("DELETE FROM harvested WHERE policy_no = ?", [number])
            results[verdict.policy.policy_id] = replace(result, verdict="error", reason=problem)
    return results


def _insert_in_one_pass(
    con: duckdb.DuckDBPyConnection,
    failing: Sequence[tuple[int, Verdict, FreeResult]],
    key: Mapping[str, str],
    graded: Sequence[str],
) -> str:
    present = {name for name, *_ in con.execute(f"DESCRIBE {CHECKED}").fetchall()}
    policies = [
        FailedPolicy(
            verdict.row_condition, _said_of(number, verdict.policy), _observed(verdict.policy, present, graded)
        )
        for number, verdict, _ in failing
        if verdict.row_condition
    ]
    observed = {name for _, verdict, _ in failing for name in verdict.policy.observed_columns}
    of_row = {target: identifier(name) for target, name in key.items()}
    rows = failing_rows(policies, of_row, sorted(present & {*key.values(), *observed}))
    return f"INSERT INTO harvested BY NAME {rows}"


def _insert(
    con: duckdb.DuckDBPyConnection,
    number: int,
    verdict: Verdict,
    result: FreeResult,
    key: Mapping[str, str],
    graded: Sequence[str],
) -> str:
    values = {**_said_of(number, verdict.policy), "observed": literal(result.observed)}
    source = "(SELECT 1)"
    if verdict.row_query is not None:
        source = f"({verdict.row_query})"
        present = {name for name, *_ in con.execute(f"DESCRIBE {verdict.row_query}").fetchall()}
        values |= {target: identifier(name) for target, name in key.items() if name in present}
        values["observed"] = _observed(verdict.policy, present, graded)
    names = ", ".join(map(identifier, values))
    return f"INSERT INTO harvested ({names}) SELECT {', '.join(values.values())} FROM {source}"  # noqa: S608 - quoted


def _said_of(number: int, policy: Policy) -> dict[str, str]:
    """What a violation says of its policy, as SQL."""
    return {
        "policy_no": literal(number),
        "policy_id": literal(policy.policy_id),
        "type": literal(policy.type),
        "severity": literal(policy.severity),
        "column": literal(policy.column_name),
        "expected": literal(policy.meta.expected),
    }


def _observed(policy: Policy, present: set[str], graded: Sequence[str]) -> str:
    names = [name for name in policy.observed_columns if name in present]
    texts = [
        f"{partial_mask(identifier(name)) if name in graded else identifier(name)}::VARCHAR" for name in names
    ]  # fmt: skip
    if len(texts) <= 1:
        return texts[0] if texts else "NULL"
    told = [f"{literal(name + '=')} || {text}" for name, text in zip(names, texts, strict=True)]
    return f"concat_ws(', ', {', '.join(told)})"


def _write(con: duckdb.DuckDBPyConnection, key: Sequence[str], path: Path) -> None:
    """Stream ``harvested`` to a Parquet file that is there whole or not at all."""
    names = ", ".join(map(identifier, (*_FIXED_COLUMNS[:3], *key, *_FIXED_COLUMNS[3:])))
    order = ", ".join(["policy_no", *map(identifier, key), "observed"])
    reader = con.sql(f"SELECT {names} FROM harvested ORDER BY {order}").to_arrow_reader(_BATCH_ROWS)  # noqa: S608
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with pq.ParquetWriter(unfinished, reader.schema, compression="zstd") as writer:
            for batch in reader:
                writer.write_batch(batch)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
