"""Fixtures of the interface service: a governed home that nobody changes, and the service over a copy of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from nights import Home
from served import Served, copy_of, governed_home, served

from omgov_assets.data_lake.settings import Settings


@pytest.fixture(scope="session")
def night_home(tmp_path_factory: pytest.TempPathFactory, project_root: Path) -> Home:
    """The home of one governed night; nobody writes to it."""
    return governed_home(tmp_path_factory, project_root)


@pytest.fixture(scope="module")
def service(night_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The service over a copy of that home, shared by the tests of a module."""
    home = copy_of(night_home, tmp_path_factory.mktemp("served") / "home")
    with served(Settings(home.path, home.project)) as running:
        yield running
