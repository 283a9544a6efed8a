"""A small firm whose project and home the definitions read."""

from __future__ import annotations

from pathlib import Path

import pytest
from firm_at_work import work_on
from small_firm import SmallFirm, build_small_firm


@pytest.fixture
def firm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallFirm:
    """A small firm that ``OMGOV_HOME`` and ``OMGOV_PROJECT`` point to."""
    built = build_small_firm(tmp_path)
    work_on(built, monkeypatch)
    return built
