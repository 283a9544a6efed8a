"""Which firm Dagster's definitions are about: the one that the environment names, read anew."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from deriving_firm import firm_at
from small_firm import SmallFirm

from omgov_assets.components import firm as firm_module


def work_on(firm: SmallFirm, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have definitions be about a firm."""
    monkeypatch.setenv("OMGOV_HOME", str(firm.settings.home))
    monkeypatch.setenv("OMGOV_PROJECT", str(firm.settings.project))
    read_governance_anew()


def work_on_copy(root: Path, to: Path, monkeypatch: pytest.MonkeyPatch) -> SmallFirm:
    """Have definitions be about a copy of a firm's folder, to go on with from where that stands."""
    shutil.copytree(root, to)
    copy = firm_at(to)
    work_on(copy, monkeypatch)
    return copy


def read_governance_anew() -> None:
    """Forget what was read of the firm, as another process would."""
    firm_module.governance_of.cache_clear()
    firm_module.policy_set_of.cache_clear()
