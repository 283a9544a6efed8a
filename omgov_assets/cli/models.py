"""``omgov check-models``: faults of the processing models, without data and with it, and how versions differ.

Reads what the lake knows of owners and row counts; the checks themselves are ``model_management.model_check``, the dry
run is ``data_management.model_trial``, the difference ``data_management.model_comparison``.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from omgov_assets.cli.options import HomeToRead, Project
from omgov_assets.cli.output import SOMETHING_REFUSED, Format, emit, fail, notice
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings

if TYPE_CHECKING:
    from omgov_assets.model_management.model_check import ModelReport
    from omgov_assets.model_management.model_findings import ModelFinding

_SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_SARIF_LEVELS = {"critical": "error", "warning": "warning", "info": "note"}
_GITHUB_COMMANDS = {"critical": "error", "warning": "warning", "info": "notice"}


class FindingFormat(StrEnum):
    """How findings are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    SARIF = "sarif"
    GITHUB = "github"


def check_models(
    path: Annotated[
        Path | None,
        typer.Argument(help="A project, or a folder or .sql file of one. Default the project.", metavar="[PATH]"),
    ] = None,
    system: Annotated[str | None, typer.Option("--system", help="Only the models of this business system.")] = None,
    only: Annotated[
        str | None, typer.Option("--only", metavar="NAME", help="Only this model: SYSTEM/DATASET, or a derived metric.")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--run", help="Also run conform models on the last batch of their dataset; nothing is written."),
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Instead of findings: how models differ from the version published before.")
    ] = False,
    output: Annotated[FindingFormat, typer.Option("--format", help="How to print.")] = FindingFormat.TABLE,
    home: HomeToRead = None,
    project: Project = None,
) -> None:
    """Look for faults of the processing models: names, types, keys, units, grades, metrics, owners.

    Owners and row counts are those of the last day in the lake; without a lake they are not judged. With --run, what
    conform models make of the last batch is held against what the lake holds of it: rows lost or multiplied, nulls,
    overflows, values of another order of magnitude, unmapped metrics. Exit code 0: nothing above info. 2: a finding of
    severity critical or warning. 1: governance/ itself is at fault.
    """
    from omgov_assets.model_management.model_check import check_project

    folder, below = _project_of(path, project)
    settings = Settings.from_environment(home, folder)
    lake = Lake(settings.lake, settings.dataset_contracts)
    report = check_project(folder, owners=_owners(lake), rows=_rows(lake, folder))
    chosen = _chosen(report, below, system, only)
    if diff:
        _print_differences(lake, settings, chosen, output)
        raise typer.Exit
    findings = [finding for finding in report.findings if finding.model in chosen]
    if dry_run:
        findings += _tried(lake, settings, chosen)
    _print(findings, output)
    raise typer.Exit(SOMETHING_REFUSED if any(finding.severity != "info" for finding in findings) else 0)


def _project_of(path: Path | None, project: Path | None) -> tuple[Path, str]:
    """The project, and the path in it that models must lie below (empty for all)."""
    if path is None:
        return Settings.from_environment(None, project).project, ""
    given = path.absolute()
    if not given.exists():
        fail(f"{path}: no such file or folder; give a project, or a folder or .sql file of one")
    for folder in (given, *given.parents):
        if (folder / "governance").is_dir():
            below = given.relative_to(folder).as_posix()
            return folder, "" if below == "." else below
    fail(f"{path}: lies in no project; a project is a folder with governance/")


def _chosen(report: ModelReport, below: str, system: str | None, only: str | None) -> set[str]:
    """Names of the models that were asked for; ends the command where nothing is there to ask about."""
    names = {summary.name: summary.path for summary in report.models}
    names |= {finding.model: finding.path for finding in report.findings}
    systems = {name.partition("/")[0] for name in names if "/" in name}
    if system is not None and system not in systems:
        fail(f"--system {system}: no such business system; there are {', '.join(sorted(systems))}")
    if only is not None and only not in names:
        import difflib

        near = difflib.get_close_matches(only, names, n=3)
        fail(f"--only {only}: no such model" + (f"; did you mean {', '.join(near)}?" if near else ""))
    if below and not any(_is_below(path, below) for path in names.values()):
        fail(f"{below}: holds no processing model; models are governance/systems/<system>/<dataset>.sql and "
             "governance/derived_metrics/<metric>.sql")  # fmt: skip
    return {
        name
        for name, place in names.items()
        if (not below or _is_below(place, below))
        and (system is None or name.startswith(f"{system}/"))
        and (only is None or name == only)
    }


def _tried(lake: Lake, settings: Settings, chosen: Collection[str]) -> list[ModelFinding]:
    """Findings of a dry run; what was tried, and what was not, is told beside them."""
    from omgov_assets.data_management.model_trial import try_models
    from omgov_assets.model_management.governance import load_governance

    found: list[ModelFinding] = []
    for trial in try_models(lake, load_governance(settings.project), settings.landing, chosen):
        told = trial.remark or (
            f"{trial.rows:,} rows of {trial.rows_in:,} records of {trial.file_name}, {trial.quarantined:,} quarantined"
        )
        notice(f"{trial.model}: {told}")
        found += trial.findings
    return found


def _print_differences(lake: Lake, settings: Settings, chosen: Collection[str], output: FindingFormat) -> None:
    from omgov_assets.data_management.model_comparison import compare_models
    from omgov_assets.model_management.governance import load_governance

    if output in {FindingFormat.SARIF, FindingFormat.GITHUB}:
        fail(f"--format {output.value}: --diff tells of differences, not of findings; choose table, json or csv")
    rows: list[dict[str, Any]] = []
    for found in compare_models(lake, load_governance(settings.project), settings.landing, chosen):
        touched = {
            "policies": ", ".join(found.policies),
            "consumers": ", ".join(found.consumers),
            "assets": ", ".join(found.assets),
        }
        records = ""
        if found.sampled:
            records = f"{found.same:,} of {found.sampled:,} records the same"
            records += f", {found.only_before:,} gone" if found.only_before else ""
            records += f", {found.only_after:,} new" if found.only_after else ""
        versions = {"model": found.model, "before": found.before, "after": found.after}
        # One row for each column that differs; at least one for each model.
        for change in found.columns or (None,):
            rows.append(
                {
                    **versions,
                    "column": change.column if change else "",
                    "change": change.change if change else "",
                    "records": change.records if change and change.records is not None else "",
                    "such_as": list(change.examples) if change and change.examples else "",
                    "rows": records,
                    **touched,
                    "remark": found.remark or "",
                }
            )
    emit(
        rows, Format(output.value), "Models that differ from the version before", "no model has another version before"
    )


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _owners(lake: Lake) -> dict[str, bool] | None:
    """E-mails of the CMDB's owners and support groups on its last day, and whether each is active."""
    from omgov_assets.quality_analysis.cmdb import SYSTEM, model_owners

    day = _last_day(lake, f"{SYSTEM}/owners")
    return model_owners(lake, day) if day else None


def _rows(lake: Lake, project: Path) -> dict[str, int] | None:
    """Rows of the last day, as ``<system>/<dataset>`` of one system and as ``<dataset>`` of all together."""
    from omgov_assets.model_management.errors import GovernanceError
    from omgov_assets.model_management.governance import load_governance

    faulty: list[GovernanceError] = []
    rows: dict[str, int] = {}
    for system in load_governance(project, faulty).systems.values():
        for dataset in system.datasets:
            table = f"{system.name}/{dataset}"
            day = _last_day(lake, table)
            if day is None:
                continue
            with lake.connect() as con:
                lake.register(con, "rows_of_day", table, day)
                ((count,),) = con.execute("SELECT count(*) FROM rows_of_day").fetchall()
            rows[table] = count
            rows[dataset] = rows.get(dataset, 0) + count
    return rows or None


def _last_day(lake: Lake, table: str) -> Any:
    return max(lake.days(table), default=None)


def _print(findings: Sequence[ModelFinding], output: FindingFormat) -> None:
    match output:
        case FindingFormat.SARIF:
            typer.echo(json.dumps(sarif(findings), ensure_ascii=False, indent=2))
        case FindingFormat.GITHUB:
            for finding in findings:
                typer.echo(github_command(finding))
        case FindingFormat.TABLE:
            rows = [
                {
                    "where": f"{finding.path}:{finding.line}:{finding.column}",
                    "severity": finding.severity,
                    "code": finding.code,
                    "problem": finding.problem,
                    "remedy": finding.remedy,
                }
                for finding in findings
            ]
            emit(rows, Format.TABLE, "Faults of processing models", "no model is at fault")
        case _:
            emit([asdict(finding) for finding in findings], Format(output.value))


def sarif(findings: Sequence[ModelFinding]) -> dict[str, Any]:
    """Findings as a log of SARIF 2.1.0 (OASIS), with one rule for each code that occurs."""
    from omgov_assets.model_management.model_check import CODES

    codes = sorted({finding.code for finding in findings})
    severities = {finding.code: finding.severity for finding in findings}
    remedies: Mapping[str, str] = {finding.code: finding.remedy for finding in reversed(findings)}
    rules = [
        {
            "id": code,
            "shortDescription": {"text": CODES.get(code, code.replace("_", " "))},
            "help": {"text": f"For example: {remedies[code]}."},
            "defaultConfiguration": {"level": _SARIF_LEVELS[severities[code]]},
        }
        for code in codes
    ]
    results = [
        {
            "ruleId": finding.code,
            "ruleIndex": codes.index(finding.code),
            "level": _SARIF_LEVELS[finding.severity],
            "message": {"text": f"{finding.problem}; {finding.remedy}"},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": _uri(finding.path), "uriBaseId": "SRCROOT"},
                        "region": {"startLine": finding.line, "startColumn": finding.column},
                    },
                    "logicalLocations": [{"name": finding.model, "kind": "module"}],
                }
            ],
            "properties": {"owner": finding.owner},
        }
        for finding in findings
    ]
    driver = {"name": "omgov", "rules": rules}
    # Columns count characters, as SARIF calls it.
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}


def github_command(finding: ModelFinding) -> str:
    """A finding as a workflow command of GitHub Actions, which shows it at its line."""
    properties = {"file": finding.path, "line": finding.line, "col": finding.column, "title": finding.code}
    listed = ",".join(f"{name}={_escaped_property(str(value))}" for name, value in properties.items())
    message = _escaped(f"{finding.problem}; {finding.remedy}")
    return f"::{_GITHUB_COMMANDS[finding.severity]} {listed}::{message}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escaped_property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")


def _uri(path: str) -> str:
    from urllib.parse import quote

    return quote(path)
