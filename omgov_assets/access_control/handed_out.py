"""A governed file for whoever opened a signed link to it, on record before it is handed out.

Does not belong here: whether the link opens anything now (``signed_links``), sending the file (``interface_service``).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq

from omgov_assets.access_control import audit_chain
from omgov_assets.access_control.audit_log import ClockSetBackError
from omgov_assets.access_control.decision_record import denied_to
from omgov_assets.access_control.recorded_decisions import RecordedDecisions
from omgov_assets.access_control.snapshot import UnknownSnapshotError, governed_file


def hand_out(recorded: RecordedDecisions, folder: Path, principal: str, snapshot_id: str) -> Path:
    """See ``EnforcementPoint.hand_out``; ``folder`` is that of governed files."""
    at, dataset = recorded.clock(), snapshot_id.rsplit("/", 2)[0]
    policy_hash = recorded.decisions.policy_hash
    entry = audit_chain.Decision(at, principal, dataset, "deny", "", policy_hash)
    refused = denied_to(principal, dataset, None)
    try:
        if recorded.decisions.closed:
            raise UnknownSnapshotError(recorded.decisions.closed)
        path = governed_file(folder, snapshot_id)
        footer = pq.read_metadata(path)
    except (UnknownSnapshotError, OSError) as error:
        recorded.audit.record(replace(entry, reason=f"link to a governed file: {error}"))
        raise refused from error
    handed = replace(
        entry,
        decision="allow",
        reason=f"link to {snapshot_id}",
        columns=tuple(footer.schema.to_arrow_schema().names),
        rows="as decided when the link was made",
        row_count=footer.num_rows,
    )
    try:
        recorded.audit.record(handed)
    except ClockSetBackError as error:
        raise refused from error
    return path
