"""The fixture of this folder: an empty home with a lake and an audit log."""

from __future__ import annotations

from pathlib import Path

import pytest
from audit_cases import Home


@pytest.fixture
def home(tmp_path: Path, project_root: Path) -> Home:
    """An empty home."""
    return Home(tmp_path / "home", project_root)
