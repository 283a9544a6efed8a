"""Preparing the deliveries of the Wikimedia example's series, by its command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def prepare_series(
    project_root: Path, real_data: Path, home: Path, first_day: str, last_day: str
) -> subprocess.CompletedProcess[str]:
    """Run the example's command as a user would; it writes into the landing folder of a home."""
    script = project_root / "examples" / "wikimedia" / "prepare_series.py"
    return subprocess.run(
        [sys.executable, str(script), "--first-day", first_day, "--last-day", last_day],
        env={**os.environ, "OMGOV_HOME": str(home), "OMGOV_REAL_DATA": str(real_data.resolve())},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
