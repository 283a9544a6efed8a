"""The installed wheel does what the checkout does: its definitions load, for a project outside the package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

LIST_KEYS = """
import json, omgov_assets
from omgov_assets.definitions import build_defs
graph = build_defs().resolve_asset_graph()
print(json.dumps([omgov_assets.__file__, sorted(key.to_user_string() for key in graph.get_all_asset_keys())]))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, project_root: Path) -> Path:
    """The wheel's content, as pip lays it out."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=project_root, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_holds_the_package_and_nothing_of_the_firm(installed: Path) -> None:
    assert sorted(path.name for path in installed.iterdir()) == ["omgov-0.1.0.dist-info", "omgov_assets"]
    assert list(installed.rglob("*.sql"))
    assert list(installed.rglob("*.odcs.yaml"))
    assert list(installed.rglob("*.j2"))


def test_definitions_load_from_the_wheel(installed: Path, project_root: Path, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": str(installed),
        "OMGOV_PROJECT": str(project_root),
        "OMGOV_HOME": str(tmp_path / "home"),
    }
    done = subprocess.run(
        [sys.executable, "-c", LIST_KEYS], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    where, keys = json.loads(done.stdout)
    assert Path(where).is_relative_to(installed)
    assert "securities_trading/metric_instances" in keys
    assert "quality/anomaly_rankings" in keys
    validate = [sys.executable, "-m", "dagster", "definitions", "validate", "-m", "omgov_assets.definitions"]
    subprocess.run(validate, env=environment, cwd=tmp_path, check=True, capture_output=True)
