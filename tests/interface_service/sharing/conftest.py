"""The fixture of this folder: a home with shared datasets."""

from __future__ import annotations

from pathlib import Path

import pytest
from sharing_desk import ANOMALIES, FIRST_DAY, SECOND_DAY, SharingDesk, anomaly


@pytest.fixture
def desk(tmp_path: Path, project_root: Path) -> SharingDesk:
    """Anomalies of two days, shared with a steward and a business department."""
    desk = SharingDesk(tmp_path / "home", project_root)
    desk.fill(ANOMALIES, FIRST_DAY, [anomaly(1), anomaly(2, "asset_management")])
    desk.fill(ANOMALIES, SECOND_DAY, [anomaly(3), anomaly(4), anomaly(5, "asset_management")])
    desk.share(ANOMALIES, principals=("steward", "trading_department"))
    return desk
