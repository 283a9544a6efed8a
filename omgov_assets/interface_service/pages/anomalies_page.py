"""``/anomalies``: the single anomalies behind any figure, and why each of them is flagged.

Does not belong here: choosing them (``choosing``).
"""

from __future__ import annotations

import base64
import binascii
import json
from datetime import date
from typing import Any

from fastapi import APIRouter, Response

from omgov_assets.access_control.governed_query import Condition
from omgov_assets.interface_service.pages.choosing import WORD_OF, chosen_by, conditions_of, labelled
from omgov_assets.interface_service.pages.labels import create_labels
from omgov_assets.interface_service.pages.page import (
    ANOMALIES,
    CASES,
    CHECK_RESULTS,
    LEDGER,
    POLICIES,
    Page,
    PageHere,
    PageRoute,
)
from omgov_assets.interface_service.pages.seen import Row, Seen
from omgov_assets.interface_service.problems import NOT_THERE, Problem
from omgov_assets.quality_analysis.anomalies import ANOMALY_TYPE as _TYPE
from omgov_assets.quality_analysis.case_tables import CASE_MEMBERS
from omgov_assets.quality_analysis.drill_down import COLUMNS
from omgov_assets.quality_analysis.report.queries import rows_of
from omgov_assets.quality_analysis.root_causes import ROOT_CAUSES
from omgov_assets.quality_analysis.root_causes.night import ANOMALY_CAUSES
from omgov_assets.quality_analysis.root_causes.reading import causes_of
from omgov_assets.quality_policy.violations import VIOLATIONS

ROWS = 50
VALUES_SHOWN = 6
# What a choice can be narrowed by on the page itself.
NARROWED_BY = ("support_group", "owner", "application", "system", "site", "metric")
_ORDERED_BY = ("severity_no", "first_seen_day", "system", "anomaly_type", "subject_key", "anomaly_id")

router = APIRouter(route_class=PageRoute)
