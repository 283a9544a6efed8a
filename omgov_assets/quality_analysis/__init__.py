"""Floor 5: what the violations mean. Anomalies with their dimensions, statistics, rankings, the comparison
with a ground truth, and the steward's morning report.

Everything here is computed from the stream of violations, the check results, the inventory and the CMDB of
the same day. Does not belong here: judging rows (``quality_policy``), following an anomaly until it is fixed
(``exception_management``).
"""
