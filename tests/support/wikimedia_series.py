"""The Wikimedia example's series: preparing their deliveries by its command, and naming them as the oracle does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

# The oracle's name of a series, of a row of `monitoring/metric_samples`.
SERIES_NAME = (
    "concat(attributes ->> 'series_source', '#', attributes ->> 'machine', "
    "nullif(regexp_extract(source_metric, '^jumpstarter.column_(..)$', 1), ''))"
)


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
