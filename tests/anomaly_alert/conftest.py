"""Fixtures of this folder: an empty lake of the shipped firm, and an outbox."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from night_lake import NightLake

from omgov_assets.anomaly_alert.outbox import Outbox
from omgov_assets.data_lake.lake import Lake
from omgov_assets.model_management.governance import Governance, load_governance


@pytest.fixture(scope="session")
def shipped(project_root: Path) -> Governance:
    """Control information of the repository's own firm."""
    return load_governance(project_root)


@pytest.fixture
def rooms(tmp_path: Path, project_root: Path, shipped: Governance) -> NightLake:
    """An empty lake."""
    contracts = project_root / "governance" / "standard" / "data_contracts"
    return NightLake(Lake(tmp_path / "lake", dataset_contracts=contracts), shipped, tmp_path / "report")


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    """An empty outbox."""
    with Outbox(tmp_path / "alerts" / "outbox.db") as opened:
        yield opened
