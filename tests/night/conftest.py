"""Nights of small sample firms, run once and shared by the tests that look at them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from nights import DAY, Home, make_firm
from ten_nights import GovernedNights, govern_ten_nights


@pytest.fixture(scope="session")
def night(tmp_path_factory: pytest.TempPathFactory, project_root: Path) -> Home:
    """A firm of a seed that nobody chose, governed for one day. Records are refused on purpose: exit code 2."""
    home = Home(tmp_path_factory.mktemp("night"), project_root)
    seed = random.SystemRandom().randrange(1, 1_000_000)
    print(f"sample firm of seed {seed}")
    make_firm(home, seed)
    home.omgov("run", "--day", DAY, expected=(2,))
    return home


@pytest.fixture(scope="session")
def governed(tmp_path_factory: pytest.TempPathFactory, project_root: Path) -> GovernedNights:
    """Ten nights of a firm with incidents, people at work in between: long, so made once for all that looks at them."""
    return govern_ten_nights(Home(tmp_path_factory.mktemp("ten_nights"), project_root))
