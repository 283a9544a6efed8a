"""The official client of Delta Sharing, in an environment of its own: it takes other versions of pandas than omgov.

The environment is made once and kept below ``OMGOV_TEST_CACHE``, or else the folder of temporary files.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

VERSION = "1.4.2"
_LONGEST_S = 300


@dataclass(frozen=True)
class DeltaSharingClient:
    """Runs scripts that use ``delta_sharing``."""

    python: Path

    def run(self, script: str, **given: Any) -> Any:
        """What a script prints as JSON; ``given`` are its variables."""
        variables = "".join(f"{name} = {value!r}\n" for name, value in given.items())
        done = subprocess.run(
            [self.python, "-c", f"{_BEGINNING}{variables}{script}"],
            capture_output=True,
            text=True,
            timeout=_LONGEST_S,
            env={"PATH": os.environ["PATH"]},
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return json.loads(done.stdout.splitlines()[-1])


# Results as lists of rows, with values as texts where JSON has none.
_BEGINNING = """
import json
import delta_sharing
from delta_sharing.protocol import Schema, Share, Table

def rows(frame, *columns):
    frame = frame[list(columns)] if columns else frame
    return json.loads(frame.to_json(orient="records", date_format="iso", default_handler=str))

def say(**found):
    print(json.dumps(found))

"""


def installed_client() -> DeltaSharingClient:
    """The client; skips the test, saying so, where it cannot be installed."""
    cache = Path(os.environ.get("OMGOV_TEST_CACHE") or tempfile.gettempdir())
    folder = cache / f"omgov-delta-sharing-{VERSION}-py{sys.version_info.major}{sys.version_info.minor}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        # Workers that come second find it made.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            _install(folder)
    return DeltaSharingClient(folder / "bin" / "python")


def _install(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for command in (
        [sys.executable, "-m", "venv", folder],
        # Of all that is installed, tests import little.
        [folder / "bin" / "python", "-m", "pip", "install", "-q", "--no-compile", "--disable-pip-version-check",
         f"delta-sharing=={VERSION}"],
    ):  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_S)
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()
            pytest.skip(f"delta-sharing {VERSION} cannot be installed: {said[-1] if said else done.returncode}")
    (folder / "done").touch()
