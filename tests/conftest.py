"""Fixtures that more than one folder of tests needs.

Only what is shared by everyone belongs here: where the project and the real data are. Lakes, sample firms and
Dagster instances are made beside the tests that use them.
"""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.testing

# Tests make homes and projects of their own; `make` and a developer's shell name theirs in the environment.
for name in ("DAGSTER_HOME", "OMGOV_HOME", "OMGOV_PROJECT"):
    os.environ.pop(name, None)

# Building the commands takes longer than most of them: once is enough for all that a worker runs in its own process.
typer.testing._get_command = cache(typer.testing._get_command)

PROJECT_ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def project_root() -> Path:
    """The folder of `pyproject.toml`, `governance/` and `expectations/`."""
    return PROJECT_ROOT


@pytest.fixture(scope="session")
def real_data(project_root: Path) -> Path:
    """Real O&M data, which is not part of the project; the test is skipped where it is absent."""
    setting = os.environ.get("OMGOV_REAL_DATA")
    folder = Path(setting) if setting else project_root.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real data not found at {folder}; set OMGOV_REAL_DATA to its folder")
    return folder


# What takes longest, longest first, as files or groups. One that came last would keep one worker busy while all others
# have nothing left to do. Where the order is no longer right, tests take somewhat longer, and prove the same.
LONGEST_FIRST = (
    "ten_nights",
    "wikimedia",
    "two_days",
    "night",
    "tests/night/test_baselines_over_days.py",
    "tests/night/test_personal_data.py",
    "tests/defs/test_derived_assets.py",
    "tests/exception_management/test_nights.py",
    "tests/exception_management/test_acts.py",
    "tests/defs/test_graph.py",
    # Makes the home that other files of the service wait for: these come when it is there.
    "tests/interface_service/rest/test_rest_cases.py",
    "tests/anomaly_alert/test_outbox_faults.py",
    "tests/model_management/model_check/test_corpus_verdicts.py",
    "tests/quality_analysis/test_scorecards.py",
    "tests/interface_service/pages/test_pages_by_http.py",
    "tests/interface_service/sharing/test_delta_sharing_client.py",
    "tests/admission/test_replay.py",
    "tests/data_management/test_derivation.py",
)


@cache
def _group_of(file: str) -> str | None:
    """The group that a test file's ``pytestmark`` names."""
    named = re.search(r'xdist_group\("(\w+)"\)', (PROJECT_ROOT / file).read_text(encoding="utf-8"))
    return named and named.group(1)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the tests of a group, and those of a file, on one worker, so that they share one night.

    pytest-xdist writes the group into each test's identifier, which pytest 9.2 does not let it change: every group
    would be spread over all workers, and each of them would run the night again. Files are kept together as well, since
    each worker would make their fixtures.
    """
    if config.getvalue("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling

    # It would begin with the files of many tests, which are the quick ones, rather than with what workers put first.
    config.option.loadscopereorder = False

    class GroupScheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _scope_of(nodeid)

    return GroupScheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On a worker, put what takes longest first; tests of one file stay in their order."""
    if hasattr(config, "workerinput"):
        places = {name: place for place, name in enumerate(LONGEST_FIRST)}
        items.sort(key=lambda item: places.get(_scope_of(item.nodeid), len(places)))


def _scope_of(nodeid: str) -> str:
    """The group or the file that a test shares its fixtures with."""
    file = nodeid.partition("::")[0]
    return _group_of(file) or file
