"""Check of the audit: that the record of access decisions is whole, and still the one that was anchored.

Does not belong here: going along the chain (``access_control.audit_verify``).
"""

from __future__ import annotations

from collections.abc import Iterator

from omgov_assets.access_control.audit_lake import AUDIT
from omgov_assets.access_control.audit_night import verify_anchored
from omgov_assets.model_management.compliance_rules import AuditClause
from omgov_assets.quality_analysis.compliance.verdicts import Evidence, Verdict, listed

REQUIRED = "a chain of entries without a gap, none altered, as it was anchored"


def audit_is_whole(_clause: AuditClause, evidence: Evidence) -> Iterator[Verdict]:
    """One verdict."""
    found = verify_anchored(evidence.lake, evidence.audit, evidence.environment)
    version = evidence.lake.version(AUDIT)
    versions = {} if version is None else {AUDIT: version}
    observed = f"head is entry {found.seq}"
    if found.findings:
        said = listed([finding.explanation for finding in found.findings[:3]])
        if len(found.findings) > 3:
            said += f" and {len(found.findings) - 3} more findings"
        yield Verdict(AUDIT, "failed", observed, REQUIRED, said, versions)
    elif found.seq == 0:
        yield Verdict(AUDIT, "not_evaluated", None, REQUIRED, "no decision was ever recorded")
    else:
        yield Verdict(AUDIT, "passed", observed, REQUIRED, "the chain is whole", versions)
