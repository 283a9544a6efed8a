"""Small firms that deliver in each format. Their projects are shared; every test has a home of its own."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from small_firm import FirmOf, SmallFirm, build_small_firm


@pytest.fixture(scope="session")
def projects(tmp_path_factory: pytest.TempPathFactory) -> FirmOf:
    """Builds the project of a format once."""
    return cache(lambda delivers: build_small_firm(tmp_path_factory.mktemp(delivers), delivers))


@pytest.fixture
def firm_of(projects: FirmOf, tmp_path: Path) -> FirmOf:
    """A firm that delivers in a format, with an empty home; its project must be left as it is."""
    return lambda delivers: projects(delivers).at(tmp_path / "home")


@pytest.fixture
def firm(tmp_path: Path) -> SmallFirm:
    """A firm that delivers CSV, with a project of its own that a test may change."""
    return build_small_firm(tmp_path)
