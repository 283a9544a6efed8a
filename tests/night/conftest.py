"""A night of a small sample firm, run once by the real command line and shared by the tests that look at it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from nights import DAY, Home, make_firm


@pytest.fixture(scope="session")
def night(tmp_path_factory: pytest.TempPathFactory, project_root: Path) -> Home:
    """A firm of a seed that nobody chose, governed for one day. Records are refused on purpose: exit code 2."""
    home = Home(tmp_path_factory.mktemp("night"), project_root)
    seed = random.SystemRandom().randrange(1, 1_000_000)
    print(f"sample firm of seed {seed}")
    make_firm(home, seed)
    home.omgov("run", "--day", DAY, expected=(2,))
    return home
