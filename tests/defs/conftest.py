"""A small firm whose project and home the definitions read."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_firm import SmallFirm, build_small_firm

from omgov_assets.components import firm as firm_module


@pytest.fixture
def firm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallFirm:
    """A small firm that ``OMGOV_HOME`` and ``OMGOV_PROJECT`` point to."""
    built = build_small_firm(tmp_path)
    monkeypatch.setenv("OMGOV_HOME", str(built.settings.home))
    monkeypatch.setenv("OMGOV_PROJECT", str(built.settings.project))
    firm_module.governance_of.cache_clear()
    firm_module.policy_set_of.cache_clear()
    return built
