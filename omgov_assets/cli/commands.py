"""The commands of ``omgov`` and their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from omgov_assets.cli.access import access_app
from omgov_assets.cli.access_tokens import link_key_app, token_app
from omgov_assets.cli.admission import admission_app, replay
from omgov_assets.cli.alerts import alerts_app
from omgov_assets.cli.analysis import analysis_app
from omgov_assets.cli.audit import audit_app
from omgov_assets.cli.case_export import export as export_case
from omgov_assets.cli.cases import cases_app
from omgov_assets.cli.catalogues import catalogue_app, import_catalogue
from omgov_assets.cli.compliance import compliance
from omgov_assets.cli.control import control_app
from omgov_assets.cli.evaluation import evaluate
from omgov_assets.cli.export import export
from omgov_assets.cli.homes import require_own_home
from omgov_assets.cli.mappings import mappings_app
from omgov_assets.cli.models import check_models
from omgov_assets.cli.options import Home, HomeToRead, Output, Project, day_or_last, lake_of, parsed_day
from omgov_assets.cli.output import PLATFORM_FAILURE, Format, emit, notice
from omgov_assets.cli.policies import check, policies_app
from omgov_assets.cli.root_causes import root_cause
from omgov_assets.cli.serve import serve
from omgov_assets.cli.share import share_app
from omgov_assets.cli.standard import standard_app
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings

app = typer.Typer(
    name="omgov",
    help="O&M data governance of a securities firm. Exit codes: 0 clean, 1 platform failure, 2 something was refused "
    "or not delivered.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
lake_app = typer.Typer(help="The lake itself.", no_args_is_help=True)
app.add_typer(lake_app, name="lake")
app.add_typer(cases_app, name="cases")
cases_app.command("export")(export_case)
app.add_typer(control_app, name="control")
app.add_typer(standard_app, name="standard")
app.add_typer(mappings_app, name="mappings")
app.add_typer(policies_app, name="policies")
app.add_typer(catalogue_app, name="catalogue")
app.add_typer(access_app, name="access")
app.add_typer(admission_app, name="admission")
app.add_typer(alerts_app, name="alerts")
access_app.add_typer(token_app, name="token")
access_app.add_typer(link_key_app, name="link-key")
app.add_typer(audit_app, name="audit")
app.add_typer(share_app, name="share")
app.registered_commands += analysis_app.registered_commands
app.command("export")(export)
app.command("compliance")(compliance)
app.command("evaluate")(evaluate)
app.command("replay")(replay)
app.command("import-catalogue")(import_catalogue)
app.command("check")(check)
app.command("check-models")(check_models)
app.command("root-cause")(root_cause)
app.command("serve")(serve)


@app.command("sample-firm")
def sample_firm(
    out: Annotated[
        Path, typer.Option("--out", help="Folder that gets landing/ and truth/.", callback=require_own_home)
    ],
    definitions: Annotated[int, typer.Option(help="Metric definitions of all systems.")] = 20_000,
    instances: Annotated[int, typer.Option(help="Metric instances of all systems.")] = 2_000_000,
    days: Annotated[int, typer.Option(help="Consecutive business days.")] = 1,
    day: Annotated[str, typer.Option(help="First business day, YYYY-MM-DD.")] = "2026-11-20",
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 7,
    incidents: Annotated[
        bool,
        typer.Option(
            "--incidents",
            help="Over the days, deliveries are missing, owners leave, series leave the inventory and come back, and "
            "defects are fixed and recur; truth/members/ says what became of each anomaly.",
        ),
    ] = False,
) -> None:
    """Write the landing files of a simulated firm with known defects, and the truth about them."""
    from omgov_assets.sample_firm.generate import generate_firm

    generate_firm(
        out,
        definitions=definitions,
        instances=instances,
        days=days,
        first_day=parsed_day(day),
        seed=seed,
        incidents=incidents,
        progress=notice,
    )


@app.command()
def run(
    day: Annotated[str | None, typer.Option("--day", help="Business day, YYYY-MM-DD. Default yesterday.")] = None,
    home: Home = None,
    project: Project = None,
    inventory: Annotated[
        bool, typer.Option("--inventory", help="Only checks and analysis of what is in the lake; collect nothing.")
    ] = False,
) -> None:
    """Govern a day: collect, admit, check, analyse, report. Running a day again changes nothing that is right."""
    from omgov_assets.cli.night import govern

    chosen = parsed_day(day) if day else None
    raise typer.Exit(govern(Settings.from_environment(home, project), chosen, inventory=inventory))


@app.command("try")
def try_file(
    system: Annotated[str, typer.Argument(help="Business system.")],
    dataset: Annotated[str, typer.Argument(help="Dataset of the system.")],
    file: Annotated[Path, typer.Argument(help="File to try.", exists=True, dir_okay=False)],
    day: Annotated[
        str | None, typer.Option("--day", help="Business day of the file. Default the last in the lake.")
    ] = None,
    output: Output = Format.TABLE,
    home: HomeToRead = None,
    project: Project = None,
) -> None:
    """Take one file through contract, model and policies without touching the lake."""
    from omgov_assets.cli.trial import try_delivery

    settings = Settings.from_environment(home, project)
    lake = Lake(settings.lake, settings.dataset_contracts)
    chosen = day_or_last(lake, "control/standard_metrics", day)
    raise typer.Exit(try_delivery(settings, lake, system, dataset, file, chosen, output, beside=day is not None))


@lake_app.command("doctor")
def doctor(output: Output = Format.TABLE, home: HomeToRead = None, project: Project = None) -> None:
    """Look for torn commits, missing files and rows that the ledger knows but the lake does not hold."""
    from omgov_assets.admission.reconciliation import examine_lake

    findings = examine_lake(lake_of(home, project))
    emit(findings, output, "Findings", "the lake is sound")
    raise typer.Exit(PLATFORM_FAILURE if findings else 0)
