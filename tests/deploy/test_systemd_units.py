"""The units of `deploy/systemd/`: systemd knows each setting, the commands exist, and all are locked up alike."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from functools import cache
from itertools import takewhile
from pathlib import Path

import pytest
from deployment import INSTALLED, Unit, read_unit

NAMES = ["omgov-dagster-daemon", "omgov-dagster-webserver", "omgov-dagster-webserver-readonly", "omgov-serve"]
SYSTEMD = shutil.which("systemd-analyze")
# systemd-analyze tells 0 (locked up) to 10 (anything goes).
MOST_EXPOSED = 2.0

each_unit = pytest.mark.parametrize("name", NAMES)


def unit_of(project_root: Path, name: str) -> Unit:
    return read_unit(project_root / "deploy" / "systemd" / f"{name}.service")


def test_these_are_the_units(project_root: Path) -> None:
    assert sorted(file.stem for file in (project_root / "deploy" / "systemd").iterdir()) == NAMES


@each_unit
def test_a_unit_runs_a_command_of_ours_with_options_that_it_knows(name: str, project_root: Path) -> None:
    unit = unit_of(project_root, name)
    assert len(unit.values("ExecStart")) == 1
    for line in (*unit.values("ExecStart"), *unit.values("ExecStartPre")):
        assert line.startswith(INSTALLED)
        require_known(unit.words(line, unit.environment))


def require_known(command: list[str]) -> None:
    """Fail where a program has no such subcommand or option."""
    subcommands = list(takewhile(lambda word: re.fullmatch(r"[a-z][a-z-]*", word), command[1:]))
    if not command[0].endswith("/omgov") and not command[0].endswith("/dagster"):
        subcommands = subcommands[:1]
    shown = help_of(command[0], *subcommands)
    for option in (word for word in command if re.fullmatch(r"--?[a-z][a-z-]*", word)):
        assert re.search(rf"(?<![\w-]){option}(?![\w-])", shown), f"{command[0]} has no option {option}"


def test_dagsters_stores_are_made_by_one_program_before_any_other_opens_them(project_root: Path) -> None:
    # Two that make them at once leave two heads in `alembic_version`, and nothing opens them any more.
    daemon = unit_of(project_root, "omgov-dagster-daemon")
    assert daemon.values("ExecStartPre") == [f"{INSTALLED}dagster instance migrate"]
    for name in ("omgov-dagster-webserver", "omgov-dagster-webserver-readonly"):
        after = [value for _, one, value in unit_of(project_root, name).settings if one == "After"]
        assert "omgov-dagster-daemon.service" in " ".join(after).split()


def test_what_the_daemons_unit_does_first_makes_all_stores(project_root: Path, tmp_path: Path) -> None:
    unit = unit_of(project_root, "omgov-dagster-daemon")
    (line,) = unit.values("ExecStartPre")
    (tmp_path / "dagster.yaml").symlink_to(project_root / "dagster.yaml")
    environment = {**os.environ, "DAGSTER_HOME": str(tmp_path)}
    for _ in range(2):
        subprocess.run(unit.words(line, {}), env=environment, check=True, capture_output=True, timeout=120)
        for store in ("history/runs.db", "history/runs/index.db", "schedules/schedules.db"):
            with closing(sqlite3.connect(tmp_path / store)) as con:
                assert len(con.execute("SELECT version_num FROM alembic_version").fetchall()) == 1


@cache
def help_of(program: str, *subcommands: str) -> str:
    assert Path(program).is_file(), f"{program} is not installed by this project"
    command = [program, *subcommands, "--help"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


@each_unit
def test_a_unit_writes_to_the_home_alone_and_names_no_other_machines_paths(name: str, project_root: Path) -> None:
    unit = unit_of(project_root, name)
    roots = ("/opt/omgov", "/var/lib/omgov", "/etc/omgov", "/mnt/omgov-anchors")
    paths = {path for _, _, value in unit.settings for path in re.findall(r"(?<![\w/:])/[\w./-]+", value)}
    assert {path for path in paths if not path.startswith(roots)} == set()
    writable = {value.lstrip("-") for value in unit.values("ReadWritePaths")}
    assert writable <= {"/var/lib/omgov", "/var/lib/omgov/dagster", "/mnt/omgov-anchors"}
    assert unit.environment["OMGOV_HOME"] == "/var/lib/omgov"


def test_dagsters_web_servers_have_no_keys_and_only_the_stewards_one_is_read_only(project_root: Path) -> None:
    for name in ("omgov-dagster-webserver", "omgov-dagster-webserver-readonly"):
        unit = unit_of(project_root, name)
        assert not [value for value in unit.values("EnvironmentFile") if "keys" in value]
        (hidden,) = unit.values("InaccessiblePaths")
        assert {"/etc/omgov/keys", "-/var/lib/omgov/access", "-/var/lib/omgov/audit", "-/var/lib/omgov/lake"} <= {
            *hidden.split()
        }
        (line,) = unit.values("ExecStart")
        assert line.endswith(" --read-only") == name.endswith("-readonly")
        assert " -h 127.0.0.1 " in line


def test_all_units_are_locked_up_alike(project_root: Path) -> None:
    kept = ("UMask", "NoNewPrivileges", "ProtectSystem", "CapabilityBoundingSet", "SystemCallFilter", "Restart", "User")
    settings = [{name: unit_of(project_root, unit).values(name) for name in kept} for unit in NAMES]
    assert all(one == settings[0] for one in settings)
    assert settings[0]["ProtectSystem"] == ["strict"]
    for unit in NAMES:
        assert unit_of(project_root, unit).values("MemoryMax")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, project_root: Path) -> Path:
    """The root of a machine that omgov is installed on, as far as systemd looks at it."""
    root = tmp_path_factory.mktemp("machine")
    units = root / "etc" / "systemd" / "system"
    shutil.copytree(project_root / "deploy" / "systemd", units)
    installed = root / INSTALLED.strip("/")
    installed.mkdir(parents=True)
    for program in ("omgov", "dagster", "dagster-webserver", "dagster-daemon"):
        (installed / program).write_text(f"#!{sys.executable}\n")
        (installed / program).chmod(0o755)
    targets = root / "usr" / "lib" / "systemd" / "system"
    targets.mkdir(parents=True)
    for name in ("sysinit", "basic", "shutdown", "multi-user", "network", "network-online"):
        (targets / f"{name}.target").write_text(f"[Unit]\nDescription={name}\n")
    return root


@pytest.mark.skipif(SYSTEMD is None, reason="systemd-analyze is not installed")
@each_unit
def test_systemd_finds_nothing_wrong_with_a_unit(name: str, machine: Path) -> None:
    command = [str(SYSTEMD), "verify", f"--root={machine}", "--man=no", f"{name}.service"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.skipif(SYSTEMD is None, reason="systemd-analyze is not installed")
@each_unit
def test_systemd_calls_a_unit_locked_up(name: str, machine: Path) -> None:
    command = [str(SYSTEMD), "security", "--offline=true", f"--root={machine}", "--no-pager", f"{name}.service"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert level is not None, done.stdout + done.stderr
    assert float(level[1]) <= MOST_EXPOSED
