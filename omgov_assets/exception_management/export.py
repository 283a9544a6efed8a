"""The remediation kit: the members of a case with all that the source side needs to fix and answer.

Does not belong here: the file format (``cli``).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from omgov_assets.access_control.enforcement import EnforcementPoint
from omgov_assets.access_control.governed_query import AccessDeniedError, Condition
from omgov_assets.access_control.principals import Principal
from omgov_assets.admission.ledger import LEDGER
from omgov_assets.data_lake.lake import Lake, create_view
from omgov_assets.data_lake.sql import read_sql
from omgov_assets.quality_analysis.anomalies import ANOMALIES
from omgov_assets.quality_analysis.case_tables import CASE_MEMBERS
from omgov_assets.quality_policy.policies import load_policy_set

_EXPORT_SQL = read_sql(Path(__file__).with_name("export.sql"))
_BATCHES_SQL = """
SELECT DISTINCT ON (system, dataset, batch_id) system, dataset, batch_id, file_name
FROM ledger
WHERE decision IN ('admitted', 'partial', 'refused')
ORDER BY system, dataset, batch_id, received_at, file_name
"""


def export_members(
    lake: Lake,
    door: EnforcementPoint,
    principal: Principal,
    project: Path,
    case_id: str,
    day: date,
    only_open: bool = True,
    group: str | None = None,
    owner_id: str | None = None,
) -> pa.Table:
    """Members of a case on a day, as a principal sees them.

    Args:
        lake: the lake.
        door: what is asked for who sees what.
        principal: who it is for. What it may not see of anomalies and of the ledger is null.
        project: folder with ``expectations/``, whose policies say what to do.
        case_id: the case.
        day: a day that holds it.
        only_open: leave out members that are resolved or withdrawn.
        group: only those that a support group answers for.
        owner_id: only those of an owner.

    Returns:
        One row per member: case_id, state, anomaly_type, severity, system, dataset, source_file and source_record
        (where it was delivered), subject_kind, subject_key, source_metric, metric, ci_id, observed, expected (both as
        last seen), responsible, owner_id, policy_ids, recovery (what the policies say to do), is_unverified, since,
        last_seen (ISO days), anomaly_id. Ordered by place in the source.

    Raises:
        AccessDeniedError: the principal may not read members of cases.
        AuditUnavailableError: what leaves cannot be put on record.
    """
    with lake.connect() as con:

        def load(view: str, table: str, days: Sequence[date | None], *conditions: Condition) -> None:
            door.load(con, view, principal, table, days, conditions, "export")

        load("members", CASE_MEMBERS, (day,), Condition("case_id", "=", case_id))
        found = con.execute("SELECT DISTINCT last_seen_day FROM members WHERE last_seen_day IS NOT NULL ORDER BY 1")
        days = [seen for (seen,) in found.fetchall()]
        anomalies = tuple(one for (one,) in con.execute("SELECT anomaly_id FROM members").fetchall())
        for view, table, of, conditions in (
            ("seen", ANOMALIES, days, (Condition("anomaly_id", "in", anomalies),)),
            ("ledger", LEDGER, [None], ()),
        ):
            try:
                load(view, table, of, *conditions)
            except AccessDeniedError:
                # What was observed, and in which file, are further tables: without them the members are still told.
                lake.register(con, view, table, date.max)
        create_view(con, "batches", _BATCHES_SQL)
        wanted = {"only_open": only_open, "group": group, "owner_id": owner_id}
        rows: list[dict[str, Any]] = con.sql(_EXPORT_SQL, params=wanted).to_arrow_table().to_pylist()
    recovery = _recovery(project, {(row["system"], row["dataset"]) for row in rows})
    return pa.Table.from_pylist(
        [
            {
                **row,
                "policy_ids": ", ".join(row["policy_ids"] or ()),
                "recovery": " ".join(
                    dict.fromkeys(
                        text
                        for policy_id in row["policy_ids"] or ()
                        if (text := recovery.get((row["system"], row["dataset"], policy_id)))
                    )
                ),
            }
            for row in rows
        ]
    )


def _recovery(project: Path, datasets: set[tuple[str, str]]) -> dict[tuple[str, str, str], str]:
    """What to do, by business system, dataset and policy; of policies that the firm has no more, nothing."""
    return {
        (system, dataset, policy.policy_id): policy.meta.recovery
        for system, dataset in sorted(datasets)
        for policy in load_policy_set(project, system, dataset).policies
    }
