"""Cases as an asset: what the night makes of them, and the checks that say which need somebody."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import dagster as dg

from omgov_assets.components.column_schema import platform_columns
from omgov_assets.components.firm import LAKE_POOL, daily_partitions, day_of
from omgov_assets.components.lake_resource import LakeResource
from omgov_assets.defs.analysis_metadata import table
from omgov_assets.exception_management.night import CasesSummary, update_cases
from omgov_assets.exception_management.reading import CaseFilter, list_cases, list_waivers
from omgov_assets.exception_management.rules import CaseRules
from omgov_assets.model_management.governance import Governance
from omgov_assets.quality_analysis.case_tables import CASE_EVENTS, CASE_MEMBERS, CASES

GROUP = "exceptions"
SHOWN = 50
CASES_KEY = dg.AssetKey(CASES.split("/"))

# What each check looks for, and what to do about it.
CHECKS = {
    "overdue": (
        "No case is overdue.",
        "Ask who is responsible; `omgov cases assign CASE --to-group GROUP` where it is another.",
    ),
    "unrouted": (
        "Every case has a support group or a data engineer.",
        "Give the CIs of its members a support group in the CMDB, or `omgov cases assign CASE --to-group GROUP`.",
    ),
    "owner_inactive": (
        "No case hangs on an owner who has left.",
        "Give the CIs of its members another owner in the CMDB; until then who is responsible stands in.",
    ),
    "waiver_expiring": (
        "No waiver is about to end.",
        "Have the source fixed, or waive it anew: `omgov cases waive CASE --until DAY --reason WHY`, `--standing` for "
        "what comes as well.",
    ),
}
# Without names of people and addresses: events hold no personal data.
_COLUMNS = (
    "case_id", "status", "severity", "tier", "anomaly_type", "place", "open_members", "opened_day", "due_day",
    "waived_until", "is_escalated",
)  # fmt: skip
_WAIVER_COLUMNS = ("waiver_id", "ci_id", "application_id", "support_group_id", "policy_id", "until", "members")


def build_cases(governance: Governance) -> dg.AssetsDefinition:
    """The asset ``exceptions/cases`` with its members and checks, after the root causes of the day."""
    rules = CaseRules.of(governance)

    @dg.multi_asset(
        name="exceptions__cases",
        specs=[
            dg.AssetSpec(
                name.split("/"),
                deps=[dg.AssetKey(["quality", "root_causes"]), dg.AssetKey(["quality", "anomaly_causes"])],
                group_name=GROUP,
                description=description,
                kinds={"deltalake", "duckdb"},
                metadata=platform_columns(name),
            )
            for name, description in (
                (CASES, "Anomalies of one root cause and type, followed until the source is fixed."),
                (CASE_MEMBERS, "Members of cases, down to the anomaly."),
                (CASE_EVENTS, "What happened to cases, by the night and by people; append-only."),
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(
                name, asset=CASES_KEY, blocking=True, description=description, partitions_def=daily_partitions()
            )
            for name, (description, _) in CHECKS.items()
        ],
        partitions_def=daily_partitions(),
        pool=LAKE_POOL,
        description="Brings cases up to the day. Run again, it adds no event that is there already.",
    )
    def cases(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        day = day_of(context)
        summary = update_cases(lake.lake, day, rules)
        rows = list_cases(lake.lake, day, CaseFilter())
        yield dg.MaterializeResult(asset_key=CASES_KEY, metadata=_metadata(summary, rows))
        yield dg.MaterializeResult(
            asset_key=dg.AssetKey(CASE_MEMBERS.split("/")), metadata={"open_members": summary.open_members}
        )
        yield dg.MaterializeResult(
            asset_key=dg.AssetKey(CASE_EVENTS.split("/")), metadata={"events_added": summary.events_added}
        )
        warned = day + timedelta(days=rules.exceptions.waiver_warning_days)
        standing = [row for row in list_waivers(lake.lake, day) if row["until"] <= warned]
        for name, at_fault in (
            ("overdue", [row for row in rows if row["is_overdue"]]),
            ("unrouted", [row for row in rows if row["responsible_kind"] == "governance_office"]),
            ("owner_inactive", [row for row in rows if row["inactive_owner_id"] is not None]),
            ("waiver_expiring", [row for row in rows if row["status"] == "waived" and row["waived_until"] <= warned]),
        ):
            yield _result(name, at_fault, len(rows), standing if name == "waiver_expiring" else [])

    return cases


def _metadata(summary: CasesSummary, rows: list[dict[str, Any]]) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "dagster/row_count": summary.cases,
        "open_cases": summary.open_cases,
        "open_members": summary.open_members,
        "overdue": sum(row["is_overdue"] for row in rows),
        "escalated": sum(row["is_escalated"] for row in rows),
        "events_added": summary.events_added,
        "acts_without_effect": summary.acts_without_effect,
        "following_days": ", ".join(day.isoformat() for day in summary.following_days) or "none",
        "open_them": dg.MetadataValue.md(f"`omgov cases list --day {summary.day}`"),
    }
    first = table(rows[:SHOWN], _COLUMNS)
    return metadata | ({} if first is None else {"first_cases": first})


def _result(name: str, at_fault: list[dict[str, Any]], of: int, standing: list[dict[str, Any]]) -> dg.AssetCheckResult:
    """The verdict of a check on cases, and on standing waivers where it is about waivers."""
    _, remedy = CHECKS[name]
    metadata: dict[str, Any] = {"cases": len(at_fault), "of": of}
    for title, found in (
        ("found", table(at_fault[:SHOWN], _COLUMNS)),
        ("standing_waivers", table(standing[:SHOWN], _WAIVER_COLUMNS)),
    ):
        if found is not None:
            metadata |= {title: found, "recovery": dg.MetadataValue.md(remedy)}
    described = f"{len(at_fault)} of {of} cases: {name.replace('_', ' ')}"
    return dg.AssetCheckResult(
        asset_key=CASES_KEY,
        check_name=name,
        passed=not at_fault and not standing,
        # Never ERROR: what is late must not keep the report from people.
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{described}, and {len(standing)} standing waivers" if standing else described,
        metadata=metadata,
    )
