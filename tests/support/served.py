"""The interface service over a home, on a real socket of this process, and tokens of principals.

One governed home is made per run of the tests, by whichever worker asks first; each test that changes one copies it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from nights import DAY, Home, make_firm
from service_process import port_of, served_in_thread

from omgov_assets.access_control.token_rates import Rate
from omgov_assets.access_control.tokens import ACTIONS, TokenStore
from omgov_assets.data_lake.settings import Settings
from omgov_assets.interface_service.app import create_app
from omgov_assets.interface_service.limits import Limits
from omgov_assets.interface_service.service import Service

FAST = Rate(per_minute=6000, burst=6000)
# 64 hexadecimal digits, as `openssl rand -hex 32` gives them.
MASK_KEY = "5f" * 32


def governed_home(tmp_path_factory: pytest.TempPathFactory, project_root: Path) -> Home:
    """The home of one night of a sample firm (20,000 instances, day ``nights.DAY``); nobody writes to it."""
    # The parent of every worker's own folder; without workers that folder itself.
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "governed-home"
    home = Home(shared, project_root)
    with shared.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "done").exists():
            make_firm(home, seed=7)
            # 2: the sample firm has deliveries that are refused.
            home.omgov("run", "--day", DAY, expected=(0, 2))
            (shared / "done").touch()
    return home


def copy_of(home: Home, to: Path) -> Home:
    """A home of one's own with the same content."""
    shutil.copytree(home.path, to, ignore=shutil.ignore_patterns("dagster"))
    return Home(to, home.project)


def token_of(settings: Settings, principal: str, *scope: str, rate: Rate = FAST, days: int = 1) -> str:
    """A token of a principal, for every action where no scope is given."""
    with TokenStore(settings.tokens) as tokens:
        text, _ = tokens.create(principal, scope or ACTIONS, datetime.now(UTC), timedelta(days=days), rate)
    return text


def opener(settings: Settings, limits: Limits | None = None) -> Callable[[], AbstractContextManager[Service]]:
    """Opens the service of a home with a key of masks."""
    return lambda: Service.of_home(settings, limits, {**os.environ, "OMGOV_MASK_KEY": MASK_KEY})


@dataclass(frozen=True)
class Served:
    """A running service.

    Attributes:
        url: where it is, without a slash at its end.
        settings: its home.
    """

    url: str
    settings: Settings

    def client(self, principal: str | None = None, purpose: str | None = None) -> httpx.Client:
        """An HTTP client, with a token of a principal where one is named; close it."""
        headers = {}
        if principal is not None:
            headers["Authorization"] = f"Bearer {token_of(self.settings, principal)}"
        if purpose is not None:
            headers["Omgov-Purpose"] = purpose
        return httpx.Client(base_url=self.url, headers=headers, timeout=60)


@contextmanager
def served(
    settings: Settings,
    limits: Limits | None = None,
    open_service: Callable[[], AbstractContextManager[Service]] | None = None,
) -> Iterator[Served]:
    """The service of a home on a port of its own, until the context ends."""
    limits = limits or Limits()
    with served_in_thread(create_app(open_service or opener(settings, limits), limits), limits) as server:
        yield Served(f"http://127.0.0.1:{port_of(server)}", settings)
