"""Fixtures that more than one folder of tests needs.

Only what is shared by everyone belongs here: where the project and the real data are. Lakes, sample firms and
Dagster instances are made beside the tests that use them.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Tests make homes and projects of their own; `make` and a developer's shell name theirs in the environment.
for name in ("DAGSTER_HOME", "OMGOV_HOME", "OMGOV_PROJECT"):
    os.environ.pop(name, None)

PROJECT_ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def project_root() -> Path:
    """The folder of `pyproject.toml`, `governance/` and `expectations/`."""
    return PROJECT_ROOT


@pytest.fixture(scope="session")
def real_data(project_root: Path) -> Path:
    """Real O&M data, which is not part of the project; the test is skipped where it is absent."""
    setting = os.environ.get("OMGOV_REAL_DATA")
    folder = Path(setting) if setting else project_root.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real data not found at {folder}; set OMGOV_REAL_DATA to its folder")
    return folder
