"""The record of access decisions as an asset: into the lake each night, gone along, its head anchored elsewhere."""

import os
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from omgov_assets.access_control.audit_lake import AUDIT
from omgov_assets.access_control.audit_night import verify_anchored, work_on_audit
from omgov_assets.access_control.audit_verify import Verification
from omgov_assets.access_control.snapshot import prune_snapshots
from omgov_assets.components.column_schema import platform_columns
from omgov_assets.components.firm import LAKE_POOL, daily_partitions
from omgov_assets.components.lake_resource import LakeResource
from omgov_assets.defs.analysis_metadata import table

GROUP = "access"
# Governed snapshots that nobody has asked for since are deleted; they are made anew when somebody does.
SNAPSHOTS_KEPT = timedelta(days=7)
AUDIT_KEY = dg.AssetKey(AUDIT.split("/"))
WHOLE = "audit_is_whole"
_COLUMNS = ("place", "seq", "fault", "explanation")
_RECOVERY = "`omgov audit verify` lists what is wrong; restore the files from a backup, never repair them by hand."


def build_audit_access() -> dg.AssetsDefinition:
    """The asset ``audit/access`` and its check, after all that the night does with data."""
    check = dg.AssetCheckKey(AUDIT_KEY, WHOLE)

    @dg.multi_asset(
        name="audit_access",
        specs=[
            dg.AssetSpec(
                AUDIT_KEY,
                deps=[dg.AssetKey(["exceptions", "cases"]), dg.AssetKey(["quality", "scorecards"])],
                group_name=GROUP,
                description="Every access decision, permissions and denials, as a chain of hashes; append-only.",
                kinds={"deltalake", "sqlite"},
                metadata=platform_columns(AUDIT),
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(
                WHOLE,
                asset=AUDIT_KEY,
                # What is wrong with the audit is told as an error, and keeps the report from nobody.
                blocking=False,
                description="The chain of access decisions is whole, and still the one that was anchored.",
                partitions_def=daily_partitions(),
            )
        ],
        partitions_def=daily_partitions(),
        can_subset=True,
        pool=LAKE_POOL,
        description="Moves access decisions from the log into the lake, goes along the chain, anchors its head; "
        "deletes governed snapshots that nobody has asked for in a week.",
    )
    def audit_access(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        folder = lake.settings.audit
        if AUDIT_KEY in context.selected_asset_keys:
            now = datetime.now(UTC)
            night = work_on_audit(lake.lake, folder, os.environ, now)
            pruned = prune_snapshots(lake.settings.governed, now - SNAPSHOTS_KEPT)
            found = night.verification
            metadata: dict[str, Any] = {"entries_moved": night.moved, "head": found.seq, "anchor": night.anchored}
            metadata["snapshots_pruned"] = pruned
            yield dg.MaterializeResult(asset_key=AUDIT_KEY, metadata=metadata)
        else:
            found = verify_anchored(lake.lake, folder, os.environ)
        if check in context.selected_asset_check_keys:
            yield _result(found)

    return audit_access


def _result(found: Verification) -> dg.AssetCheckResult:
    metadata: dict[str, Any] = {
        "entries_in_lake": found.in_lake,
        "entries_in_log": found.in_log,
        "findings": len(found.findings),
    }
    rows = table([asdict(finding) for finding in found.findings], _COLUMNS)
    if rows is not None:
        metadata |= {"found": rows, "recovery": dg.MetadataValue.md(_RECOVERY)}
    sound = f"the chain is whole up to entry {found.seq}" if found.seq else "no decision was ever recorded"
    return dg.AssetCheckResult(
        asset_key=AUDIT_KEY,
        check_name=WHOLE,
        passed=not found.findings,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{len(found.findings)} findings: {found.findings[0].explanation}" if found.findings else sound,
        metadata=metadata,
    )
