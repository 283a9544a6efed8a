"""No command leaves a file in a home that the home's owner could not use."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

import pytest
from command_tree import all_commands
from typer.testing import CliRunner

from omgov_assets.cli import app
from omgov_assets.cli.homes import require_own_home

# Commands that only look, so that whoever may read a home may call them.
ONLY_LOOK = {
    "access explain", "access token list", "admission list", "admission show", "alerts preview", "alerts silence list",
    "anomalies", "cases export", "cases list", "cases show", "cases waivers", "check", "check-models", "compliance",
    "control diff", "control show", "evaluate", "explain", "impact", "lake doctor", "mappings accept",
    "mappings check", "mappings suggest", "policies check", "policies profile", "policies show", "rankings",
    "root-cause", "scorecards", "share list", "standard coverage", "standard list", "standard show", "try",
}  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home that is not root's."""
    folder = tmp_path / "home"
    folder.mkdir()
    if os.geteuid() == 0:
        os.chown(folder, 12345, 12345)
    return folder


def ask_as(user: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)


def test_every_command_with_a_home_guards_it_or_only_looks() -> None:
    guarded, unguarded = set(), set()
    for name, command in all_commands():
        for parameter in command.params:
            if "--home" in parameter.opts:
                (guarded if parameter.callback is not None else unguarded).add(name)
    assert unguarded == ONLY_LOOK
    assert {"run", "serve", "share create", "access token create", "access link-key rotate", "audit verify"} <= guarded


@pytest.mark.parametrize(
    "arguments",
    [
        ("share", "create", "firm", "--as", "engineer"),
        ("access", "token", "create", "--principal", "steward", "--scope", "read", "--as", "engineer"),
        ("access", "link-key", "rotate", "--as", "engineer"),
        ("audit", "verify"),
        ("serve", "--port", "0"),
    ],
    ids=lambda arguments: "-".join(arguments[:2]),
)
def test_roots_commands_leave_nothing_in_a_home_of_others(
    arguments: tuple[str, ...], home: Path, project_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = home.stat().st_uid
    ask_as(0, monkeypatch)
    done = CliRunner().invoke(app, [*arguments, "--home", str(home), "--project", str(project_root)])
    assert done.exit_code == 1
    named = f"#{owner}" if owner == 12345 else pwd.getpwuid(owner).pw_name
    assert f"{home} belongs to {named}, who could not use what root makes there" in done.stderr
    assert f"`runuser -u {named} -- omgov" in done.stderr
    assert list(home.iterdir()) == []


def test_the_home_of_the_environment_is_guarded_as_well(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask_as(home.stat().st_uid + 1, monkeypatch)
    done = CliRunner().invoke(app, ["audit", "verify"], env={"OMGOV_HOME": str(home)})
    assert done.exit_code == 1
    assert "`sudo -u " in done.stderr


def test_whoever_only_looks_may_be_anybody(home: Path, project_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask_as(home.stat().st_uid + 1, monkeypatch)
    options = ["--home", str(home), "--project", str(project_root)]
    assert CliRunner().invoke(app, ["share", "list", *options]).exit_code == 0


def test_a_home_is_its_owners_and_one_of_roots_is_a_containers(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_as(home.stat().st_uid, monkeypatch)
    assert require_own_home(home) == home
    ask_as(home.stat().st_uid + 1, monkeypatch)
    # Made by whoever comes first.
    assert require_own_home(tmp_path / "none") == tmp_path / "none"
    # A volume that a container got.
    real = Path.stat

    def of_root(path: Path, **how: Any) -> os.stat_result:
        return os.stat_result((*real(path, **how)[:4], 0, *real(path, **how)[5:]))

    monkeypatch.setattr(Path, "stat", of_root)
    assert require_own_home(home) == home
