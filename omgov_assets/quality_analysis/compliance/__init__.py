"""Compliance: a verdict on each clause of the compliance rules, for each subject that it applies to.

Belongs here: the checks that clauses are bound to, as functions of the lake and of the firm's control information.
Does not belong here: the clauses (``model_management.compliance_rules``), and what is not theirs to judge: a clause
that holds says nothing of whether it was read rightly, which is for a person to confirm.
"""

from omgov_assets.quality_analysis.compliance.evaluation import COMPLIANCE, ComplianceSummary, evaluate_compliance
from omgov_assets.quality_analysis.compliance.reading import NEVER, clauses_of, read_compliance

__all__ = ["COMPLIANCE", "NEVER", "ComplianceSummary", "clauses_of", "evaluate_compliance", "read_compliance"]
