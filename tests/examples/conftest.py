"""What the tests of the Wikimedia example share: the deliveries of its series, prepared once as its README says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FIRST_PREPARED, LAST_PREPARED = "2024-10-01", "2024-11-20"


@pytest.fixture(scope="session")
def prepared_home(tmp_path_factory: pytest.TempPathFactory, project_root: Path, real_data: Path) -> Path:
    """A home whose landing folder holds the series of all days that the tests govern."""
    home = tmp_path_factory.mktemp("prepared")
    done = prepare_series(project_root, real_data, home, FIRST_PREPARED, LAST_PREPARED)
    assert done.returncode == 0, done.stderr
    return home


def prepare_series(
    project_root: Path, real_data: Path, home: Path, first_day: str, last_day: str
) -> subprocess.CompletedProcess[str]:
    """Run the example's command as a user would."""
    script = project_root / "examples" / "wikimedia" / "prepare_series.py"
    return subprocess.run(
        [sys.executable, str(script), "--first-day", first_day, "--last-day", last_day],
        env={**os.environ, "OMGOV_HOME": str(home), "OMGOV_REAL_DATA": str(real_data.resolve())},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
