"""Root causes: the few combinations of attributes that explain many anomalies.

Belongs here: localising anomalies in any table of counts, and those of a day. Does not belong here: learning what
values are normal (``quality_policy.dynamic_baselines``), cases (``exception_management``).
"""

from omgov_assets.quality_analysis.root_causes.night import (
    ANOMALY_CAUSES,
    ROOT_CAUSES,
    RootCauseSummary,
    find_root_causes,
)

__all__ = ["ANOMALY_CAUSES", "ROOT_CAUSES", "RootCauseSummary", "find_root_causes"]
