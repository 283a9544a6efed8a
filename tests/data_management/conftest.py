"""A small firm of the test's own, whose project and home it may change."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_firm import SmallFirm, build_small_firm


@pytest.fixture
def firm(tmp_path: Path) -> SmallFirm:
    """A firm that delivers CSV."""
    return build_small_firm(tmp_path)
