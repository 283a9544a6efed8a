"""The fixture of this folder: an empty lake with the rooms below standing ready to fill it."""

from __future__ import annotations

from pathlib import Path

import pytest
from lower_rooms import Rooms

from omgov_assets.data_lake.lake import Lake


@pytest.fixture
def rooms(tmp_path: Path, project_root: Path) -> Rooms:
    """An empty lake."""
    contracts = project_root / "governance" / "standard" / "data_contracts"
    return Rooms(Lake(tmp_path / "lake", dataset_contracts=contracts))
