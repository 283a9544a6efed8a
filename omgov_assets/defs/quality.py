"""Quality analysis as assets: violations, anomalies, statistics, rankings, root causes, scorecards,
report.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from omgov_assets.components.business_system import dataset_key
from omgov_assets.components.column_schema import platform_columns
from omgov_assets.components.firm import LAKE_POOL, daily_partitions, day_of
from omgov_assets.components.lake_resource import LakeResource
from omgov_assets.defs.analysis_metadata import (
    of_rankings,
    of_root_causes,
    of_scorecards,
    of_statistics,
    summary_of,
)
from omgov_assets.defs.derived import derived_keys
from omgov_assets.defs.model_checks import MODELS_KEY
from omgov_assets.model_management.governance import Governance
from omgov_assets.quality_analysis.anomalies import identify_anomalies
from omgov_assets.quality_analysis.changes import recompute_changes
from omgov_assets.quality_analysis.rankings import RANKED_DIMENSIONS, rank_anomalies, read_rankings
from omgov_assets.quality_analysis.report import Edition, write_report
from omgov_assets.quality_analysis.root_causes import ANOMALY_CAUSES, ROOT_CAUSES, find_root_causes
from omgov_assets.quality_analysis.root_causes.reading import read_root_causes
from omgov_assets.quality_analysis.rules import AnalysisRules
from omgov_assets.quality_analysis.scorecards import OVERALL, SUBJECT_KINDS, compute_scorecards, read_scorecards
from omgov_assets.quality_analysis.statistics import compute_statistics
from omgov_assets.quality_analysis.views import write_views
from omgov_assets.quality_policy.violations import CHECK_RESULTS, VIOLATIONS

GROUP = "quality"
TOP = 10


def build_quality_assets(governance: Governance) -> list[dg.AssetsDefinition]:
    """All assets downstream of the business systems."""
    return [
        _violations(governance),
        _anomalies(governance),
        _statistics(governance),
        _rankings(),
        _root_causes(governance),
        _scorecards(governance),
        _report(governance),
    ]


def _violations(governance: Governance) -> dg.AssetsDefinition:
    datasets = [dataset_key(system.name, name) for system in governance.systems.values() for name in system.datasets]

    @dg.multi_asset(
        name="violations",
        specs=[
            dg.AssetSpec(
                table.split("/"),
                deps=[*datasets, MODELS_KEY, *derived_keys(governance)],
                group_name=GROUP,
                description=description,
                kinds={"deltalake"},
                metadata=platform_columns(table),
            )
            for table, description in (
                (VIOLATIONS, "One subject failing one policy: the one stream that the gate and all policies write."),
                (CHECK_RESULTS, "Verdict of each policy on each dataset of the day."),
            )
        ],
        partitions_def=daily_partitions(),
        pool=LAKE_POOL,
        description="Closes the day's stream of violations: all gates and checks of the day have written to it.",
    )
    def violations(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[dg.MaterializeResult[Any]]:
        day = day_of(context)
        with lake.get_connection() as con:
            for table, dimension in ((VIOLATIONS, "anomaly_type"), (CHECK_RESULTS, "verdict")):
                lake.lake.register(con, "closed", table, day)
                rows = con.execute(f"SELECT {dimension}, count(*) FROM closed GROUP BY 1 ORDER BY 2 DESC, 1").fetchall()  # noqa: S608 - two fixed names
                yield dg.MaterializeResult(
                    asset_key=dg.AssetKey(table.split("/")),
                    metadata={
                        "dagster/row_count": sum(count for _, count in rows),
                        f"by_{dimension}": dg.MetadataValue.table(
                            [dg.TableRecord({dimension: key, "rows": count}) for key, count in rows]
                            or [dg.TableRecord({dimension: "none", "rows": 0})]
                        ),
                    },
                )

    return violations


def _anomalies(governance: Governance) -> dg.AssetsDefinition:
    @dg.asset(
        key=["quality", "anomalies"],
        metadata=platform_columns("quality/anomalies"),
        deps=[dg.AssetKey(VIOLATIONS.split("/"))],
        group_name=GROUP,
        kinds={"deltalake", "duckdb"},
        partitions_def=daily_partitions(),
        pool=LAKE_POOL,
    )
    def anomalies(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult[Any]:
        """One subject with one anomaly type on one day, with all its dimensions."""
        summary = identify_anomalies(lake.lake, day_of(context), AnalysisRules.of(governance))
        return dg.MaterializeResult(metadata={"dagster/row_count": summary.anomalies})

    return anomalies


def _statistics(governance: Governance) -> dg.AssetsDefinition:
    @dg.asset(
        key=["quality", "anomaly_statistics"],
        metadata=platform_columns("quality/anomaly_statistics"),
        deps=[dg.AssetKey(["quality", "anomalies"])],
        group_name=GROUP,
        kinds={"deltalake", "duckdb"},
        partitions_def=daily_partitions(),
        pool=LAKE_POOL,
    )
    def anomaly_statistics(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult[Any]:
        """Cube of anomaly counts over all dimensions and chosen pairs, with rates and changes."""
        summary = compute_statistics(lake.lake, day_of(context), AnalysisRules.of(governance))
        return dg.MaterializeResult(metadata=of_statistics(summary))

    return anomaly_statistics


def _rankings() -> dg.AssetsDefinition:
    @dg.asset(
        key=["quality", "anomaly_rankings"],
        metadata=platform_columns("quality/anomaly_rankings"),
        deps=[dg.AssetKey(["quality", "anomaly_statistics"])],
        group_name=GROUP,
        kinds={"deltalake", "duckdb"},
        partitions_def=daily_partitions(),
        pool=LAKE_POOL,
    )
    def anomaly_rankings(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult[Any]:
        """Each dimension's keys ranked by anomalies, rate, score, impact, and change to the day before."""
        day = day_of(context)
        summary = rank_anomalies(lake.lake, day)
        first_ranks = {name: read_rankings(lake.lake, name, TOP, day) for name in RANKED_DIMENSIONS}
        return dg.MaterializeResult(metadata={"dagster/row_count": summary.rows} | of_rankings(first_ranks))

    return anomaly_rankings


def _root_causes(governance: Governance) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name="quality__root_causes",
        specs=[
            dg.AssetSpec(
                table.split("/"),
                deps=[dg.AssetKey(["quality", "anomaly_rankings"])],
                group_name=GROUP,
                description=description,
                kinds={"deltalake", "duckdb"},
                metadata=platform_columns(table),
            )
            for table, description in (
                (ROOT_CAUSES, "The combinations of attributes that explain the day's anomalies, ranked."),
                (ANOMALY_CAUSES, "Which root cause each anomaly is assigned to, if any."),
            )
        ],
        partitions_def=daily_partitions(),
        pool=LAKE_POOL,
        description="Explains the day's anomalies by few causes, and assigns every anomaly to one of them or to none.",
    )
    def root_causes(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[dg.MaterializeResult[Any]]:
        day = day_of(context)
        summary = find_root_causes(lake.lake, day, AnalysisRules.of(governance))
        first = read_root_causes(lake.lake, day, TOP)
        yield dg.MaterializeResult(
            asset_key=dg.AssetKey(ROOT_CAUSES.split("/")), metadata=of_root_causes(summary, first)
        )
        yield dg.MaterializeResult(
            asset_key=dg.AssetKey(ANOMALY_CAUSES.split("/")),
            metadata={
                "dagster/row_count": summary.anomalies,
                "explained": summary.explained,
                "unexplained": summary.anomalies - summary.explained,
            },
        )

    return root_causes


def _scorecards(governance: Governance) -> dg.AssetsDefinition:
    @dg.asset(
        key=["quality", "scorecards"],
        metadata=platform_columns("quality/scorecards"),
        # Of following days it recomputes the causes as well: those of this day come first.
        deps=[dg.AssetKey(["quality", "anomaly_rankings"]), dg.AssetKey(["quality", "root_causes"])],
        group_name=GROUP,
        kinds={"deltalake", "duckdb"},
        partitions_def=daily_partitions(),
        pool=LAKE_POOL,
    )
    def scorecards(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult[Any]:
        """How good the data of each system, site, support group, owner and application is, by quality dimension.

        Where following days were governed already, what they say of the day before is computed anew.
        """
        day, rules = day_of(context), AnalysisRules.of(governance)
        summary = compute_scorecards(lake.lake, day, rules)
        recomputed = recompute_changes(lake.lake, day, rules)
        systems = {
            name: read_scorecards(lake.lake, "system", day, quality_dimension=name)
            for name in (*rules.scores.quality_dimension_weights, OVERALL)
        }
        lowest = {kind: read_scorecards(lake.lake, kind, day, top=TOP) for kind in SUBJECT_KINDS[2:]}
        metadata = of_scorecards(summary, systems, lowest)
        metadata["following_days_recomputed"] = ", ".join(other.isoformat() for other in recomputed) or "none"
        return dg.MaterializeResult(metadata=metadata)

    return scorecards


def _report(governance: Governance) -> dg.AssetsDefinition:
    @dg.asset(
        key=["quality", "governance_report"],
        deps=[
            *(dg.AssetKey(["quality", name]) for name in ("scorecards", "root_causes", "anomaly_causes", "compliance")),
            *(dg.AssetKey(["exceptions", name]) for name in ("cases", "case_members")),
        ],
        group_name=GROUP,
        kinds={"html"},
        partitions_def=daily_partitions(),
        pool=LAKE_POOL,
    )
    def governance_report(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult[Any]:
        """The steward's morning report of the day, and the views of the lake for BI tools."""
        report = write_report(lake.lake, day_of(context), lake.settings.report, Edition.of(governance))
        views = write_views(lake.lake, lake.settings.views)
        metadata: dict[str, Any] = {
            "report": dg.MetadataValue.path(str(report.path)),
            "pages": report.pages,
            "summary": dg.MetadataValue.md(summary_of(report.morning)),
            "views": dg.MetadataValue.path(str(lake.settings.views)),
            "views_shown": len(views),
        }
        return dg.MaterializeResult(metadata=metadata)

    return governance_report
