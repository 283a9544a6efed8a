"""Homes of omgov and the real command line on them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

DAY = "2026-11-20"
OMGOV = [sys.executable, "-c", "from omgov_assets.cli import main; main()"]


@dataclass(frozen=True)
class Home:
    """A home of omgov and how to run commands on it."""

    path: Path
    project: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "OMGOV_HOME": str(self.path),
            "OMGOV_PROJECT": str(self.project),
            "PYTHONWARNINGS": "default",
        }

    def omgov(self, *arguments: str, expected: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*OMGOV, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode in expected, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def copy_landing(self, to: Path) -> Home:
        """Another home with the same deliveries, modification times included."""
        shutil.copytree(self.path / "landing", to / "landing")
        shutil.copytree(self.path / "truth", to / "truth")
        return Home(to, self.project)


def make_firm(home: Home, seed: int, days: int = 1, instances: int = 20_000) -> None:
    home.omgov(
        "sample-firm", "--out", str(home.path), "--instances", str(instances), "--definitions", "2000",
        "--days", str(days), "--day", DAY, "--seed", str(seed),
    )  # fmt: skip
