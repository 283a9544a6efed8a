"""The fixture of this folder: the service over a home of odd values, and a door to the same home."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from odd_rows import Odd, odd_home
from served import opener, served


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory, project_root: Path) -> Iterator[Odd]:
    """The service over a home of odd values; nobody writes to it."""
    settings = odd_home(tmp_path_factory.mktemp("odd") / "home", project_root)
    with served(settings) as running, running.client("steward") as client, opener(settings)() as inside:
        yield Odd(running, client, inside)
