"""``omgov check`` and ``omgov policies``: a suite on any data, which policies there are, and proposing some."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import duckdb
import typer

from omgov_assets.cli.options import Day, HomeToRead, Output, Project, lake_of, parsed_day
from omgov_assets.cli.output import PLATFORM_FAILURE, SOMETHING_REFUSED, Format, emit, fail, notice
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.schemas import UnknownTableError
from omgov_assets.data_lake.settings import Settings

if TYPE_CHECKING:
    from omgov_assets.quality_policy.free_check import FreeResult
    from omgov_assets.quality_policy.policy_catalogue import ListedPolicy

policies_app = typer.Typer(help="The quality policies: which there are, and proposing new ones.", no_args_is_help=True)

Encoding = Annotated[str, typer.Option("--encoding", help="Encoding of CSV, such as gb18030.")]

_TABLE = re.compile(r"[a-z][a-z0-9_]*/[a-z][a-z0-9_]*")
# Columns of the lake's own that say where a row came from: a profile of a dataset leaves them out.
_PLATFORM_COLUMNS = frozenset({"day", "_batch_id", "_record_no"})


def check(
    suite: Annotated[
        Path, typer.Argument(help="Any Great Expectations suite in JSON.", exists=True, dir_okay=False, metavar="SUITE")
    ],
    data: Annotated[
        str, typer.Argument(help="Folder of a Delta table; file, folder or glob of Parquet; CSV.", metavar="DATA")
    ],
    key: Annotated[
        str,
        typer.Option(
            "--key",
            metavar="COLUMNS",
            help="Columns that tell a row, separated by commas. Default: its number, row_no.",
        ),
    ] = "",
    violations: Annotated[
        Path | None,
        typer.Option("--violations", metavar="OUT.parquet", help="File that gets the failing rows.", dir_okay=False),
    ] = None,
    encoding: Encoding = "utf-8",
    output: Output = Format.TABLE,
    home: HomeToRead = None,
    project: Project = None,
) -> None:
    """Judge any data by any suite; nothing is stored in the lake.

    Exit code 0: all passed, or only policies of severity info failed. 2: a policy of severity critical or warning
    failed. 1: a policy broke, or suite or data cannot be used. A policy without a severity is critical, as Great
    Expectations has it.
    """  # fmt: skip
    from omgov_assets.data_lake.external import UnreadableDataError, external_data
    from omgov_assets.quality_policy.free_check import ACTED_ON, UnknownKeyError, check_data, read_suite

    if violations is not None and not violations.absolute().parent.is_dir():
        fail(f"--violations {violations}: the folder {violations.absolute().parent} does not exist; create it first")
    policies = read_suite(suite)
    lake = lake_of(home, project)
    names = [name.strip() for name in key.split(",") if name.strip()]
    try:
        with lake.connect() as con, external_data(con, data, "data", encoding) as opened:
            results = check_data(con, opened, policies, names, violations, _grades(lake, data))
    except (UnreadableDataError, UnknownKeyError) as error:
        fail(str(error))
    rows = [_checked(result) for result in results]
    if output is Format.TABLE:
        rows = [{name: row[name] for name in _SHOWN} for row in rows]
    emit(rows, output, f"{data} by {suite.name}", "the suite holds no expectation")
    if violations is not None:
        notice(f"failing rows: {violations}")
    if any(result.verdict == "error" for result in results):
        raise typer.Exit(PLATFORM_FAILURE)
    failed = any(result.verdict == "failed" and result.policy.severity in ACTED_ON for result in results)
    raise typer.Exit(SOMETHING_REFUSED if failed else 0)


@policies_app.command("list")
def list_all(
    system: Annotated[str | None, typer.Option("--system", help="Only those that hold for this system.")] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", help="Only those of this dataset.")] = None,
    output: Output = Format.TABLE,
    project: Project = None,
) -> None:
    """The policies of all suites, and for which systems they hold."""
    listed = _listed(project, system, dataset)
    rows = [_summary(entry) for entry in listed]
    if output is Format.TABLE:
        rows = [{name: row[name] for name in _LISTED} for row in rows]
    emit(rows, output, "Quality policies", "no policy")


@policies_app.command("show")
def show(
    policy_id: Annotated[
        str, typer.Argument(metavar="POLICY_ID", help="Policy, as lists, checks and reports show it.")
    ],
    output: Output = Format.TABLE,
    home: HomeToRead = None,
    project: Project = None,
) -> None:
    """A policy in full, and its verdicts of the last day in the lake."""
    from omgov_assets.quality_policy.policy_catalogue import last_verdicts

    listed = _listed(project, None, None)
    found = [entry for entry in listed if entry.policy.policy_id == policy_id]
    if not found:
        import difflib

        near = difflib.get_close_matches(policy_id, [entry.policy.policy_id for entry in listed], n=3)
        fail(f"{policy_id}: no such policy" + (f"; did you mean {', '.join(near)}?" if near else ""))
    verdicts = last_verdicts(lake_of(home, project), policy_id)
    if output is not Format.TABLE:
        last = verdicts or [{}]
        emit([{**_details(entry), **_of(verdict)} for entry in found for verdict in last], output)
        return
    for entry in found:
        details = {name: value for name, value in _details(entry).items() if value not in (None, "", [])}
        emit([{"field": name, "value": value} for name, value in details.items()], output, policy_id)
    if verdicts:
        emit([{name: row[name] or "" for name in row} for row in verdicts], output, f"Verdicts, {verdicts[0]['day']}")


@policies_app.command("check")
def check_policies(
    day: Day = None, output: Output = Format.TABLE, home: HomeToRead = None, project: Project = None
) -> None:
    """Look for faults of the policies themselves: unknown columns, contradictions, ranges that nothing can pass.

    Ends with 2 where a policy cannot give a verdict or contradicts another.
    """
    from omgov_assets.model_management.governance import load_governance
    from omgov_assets.quality_policy.policies import load_policy_set
    from omgov_assets.quality_policy.policy_validation import examine_policies

    settings = Settings.from_environment(home, project)
    governance = load_governance(settings.project)
    lake = lake_of(home, project)
    chosen = parsed_day(day) if day else governance.firm.first_day
    policy_sets = [
        load_policy_set(settings.project, system.name, dataset)
        for system in governance.systems.values()
        for dataset in system.datasets
    ]
    findings = examine_policies(lake, governance, policy_sets, chosen)
    emit([asdict(finding) for finding in findings], output, "Faults of policies", "no policy is at fault")
    if any(finding.severity == "error" for finding in findings):
        raise typer.Exit(SOMETHING_REFUSED)


@policies_app.command("profile")
def profile(
    data: Annotated[
        str, typer.Argument(metavar="DATA|SYSTEM/DATASET", help="Data as for omgov check, or a dataset of the lake.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", dir_okay=False, help="File that gets the suite.")
    ] = None,
    day: Day = None,
    encoding: Encoding = "utf-8",
    home: HomeToRead = None,
    project: Project = None,
) -> None:
    """Propose a suite from what data is like, for a steward to edit; the data itself passes it.

    The file is Great Expectations' own JSON with the meta that omgov asks for: checked with omgov check, or put into
    expectations/ under the name of the dataset, it is in force. A dataset of the lake is profiled on its last day.
    """
    from omgov_assets.data_lake.external import UnreadableDataError
    from omgov_assets.quality_policy.profiling import profile_table
    from omgov_assets.quality_policy.suite_proposal import propose_suite

    lake = lake_of(home, project)
    named = _TABLE.fullmatch(data) is not None and not Path(data).exists()
    governed = named and lake.open(data) is not None
    if named and not governed:
        fail(f"{data}: no such file or folder, and {lake.root} holds no such dataset")
    try:
        with lake.connect() as con, _readable(con, lake, data, day, encoding, governed=governed) as (columns, grades):
            measured = profile_table(con, "data", columns)
            suite = propose_suite(measured, _dataset_name(data), grades, table_is_governed=governed)
    except (UnreadableDataError, duckdb.Error) as error:
        fail(str(error).splitlines()[0])
    text = json.dumps(suite, ensure_ascii=False, indent=2) + "\n"
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        unfinished = out.with_name(f".{out.name}.unfinished")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(out)
    except OSError as error:
        fail(f"--out {out}: {error.strerror}")
    notice(f"{len(suite['expectations'])} policies proposed from {measured.rows:,} rows: {out}")


_SHOWN = ("policy", "severity", "verdict", "evaluated", "failed", "observed", "why")
_LISTED = ("policy", "systems", "dataset", "severity", "quality_dimension", "anomaly_type", "expected")


def _checked(result: FreeResult) -> dict[str, Any]:
    policy = result.policy
    return {
        "policy": policy.policy_id,
        "type": policy.type,
        "column": policy.column_name or "",
        "severity": policy.severity,
        "anomaly_type": policy.meta.anomaly_type,
        "quality_dimension": policy.meta.quality_dimension,
        "verdict": result.verdict,
        "evaluated": result.evaluated,
        "failed": result.failed,
        "observed": result.observed or "",
        "expected": policy.meta.expected,
        "engine": result.engine,
        "why": result.reason or "",
    }


def _listed(project: Path | None, system: str | None, dataset: str | None) -> list[ListedPolicy]:
    from omgov_assets.model_management.governance import load_governance
    from omgov_assets.quality_policy.policy_catalogue import list_policies

    governance = load_governance(Settings.from_environment(None, project).project)
    if system is not None and system not in governance.systems:
        fail(f"--system {system}: no such business system; there are {', '.join(sorted(governance.systems))}")
    delivered = {name for business in governance.systems.values() for name in business.datasets}
    if dataset is not None and dataset not in delivered:
        fail(f"--dataset {dataset}: no system delivers it; there are {', '.join(sorted(delivered))}")
    return list_policies(governance, system, dataset)


def _summary(entry: ListedPolicy) -> dict[str, Any]:
    policy = entry.policy
    return {
        "policy": policy.policy_id,
        "systems": list(entry.systems),
        "dataset": entry.dataset,
        "severity": policy.severity,
        "quality_dimension": policy.meta.quality_dimension,
        "anomaly_type": policy.meta.anomaly_type,
        "type": policy.type,
        "column": policy.column_name or "",
        "expected": policy.meta.expected,
        "suite": entry.suite,
    }


def _details(entry: ListedPolicy) -> dict[str, Any]:
    """Everything of a policy as flat text; ``meta`` may hold keys of the steward's own."""
    meta = entry.policy.meta.model_dump(mode="json")
    nested = {name: json.dumps(value, ensure_ascii=False) for name, value in meta.items() if isinstance(value, dict)}
    return {
        **_summary(entry),
        **{name: value for name, value in (meta | nested).items() if name != "policy_id"},
        "kwargs": json.dumps(entry.policy.kwargs, ensure_ascii=False),
    }


def _of(verdict: dict[str, Any]) -> dict[str, Any]:
    """A verdict's fields under names that no policy has; the same ones where there is no verdict."""
    names = ("day", "system", "verdict", "evaluated", "failed", "reason")
    return {f"last_{name}": verdict.get(name) for name in names}


@contextmanager
def _readable(
    con: duckdb.DuckDBPyConnection, lake: Lake, data: str, day: str | None, encoding: str, *, governed: bool
) -> Iterator[tuple[dict[str, str], dict[str, int]]]:
    """View ``data`` over what is to be profiled; gives its columns and, as far as they are known, their grades."""
    from omgov_assets.cli.options import published_day
    from omgov_assets.data_lake.external import external_data

    if not governed:
        if day is not None:
            fail("--day is for a dataset of the lake")
        with external_data(con, data, "data", encoding) as opened:
            yield opened.columns, _grades(lake, data)
        return
    chosen = published_day(lake, day, data)
    lake.register(con, "data", data, chosen)
    schema = lake.schema(data)
    kept = [column for column in schema.columns if column.name not in _PLATFORM_COLUMNS]
    yield (
        {column.name: _spelled(column.sql_type) for column in kept},
        {column.name: column.grade for column in kept},
    )


def _spelled(sql_type: str) -> str:
    return "TIMESTAMP WITH TIME ZONE" if sql_type == "TIMESTAMPTZ" else sql_type


def _grades(lake: Lake, data: str) -> dict[str, int]:
    """Grades of the columns of a table of the lake that is named by its folder or files; else nothing is known."""
    path, root = Path(data).resolve(), lake.root.resolve()
    if not path.is_relative_to(root):
        return {}
    table = "/".join(path.relative_to(root).parts[:2])
    try:
        return {column.name: column.grade for column in lake.schema(table).columns}
    except UnknownTableError:
        return {}


def _dataset_name(data: str) -> str:
    """A name for what a path holds: that of the folder or file, without suffixes and wildcards."""
    parts = [part for part in Path(data).parts if not any(character in part for character in "*?[")]
    return (parts[-1] if parts else data).split(".")[0] or "data"
