"""What the tests of the Wikimedia example share: the deliveries of its series, prepared once as its README says."""

from __future__ import annotations

from pathlib import Path

import pytest
from wikimedia_series import prepare_series

FIRST_PREPARED, LAST_PREPARED = "2024-10-01", "2024-11-16"


@pytest.fixture(scope="session")
def prepared_home(tmp_path_factory: pytest.TempPathFactory, project_root: Path, real_data: Path) -> Path:
    """A home whose landing folder holds the series of all days that the tests govern."""
    home = tmp_path_factory.mktemp("prepared")
    done = prepare_series(project_root, real_data, home, FIRST_PREPARED, LAST_PREPARED)
    assert done.returncode == 0, done.stderr
    return home
