"""What `deploy/README.md` tells to do can be done: files, programs, principals and datasets exist, in a right order."""

from __future__ import annotations

import os
import re
import shlex
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer

from omgov_assets.cli import app

PARTS = ("Setting it up", "Commands", "Deliveries")


@pytest.fixture(scope="module")
def told(project_root: Path) -> str:
    return (project_root / "deploy" / "README.md").read_text(encoding="utf-8")


def lines_of(told: str, part: str) -> list[str]:
    """The lines to type of a part."""
    section = re.split(r"\n##+ ", told.partition(f"# {part}\n")[2])[0]
    return [line for block in re.findall(r"```console\n(.*?)```", section, re.DOTALL) for line in block.splitlines()]


def test_the_setting_up_installs_files_that_there_are(told: str, project_root: Path) -> None:
    lines = lines_of(told, "Setting it up")
    assert lines[0].startswith("cd /opt/omgov/project ")
    named = {word for line in lines for word in line.split() if re.match(r"deploy/|[a-z]+\.txt$", word)}
    assert named == {"constraints.txt", "deploy/Caddyfile", "deploy/omgov", "deploy/systemd/*.service"}
    for word in named:
        assert list(project_root.glob(word)), word
    assert (project_root / "pyproject.toml").is_file()
    assert (project_root / "dagster.yaml").is_file()
    assert (project_root / "deploy" / "omgov").stat().st_mode & stat.S_IXUSR


def test_stores_are_made_before_services_start_and_nights_are_switched_on_after(told: str, project_root: Path) -> None:
    lines = lines_of(told, "Setting it up")
    (began,) = [line for line in lines if line.startswith("systemctl enable --now")]
    units = [unit.stem for unit in (project_root / "deploy" / "systemd").iterdir()]
    # The daemon first: web servers wait for one that was asked for before them.
    assert sorted(began.split()[3:]) == sorted(units)
    assert began.split()[3] == "omgov-dagster-daemon"
    for before in ("dagster instance migrate", "install -o root -g caddy -m 0640 YOUR-KEY.pem /etc/omgov/tls/key.pem"):
        assert lines.index(before) < lines.index(began)
    for after in ("dagster schedule start nightly", "dagster sensor start --start-all"):
        assert lines.index(f"{after} -m omgov_assets.definitions") > lines.index(began)


def test_folders_that_web_servers_must_not_see_are_there_before_they_start(told: str, project_root: Path) -> None:
    # systemd hides what is there when the service begins, and nothing that comes later.
    (made,) = [line for line in lines_of(told, "Setting it up") if line.startswith("cd /var/lib/omgov && install -d")]
    unit = (project_root / "deploy" / "systemd" / "omgov-dagster-webserver.service").read_text(encoding="utf-8")
    hidden = re.findall(r"-/var/lib/omgov/(\w+)", unit)
    assert {"access", "audit", "lake"} <= set(hidden)
    assert set(hidden) <= set(made.split())


def test_what_is_switched_on_exists(told: str) -> None:
    from omgov_assets.definitions import defs

    repository = defs().get_repository_def()
    assert repository.has_schedule_def("nightly")
    for sensor in repository.sensor_defs:
        assert f"`{sensor.name}`" in told, f"{sensor.name} is not told of"


def test_commands_of_ours_are_known(told: str, project_root: Path) -> None:
    inline = [one for one in re.findall(r"`(omgov [^`]*)`", told, re.DOTALL) if "…" not in one]
    typed = [line for part in PARTS for line in lines_of(told, part) if line.startswith("omgov ")]
    assert len(typed) >= 2
    principals = (project_root / "governance" / "access" / "access.yaml").read_text(encoding="utf-8")
    for line in (*inline, *typed):
        command: Any = typer.main.get_command(app)
        words = shlex.split(line)[1:]
        while words and hasattr(command, "commands"):
            assert words[0] in command.commands, line
            command = command.commands[words.pop(0)]
        options = {option for parameter in command.params for option in parameter.opts} if words else set()
        for word in (word for word in words if word.startswith("--")):
            assert word in options, f"{line}: no option {word}"
        if "--principal" in words:
            assert f"id: {words[words.index('--principal') + 1]}" in principals, line


def test_the_program_for_root_runs_ours_as_the_services_user(tmp_path: Path, project_root: Path) -> None:
    text = (project_root / "deploy" / "omgov").read_text(encoding="utf-8")
    for path in ("/var/lib/omgov", "/opt/omgov", "/etc/omgov"):
        assert path in text
        text = re.sub(rf"(?<![\w/]){path}", f"{tmp_path}{path}", text)
    keys, programs, home = tmp_path / "etc/omgov/keys", tmp_path / "bin", tmp_path / "var/lib/omgov"
    for folder in (keys, programs, home):
        folder.mkdir(parents=True)
    (keys / "serve.env").write_text("# for masks\nOMGOV_MASK_KEY=ab\n")
    (keys / "night.env").write_text("OMGOV_ALERT_MAIL=smtp://u:p$HOME`x`@h\nOMGOV_MASK_KEY=ab")
    (programs / "runuser").write_text('#!/bin/sh\numask; pwd; printf "%s\\n" "$@"; env\n')
    (programs / "omgov").write_text(text)
    (programs / "dagster").symlink_to("omgov")
    for file in ("runuser", "omgov"):
        (programs / file).chmod(0o755)
    for program in ("omgov", "dagster"):
        done = subprocess.run(
            [programs / program, "share", "create", "a b"],
            env={"PATH": f"{programs}:{os.environ['PATH']}", "HOME": "/root"},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        said = done.stdout.splitlines()
        installed = f"{tmp_path}/opt/omgov/venv/bin/{program}"
        assert said[:8] == ["0027", str(home), "-u", "omgov", "--", installed, "share", "create"]
        assert said[8] == "a b"
        assert {
            f"OMGOV_HOME={home}",
            f"OMGOV_PROJECT={tmp_path}/opt/omgov/project",
            f"DAGSTER_HOME={home}/dagster",
            f"HOME={home}",
            "OMGOV_MASK_KEY=ab",
            "OMGOV_ALERT_MAIL=smtp://u:p$HOME`x`@h",
        } <= set(said[9:])
